// SYSENTER, SYSEXIT, SYSCALL and SYSRET (SDM Vol. 2B, "Operation" of each; Vol. 3A §5.8.7, §5.8.8).

import { Fault, Vector } from "../engine/fault.ts";
import type { Helper } from "../engine/helper.ts";
import { Access, Efer, Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { isCanonical } from "./memory-access.ts";
import { SystemCallMsr } from "./model-specific-registers.ts";

/** Flat segments that these instructions load without reading a descriptor: accessed, S, P, G; the limit is 4 GBytes. */
const FLAT = Access.accessed | Access.S | Access.P | Access.G;
const CODE = FLAT | Access.code | Access.readable;
const DATA = FLAT | Access.writable | Access.DB;
/** R11 → RFLAGS in SYSRET. */
const SYSRET_FLAGS = 0x3c7fd7;
const RCX = 1;
const RDX = 2;
const RSP = 4;
const R11 = 11;

export function systemCalls(core: ProcessorCore): Record<string, Helper> {
	const { state, operands } = core;

	const enter = (cs: number, ss: number, cpl: number, mode: 32 | 64): void => {
		const size = mode === 64 ? Access.L : Access.DB;
		const dpl = cpl << Access.dplShift;
		state.setSegment(Segment.cs, cs | cpl, CODE | size | dpl, 0, 0, 0xffffffff | 0);
		state.setSegment(Segment.ss, ss | cpl, DATA | dpl, 0, 0, 0xffffffff | 0);
		state.cpl = cpl;
		state.updateMode();
	};
	const word = (at: number): number => state.i32[at >> 2]!;
	const high = (register: number): number => state.i32[((State.gpr + register * 8) >> 2) + 1]!;
	const setGpr = (register: number, low: number, upper: number): void => {
		state.setGpr32(register, low);
		state.i32[((State.gpr + register * 8) >> 2) + 1] = upper;
	};
	const requireSyscall = (): void => {
		// On Intel's processors both exist only in 64-bit mode.
		if (!state.mode64 || (state.efer & Efer.SCE) === 0) throw new Fault(Vector.invalidOpcode);
	};

	return {
		sysenter() {
			const selector = word(SystemCallMsr.sysenterCs) & 0xfffc;
			if (!state.protectedMode || selector === 0) throw new Fault(Vector.generalProtection, 0);
			const wide = state.longMode;
			state.flagsRest &= ~(Eflags.VM | Eflags.IF | Eflags.RF);
			enter(selector, (selector + 8) & 0xfffc, 0, wide ? 64 : 32);
			setGpr(RSP, word(SystemCallMsr.sysenterEsp), wide ? word(SystemCallMsr.sysenterEsp + 4) : 0);
			state.setRip(word(SystemCallMsr.sysenterEip), wide ? word(SystemCallMsr.sysenterEip + 4) : 0);
			return core.leave();
		},
		/** Parameter 8: return to 64-bit mode. */
		sysexit(_record, size) {
			const selector = word(SystemCallMsr.sysenterCs) & 0xfffc;
			if (!state.protectedMode || selector === 0 || state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
			const wide = size === 8;
			const [stackHigh, ripHigh] = [high(RCX), high(RDX)];
			if (wide && !(isCanonical(ripHigh) && isCanonical(stackHigh))) throw new Fault(Vector.generalProtection, 0);
			const first = (selector + (wide ? 32 : 16)) & 0xfffc;
			enter(first, (first + 8) & 0xfffc, 3, wide ? 64 : 32);
			setGpr(RSP, state.gpr32(RCX), wide ? stackHigh : 0);
			state.setRip(state.gpr32(RDX), wide ? ripHigh : 0);
			return core.leave();
		},
		syscall(record) {
			requireSyscall();
			const low = operands.nextRip(record);
			setGpr(RCX, low, operands.high);
			const flags = core.readEflags() & ~Eflags.RF;
			state.setGpr32(R11, flags);
			const selector = word(SystemCallMsr.star + 4) & 0xfffc;
			core.writeEflags(flags & ~word(SystemCallMsr.fmask), -1);
			enter(selector, (selector + 8) & 0xfffc, 0, 64);
			state.setRip(word(SystemCallMsr.lstar), word(SystemCallMsr.lstar + 4));
			return core.leave();
		},
		/** Parameter 8: return to 64-bit mode, else to compatibility mode. */
		sysret(_record, size) {
			requireSyscall();
			if (state.cpl !== 0) throw new Fault(Vector.generalProtection, 0);
			const wide = size === 8;
			// Intel's processors fault here, with the privilege and the stack of the kernel.
			if (wide && !isCanonical(high(RCX))) throw new Fault(Vector.generalProtection, 0);
			const base = (word(SystemCallMsr.star + 4) >>> 16) & 0xffff;
			const code = (wide ? base + 16 : base) & 0xfffc;
			const flags = state.gpr32(R11) & SYSRET_FLAGS;
			core.writeEflags(flags, ~Eflags.VM);
			enter(code, (base + 8) & 0xfffc, 3, wide ? 64 : 32);
			state.setRip(state.gpr32(RCX), wide ? high(RCX) : 0);
			return core.leave();
		},
	};
}
