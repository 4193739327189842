import type { Processor } from "../../emulator/machine/virtual-machine.ts";
import type { FrameContext, FrameRegisters, RegisterModel, VirtualFrame } from "../symbols/index.ts";

/** One entry of a stack trace. */
export interface Frame {
	/** DAP id; new at every stop. */
	readonly id: number;
	readonly threadId: number;
	readonly processor: Processor;
	/** Code that runs in the frame; several frames share it where functions were inlined. */
	readonly activation: Activation;
	/** Undefined for code without symbols. */
	readonly virtual: VirtualFrame | undefined;
	/** Not a function: a line between two frames that says how the one was entered from the other. */
	readonly label: string | undefined;
}

/** A stretch of stack that one machine-level call, interrupt or the top of the stack made. */
export interface Activation {
	/** 0 is the one that runs. */
	readonly level: number;
	readonly pc: bigint;
	/** The pc is a return address: names are looked up one byte before it. */
	readonly isCaller: boolean;
	/** By DWARF number; what is not known there is missing. */
	readonly registers: FrameRegisters;
	readonly model: RegisterModel;
	/** The canonical frame address, when the caller was found. */
	readonly cfa: bigint | undefined;
}

/** The address that names and lines of an activation belong to. */
export function lookupAddress(activation: Activation): bigint {
	return activation.isCaller ? activation.pc - 1n : activation.pc;
}

/** What the locations of variables may ask of the frame. */
export function frameContext(frame: Frame): FrameContext {
	const { activation, processor } = frame;
	return {
		pc: lookupAddress(activation),
		// The running frame's registers are the processor's, which may have been set since it was unwound.
		readRegister: (register) => {
			const name =
				activation.level === 0 && register !== activation.model.returnAddress
					? activation.model.names[register]
					: undefined;
			return name === undefined ? activation.registers.get(register) : processor.register(name);
		},
		readMemory: (value, length) => processor.readMemory({ space: "lin", value }, length),
		cfa: activation.cfa,
	};
}
