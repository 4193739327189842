// FSQRT (SDM Vol. 1 §8.3.5).

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { finish, roundAndFinish, type Unrounded, unrounded } from "./rounding.ts";
import {
	BIAS,
	EXPONENT,
	isOrdinary,
	NOT_DONE,
	type Parts,
	readRegister,
	registerNumber,
	statusWord,
	tagWord,
} from "./words.ts";

const { i32, i64, f64 } = ValueType;
const LOW_HALF = Value.i64(0xffffffffn);
const F64_CONVERT_I64_U = 0xba;
const I64_TRUNC_F64_U = 0xb1;

/** The square root of an ordinary number, by halves (P. Zimmermann, Karatsuba Square Root). */
function squareRootOf(
	f: FunctionBuilder,
	{ low, high }: Parts,
	{ sign, exponent: half, significand, rest: below }: Unrounded,
): void {
	const exponent = f.let(high.and(EXPONENT));
	// The radicand is 128 bits long; its exponent is even.
	const isEven = f.let(exponent.and(1));
	const shift = isEven.extendU();
	const upper = f.let(low.shrU(shift));
	const lower = f.let(low.shl(63).and(Value.i64(0).sub(shift)));
	// The root of the upper half, at most one off at first.
	const root = f.variable(i64);
	f.set(root, upper.operation(F64_CONVERT_I64_U, f64).sqrt().operation(I64_TRUNC_F64_U, i64));
	f.if(root.get.gtU(LOW_HALF), () => f.set(root, LOW_HALF));
	f.if(root.get.mul(root.get).gtU(upper), () => f.set(root, root.get.sub(1)));
	f.if(upper.sub(root.get.mul(root.get)).gtU(root.get.shl(1)), () => f.set(root, root.get.add(1)));
	const first = f.let(upper.sub(root.get.mul(root.get)));
	// The next 32 bits by a division: first × 2^32 + digit is smaller than 2^65, and its halves are divided.
	const twice = f.let(root.get.shl(1));
	const digit = f.let(lower.shrU(32));
	const quotient = f.variable(i64);
	const rest = f.variable(i64);
	const dividend = f.let(first.shl(31).or(digit.shrU(1)));
	f.set(quotient, dividend.divU(root.get));
	f.set(rest, dividend.sub(quotient.get.mul(root.get)).shl(1).or(digit.and(1)));
	f.if(quotient.get.gtU(LOW_HALF), () => {
		f.set(rest, rest.get.add(quotient.get.sub(LOW_HALF).mul(twice)));
		f.set(quotient, LOW_HALF);
	});
	const result = f.variable(i64);
	f.set(result, root.get.shl(32).or(quotient.get));
	// radicand - result^2 in two words: what is left.
	const square = f.let(quotient.get.mul(quotient.get));
	const partial = f.let(rest.get.shl(32).or(lower.and(LOW_HALF)));
	const leftLow = f.variable(i64);
	const leftHigh = f.variable(i64);
	f.set(leftLow, partial.sub(square));
	f.set(leftHigh, rest.get.shrU(32).sub(partial.ltU(square).extendU()));
	f.if(leftHigh.get.ltS(0), () => {
		// One too large: 2 × (result - 1) + 1 comes back.
		f.set(result, result.get.sub(1));
		const back = f.let(result.get.shl(1).or(1));
		f.set(leftLow, leftLow.get.add(back));
		const carry = leftLow.get.ltU(back).extendU();
		f.set(leftHigh, leftHigh.get.add(result.get.shrU(63)).add(carry));
	});
	const above = leftHigh.get.ne(0).or(leftLow.get.gtU(result.get)).extendU();
	const some = leftLow.get.or(leftHigh.get).ne(0).extendU();
	f.set(sign, Value.i32(0));
	f.set(half, exponent.sub(BIAS).shrS(1).add(BIAS));
	f.set(significand, result.get);
	f.set(below, above.shl(63).or(some));
}

/** FSQRT of a positive number or a zero. */
export const squareRoot: Routine = {
	name: "x87.squareRoot",
	parameters: [],
	results: [i32],
	changesState: true,
	emit(f) {
		const nothing = Value.i32(0);
		const register = f.let(registerNumber(statusWord(f), 0));
		f.if(tagWord(f).shrU(register).and(1).eqz(), () => f.return(NOT_DONE));
		const value = readRegister(f, register);
		const isZero = value.high.and(EXPONENT).extendU().or(value.low).eqz();
		f.if(isZero, () => finish(f, register, Value.i64(0), value.high, nothing, nothing));
		// A sign makes the word larger than that of any positive number.
		f.if(isOrdinary(value.high).and(value.low.ltS(0)).eqz(), () => f.return(NOT_DONE));
		const result = unrounded(f, nothing);
		squareRootOf(f, value, result);
		roundAndFinish(f, register, result, nothing);
	},
};
