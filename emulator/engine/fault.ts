// Exceptions of the emulated processor, thrown through TypeScript helpers and delivered by the processor.

/** Vectors of SDM Vol. 3A §6.15 (Table 6-1). */
export const Vector = {
	divideError: 0,
	debug: 1,
	nmi: 2,
	breakpoint: 3,
	overflow: 4,
	boundRange: 5,
	invalidOpcode: 6,
	deviceNotAvailable: 7,
	doubleFault: 8,
	invalidTss: 10,
	segmentNotPresent: 11,
	stackFault: 12,
	generalProtection: 13,
	pageFault: 14,
	x87FloatingPoint: 16,
	alignmentCheck: 17,
	machineCheck: 18,
	simdFloatingPoint: 19,
} as const;

/** A fault of the current instruction, which does not retire. Not an Error: it is thrown often and needs no stack trace. */
export class Fault {
	constructor(
		readonly vector: number,
		/** undefined for the vectors that push none. */
		readonly errorCode: number | undefined = undefined,
	) {}
}
