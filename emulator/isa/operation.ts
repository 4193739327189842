// What the description of an instruction sees. A row of isa/ is a function of an Operation: it states the instruction's
// meaning once, in terms of operands, flags, stack and control flow. The interpreter binds operands to the fields of a
// decoded record; a compiler can bind them to constants. A row must do every access that can fault before it changes
// any register, and must not change memory before the last access that can fault.

import type { FunctionBuilder } from "./emit/function-builder.ts";
import type { Routine } from "./emit/routine.ts";
import { Value, ValueType } from "./emit/value.ts";
import { SegmentSlot, State } from "./state.ts";

export type OperandSize = 1 | 2 | 4 | 8 | 16;

/** How an operand of a row is given; parsed from the name of the iced-x86 Code. */
export interface OperandForm {
	/** `rm`: register or memory; `gpr`: register in the encoding; `fixed`: a given register; `imm`; `mem`: memory only; others as named. */
	readonly kind:
		| "gpr"
		| "rm"
		| "mem"
		| "imm"
		| "fixed"
		| "one"
		| "xmm"
		| "xmmm"
		| "mm"
		| "mmm"
		| "st"
		| "sreg"
		| "cr"
		| "dr"
		| "relative"
		| "moffs"
		| "pointer";
	/** Bytes; 0 when the size has no meaning. */
	readonly size: number;
	/** For `fixed`: index of the general register. */
	readonly fixed?: number;
}

export const Gpr = { rax: 0, rcx: 1, rdx: 2, rbx: 3, rsp: 4, rbp: 5, rsi: 6, rdi: 7 } as const;

const GENERAL_PROTECTION = 13;

/** The integer type that holds an operand of this size. */
export function wordType(size: number): ValueType {
	return size === 8 ? ValueType.i64 : ValueType.i32;
}

/** Instructions whose flags follow from operands and result. */
export type FlagsKind = "add" | "addWithCarry" | "subtract" | "subtractWithBorrow" | "logic";

/** A memory operand whose address has been checked: where its bytes are, and how a write is finished. */
export interface Place {
	/** i32: address in WebAssembly memory (RAM itself, or State.exchange when the access took the slow path). */
	readonly address: Value;
	/** Finishes a write: nothing when the bytes are RAM, else hands State.exchange to the slow path (which can fault). */
	commit(): void;
}

export abstract class Operation {
	constructor(
		readonly f: FunctionBuilder,
		readonly operands: readonly OperandForm[],
		/** True when the r/m operand is in memory. */
		readonly memoryForm: boolean,
	) {}

	// ---- operands ----

	/** Size of operand n in bytes. */
	size(operand = 0): OperandSize {
		return this.operands[operand]!.size as OperandSize;
	}

	/** True when operand n is in memory in this form of the instruction. */
	inMemory(operand: number): boolean {
		const kind = this.operands[operand]!.kind;
		return (
			kind === "mem" || kind === "moffs" || ((kind === "rm" || kind === "xmmm" || kind === "mmm") && this.memoryForm)
		);
	}

	/** i32: byte offset in the state of the register of operand n (general registers). */
	abstract registerAddress(operand: number): Value;
	/** i32: number of the register of operand n (XMM, MM, ST, segment, control, debug registers). */
	abstract registerNumber(operand: number): Value;
	/** The immediate, sign-extended to i64. */
	abstract immediate64(): Value;
	/** i32: the second immediate (ENTER). */
	abstract secondImmediate(): Value;
	/** i64: the offset of the memory operand in its segment, masked to the address size. */
	abstract effectiveAddress(): Value;
	/** i32: address in the state of the segment slot of the memory operand. */
	abstract segment(): Value;
	/** i32: RecordFlags of the instruction. */
	abstract prefixes(): Value;
	/** i32: shift that makes the mask of the address size (48, 32, 0). */
	abstract addressShift(): Value;

	/** The immediate cut to `size` bytes (i32 up to 4 bytes, zero-extended below 4). */
	immediate(size: number): Value {
		const value = this.immediate64();
		if (size === 8) return value;
		return size === 4 ? value.wrap() : value.wrap().and(size === 1 ? 0xff : 0xffff);
	}

	/** A general register by index, zero-extended to its word type. */
	gpr(index: number, size: number): Value {
		return this.f.load(wordType(size), size, Value.i32(0), State.gpr + index * 8);
	}

	/** Writes a general register; a 32-bit write clears the upper half (SDM Vol. 1 §3.4.1.1). */
	setGpr(index: number, size: number, value: Value): void {
		if (size === 4) this.f.store(8, Value.i32(0), value.toI64U(), State.gpr + index * 8);
		else this.f.store(size, Value.i32(0), value, State.gpr + index * 8);
	}

	/** Reads operand n, zero-extended to its word type. */
	read(operand: number): Value {
		const form = this.operands[operand]!;
		const type = wordType(form.size);
		if (this.inMemory(operand)) {
			const place = this.readPlace(form.size);
			return this.f.let(this.f.load(type, form.size, place.address));
		}
		switch (form.kind) {
			case "gpr":
			case "rm":
				return this.f.load(type, form.size, this.registerAddress(operand));
			case "fixed":
				return this.gpr(form.fixed!, form.size);
			case "imm":
				return this.immediate(form.size);
			case "one":
				return Value.i32(1);
			default:
				throw new Error(`read: an operand of kind ${form.kind}`);
		}
	}

	/** Reads an immediate operand at the size of another operand: sign-extended, as the encodings with a short immediate have it. */
	readAs(operand: number, size: number): Value {
		if (this.operands[operand]!.kind === "imm") return this.immediate(size);
		return this.read(operand);
	}

	/** Writes operand n; for a memory operand this can fault, so nothing may have been changed before. */
	write(operand: number, value: Value): void {
		const form = this.operands[operand]!;
		if (this.inMemory(operand)) {
			const kept = this.f.let(value);
			const place = this.writePlace(form.size);
			this.f.store(form.size, place.address, kept);
			place.commit();
		} else if (form.kind === "fixed") this.setGpr(form.fixed!, form.size, value);
		else this.writeRegister(operand, form.size, value);
	}

	/** Writes the general register of operand n with the given size. */
	writeRegister(operand: number, size: number, value: Value): void {
		if (size === 4) this.f.store(8, this.registerAddress(operand), value.toI64U(), State.gpr);
		else this.f.store(size, this.registerAddress(operand), value, State.gpr);
	}

	/** Read-modify-write of operand n. `change` gets the old value (usable many times) and returns the new one. */
	modify(operand: number, change: (old: Value) => Value): void {
		const form = this.operands[operand]!;
		const type = wordType(form.size);
		if (this.inMemory(operand)) {
			const place = this.modifyPlace(form.size);
			const old = this.f.let(this.f.load(type, form.size, place.address));
			const next = this.f.let(change(old));
			this.f.store(form.size, place.address, next);
			place.commit();
		} else {
			const old = this.f.let(this.read(operand));
			const next = change(old);
			this.write(operand, next);
		}
	}

	// ---- memory ----

	/** The explicit memory operand for reading `size` bytes. */
	abstract readPlace(size: number): Place;
	/** The explicit memory operand for writing (write access checked where it lies in RAM). */
	abstract writePlace(size: number): Place;
	/** The explicit memory operand for a read-modify-write: its bytes are there, and it is known to be writable. */
	abstract modifyPlace(size: number): Place;
	/** As the three above, at an offset (i64, masked by the caller) in the segment whose slot is at `slot` (i32). */
	abstract placeAt(access: "read" | "write" | "modify", size: number, slot: Value, offset: Value): Place;

	/**
	 * i32: address of the explicit memory operand, when its bytes lie in one page that can be accessed at once; else `otherwise` runs,
	 * which has to leave the row.
	 */
	abstract directPlace(access: "read" | "write", size: number, otherwise: () => void): Value;

	// ---- stack (SDM Vol. 1 §6.2) ----

	/** i64: a stack-pointer value cut to the stack's address size. */
	maskStack(value: Value): Value {
		return value.and(Value.i64(-1).shrU(this.f.load(ValueType.i32, 4, Value.i32(0), State.stackMaskShift).extendU()));
	}

	/** i64: the stack pointer in its address size. */
	stackPointer(): Value {
		return this.maskStack(this.gpr(Gpr.rsp, 8));
	}

	/** Sets SP, ESP or RSP by the stack's address size from an i64. */
	setStackPointer(value: Value): void {
		const shift = this.f.load(ValueType.i32, 4, Value.i32(0), State.stackMaskShift);
		const kept = this.f.let(value);
		this.f.if(
			shift.eq(48),
			() => this.f.store(2, Value.i32(0), kept, State.gpr + Gpr.rsp * 8),
			() => this.f.store(8, Value.i32(0), this.maskStack(kept), State.gpr + Gpr.rsp * 8),
		);
	}

	stackSlot(): Value {
		return Value.i32(State.segments + 2 * SegmentSlot.size);
	}

	/** Pushes `value` (of the word type of `size`), of which `written` bytes are stored; can fault before anything changes. */
	push(size: number, value: Value, written = size): void {
		const kept = this.f.let(value);
		const pointer = this.f.let(this.maskStack(this.gpr(Gpr.rsp, 8).sub(size)));
		const place = this.placeAt("write", written, this.stackSlot(), pointer);
		this.f.store(written, place.address, kept);
		place.commit();
		this.setStackPointer(pointer);
	}

	/** Reads the value `offset` bytes above the top of the stack without popping it. */
	peekStack(size: number, offset = 0): Value {
		const pointer = this.f.let(this.maskStack(this.gpr(Gpr.rsp, 8).add(offset)));
		const place = this.placeAt("read", size, this.stackSlot(), pointer);
		return this.f.let(this.f.load(wordType(size), size, place.address));
	}

	/** Moves the stack pointer up by a number of bytes (i64 or plain number). */
	releaseStack(bytes: Value | number): void {
		this.setStackPointer(this.gpr(Gpr.rsp, 8).add(bytes));
	}

	// ---- control flow ----

	/** i64: RIP of the instruction itself. */
	abstract thisInstruction(): Value;
	/** i64: RIP of the next instruction. */
	abstract nextInstruction(): Value;
	/** Goes to RIP = target (i64, not yet cut to the operand size); ends the block. Cutting to 16 or 32 bits is by `size`. */
	abstract jumpTo(target: Value, size: number): void;
	/** Goes to the relative target in the immediate; ends the block. */
	abstract jumpRelative(size: number): void;
	/** What checkTarget() does, for the relative target in the immediate. */
	abstract checkRelativeTarget(size: number): void;

	/**
	 * Raises #GP(0) for a target (i64, as for jumpTo) that is not canonical, or beyond the limit of CS. To be done before the
	 * branch changes anything (SDM Vol. 2, JMP, CALL, RET, "Exceptions").
	 */
	checkTarget(target: Value, size: number): void {
		let outside: Value;
		if (size === 8) outside = target.shl(16).shrS(16).ne(target);
		else {
			const offset = size === 4 ? target.wrap() : target.wrap().and(0xffff);
			outside = offset.gtU(this.state32(State.segments + SegmentSlot.size + SegmentSlot.limit));
		}
		this.f.if(outside, () => this.raise(GENERAL_PROTECTION));
	}

	/** Goes on with the instruction after this one, which starts another block. */
	abstract fallThrough(): void;

	// ---- everything else ----

	/** Calls the TypeScript helper of that name. After Outcome.next the row goes on behind the call; otherwise it is left. */
	abstract helper(name: string, parameter?: number): void;
	/** Has the TypeScript helper do the whole instruction, of which nothing has been done yet. Leaves the row. */
	abstract helperInstead(name: string, parameter: number): void;
	/** Calls a routine of generated code now. When it has done nothing, `otherwise` runs, which has to leave the row. */
	abstract call(routine: Routine, args: readonly Value[], otherwise: () => void): readonly Value[];
	/** Raises an exception through the helper "raise". Leaves the row. */
	abstract raise(vector: number): void;
	/** Leaves between two iterations of a repeated instruction: State.rip becomes the instruction itself, which has retired as often as it went round. */
	abstract interruptedIteration(): void;

	/**
	 * What set the arithmetic flags, told by flags.ts. A compiler returns true and works the flags out when somebody asks; else they are
	 * stored at once.
	 */
	deferFlags(_kind: FlagsKind, _size: number, _result: Value, _a?: Value, _b?: Value): boolean {
		return false;
	}

	/** Sets both words of the lazy flags (flags.ts). */
	setFlags(result: Value, aux: Value): void {
		this.setState64(State.flagsResult, result);
		this.setState32(State.flagsAux, aux);
	}

	/** i32, 0 or 1: the condition with this (even) number, where it can be told from what set the flags. */
	knownCondition(_code: number): Value | undefined {
		return undefined;
	}

	/** The state word at `offset` as i32. */
	state32(offset: number): Value {
		return this.f.load(ValueType.i32, 4, Value.i32(0), offset);
	}

	setState32(offset: number, value: Value): void {
		this.f.store(4, Value.i32(0), value, offset);
	}

	state64(offset: number): Value {
		return this.f.load(ValueType.i64, 8, Value.i32(0), offset);
	}

	setState64(offset: number, value: Value): void {
		this.f.store(8, Value.i32(0), value, offset);
	}
}
