// IRET in every mode (SDM Vol. 2A, IRET).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor, Place, Rights, Selector } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Cr4, Eflags } from "../isa/register-bits.ts";
import { Segment } from "../isa/state.ts";

const GP = Vector.generalProtection;
const BASE = Place.stack + 0x100;

function stacked(bare: BareProcessor, ...words: number[]): BareProcessor {
	bare.state.setGpr32(4, BASE);
	bare.write32(BASE, ...words);
	return bare;
}

test("same privilege: EIP, CS and the flags that CPL 0 may change", () => {
	const bare = stacked(new BareProcessor().protectedMode(), 0x1234, Selector.code0, 0x3f7fd7 & ~Eflags.VM);
	bare.run("iret");
	assert.equal(bare.state.eip, 0x1234);
	assert.equal(bare.state.gpr32(4), BASE + 12);
	assert.equal(bare.processor.core.readEflags(), 0x3f7fd7 & ~Eflags.VM);
});

test("to ring 3: SS:ESP is popped and inner data segments become null", () => {
	const bare = stacked(new BareProcessor().protectedMode(), 0x1234, Selector.code3, 0x202, 0xbeef0, Selector.data3);
	bare.processor.core.segmentation.load(Segment.es, Selector.data3);
	bare.run("iret");
	assert.equal(bare.state.cpl, 3);
	assert.equal(bare.state.gpr32(4), 0xbeef0);
	assert.equal(bare.state.selector(Segment.ds), 0);
	assert.equal(bare.state.selector(Segment.es), Selector.data3);
	assert.equal(bare.processor.core.readEflags() & Eflags.IF, Eflags.IF);
});

test("ring 3 cannot change IOPL, and IF only when IOPL is 3", () => {
	const bare = stacked(new BareProcessor().protectedMode().ring(3), 0x10, Selector.code3, 0x3202);
	bare.run("iret");
	assert.equal(bare.processor.core.readEflags(), 2);
});

test("the checks of CS, SS and EIP", () => {
	const attempt = (...words: number[]) => {
		const bare = stacked(new BareProcessor().protectedMode(), ...words);
		bare.descriptor(Place.gdt + 0x80, 0, 0xff, Rights.code32 & ~0x8080);
		bare.descriptor(Place.gdt + 0x88, 0, 0xff, 0x9b);
		const fault = bare.faultOf(() => bare.run("iret"));
		if (fault) assert.equal(bare.state.gpr32(4), BASE, "a fault leaves the stack");
		return fault;
	};
	assert.deepEqual(attempt(0, 0, 2), [GP, 0]);
	assert.deepEqual(attempt(0, 0x1000, 2), [GP, 0x1000]);
	assert.deepEqual(attempt(0, Selector.data0, 2), [GP, Selector.data0]);
	assert.deepEqual(attempt(0, Selector.code0 | 3, 2, 0, Selector.data3), [GP, Selector.code0]);
	assert.deepEqual(attempt(0, 0x80, 2), [Vector.segmentNotPresent, 0x80]);
	assert.deepEqual(attempt(0x100, 0x88, 2), [GP, 0], "EIP beyond the limit");
	assert.equal(attempt(0xff, 0x88, 2), undefined);
	assert.deepEqual(attempt(0, Selector.code3, 2, 0, 0), [GP, 0], "null SS");
	assert.deepEqual(attempt(0, Selector.code3, 2, 0, Selector.data0), [GP, Selector.data0]);
});

test("to virtual-8086 mode and, with IOPL 3, within it", () => {
	const flags = Eflags.VM | Eflags.IOPL | Eflags.IF | 2;
	const bare = stacked(
		new BareProcessor().protectedMode(),
		0x56,
		0x100,
		flags,
		0x400,
		0x200,
		0x300,
		0x301,
		0x302,
		0x303,
	);
	bare.run("iret");
	assert.equal(bare.state.modeName, "virtual-8086");
	assert.equal(bare.state.cpl, 3);
	assert.equal(bare.state.baseLow(Segment.cs), 0x1000);
	assert.equal(bare.state.selector(Segment.gs), 0x303);
	assert.equal(bare.bounds(Segment.ds).write, 0x10000n);
	bare.write16(0x2400, 0x77);
	bare.write16(0x2402, 0x101);
	bare.write16(0x2404, 0x0003);
	bare.run("iret", {}, 2);
	assert.equal(bare.state.eip, 0x77);
	assert.equal(bare.state.selector(Segment.cs), 0x101);
	assert.equal(bare.state.gpr32(4), 0x406);
	assert.equal(bare.processor.core.readEflags(), Eflags.VM | Eflags.IOPL | 3, "IOPL stays");
});

test("virtual-8086 mode with IOPL below 3 faults; with VME a 16-bit IRET loads VIF", () => {
	const flags = Eflags.VM | Eflags.IF | 2;
	const bare = stacked(new BareProcessor().protectedMode(), 0x56, 0x100, flags, 0x400, 0x200, 0, 0, 0, 0);
	bare.run("iret");
	bare.write16(0x2404, Eflags.IF);
	assert.deepEqual(
		bare.faultOf(() => bare.run("iret", {}, 2)),
		[GP, 0],
	);
	bare.state.cr4 |= Cr4.VME;
	bare.run("iret", {}, 2);
	assert.equal(bare.processor.core.readEflags(), flags | Eflags.VIF);
	bare.state.flagsRest |= Eflags.VIP;
	bare.state.setGpr32(4, 0x400);
	assert.deepEqual(
		bare.faultOf(() => bare.run("iret", {}, 2)),
		[GP, 0],
		"VIP and IF",
	);
});

test("VIF and VIP both set: #GP before the first instruction in virtual-8086 mode with VME, in ring 3 with PVI", () => {
	const both = Eflags.VIF | Eflags.VIP | 2;
	for (const enabled of [false, true]) {
		const virtual = stacked(
			new BareProcessor().protectedMode(),
			0x56,
			0x100,
			both | Eflags.VM,
			0x400,
			0x200,
			0,
			0,
			0,
			0,
		);
		if (enabled) virtual.state.cr4 |= Cr4.VME;
		assert.deepEqual(
			virtual.faultOf(() => virtual.run("iret")),
			enabled ? [GP, 0] : undefined,
		);
		assert.equal(virtual.state.eip, 0x56, "the fault is that of the instruction to come");
		const { code3, data3 } = Selector;
		const outer = stacked(new BareProcessor().protectedMode(), 0x77, code3, both, 0x400, data3);
		if (enabled) outer.state.cr4 |= Cr4.PVI;
		assert.deepEqual(
			outer.faultOf(() => outer.run("iret")),
			enabled ? [GP, 0] : undefined,
		);
		assert.deepEqual([outer.state.eip, outer.state.cpl], [0x77, 3]);
	}
});

test("64-bit mode pops SS:RSP always and takes a null SS below ring 3", () => {
	const bare = new BareProcessor().longMode();
	bare.state.setGpr64(4, BigInt(BASE));
	const frame = [0xffffffff80001234n, BigInt(Selector.code64), 2n, 0xffff800000001000n, 0n];
	frame.forEach((value, index) => {
		bare.write64(BASE + index * 8, value);
	});
	bare.run("iret", {}, 8);
	assert.equal(bare.state.rip, 0xffffffff80001234n);
	assert.equal(BigInt.asUintN(64, bare.state.gpr64(4)), 0xffff800000001000n);
	bare.state.setGpr64(4, BigInt(BASE));
	bare.write64(BASE, 0x0000800000000000n);
	assert.deepEqual(
		bare.faultOf(() => bare.run("iret", {}, 8)),
		[GP, 0],
		"not canonical",
	);
	bare.write64(BASE, 0x1000n);
	bare.write64(BASE + 8, BigInt(Selector.code3));
	bare.write64(BASE + 32, BigInt(Selector.data3));
	bare.run("iret", {}, 8);
	assert.equal(bare.state.modeName, "compatibility");
	assert.equal(bare.state.cpl, 3);
});

test("NT in long mode faults", () => {
	const bare = new BareProcessor().longMode();
	bare.state.flagsRest |= Eflags.NT;
	assert.deepEqual(
		bare.faultOf(() => bare.run("iret", {}, 8)),
		[GP, 0],
	);
});

test("RF lasts for one instruction", () => {
	const bare = stacked(new BareProcessor().protectedMode(), 0x1234, Selector.code0, 2 | Eflags.RF);
	bare.run("iret");
	assert.equal(bare.processor.core.readEflags(), 2 | Eflags.RF);
	bare.retired++;
	assert.equal(bare.processor.core.readEflags(), 2);
});
