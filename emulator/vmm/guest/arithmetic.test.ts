import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { add, condition, Flag, group1, group2, subtract } from "./arithmetic.ts";

const size = fc.constantFrom<1 | 2 | 4>(1, 2, 4);
const raw = fc.oneof(
	fc.integer({ min: 0, max: 0xffffffff }),
	fc.constantFrom(0, 1, 0x7f, 0x80, 0xff, 0x8000, 0x80000000, 0xffffffff),
);

function signed(value: number, size: number): bigint {
	return BigInt.asIntN(size * 8, BigInt(value));
}

function check(flags: number, value: bigint, unsigned: bigint, exact: bigint, size: number): void {
	const bits = size * 8;
	assert.equal((flags & Flag.cf) !== 0, unsigned < 0n || unsigned >= 1n << BigInt(bits), "CF");
	assert.equal((flags & Flag.of) !== 0, exact !== BigInt.asIntN(bits, exact), "OF");
	assert.equal((flags & Flag.zf) !== 0, value === 0n, "ZF");
	assert.equal((flags & Flag.sf) !== 0, BigInt.asIntN(bits, value) < 0n, "SF");
	const ones = (value & 0xffn).toString(2).replaceAll("0", "").length;
	assert.equal((flags & Flag.pf) !== 0, ones % 2 === 0, "PF");
}

test("sums and differences have the flags that exact arithmetic gives", () => {
	fc.assert(
		fc.property(size, raw, raw, fc.boolean(), (size, rawA, rawB, carried) => {
			const bits = size * 8;
			const [a, b] = [rawA, rawB].map((one) => Number(BigInt.asUintN(bits, BigInt(one)))) as [number, number];
			const carry = carried ? 1 : 0;
			const sum = add(a, b, carry, size);
			assert.equal(BigInt(sum.value), BigInt.asUintN(bits, BigInt(a) + BigInt(b) + BigInt(carry)));
			const c = BigInt(carry);
			check(sum.flags, BigInt(sum.value), BigInt(a) + BigInt(b) + c, signed(a, size) + signed(b, size) + c, size);
			assert.equal((sum.flags & Flag.af) !== 0, (a & 15) + (b & 15) + carry > 15);
			const difference = subtract(a, b, carry, size);
			assert.equal(BigInt(difference.value), BigInt.asUintN(bits, BigInt(a) - BigInt(b) - c));
			check(
				difference.flags,
				BigInt(difference.value),
				BigInt(a) - BigInt(b) - c,
				signed(a, size) - signed(b, size) - c,
				size,
			);
		}),
	);
});

test("the logical operations clear CF and OF", () => {
	for (const [operation, expected] of [
		[1, 0xf7],
		[4, 0x81],
		[6, 0x76],
	] as const) {
		const { value, flags } = group1(operation, 0xb5, 0xc3, 1, 1);
		assert.equal(value, expected);
		assert.equal(flags & (Flag.cf | Flag.of), 0);
	}
});

test("shifts and rotates by hand", () => {
	const cases: [number, number, number, number, 1 | 2 | 4, number, number][] = [
		// operation, value, count, flags before, size; value, CF after
		[0, 0x81, 1, 0, 1, 0x03, 1],
		[1, 0x81, 1, 0, 1, 0xc0, 1],
		[2, 0x80, 1, 1, 1, 0x01, 1],
		[3, 0x01, 1, 0, 1, 0x00, 1],
		[4, 0x80000001, 4, 0, 4, 0x10, 0],
		[5, 0x80000001, 1, 0, 4, 0x40000000, 1],
		[7, 0x8000, 15, 0, 2, 0xffff, 0],
		[0, 0x1234, 16, 0, 2, 0x1234, 0],
		[4, 0xff, 32, Flag.cf, 1, 0xff, 1],
	];
	for (const [operation, value, count, before, size, result, carry] of cases) {
		const done = group2(operation, value, count, before, size);
		assert.deepEqual(
			[done.value, done.flags & Flag.cf],
			[result, carry],
			`${operation} ${value.toString(16)} ${count}`,
		);
	}
});

test("conditions", () => {
	assert.equal(condition(0xf, 0), true);
	assert.equal(condition(0xc, Flag.sf), true);
	assert.equal(condition(0xc, Flag.sf | Flag.of), false);
	assert.equal(condition(0x6, Flag.cf), true);
	assert.equal(condition(0x7, Flag.zf), false);
	assert.equal(condition(0xe, Flag.zf), true);
	assert.equal(condition(0x2, Flag.cf), true);
});
