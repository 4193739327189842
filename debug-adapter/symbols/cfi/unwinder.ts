// Reference: DWARF 5 section 6.4 "Call Frame Information".
import { evaluateLocation } from "../dwarf/expression-machine.ts";
import type { LocationContext } from "../dwarf/location.ts";
import { type RegisterRule, unwindRow } from "./call-frame-instructions.ts";
import type { FrameDescription } from "./frame-table.ts";
import type { RegisterModel } from "./registers.ts";

/** Register values of one frame by DWARF number. A register that is missing is not known there. */
export type FrameRegisters = ReadonlyMap<number, bigint>;

/** Reads guest-linear memory without side effects; undefined when it cannot. */
export type ReadMemory = (address: bigint, length: number) => Uint8Array | undefined;

export interface CallerFrame {
	/** The canonical frame address of the frame that was unwound. */
	readonly cfa: bigint;
	/** The caller's registers, its pc under the return address column. */
	readonly registers: FrameRegisters;
	/** The caller's pc; undefined where the stack ends (the return address is marked undefined). */
	readonly returnAddress: bigint | undefined;
	/** The unwound frame was entered by an interrupt or signal: look the return address up as it is, not minus 1. */
	readonly isSignalFrame: boolean;
	/** How the frame was found. */
	readonly by: "call-frame-information" | "frame-pointer";
}

/**
 * The caller of the frame that `description` covers. `registers` are the frame's own, `pc` its pc as linked and
 * `relocate` adds the load bias for expressions that name addresses. Undefined when a register or memory that the
 * rules need is missing. Throws `SymbolError` for malformed rules.
 */
export function unwindByCallFrameInformation(
	description: FrameDescription,
	pc: bigint,
	registers: FrameRegisters,
	model: RegisterModel,
	readMemory: ReadMemory,
	relocate: (address: bigint) => bigint,
	what: string,
): CallerFrame | undefined {
	const { addressSize, returnAddressColumn, isSignalFrame } = description.common;
	const row = unwindRow(description, pc, what);
	const bits = addressSize * 8;
	const scope = { addressSize, offsetSize: 4, version: 4, what };
	const context: LocationContext = { readRegister: (register) => registers.get(register), readMemory, relocate };

	/** What an expression of the table computes: an address. */
	const compute = (expression: Uint8Array, initial: bigint | undefined): bigint | undefined => {
		const location = evaluateLocation(expression, scope, context, initial);
		if (location.kind === "memory") return location.address;
		if (location.kind === "value") return location.value;
		return undefined;
	};
	const load = (address: bigint): bigint | undefined =>
		readPointer(readMemory, BigInt.asUintN(bits, address), addressSize);

	let cfa: bigint | undefined;
	if (row.cfa?.kind === "register") {
		const base = registers.get(row.cfa.register);
		if (base !== undefined) cfa = BigInt.asUintN(bits, base + row.cfa.offset);
	} else if (row.cfa) cfa = compute(row.cfa.expression, undefined);
	if (cfa === undefined) return undefined;
	const frame = cfa;

	const recover = (register: number, rule: RegisterRule): bigint | undefined => {
		switch (rule.kind) {
			case "undefined":
				return undefined;
			case "same":
				return registers.get(register);
			case "offset":
				return load(frame + rule.offset);
			case "value-offset":
				return BigInt.asUintN(bits, frame + rule.offset);
			case "register":
				return registers.get(rule.register);
			case "expression": {
				const address = compute(rule.expression, frame);
				return address === undefined ? undefined : load(address);
			}
			case "value-expression":
				return compute(rule.expression, frame);
		}
	};

	const caller = new Map<number, bigint>();
	for (const register of model.preserved) {
		const value = registers.get(register);
		if (value !== undefined) caller.set(register, value);
	}
	// By the definition of the CFA on x86: the stack pointer before the call.
	caller.set(model.stackPointer, frame);
	for (const [register, rule] of row.registers) {
		const value = recover(register, rule);
		if (value === undefined) caller.delete(register);
		else caller.set(register, value);
	}
	const rule = row.registers.get(returnAddressColumn);
	const returnAddress = caller.get(returnAddressColumn);
	if (rule && rule.kind !== "undefined" && returnAddress === undefined) return undefined;
	if (returnAddress !== undefined) caller.set(model.returnAddress, returnAddress);
	return { cfa: frame, registers: caller, returnAddress, isSignalFrame, by: "call-frame-information" };
}

/**
 * The caller by the chain of frame pointers, for code without call frame information: the frame pointer points at the
 * caller's, and the return address lies above it. `atEntry` says that the pc is at the function's first instruction
 * ("push %ebp"), where the return address is on top of the stack. Undefined when memory cannot be read or the chain
 * does not lead up the stack.
 */
export function unwindByFramePointer(
	registers: FrameRegisters,
	model: RegisterModel,
	readMemory: ReadMemory,
	atEntry = false,
): CallerFrame | undefined {
	const stackPointer = registers.get(model.stackPointer);
	const framePointer = registers.get(model.framePointer);
	if (stackPointer === undefined) return undefined;
	const size = BigInt(model.addressSize);
	const caller = new Map<number, bigint>();
	let returnAt: bigint;
	if (atEntry) {
		returnAt = stackPointer;
		if (framePointer !== undefined) caller.set(model.framePointer, framePointer);
	} else {
		if (framePointer === undefined || framePointer < stackPointer || framePointer % size !== 0n) return undefined;
		const saved = readPointer(readMemory, framePointer, model.addressSize);
		if (saved === undefined) return undefined;
		// A frame pointer that does not rise ends the chain after this caller: 0 at the end, else not a chain.
		if (saved !== 0n && saved <= framePointer) return undefined;
		caller.set(model.framePointer, saved);
		returnAt = framePointer + size;
	}
	const returnAddress = readPointer(readMemory, returnAt, model.addressSize);
	if (returnAddress === undefined) return undefined;
	const cfa = returnAt + size;
	caller.set(model.stackPointer, cfa);
	caller.set(model.returnAddress, returnAddress);
	return { cfa, registers: caller, returnAddress, isSignalFrame: false, by: "frame-pointer" };
}

/**
 * Whether the stack ends with this frame: there is no caller, its pc is 0 or not code, or the CFA does not rise
 * (stacks grow down; only a frame entered by an interrupt may sit on another stack).
 */
export function isEndOfStack(
	caller: CallerFrame | undefined,
	calleeStackPointer: bigint | undefined,
	isCode: (address: bigint) => boolean,
): boolean {
	if (!caller || caller.returnAddress === undefined || caller.returnAddress === 0n) return true;
	if (!isCode(caller.returnAddress)) return true;
	if (caller.isSignalFrame || calleeStackPointer === undefined) return false;
	return caller.cfa <= calleeStackPointer;
}

function readPointer(readMemory: ReadMemory, address: bigint, size: number): bigint | undefined {
	const bytes = readMemory(address, size);
	if (!bytes || bytes.length < size) return undefined;
	let value = 0n;
	for (let i = size - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
	return value;
}
