// x87 images in the modes that the processor of a test machine does not run in, and images that fault on their way.

import assert from "node:assert/strict";
import { test } from "node:test";
import { Vector } from "../../emulator/engine/fault.ts";
import { RAM_BASE, Segment, State } from "../../emulator/isa/state.ts";
import { ImageFlag } from "../../emulator/isa/x87/forms.ts";
import { BareProcessor } from "../tools/bare-processor.ts";

const IMAGE = 0x5000;

function prepare(bare: BareProcessor): void {
	const { i32, i64 } = bare.physical;
	i32[State.x87Control >> 2] = 0x37e;
	i32[State.x87Status >> 2] = 0x3800;
	i32[State.x87Tag >> 2] = 0x81;
	i32[State.x87Opcode >> 2] = 0x5ab;
	i64[State.x87InstructionPointer >> 3] = 0x1234n;
	i32[State.x87InstructionSelector >> 2] = 0x2000;
	i64[State.x87DataPointer >> 3] = 0xfedcn;
	i32[State.x87DataSelector >> 2] = 0xf000;
	// R0 = 1.0, R7 = +0.
	bare.physical.view.setBigUint64(State.x87, 0x8000000000000000n, true);
	bare.physical.view.setUint16(State.x87 + 8, 0x3fff, true);
}

/** R0 valid, R7 zero, the others empty. */
const TAGS = 0x7ffc;

function save(bare: BareProcessor, flags: number): void {
	bare.run("x87:saveImage", { memory: true, address: IMAGE }, flags);
}

test("real-address mode, 16-bit: linear pointers with the opcode (SDM Vol. 1 Figure 8-12)", () => {
	const bare = new BareProcessor().realMode();
	prepare(bare);
	save(bare, 0);
	const words = Array.from({ length: 7 }, (_, n) => bare.read16(IMAGE + n * 2).toString(16));
	assert.deepEqual(words, ["37e", "3800", TAGS.toString(16), "1234", "25ab", "fedc", "f000"]);
	assert.equal(bare.physical.i32[State.x87Control >> 2], 0x37f, "FNSTENV masks the exceptions afterwards");
});

test("real-address mode, 32-bit (Figure 8-10)", () => {
	const bare = new BareProcessor().realMode();
	prepare(bare);
	save(bare, ImageFlag.wide);
	assert.equal(bare.read16(IMAGE + 12), 0x1234);
	assert.equal(bare.read32(IMAGE + 16), 0x25ab);
	assert.equal(bare.read16(IMAGE + 20), 0xfedc);
	assert.equal(bare.read32(IMAGE + 24), 0xf000);
});

test("virtual-8086 mode uses the same format", () => {
	const bare = new BareProcessor().protectedMode();
	prepare(bare);
	bare.state.flagsRest |= 0x20000;
	save(bare, 0);
	assert.equal(bare.read16(IMAGE + 8), 0x25ab);
});

test("protected mode: selectors and offsets (Figures 8-9, 8-11)", () => {
	const bare = new BareProcessor().protectedMode();
	prepare(bare);
	save(bare, ImageFlag.wide);
	assert.equal(bare.read32(IMAGE + 12), 0x1234);
	assert.equal(bare.read32(IMAGE + 16), (0x5ab << 16) | 0x2000);
	assert.equal(bare.read32(IMAGE + 20), 0xfedc);
	assert.equal(bare.read32(IMAGE + 24) & 0xffff, 0xf000);
	prepare(bare);
	save(bare, 0);
	assert.deepEqual(
		[6, 8, 10, 12].map((at) => bare.read16(IMAGE + at)),
		[0x1234, 0x2000, 0xfedc, 0xf000],
	);
});

test("FNSAVE and FRSTOR in real-address mode give the registers back", () => {
	for (const wide of [0, ImageFlag.wide]) {
		const bare = new BareProcessor().realMode();
		prepare(bare);
		const before = bare.physical.u8.slice(State.x87, State.x87 + 0x80);
		save(bare, ImageFlag.registers | wide);
		assert.equal(bare.physical.i32[State.x87Tag >> 2], 0, "FNSAVE initializes");
		bare.physical.u8.fill(0, State.x87, State.x87 + 0x80);
		bare.run("x87:restoreImage", { memory: true, address: IMAGE }, ImageFlag.registers | wide);
		assert.deepEqual(bare.physical.u8.slice(State.x87, State.x87 + 0x80), before);
		assert.equal(bare.physical.i32[State.x87Tag >> 2], 0x81);
		assert.equal(bare.physical.i32[State.x87Status >> 2], 0x3800);
	}
});

test("an image that runs into a missing page changes nothing", () => {
	const bare = new BareProcessor().longMode();
	prepare(bare);
	const before = bare.physical.u8.slice(State.x87, State.mxcsr + 4);
	const last = 0x200000 - 64;
	bare.physical.u8.fill(0xaa, RAM_BASE + last, RAM_BASE + 0x200000);
	for (const [name, flags] of [
		["x87:saveImage", ImageFlag.registers | ImageFlag.wide],
		["x87:restoreImage", ImageFlag.registers | ImageFlag.wide],
		["x87:fxsave", 0],
		["x87:fxrstor", 0],
	] as const) {
		const fault = bare.faultOf(() => bare.run(name, { memory: true, address: last }, flags));
		assert.equal(fault?.[0], Vector.pageFault, name);
		assert.deepEqual(bare.physical.u8.slice(State.x87, State.mxcsr + 4), before, name);
		assert.ok(bare.physical.u8.subarray(RAM_BASE + last, RAM_BASE + 0x200000).every((byte) => byte === 0xaa));
	}
});

test("outside 64-bit mode FXSAVE and FXRSTOR leave XMM8 to XMM15 alone", () => {
	const bare = new BareProcessor().protectedMode();
	prepare(bare);
	bare.physical.u8.fill(0x55, State.xmm, State.xmm + 256);
	bare.physical.u8.fill(0x11, RAM_BASE + IMAGE, RAM_BASE + IMAGE + 512);
	bare.run("x87:fxsave", { memory: true, address: IMAGE }, 0);
	assert.equal(bare.read32(IMAGE + 160 + 127 - 3), 0x55555555);
	assert.equal(bare.read32(IMAGE + 288), 0x11111111);
	bare.physical.u8.fill(0x66, RAM_BASE + IMAGE + 160, RAM_BASE + IMAGE + 416);
	bare.run("x87:fxrstor", { memory: true, address: IMAGE }, 0);
	assert.equal(bare.physical.u8[State.xmm + 127], 0x66);
	assert.equal(bare.physical.u8[State.xmm + 128], 0x55);
});

test("the last instruction and operand pointers; FERR# with CR0.NE clear", () => {
	const bare = new BareProcessor().protectedMode();
	bare.physical.i32[State.x87Control >> 2] = 0x37f;
	bare.physical.i64[State.rip >> 3] = 0x8123n;
	bare.run("x87:load", { memory: true, address: IMAGE, segment: Segment.es }, 1);
	assert.equal(bare.physical.i64[State.x87InstructionPointer >> 3], 0x8123n);
	assert.equal(bare.physical.i64[State.x87DataPointer >> 3], BigInt(IMAGE));
	assert.equal(bare.physical.i32[State.x87DataSelector >> 2], bare.state.selector(Segment.es));
	bare.physical.i32[State.x87Status >> 2] = 0x8084;
	assert.equal(
		bare.faultOf(() => bare.run("x87:pending")),
		undefined,
	);
	bare.state.cr0 |= 0x20;
	assert.deepEqual(
		bare.faultOf(() => bare.run("x87:pending")),
		[Vector.x87FloatingPoint, undefined],
	);
});
