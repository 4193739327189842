// The four operations and the square root on finite numbers: exact, or with a jammed last bit far below the precision
// of any format, ready for round().

import { bitLength, shiftRightJamming, type Unpacked } from "./binary-float.ts";

/** significand × 2^exponent with a sign; significand 0 is an exact zero. */
export interface Exact {
	readonly negative: boolean;
	readonly significand: bigint;
	readonly exponent: number;
}

/** Enough bits below the larger operand that what is cut off cannot change a rounding to 64 bits. */
const GUARD = 136;

/** a + b of finite nonzero numbers. An exact zero has `negative` false. */
export function addExact(a: Unpacked, b: Unpacked, subtract: boolean): Exact {
	const bNegative = b.negative !== subtract;
	let exponent = Math.min(a.exponent, b.exponent);
	const aTop = a.exponent + bitLength(a.significand);
	const bTop = b.exponent + bitLength(b.significand);
	if (Math.max(aTop, bTop) - exponent > 2 * GUARD) exponent = Math.max(aTop, bTop) - 2 * GUARD;
	const aligned = (value: Unpacked) => shiftRightJamming(value.significand, exponent - value.exponent);
	const x = a.negative ? -aligned(a) : aligned(a);
	const y = bNegative ? -aligned(b) : aligned(b);
	const sum = x + y;
	return { negative: sum < 0n, significand: sum < 0n ? -sum : sum, exponent };
}

export function multiplyExact(a: Unpacked, b: Unpacked): Exact {
	return {
		negative: a.negative !== b.negative,
		significand: a.significand * b.significand,
		exponent: a.exponent + b.exponent,
	};
}

/** a / b of finite nonzero numbers. */
export function divideExact(a: Unpacked, b: Unpacked): Exact {
	const shift = Math.max(0, GUARD / 2 + bitLength(b.significand) - bitLength(a.significand));
	const dividend = a.significand << BigInt(shift);
	const quotient = dividend / b.significand;
	const exact = quotient * b.significand === dividend;
	return {
		negative: a.negative !== b.negative,
		significand: (quotient << 1n) | (exact ? 0n : 1n),
		exponent: a.exponent - b.exponent - shift - 1,
	};
}

/** The integer square root, rounded down. */
export function integerSquareRoot(value: bigint): bigint {
	if (value < 2n) return value;
	let root = 1n << BigInt((bitLength(value) + 1) >> 1);
	for (;;) {
		const next = (root + value / root) >> 1n;
		if (next >= root) return root;
		root = next;
	}
}

/** The square root of a positive finite number. */
export function squareRootExact(a: Unpacked): Exact {
	let shift = Math.max(0, GUARD + 8 - bitLength(a.significand));
	if ((a.exponent - shift) & 1) shift++;
	const radicand = a.significand << BigInt(shift);
	const root = integerSquareRoot(radicand);
	return {
		negative: false,
		significand: (root << 1n) | (root * root === radicand ? 0n : 1n),
		exponent: (a.exponent - shift) / 2 - 1,
	};
}
