// Primary fault logging: the ring of fault recording registers and the fault status.
// Reference: Intel VT-d specification 3.3, §7.2.1, §10.4.9 and §10.4.14.

import type { EventInterrupt } from "./event-interrupt.ts";
import { FAULT_RECORDS, FaultStatus, Offset, type Words } from "./register-map.ts";

/** F, in the highest dword of a record. */
const RECORD_VALID = 0x8000_0000;
/** T: the request was a read. */
const RECORD_READ = 0x4000_0000;
/** Index of the first record that waits, in the fault status (FRI, §10.4.9). */
const INDEX_SHIFT = 8;

export class FaultRecording {
	/** Where the next fault goes; the records are a ring. */
	next = 0;

	constructor(
		private readonly words: Words,
		private readonly interrupt: EventInterrupt,
	) {}

	/**
	 * Records a fault. `information` is the page of the device address, or the interrupt index at bit 48 (§10.4.14, FI). False when
	 * there is no room: only the overflow is noted.
	 */
	record(source: number, information: bigint, reason: number, read: boolean): boolean {
		const { words } = this;
		const status = words.get(Offset.faultStatus);
		// No fault is recorded while software has not seen the overflow.
		if (status & FaultStatus.overflow) return false;
		const index = this.next;
		const at = recordOffset(index);
		if (words.get(at + 12) & RECORD_VALID) {
			this.note(FaultStatus.overflow);
			return false;
		}
		words.set64(at, information);
		words.set(at + 8, source);
		words.set(at + 12, (RECORD_VALID | (read ? RECORD_READ : 0) | reason) >>> 0);
		this.next = (index + 1) % FAULT_RECORDS;
		if (!(status & FaultStatus.pending)) words.set(Offset.faultStatus, (status & 0xff) | (index << INDEX_SHIFT));
		this.note(FaultStatus.pending);
		return true;
	}

	/** Sets a status bit; the event interrupt comes with the first one (§7.3). */
	note(bit: number): void {
		const { words } = this;
		const before = words.get(Offset.faultStatus);
		words.set(Offset.faultStatus, before | bit);
		if (!(before & 0xff)) this.interrupt.raise();
	}

	/** Software writes the status: overflow and queue error are cleared by 1. */
	writeStatus(value: number): void {
		const { words } = this;
		const cleared = value & (FaultStatus.overflow | FaultStatus.queueError);
		words.set(Offset.faultStatus, words.get(Offset.faultStatus) & ~cleared);
		this.settle();
	}

	/** Software writes the highest dword of a record: F is cleared by 1. */
	writeRecord(offset: number, value: number): void {
		if (value & RECORD_VALID) this.words.set(offset, this.words.get(offset) & ~RECORD_VALID);
		let pending = false;
		for (let i = 0; i < FAULT_RECORDS; i++) pending ||= (this.words.get(recordOffset(i) + 12) & RECORD_VALID) !== 0;
		if (!pending) this.words.set(Offset.faultStatus, this.words.get(Offset.faultStatus) & ~FaultStatus.pending);
		this.settle();
	}

	private settle(): void {
		if (!(this.words.get(Offset.faultStatus) & 0xff)) this.interrupt.withdraw();
	}
}

function recordOffset(index: number): number {
	return Offset.faultRecording + 16 * index;
}
