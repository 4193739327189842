// XGETBV, XSETBV, CR4.OSXSAVE and what CPUID tells of them; XSAVE outside 64-bit mode (SDM Vol. 1 Chapter 13).
import assert from "node:assert/strict";
import { test } from "node:test";
import { BareProcessor } from "../../test/tools/bare-processor.ts";
import { Vector } from "../engine/fault.ts";
import { Cr0, Cr4 } from "../isa/register-bits.ts";
import { RAM_BASE, State } from "../isa/state.ts";

const [RAX, RCX, RDX] = [0, 1, 2] as const;
const GP = [Vector.generalProtection, 0] as const;
const AREA = 0x5000;

function enabled(): BareProcessor {
	const bare = new BareProcessor().protectedMode();
	bare.processor.control.writeCr4(bare.state.cr4 | Cr4.OSXSAVE | Cr4.OSFXSR);
	return bare;
}

function xsetbv(bare: BareProcessor, register: number, low: number, high = 0) {
	bare.state.setGpr32(RCX, register);
	bare.state.setGpr32(RAX, low);
	bare.state.setGpr32(RDX, high);
	return bare.faultOf(() => bare.run("xsetbv"));
}

test("XCR0: reset value, values that it takes, other registers, privilege", () => {
	const bare = new BareProcessor().protectedMode();
	for (const name of ["xgetbv", "xsetbv", "x87:xsave", "x87:xsaveopt", "x87:xrstor"])
		assert.equal(
			bare.faultOf(() => bare.run(name, { memory: true, address: AREA }, 0))?.[0],
			Vector.invalidOpcode,
			`${name} without CR4.OSXSAVE`,
		);
	bare.processor.control.writeCr4(bare.state.cr4 | Cr4.OSXSAVE);
	const xgetbv = (): number => {
		bare.state.setGpr32(RCX, 0);
		bare.state.setGpr64(RAX, -1n);
		bare.run("xgetbv");
		assert.equal(bare.state.gpr64(RDX), 0n);
		return bare.state.gpr32(RAX);
	};
	assert.equal(xgetbv(), 1);
	assert.equal(xsetbv(bare, 0, 3), undefined);
	assert.equal(xgetbv(), 3);
	for (const [low, high] of [
		[0, 0],
		[2, 0],
		[7, 0],
		[3, 1],
	] as const)
		assert.deepEqual(xsetbv(bare, 0, low, high), GP, `${low} ${high}`);
	assert.deepEqual(xsetbv(bare, 1, 1), GP);
	bare.state.setGpr32(RCX, 1);
	assert.deepEqual(
		bare.faultOf(() => bare.run("xgetbv")),
		GP,
	);
	bare.state.cpl = 3;
	assert.deepEqual(xsetbv(bare, 0, 1), GP);
	assert.equal(xgetbv(), 3, "XGETBV is for every privilege level");
});

test("CPUID: XSAVE, OSXSAVE as CR4 has it, leaf 0DH; nothing of it on a processor without", () => {
	const bare = new BareProcessor().protectedMode();
	const { cpuid } = bare.processor;
	assert.equal((cpuid.query(1, 0)[2] >>> 26) & 3, 1);
	bare.processor.control.writeCr4(Cr4.OSXSAVE);
	assert.equal((cpuid.query(1, 0)[2] >>> 26) & 3, 3);
	assert.deepEqual(cpuid.query(0xd, 0), [3, 576, 576, 0]);
	assert.deepEqual(cpuid.query(0xd, 1), [1, 0, 0, 0]);
	assert.deepEqual(cpuid.query(0xd, 2), [0, 0, 0, 0]);
	const without = new BareProcessor({ xsave: false }).protectedMode();
	assert.equal((without.processor.cpuid.query(1, 0)[2] >>> 26) & 3, 0);
	assert.deepEqual(without.processor.cpuid.query(0xd, 0), [0, 0, 0, 0]);
	assert.deepEqual(
		without.faultOf(() => without.processor.control.writeCr4(Cr4.OSXSAVE)),
		GP,
	);
});

test("CR0.TS stops XSAVE and XRSTOR with #NM, CR0.EM and CR4.OSFXSR do not", () => {
	const bare = enabled();
	const run = (name: string) => bare.faultOf(() => bare.run(name, { memory: true, address: AREA }, 0))?.[0];
	for (const name of ["x87:xsave", "x87:xsaveopt", "x87:xrstor"]) {
		bare.state.cr0 |= Cr0.TS;
		assert.equal(run(name), Vector.deviceNotAvailable);
		bare.state.cr0 = (bare.state.cr0 & ~Cr0.TS) | Cr0.EM;
		bare.state.cr4 &= ~Cr4.OSFXSR;
		assert.equal(run(name), undefined);
	}
});

test("the initial configuration: XSAVE writes it and clears its bit, XSAVEOPT leaves it out, XRSTOR makes it", () => {
	const bare = enabled();
	xsetbv(bare, 0, 3);
	const { u8, i32 } = bare.physical;
	const area = u8.subarray(RAM_BASE + AREA, RAM_BASE + AREA + 576);
	const all = () => {
		bare.state.setGpr32(RAX, 3);
		bare.state.setGpr32(RDX, 0);
	};
	i32[State.x87Control >> 2] = 0x37f;
	i32[State.x87Status >> 2] = i32[State.x87Tag >> 2] = 0;
	all();
	area.fill(0xee);
	area.fill(0, 512);
	area[512] = 3;
	bare.run("x87:xsaveopt", { memory: true, address: AREA }, 0);
	assert.equal(area[512], 0);
	assert.equal(area[0], 0xee, "nothing of x87 state");
	assert.equal(area[160], 0xee, "nothing of SSE state");
	assert.equal(bare.read32(AREA + 24), 0x1f80, "but MXCSR");
	area[512] = 3;
	bare.run("x87:xsave", { memory: true, address: AREA }, 0);
	assert.equal(area[512], 0);
	assert.equal(bare.read16(AREA), 0x37f);
	assert.equal(area[160], 0);
	assert.equal(area[160 + 128], 0xee, "outside 64-bit mode XMM8 to XMM15 have no place");
	u8.fill(0x77, State.xmm, State.xmm + 256);
	u8.fill(0x77, State.x87, State.x87 + 128);
	i32[State.x87Tag >> 2] = 0xff;
	bare.run("x87:xrstor", { memory: true, address: AREA }, 0);
	assert.ok(u8.subarray(State.xmm, State.xmm + 128).every((byte) => byte === 0));
	assert.equal(u8[State.xmm + 128], 0x77);
	assert.ok(u8.subarray(State.x87, State.x87 + 128).every((byte) => byte === 0));
	assert.equal(i32[State.x87Tag >> 2], 0);
});

test("an area that runs into a missing page changes nothing", () => {
	const bare = new BareProcessor().longMode();
	bare.state.cr4 |= Cr4.OSXSAVE | Cr4.OSFXSR;
	xsetbv(bare, 0, 3);
	const last = 0x1ffe00;
	const memory = bare.physical.u8.subarray(RAM_BASE + last, RAM_BASE + 0x200000);
	memory.fill(0xaa);
	const before = bare.physical.u8.slice(State.x87, State.mxcsr + 4);
	bare.state.setGpr32(RAX, 3);
	for (const name of ["x87:xsave", "x87:xsaveopt", "x87:xrstor"]) {
		const fault = bare.faultOf(() => bare.run(name, { memory: true, address: last }, 0));
		assert.equal(fault?.[0], Vector.pageFault, name);
		assert.deepEqual(bare.physical.u8.slice(State.x87, State.mxcsr + 4), before, name);
		assert.ok(memory.every((byte) => byte === 0xaa));
	}
});
