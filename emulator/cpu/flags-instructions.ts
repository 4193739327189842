// CLI, STI, PUSHF, POPF, CLAC and STAC, with IOPL, virtual-8086 and protected-mode virtual interrupts
// (SDM Vol. 2, "Operation" of each; Vol. 3B §20.3, §20.4).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import type { ProcessorCore } from "./core.ts";
import type { ProcessorFeatures } from "./cpuid.ts";

export function flagsInstructions(core: ProcessorCore, features: ProcessorFeatures): Record<string, Helper> {
	const { state, operands } = core;
	const fault = (): Fault => new Fault(Vector.generalProtection, 0);

	/** The flag that CLI and STI work on: IF, or VIF where VME or PVI virtualize it. @throws {Fault} #GP(0) */
	const interruptFlag = (): number => {
		if (!state.protectedMode) return Eflags.IF;
		if (state.virtual8086) {
			if (state.iopl === 3) return Eflags.IF;
			if (state.cr4 & Cr4.VME) return Eflags.VIF;
			throw fault();
		}
		if (state.cpl <= state.iopl) return Eflags.IF;
		if (state.cr4 & Cr4.PVI && state.cpl === 3) return Eflags.VIF;
		throw fault();
	};

	const alignmentFlag = (set: boolean): Helper => {
		return () => {
			// SDM Vol. 2A, CLAC: CPL 0 only, and with CPUID.7.0:EBX.SMAP.
			if (state.cpl !== 0 || !features.smap) throw new Fault(Vector.invalidOpcode);
			core.writeEflags(set ? Eflags.AC : 0, Eflags.AC);
			return Outcome.next;
		};
	};

	return {
		cli() {
			core.flags.writeEflags(0, interruptFlag());
			return Outcome.next;
		},
		sti(record) {
			const flag = interruptFlag();
			if (flag === Eflags.VIF && state.flagsRest & Eflags.VIP) throw fault();
			const wasClear = (state.flagsRest & flag) === 0;
			core.flags.writeEflags(flag, flag);
			if (flag === Eflags.IF && wasClear) core.beginInterruptShadow();
			return core.proceed(record);
		},
		pushf(_record, size) {
			let flags = core.readEflags() & ~(Eflags.VM | Eflags.RF);
			if (state.virtual8086 && state.iopl < 3) {
				if (!(state.cr4 & Cr4.VME) || size !== 2) throw fault();
				flags = (flags & ~Eflags.IF) | Eflags.IOPL | (flags & Eflags.VIF ? Eflags.IF : 0);
			}
			operands.push(size, flags);
			return Outcome.next;
		},
		popf(record, size) {
			const virtualInterrupts = state.virtual8086 && state.iopl < 3;
			if (virtualInterrupts && (!(state.cr4 & Cr4.VME) || size !== 2)) throw fault();
			const flags = operands.peekStack(0, size) | 0;
			let mask = Eflags.arithmetic | Eflags.TF | Eflags.DF | Eflags.NT;
			let value = flags;
			if (virtualInterrupts) {
				if (flags & Eflags.TF || (flags & Eflags.IF && state.flagsRest & Eflags.VIP)) throw fault();
				value = (flags & ~Eflags.VIF) | (flags & Eflags.IF ? Eflags.VIF : 0);
				mask |= Eflags.VIF;
			} else {
				if (state.cpl <= state.iopl) mask |= Eflags.IF;
				if (state.cpl === 0) mask |= Eflags.IOPL;
				// RF is cleared; VM, VIF and VIP stay.
				if (size >= 4) {
					mask |= Eflags.AC | Eflags.ID | Eflags.RF;
					value &= ~Eflags.RF;
				}
			}
			operands.moveStack(size);
			core.writeEflags(value, mask);
			return core.proceed(record);
		},
		stac: alignmentFlag(true),
		clac: alignmentFlag(false),
	};
}
