// Fault reasons of DMA and interrupt remapping. Reference: Intel VT-d specification 3.3, §7.1.3 "Fault conditions" and
// chapter 11 appendix A "Fault reason encodings" (legacy mode).

export const FaultReason = {
	rootNotPresent: 0x01,
	contextNotPresent: 0x02,
	contextInvalid: 0x03,
	addressBeyondWidth: 0x04,
	writeDenied: 0x05,
	readDenied: 0x06,
	secondLevelTableAccess: 0x07,
	rootTableAccess: 0x08,
	contextTableAccess: 0x09,
	rootReserved: 0x0a,
	contextReserved: 0x0b,
	secondLevelReserved: 0x0c,
	interruptRequestReserved: 0x20,
	interruptIndexTooLarge: 0x21,
	interruptEntryNotPresent: 0x22,
	interruptTableAccess: 0x23,
	interruptEntryReserved: 0x24,
	compatibilityInterruptBlocked: 0x25,
	interruptSourceDenied: 0x26,
} as const;

const MEANINGS: Readonly<Record<number, string>> = {
	[FaultReason.rootNotPresent]: "the root entry is not present",
	[FaultReason.contextNotPresent]: "the context entry is not present",
	[FaultReason.contextInvalid]: "the context entry is programmed wrongly",
	[FaultReason.addressBeyondWidth]: "the address is beyond the domain's address width",
	[FaultReason.writeDenied]: "no permission to write",
	[FaultReason.readDenied]: "no permission to read",
	[FaultReason.secondLevelTableAccess]: "a second-level table lies outside of memory",
	[FaultReason.rootTableAccess]: "the root table lies outside of memory",
	[FaultReason.contextTableAccess]: "the context table lies outside of memory",
	[FaultReason.rootReserved]: "reserved bits are set in the root entry",
	[FaultReason.contextReserved]: "reserved bits are set in the context entry",
	[FaultReason.secondLevelReserved]: "reserved bits are set in a second-level entry",
	[FaultReason.interruptRequestReserved]: "reserved bits are set in the interrupt request",
	[FaultReason.interruptIndexTooLarge]: "the interrupt index is beyond the table",
	[FaultReason.interruptEntryNotPresent]: "the interrupt-remapping entry is not present",
	[FaultReason.interruptTableAccess]: "the interrupt-remapping table lies outside of memory",
	[FaultReason.interruptEntryReserved]: "reserved bits are set in the interrupt-remapping entry",
	[FaultReason.compatibilityInterruptBlocked]: "compatibility-format interrupts are blocked",
	[FaultReason.interruptSourceDenied]: "the interrupt-remapping entry belongs to another requester",
};

/** What a reason means, for people. */
export function describeReason(reason: number): string {
	return MEANINGS[reason] ?? `fault reason ${reason}`;
}

/** A request that is stopped. */
export interface RemappingFault {
	readonly reason: number;
	/** The context entry or interrupt-remapping entry says that faults are not to be recorded (FPD). */
	readonly silent: boolean;
	/** Where and what, for people: "SL-PTE 5 at 0x1028 is 0x…: bits 11 must be 0". */
	readonly detail: string;
}
