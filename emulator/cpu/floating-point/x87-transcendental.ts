// F2XM1, FYL2X, FYL2XP1, FPTAN, FPATAN, FSIN, FCOS, FSINCOS (SDM Vol. 1 §8.3.7, §8.3.9), rounded from fixed-point
// values that are good to far more than 64 bits.
//
// Deviation: results are correctly rounded, where the processor's may be off by up to one unit in the last place (SDM
// Vol. 1 §8.3.10).

import type { Helper } from "../../engine/helper.ts";
import {
	bitLength,
	extended,
	Flag,
	finite,
	infinity,
	Kind,
	shiftRightJamming,
	type Unpacked,
	zero,
} from "./binary-float.ts";
import {
	arctangent,
	exponentialMinusOne,
	FRACTION,
	LN2,
	naturalLogarithmOfSum,
	ONE,
	PI,
	REDUCTION_PI,
	sineAndCosine,
} from "./elementary-functions.ts";
import { compare, denormalFlag, exactResult, invalid, nanResult, type Result, roundResult } from "./extended.ts";
import { instruction, unary } from "./x87-arithmetic.ts";
import { roomToPush } from "./x87-scaling.ts";
import { Status, type X87Unit } from "./x87-unit.ts";

/** Below 2^-SMALL the first term of a series decides the result but for its last, jammed bit. */
const SMALL = 80;

function topExponent(value: Unpacked): number {
	return value.exponent + bitLength(value.significand) - 1;
}

/** A finite number as fixed point; exact for exponents above -FRACTION. */
function toFixed(value: Unpacked): bigint {
	const magnitude = shiftRightJamming(value.significand, -(value.exponent + FRACTION));
	return value.negative ? -magnitude : magnitude;
}

/** An inexact fixed-point number times 2^exponent, rounded to 64 bits. */
function inexact(fixed: bigint, control: number, flags: number, exponent = 0): Result {
	const negative = fixed < 0n;
	const magnitude = negative ? -fixed : fixed;
	return roundResult(
		{ negative, significand: (magnitude << 1n) | 1n, exponent: exponent - FRACTION - 1 },
		control,
		flags,
		extended,
	);
}

/** The value with something tiny added (or taken away) in magnitude. */
function nudged(value: Unpacked, larger: boolean, control: number, flags: number): Result {
	const significand = (value.significand << 128n) + (larger ? 1n : -1n);
	return roundResult(
		{ negative: value.negative, significand, exponent: value.exponent - 128 },
		control,
		flags,
		extended,
	);
}

/** sine, cosine of x: x less a multiple of π/2, and the quadrant. */
function reduceAngle(x: bigint): { sine: bigint; cosine: bigint } {
	const half = REDUCTION_PI >> 1n;
	// Rounded to nearest: the rest lies within ±π/4.
	let quadrant = (2n * x + half) / (2n * half);
	if (2n * x + half < 0n && quadrant * 2n * half !== 2n * x + half) quadrant--;
	const { sine, cosine } = sineAndCosine(x - quadrant * half);
	switch (BigInt.asUintN(2, quadrant)) {
		case 0n:
			return { sine, cosine };
		case 1n:
			return { sine: cosine, cosine: -sine };
		case 2n:
			return { sine: -sine, cosine: -cosine };
		default:
			return { sine: -cosine, cosine: sine };
	}
}

const one = finite(false, 1n, 0);

function sine(value: Unpacked, control: number): Result {
	if (value.kind === Kind.zero) return exactResult(value, 0, control);
	const flags = denormalFlag(value);
	if (topExponent(value) < -SMALL) return nudged(value, false, control, flags);
	return inexact(reduceAngle(toFixed(value)).sine, control, flags);
}

function cosine(value: Unpacked, control: number): Result {
	if (value.kind === Kind.zero) return exactResult(one, 0, control);
	const flags = denormalFlag(value);
	if (topExponent(value) < -SMALL) return nudged(one, false, control, flags);
	return inexact(reduceAngle(toFixed(value)).cosine, control, flags);
}

function tangent(value: Unpacked, control: number): Result {
	if (value.kind === Kind.zero) return exactResult(value, 0, control);
	const flags = denormalFlag(value);
	if (topExponent(value) < -SMALL) return nudged(value, true, control, flags);
	const angle = reduceAngle(toFixed(value));
	return inexact((angle.sine << BigInt(FRACTION)) / angle.cosine, control, flags);
}

/**
 * FSIN, FCOS, FSINCOS, FPTAN: out of ±2^63 only C2 is set. @returns undefined then, or when the exceptions are dealt
 * with.
 */
function angleOperand(unit: X87Unit, pushes: boolean): Unpacked | undefined {
	unit.status &= ~Status.c2;
	if (unit.isEmpty(0)) {
		if (unit.underflow(0) && pushes) pushCopy(unit);
		return undefined;
	}
	if (pushes && !roomToPush(unit)) return undefined;
	const value = unit.read(0);
	const bad =
		nanResult(value, value, unit.control) ?? (value.kind === Kind.infinity ? invalid(unit.control) : undefined);
	if (bad) {
		if (unit.finish(0, bad) && pushes) pushCopy(unit);
		return undefined;
	}
	if (value.kind === Kind.finite && topExponent(value) >= 63) {
		unit.status = (unit.status & ~Status.c1) | Status.c2;
		return undefined;
	}
	return value;
}

function pushCopy(unit: X87Unit): void {
	const value = unit.bits(0);
	unit.top = unit.top - 1;
	unit.writeBits(0, value);
}

function angle(unit: X87Unit, operation: (value: Unpacked, control: number) => Result): void {
	const value = angleOperand(unit, false);
	if (value) unit.finish(0, operation(value, unit.control));
}

function anglePair(
	unit: X87Unit,
	first: (value: Unpacked, control: number) => Result,
	second: (value: Unpacked, control: number) => Result,
): void {
	const value = angleOperand(unit, true);
	if (!value) return;
	const pushed = second(value, unit.control);
	if (!unit.finish(0, first(value, unit.control)) || !pushed.value) return;
	unit.status |= pushed.flags;
	unit.summarize();
	unit.top = unit.top - 1;
	unit.write(0, pushed.value);
}

/** 2^x - 1 for -1 <= x <= 1. Outside, where the SDM leaves the result undefined, x is returned. */
function exponential(value: Unpacked, control: number): Result {
	const nan = nanResult(value, value, control);
	if (nan) return nan;
	if (value.kind === Kind.zero) return exactResult(value, 0, control);
	if (value.kind === Kind.infinity) return exactResult(value.negative ? finite(true, 1n, 0) : value, 0, control);
	const flags = denormalFlag(value);
	const top = topExponent(value);
	if (top >= 0) {
		const isOne = top === 0 && (value.significand & (value.significand - 1n)) === 0n;
		const result = isOne && value.negative ? finite(true, 1n, -1) : value;
		return exactResult(result, flags | Flag.inexact, control | Flag.inexact);
	}
	if (top < -SMALL) {
		const product = value.significand * LN2;
		return inexact(value.negative ? -product : product, control, flags, value.exponent);
	}
	return inexact(exponentialMinusOne((toFixed(value) * LN2) >> BigInt(FRACTION)), control, flags);
}

/** y × (a fixed-point number × 2^exponent). */
function timesFixed(y: Unpacked, fixed: bigint, control: number, flags: number, exponent = 0): Result {
	const product = y.significand * fixed;
	return inexact(y.negative ? -product : product, control, flags, y.exponent + exponent);
}

/** y × log2(x). */
function logarithm(x: Unpacked, y: Unpacked, control: number): Result {
	const nan = nanResult(x, y, control);
	if (nan) return nan;
	const flags = denormalFlag(x, y);
	if (x.negative && x.kind !== Kind.zero) return invalid(control);
	if (x.kind === Kind.zero) {
		if (y.kind === Kind.zero) return invalid(control);
		return exactResult(infinity(!y.negative), y.kind === Kind.infinity ? flags : Flag.zeroDivide, control);
	}
	const order = x.kind === Kind.infinity ? "greater" : compare(x, one);
	if (x.kind === Kind.infinity || y.kind === Kind.infinity) {
		if (y.kind === Kind.zero || order === "equal") return invalid(control);
		return exactResult(infinity(y.negative !== (order === "less")), flags, control);
	}
	if (order === "equal" || y.kind === Kind.zero)
		return exactResult(zero(y.negative !== (order === "less")), flags, control);
	let leading = topExponent(x);
	let fraction = toFixed({ ...x, exponent: x.exponent - leading }) - ONE;
	if (fraction === 0n) {
		const count = BigInt(Math.abs(leading));
		const exact = { negative: y.negative !== leading < 0, significand: y.significand * count, exponent: y.exponent };
		const result = roundResult(exact, control, flags, extended);
		// The processor calls every logarithm but that of 1 inexact.
		return { ...result, flags: result.flags | Flag.inexact };
	}
	if (fraction > ONE >> 1n) {
		leading++;
		fraction = (fraction - ONE) >> 1n;
	}
	const log = (naturalLogarithmOfSum(fraction) << BigInt(FRACTION)) / LN2;
	return timesFixed(y, log + BigInt(leading) * ONE, control, flags);
}

/** y × log2(x + 1); the SDM defines it for |x| below 1 - √½. */
function logarithmOfSum(x: Unpacked, y: Unpacked, control: number): Result {
	const nan = nanResult(x, y, control);
	if (nan) return nan;
	const flags = denormalFlag(x, y);
	if (x.kind === Kind.infinity) {
		if (x.negative || y.kind === Kind.zero) return invalid(control);
		return exactResult(infinity(y.negative), flags, control);
	}
	if (y.kind === Kind.infinity) {
		if (x.kind === Kind.zero) return invalid(control);
		return exactResult(infinity(y.negative !== x.negative), flags, control);
	}
	if (x.kind === Kind.zero || y.kind === Kind.zero) return exactResult(zero(x.negative !== y.negative), flags, control);
	const top = topExponent(x);
	if (top < -SMALL) {
		const product = ((x.significand * y.significand) << BigInt(2 * FRACTION)) / LN2;
		return inexact(x.negative !== y.negative ? -product : product, control, flags, x.exponent + y.exponent);
	}
	if (top >= -1) {
		// Undefined by the SDM; the logarithm of the sum where it exists, else x, as the processor does it.
		if (x.negative && top >= 0) return exactResult(x, flags | Flag.inexact, control | Flag.inexact);
		const sum = x.negative ? ONE + toFixed(x) : top > FRACTION ? undefined : ONE + toFixed(x);
		return logarithm(sum === undefined ? x : finite(false, sum, -FRACTION), y, control);
	}
	const log = (naturalLogarithmOfSum(toFixed(x)) << BigInt(FRACTION)) / LN2;
	return timesFixed(y, log, control, flags);
}

/** The angle of the point (x, y): arctan(y / x) in the right quadrant (SDM Vol. 2A Table 3-30). */
function arctangentOf(x: Unpacked, y: Unpacked, control: number): Result {
	const nan = nanResult(x, y, control);
	if (nan) return nan;
	const flags = denormalFlag(x, y);
	const signed = (angleValue: bigint) => inexact(y.negative ? -angleValue : angleValue, control, flags);
	if (y.kind === Kind.zero || (x.kind === Kind.infinity && y.kind !== Kind.infinity))
		return x.negative ? signed(PI) : exactResult(zero(y.negative), flags, control);
	if (x.kind === Kind.infinity) return signed(x.negative ? (3n * PI) >> 2n : PI >> 2n);
	if (y.kind === Kind.infinity || x.kind === Kind.zero) return signed(PI >> 1n);
	const difference = topExponent(y) - topExponent(x);
	if (difference > SMALL) return signed(PI >> 1n);
	if (difference < -SMALL) {
		if (x.negative) return signed(PI);
		const quotient = ((y.significand << BigInt(FRACTION)) / x.significand) | 1n;
		return inexact(y.negative ? -quotient : quotient, control, flags, y.exponent - x.exponent);
	}
	const shift = BigInt(FRACTION);
	const common = Math.min(x.exponent, y.exponent);
	const across = x.significand << BigInt(x.exponent - common);
	const up = y.significand << BigInt(y.exponent - common);
	const steep = up > across;
	let result = arctangent(steep ? (across << shift) / up : (up << shift) / across);
	if (steep) result = (PI >> 1n) - result;
	if (x.negative) result = PI - result;
	return signed(result);
}

/** ST(1) becomes the function of ST(0) and ST(1); ST(0) is popped. */
function binary(unit: X87Unit, operation: (x: Unpacked, y: Unpacked, control: number) => Result): void {
	const done =
		unit.isEmpty(0) || unit.isEmpty(1)
			? unit.underflow(1)
			: unit.finish(1, operation(unit.read(0), unit.read(1), unit.control));
	if (done) unit.pop();
}

export function transcendentalHelpers(unit: X87Unit): Record<string, Helper> {
	return {
		"x87:f2xm1": instruction(unit, () => unary(unit, exponential)),
		"x87:fyl2x": instruction(unit, () => binary(unit, logarithm)),
		"x87:fyl2xp1": instruction(unit, () => binary(unit, logarithmOfSum)),
		"x87:fpatan": instruction(unit, () => binary(unit, arctangentOf)),
		"x87:fsin": instruction(unit, () => angle(unit, sine)),
		"x87:fcos": instruction(unit, () => angle(unit, cosine)),
		"x87:fsincos": instruction(unit, () => anglePair(unit, sine, cosine)),
		"x87:fptan": instruction(unit, () => anglePair(unit, tangent, (_value, control) => exactResult(one, 0, control))),
	};
}
