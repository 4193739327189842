// The VMM's driver of the remapping unit: it writes the unit's registers and its queue, as any VMM does.
// Reference: Intel VT-d specification 3.3, §6.5.2 (queued invalidation), §7.2 and §7.3 (faults), §10.4 (registers), §11.1 "Software
// initialization".

import { FAULT_RECORDS, FaultStatus, Global, Offset, REMAPPING_UNIT_BASE } from "../../devices/iommu/register-map.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { FaultRecord } from "../../machine/dma-faults.ts";
import { COMPATIBILITY_ADDRESS } from "./message-interrupts.ts";

/** Host-physical space with the unit's registers. */
export interface RegisterSpace {
	read(address: number, size: 1 | 2 | 4): number;
	write(address: number, size: 1 | 2 | 4, value: number): void;
}

/** S of IRTA: 2^(S + 1) entries (§10.4.29). */
const INTERRUPT_ENTRIES_256 = 7;
const QUEUE_BYTES = 4096;
/** Low dwords of descriptors (§6.5.2): everything that is cached of contexts, of pages, of interrupt entries. */
const DROP_CONTEXTS = 0x11;
const DROP_PAGES = 0x12;
const DROP_INTERRUPT_ENTRIES = 0x04;
/** Wait: write the status. */
const WAIT = 0x25;
const DONE = 1;
/** The highest dword of a fault record (§10.4.14). */
const RECORD_VALID = 0x8000_0000;
const RECORD_READ = 0x4000_0000;

export class RemappingDriver {
	/**
	 * @param queue host-physical address of a page for the invalidation queue.
	 * @param status of a dword that the unit writes.
	 */
	constructor(
		private readonly space: RegisterSpace,
		private readonly host: PhysicalMemory,
		private readonly queue: number,
		private readonly status: number,
	) {}

	private get(offset: number): number {
		return this.space.read(REMAPPING_UNIT_BASE + offset, 4) >>> 0;
	}

	private set(offset: number, value: number): void {
		this.space.write(REMAPPING_UNIT_BASE + offset, 4, value >>> 0);
	}

	/** Sets the tables and turns DMA and interrupt remapping on. @param faultVector of the host, raised for faults. */
	start(rootTable: number, interruptTable: number, faultVector: number): void {
		this.set(Offset.rootTable, rootTable);
		this.set(Offset.rootTable + 4, 0);
		this.set(Offset.globalCommand, Global.setRootTable);
		this.set(Offset.interruptTable, interruptTable | INTERRUPT_ENTRIES_256);
		this.set(Offset.interruptTable + 4, 0);
		this.set(Offset.globalCommand, Global.setInterruptTable);
		this.set(Offset.queueAddress, this.queue);
		this.set(Offset.queueAddress + 4, 0);
		this.set(Offset.queueTail, 0);
		this.set(Offset.globalCommand, Global.queueEnable);
		this.invalidate();
		// The unit's own messages are not remapped (§5.1.2).
		this.set(Offset.faultEvent + 4, faultVector);
		this.set(Offset.faultEvent + 8, COMPATIBILITY_ADDRESS);
		this.set(Offset.faultEvent + 12, 0);
		this.set(Offset.faultEvent, 0);
		const enabled = Global.queueEnable | Global.translationEnable | Global.interruptRemappingEnable;
		this.set(Offset.globalCommand, enabled);
	}

	/** Tables have changed: nothing of them stays cached. */
	invalidate(): void {
		this.submit([DROP_CONTEXTS], [DROP_PAGES], [DROP_INTERRUPT_ENTRIES]);
	}

	/** An entry of the interrupt-remapping table has changed. */
	invalidateInterrupts(): void {
		this.submit([DROP_INTERRUPT_ENTRIES]);
	}

	/** Puts descriptors into the queue and waits until the unit has done what they say. */
	private submit(...descriptors: (readonly number[])[]): void {
		const { host, queue, status } = this;
		host.write(status, 4, 0);
		let tail = this.get(Offset.queueTail);
		for (const words of [...descriptors, [WAIT, DONE, status]]) {
			for (let i = 0; i < 4; i++) host.write(queue + tail + 4 * i, 4, words[i] ?? 0);
			tail = (tail + 16) % QUEUE_BYTES;
		}
		this.set(Offset.queueTail, tail);
		if (host.read(status, 4) !== DONE)
			throw new Error(`The remapping unit did not take its queue: error ${this.get(Offset.queueError) & 15}.`);
	}

	/** The unit has interrupted: the faults that it recorded, oldest first. Their registers are free again. */
	takeFaults(): FaultRecord[] {
		const status = this.get(Offset.faultStatus);
		const faults: FaultRecord[] = [];
		if (status & FaultStatus.pending)
			for (let i = 0, index = (status >>> 8) & 0xff; i < FAULT_RECORDS; i++, index++) {
				const at = Offset.faultRecording + 16 * (index % FAULT_RECORDS);
				const high = this.get(at + 12);
				if (!(high & RECORD_VALID)) break;
				faults.push({
					information: (BigInt(this.get(at + 4)) << 32n) | BigInt(this.get(at)),
					source: this.get(at + 8) & 0xffff,
					reason: high & 0xff,
					read: (high & RECORD_READ) !== 0,
				});
				this.set(at + 12, RECORD_VALID);
			}
		this.set(Offset.faultStatus, FaultStatus.overflow);
		return faults;
	}
}
