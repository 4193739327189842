// Addition, multiplication and division on the double extended format (SDM Vol. 1 §8.3.5), for numbers with an integer bit and
// for zeros; infinities, NaNs, denormal registers, unsupported formats and divisions by zero are the helper's.

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { denormalFlag, finish, roundAndFinish, type Unrounded, unrounded } from "./rounding.ts";
import { BIAS, Control, controlWord, EXPONENT, INTEGER_BIT, isOrdinary, NOT_DONE, type Parts, SIGN } from "./words.ts";

const { i32, i64 } = ValueType;
const LOW_HALF = Value.i64(0xffffffffn);

/** What the routines of two operands have: (register, aLow, aHigh, bLow, bHigh, pops). */
const parameters = [i32, i64, i32, i64, i32, i32] as const;

interface Operands {
	readonly register: Value;
	readonly a: Parts;
	readonly b: Parts;
	readonly aExponent: Value;
	readonly bExponent: Value;
	readonly pops: Value;
}

interface Zeros {
	readonly a: Value;
	readonly b: Value;
}

/** Writes code that sets the result, or returns from the routine. */
type Emit = (f: FunctionBuilder, operands: Operands, result: Unrounded, zeros: Zeros) => void;

/**
 * A routine on two operands. `ordinary` gets two numbers with integer bit; `zeros` gets the cases in which one is zero and the other is
 * that or ordinary. With other operands it is not done.
 */
function onTwo(name: string, ordinary: Emit, zeros: Emit): Routine {
	return {
		name,
		parameters,
		results: [i32],
		changesState: true,
		emit(f) {
			const [register, aLow, aHigh, bLow, bHigh, pops] = parameters.map((_, index) => f.parameter(index).get);
			const a = { low: aLow!, high: aHigh! };
			const b = { low: bLow!, high: bHigh! };
			const aExponent = f.let(a.high.and(EXPONENT));
			const bExponent = f.let(b.high.and(EXPONENT));
			const operands = { register: register!, a, b, aExponent, bExponent, pops: pops! };
			const result = unrounded(f, f.let(denormalFlag(a.high, b.high)));
			const isZero = (exponent: Value, { low }: Parts) => exponent.extendU().or(low).eqz();
			const both = isOrdinary(aExponent).and(isOrdinary(bExponent)).and(a.low.and(b.low).ltS(0));
			f.if(
				both,
				() => ordinary(f, operands, result, { a: Value.i32(0), b: Value.i32(0) }),
				() => {
					const which = { a: f.let(isZero(aExponent, a)), b: f.let(isZero(bExponent, b)) };
					const aGood = which.a.or(isOrdinary(aExponent).and(a.low.ltS(0)));
					const bGood = which.b.or(isOrdinary(bExponent).and(b.low.ltS(0)));
					f.if(aGood.and(bGood).eqz(), () => f.return(NOT_DONE));
					zeros(f, operands, result, which);
				},
			);
			roundAndFinish(f, operands.register, result, operands.pops);
		},
	};
}

function signOfProduct({ a, b }: Operands): Value {
	return a.high.xor(b.high).and(SIGN);
}

function finishZero(f: FunctionBuilder, sign: Value, { register, pops }: Operands, { flags }: Unrounded): void {
	finish(f, register, Value.i64(0), sign, flags, pops);
}

/** The sign of an exact difference of nothing: minus when rounding down (SDM Vol. 1 §4.8.3.1). */
function signOfNothing(f: FunctionBuilder): Value {
	return controlWord(f).and(Control.rounding).eq(Control.down).shl(15);
}

/** a + b of ordinary numbers. */
function addOrdinary(f: FunctionBuilder, operands: Operands, result: Unrounded): void {
	const { a, b, aExponent, bExponent } = operands;
	const { sign, exponent, significand: high, rest: low } = result;
	const other = f.variable(i32);
	const smaller = f.variable(i64);
	const distance = f.variable(i32);
	// The larger exponent's operand in `high`; the other is shifted to `smaller`, `low`.
	const take = (x: Parts, xExponent: Value, y: Parts, yExponent: Value) => {
		f.set(exponent, xExponent);
		f.set(sign, x.high.and(SIGN));
		f.set(other, y.high.and(SIGN));
		f.set(high, x.low);
		f.set(smaller, y.low);
		f.set(distance, xExponent.sub(yExponent));
	};
	f.if(
		aExponent.geU(bExponent),
		() => take(a, aExponent, b, bExponent),
		() => take(b, bExponent, a, aExponent),
	);
	f.set(low, Value.i64(0));
	f.if(distance.get, () => {
		const wide = distance.get.extendU();
		f.if(
			distance.get.leU(64),
			() => {
				f.set(low, smaller.get.shl(Value.i64(64).sub(wide)));
				f.set(smaller, smaller.get.shrU(1).shrU(wide.sub(1)));
			},
			() => {
				f.set(low, Value.i64(1));
				f.if(distance.get.ltU(128), () => {
					const lost = smaller.get.shl(Value.i64(128).sub(wide)).ne(0);
					f.set(low, smaller.get.shrU(wide.sub(64)).or(lost.extendU()));
				});
				f.set(smaller, Value.i64(0));
			},
		);
	});
	f.if(
		sign.get.eq(other.get),
		() => {
			const larger = f.let(high.get);
			f.set(high, larger.add(smaller.get));
			f.if(high.get.ltU(larger), () => {
				f.set(low, low.get.shrU(1).or(low.get.and(1)).or(high.get.shl(63)));
				f.set(high, high.get.shrU(1).or(Value.i64(INTEGER_BIT)));
				f.set(exponent, exponent.get.add(1));
			});
		},
		() => {
			// Only with equal exponents can the subtrahend be the larger.
			f.if(high.get.ltU(smaller.get), () => {
				const larger = f.let(smaller.get);
				f.set(smaller, high.get);
				f.set(high, larger);
				f.set(sign, other.get);
			});
			f.set(high, high.get.sub(smaller.get).sub(low.get.ne(0).extendU()));
			f.set(low, Value.i64(0).sub(low.get));
			f.if(high.get.eqz(), () => {
				f.if(low.get.eqz(), () => finishZero(f, signOfNothing(f), operands, result));
				f.set(high, low.get);
				f.set(low, Value.i64(0));
				f.set(exponent, exponent.get.sub(64));
			});
			const shift = f.let(high.get.clz());
			f.set(high, high.get.shl(shift).or(low.get.shrU(1).shrU(Value.i64(63).sub(shift))));
			f.set(low, low.get.shl(shift));
			f.set(exponent, exponent.get.sub(shift.wrap()));
		},
	);
}

/** a + b when one is zero. */
function addZero(f: FunctionBuilder, operands: Operands, result: Unrounded, zeros: Zeros): void {
	const { a, b, aExponent, bExponent } = operands;
	f.if(zeros.a.and(zeros.b), () => {
		const differ = a.high.xor(b.high).and(SIGN);
		finishZero(f, differ.select(signOfNothing(f), a.high.and(SIGN)), operands, result);
	});
	f.set(result.sign, zeros.a.select(b.high, a.high).and(SIGN));
	f.set(result.exponent, zeros.a.select(bExponent, aExponent));
	f.set(result.significand, zeros.a.select(b.low, a.low));
	f.set(result.rest, Value.i64(0));
}

export const add = onTwo("x87.add", addOrdinary, addZero);

/** The 128-bit product of two 64-bit numbers, by four products of their halves. */
function product(f: FunctionBuilder, a: Value, b: Value): { high: Value; low: Value } {
	const aLow = f.let(a.and(LOW_HALF));
	const aHigh = f.let(a.shrU(32));
	const bLow = f.let(b.and(LOW_HALF));
	const bHigh = f.let(b.shrU(32));
	const lowest = f.let(aLow.mul(bLow));
	const first = f.let(aHigh.mul(bLow).add(lowest.shrU(32)));
	const second = f.let(aLow.mul(bHigh).add(first.and(LOW_HALF)));
	return {
		high: f.let(aHigh.mul(bHigh).add(first.shrU(32)).add(second.shrU(32))),
		low: f.let(second.shl(32).or(lowest.and(LOW_HALF))),
	};
}

/** a × b. */
export const multiply = onTwo(
	"x87.multiply",
	(f, operands, result) => {
		const { a, b, aExponent, bExponent } = operands;
		const { high, low } = product(f, a.low, b.low);
		// One bit to the left when the product of the significands is below 2.
		const shift = f.let(high.geS(0).extendU());
		f.set(result.sign, signOfProduct(operands));
		f.set(
			result.exponent,
			aExponent
				.add(bExponent)
				.sub(BIAS - 1)
				.sub(shift.wrap()),
		);
		f.set(result.significand, high.shl(shift).or(low.shrU(63).and(shift)));
		f.set(result.rest, low.shl(shift));
	},
	(f, operands, result) => finishZero(f, signOfProduct(operands), operands, result),
);

/**
 * A step of the division by a divisor with its first bit set: one digit of 32 bits (Knuth, The Art of Computer Programming, Vol. 2, 4.3.1,
 * Algorithm D).
 * @param rest smaller than the divisor
 * @param digit the dividend's next 32 bits
 */
function divisionStep(f: FunctionBuilder, rest: Value, digit: Value, divisor: Value): { quotient: Value; rest: Value } {
	const first = f.let(divisor.shrU(32));
	const second = f.let(divisor.and(LOW_HALF));
	const quotient = f.variable(i64);
	const left = f.variable(i64);
	f.set(quotient, rest.divU(first));
	f.set(left, rest.sub(quotient.get.mul(first)));
	f.block((enough) => {
		f.loop((again) => {
			const tooLarge = quotient.get.gtU(LOW_HALF).or(quotient.get.mul(second).gtU(left.get.shl(32).or(digit)));
			f.brIf(enough, tooLarge.eqz());
			f.set(quotient, quotient.get.sub(1));
			f.set(left, left.get.add(first));
			f.brIf(again, left.get.leU(LOW_HALF));
		});
	});
	return { quotient: quotient.get, rest: f.let(rest.shl(32).or(digit).sub(quotient.get.mul(divisor))) };
}

/** a / b. */
export const divide = onTwo(
	"x87.divide",
	(f, operands, result) => {
		const { a, b, aExponent, bExponent } = operands;
		const divisor = b.low;
		// The quotient of the significands, times 2^63 or 2^64, so that its first bit is set.
		const atLeastOne = f.let(a.low.geU(divisor));
		const high = f.let(a.low.shrU(atLeastOne.extendU()));
		const next = f.let(atLeastOne.select(a.low.shl(63).shrU(32), Value.i64(0)));
		const upper = divisionStep(f, high, next, divisor);
		const lower = divisionStep(f, upper.rest, Value.i64(0), divisor);
		const { rest } = lower;
		const twice = f.let(rest.shl(1));
		// Above one half also when the doubled remainder does not fit.
		const above = rest.ltS(0).or(twice.gtU(divisor)).extendU();
		const atLeastHalf = rest.ltS(0).or(twice.geU(divisor)).extendU();
		const below = rest.ne(0).and(twice.ltU(divisor)).extendU();
		f.set(result.sign, signOfProduct(operands));
		f.set(
			result.exponent,
			aExponent
				.sub(bExponent)
				.add(BIAS - 1)
				.add(atLeastOne),
		);
		f.set(result.significand, upper.quotient.shl(32).or(lower.quotient));
		f.set(result.rest, atLeastHalf.shl(63).or(above).or(below));
	},
	(f, operands, result, zeros) => {
		f.if(zeros.b, () => f.return(NOT_DONE));
		finishZero(f, signOfProduct(operands), operands, result);
	},
);
