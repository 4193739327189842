import type { Processor } from "../../emulator/machine/virtual-machine.ts";
import type { Program } from "../program/program.ts";
import { type FrameRegisters, type ReadMemory, type RegisterModel, registerModel } from "../symbols/index.ts";
import type { Activation } from "./frame.ts";
import { findTrapFrame } from "./trap-frame.ts";

/** A stack deeper than this is cut: a guest can build one without end. */
const DEEPEST = 512;

/** What lies between an activation and the one that it returns to. */
export type Entry = "call" | "interrupt";

export interface Caller {
	readonly activation: Activation;
	readonly by: Entry;
}

/** Unwinds one processor's stack, as far as it is asked. */
export class StackWalker {
	private readonly found: { activation: Activation; by: Entry | undefined }[] = [];
	private isComplete = false;

	constructor(
		private readonly processor: Processor,
		private readonly program: Program,
	) {}

	/** The activation at a level with how it was entered; undefined past the end of the stack. */
	at(level: number): { readonly activation: Activation; readonly by: Entry | undefined } | undefined {
		while (this.found.length <= level && !this.isComplete) this.extend();
		return this.found[level];
	}

	/** The caller of the innermost activation; undefined when it cannot be told. */
	caller(): { readonly activation: Activation; readonly by: Entry | undefined } | undefined {
		return this.at(1);
	}

	private extend(): void {
		const last = this.found.at(-1);
		if (!last) {
			const activation = topActivation(this.processor);
			// In 16-bit code neither call frame information nor a frame pointer convention holds.
			if (this.processor.codeSize() === 16) this.isComplete = true;
			this.found.push({ activation, by: undefined });
			return;
		}
		if (this.found.length >= DEEPEST) {
			this.isComplete = true;
			return;
		}
		const caller = this.callerOf(last.activation);
		if (!caller) {
			this.isComplete = true;
			return;
		}
		this.found[this.found.length - 1] = { ...last, activation: { ...last.activation, cfa: caller.cfa } };
		this.found.push({ activation: caller.activation, by: caller.by });
	}

	private readonly readMemory: ReadMemory = (value, length) =>
		this.processor.readMemory({ space: "lin", value }, length);

	private callerOf(activation: Activation): { activation: Activation; by: Entry; cfa: bigint } | undefined {
		const { model, isCaller } = activation;
		// Translated code uses the stack as the guest code does that it was made from: that has the rules.
		const guestPc = this.program.guestAddress(activation.pc);
		const registers = new Map(activation.registers).set(model.returnAddress, guestPc);
		if (!this.hasUnwindRules({ ...activation, pc: guestPc, registers })) {
			const trap = this.trapAbove(activation);
			if (trap) return trap;
		}
		const caller = this.program.ask((table) => table.unwind(registers, model, this.readMemory, isCaller), undefined);
		if (!caller || caller.returnAddress === undefined) return undefined;
		// The table is consulted for code alone; a stack that does not rise would never end.
		const before = registers.get(model.stackPointer);
		if (before !== undefined && caller.cfa <= before && !caller.isSignalFrame) return undefined;
		return {
			by: caller.isSignalFrame ? "interrupt" : "call",
			cfa: caller.cfa,
			activation: {
				level: activation.level + 1,
				pc: caller.returnAddress,
				isCaller: !caller.isSignalFrame,
				registers: caller.registers,
				model,
				cfa: undefined,
			},
		};
	}

	/** Compiled code says how it is unwound; assembly often does not. */
	private hasUnwindRules({ pc, isCaller, registers, model }: Activation): boolean {
		return this.program.ask((table) => {
			const file = table.fileAt(isCaller ? pc - 1n : pc);
			return file?.registers === model && file.unwind(registers, this.readMemory, isCaller) !== undefined;
		}, false);
	}

	/** The interrupted activation, when this one is an interrupt's entry code. */
	private trapAbove(activation: Activation): { activation: Activation; by: Entry; cfa: bigint } | undefined {
		const { registers, model } = activation;
		const stackPointer = registers.get(model.stackPointer);
		if (stackPointer === undefined) return undefined;
		const framePointer = registers.get(model.framePointer);
		const trap = findTrapFrame(this.processor, stackPointer, framePointer, (address) =>
			this.program.ask((table) => table.isCode(address), false),
		);
		if (!trap) return undefined;
		const known = new Map<number, bigint>([
			[model.returnAddress, trap.instructionPointer],
			[model.stackPointer, trap.stackPointer],
		]);
		// Entry code keeps the frame pointer until it calls compiled code, which restores it.
		if (framePointer !== undefined) known.set(model.framePointer, framePointer);
		return {
			by: "interrupt",
			cfa: trap.address,
			activation: {
				level: activation.level + 1,
				pc: trap.instructionPointer,
				isCaller: false,
				registers: known,
				model,
				cfa: undefined,
			},
		};
	}
}

/** The processor's own registers by DWARF number; the pc is the linear one. */
function topActivation(processor: Processor): Activation {
	const model = registerModel(processor.codeSize() === 64 ? "x86-64" : "i386");
	const pc = processor.linearInstructionPointer();
	const registers = readRegisters(processor, model, pc);
	return { level: 0, pc, isCaller: false, registers, model, cfa: undefined };
}

function readRegisters(processor: Processor, model: RegisterModel, pc: bigint): FrameRegisters {
	const registers = new Map<number, bigint>();
	model.names.forEach((name, number) => {
		const value = number === model.returnAddress ? pc : processor.register(name);
		if (value !== undefined) registers.set(number, value);
	});
	return registers;
}
