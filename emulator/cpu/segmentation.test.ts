// Segment registers: loads in every mode and what the fast path derives from them (SDM Vol. 3A Chapters 3 and 5).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, gpr, Place, Rights, Selector } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";

const GP = Vector.generalProtection;
const NP = Vector.segmentNotPresent;
const SS = Vector.stackFault;

function load(bare: BareProcessor, segment: SegmentIndex, selector: number) {
	bare.state.setGpr32(0, selector);
	return bare.faultOf(() => bare.run("moveToSegment", { registers: [segment, gpr(0)] }));
}

/** Free slots of the GDT. */
const SLOT = 0x80;

test("loads of DS and SS fault as SDM Vol. 2B MOV says, by descriptor, RPL and CPL", () => {
	const bare = new BareProcessor();
	const rows: [
		string,
		SegmentIndex,
		number,
		access: number | undefined,
		0 | 3,
		readonly [number, number] | undefined,
	][] = [
		["null DS", Segment.ds, 0, undefined, 0, undefined],
		["null DS with RPL", Segment.ds, 3, undefined, 3, undefined],
		["null SS", Segment.ss, 0, undefined, 0, [GP, 0]],
		["data", Segment.ds, SLOT, Rights.data32, 0, undefined],
		["beyond the GDT", Segment.ds, 0x1000, undefined, 0, [GP, 0x1000]],
		["LDT that is not there", Segment.ds, 0x0c, undefined, 0, [GP, 0x0c]],
		["system descriptor", Segment.ds, SLOT, 0x82, 0, [GP, SLOT]],
		["execute-only code in DS", Segment.ds, SLOT, Rights.code32 & ~2, 0, [GP, SLOT]],
		["readable code in DS", Segment.ds, SLOT, Rights.code32, 0, undefined],
		["DPL 0 data at CPL 3", Segment.ds, SLOT | 3, Rights.data32, 3, [GP, SLOT]],
		["RPL 3 on DPL 0 data at CPL 0", Segment.ds, SLOT | 3, Rights.data32, 0, [GP, SLOT]],
		["conforming code of DPL 0 at CPL 3", Segment.ds, SLOT | 3, Rights.code32 | 4, 3, undefined],
		["not present", Segment.ds, SLOT, Rights.data32 & ~0x80, 0, [NP, SLOT]],
		["not present SS", Segment.ss, SLOT, Rights.data32 & ~0x80, 0, [SS, SLOT]],
		["read-only SS", Segment.ss, SLOT, Rights.data32 & ~2, 0, [GP, SLOT]],
		["code in SS", Segment.ss, SLOT, Rights.code32, 0, [GP, SLOT]],
		["SS with RPL other than CPL", Segment.ss, SLOT | 3, Rights.data32 | Rights.ring3, 0, [GP, SLOT]],
		["SS with DPL other than CPL", Segment.ss, SLOT, Rights.data32 | Rights.ring3, 0, [GP, SLOT]],
		["CS", Segment.cs, SLOT, Rights.code32, 0, [Vector.invalidOpcode, undefined as unknown as number]],
	];
	for (const [name, segment, selector, access, cpl, expected] of rows) {
		bare.protectedMode().ring(cpl);
		if (access !== undefined) bare.descriptor(Place.gdt + SLOT, 0x1234, 0xff, access);
		assert.deepEqual(load(bare, segment, selector), expected, name);
		if (!expected) assert.equal(bare.state.selector(segment), selector, name);
	}
});

test("a load sets the accessed flag in the table and the bounds of the fast path", () => {
	const bare = new BareProcessor().protectedMode();
	bare.descriptor(Place.gdt + SLOT, 0x12345678, 0x1ffff, 0x92);
	assert.equal(load(bare, Segment.es, SLOT), undefined);
	assert.equal((bare.read32(Place.gdt + SLOT + 4) >>> 8) & 0xff, 0x93);
	assert.deepEqual(bare.bounds(Segment.es), { base: 0x12345678n, read: 0x20000n, write: 0x20000n });
	bare.descriptor(Place.gdt + SLOT, 0, 0xfffff, 0x91 | 0x8000);
	assert.equal(load(bare, Segment.es, SLOT), undefined);
	assert.deepEqual(bare.bounds(Segment.es), { base: 0n, read: 0x100000000n, write: 0n });
	bare.descriptor(Place.gdt + SLOT, 0, 0xfff, 0x97);
	assert.equal(load(bare, Segment.es, SLOT), undefined);
	assert.deepEqual(bare.bounds(Segment.es), { base: 0n, read: 0n, write: 0n }, "expand-down goes to the exact check");
	assert.equal(load(bare, Segment.es, 0), undefined);
	assert.deepEqual(bare.bounds(Segment.es), { base: 0n, read: 0n, write: 0n });
});

test("limits are exact: expand-up, expand-down, 16-bit and 4 GiB", () => {
	const bare = new BareProcessor().protectedMode();
	const read = (offset: number, size: number, segment: SegmentIndex = Segment.es) =>
		bare.faultOf(() => bare.processor.core.memory.read(segment, offset, 0, size));
	bare.descriptor(Place.gdt + SLOT, 0x20000, 0xff, 0x93);
	load(bare, Segment.es, SLOT);
	assert.equal(read(0xfc, 4), undefined);
	assert.deepEqual(read(0xfd, 4), [GP, 0]);
	assert.deepEqual(read(0x100, 1), [GP, 0]);
	bare.descriptor(Place.gdt + SLOT, 0x20000, 0xff, 0x97);
	load(bare, Segment.es, SLOT);
	assert.deepEqual(read(0xff, 1), [GP, 0], "at the limit of an expand-down segment");
	assert.equal(read(0x100, 4), undefined);
	assert.equal(read(0xfffc, 4), undefined);
	assert.deepEqual(read(0xfffd, 4), [GP, 0], "a 16-bit expand-down segment ends at FFFFH");
	bare.descriptor(Place.gdt + SLOT, 0x20000, 0xff, 0x93);
	load(bare, Segment.ss, SLOT);
	assert.deepEqual(read(0x100, 1, Segment.ss), [SS, 0]);
	bare.ring(0);
	bare.state.setNullSegment(Segment.ds, 0);
	assert.deepEqual(read(0, 1, Segment.ds), [GP, 0]);
});

test("writes to read-only data and to code fault", () => {
	const bare = new BareProcessor().protectedMode();
	const write = (segment: SegmentIndex) =>
		bare.faultOf(() => bare.processor.core.memory.write(segment, 0x5000, 0, 1, 1));
	assert.deepEqual(write(Segment.cs), [GP, 0]);
	assert.equal(write(Segment.ds), undefined);
	bare.descriptor(Place.gdt + SLOT, 0, 0xfffff, Rights.data32 & ~2);
	load(bare, Segment.ds, SLOT);
	assert.deepEqual(write(Segment.ds), [GP, 0]);
});

test("real mode keeps the limit of protected mode: unreal mode", () => {
	const bare = new BareProcessor().protectedMode();
	bare.run("moveToControl", { registers: [0, gpr(1)] });
	assert.equal(bare.state.modeName, "real");
	assert.equal(load(bare, Segment.ds, 0x1234), undefined);
	assert.deepEqual(bare.bounds(Segment.ds), { base: 0x12340n, read: 0x100000000n, write: 0x100000000n });
});

test("64-bit mode has no limits, FS and GS keep 64-bit bases, a null SS loads below ring 3", () => {
	const bare = new BareProcessor().longMode();
	const all = 0xffffffffffffffffn;
	assert.deepEqual(bare.bounds(Segment.ds), { base: 0n, read: all, write: all });
	bare.processor.modelSpecific.write(0xc0000100, 0xffff800000001000n);
	assert.deepEqual(bare.bounds(Segment.fs), { base: 0xffff800000001000n, read: all, write: all });
	assert.equal(load(bare, Segment.ss, 0), undefined);
	assert.equal(load(bare, Segment.fs, 0), undefined);
	assert.equal(bare.state.base(Segment.fs), 0n, "a null selector clears the base");
	assert.deepEqual(load(bare, Segment.ss, 3), [GP, 0]);
});

test("POP SS moves the old stack pointer and holds interrupts back for one instruction", () => {
	const bare = new BareProcessor().protectedMode();
	bare.state.flagsRest |= 0x200;
	bare.write32(Place.stack + 0xffc, Selector.data0);
	bare.state.setGpr32(4, Place.stack + 0xffc);
	bare.state.i32[State.interruptRequest >> 2] = 1;
	assert.equal(bare.run("popSegment", { registers: [Segment.ss] }), 2);
	assert.equal(bare.state.gpr32(4), Place.stack + 0x1000);
	assert.equal(bare.processor.canTakeInterrupt, false);
	bare.retired++;
	assert.equal(bare.processor.canTakeInterrupt, true);
});

test("LAR, LSL, VERR, VERW and ARPL report through ZF", () => {
	const bare = new BareProcessor().protectedMode();
	const zero = () => (bare.processor.core.flags.readEflags() & 0x40) !== 0;
	const ask = (name: string, selector: number) => {
		bare.state.setGpr32(1, selector);
		bare.state.setGpr32(0, 0x55555555);
		const single = name.startsWith("ver");
		bare.run(name, { registers: single ? [gpr(1)] : [gpr(0), gpr(1)] });
		return zero();
	};
	assert.equal(ask("lar", Selector.code0), true);
	assert.equal(bare.state.gpr32(0), 0x00c09b00);
	assert.equal(ask("lsl", Selector.tss), true);
	assert.equal(bare.state.gpr32(0), 0x2067);
	assert.equal(ask("lar", 0), false);
	assert.equal(bare.state.gpr32(0), 0x55555555, "the destination stays when ZF is cleared");
	bare.gate(Place.gdt + SLOT, Selector.code0, 0x1000, 0x8e);
	assert.equal(ask("lar", SLOT), false, "LAR knows no interrupt gates");
	bare.gate(Place.gdt + SLOT, Selector.code0, 0x1000, 0x8c);
	assert.equal(ask("lar", SLOT), true);
	assert.equal(ask("lsl", SLOT), false);
	assert.equal(ask("verr", Selector.code0), true);
	assert.equal(ask("verw", Selector.code0), false);
	assert.equal(ask("verw", Selector.data0), true);
	bare.ring(3);
	assert.equal(ask("verr", Selector.data0), false);
	bare.state.setGpr32(2, 0x10);
	bare.state.setGpr32(3, 3);
	bare.run("arpl", { registers: [gpr(2), gpr(3)] });
	assert.equal(bare.state.gpr32(2), 0x13);
	assert.equal(zero(), true);
});

test("LTR marks the TSS busy; LLDT and LTR check their descriptors", () => {
	const bare = new BareProcessor().protectedMode();
	const put = (name: string, selector: number) => {
		bare.state.setGpr32(0, selector);
		return bare.faultOf(() => bare.run(name, { registers: [gpr(0)] }, 2));
	};
	bare.descriptor(Place.gdt + SLOT, 0x5000, 0x67, 0x89);
	assert.equal(put("ltr", SLOT), undefined);
	assert.equal((bare.read32(Place.gdt + SLOT + 4) >>> 8) & 0xff, 0x8b);
	assert.deepEqual(put("ltr", SLOT), [GP, SLOT], "busy");
	assert.deepEqual(put("ltr", 0), [GP, 0]);
	bare.descriptor(Place.gdt + SLOT, Place.ldt, 0xf, 0x02);
	assert.deepEqual(put("lldt", SLOT), [NP, SLOT]);
	bare.descriptor(Place.gdt + SLOT, Place.ldt, 0xf, 0x82);
	assert.equal(put("lldt", SLOT), undefined);
	bare.descriptor(Place.ldt + 8, 0x777, 0xf, 0x92);
	assert.equal(load(bare, Segment.gs, 0x0c), undefined);
	assert.equal(bare.state.baseLow(Segment.gs), 0x777);
	assert.equal(put("lldt", 0), undefined);
	assert.deepEqual(load(bare, Segment.gs, 0x0c), [GP, 0x0c]);
	bare.ring(3);
	assert.deepEqual(put("lldt", 0), [GP, 0]);
});

test("MOV from a segment register: 16 bits keep the upper half, wider forms are zero-extended", () => {
	const bare = new BareProcessor().protectedMode();
	const store = (size: number) => {
		bare.state.setGpr64(0, -1n);
		bare.run("moveFromSegment", { registers: [gpr(0), Segment.ds] }, size);
		return BigInt.asUintN(64, bare.state.gpr64(0));
	};
	assert.equal(store(2), 0xffffffffffff0010n);
	assert.equal(store(4), 0x10n);
	assert.equal(store(8), 0x10n);
});
