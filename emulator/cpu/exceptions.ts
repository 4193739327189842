// Classes of exceptions and what a second one during delivery of a first makes (SDM Vol. 3A §6.15, Tables 6-4 and 6-5).

import { Fault, Vector } from "../engine/fault.ts";

type ExceptionClass = "benign" | "contributory" | "page fault" | "double fault";

function classOf(vector: number): ExceptionClass {
	switch (vector) {
		case Vector.divideError:
		case Vector.invalidTss:
		case Vector.segmentNotPresent:
		case Vector.stackFault:
		case Vector.generalProtection:
			return "contributory";
		case Vector.pageFault:
			return "page fault";
		case Vector.doubleFault:
			return "double fault";
		default:
			return "benign";
	}
}

/**
 * What is delivered after `second` was raised while `first` was delivered: `second` itself, a double fault, or undefined for
 * shutdown. A first event that is not an exception (an interrupt) is benign.
 */
export function combine(first: number, firstIsException: boolean, second: Fault): Fault | undefined {
	const before = firstIsException ? classOf(first) : "benign";
	const now = classOf(second.vector);
	if (before === "double fault") return now === "benign" ? second : undefined;
	const doubles =
		(before === "contributory" && now === "contributory") ||
		(before === "page fault" && (now === "contributory" || now === "page fault"));
	return doubles ? new Fault(Vector.doubleFault, 0) : second;
}

/** #PF with the linear address, which goes into CR2 when the exception is delivered. */
export class PageFault extends Fault {
	constructor(
		errorCode: number,
		readonly addressLow: number,
		readonly addressHigh: number,
	) {
		super(Vector.pageFault, errorCode);
	}
}

/** #DB with the DR6 bits that are set when the exception is delivered. */
export class DebugException extends Fault {
	constructor(readonly bits: number) {
		super(Vector.debug);
	}
}

/** True for faults, whose return address is the instruction itself and whose saved RF is 1 (SDM Vol. 3A §6.5, Vol. 3B §17.3.1.1). */
export function isFault(vector: number): boolean {
	return vector !== Vector.debug && vector !== Vector.nmi && vector !== Vector.breakpoint && vector !== Vector.overflow;
}
