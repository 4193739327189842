// FNSTENV, FNSAVE, FXSAVE and their counterparts: images against the processor of this machine, and the faults around
// them.

import assert from "node:assert/strict";
import { describe as suite, test } from "node:test";
import { Vector } from "../../emulator/engine/fault.ts";
import { BareMachine, type InstructionState } from "./bare-machine.ts";
import { differences, Random, randomExtended, randomState } from "./cases.ts";
import { runNative, whyNoNativeProcessor } from "./native-runner.ts";

const skip = whyNoNativeProcessor() ?? false;
const NO_EXCEPTION = -1;
const CR0 = 0x21;
const CR4 = 0x600;

/** Clears the bytes that hold the last instruction's address, operand and opcode, which processors keep differently. */
function withoutPointers(data: Uint8Array, ranges: readonly (readonly [number, number])[]): Uint8Array {
	const copy = data.slice();
	for (const [from, to] of ranges) copy.fill(0, from, to);
	return copy;
}

function compareImages(
	code: number[],
	ranges: readonly (readonly [number, number])[],
	prepare = (_state: InstructionState, _random: Random) => {},
): void {
	const random = new Random(7);
	const machine = new BareMachine();
	const cases = Array.from({ length: 100 }, () => {
		const before = randomState(random);
		prepare(before, random);
		return { code: new Uint8Array(code), before };
	});
	const native = runNative(cases);
	for (const [index, { code: bytes, before }] of cases.entries()) {
		const actual = machine.run(bytes, before);
		const expected = native[index]!;
		const found = differences(
			{ ...actual, data: withoutPointers(actual.data, ranges) },
			{ ...expected, data: withoutPointers(expected.data, ranges) },
		);
		assert.deepEqual(found, []);
	}
}

/** An x87 environment in memory, 16-bit or 32-bit, with registers behind it. */
function environmentInMemory(wide: boolean) {
	return (state: InstructionState, random: Random): void => {
		const view = new DataView(state.data.buffer);
		const step = wide ? 4 : 2;
		view.setUint16(0, 0x7f | (random.below(16) << 8), true);
		view.setUint16(step, random.next() & 0x7f7f, true);
		view.setUint16(2 * step, random.next(), true);
		for (let n = 0; n < 8; n++) {
			const [high, low] = randomExtended(random);
			view.setBigUint64(7 * step + n * 10, low, true);
			view.setUint16(7 * step + n * 10 + 8, high, true);
		}
	};
}

suite("images against the processor of this machine", { skip }, () => {
	test("FNSTENV, 32-bit", () => compareImages([0xd9, 0x36], [[12, 28]]));
	test("FNSTENV, 16-bit", () => compareImages([0x66, 0xd9, 0x36], [[6, 14]]));
	test("FNSAVE, 32-bit", () => compareImages([0xdd, 0x36], [[12, 28]]));
	test("FNSAVE, 16-bit", () => compareImages([0x66, 0xdd, 0x36], [[6, 14]]));
	test("FLDENV, 32-bit", () => compareImages([0xd9, 0x26], [], environmentInMemory(true)));
	test("FLDENV, 16-bit", () => compareImages([0x66, 0xd9, 0x26], [], environmentInMemory(false)));
	test("FRSTOR, 32-bit", () => compareImages([0xdd, 0x26], [], environmentInMemory(true)));
	test("FRSTOR, 16-bit", () => compareImages([0x66, 0xdd, 0x26], [], environmentInMemory(false)));
	const pointersAndMask = [
		[5, 24],
		[28, 32],
	] as const;
	test("FXSAVE", () => compareImages([0x0f, 0xae, 0x06], pointersAndMask));
	test("FXSAVE64", () => compareImages([0x48, 0x0f, 0xae, 0x06], pointersAndMask));
	test("FXRSTOR", () =>
		compareImages([0x0f, 0xae, 0x0e], [], (state, random) => {
			state.data.set(randomState(random).fx);
		}));
	for (const [name, opcode] of [
		["XSAVE", [0x0f, 0xae, 0x26]],
		["XSAVE64", [0x48, 0x0f, 0xae, 0x26]],
		["XSAVEOPT", [0x0f, 0xae, 0x36]],
		["XSAVEOPT64", [0x48, 0x0f, 0xae, 0x36]],
	] as const)
		test(`${name}: requested parts, the others and the header's other bits stay`, () =>
			compareImages([...opcode], pointersAndMask, (state, random) => {
				state.gpr[0] = BigInt(random.below(4));
				state.gpr[2] = 0n;
				for (let at = 0; at < 576; at++) state.data[at] = random.next();
			}));
	for (const [name, opcode] of [
		["XRSTOR", [0x0f, 0xae, 0x2e]],
		["XRSTOR64", [0x48, 0x0f, 0xae, 0x2e]],
	] as const)
		test(`${name}: loads, initializes or leaves each part; MXCSR and header are checked`, () =>
			compareImages([...opcode], [], (state, random) => {
				state.gpr[0] = BigInt(random.below(4));
				state.gpr[2] = 0n;
				state.data.set(randomState(random).fx);
				state.data[512] = random.below(4);
				// Reserved: bits of MXCSR, of XCOMP_BV, and the bytes behind it.
				if (random.below(8) === 0) state.data[26] = 1;
				if (random.below(8) === 0) state.data[random.pick([513, 519, 520, 527, 528, 535])] = 0x80;
				// These are not.
				if (random.below(4) === 0) state.data[536 + random.below(40)] = random.next();
			}));
	test("XSAVE, XSAVEOPT and XRSTOR of an area that is not aligned to 64 bytes", () => {
		for (const code of [
			[0x0f, 0xae, 0x66, 16],
			[0x0f, 0xae, 0x76, 32],
			[0x0f, 0xae, 0x6e, 48],
		])
			compareImages(code, []);
	});
	test("FLDCW", () =>
		compareImages([0xd9, 0x2e], [], (state, random) => state.data.set([random.next(), random.next()])));
	test("LDMXCSR", () =>
		compareImages([0x0f, 0xae, 0x16], [], (state, random) => state.data.set([random.next(), random.next(), 0, 0])));
});

function state(): InstructionState {
	return randomState(new Random(3));
}

function vectorOf(machine: BareMachine, code: number[], before = state()): number {
	return machine.run(new Uint8Array(code), before).vector;
}

test("images in one page and across two are the same: those are generated code's, these the helper's", () => {
	const machine = new BareMachine();
	const random = new Random(23);
	const ACROSS = 4096 - 320;
	/** 0F AE /n [RSI+place]. */
	const encode = (wide: boolean, n: number, place: number) =>
		new Uint8Array([...(wide ? [0x48] : []), 0x0f, 0xae, 0x86 | (n << 3), place & 0xff, place >> 8, 0, 0]);
	const image = () => {
		const bytes = new Uint8Array(576);
		bytes.set(randomState(random).fx);
		for (let at = 4; at < 24; at++) bytes[at] = random.next();
		bytes[512] = random.below(4);
		if (random.below(8) === 0) bytes[random.pick([26, 512, 513, 519, 520, 527, 528, 535])] = 0x80;
		return bytes;
	};
	const inPlace = (state: InstructionState, bytes: Uint8Array, place: number): InstructionState => {
		const data = new Uint8Array(8192);
		data.set(bytes, place);
		return { ...state, data };
	};
	const fxsave64 = encode(true, 0, ACROSS);
	let direct = 0;
	for (let n = 0; n < 600; n++) {
		const [wide, operation] = [random.below(2) === 1, random.pick([0, 1, 4, 5, 6])];
		const state = randomState(random);
		// Initial configurations, so that XSAVEOPT has something to leave out.
		if (random.below(4) === 0) state.fx.fill(0, 160, 416);
		if (random.below(4) === 0) {
			state.fx.fill(0, 0, 24);
			state.fx.fill(0, 32, 160);
			state.fx.set([0x7f, 3]);
		}
		state.gpr[0] = BigInt(random.below(4));
		state.gpr[2] = 0n;
		const bytes = image();
		const pointers = random.below(4) === 0 ? new Uint8Array(576) : image();
		pointers.fill(0, 24, 28);
		const results = ([[0], [ACROSS], [0, "compiled"]] as const).map(([place, tier]) => {
			machine.run(encode(true, 1, ACROSS), inPlace(state, pointers, ACROSS));
			const before = machine.helperCalls;
			const code = encode(wide, operation, place);
			const placed = inPlace(state, bytes, place);
			const after = tier ? machine.runCompiled(code, placed) : machine.run(code, placed);
			const calls = machine.helperCalls - before;
			if (place === 0 && !tier && calls === 0) direct++;
			if (place === ACROSS) assert.equal(calls, 1);
			// The pointers as they are now, beside registers that are those of the run above.
			const seen = machine.run(fxsave64, inPlace(state, new Uint8Array(0), ACROSS));
			return {
				...after,
				data: after.data.slice(place, place + 576),
				pointers: seen.data.slice(ACROSS + 6, ACROSS + 24),
			};
		});
		const instruction = `case ${n}: 0F AE /${operation}${wide ? " with REX.W" : ""}`;
		assert.deepEqual(results[0], results[1], instruction);
		assert.deepEqual(results[2], results[1], `${instruction}, compiled`);
	}
	assert.ok(direct > 400, `${direct} in generated code`);
	assert.ok(machine.compiled > 400, `${machine.compiled} instructions compiled`);
});

test("what FXSAVE wrote FXRSTOR reads back", () => {
	const machine = new BareMachine();
	const random = new Random(11);
	for (let n = 0; n < 50; n++) {
		const before = randomState(random);
		const image = machine.run(new Uint8Array([0x48, 0x0f, 0xae, 0x06]), before);
		const other = randomState(random);
		other.data = image.data;
		const after = machine.run(new Uint8Array([0x48, 0x0f, 0xae, 0x0e]), other);
		assert.deepEqual(after.fx.subarray(32), image.fx.subarray(32));
		assert.deepEqual(after.fx.subarray(0, 5), image.fx.subarray(0, 5));
	}
});

test("128-bit operands have to be aligned: #GP", () => {
	const machine = new BareMachine();
	// [rsi + 8]: MOVAPS, PXOR, ADDPD, MOVNTDQ, FXSAVE; MOVUPS, MOVDQU, LDDQU, MOVSD do not care.
	for (const code of [
		[0x0f, 0x28, 0x46, 8],
		[0x0f, 0x29, 0x46, 8],
		[0x66, 0x0f, 0xef, 0x46, 8],
		[0x66, 0x0f, 0x58, 0x46, 8],
		[0x66, 0x0f, 0xe7, 0x46, 8],
		[0x0f, 0xae, 0x46, 8],
		[0x0f, 0xae, 0x4e, 8],
	])
		assert.equal(vectorOf(machine, code), Vector.generalProtection, Buffer.from(code).toString("hex"));
	for (const code of [
		[0x0f, 0x10, 0x46, 8],
		[0x0f, 0x11, 0x46, 8],
		[0xf3, 0x0f, 0x6f, 0x46, 8],
		[0xf2, 0x0f, 0xf0, 0x46, 8],
		[0xf2, 0x0f, 0x10, 0x46, 8],
	])
		assert.equal(vectorOf(machine, code), NO_EXCEPTION, Buffer.from(code).toString("hex"));
});

test("reserved bits of MXCSR: #GP, and nothing changes", () => {
	const machine = new BareMachine();
	const before = state();
	before.data.set([0x80, 0x1f, 1, 0]);
	const after = machine.run(new Uint8Array([0x0f, 0xae, 0x16]), before);
	assert.equal(after.vector, Vector.generalProtection);
	assert.deepEqual(after.fx.subarray(24, 28), before.fx.subarray(24, 28));
});

test("CR0.EM, CR0.TS, CR4.OSFXSR (SDM Vol. 3A §2.5, §13.1)", () => {
	const machine = new BareMachine();
	const fadd = [0xd8, 0xc1];
	const paddb = [0x0f, 0xfc, 0xc1];
	const addps = [0x0f, 0x58, 0xc1];
	const fxsave = [0x0f, 0xae, 0x06];
	const fwait = [0x9b];
	const none = NO_EXCEPTION;
	const { invalidOpcode: ud, deviceNotAvailable: nm } = Vector;
	const rows: readonly (readonly [name: string, cr0: number, cr4: number, expected: readonly number[]])[] = [
		["plain", CR0, CR4, [none, none, none, none, none]],
		["EM", CR0 | 4, CR4, [nm, ud, ud, nm, none]],
		["TS", CR0 | 8, CR4, [nm, nm, nm, nm, none]],
		["TS and MP", CR0 | 0xa, CR4, [nm, nm, nm, nm, nm]],
		["no OSFXSR", CR0, CR4 & ~0x200, [none, none, ud, none, none]],
	];
	for (const [name, cr0, cr4, expected] of rows) {
		machine.setControl(cr0, cr4);
		const got = [fadd, paddb, addps, fxsave, fwait].map((code) => vectorOf(machine, code));
		assert.deepEqual(got, expected, name);
	}
});

test("an unmasked x87 exception is raised by the next waiting instruction as #MF", () => {
	const machine = new BareMachine();
	const before = state();
	const view = new DataView(before.fx.buffer);
	// Zero divide unmasked; 1 / 0.
	view.setUint16(0, 0x37b, true);
	view.setUint16(2, 0, true);
	before.fx[4] = 0xff;
	before.fx.fill(0, 32, 64);
	before.fx.set([0, 0, 0, 0, 0, 0, 0, 0x80, 0xff, 0x3f], 32);
	const divided = machine.run(new Uint8Array([0xd8, 0xf1]), before);
	assert.equal(divided.vector, NO_EXCEPTION);
	assert.equal(new DataView(divided.fx.buffer).getUint16(2, true) & 0x8084, 0x8084);
	const next = { ...before, fx: divided.fx };
	assert.equal(vectorOf(machine, [0xd9, 0xe8], next), Vector.x87FloatingPoint);
	assert.equal(vectorOf(machine, [0x9b], next), Vector.x87FloatingPoint);
	assert.equal(vectorOf(machine, [0x0f, 0xfc, 0xc1], next), Vector.x87FloatingPoint);
	assert.equal(vectorOf(machine, [0xdb, 0xe2], next), NO_EXCEPTION, "FNCLEX does not wait");
	assert.equal(vectorOf(machine, [0xdd, 0x3e], next), NO_EXCEPTION, "FNSTSW does not wait");
});

test("an unmasked SSE exception without CR4.OSXMMEXCPT is #UD", () => {
	const machine = new BareMachine();
	const before = state();
	new DataView(before.fx.buffer).setUint32(24, 0x1d80, true);
	before.fx.set([0, 0, 0x80, 0x3f], 160);
	before.fx.set([0, 0, 0, 0], 176);
	const divss = [0xf3, 0x0f, 0x5e, 0xc1];
	assert.equal(vectorOf(machine, divss, before), Vector.simdFloatingPoint);
	machine.setControl(CR0, 0x200);
	assert.equal(vectorOf(machine, divss, before), Vector.invalidOpcode);
});
