// The lazy form of EFLAGS: every combination of the arithmetic flags survives, alone and merged.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { BareProcessor } from "../../test/tools/bare-processor.ts";
import { Eflags } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";

test("what is written is read back, for all 64 arithmetic combinations", () => {
	const { flags } = new BareProcessor().processor.core;
	for (let bits = 0; bits < 64; bits++) {
		const value =
			(bits & 1) | ((bits & 2) << 1) | ((bits & 4) << 2) | ((bits & 8) << 3) | ((bits & 16) << 3) | ((bits & 32) << 6);
		flags.writeEflags(value, Eflags.arithmetic);
		assert.equal(flags.readEflags(), value | 2);
	}
});

test("a mask leaves the other flags alone, and IF is copied", () => {
	const bare = new BareProcessor();
	const { flags } = bare.processor.core;
	const any = fc.integer({ min: 0, max: 0x3fffff });
	const seed = 20261122;
	fc.assert(
		fc.property(any, any, any, (before, value, mask) => {
			flags.writeEflags(before, -1);
			flags.writeEflags(value, mask);
			const real = Eflags.arithmetic | Eflags.rest;
			assert.equal(flags.readEflags(), (((before & ~mask) | (value & mask)) & real) | 2);
			assert.equal(bare.physical.i32[State.interruptsEnabled >> 2], (flags.readEflags() >> 9) & 1);
		}),
		{ seed },
	);
});

test("the forms that generated code leaves are read by their definition", () => {
	const bare = new BareProcessor();
	const { flags } = bare.processor.core;
	const read = (result: bigint, aux: number): number => {
		bare.physical.i64[State.flagsResult >> 3] = result;
		bare.physical.i32[State.flagsAux >> 2] = aux;
		return flags.readEflags() & Eflags.arithmetic;
	};
	assert.equal(read(-1n, 0), Eflags.SF | Eflags.PF);
	assert.equal(read(0n, 0x80000000 | 8), Eflags.ZF | Eflags.PF | Eflags.CF | Eflags.OF | Eflags.AF);
	assert.equal(read(0n, 0x40000001), Eflags.ZF | Eflags.PF | Eflags.SF | Eflags.OF);
	assert.equal(read(0x100n, 0x100), 0);
});
