// JMP, CALL and RET far: direct, through call gates, task gates and TSSs (SDM Vol. 2A CALL, JMP, Vol. 2B RET, "Operation"; Vol. 3A §5.8).

import { Fault, Vector } from "../engine/fault.ts";
import type { Helper, Outcome } from "../engine/helper.ts";
import { Record, Segment } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { type Descriptor, SystemType } from "./descriptor.ts";
import type { InterruptDelivery } from "./interrupt-delivery.ts";
import { isCanonical } from "./memory-access.ts";
import { checkTarget, commitReturn, readReturnCode, readReturnStack } from "./privilege-return.ts";
import { selectorFault } from "./segmentation.ts";
import { StackFrame } from "./stack-frame.ts";
import type { TaskSwitch } from "./task-switch.ts";

interface Target {
	readonly selector: number;
	readonly low: number;
	readonly high: number;
}

export class FarTransfer {
	constructor(
		private readonly core: ProcessorCore,
		private readonly tasks: TaskSwitch,
		private readonly interrupts: InterruptDelivery,
	) {}

	readonly jumpFar: Helper = (record, size) => this.jump(record, this.direct(record, size));
	readonly jumpFarMemory: Helper = (record, size) => this.jump(record, this.indirect(record, size));
	readonly callFar: Helper = (record, size) => this.call(record, this.direct(record, size), size);
	readonly callFarMemory: Helper = (record, size) => this.call(record, this.indirect(record, size), size);

	/** ptr16:16 and ptr16:32: the selector lies in the displacement field. */
	private direct(record: number, size: number): Target {
		const { operands, state } = this.core;
		const offset = operands.immediate(record);
		const selector = state.i32[(record + Record.displacement) >> 2]! & 0xffff;
		return { selector, low: size === 2 ? offset & 0xffff : offset, high: 0 };
	}

	/** m16:16, m16:32 and m16:64. */
	private indirect(record: number, size: number): Target {
		const { operands } = this.core;
		const low = operands.readMemory(record, size) | 0;
		const high = size === 8 ? operands.high : 0;
		return { selector: operands.readMemory(record, 2, size), low, high };
	}

	private get flat(): boolean {
		const { state } = this.core;
		return !state.protectedMode || state.virtual8086;
	}

	private jump(record: number, target: Target): Outcome {
		const { core } = this;
		const { state, segmentation } = core;
		const { selector, low, high } = target;
		if (this.flat) {
			if (low >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
			segmentation.loadRealMode(Segment.cs, selector);
			state.setRip(low, 0);
			state.updateMode();
			return core.leave();
		}
		const descriptor = this.readTarget(selector);
		if (!descriptor.isSystem) {
			this.checkDirect(selector, descriptor);
			checkTarget(core, descriptor, low, high);
			this.enter(selector, descriptor, low, high);
			return core.leave();
		}
		this.checkGate(selector, descriptor);
		if (this.isCallGate(descriptor)) {
			const gate = this.readCallGate(selector, descriptor);
			const code = this.readGateCode(gate);
			const privilege = code.isConforming ? code.dpl <= state.cpl : code.dpl === state.cpl;
			if (!privilege) throw selectorFault(Vector.generalProtection, gate.gateSelector);
			const offset = this.gateTarget(gate, code);
			this.enter(gate.gateSelector, code, offset, gate.upper);
			return core.leave();
		}
		return this.switchTask(record, selector, descriptor, "jump");
	}

	private call(record: number, target: Target, size: number): Outcome {
		const { core } = this;
		const { state, segmentation, operands } = core;
		const { selector, low, high } = target;
		const nextLow = operands.nextRip(record);
		const nextHigh = operands.high;
		const pushReturn = (width: number): void => {
			operands.pokeStack(-width, width, state.selector(Segment.cs));
			operands.pokeStack(-2 * width, width, nextLow, nextHigh);
		};
		if (this.flat) {
			if (low >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
			pushReturn(size);
			operands.moveStack(-2 * size);
			segmentation.loadRealMode(Segment.cs, selector);
			state.setRip(low, 0);
			state.updateMode();
			return core.leave();
		}
		const descriptor = this.readTarget(selector);
		if (!descriptor.isSystem) {
			this.checkDirect(selector, descriptor);
			checkTarget(core, descriptor, low, high);
			segmentation.prepare(selector, descriptor);
			pushReturn(size);
			operands.moveStack(-2 * size);
			this.enter(selector, descriptor, low, high);
			return core.leave();
		}
		this.checkGate(selector, descriptor);
		if (!this.isCallGate(descriptor)) return this.switchTask(record, selector, descriptor, "call");
		const gate = this.readCallGate(selector, descriptor);
		const code = this.readGateCode(gate);
		if (code.dpl > state.cpl) throw selectorFault(Vector.generalProtection, gate.gateSelector);
		const width = state.longMode ? 8 : gate.type & 8 ? 4 : 2;
		const offset = this.gateTarget(gate, code);
		if (!code.isConforming && code.dpl < state.cpl) {
			this.callInner(gate, code, width, offset, nextLow, nextHigh);
			return core.leave();
		}
		segmentation.prepare(gate.gateSelector, code);
		pushReturn(width);
		operands.moveStack(-2 * width);
		this.enter(gate.gateSelector, code, offset, gate.upper);
		return core.leave();
	}

	/** A call through a gate to an inner privilege level, on the stack that the TSS gives (SDM Vol. 3A §5.8.5). */
	private callInner(
		gate: Descriptor,
		code: Descriptor,
		width: number,
		offset: number,
		nextLow: number,
		nextHigh: number,
	): void {
		const { core, interrupts } = this;
		const { state, memory, segmentation, operands } = core;
		const cpl = code.dpl;
		const oldLow = state.gpr32(4);
		const oldHigh = Number(BigInt.asIntN(32, state.gpr64(4) >> 32n));
		let frame: StackFrame;
		let stack: Descriptor | undefined;
		let selector = cpl;
		if (state.longMode) {
			frame = new StackFrame(memory, true, 0, 0, 0, cpl, 0);
			[frame.low, frame.high] = interrupts.innerStack64(cpl, 0);
			if (!isCanonical(frame.high)) throw new Fault(Vector.stackFault, 0);
		} else {
			const pointer = interrupts.innerStack(cpl);
			selector = pointer.selector;
			if ((selector & ~3) === 0) throw new Fault(Vector.invalidTss, 0);
			stack = segmentation.readStack(selector, cpl, Vector.invalidTss);
			frame = new StackFrame(memory, false, stack.access, stack.baseLow, stack.limit, cpl, selector & 0xfffc);
			frame.low = pointer.esp;
		}
		const parameters: number[] = [];
		if (!state.longMode)
			for (let index = 0; index < gate.gateParameters; index++)
				parameters.push(operands.peekStack(index * width, width));
		frame.push(width, state.selector(Segment.ss));
		frame.push(width, oldLow, oldHigh);
		for (const parameter of parameters.reverse()) frame.push(width, parameter);
		frame.push(width, state.selector(Segment.cs));
		frame.push(width, nextLow, nextHigh);
		segmentation.prepare(gate.gateSelector, code);
		segmentation.prepare(selector, stack);
		state.cpl = cpl;
		if (stack) segmentation.commit(Segment.ss, selector, stack);
		else segmentation.commitNullStack(selector);
		state.i32[STACK_POINTER] = frame.low;
		state.i32[STACK_POINTER + 1] = frame.high;
		this.enter(gate.gateSelector, code, offset, gate.upper);
	}

	/** RET far; the immediate is the number of bytes to release. */
	readonly returnFar: Helper = (record, size) => {
		const { core } = this;
		const { state, operands, segmentation } = core;
		const release = operands.immediate(record) & 0xffff;
		const low = operands.peekStack(0, size) | 0;
		const high = size === 8 ? operands.high : 0;
		const selector = operands.peekStack(size, size) & 0xffff;
		if (this.flat) {
			if (low >>> 0 > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
			operands.moveStack(2 * size + release);
			segmentation.loadRealMode(Segment.cs, selector);
			state.setRip(low, 0);
			state.updateMode();
			return core.leave();
		}
		const code = readReturnCode(core, selector);
		const toLong = state.longMode && code.isLong;
		if ((selector & 3) > state.cpl) {
			const spLow = operands.peekStack(2 * size + release, size) | 0;
			const spHigh = size === 8 ? operands.high : 0;
			const ss = operands.peekStack(3 * size + release, size) & 0xffff;
			const stack = readReturnStack(core, ss, selector & 3, toLong);
			checkTarget(core, code, low, high);
			commitReturn(core, selector, code, ss, stack);
			operands.setStack(spLow, spHigh);
			operands.moveStack(release);
			segmentation.dropInnerSegments(selector & 3);
		} else {
			checkTarget(core, code, low, high);
			commitReturn(core, selector, code);
			operands.moveStack(2 * size + release);
		}
		state.setRip(low, toLong ? high : 0);
		return core.leave();
	};

	private readTarget(selector: number): Descriptor {
		if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
		return this.core.segmentation.read(selector);
	}

	/** A code segment that is named directly: no change of privilege (SDM Vol. 3A §5.8.1). */
	private checkDirect(selector: number, code: Descriptor): void {
		const { cpl, longMode } = this.core.state;
		const allowed = code.isConforming ? code.dpl <= cpl : (selector & 3) <= cpl && code.dpl === cpl;
		if (!code.isCode || !allowed || (longMode && code.isLong && code.isBig))
			throw selectorFault(Vector.generalProtection, selector);
		if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
	}

	/** Type and privilege of a gate or TSS that is named by the instruction. */
	private checkGate(selector: number, descriptor: Descriptor): void {
		const { cpl, longMode } = this.core.state;
		const { type } = descriptor;
		const known = longMode
			? type === SystemType.callGate
			: type === SystemType.callGate ||
				type === SystemType.callGate16 ||
				type === SystemType.taskGate ||
				type === SystemType.availableTss ||
				type === SystemType.availableTss16;
		if (!known || descriptor.dpl < cpl || (selector & 3) > descriptor.dpl)
			throw selectorFault(Vector.generalProtection, selector);
		if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
	}

	private isCallGate(descriptor: Descriptor): boolean {
		return descriptor.type === SystemType.callGate || descriptor.type === SystemType.callGate16;
	}

	private readCallGate(selector: number, descriptor: Descriptor): Descriptor {
		return this.core.segmentation.readUpper(selector, descriptor);
	}

	private readGateCode(gate: Descriptor): Descriptor {
		const selector = gate.gateSelector;
		if ((selector & ~3) === 0) throw new Fault(Vector.generalProtection, 0);
		const code = this.core.segmentation.read(selector);
		if (!code.isCode || (this.core.state.longMode && (!code.isLong || code.isBig)))
			throw selectorFault(Vector.generalProtection, selector);
		if (!code.present) throw selectorFault(Vector.segmentNotPresent, selector);
		return code;
	}

	private gateTarget(gate: Descriptor, code: Descriptor): number {
		const offset = gate.type & 8 ? gate.gateOffset | 0 : gate.gateOffset & 0xffff;
		checkTarget(this.core, code, offset, gate.upper);
		return offset;
	}

	/** Loads CS with RPL = CPL, and RIP. */
	private enter(selector: number, code: Descriptor, low: number, high: number): void {
		const { state, segmentation } = this.core;
		segmentation.commit(Segment.cs, (selector & ~3) | state.cpl, code);
		state.setRip(low, state.longMode && code.isLong ? high : 0);
		state.updateMode();
	}

	private switchTask(record: number, selector: number, descriptor: Descriptor, source: "jump" | "call"): Outcome {
		const tss = descriptor.type === SystemType.taskGate ? descriptor.gateSelector : selector;
		this.tasks.switchTo(tss, this.tasks.findAvailable(tss), source, this.core.operands.nextRip(record));
		return this.core.leave();
	}
}

/** Index of RSP's low word. */
const STACK_POINTER = 4 * 2;
