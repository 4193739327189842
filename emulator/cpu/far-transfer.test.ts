// Far jumps, calls and returns, through call gates and tasks (SDM Vol. 2A CALL, JMP, Vol. 2B RET; Vol. 3A §5.8, Chapter 7).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, Place, Rights, Selector } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Cr0, Eflags } from "../isa/register-bits.ts";
import { Segment, State } from "../isa/state.ts";

const GP = Vector.generalProtection;
const SLOT = 0x80;
const GATE = 0x88;
const STACK = Place.stack + 0x1000;
const INNER = Place.stack + 0x800;

const words = (bare: BareProcessor, at: number, count: number) =>
	Array.from({ length: count }, (_, index) => bare.read32(at + index * 4));

const jump = (bare: BareProcessor, selector: number, offset = 0x100n) =>
	bare.faultOf(() => bare.run("jumpFar", { length: 7, immediate: offset, address: selector }));
const call = (bare: BareProcessor, selector: number, offset = 0x100n) =>
	bare.faultOf(() => bare.run("callFar", { length: 7, immediate: offset, address: selector }));

test("direct jumps check type, privilege, presence and limit", () => {
	const bare = new BareProcessor();
	const rows: [string, access: number, rpl: number, cpl: 0 | 3, expected: readonly [number, number] | undefined][] = [
		["code", Rights.code32, 0, 0, undefined],
		["data", Rights.data32, 0, 0, [GP, SLOT]],
		["RPL above CPL", Rights.code32, 3, 0, [GP, SLOT]],
		["DPL 0 from ring 3", Rights.code32, 3, 3, [GP, SLOT]],
		["DPL 3 from ring 0", Rights.code32 | Rights.ring3, 0, 0, [GP, SLOT]],
		["conforming from ring 3", Rights.code32 | 4, 3, 3, undefined],
		["not present", Rights.code32 & ~0x80, 0, 0, [Vector.segmentNotPresent, SLOT]],
		["LDT", 0x82, 0, 0, [GP, SLOT]],
	];
	for (const [name, access, rpl, cpl, expected] of rows) {
		bare.protectedMode().ring(cpl);
		bare.descriptor(Place.gdt + SLOT, 0, 0xfffff, access);
		assert.deepEqual(jump(bare, SLOT | rpl), expected, name);
		if (!expected) {
			assert.equal(bare.state.eip, 0x100, name);
			assert.equal(bare.state.selector(Segment.cs), SLOT | cpl, name);
			assert.equal(bare.state.cpl, cpl, name);
		}
	}
	bare.protectedMode();
	assert.deepEqual(jump(bare, 0), [GP, 0]);
	bare.descriptor(Place.gdt + SLOT, 0, 0xff, 0x9b);
	assert.deepEqual(jump(bare, SLOT), [GP, 0], "beyond the limit");
});

test("a far jump enters protected mode from real mode, and a far call returns", () => {
	const bare = new BareProcessor().protectedMode().realMode();
	bare.state.cr0 |= Cr0.PE;
	bare.state.updateMode();
	assert.equal(bare.state.i32[State.codeSize >> 2], 1);
	assert.equal(jump(bare, Selector.code0, 0x12345n), undefined);
	assert.equal(bare.state.i32[State.codeSize >> 2], 2);
	bare.state.setGpr32(4, STACK);
	bare.processor.core.segmentation.load(Segment.ss, Selector.data0);
	assert.equal(call(bare, Selector.code0), undefined);
	assert.deepEqual(words(bare, STACK - 8, 2), [0x12345 + 7, Selector.code0]);
	bare.run("returnFar", { immediate: 4n });
	assert.equal(bare.state.eip, 0x12345 + 7);
	assert.equal(bare.state.gpr32(4), STACK + 4);
});

test("real-mode far calls push words and load CS by paragraph", () => {
	const bare = new BareProcessor().realMode();
	bare.run("callFar", { length: 5, immediate: 0x20n, address: 0x123 }, 2);
	assert.equal(bare.state.baseLow(Segment.cs), 0x1230);
	assert.equal(bare.read32(0x7c00 - 4), 0x105);
	bare.run("returnFar", {}, 2);
	assert.equal(bare.state.eip, 0x105);
	assert.equal(bare.state.selector(Segment.cs), 0);
});

test("a call gate to ring 0 switches stacks and copies parameters; the return takes them off both stacks", () => {
	const bare = new BareProcessor().protectedMode().ring(3);
	bare.gate(Place.gdt + GATE, Selector.code0, 0x4567, 0xec, 2);
	bare.write32(STACK, 0x11111111, 0x22222222);
	assert.equal(call(bare, GATE | 3), undefined);
	assert.equal(bare.state.cpl, 0);
	assert.equal(bare.state.gpr32(4), INNER - 24);
	assert.deepEqual(words(bare, INNER - 24, 6), [
		Place.code + 7,
		Selector.code3,
		0x11111111,
		0x22222222,
		STACK,
		Selector.data3,
	]);
	assert.equal(bare.state.eip, 0x4567);
	bare.run("returnFar", { immediate: 8n });
	assert.equal(bare.state.cpl, 3);
	assert.equal(bare.state.gpr32(4), STACK + 8);
	assert.equal(bare.state.selector(Segment.ss), Selector.data3);
});

test("call gates: DPL, presence, target; a jump cannot change privilege", () => {
	const bare = new BareProcessor().protectedMode().ring(3);
	bare.gate(Place.gdt + GATE, Selector.code0, 0x4567, 0x8c);
	assert.deepEqual(call(bare, GATE | 3), [GP, GATE]);
	bare.gate(Place.gdt + GATE, Selector.code0, 0x4567, 0x6c);
	assert.deepEqual(call(bare, GATE | 3), [Vector.segmentNotPresent, GATE]);
	bare.gate(Place.gdt + GATE, 0, 0x4567, 0xec);
	assert.deepEqual(call(bare, GATE | 3), [GP, 0]);
	bare.gate(Place.gdt + GATE, Selector.data0, 0x4567, 0xec);
	assert.deepEqual(call(bare, GATE | 3), [GP, Selector.data0]);
	bare.gate(Place.gdt + GATE, Selector.code0, 0x4567, 0xec);
	assert.deepEqual(jump(bare, GATE | 3), [GP, Selector.code0]);
	bare.state.i32[(State.segments + 7 * 48 + 40) >> 2] = 8;
	assert.deepEqual(call(bare, GATE | 3), [Vector.invalidTss, Selector.tss], "the TSS is too short for a stack");
});

test("64-bit call gate from ring 3: RSP of the TSS, null SS", () => {
	const bare = new BareProcessor().longMode(3);
	bare.gate(Place.gdt + GATE, Selector.code64, 0x4567, 0xec);
	bare.write32(Place.gdt + GATE + 8, 0xffffffff, 0);
	bare.write32(Place.gdt + SLOT, 0x200, GATE | 3);
	bare.write64(Place.tss + 4, BigInt(INNER));
	const target = { memory: true, address: Place.gdt + SLOT, length: 3 };
	bare.run("callFarMemory", target);
	assert.equal(bare.state.rip, 0xffffffff00004567n);
	assert.equal(bare.state.selector(Segment.ss), 0);
	assert.equal(bare.read64(INNER - 32), BigInt(Place.code + 3));
	assert.equal(bare.read64(INNER - 16), BigInt(STACK));
	bare.run("returnFar", {}, 8);
	assert.equal(bare.state.cpl, 3);
	assert.equal(bare.state.mode64, true);
	bare.write32(Place.gdt + GATE + 8, 0x8000, 0);
	bare.write32(Place.gdt + GATE + 12, 0x1f00);
	assert.deepEqual(
		bare.faultOf(() => bare.run("callFarMemory", target)),
		[GP, GATE],
		"the upper half has a type",
	);
});

/** A second 32-bit task in ring 0, its TSS at 5000H, selector SLOT. */
function twoTasks(): BareProcessor {
	const bare = new BareProcessor().protectedMode();
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x67, 0x89);
	bare.write32(0x5020, 0x4321, 0x202, 1, 2, 3, 4, STACK - 0x200, 6, 7, 8);
	const { code0, data0 } = Selector;
	bare.write32(0x5048, data0, code0, data0, data0, 0, 0, 0);
	return bare;
}

test("a jump to a TSS saves one task and loads the other", () => {
	const bare = twoTasks();
	bare.state.setGpr32(3, 0xb);
	assert.equal(jump(bare, SLOT), undefined);
	const { state } = bare;
	assert.equal(bare.read32(Place.tss + 0x20), Place.code + 7);
	assert.equal(bare.read32(Place.tss + 0x34), 0xb);
	assert.equal(bare.read32(Place.tss + 0x4c), Selector.code0);
	assert.deepEqual(
		[state.eip, state.gpr32(0), state.gpr32(1), state.gpr32(4), state.gpr32(7)],
		[0x4321, 1, 2, STACK - 0x200, 8],
	);
	assert.equal((bare.read32(Place.gdt + Selector.tss + 4) >>> 8) & 0xf, 9, "the old TSS is available");
	assert.equal((bare.read32(Place.gdt + SLOT + 4) >>> 8) & 0xf, 11, "the new one busy");
	assert.equal(state.cr0 & Cr0.TS, Cr0.TS);
	assert.equal(state.selector(Segment.fs), 0);
});

test("a call nests and IRET with NT goes back", () => {
	const bare = twoTasks();
	assert.equal(call(bare, SLOT), undefined);
	assert.equal(bare.read16(0x5000), Selector.tss);
	assert.equal(bare.processor.core.readEflags() & Eflags.NT, Eflags.NT);
	bare.run("iret", { length: 1 });
	assert.equal(bare.state.selector(Segment.tr), Selector.tss);
	assert.equal(bare.state.eip, Place.code + 7);
	assert.equal(bare.read32(0x5020), 0x4322);
	assert.equal(bare.read32(0x5024) & Eflags.NT, 0);
	assert.equal((bare.read32(Place.gdt + SLOT + 4) >>> 8) & 0xf, 9);
});

test("an exception through a task gate pushes its error code on the new stack", () => {
	const bare = twoTasks();
	bare.gate(Place.idt + 13 * 8, SLOT, 0, 0x85);
	assert.equal(bare.processor.deliver({ vector: GP, errorCode: 0x18 }), true);
	assert.equal(bare.read32(STACK - 0x204), 0x18);
	assert.equal(bare.read32(Place.tss + 0x20), Place.code);
	assert.equal(bare.read32(Place.tss + 0x24) & Eflags.RF, Eflags.RF);
});

test("faults of a task switch: before it in the old task, after it in the new one", () => {
	const bare = twoTasks();
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x66, 0x89);
	assert.deepEqual(jump(bare, SLOT), [Vector.invalidTss, SLOT]);
	assert.equal(bare.state.selector(Segment.tr), Selector.tss);
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x67, 0x8b);
	assert.deepEqual(jump(bare, SLOT), [GP, SLOT], "busy");
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x67, 0x89);
	bare.write32(0x5050, Selector.code0);
	assert.deepEqual(jump(bare, SLOT), [Vector.invalidTss, Selector.code0], "code in SS");
	assert.equal(bare.state.selector(Segment.tr), SLOT);
	assert.equal(bare.state.eip, 0x4321);
});

test("a 16-bit TSS switches words", () => {
	const bare = new BareProcessor().protectedMode();
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x2b, 0x81);
	[
		0x4321,
		0x202,
		1,
		2,
		3,
		4,
		0x7000,
		6,
		7,
		8,
		Selector.data0,
		Selector.code0,
		Selector.data0,
		Selector.data0,
		0,
	].forEach((value, index) => {
		bare.write16(0x500e + index * 2, value);
	});
	const high = Eflags.AC | Eflags.VIF | Eflags.ID;
	bare.processor.core.writeEflags(high, high);
	assert.equal(jump(bare, SLOT), undefined);
	assert.equal(bare.processor.core.readEflags(), 0x202, "the flags above bit 15 are gone");
	assert.equal(bare.state.eip, 0x4321);
	assert.equal(bare.state.gpr32(4) & 0xffff, 0x7000);
	assert.equal(bare.state.selector(Segment.gs), 0);
});
