// The words of the x87 state as generated code reads and changes them (SDM Vol. 1 §8.1). A routine does what goes well
// with all its exceptions masked; its last result is negative when it has changed nothing and the helper has to do it.

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { State } from "../../state.ts";

const { i32, i64 } = ValueType;

/** Status word (SDM Vol. 1 §8.1.3). */
export const Status = {
	denormal: 2,
	underflow: 0x10,
	precision: 0x20,
	errorSummary: 0x80,
	c0: 0x100,
	c1: 0x200,
	c2: 0x400,
	c3: 0x4000,
	top: 0x3800,
	topUnit: 0x800,
	/** ES and B. */
	pending: 0x8080,
	exceptions: 0x3f,
} as const;

/** Control word (SDM Vol. 1 §8.1.5). */
export const Control = {
	/** Rounding: 0 to nearest, and these. */
	rounding: 0xc00,
	down: 0x400,
	up: 0x800,
	/** Precision: 24 bits when neither is set, 53, 64. */
	precision53: 0x200,
	precision64: 0x100,
} as const;

export const SIGN = 0x8000;
export const EXPONENT = 0x7fff;
export const BIAS = 16383;
export const INTEGER_BIT = 1n << 63n;
/** In the upper word of an operand from memory, above sign and exponent: it was denormal there. */
export const WAS_DENORMAL = 0x10000;

/** A last result of a routine: nothing has been changed, the helper has to do it. */
export const NOT_DONE = Value.i32(-1);
export const DONE = Value.i32(0);

const HERE = Value.i32(0);

export function statusWord(f: FunctionBuilder): Value {
	return f.let(f.load(i32, 4, HERE, State.x87Status));
}

export function controlWord(f: FunctionBuilder): Value {
	return f.let(f.load(i32, 4, HERE, State.x87Control));
}

/** The abridged tag word: bit n set = Rn is not empty. */
export function tagWord(f: FunctionBuilder): Value {
	return f.let(f.load(i32, 4, HERE, State.x87Tag));
}

/** i32: number of the physical register that is ST(index). */
export function registerNumber(status: Value, index: Value | number): Value {
	return status.shrU(11).add(index).and(7);
}

/** An 80-bit value: its significand (i64), and sign and exponent, and WAS_DENORMAL (i32). */
export interface Parts {
	readonly low: Value;
	readonly high: Value;
}

/** The value of the physical register. */
export function readRegister(f: FunctionBuilder, register: Value): Parts {
	const slot = f.let(register.shl(4));
	return {
		low: f.let(f.load(i64, 8, slot, State.x87)),
		high: f.let(f.load(i32, 2, slot, State.x87 + 8)),
	};
}

export function writeRegister(f: FunctionBuilder, register: Value, low: Value, high: Value): void {
	const slot = f.let(register.shl(4));
	f.store(8, slot, low, State.x87);
	f.store(2, slot, high, State.x87 + 8);
}

/** i32, not 0: an exception is pending, or would be with these flags, as it is not masked. */
export function unmasked(status: Value, control: Value): Value {
	return status.and(control.not().and(Status.exceptions).or(Status.pending));
}

/** The status word with C1 and flags as given, after `pops` (i32) pops. */
export function statusAfter(status: Value, flags: Value, pops: Value): Value {
	const top = status.add(pops.shl(11)).and(Status.top);
	return status
		.and(~(Status.c1 | Status.top))
		.or(flags)
		.or(top);
}

export function storeStatus(f: FunctionBuilder, status: Value): void {
	f.store(4, HERE, status, State.x87Status);
}

export function storeTags(f: FunctionBuilder, tags: Value): void {
	f.store(4, HERE, tags, State.x87Tag);
}

/** Marks ST(0) empty when `pops` (i32) is 1, ST(1) too when it is 2. `status` is the word before. */
export function popTags(f: FunctionBuilder, status: Value, pops: Value): void {
	f.if(pops, () => {
		const top = f.let(registerNumber(status, 0));
		const first = Value.i32(1).shl(top);
		const second = pops.shrU(1).shl(top.add(1).and(7));
		storeTags(f, tagWord(f).and(first.or(second).not()));
	});
}

/** i32: the exponent is that of a number with an integer bit, not 0 and not 7FFFH. */
export function isOrdinary(exponent: Value): Value {
	return exponent.sub(1).ltU(EXPONENT - 1);
}
