// Words of the processor's state that entries and exits load and save.

import { msrSlot } from "../model-specific-registers.ts";
import type { ProcessorState } from "../processor-state.ts";

/** Byte offsets of model-specific registers in the state. */
export const MsrPlace = {
	IA32_SYSENTER_CS: msrSlot("IA32_SYSENTER_CS"),
	IA32_SYSENTER_ESP: msrSlot("IA32_SYSENTER_ESP"),
	IA32_SYSENTER_EIP: msrSlot("IA32_SYSENTER_EIP"),
	IA32_DEBUGCTL: msrSlot("IA32_DEBUGCTL"),
	IA32_PAT: msrSlot("IA32_PAT"),
} as const;

/** The i64 at a byte offset of the state, unsigned. */
export function wordOf(state: ProcessorState, at: number): bigint {
	return BigInt.asUintN(64, state.i64[at >> 3]!);
}

export function setWord(state: ProcessorState, at: number, value: bigint): void {
	state.i64[at >> 3] = value;
}
