// Rounding of a 128-bit significand to the precision of the control word, and the write of a result (SDM Vol. 1 §4.8.4,
// §8.1.5, Table 4-8).

import type { FunctionBuilder, Variable } from "../../emit/function-builder.ts";
import { Value, ValueType } from "../../emit/value.ts";
import {
	Control,
	controlWord,
	DONE,
	EXPONENT,
	INTEGER_BIT,
	NOT_DONE,
	popTags,
	Status,
	statusAfter,
	statusWord,
	storeStatus,
	unmasked,
	writeRegister,
} from "./words.ts";

const { i32, i64 } = ValueType;
/** One half, in the 64 bits that are cut off. */
const HALF = Value.i64(1n << 63n);

/**
 * i32: the magnitude becomes larger.
 * @param rounding the field of the control word in its place
 * @param sign 0 or 8000H
 * @param rest what is cut off: its first 64 bits, the last of them set when anything follows
 * @param odd i32: the last bit that is kept
 */
export function roundsUp(f: FunctionBuilder, rounding: Value, sign: Value, rest: Value, odd: Value): Value {
	const up = f.variable(i32);
	f.if(
		rounding.eqz(),
		() => f.set(up, rest.gtU(HALF).or(rest.eq(HALF).and(odd))),
		() => f.set(up, rest.ne(0).and(rounding.eq(sign.select(Value.i32(Control.down), Value.i32(Control.up))))),
	);
	return up.get;
}

/** The flags of a rounding: PE, and C1 when it was upward. */
export function flagsOfRounding(rest: Value, up: Value): Value {
	return rest.ne(0).shl(5).or(up.shl(9));
}

/**
 * Writes a result to a register and pops; returns from the routine.
 * @param high sign and exponent
 * @param flags of the status word, C1 included
 */
export function finish(
	f: FunctionBuilder,
	register: Value,
	low: Value,
	high: Value,
	flags: Value,
	pops: Value,
	control: Value = controlWord(f),
): void {
	const status = statusWord(f);
	f.if(unmasked(status.or(flags), control), () => f.return(NOT_DONE));
	writeRegister(f, register, low, high);
	storeStatus(f, statusAfter(status, flags, pops));
	popTags(f, status, pops);
	f.return(DONE);
}

/** What is still to be rounded and written: a significand with its integer bit set, and a biased exponent of any size. */
export interface Unrounded {
	/** 0 or 8000H. */
	readonly sign: Variable;
	readonly exponent: Variable;
	readonly significand: Variable;
	/** What follows the significand, as roundsUp() takes it. */
	readonly rest: Variable;
	readonly flags: Value;
}

export function unrounded(f: FunctionBuilder, flags: Value): Unrounded {
	const sign = f.variable(i32);
	const exponent = f.variable(i32);
	return { sign, exponent, significand: f.variable(i64), rest: f.variable(i64), flags };
}

/**
 * Rounds to the precision of the control word, writes and returns from the routine. Overflow and underflow of the exponent are left
 * to the helper.
 */
export function roundAndFinish(f: FunctionBuilder, register: Value, result: Unrounded, pops: Value): void {
	const { sign, exponent, significand, rest } = result;
	const flags = f.variable(i32);
	f.set(flags, result.flags);
	const control = controlWord(f);
	const unit = f.variable(i64);
	f.set(unit, Value.i64(1));
	f.if(control.and(Control.precision64).eqz(), () => {
		// 24 or 53 bits.
		const shift = f.let(control.and(Control.precision53).select(Value.i64(11), Value.i64(40)));
		const cut = significand.get.shl(Value.i64(64).sub(shift));
		f.set(rest, cut.or(rest.get.ne(0).extendU()));
		f.set(significand, significand.get.and(Value.i64(-1).shl(shift)));
		f.set(unit, Value.i64(1).shl(shift));
	});
	f.if(rest.get.ne(0), () => {
		const odd = significand.get.and(unit.get).ne(0);
		const up = roundsUp(f, control.and(Control.rounding), sign.get, rest.get, odd);
		f.set(flags, flags.get.or(flagsOfRounding(rest.get, up)));
		f.if(up, () => {
			f.set(significand, significand.get.add(unit.get));
			f.if(significand.get.eqz(), () => {
				f.set(significand, Value.i64(INTEGER_BIT));
				f.set(exponent, exponent.get.add(1));
			});
		});
	});
	f.if(exponent.get.sub(1).geU(EXPONENT - 1), () => f.return(NOT_DONE));
	finish(f, register, significand.get, sign.get.or(exponent.get), flags.get, pops, control);
}

/** The DE flag of operands from memory (WAS_DENORMAL). */
export function denormalFlag(...uppers: readonly Value[]): Value {
	const either = uppers.reduce((a, b) => a.or(b));
	return either.shrU(15).and(Status.denormal);
}
