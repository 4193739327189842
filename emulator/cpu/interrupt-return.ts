// IRET, IRETD and IRETQ (SDM Vol. 2A, IRET, "Operation"; Vol. 3A §6.12.1, §6.14.4, §7.4; Vol. 3B §20.2.2, §20.3.1.2).

import { Fault, Vector } from "../engine/fault.ts";
import type { Helper, Outcome } from "../engine/helper.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import { Segment } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { checkTarget, commitReturn, readReturnCode, readReturnStack } from "./privilege-return.ts";
import { Internal } from "./processor-state.ts";
import type { TaskSwitch } from "./task-switch.ts";
import { raisePendingVirtualInterrupt } from "./virtual-interrupts.ts";

/** Flags that IRET always loads. */
const BASIC = Eflags.arithmetic | Eflags.TF | Eflags.DF | Eflags.NT;

export class InterruptReturn {
	constructor(
		private readonly core: ProcessorCore,
		private readonly tasks: TaskSwitch,
	) {}

	readonly iret: Helper = (record, size) => {
		const { state } = this.core;
		// NMIs are unblocked by the execution of IRET (SDM Vol. 3A §6.7.1).
		state.i32[Internal.nmiBlocked >> 2] = 0;
		if (!state.protectedMode) return this.returnReal(size);
		if (state.virtual8086) return this.returnInVirtual8086(size);
		if (state.flagsRest & Eflags.NT) {
			if (state.longMode) throw new Fault(Vector.generalProtection, 0);
			const { selector, descriptor } = this.tasks.findPrevious();
			this.tasks.switchTo(selector, descriptor, "return", this.core.operands.nextRip(record));
			return this.core.leave();
		}
		return this.returnProtected(size);
	};

	private returnReal(size: number): Outcome {
		const { core } = this;
		const { state, operands } = core;
		const ip = operands.peekStack(0, size);
		const cs = operands.peekStack(size, size) & 0xffff;
		const flags = operands.peekStack(2 * size, size);
		if (ip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
		operands.moveStack(3 * size);
		core.segmentation.loadRealMode(Segment.cs, cs);
		state.setRip(ip, 0);
		const wide = size === 4 ? Eflags.RF | Eflags.AC | Eflags.ID : 0;
		core.writeEflags(flags, BASIC | Eflags.IF | Eflags.IOPL | wide);
		state.updateMode();
		return core.leave();
	}

	private returnInVirtual8086(size: number): Outcome {
		const { core } = this;
		const { state, operands } = core;
		const virtualInterrupts = state.iopl < 3;
		// With VME, a 16-bit IRET works on VIF instead of IF (SDM Vol. 3B §20.3.3.4 and Table 20-2).
		if (virtualInterrupts && ((state.cr4 & Cr4.VME) === 0 || size !== 2)) throw new Fault(Vector.generalProtection, 0);
		const ip = operands.peekStack(0, size);
		const cs = operands.peekStack(size, size) & 0xffff;
		const flags = operands.peekStack(2 * size, size);
		if (ip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
		if (virtualInterrupts && (flags & Eflags.TF || (flags & Eflags.IF && state.flagsRest & Eflags.VIP)))
			throw new Fault(Vector.generalProtection, 0);
		operands.moveStack(3 * size);
		core.segmentation.loadRealMode(Segment.cs, cs);
		state.setRip(ip, 0);
		if (virtualInterrupts) {
			core.writeEflags(flags, BASIC);
			core.writeEflags(flags & Eflags.IF ? Eflags.VIF : 0, Eflags.VIF);
		} else core.writeEflags(flags, BASIC | Eflags.IF | (size === 4 ? Eflags.RF | Eflags.AC | Eflags.ID : 0));
		return core.leave();
	}

	private returnProtected(size: number): Outcome {
		const { core } = this;
		const { state, operands } = core;
		const ipLow = operands.peekStack(0, size) | 0;
		const ipHigh = size === 8 ? operands.high : 0;
		const cs = operands.peekStack(size, size) & 0xffff;
		const flags = operands.peekStack(2 * size, size) | 0;
		const cpl = state.cpl;
		if (flags & Eflags.VM && cpl === 0 && size === 4 && !state.longMode)
			return this.returnToVirtual8086(ipLow, cs, flags);
		const code = readReturnCode(core, cs);
		const toLong = state.longMode && code.isLong;
		const outer = (cs & 3) > cpl;
		// 64-bit mode pops SS:RSP always (SDM Vol. 3A §6.14.4).
		if (outer || state.mode64) {
			const spLow = operands.peekStack(3 * size, size) | 0;
			const spHigh = size === 8 ? operands.high : 0;
			const ss = operands.peekStack(4 * size, size) & 0xffff;
			const stack = readReturnStack(core, ss, cs & 3, toLong);
			checkTarget(core, code, ipLow, ipHigh);
			commitReturn(core, cs, code, ss, stack);
			this.writeFlags(flags, size, cpl);
			operands.setStack(spLow, spHigh);
			if (outer) core.segmentation.dropInnerSegments(cs & 3);
		} else {
			checkTarget(core, code, ipLow, ipHigh);
			commitReturn(core, cs, code);
			operands.moveStack(3 * size);
			this.writeFlags(flags, size, cpl);
		}
		state.setRip(ipLow, toLong ? ipHigh : 0);
		raisePendingVirtualInterrupt(state);
		return core.leave();
	}

	private writeFlags(flags: number, size: number, cpl: number): void {
		let mask = BASIC;
		if (size >= 4) mask |= Eflags.RF | Eflags.AC | Eflags.ID;
		if (cpl <= this.core.state.iopl) mask |= Eflags.IF;
		if (cpl === 0) mask |= Eflags.IOPL | (size >= 4 ? Eflags.VIF | Eflags.VIP : 0);
		this.core.writeEflags(flags, mask);
	}

	private returnToVirtual8086(ip: number, cs: number, flags: number): Outcome {
		const { core } = this;
		const { state, operands, segmentation } = core;
		const esp = operands.peekStack(12, 4) | 0;
		const selectors = [16, 20, 24, 28, 32].map((at) => operands.peekStack(at, 4) & 0xffff);
		core.writeEflags(flags, -1);
		segmentation.loadRealMode(Segment.cs, cs);
		const order = [Segment.ss, Segment.es, Segment.ds, Segment.fs, Segment.gs] as const;
		order.forEach((segment, index) => {
			segmentation.loadRealMode(segment, selectors[index]!);
		});
		state.cpl = 3;
		state.setGpr32(4, esp);
		state.setRip(ip & 0xffff, 0);
		state.updateMode();
		raisePendingVirtualInterrupt(state);
		return core.leave();
	}
}
