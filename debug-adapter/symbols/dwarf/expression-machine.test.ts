import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SymbolError } from "../errors.ts";
import { evaluateLocation } from "./expression-machine.ts";
import type { Location, LocationContext } from "./location.ts";
import { DW_OP } from "./operations.ts";

const scope = { addressSize: 4, offsetSize: 4, version: 5, what: "test" };
const context: LocationContext = {
	readRegister: (register) => (register < 8 ? BigInt(register) * 0x100n : undefined),
	readMemory: (address, length) =>
		address < 0x1000n ? Uint8Array.from({ length }, (_, i) => (Number(address) + i) & 0xff) : undefined,
	frameBase: 0x800n,
	cfa: 0x900n,
	relocate: (address) => address + 0x10n,
};

function run(...bytes: number[]): Location {
	return evaluateLocation(Uint8Array.from(bytes), scope, context);
}

/** The value that operations leave on the stack. */
function value(...bytes: number[]): bigint {
	const location = run(...bytes, DW_OP.stack_value);
	assert.ok(
		location.kind === "value",
		JSON.stringify(location, (_, v) => (typeof v === "bigint" ? String(v) : v)),
	);
	return location.value;
}

const lit = (number: number) => DW_OP.lit0 + number;

test("places", () => {
	assert.deepEqual(run(DW_OP.addr, 0, 1, 0, 0), { kind: "memory", address: 0x110n });
	assert.deepEqual(run(DW_OP.reg0 + 3), { kind: "register", register: 3 });
	assert.deepEqual(run(DW_OP.regx, 0x81, 0x01), { kind: "register", register: 129 });
	assert.deepEqual(run(DW_OP.fbreg, 0x7c), { kind: "memory", address: 0x7fcn });
	assert.deepEqual(run(DW_OP.call_frame_cfa), { kind: "memory", address: 0x900n });
	assert.deepEqual(run(DW_OP.breg0 + 2, 0x10), { kind: "memory", address: 0x210n });
	assert.deepEqual(run(DW_OP.bregx, 3, 0x7f), { kind: "memory", address: 0x2ffn });
	assert.deepEqual(run(DW_OP.implicit_value, 2, 7, 8), { kind: "bytes", bytes: Uint8Array.of(7, 8) });
});

test("pieces, also missing ones and bits", () => {
	assert.deepEqual(run(DW_OP.reg0 + 1, DW_OP.piece, 4, DW_OP.piece, 2, DW_OP.fbreg, 0, DW_OP.bit_piece, 5, 3), {
		kind: "pieces",
		pieces: [
			{ location: { kind: "register", register: 1 }, bitSize: 32, bitOffset: 0 },
			{ location: { kind: "unavailable", reason: "optimized out" }, bitSize: 16, bitOffset: 0 },
			{ location: { kind: "memory", address: 0x800n }, bitSize: 5, bitOffset: 3 },
		],
	});
});

test("what is not to be had says why", () => {
	assert.deepEqual(run(), { kind: "unavailable", reason: "optimized out" });
	assert.deepEqual(run(DW_OP.entry_value, 1, DW_OP.reg0, DW_OP.stack_value), {
		kind: "unavailable",
		reason: "optimized out: only the value at function entry is known",
	});
	assert.deepEqual(run(DW_OP.breg0 + 9, 0), { kind: "unavailable", reason: "register 9 is not known in this frame" });
	assert.deepEqual(run(DW_OP.const2u, 0, 0x20, DW_OP.deref), {
		kind: "unavailable",
		reason: "memory at 0x2000 cannot be read",
	});
	assert.deepEqual(run(0xe0), {
		kind: "unavailable",
		reason: "its location uses the operation 0xe0, which is not read",
	});
	assert.deepEqual(run(lit(1), lit(0), DW_OP.div), { kind: "unavailable", reason: "its location divides by zero" });
});

test("the stack and arithmetic wrap at the size of an address", () => {
	assert.equal(value(lit(1), lit(2), DW_OP.minus), 0xffffffffn);
	assert.equal(value(DW_OP.const1s, 0xff, lit(31), DW_OP.shra), 0xffffffffn);
	assert.equal(value(DW_OP.const1s, 0xff, lit(31), DW_OP.shr), 1n);
	assert.equal(value(DW_OP.const1s, 0xfa, lit(4), DW_OP.div), 0xffffffffn);
	assert.equal(value(DW_OP.const1s, 0xff, lit(1), DW_OP.lt), 1n);
	assert.equal(value(lit(5), lit(3), DW_OP.mod), 2n);
	assert.equal(value(lit(1), lit(2), lit(3), DW_OP.rot, DW_OP.drop), 1n);
	assert.equal(value(lit(1), lit(2), lit(3), DW_OP.rot), 2n);
	assert.equal(value(lit(1), lit(2), DW_OP.over, DW_OP.swap, DW_OP.drop), 1n);
	assert.equal(value(lit(7), lit(2), DW_OP.pick, 1), 7n);
	assert.equal(value(DW_OP.const1s, 0x85, DW_OP.abs), 0x7bn);
	assert.equal(value(lit(5), DW_OP.not, DW_OP.neg), 6n);
	assert.equal(value(lit(16), DW_OP.deref_size, 2), 0x1110n);
	assert.equal(value(lit(16), DW_OP.plus_uconst, 0x90, 1, DW_OP.deref), 0xa3a2a1a0n);
	assert.equal(value(DW_OP.const4s, 0, 0, 0, 0x80), 0x80000000n);
	assert.equal(value(DW_OP.constu, 0xff, 0xff, 0xff, 0xff, 0x1f), 0xffffffffn);
	assert.equal(value(lit(1), DW_OP.bra, 2, 0, lit(9), DW_OP.nop, lit(8)), 8n);
});

test("malformed and endless expressions are refused", () => {
	const refuse = (why: RegExp, ...bytes: number[]) =>
		assert.throws(
			() => run(...bytes),
			(error) => error instanceof SymbolError && why.test(error.message),
		);
	refuse(/does not end within 10000 steps/, DW_OP.skip, 0xfd, 0xff);
	refuse(/takes a value from an empty stack/, DW_OP.plus);
	refuse(/looks below the end of the stack/, DW_OP.dup);
	refuse(/branches outside of itself/, DW_OP.skip, 100, 0);
	refuse(/is truncated/, DW_OP.const4u, 1);
	refuse(/goes on after a place was named/, DW_OP.reg0, lit(1));
	refuse(/needs a stack of more than 256 entries/, lit(1), DW_OP.skip, 0xfc, 0xff);
});

test("any bytes give a location or a typed error", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
			try {
				run(...bytes);
			} catch (error) {
				assert.ok(error instanceof SymbolError, String(error));
			}
		}),
		{ numRuns: 2000 },
	);
});
