// Every row of x87, MMX and SSE against the processor of this machine: random registers, memory, rounding modes and
// masks.

import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";
import type { Code } from "iced-x86";
import { defineMmx } from "../../emulator/isa/mmx/index.ts";
import { InstructionTable, nameOfCode } from "../../emulator/isa/row.ts";
import { defineSse } from "../../emulator/isa/sse/index.ts";
import { defineX87 } from "../../emulator/isa/x87/index.ts";
import { BareMachine, type InstructionState } from "./bare-machine.ts";
import { describe, differences, encodings, Random, randomState, type StateChoices, withImmediate } from "./cases.ts";
import { runNative, whyNoNativeProcessor } from "./native-runner.ts";

const SEED = Number(process.env.FLOATING_POINT_SEED ?? 20240601);
const skip = whyNoNativeProcessor() ?? false;

const table = new InstructionTable();
defineX87(table);
defineMmx(table);
defineSse(table);

/**
 * Approximate by definition, or compared elsewhere: pointers that the processor keeps differently, faults on reserved
 * bits.
 */
const elsewhere = /^(Fxrstor|Fxsave|Fldenv|Frstor|Fnsave|Fnstenv|Rcp|Rsqrt|Fldcw|Ldmxcsr)/;
const transcendental = /^(F2xm1|Fyl2x|Fyl2xp1|Fptan|Fpatan|Fsin|Fcos|Fsincos)$/;
const C1 = 0x200;

function statusIgnored(name: string): number {
	// FCOMI: the SDM clears C1, some processors keep it.
	return /^Fu?comip?_/.test(name) ? C1 : 0;
}

/** Runs `count` cases of each Code whose name matches, and returns the sentences about those that differ. */
function compareAll(
	pattern: RegExp,
	count: number,
	choices: StateChoices,
	seed: number,
): { cases: number; wrong: string[] } {
	const random = new Random(seed);
	const machine = new BareMachine();
	const found = encodings((code: Code) => {
		const name = nameOfCode(code);
		return table.get(code) !== undefined && pattern.test(name) && !elsewhere.test(name) && !transcendental.test(name);
	});
	const wrong: string[] = [];
	const named: string[] = [];
	const all: { code: Uint8Array; before: InstructionState }[] = [];
	for (const [code, list] of found)
		for (let n = 0; n < count; n++) {
			named.push(nameOfCode(code));
			all.push({ code: withImmediate(random.pick(list), code, random), before: randomState(random, choices) });
		}
	const native = runNative(all);
	for (const [index, { code, before }] of all.entries()) {
		const name = named[index]!;
		const compared = /comi/i.test(name) ? 0x8d5n : 0n;
		const found = differences(machine.run(code, before), native[index]!, compared, statusIgnored(name));
		if (found.length > 0 && wrong.length < 5)
			wrong.push(`${name} ${Buffer.from(code).toString("hex")}: ${found.join("; ")}\n${describe(before)}`);
	}
	return { cases: all.length, wrong };
}

function check(pattern: RegExp, count: number, choices: StateChoices = {}): void {
	const { cases, wrong } = compareAll(pattern, count, choices, SEED);
	assert.ok(cases > 0);
	assert.deepEqual(wrong, [], `seed ${SEED}`);
}

test("every row can be encoded by the test bench, or is known not to be", () => {
	const found = encodings((code) => table.get(code) !== undefined);
	const missing = table.rows.filter((row) => !found.has(row.code)).map((row) => row.name);
	// FRSTPM is the 80287XL's; the decoder knows it only on request. The 16-bit images need an operand-size prefix.
	const known = ["Fldenv_m14byte", "Fnsave_m94byte", "Fnstenv_m14byte", "Frstor_m94byte", "Frstpm"];
	assert.deepEqual(missing.sort(), known);
});

suite("against the processor of this machine", { skip }, () => {
	test("MMX", () => check(/_mm(_|$)|_mmm|^Emms/, 60));
	test("SSE moves and integers", () => check(/^(Mov|P|Ldd|And|Or|Xor|Unpck|Shuf|Mask|Stmxcsr)\w*_xmm/, 60));
	test("SSE floating point, masked", () => check(/^(?!P|Mov)\w*_xmm/, 150));
	test("SSE floating point, ordinary numbers", () => check(/^(?!P|Mov)\w*_xmm/, 150, { ordinary: true }));
	test("SSE floating point, some exceptions unmasked", () => check(/^(?!P|Mov)\w*_xmm/, 100, { unmaskSse: true }));
	test("x87, masked", () => check(/^(F|Wait)/, 100));
	// FLD of a denormal with that exception unmasked: the SDM (Vol. 1 §8.5.2) leaves the stack as it is, some
	// processors push.
	test("x87, some exceptions unmasked", () => check(/^F(?!ld_m(32|64)fp)/, 80, { unmaskX87: true }));

	test("transcendental functions are right to one unit in the last place", () => {
		const random = new Random(SEED);
		const machine = new BareMachine();
		const found = encodings((code) => transcendental.test(nameOfCode(code)));
		assert.equal(found.size, 8);
		for (const [code, [bytes]] of found) {
			const name = nameOfCode(code);
			const cases = Array.from({ length: 200 }, () => ({ code: bytes!, before: randomState(random) }));
			const native = runNative(cases);
			for (const [index, { before }] of cases.entries()) {
				const start = new DataView(before.fx.buffer);
				const exponent = start.getUint16(40, true) & 0x7fff;
				// Arguments for which the SDM defines no result.
				if (name === "F2xm1" && exponent >= 0x3fff && exponent < 0x7fff) continue;
				if (name === "Fyl2xp1" && exponent >= 0x3ffd && exponent < 0x7fff) continue;
				const actual = machine.run(bytes!, before);
				const distance = ulps(actual, native[index]!);
				assert.ok(
					distance <= 1n,
					`${name}: ${distance} ulps; ${differences(actual, native[index]!).join("; ")}\n${describe(before)}`,
				);
				const status = (state: InstructionState) =>
					new DataView(state.fx.buffer, state.fx.byteOffset).getUint16(2, true) & ~C1;
				assert.equal(status(actual), status(native[index]!), `${name} status\n${describe(before)}`);
			}
		}
	});

	test("approximate reciprocals keep the bound of the SDM and agree on special values", () => {
		const random = new Random(SEED);
		const machine = new BareMachine();
		for (const bytes of [
			[0xf3, 0x0f, 0x53, 0xc1],
			[0xf3, 0x0f, 0x52, 0xc1],
		]) {
			const cases = Array.from({ length: 2000 }, () => ({ code: new Uint8Array(bytes), before: randomState(random) }));
			const native = runNative(cases);
			for (const [index, { code, before }] of cases.entries()) {
				const read = (state: InstructionState) =>
					new DataView(state.fx.buffer, state.fx.byteOffset).getFloat32(160, true);
				const a = read(machine.run(code, before));
				const b = read(native[index]!);
				if (Number.isFinite(a) && a !== 0)
					assert.ok(Math.abs(a - b) <= Math.abs(b) * 2 ** -10.4, `${a} and ${b}\n${describe(before)}`);
				else assert.ok(Object.is(a, b), `${a} and ${b}\n${describe(before)}`);
			}
		}
	});
});

/** The greatest distance of two x87 stacks, register by register, in units in the last place. */
function ulps(a: InstructionState, b: InstructionState): bigint {
	let greatest = 0n;
	for (let n = 0; n < 8; n++) {
		const ordered = (state: InstructionState) => {
			const view = new DataView(state.fx.buffer, state.fx.byteOffset);
			const high = view.getUint16(40 + n * 16, true);
			// Normal numbers: the significand without its integer bit continues the exponent.
			const magnitude = (BigInt(high & 0x7fff) << 63n) + (view.getBigUint64(32 + n * 16, true) & 0x7fffffffffffffffn);
			return high & 0x8000 ? -magnitude : magnitude;
		};
		const difference = ordered(a) - ordered(b);
		const distance = difference < 0n ? -difference : difference;
		if (distance > greatest) greatest = distance;
	}
	return greatest;
}
