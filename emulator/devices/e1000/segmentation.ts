// Checksums that the controller inserts, and the cutting of one large TCP segment into frames.
// Reference: Intel 317453, §3.5 "TCP segmentation" and §3.6 "IP/TCP/UDP transmit checksum offloading".

import { onesComplementSum } from "../network/internet-checksum.ts";

/** A context descriptor (§3.3.6, "TCP/IP context transmit descriptor"). */
export interface OffloadContext {
	/** IP checksum: first byte, where it goes, last byte (0: the end of the frame). */
	ipStart: number;
	ipOffset: number;
	ipEnd: number;
	/** The same for TCP or UDP. */
	bodyStart: number;
	bodyOffset: number;
	bodyEnd: number;
	/** Bytes behind the headers. */
	payload: number;
	headerBytes: number;
	segmentBytes: number;
	tcp: boolean;
	ipv4: boolean;
}

export const noOffload: OffloadContext = {
	ipStart: 0,
	ipOffset: 0,
	ipEnd: 0,
	bodyStart: 0,
	bodyOffset: 0,
	bodyEnd: 0,
	payload: 0,
	headerBytes: 0,
	segmentBytes: 0,
	tcp: false,
	ipv4: false,
};

/** Which checksums a frame's first data descriptor asks for. */
export interface ChecksumOptions {
	ip: boolean;
	body: boolean;
}

const TCP_LAST_FLAGS = 0x09;
/** Frames of one segmentation at most: what bounds the work that one descriptor asks for. */
const MOST_FRAMES = 1024;

function putShort(bytes: Uint8Array, offset: number, value: number): void {
	if (offset + 2 > bytes.length) return;
	bytes[offset] = value >> 8;
	bytes[offset + 1] = value;
}

function short(bytes: Uint8Array, offset: number): number {
	return ((bytes[offset] ?? 0) << 8) | (bytes[offset + 1] ?? 0);
}

function insert(frame: Uint8Array, start: number, offset: number, end: number): void {
	const last = end === 0 || end >= frame.length ? frame.length - 1 : end;
	if (start > last) return;
	// The field holds what the driver put there: 0, or the sum of the pseudo header.
	putShort(frame, offset, ~onesComplementSum(frame.subarray(start, last + 1)) & 0xffff);
}

/** Puts the checksums that are asked for into a frame. */
export function insertChecksums(frame: Uint8Array, context: OffloadContext, options: ChecksumOptions): void {
	if (options.body) insert(frame, context.bodyStart, context.bodyOffset, context.bodyEnd);
	if (options.ip) insert(frame, context.ipStart, context.ipOffset, context.ipEnd);
}

/** The frames of a large segment: headers in front of each part, with lengths, numbers and flags as they are there. */
export function segment(data: Uint8Array, context: OffloadContext, options: ChecksumOptions): Uint8Array[] {
	const { headerBytes, segmentBytes, ipStart, bodyStart, bodyOffset, tcp, ipv4 } = context;
	const payload = data.subarray(headerBytes);
	const frames: Uint8Array[] = [];
	const count = segmentBytes === 0 ? 1 : Math.max(1, Math.ceil(payload.length / segmentBytes));
	for (let i = 0; i < Math.min(count, MOST_FRAMES); i++) {
		const part = segmentBytes === 0 ? payload : payload.subarray(i * segmentBytes, (i + 1) * segmentBytes);
		const frame = new Uint8Array(headerBytes + part.length);
		frame.set(data.subarray(0, headerBytes));
		frame.set(part, headerBytes);
		if (ipv4) {
			putShort(frame, ipStart + 2, frame.length - ipStart);
			putShort(frame, ipStart + 4, short(frame, ipStart + 4) + i);
		} else putShort(frame, ipStart + 4, frame.length - ipStart - 40);
		if (tcp && bodyStart + 14 <= frame.length) {
			const view = new DataView(frame.buffer);
			view.setUint32(bodyStart + 4, view.getUint32(bodyStart + 4) + i * segmentBytes);
			// FIN and PSH stand in the last one only.
			if (i < count - 1) frame[bodyStart + 13]! &= ~TCP_LAST_FLAGS;
		} else if (!tcp) putShort(frame, bodyStart + 4, frame.length - bodyStart);
		// The driver's pseudo header has no length in it.
		const length = Uint8Array.of((frame.length - bodyStart) >> 8, frame.length - bodyStart);
		if (options.body) putShort(frame, bodyOffset, onesComplementSum(length, short(frame, bodyOffset)));
		insertChecksums(frame, context, options);
		frames.push(frame);
	}
	return frames;
}
