// The VMM's driver of the remapping unit: it writes the unit's registers, as any VMM does.
// Reference: Intel VT-d specification 3.3, §6.5.1 (invalidation), §10.4 (registers), §11.1 "Software initialization".

import { Global, Offset, REMAPPING_UNIT_BASE } from "../../devices/iommu/register-map.ts";

/** Host-physical space with the unit's registers. */
export interface RegisterSpace {
	read(address: number, size: 1 | 2 | 4): number;
	write(address: number, size: 1 | 2 | 4, value: number): void;
}

/** S of IRTA: 2^(S + 1) entries (§10.4.29). */
const INTERRUPT_ENTRIES_256 = 7;
/** High dwords: ICC and global granularity; IVT and global granularity. */
const CONTEXTS_ALL = 0xa000_0000;
const IOTLB_ALL = 0x9000_0000;

export class RemappingDriver {
	constructor(private readonly space: RegisterSpace) {}

	private set(offset: number, value: number): void {
		this.space.write(REMAPPING_UNIT_BASE + offset, 4, value >>> 0);
	}

	/** Sets the tables and turns DMA and interrupt remapping on. */
	start(rootTable: number, interruptTable: number): void {
		this.set(Offset.rootTable, rootTable);
		this.set(Offset.rootTable + 4, 0);
		this.set(Offset.globalCommand, Global.setRootTable);
		this.set(Offset.interruptTable, interruptTable | INTERRUPT_ENTRIES_256);
		this.set(Offset.interruptTable + 4, 0);
		this.set(Offset.globalCommand, Global.setInterruptTable);
		this.invalidate();
		this.set(Offset.globalCommand, Global.translationEnable | Global.interruptRemappingEnable);
	}

	/** Tables have changed: nothing of them stays cached. */
	invalidate(): void {
		this.set(Offset.contextCommand, 0);
		this.set(Offset.contextCommand + 4, CONTEXTS_ALL);
		this.set(Offset.invalidateIotlb + 4, IOTLB_ALL);
	}
}
