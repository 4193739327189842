// The transmit unit: descriptors from head to tail, legacy, context and data ones, gathered into frames.
// Reference: Intel 317453, §3.3 "Packet transmission", §3.4 "Transmit descriptor ring structure".

import type { DmaPort } from "../dma-port.ts";
import { Cause, Offset, ringAt, Statistic, TRANSMIT_ENABLE, type Words } from "./register-map.ts";
import { type ChecksumOptions, insertChecksums, noOffload, type OffloadContext, segment } from "./segmentation.ts";

const DESCRIPTOR_BYTES = 16;
/** Command bits, in the byte that legacy and extended descriptors share. */
const Command = {
	endOfPacket: 0x01,
	insertChecksum: 0x04,
	segmentation: 0x04,
	reportStatus: 0x08,
	extended: 0x20,
} as const;
const TYPE_DATA = 1;
const STATUS_DONE = 0x01;
const OPTION_IP = 0x01;
const OPTION_BODY = 0x02;
const CONTEXT_TCP = 0x01;
const CONTEXT_IPV4 = 0x02;
/** What a frame may have before it is cut into segments, and after. */
const MOST_GATHERED = 0x4_0100;
export const MOST_FRAME = 16288;
/** Descriptors of one turn; the rest waits for the next moment. */
const AT_ONCE = 64;

export interface TransmitState {
	context: OffloadContext;
	/** Bytes of the frame that is being gathered. */
	gathered: Uint8Array;
	options: ChecksumOptions;
	segmented: boolean;
	/** Too long: the frame is left out, up to its end. */
	dropped: boolean;
}

export class Transmitter {
	state: TransmitState = idle();

	/** @param send takes a frame without its check sequence. */
	constructor(
		private readonly words: Words,
		private readonly port: DmaPort,
		private readonly send: (frame: Uint8Array) => void,
	) {}

	/** Whether there is something to send. */
	get waiting(): boolean {
		const { words } = this;
		return (
			(words.get(Offset.transmitControl) & TRANSMIT_ENABLE) !== 0 &&
			words.get(Offset.transmitHead) !== words.get(Offset.transmitTail) &&
			words.get(Offset.transmitHead) < ringAt(words, Offset.transmitBase).length
		);
	}

	/** Takes descriptors; the result is the causes for an interrupt. */
	run(): number {
		const { words } = this;
		let causes = 0;
		for (let taken = 0; taken < AT_ONCE && this.waiting; taken++) {
			const ring = ringAt(words, Offset.transmitBase);
			const head = words.get(Offset.transmitHead);
			const at = ring.base + BigInt(head * DESCRIPTOR_BYTES);
			const descriptor = this.port.read(at, DESCRIPTOR_BYTES);
			if (descriptor && this.take(new DataView(descriptor.buffer, descriptor.byteOffset))) {
				descriptor[12]! |= STATUS_DONE;
				if (this.port.write(at + 12n, descriptor.subarray(12, 13))) causes |= Cause.transmitDone;
			}
			words.set(Offset.transmitHead, (head + 1) % ring.length);
		}
		return this.waiting ? causes : causes | Cause.transmitEmpty;
	}

	/** True when the descriptor's status is to be written back. */
	private take(descriptor: DataView): boolean {
		const command = descriptor.getUint8(11);
		const reports = (command & Command.reportStatus) !== 0;
		const { state } = this;
		if (!(command & Command.extended)) {
			this.gather(descriptor.getBigUint64(0, true), descriptor.getUint16(8, true));
			if (command & Command.endOfPacket) {
				const frame = this.endFrame();
				if (frame && command & Command.insertChecksum) {
					const [offset, start] = [descriptor.getUint8(10), descriptor.getUint8(13)];
					const context = { ...noOffload, bodyStart: start, bodyOffset: offset };
					insertChecksums(frame, context, { ip: false, body: true });
				}
				if (frame) this.transmit(frame);
			}
			return reports;
		}
		const word = descriptor.getUint32(8, true);
		if (((word >>> 20) & 15) !== TYPE_DATA) {
			state.context = readContext(descriptor);
			return reports;
		}
		if (state.gathered.length === 0) {
			const options = descriptor.getUint8(13);
			state.options = { ip: (options & OPTION_IP) !== 0, body: (options & OPTION_BODY) !== 0 };
			state.segmented = (command & Command.segmentation) !== 0;
		}
		this.gather(descriptor.getBigUint64(0, true), word & 0xf_ffff);
		if (command & Command.endOfPacket) this.finish();
		return reports;
	}

	private gather(address: bigint, length: number): void {
		const { state } = this;
		if (state.dropped || length === 0) return;
		const bytes = state.gathered.length + length > MOST_GATHERED ? undefined : this.port.read(address, length);
		if (!bytes) {
			// What cannot be had is not sent.
			state.dropped = true;
			state.gathered = new Uint8Array(0);
			return;
		}
		const joined = new Uint8Array(state.gathered.length + length);
		joined.set(state.gathered);
		joined.set(bytes, state.gathered.length);
		state.gathered = joined;
	}

	/** Ends the frame; undefined when it was dropped or is empty. */
	private endFrame(): Uint8Array | undefined {
		const { state } = this;
		const { gathered, dropped } = state;
		state.gathered = new Uint8Array(0);
		state.dropped = false;
		return dropped || gathered.length === 0 ? undefined : gathered;
	}

	private finish(): void {
		const { context, options, segmented } = this.state;
		const data = this.endFrame();
		if (!data) return;
		if (segmented) {
			for (const frame of segment(data, context, options)) this.transmit(frame);
			return;
		}
		insertChecksums(data, context, options);
		this.transmit(data);
	}

	private transmit(frame: Uint8Array): void {
		if (frame.length > MOST_FRAME) return;
		const { words } = this;
		const octets = Math.max(64, frame.length + 4);
		words.count(Statistic.sent);
		words.count(Statistic.goodSent);
		words.count64(Statistic.octetsSent, octets);
		words.count64(Statistic.goodOctetsSent, octets);
		this.send(frame);
	}

	reset(): void {
		this.state = idle();
	}
}

function idle(): TransmitState {
	return {
		context: { ...noOffload },
		gathered: new Uint8Array(0),
		options: { ip: false, body: false },
		segmented: false,
		dropped: false,
	};
}

function readContext(descriptor: DataView): OffloadContext {
	const word = descriptor.getUint32(8, true);
	const kind = word >>> 24;
	return {
		ipStart: descriptor.getUint8(0),
		ipOffset: descriptor.getUint8(1),
		ipEnd: descriptor.getUint16(2, true),
		bodyStart: descriptor.getUint8(4),
		bodyOffset: descriptor.getUint8(5),
		bodyEnd: descriptor.getUint16(6, true),
		payload: word & 0xf_ffff,
		headerBytes: descriptor.getUint8(13),
		segmentBytes: descriptor.getUint16(14, true),
		tcp: (kind & CONTEXT_TCP) !== 0,
		ipv4: (kind & CONTEXT_IPV4) !== 0,
	};
}
