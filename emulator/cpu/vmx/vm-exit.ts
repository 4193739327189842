// A VM exit that an instruction or an event causes. It is thrown as faults are, before anything architectural has changed.

import { Fault } from "../../engine/fault.ts";

/** What the exit tells beyond its reason and qualification (SDM Vol. 3C §28.2). */
export interface VmExitInformation {
	/** Bytes of the instruction that caused it. */
	readonly instructionLength?: number;
	readonly instructionInformation?: number;
	readonly guestLinearAddress?: bigint;
	readonly guestPhysicalAddress?: bigint;
	/** VM-exit interruption information with its valid bit, and the error code. */
	readonly interruption?: { readonly information: number; readonly errorCode: number };
	/** I/O RCX, RSI, RDI, RIP are only stored for SMIs, so they are not here. */
	readonly resumeFlag?: boolean;
	/** The exit comes after the instruction or between two: nothing of the guest is undone. */
	readonly trapLike?: boolean;
}

/** No exception has this vector; delivering one to the guest by mistake would fail at once. */
const NO_VECTOR = -1;

export class VmExit extends Fault {
	constructor(
		/** Basic exit reason: ExitReasonNumber. */
		readonly reason: number,
		readonly qualification = 0n,
		readonly information: VmExitInformation = {},
	) {
		super(NO_VECTOR);
	}
}
