// Virtual interrupts with CR4.VME and CR4.PVI (SDM Vol. 3B §20.3.2, §20.4).

import { Fault, Vector } from "../engine/fault.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import type { ProcessorState } from "./processor-state.ts";

const BOTH = Eflags.VIF | Eflags.VIP;

/**
 * VIF and VIP both set at the beginning of an instruction raise #GP. Only IRET from ring 0 and a task switch can set them so: the state is
 * that of the instruction to come.
 * @throws {Fault}
 */
export function raisePendingVirtualInterrupt(state: ProcessorState): void {
	if ((state.flagsRest & BOTH) !== BOTH || state.cpl !== 3) return;
	if (state.cr4 & (state.virtual8086 ? Cr4.VME : Cr4.PVI)) throw new Fault(Vector.generalProtection, 0);
}
