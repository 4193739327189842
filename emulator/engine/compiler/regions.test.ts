import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { RAM_BASE, Segment, State, segmentSlot } from "../../isa/state.ts";
import { ExitReason } from "../exit-reason.ts";
import { Vector } from "../fault.ts";
import { FlatProcessor } from "../flat-processor.ts";
import { Outcome } from "../helper.ts";

const CODE = 0x1000;
const MODE32 = 2;
const MODE64 = 3;
const EAX = State.gpr >> 2;
const ECX = (State.gpr + 8) >> 2;

/** A flat 32-bit processor whose code at 0x1000 has been run once, so that it is decoded, and then compiled. */
function compiled(code: readonly number[], warm: number, mode: 2 | 3 = MODE32): FlatProcessor {
	const processor = new FlatProcessor(0x100000, mode);
	processor.physical.poke(CODE, new Uint8Array(code));
	restart(processor);
	processor.engine.execute(warm);
	processor.engine.regions!.compilePage(CODE >> 12, mode);
	assert.ok(processor.engine.regions!.regionsCompiled > 0);
	restart(processor);
	return processor;
}

function restart({ physical }: FlatProcessor): void {
	physical.i64.fill(0n, State.gpr >> 3, (State.gpr >> 3) + 16);
	physical.i64[State.rip >> 3] = BigInt(CODE);
}

describe("compiled regions", () => {
	// inc eax; cmp eax, 10; jne -6; xor eax, eax; jmp -10
	const loop = [0x40, 0x83, 0xf8, 0x0a, 0x75, 0xfa, 0x31, 0xc0, 0xeb, 0xf6];

	test("retire exactly what is asked, at any place of a loop", () => {
		const processor = compiled(loop, 1000);
		for (let count = 256; count < 330; count++) {
			restart(processor);
			const before = processor.engine.retired;
			assert.equal(processor.engine.execute(count), ExitReason.fuel);
			assert.equal(processor.engine.retired - before, count);
			// One turn of the outer loop is 10 × 3 instructions and two more.
			const inTurn = count % 32;
			const expected = inTurn === 31 ? 0 : Math.floor((inTurn + 2) / 3);
			assert.equal(processor.physical.i32[EAX], expected, `after ${count} instructions`);
		}
		assert.ok(processor.engine.tiers.compiled > 10_000);
	});

	test("are made of pages that samples find hot", () => {
		const processor = new FlatProcessor(0x100000, MODE32);
		processor.physical.poke(CODE, new Uint8Array(loop));
		restart(processor);
		processor.engine.execute(1_000_000);
		const { interpreter, compiled: inRegions } = processor.engine.tiers;
		assert.equal(interpreter + inRegions, 1_000_000);
		assert.ok(inRegions > 500_000, `only ${inRegions} instructions ran compiled`);
	});

	test("go when their code changes, also by their own hand", () => {
		// mov byte [1008h+6], 7; nop; mov ecx, 1 (its immediate is changed); jmp back
		const code = [0xc6, 0x05, 0x09, 0x10, 0, 0, 0x07, 0x90, 0xb9, 1, 0, 0, 0, 0x41, 0xeb, 0xf0];
		const processor = compiled(code, 5);
		assert.equal(processor.physical.u8[RAM_BASE + CODE + 9], 7);
		processor.physical.poke(CODE + 9, new Uint8Array([1]));
		restart(processor);
		processor.engine.execute(4);
		assert.equal(processor.physical.i32[ECX], 8);
	});

	test("stop behind the helper that asks for it", () => {
		// cpuid; inc eax; inc eax; jmp back
		let calls = 0;
		const machine = withHelper([0x0f, 0xa2, 0x40, 0x40, 0xeb, 0xfa], (engine) => {
			if (++calls === 5) engine.stopAfterInstruction();
		});
		assert.equal(machine.engine.execute(1000), ExitReason.attention);
		assert.equal(calls, 5);
		assert.equal(machine.physical.i32[EAX], 8);
		assert.equal(machine.engine.retired, 1000 + 4 * 4 + 1);
		assert.ok(machine.engine.tiers.compiled > 0 && machine.engine.tiers.compiled <= 17);
	});

	test("are left when a helper changes what they were made from", () => {
		let calls = 0;
		const machine = withHelper([0x0f, 0xa2, 0x40, 0x40, 0xeb, 0xfa], (engine, poke) => {
			// From its second call on, the instruction after the next is DEC ECX.
			if (engine.retired >= 1000 && ++calls === 2) poke(CODE + 3, [0x49]);
		});
		machine.engine.execute(256);
		assert.equal(machine.physical.i32[EAX], 64 + 1);
		assert.equal(machine.physical.i32[ECX], -63);
	});

	test("go on behind a load of DS, and not as if its segment still were flat", () => {
		const slot = segmentSlot(Segment.ds);
		let loads = 0;
		const processor: FlatProcessor = new FlatProcessor(0x100000, MODE32, {
			// Every third load is of a segment with a base.
			moveToSegment: () => {
				const { i32 } = processor.physical;
				const based = ++loads % 3 === 0;
				const bit = 1 << Segment.ds;
				i32[slot >> 2] = based ? 0x4000 : 0;
				i32[State.flatSegments >> 2] = based ? 0x3f3f & ~(bit * 0x101) : 0x3f3f;
				return Outcome.next;
			},
		});
		const { physical, engine } = processor;
		physical.view.setInt32(RAM_BASE + 0x2000, 1, true);
		physical.view.setInt32(RAM_BASE + 0x6000, 100, true);
		// The slow path of this processor knows no bases: both pages have to be in the TLB.
		for (const page of [2, 6]) processor.tlb.fill(page << 12, 0, page, true);
		// mov ds, ax; add ecx, [2000h]; jmp back
		physical.poke(CODE, new Uint8Array([0x8e, 0xd8, 0x03, 0x0d, 0x00, 0x20, 0, 0, 0xeb, 0xf6]));
		restart(processor);
		engine.execute(6);
		engine.regions!.compilePage(CODE >> 12, MODE32);
		restart(processor);
		loads = 0;
		const before = engine.tiers.compiled;
		assert.equal(engine.execute(900), ExitReason.fuel);
		assert.equal(loads, 300);
		assert.equal(physical.i32[ECX], 200 * 1 + 100 * 100);
		assert.ok(engine.tiers.compiled - before > 500, "most of it runs compiled");
	});

	test("stop at breakpoints that are set when they exist already", () => {
		const processor = compiled(loop, 1000);
		processor.engine.code.setBreakpointOffsets(new Set([6]));
		assert.equal(processor.engine.execute(1000), ExitReason.breakpoint);
		assert.equal(processor.physical.i32[EAX], 10);
		assert.equal(processor.physical.i64[State.rip >> 3], BigInt(CODE + 6));
	});

	test("do x87 arithmetic without a helper, and leave a signalling NaN to it", () => {
		// fld qword [2000h]; fmul qword [2008h]; fadd st, st; fstp qword [2010h]; inc eax; jmp back
		const code = [
			...[0xdd, 0x05, 0x00, 0x20, 0, 0, 0xdc, 0x0d, 0x08, 0x20, 0, 0, 0xd8, 0xc0, 0xdd, 0x1d, 0x10, 0x20, 0, 0],
			...[0x40, 0xeb, 0xe9],
		];
		const processor = new FlatProcessor(0x100000, MODE32);
		const { physical, engine } = processor;
		const at = RAM_BASE + 0x2000;
		physical.i32[State.x87Control >> 2] = 0x37f;
		physical.view.setFloat64(at, 1.5, true);
		physical.view.setFloat64(at + 8, 5e-324, true);
		physical.poke(CODE, new Uint8Array(code));
		restart(processor);
		engine.execute(6);
		engine.regions!.compilePage(CODE >> 12, MODE32);
		const before = engine.tiers.compiled;
		assert.equal(engine.execute(6000), ExitReason.fuel);
		assert.equal(engine.tiers.compiled - before, 6000);
		// 1.5 × 2 × 2^-1074, exactly.
		assert.equal(physical.view.getFloat64(at + 16, true), 3 * 5e-324);
		assert.equal(physical.i32[State.x87Status >> 2], 2, "DE, and nothing else");

		physical.view.setBigUint64(at, 0x7ff0000000000001n, true);
		// This processor has no helpers: they end the run.
		engine.execute(6);
		assert.equal(processor.fault?.vector, Vector.invalidOpcode);
		assert.equal(physical.i64[State.rip >> 3], BigInt(CODE));
	});

	test("leave 64-bit registers whole around operands of 1, 2 and 4 bytes", () => {
		const code = [
			...[0x48, 0xb8, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22, 0x11], // mov rax, 1122334455667788h
			...[0x88, 0xe1, 0x66, 0x89, 0xc2, 0x89, 0xc3], // mov cl, ah; mov dx, ax; mov ebx, eax
			...[0xb4, 0xff, 0x48, 0x89, 0xc6, 0xeb, 0xe8], // mov ah, ffh; mov rsi, rax; jmp back
		];
		const processor = compiled(code, 20, MODE64);
		processor.physical.i64.fill(-1n, State.gpr >> 3, (State.gpr >> 3) + 16);
		processor.engine.execute(7 * 60);
		const registers = [...processor.physical.i64.subarray(State.gpr >> 3, (State.gpr >> 3) + 7)];
		assert.deepEqual(
			registers.map((value) => BigInt.asUintN(64, value).toString(16)),
			[
				"112233445566ff88",
				"ffffffffffffff77",
				"ffffffffffff7788",
				"55667788",
				"ffffffffffffffff",
				"ffffffffffffffff",
				"112233445566ff88",
			],
		);
		assert.ok(processor.engine.tiers.compiled > 100);
	});
});

/** A 32-bit processor whose code has been compiled after 1000 instructions, with a CPUID of its own. */
function withHelper(
	code: readonly number[],
	cpuid: (engine: FlatProcessor["engine"], poke: (address: number, bytes: number[]) => void) => void,
): FlatProcessor {
	let live = false;
	const machine: FlatProcessor = new FlatProcessor(0x100000, MODE32, {
		cpuid: () => {
			if (live) cpuid(machine.engine, (address, bytes) => machine.physical.poke(address, new Uint8Array(bytes)));
			return Outcome.next;
		},
	});
	machine.physical.poke(CODE, new Uint8Array(code));
	restart(machine);
	machine.engine.execute(1000);
	machine.engine.regions!.compilePage(CODE >> 12, MODE32);
	restart(machine);
	live = true;
	return machine;
}
