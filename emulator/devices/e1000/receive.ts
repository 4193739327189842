// The receive unit: which frames are taken, and where they go. Reference: Intel 317453, §3.2 "Packet reception", §13.4.22 (RCTL).

import type { DmaPort } from "../dma-port.ts";
import { Cause, Offset, ReceiveControl, ringAt, Statistic, type Words } from "./register-map.ts";

const DESCRIPTOR_BYTES = 16;
const Status = { done: 0x01, endOfPacket: 0x02, ignoreChecksum: 0x04 } as const;
const ADDRESS_VALID = 0x8000_0000;
const RECEIVE_ADDRESSES = 16;
const CHECK_SEQUENCE = 4;
const LEAST_FRAME = 60;
/** Which bits of a multicast address index the table, by RCTL.MO. */
const MULTICAST_SHIFTS = [4, 3, 2, 0] as const;

export class Receiver {
	constructor(
		private readonly words: Words,
		private readonly port: DmaPort,
	) {}

	/** A frame arrives; the result is the causes for an interrupt. */
	receive(frame: Uint8Array): number {
		const { words } = this;
		const control = words.get(Offset.receiveControl);
		if (!(control & ReceiveControl.enable) || !this.accepts(frame, control)) return 0;
		const padded = new Uint8Array(Math.max(LEAST_FRAME, frame.length));
		padded.set(frame);
		// The check sequence of a frame without errors is not modelled: where it is kept, it is 0.
		const bytes = new Uint8Array(padded.length + (control & ReceiveControl.stripChecksum ? 0 : CHECK_SEQUENCE));
		bytes.set(padded);
		words.count(Statistic.received);
		words.count64(Statistic.octetsReceived, padded.length + CHECK_SEQUENCE);
		const size = bufferSize(control);
		const needed = Math.ceil(bytes.length / size);
		if (this.free() < needed) {
			words.count(Statistic.missed);
			return Cause.overrun;
		}
		this.countGood(frame, padded.length + CHECK_SEQUENCE);
		for (let done = 0; done < bytes.length; done += size)
			this.store(bytes.subarray(done, done + size), done + size >= bytes.length);
		return Cause.received | (this.belowThreshold(control) ? Cause.receiveThreshold : 0);
	}

	private countGood(frame: Uint8Array, octets: number): void {
		const { words } = this;
		words.count(Statistic.goodReceived);
		words.count64(Statistic.goodOctetsReceived, octets);
		if (isBroadcast(frame)) words.count(Statistic.broadcastReceived);
		else if (frame[0]! & 1) words.count(Statistic.multicastReceived);
	}

	private accepts(frame: Uint8Array, control: number): boolean {
		const { words } = this;
		if (isBroadcast(frame) && control & ReceiveControl.broadcastAccept) return true;
		const isMulticast = (frame[0]! & 1) !== 0;
		if (control & (isMulticast ? ReceiveControl.multicastPromiscuous : ReceiveControl.unicastPromiscuous)) return true;
		const low = (frame[0]! | (frame[1]! << 8) | (frame[2]! << 16) | (frame[3]! << 24)) >>> 0;
		const high = frame[4]! | (frame[5]! << 8);
		for (let i = 0; i < RECEIVE_ADDRESSES; i++) {
			const upper = words.get(Offset.receiveAddress + 8 * i + 4);
			const matches = words.get(Offset.receiveAddress + 8 * i) === low && (upper & 0xffff) === high;
			if (upper & ADDRESS_VALID && matches) return true;
		}
		if (!isMulticast) return false;
		const index = (high >>> MULTICAST_SHIFTS[(control >>> 12) & 3]!) & 0xfff;
		return ((words.get(Offset.multicastTable + 4 * (index >> 5)) >>> (index & 31)) & 1) === 1;
	}

	/** Descriptors that the controller owns: from head up to, but not, tail (§3.2.6). */
	private free(): number {
		const { words } = this;
		const { length } = ringAt(words, Offset.receiveBase);
		const [head, tail] = [words.get(Offset.receiveHead), words.get(Offset.receiveTail)];
		return head >= length || tail >= length ? 0 : (tail - head + length) % length;
	}

	/** RCTL.RDMTS: a half, a quarter or an eighth of the ring. */
	private belowThreshold(control: number): boolean {
		const { length } = ringAt(this.words, Offset.receiveBase);
		return this.free() <= length >> (1 + ((control >>> 8) & 3));
	}

	private store(bytes: Uint8Array, last: boolean): void {
		const { words, port } = this;
		const ring = ringAt(words, Offset.receiveBase);
		const head = words.get(Offset.receiveHead);
		const at = ring.base + BigInt(head * DESCRIPTOR_BYTES);
		words.set(Offset.receiveHead, (head + 1) % ring.length);
		const descriptor = port.read(at, DESCRIPTOR_BYTES);
		if (!descriptor) return;
		const view = new DataView(descriptor.buffer, descriptor.byteOffset);
		port.write(view.getBigUint64(0, true), bytes);
		view.setUint16(8, bytes.length, true);
		// No checksum was looked at.
		view.setUint32(10, 0, true);
		descriptor[12] = Status.done | Status.ignoreChecksum | (last ? Status.endOfPacket : 0);
		view.setUint16(13, 0, true);
		port.write(at + 8n, descriptor.subarray(8));
	}
}

function isBroadcast(frame: Uint8Array): boolean {
	return frame.subarray(0, 6).every((byte) => byte === 0xff);
}

/** RCTL.BSIZE and BSEX. */
function bufferSize(control: number): number {
	const size = 2048 >> ((control >>> 16) & 3);
	return control & ReceiveControl.sizeExtension && size < 2048 ? size * 16 : size;
}
