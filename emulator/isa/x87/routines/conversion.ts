// Between the formats of memory and the double extended format (SDM Vol. 1 §4.2.2, Tables 4-2 and 4-3), and FRNDINT. Loads take
// denormals; signalling NaNs are the helper's. Stores take zeros, infinities and numbers, underflow included; overflow, NaNs
// and what no integer holds are the helper's.

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { finish, flagsOfRounding, roundsUp } from "./rounding.ts";
import {
	BIAS,
	Control,
	controlWord,
	EXPONENT,
	INTEGER_BIT,
	isOrdinary,
	NOT_DONE,
	type Parts,
	readRegister,
	registerNumber,
	SIGN,
	Status,
	statusWord,
	tagWord,
	unmasked,
	WAS_DENORMAL,
} from "./words.ts";

const { i32, i64 } = ValueType;
const INFINITY = Value.i64(INTEGER_BIT);

interface RealFormat {
	readonly name: string;
	readonly fractionBits: number;
	readonly exponentBits: number;
}

const single: RealFormat = { name: "single", fractionBits: 23, exponentBits: 8 };
const double: RealFormat = { name: "double", fractionBits: 52, exponentBits: 11 };

/** What the biased exponent of a format is smaller by than that of the double extended format. */
function biasDifference({ exponentBits }: RealFormat): number {
	return BIAS - (2 ** (exponentBits - 1) - 1);
}

/** Writes code that makes a value of the bits in memory (i64); `high` is negative for a signalling NaN. */
export type Conversion = (f: FunctionBuilder, bits: Value) => Parts;

function fromReal(format: RealFormat): Conversion {
	const { fractionBits, exponentBits } = format;
	const largest = 2 ** exponentBits - 1;
	const left = 63 - fractionBits;
	return (f, bits) => {
		const sign = f.let(
			bits
				.shrU(fractionBits + exponentBits - 15)
				.wrap()
				.and(SIGN),
		);
		const exponent = f.let(bits.shrU(fractionBits).wrap().and(largest));
		const fraction = f.let(bits.and(Value.i64((1n << BigInt(fractionBits)) - 1n)));
		const low = f.variable(i64);
		const high = f.variable(i32);
		f.set(low, fraction.shl(left).or(Value.i64(INTEGER_BIT)));
		f.set(high, sign.or(exponent.add(biasDifference(format))));
		f.if(exponent.sub(1).geU(largest - 1), () => {
			f.if(
				exponent.eqz(),
				() => {
					const shift = f.let(fraction.clz());
					f.set(low, fraction.shl(shift));
					const leading = Value.i32(biasDifference(format) + 1 + left).sub(shift.wrap());
					f.set(high, fraction.eqz().select(sign, sign.or(leading).or(WAS_DENORMAL)));
				},
				() => {
					const isQuiet = fraction.shrU(fractionBits - 1).wrap();
					const signalling = fraction.ne(0).and(isQuiet.eqz());
					f.set(high, signalling.select(NOT_DONE, sign.or(EXPONENT)));
				},
			);
		});
		return { low: low.get, high: high.get };
	};
}

export const fromSingle = fromReal(single);
export const fromDouble = fromReal(double);

export const fromInteger: Conversion = (f, value) => {
	const signs = f.let(value.shrS(63));
	const magnitude = f.let(value.xor(signs).sub(signs));
	const shift = f.let(magnitude.clz());
	const exponent = Value.i32(BIAS + 63).sub(shift.wrap());
	const high = value.eqz().select(Value.i32(0), signs.wrap().and(SIGN).or(exponent));
	return { low: f.let(magnitude.shl(shift)), high: f.let(high) };
};

/** ST(0), or a return of "not done" when it is empty. */
function top(f: FunctionBuilder, notDone: () => void): { register: Value; status: Value; value: Parts } {
	const status = statusWord(f);
	const register = f.let(registerNumber(status, 0));
	f.if(tagWord(f).shrU(register).and(1).eqz(), notDone);
	return { register, status, value: readRegister(f, register) };
}

const conversionNotDone = (f: FunctionBuilder) => () => f.returnAll([Value.i64(0), NOT_DONE]);

/**
 * `significand` shifted right by `distance` (i32, 1 or more): what stays, and what is cut off as roundsUp() takes it.
 */
function cut(f: FunctionBuilder, significand: Value, distance: Value): { kept: Value; rest: Value } {
	const kept = f.variable(i64);
	const rest = f.variable(i64);
	f.set(kept, Value.i64(0));
	f.set(rest, Value.i64(1));
	f.if(distance.leU(64), () => {
		const wide = f.let(distance.extendU());
		f.set(kept, significand.shrU(1).shrU(wide.sub(1)));
		f.set(rest, significand.shl(Value.i64(64).sub(wide)));
	});
	return { kept: kept.get, rest: rest.get };
}

/** () → bits, flags: ST(0) as a real of the format; the flags with C1, or negative. */
function toReal(format: RealFormat): Routine {
	const { name, fractionBits, exponentBits } = format;
	const largest = 2 ** exponentBits - 1;
	return {
		name: `x87.to.${name}`,
		parameters: [],
		results: [i64, i32],
		changesState: false,
		emit(f) {
			const notDone = conversionNotDone(f);
			const { status, value } = top(f, notDone);
			const { low } = value;
			const sign = f.let(value.high.and(SIGN));
			const field = f.let(value.high.and(EXPONENT));
			const control = controlWord(f);
			const rounding = control.and(Control.rounding);
			const bits = f.variable(i64);
			const flags = f.variable(i32);
			const integer = f.let(low.ltS(0));
			f.set(flags, Value.i32(0));
			f.if(
				isOrdinary(field).and(integer),
				() => {
					const exponent = f.let(field.sub(biasDifference(format)));
					f.if(exponent.gtS(largest - 1), notDone);
					f.if(
						exponent.gtS(0),
						() => {
							const rest = f.let(low.shl(fractionBits + 1));
							const kept = f.let(low.shrU(63 - fractionBits));
							const up = roundsUp(f, rounding, sign, rest, kept.wrap().and(1));
							f.set(flags, flagsOfRounding(rest, up));
							// The integer bit and a carry out of the fraction both go into the exponent.
							f.set(bits, exponent.sub(1).extendU().shl(fractionBits).add(kept).add(up.extendU()));
							f.if(bits.get.shrU(fractionBits).geU(largest), notDone);
						},
						() => {
							// Tiny, but for what rounding makes the smallest normal number (SDM Vol. 1 §4.9.1.5).
							const isAllOnes = low.shrU(63 - fractionBits).eq(Value.i64((1n << BigInt(fractionBits + 1)) - 1n));
							f.if(exponent.eqz().and(isAllOnes).or(control.and(Status.underflow).eqz()), notDone);
							const { kept, rest } = cut(f, low, f.let(Value.i32(64 - fractionBits).sub(exponent)));
							const up = roundsUp(f, rounding, sign, rest, kept.wrap().and(1));
							const underflow = rest.ne(0).shl(4);
							f.set(flags, flagsOfRounding(rest, up).or(underflow));
							f.set(bits, kept.add(up.extendU()));
						},
					);
				},
				() => {
					const isZero = f.let(field.extendU().or(low).eqz());
					const isInfinity = field.eq(EXPONENT).and(low.eq(INFINITY));
					f.if(isZero.or(isInfinity).eqz(), notDone);
					f.set(bits, isZero.select(Value.i64(0), Value.i64(BigInt(largest) << BigInt(fractionBits))));
				},
			);
			f.if(unmasked(status.or(flags.get), control), notDone);
			f.returnAll([bits.get.or(sign.extendU().shl(fractionBits + exponentBits - 15)), flags.get]);
		},
	};
}

export const toSingle = toReal(single);
export const toDouble = toReal(double);

/**
 * (largest, truncate) → integer, flags: ST(0) as an integer from -largest - 1 to largest; the flags with C1, or negative.
 * `truncate` is added to the rounding control.
 */
export const toInteger: Routine = {
	name: "x87.to.integer",
	parameters: [i64, i32],
	results: [i64, i32],
	changesState: false,
	emit(f) {
		const notDone = conversionNotDone(f);
		const { status, value } = top(f, notDone);
		const { low } = value;
		const sign = f.let(value.high.and(SIGN));
		const field = f.let(value.high.and(EXPONENT));
		const control = controlWord(f);
		f.if(field.extendU().or(low).eqz(), () => {
			f.if(unmasked(status, control), notDone);
			f.returnAll([Value.i64(0), Value.i32(0)]);
		});
		f.if(
			isOrdinary(field)
				.and(low.ltS(0))
				.and(field.ltU(BIAS + 63))
				.eqz(),
			notDone,
		);
		const { kept, rest } = cut(f, low, f.let(Value.i32(BIAS + 63).sub(field)));
		const rounding = control.or(f.parameter(1).get).and(Control.rounding);
		const up = roundsUp(f, rounding, sign, rest, kept.wrap().and(1));
		const magnitude = f.let(kept.add(up.extendU()));
		const negative = f.let(sign.shrU(15).extendU());
		f.if(magnitude.gtU(f.parameter(0).get.add(negative)), notDone);
		const flags = f.let(flagsOfRounding(rest, up));
		f.if(unmasked(status.or(flags), control), notDone);
		f.returnAll([magnitude.xor(Value.i64(0).sub(negative)).add(negative), flags]);
	},
};

/** FRNDINT. */
export const roundToInteger: Routine = {
	name: "x87.roundToInteger",
	parameters: [],
	results: [i32],
	changesState: true,
	emit(f) {
		const { register, value } = top(f, () => f.return(NOT_DONE));
		const { low, high } = value;
		const sign = f.let(high.and(SIGN));
		const field = f.let(high.and(EXPONENT));
		const control = controlWord(f);
		const nothing = Value.i32(0);
		const isZero = field.extendU().or(low).eqz();
		const isOrdinaryNumber = f.let(isOrdinary(field).and(low.ltS(0)));
		f.if(isZero.or(isOrdinaryNumber.and(field.geU(BIAS + 63))), () =>
			finish(f, register, low, high, nothing, nothing, control),
		);
		f.if(isOrdinaryNumber.eqz(), () => f.return(NOT_DONE));
		const { kept, rest } = cut(f, low, f.let(Value.i32(BIAS + 63).sub(field)));
		const up = roundsUp(f, control.and(Control.rounding), sign, rest, kept.wrap().and(1));
		const integer = f.let(kept.add(up.extendU()));
		const flags = f.let(flagsOfRounding(rest, up));
		const shift = f.let(integer.clz());
		const exponent = integer.eqz().select(nothing, Value.i32(BIAS + 63).sub(shift.wrap()));
		finish(f, register, integer.shl(shift), sign.or(exponent), flags, nothing, control);
	},
};
