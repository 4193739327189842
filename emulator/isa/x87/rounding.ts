// Rounding of a 128-bit significand to the precision of the control word, and the write of a result (SDM Vol. 1 §4.8.4,
// §8.1.5, Table 4-8).

import type { FunctionBuilder } from "../emit/function-builder.ts";
import type { Routine } from "../emit/routine.ts";
import { Value, ValueType } from "../emit/value.ts";
import {
	Control,
	controlWord,
	EXPONENT,
	INTEGER_BIT,
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
 * Writes a result to a register and pops; returns from the routine with 1, or with 0 before anything has changed.
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
	f.if(unmasked(status.or(flags), control), () => f.return(Value.i32(0)));
	writeRegister(f, register, low, high);
	storeStatus(f, statusAfter(status, flags, pops));
	popTags(f, status, pops);
	f.return(Value.i32(1));
}

/** (register, low, high, flags, pops): a result that needs no rounding. */
export const writeResult: Routine = {
	name: "x87.write",
	parameters: [i32, i64, i32, i32, i32],
	results: [i32],
	changesState: true,
	emit(f) {
		const [register, low, high, flags, pops] = [0, 1, 2, 3, 4].map((index) => f.parameter(index).get);
		finish(f, register!, low!, high!, flags!, pops!);
	},
};

/**
 * (register, sign, exponent, significand, rest, flags, pops): rounds (significand with its integer bit set, biased exponent of any
 * size) and writes. Overflow and underflow of the exponent are left to the helper.
 */
export const roundResult: Routine = {
	name: "x87.round",
	parameters: [i32, i32, i32, i64, i64, i32, i32],
	results: [i32],
	changesState: true,
	emit(f) {
		const register = f.parameter(0).get;
		const sign = f.parameter(1).get;
		const exponent = f.parameter(2);
		const kept = f.parameter(3);
		const rest = f.parameter(4);
		const flags = f.parameter(5);
		const pops = f.parameter(6).get;
		const control = controlWord(f);
		const unit = f.variable(i64);
		f.set(unit, Value.i64(1));
		f.if(control.and(Control.precision64).eqz(), () => {
			// 24 or 53 bits.
			const shift = f.let(control.and(Control.precision53).select(Value.i64(11), Value.i64(40)));
			const cut = kept.get.shl(Value.i64(64).sub(shift));
			f.set(rest, cut.or(rest.get.ne(0).extendU()));
			f.set(kept, kept.get.and(Value.i64(-1).shl(shift)));
			f.set(unit, Value.i64(1).shl(shift));
		});
		f.if(rest.get.ne(0), () => {
			const odd = kept.get.and(unit.get).ne(0);
			const up = roundsUp(f, control.and(Control.rounding), sign, rest.get, odd);
			f.set(flags, flags.get.or(flagsOfRounding(rest.get, up)));
			f.if(up, () => {
				f.set(kept, kept.get.add(unit.get));
				f.if(kept.get.eqz(), () => {
					f.set(kept, Value.i64(INTEGER_BIT));
					f.set(exponent, exponent.get.add(1));
				});
			});
		});
		f.if(exponent.get.sub(1).geU(EXPONENT - 1), () => f.return(Value.i32(0)));
		finish(f, register, kept.get, sign.or(exponent.get), flags.get, pops, control);
	},
};

/** The DE flag of operands from memory (WAS_DENORMAL). */
export function denormalFlag(...uppers: readonly Value[]): Value {
	const either = uppers.reduce((a, b) => a.or(b));
	return either.shrU(15).and(Status.denormal);
}
