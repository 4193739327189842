// The registers of a remapping unit: offsets, bits and what CAP and ECAP say of this one.
// Reference: Intel VT-d specification 3.3, chapter 10 "Register descriptions".

/** Where the unit's registers lie in chipsets of Intel's Q35 and later; 4 KiB. */
export const REMAPPING_UNIT_BASE = 0xfed9_0000;
export const REMAPPING_UNIT_BYTES = 0x1000;

export const Offset = {
	version: 0x000,
	capability: 0x008,
	extendedCapability: 0x010,
	globalCommand: 0x018,
	globalStatus: 0x01c,
	rootTable: 0x020,
	contextCommand: 0x028,
	faultStatus: 0x034,
	faultEvent: 0x038,
	queueHead: 0x080,
	queueTail: 0x088,
	queueAddress: 0x090,
	completionStatus: 0x09c,
	completionEvent: 0x0a0,
	queueError: 0x0b0,
	interruptTable: 0x0b8,
	invalidateAddress: 0x0f0,
	invalidateIotlb: 0x0f8,
	faultRecording: 0x220,
} as const;

/** Fault recording registers of 16 bytes each. */
export const FAULT_RECORDS = 8;
/** Bytes that hold registers. */
export const REGISTER_BYTES = Offset.faultRecording + 16 * FAULT_RECORDS;

/** Version 1.0 of the architecture's register set. */
export const VERSION = 0x10;

/**
 * CAP: 65536 domains; tables of 3, 4 and 5 levels; 57 bits of address; zero-length reads; fault recording registers at 0x220; pages of
 * 2 MiB and 1 GiB; page-selective invalidation of up to 2^18 pages; writes and reads are drained.
 */
export const CAPABILITY =
	6n |
	(0b0_1110n << 8n) |
	(56n << 16n) |
	(1n << 22n) |
	(BigInt(Offset.faultRecording / 16) << 24n) |
	(0b0011n << 34n) |
	(1n << 39n) |
	(BigInt(FAULT_RECORDS - 1) << 40n) |
	(18n << 48n) |
	(0b11n << 54n);

/** ECAP: page walks see the processor's caches; queued invalidation; interrupt remapping, extended mode; pass-through; IOTLB registers at 0xf0. */
export const EXTENDED_CAPABILITY =
	0x1n | 0x2n | 0x8n | 0x10n | 0x40n | (BigInt(Offset.invalidateAddress / 16) << 8n) | (15n << 20n);

/** Global command and status. */
export const Global = {
	translationEnable: 0x8000_0000,
	setRootTable: 0x4000_0000,
	queueEnable: 0x0400_0000,
	interruptRemappingEnable: 0x0200_0000,
	setInterruptTable: 0x0100_0000,
	compatibilityInterrupts: 0x0080_0000,
} as const;

export const GLOBAL_NAMES: Readonly<Record<number, string>> = {
	[Global.translationEnable]: "TES",
	[Global.setRootTable]: "RTPS",
	[Global.queueEnable]: "QIES",
	[Global.interruptRemappingEnable]: "IRES",
	[Global.setInterruptTable]: "IRTPS",
	[Global.compatibilityInterrupts]: "CFIS",
};

export const FaultStatus = { overflow: 0x01, pending: 0x02, queueError: 0x10 } as const;
/** FECTL and IECTL. */
export const EventControl = { masked: 0x8000_0000, pending: 0x4000_0000 } as const;
/** Why the queue stands (IQERCD). */
export const QueueError = { none: 0, tableAccess: 1, tailBeyondQueue: 3, invalidDescriptor: 5, reserved: 6 } as const;

/** Registers as 32-bit words. */
export class Words {
	constructor(readonly values: Uint32Array = new Uint32Array(REGISTER_BYTES / 4)) {}

	get(offset: number): number {
		return this.values[offset >> 2]!;
	}

	set(offset: number, value: number): void {
		this.values[offset >> 2] = value;
	}

	get64(offset: number): bigint {
		return (BigInt(this.get(offset + 4)) << 32n) | BigInt(this.get(offset));
	}

	set64(offset: number, value: bigint): void {
		this.set(offset, Number(value & 0xffff_ffffn));
		this.set(offset + 4, Number((value >> 32n) & 0xffff_ffffn));
	}
}
