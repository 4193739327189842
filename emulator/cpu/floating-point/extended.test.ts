// The exact arithmetic against JavaScript's own double arithmetic, and the properties that rounding has to have.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { constants } from "../../isa/x87/constants.ts";
import { double, extended, Flag, finite, Kind, round, roundToInteger, single } from "./binary-float.ts";
import { constantValue } from "./elementary-functions.ts";
import { integerSquareRoot } from "./exact-arithmetic.ts";
import { add, compare, divide, multiply, packExtended, squareRoot, unpackExtended } from "./extended.ts";
import { packDouble, packSingle, unpackDouble, unpackSingle } from "./interchange.ts";

/** Everything masked, nearest. */
const NEAREST = 0x37f;

function bitsOf(value: number): bigint {
	const view = new DataView(new ArrayBuffer(8));
	view.setFloat64(0, value);
	return view.getBigUint64(0);
}

function singleBitsOf(value: number): number {
	const view = new DataView(new ArrayBuffer(4));
	view.setFloat32(0, value);
	return view.getInt32(0);
}

const number = fc.oneof(
	fc.double({ noNaN: true }),
	fc.integer().map((value) => value / 8),
	fc.constantFrom(0, -0, 2 ** -1074, 2 ** -1022, Number.MAX_VALUE, Infinity, -Infinity, 1, -1),
);

test("double arithmetic agrees with JavaScript's", () => {
	fc.assert(
		fc.property(number, number, (a, b) => {
			const x = unpackDouble(bitsOf(a));
			const y = unpackDouble(bitsOf(b));
			const results = [
				[add(x, y, false, NEAREST, double), a + b],
				[add(x, y, true, NEAREST, double), a - b],
				[multiply(x, y, NEAREST, double), a * b],
				[divide(x, y, NEAREST, double), a / b],
				[squareRoot(x, NEAREST, double), Math.sqrt(a)],
			] as const;
			for (const [result, expected] of results) {
				if (Number.isNaN(expected)) assert.equal(result.value!.kind, Kind.quietNan);
				else assert.equal(packDouble(result.value!), bitsOf(expected), `${a} and ${b}: ${expected}`);
			}
		}),
		{ numRuns: 2000 },
	);
});

test("conversion to single agrees with Math.fround", () => {
	fc.assert(
		fc.property(number, (a) => {
			const value = unpackDouble(bitsOf(a));
			const rounded =
				value.kind === Kind.finite ? round(value.negative, value.significand, value.exponent, single, 0).value : value;
			assert.equal(packSingle(rounded), singleBitsOf(a));
		}),
		{ numRuns: 2000 },
	);
});

test("packing undoes unpacking", () => {
	fc.assert(
		fc.property(fc.bigInt(0n, (1n << 64n) - 1n), fc.integer({ min: 0, max: 0xffff }), (low, high) => {
			assert.equal(packDouble(unpackDouble(low)), low);
			const bits = Number(low & 0xffffffffn) | 0;
			assert.equal(packSingle(unpackSingle(bits)), bits);
			// A pseudo-denormal is the normal number with exponent 1 and becomes one.
			const value = { high, low: low | (1n << 63n) };
			const expected = (high & 0x7fff) === 0 ? { high: high | 1, low: value.low } : value;
			assert.deepEqual(packExtended(unpackExtended(value)), expected);
		}),
	);
});

test("the directed roundings enclose the exact value, and nearest is one of them", () => {
	const bits = fc.bigInt(1n, (1n << 140n) - 1n);
	fc.assert(
		fc.property(bits, fc.integer({ min: -1300, max: 1100 }), fc.boolean(), (significand, exponent, negative) => {
			const results = [0, 1, 2, 3].map((mode) => round(negative, significand, exponent, double, mode));
			const values = results.map(({ value }) => packDouble(value));
			const exact = finite(negative, significand, exponent);
			const [, down, up, zero] = results.map(({ value }) => value);
			assert.ok(compare(down!, exact) !== "greater");
			assert.ok(compare(up!, exact) !== "less");
			assert.equal(packDouble(zero!), negative ? values[2] : values[1]);
			assert.ok(values[0] === values[1] || values[0] === values[2]);
			const isExact = values[1] === values[2];
			for (const { flags } of results) assert.equal((flags & Flag.inexact) === 0, isExact);
		}),
	);
});

test("rounding to an integer", () => {
	const half = finite(false, 5n, -1);
	assert.deepEqual(
		[0, 1, 2, 3].map((mode) => roundToInteger(half, mode).integer),
		[2n, 2n, 3n, 2n],
	);
	const tiny = finite(true, 1n, -16000);
	assert.deepEqual(
		[0, 1, 2, 3].map((mode) => roundToInteger(tiny, mode).integer),
		[0n, 1n, 0n, 0n],
	);
});

test("the constants are the double extended values nearest to log2(10), log2(e), π, log10(2), ln(2)", () => {
	// SDM Vol. 1 §8.3.8; generated code pushes the literal ones.
	for (const [index, { low, exponent }] of constants.entries()) {
		const value = constantValue(index);
		const { kind, significand } = value;
		const rounded = kind === Kind.finite ? round(false, significand, value.exponent, extended, 0).value : value;
		assert.deepEqual(packExtended(rounded), { high: exponent, low });
	}
});

test("the integer square root is the largest whose square is not above", () => {
	fc.assert(
		fc.property(fc.bigInt(0n, 1n << 300n), (value) => {
			const root = integerSquareRoot(value);
			assert.ok(root * root <= value && (root + 1n) * (root + 1n) > value);
		}),
	);
});
