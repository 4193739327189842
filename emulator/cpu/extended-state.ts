// Extended control register 0, which says what state XSAVE manages (SDM Vol. 1 §13.3, Vol. 3A §2.6, Vol. 2 XGETBV and XSETBV).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4 } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";

/** State components (SDM Vol. 1 §13.1). */
export const StateComponent = { x87: 1 << 0, sse: 1 << 1 } as const;
/** Bits that XCR0 may have. Bit 0 is always set. */
export const XCR0_SUPPORTED = StateComponent.x87 | StateComponent.sse;
/** The legacy region and the header; no component lies behind them (§13.4). */
export const XSAVE_AREA_BYTES = 576;

const RAX = 0;
const RCX = 1;
const RDX = 2;

/** @throws {Fault} #UD when CR4.OSXSAVE is clear. */
export function requireOsxsave(cr4: number): void {
	if ((cr4 & Cr4.OSXSAVE) === 0) throw new Fault(Vector.invalidOpcode);
}

/** A value that XCR0 takes: SSE state without x87 state is none. */
export function isXcr0(low: number, high: number): boolean {
	return high === 0 && (low & ~XCR0_SUPPORTED) === 0 && (low & StateComponent.x87) !== 0;
}

export function extendedStateInstructions(core: ProcessorCore): Record<string, Helper> {
	const { state, operands } = core;
	return {
		xgetbv: () => {
			requireOsxsave(state.cr4);
			// XCR1, which tells what is in use, is not there: CPUID.(EAX=0DH,ECX=1):EAX bit 2 is clear.
			if (state.gpr32(RCX) !== 0) throw new Fault(Vector.generalProtection, 0);
			state.setGpr32(RAX, state.i32[State.xcr0 >> 2]!);
			state.setGpr32(RDX, 0);
			return Outcome.next;
		},
		xsetbv: (record) => {
			requireOsxsave(state.cr4);
			const low = state.gpr32(RAX);
			if (state.cpl !== 0 || state.gpr32(RCX) !== 0 || !isXcr0(low, state.gpr32(RDX)))
				throw new Fault(Vector.generalProtection, 0);
			state.i32[State.xcr0 >> 2] = low;
			return operands.advance(record, core.leave());
		},
	};
}
