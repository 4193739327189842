// What the comparison with a real processor (test/oracle/) found wrong once: one test each.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Vector } from "../../engine/fault.ts";
import { FlatProcessor } from "../../engine/flat-processor.ts";
import { AccessKind } from "../../engine/helper.ts";
import { RAM_BASE, Segment, SegmentSlot, State, segmentSlot } from "../state.ts";

const CODE = 0x1000n;
const STACK = 0x8000n;
const RAX = 0;
const RCX = 1;
const RSP = 4;
const RBP = 5;

/** A processor with `code` (hex) at CODE and the stack at STACK; code size as log2 of bytes. */
function machine(codeSize: 1 | 2 | 3, code: string): FlatProcessor {
	const processor = new FlatProcessor(0x10000, codeSize);
	const { i64, u8 } = processor.physical;
	u8.set(Buffer.from(code, "hex"), RAM_BASE + Number(CODE));
	i64[State.rip >> 3] = CODE;
	i64[(State.gpr >> 3) + RSP] = STACK;
	return processor;
}

function register(processor: FlatProcessor, number: number): bigint {
	return BigInt.asUintN(64, processor.physical.i64[(State.gpr >> 3) + number]!);
}

function setRegister(processor: FlatProcessor, number: number, value: bigint): void {
	processor.physical.i64[(State.gpr >> 3) + number] = BigInt.asIntN(64, value);
}

test("CMPXCHG r32 that fails leaves all 64 bits of its destination", () => {
	const processor = machine(3, "0fb1c9"); // cmpxchg ecx, ecx
	setRegister(processor, RAX, 5n);
	setRegister(processor, RCX, 0x80000000_00000007n);
	processor.engine.step();
	assert.equal(register(processor, RCX), 0x80000000_00000007n);
	assert.equal(register(processor, RAX), 7n);
});

test("CMPXCHG r32 that succeeds leaves all 64 bits of RAX", () => {
	const processor = machine(3, "0fb1d1"); // cmpxchg ecx, edx
	setRegister(processor, RAX, 0x12345678_00000005n);
	setRegister(processor, RCX, 0xffffffff_00000005n);
	processor.engine.step();
	assert.equal(register(processor, RCX), 0n);
	assert.equal(register(processor, RAX), 0x12345678_00000005n);
});

test("ENTER faults when its final stack pointer could not be written", () => {
	const processor = machine(3, "c8ffff00"); // enter 0xffff, 0
	setRegister(processor, RBP, 0x7777n);
	processor.engine.step();
	assert.equal(processor.fault?.vector, Vector.pageFault);
	assert.equal(register(processor, RSP), STACK);
	assert.equal(register(processor, RBP), 0x7777n);
});

test("ENTER with a 32-bit operand on a 16-bit stack copies all of ESP to EBP", () => {
	const processor = machine(1, "66c8040000"); // enter 4, 0
	setRegister(processor, RSP, 0x12348000n);
	processor.engine.step();
	assert.equal(register(processor, RBP), 0x12347ffcn);
	assert.equal(register(processor, RSP), 0x12347ff8n);
});

for (const { name, code, segment } of [
	{ name: "a prefix of DS leaves SS to [rsp]", code: "3e8b0424", segment: Segment.ss },
	{ name: "a prefix of SS leaves DS to [rax]", code: "368b00", segment: Segment.ds },
	{ name: "a prefix of SS leaves DS to LODS", code: "36ad", segment: Segment.ds },
	{ name: "a prefix of FS counts", code: "648b00", segment: Segment.fs },
] as const)
	test(`in 64-bit mode ${name}`, () => {
		const processor = machine(3, code);
		let asked = -1;
		processor.slowRead = (_record, _low, _high, kind) => {
			asked = (kind & AccessKind.segmentMask) >> AccessKind.segmentShift;
		};
		processor.engine.step();
		assert.equal(asked, segment);
	});

for (const { name, codeSize, code, target } of [
	{ name: "RET to a target that is not canonical", codeSize: 3, code: "c3", target: 0x8000_0000_0000n },
	{ name: "RETD beyond the limit of a 16-bit segment", codeSize: 1, code: "66c3", target: 0x10000n },
	{ name: "JMP r64 to a target that is not canonical", codeSize: 3, code: "ffe1", target: 1n << 63n },
	{ name: "CALL r64 to a target that is not canonical", codeSize: 3, code: "ffd1", target: 1n << 63n },
	{ name: "CALL rel32 beyond the limit of a 16-bit segment", codeSize: 1, code: "66e800000100", target: 0n },
	{ name: "a taken JE rel32 beyond the limit of a 16-bit segment", codeSize: 1, code: "660f8400000100", target: 0n },
] as const)
	test(`${name} is a fault of the branch`, () => {
		const processor = machine(codeSize, code);
		setRegister(processor, RCX, target);
		processor.physical.i64[State.flagsResult >> 3] = 0n;
		processor.physical.view.setBigUint64(RAM_BASE + Number(STACK), target, true);
		processor.engine.step();
		assert.equal(processor.fault?.vector, Vector.generalProtection);
		assert.equal(processor.fault?.errorCode, 0);
		assert.equal(processor.physical.i64[State.rip >> 3], CODE);
		assert.equal(register(processor, RSP), STACK);
	});

test("LOOP that would leave the segment keeps its counter", () => {
	const processor = machine(1, "e280"); // loop -0x80
	processor.physical.i32[(segmentSlot(Segment.cs) + SegmentSlot.limit) >> 2] = 0xf0;
	setRegister(processor, RCX, 2n);
	processor.engine.step();
	assert.equal(processor.fault?.vector, Vector.generalProtection);
	assert.equal(register(processor, RCX), 2n);
});

test("a branch retires before the fault of fetching at its target", () => {
	const processor = machine(2, "e9fb0f0100"); // jmp 0x12000, beyond memory
	processor.engine.step();
	const vector = () => processor.fault?.vector;
	assert.equal(vector(), undefined);
	assert.equal(processor.engine.retired, 1);
	assert.equal(processor.physical.i64[State.rip >> 3], 0x12000n);
	processor.engine.step();
	assert.equal(vector(), Vector.pageFault);
	assert.equal(processor.engine.retired, 1);
});

test("SHLD and SHRD of words by more than 16 take destination, source and destination in a row", () => {
	// CX = 5613H and DX = 3D34H by 13H; the row is 5613 3D34 5613.
	for (const [code, expected] of [
		["660fa5d1", 0xe9a2n], // shld cx, dx, cl
		["660fadd1", 0x67a6n], // shrd cx, dx, cl
	] as const) {
		const processor = machine(3, code);
		setRegister(processor, RCX, 0x5613n);
		setRegister(processor, 2, 0x3d34n);
		processor.engine.step();
		assert.equal(register(processor, RCX) & 0xffffn, expected);
	}
});
