import assert from "node:assert/strict";
import { test } from "node:test";
import { At, Code, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

const RAX = 0;
const RCX = 1;
const RDX = 2;
const RBX = 3;
const RSI = 6;
const RDI = 7;

interface Case {
	readonly name: string;
	readonly code: readonly number[];
	readonly reason: number;
	readonly qualification?: bigint;
	readonly information?: number;
	readonly linear?: bigint;
	readonly set?: Partial<Record<VmcsFieldName, number | bigint>>;
	readonly primary?: number;
	readonly secondary?: number;
	readonly registers?: Readonly<Record<number, bigint>>;
}

/** Bits of the instruction-information field (SDM Vol. 3C Tables 28-8 to 28-14): 64-bit addresses; base RDI; DS. */
const ADDRESS_64 = 2 << 7;
const DS = 3 << 15;
const NO_INDEX = 1 << 22;
const BASE_RDI = RDI << 23;
const AT_RDI = ADDRESS_64 | DS | NO_INDEX | BASE_RDI;
const REGISTER = 1 << 10;
const bits = (value: number): number => value >>> 0;

const CASES: readonly Case[] = [
	{ name: "CPUID", code: [0x0f, 0xa2], reason: Reason.cpuid },
	{ name: "INVD", code: [0x0f, 0x08], reason: Reason.invd },
	{ name: "VMCALL", code: [0x0f, 0x01, 0xc1], reason: Reason.vmcall },
	{ name: "VMLAUNCH", code: [0x0f, 0x01, 0xc2], reason: Reason.vmlaunch },
	{ name: "VMRESUME", code: [0x0f, 0x01, 0xc3], reason: Reason.vmresume },
	{ name: "VMXOFF", code: [0x0f, 0x01, 0xc4], reason: Reason.vmxoff },
	{
		name: "VMXON [RDI+8]",
		code: [0xf3, 0x0f, 0xc7, 0x77, 0x08],
		reason: Reason.vmxon,
		qualification: 8n,
		information: AT_RDI,
	},
	{
		name: "VMCLEAR [RDI-8]",
		code: [0x66, 0x0f, 0xc7, 0x77, 0xf8],
		reason: Reason.vmclear,
		qualification: 0xffff_ffff_ffff_fff8n,
		information: AT_RDI,
	},
	{
		name: "VMPTRLD FS:[RDI+RBX*4]",
		code: [0x64, 0x0f, 0xc7, 0x34, 0x9f],
		reason: Reason.vmptrld,
		information: 2 | ADDRESS_64 | (4 << 15) | (RBX << 18) | BASE_RDI,
	},
	{
		name: "VMPTRST [EDI]",
		code: [0x67, 0x0f, 0xc7, 0x3f],
		reason: Reason.vmptrst,
		information: (1 << 7) | DS | NO_INDEX | BASE_RDI,
	},
	{
		name: "VMREAD RBX, RAX",
		code: [0x0f, 0x78, 0xc3],
		reason: Reason.vmread,
		information: REGISTER | (RBX << 3) | (RAX << 28),
	},
	{ name: "VMREAD [RDI], RCX", code: [0x0f, 0x78, 0x0f], reason: Reason.vmread, information: AT_RDI | (RCX << 28) },
	{
		name: "VMWRITE RAX, RBX",
		code: [0x0f, 0x79, 0xc3],
		reason: Reason.vmwrite,
		information: REGISTER | (RBX << 3) | (RAX << 28),
	},
	{
		name: "INVEPT RCX, [RDI]",
		code: [0x66, 0x0f, 0x38, 0x80, 0x0f],
		reason: Reason.invept,
		information: AT_RDI | (RCX << 28),
	},
	{
		name: "INVVPID RCX, [RDI]",
		code: [0x66, 0x0f, 0x38, 0x81, 0x0f],
		reason: Reason.invvpid,
		information: AT_RDI | (RCX << 28),
	},
	{
		name: "INVPCID RCX, [RDI]",
		code: [0x66, 0x0f, 0x38, 0x82, 0x0f],
		reason: Reason.invpcid,
		primary: 1 << 9,
		secondary: 1 << 12,
		information: AT_RDI | (RCX << 28),
	},
	{ name: "XSETBV", code: [0x0f, 0x01, 0xd1], reason: Reason.xsetbv, set: { guestCr4: 0x42020 } },
	{ name: "HLT", code: [0xf4], reason: Reason.hlt, primary: 1 << 7 },
	{ name: "PAUSE", code: [0xf3, 0x90], reason: Reason.pause, primary: 1 << 30 },
	{ name: "RDTSC", code: [0x0f, 0x31], reason: Reason.rdtsc, primary: 1 << 12 },
	{ name: "RDTSCP", code: [0x0f, 0x01, 0xf9], reason: Reason.rdtscp, primary: 1 << 12, secondary: 1 << 3 },
	{ name: "RDPMC", code: [0x0f, 0x33], reason: Reason.rdpmc, primary: 1 << 11 },
	{ name: "WBINVD", code: [0x0f, 0x09], reason: Reason.wbinvd, secondary: 1 << 6 },
	{
		name: "INVLPG [RDI+16]",
		code: [0x0f, 0x01, 0x7f, 0x10],
		reason: Reason.invlpg,
		primary: 1 << 9,
		qualification: BigInt(At.data + 16),
	},
	{
		name: "MOV CR3, RBX",
		code: [0x0f, 0x22, 0xdb],
		reason: Reason.controlRegister,
		primary: 1 << 15,
		qualification: 0x303n,
	},
	{
		name: "MOV RBX, CR3",
		code: [0x0f, 0x20, 0xdb],
		reason: Reason.controlRegister,
		primary: 1 << 16,
		qualification: 0x313n,
	},
	{
		name: "MOV CR8, RBX",
		code: [0x44, 0x0f, 0x22, 0xc3],
		reason: Reason.controlRegister,
		primary: 1 << 19,
		qualification: 0x308n,
	},
	{
		name: "MOV RBX, CR8",
		code: [0x44, 0x0f, 0x20, 0xc3],
		reason: Reason.controlRegister,
		primary: 1 << 20,
		qualification: 0x318n,
	},
	{
		name: "MOV CR0, RBX",
		code: [0x0f, 0x22, 0xc3],
		reason: Reason.controlRegister,
		set: { cr0Mask: 8, cr0ReadShadow: 0 },
		registers: { [RBX]: 0x80000039n },
		qualification: 0x300n,
	},
	{
		name: "MOV CR4, RBX",
		code: [0x0f, 0x22, 0xe3],
		reason: Reason.controlRegister,
		set: { cr4Mask: 0x2000, cr4ReadShadow: 0 },
		registers: { [RBX]: 0x2020n },
		qualification: 0x304n,
	},
	{
		name: "CLTS",
		code: [0x0f, 0x06],
		reason: Reason.controlRegister,
		set: { cr0Mask: 8, cr0ReadShadow: 8 },
		qualification: 0x20n,
	},
	{
		name: "LMSW BX",
		code: [0x0f, 0x01, 0xf3],
		reason: Reason.controlRegister,
		set: { cr0Mask: 8 },
		registers: { [RBX]: 9n },
		qualification: 0x90030n,
	},
	{
		name: "LMSW [RDI]",
		code: [0x0f, 0x01, 0x37],
		reason: Reason.controlRegister,
		set: { cr0Mask: 8 },
		qualification: 0xf0070n,
		linear: BigInt(At.data),
	},
	{
		name: "MOV DR7, RBX",
		code: [0x0f, 0x23, 0xfb],
		reason: Reason.debugRegister,
		primary: 1 << 23,
		qualification: 0x307n,
	},
	{
		name: "MOV RBX, DR6",
		code: [0x0f, 0x21, 0xf3],
		reason: Reason.debugRegister,
		primary: 1 << 23,
		qualification: 0x316n,
	},
	{ name: "RDMSR", code: [0x0f, 0x32], reason: Reason.rdmsr },
	{ name: "WRMSR", code: [0x0f, 0x30], reason: Reason.wrmsr },
	{ name: "IN AL, 0x71", code: [0xe4, 0x71], reason: Reason.io, primary: 1 << 24, qualification: 0x710048n },
	{
		name: "OUT DX, EAX",
		code: [0xef],
		reason: Reason.io,
		primary: 1 << 24,
		registers: { [RDX]: 0x1234n },
		qualification: 0x12340003n,
	},
	{
		name: "REP OUTSB",
		code: [0xf3, 0x6e],
		reason: Reason.io,
		primary: 1 << 24,
		registers: { [RDX]: 0x80n, [RCX]: 2n, [RSI]: BigInt(At.data) },
		qualification: 0x800030n,
		information: ADDRESS_64 | DS,
		linear: BigInt(At.data),
	},
	{
		name: "INSW",
		code: [0x66, 0x6d],
		reason: Reason.io,
		primary: 1 << 24,
		registers: { [RDX]: 0x80n },
		qualification: 0x800019n,
		information: ADDRESS_64,
		linear: BigInt(At.data),
	},
	{
		name: "SGDT [RDI]",
		code: [0x0f, 0x01, 0x07],
		reason: Reason.gdtrOrIdtr,
		secondary: 4,
		information: AT_RDI | (1 << 11),
	},
	{
		name: "LIDT [RDI]",
		code: [0x0f, 0x01, 0x1f],
		reason: Reason.gdtrOrIdtr,
		secondary: 4,
		information: AT_RDI | (1 << 11) | (3 << 28),
	},
	{
		name: "STR EBX",
		code: [0x0f, 0x00, 0xcb],
		reason: Reason.ldtrOrTr,
		secondary: 4,
		information: REGISTER | (RBX << 3) | (1 << 28),
	},
	{
		name: "LLDT [RDI]",
		code: [0x0f, 0x00, 0x17],
		reason: Reason.ldtrOrTr,
		secondary: 4,
		information: AT_RDI | (2 << 28),
	},
	{ name: "UD2", code: [0x0f, 0x0b], reason: Reason.exceptionOrNmi, set: { exceptionBitmap: 1 << 6 } },
];

const hex = (value: number): string => (value >>> 0).toString(16);

test("each instruction that exits: reason, qualification, length, information and linear address", () => {
	const machine = new VmxMachine();
	for (const one of CASES) {
		machine.operate().code(...one.code);
		machine.add("primaryControls", one.primary ?? 0);
		if (one.secondary) machine.secondary(one.secondary);
		machine.set(one.set ?? {});
		machine.write32(At.data, 0xffff_000f);
		machine.state.setGpr64(RDI, BigInt(At.data));
		for (const register of [RAX, RCX, RDX, RBX, RSI]) machine.state.setGpr64(register, one.registers?.[register] ?? 0n);
		const outcome = machine.launch();
		assert.deepEqual(outcome, { kind: "exit", reason: one.reason, qualification: one.qualification ?? 0n }, one.name);
		if (one.reason !== Reason.exceptionOrNmi)
			assert.equal(machine.get32("exitInstructionLength"), one.code.length, one.name);
		assert.equal(hex(machine.get32("exitInstructionInformation")), hex(bits(one.information ?? 0)), one.name);
		assert.equal(machine.get("guestLinearAddress"), one.linear ?? 0n, one.name);
		assert.equal(machine.get("guestRip"), BigInt(At.guest), `${one.name} has not been executed`);
	}
});

test("without its control no instruction exits", () => {
	const machine = new VmxMachine();
	const optional = CASES.filter(({ primary, secondary, set }) => primary || secondary || set);
	for (const { name, code, registers } of optional.filter(
		({ name }) => !/^(RDPMC|UD2|HLT|IN |OUT|REP|INS|INVPCID|XSETBV|MOV CR|L)/.test(name),
	)) {
		machine.operate().code(...code, 0x0f, 0xa2);
		machine.set({ primaryControls: 0x04006172 }).secondary(1 << 3);
		machine.state.setGpr64(RDI, BigInt(At.data));
		for (const register of [RAX, RCX, RDX, RBX, RSI]) machine.state.setGpr64(register, registers?.[register] ?? 0n);
		assert.equal(machine.enter(), Reason.cpuid, name);
		assert.equal(machine.get("guestRip"), BigInt(At.guest + code.length), name);
	}
});

test("faults come before exits: privilege, undefined, I/O permission; RDTSCP without its control is undefined", () => {
	const machine = new VmxMachine();
	const user = { guestCs: 0x0b, guestCsAccess: 0xa0fb, guestSs: 0x13, guestSsAccess: 0xc0f3 };
	for (const [code, vector, fields] of [
		[[0xf4], 13, user],
		[[0x0f, 0x32], 13, user],
		[[0x0f, 0x08], 13, user],
		[[0xe4, 0x71], 13, user],
		[[0x0f, 0x20, 0xc8], 6, {}],
		[[0x0f, 0x01, 0xf9], 6, {}],
		[[0x0f, 0x01, 0xd4], 6, {}],
		[[0x66, 0x0f, 0x38, 0x82, 0x0f], 6, {}],
		[[0x0f, 0x01, 0xd1], 6, {}],
		[[0x0f, 0x01, 0xd1], 13, { ...user, guestCr4: 0x42020 }],
	] as const) {
		machine
			.operate()
			.code(...code)
			.set(fields);
		machine.add("primaryControls", (1 << 7) | (1 << 24)).set({ exceptionBitmap: (1 << 13) | (1 << 6) });
		assert.equal(machine.enter(), Reason.exceptionOrNmi);
		assert.equal(machine.get32("exitInterruptionInformation") & 0xff, vector);
	}
	// VMCALL exits at every privilege level.
	machine.operate().code(0x0f, 0x01, 0xc1).set(user);
	assert.equal(machine.enter(), Reason.vmcall);
});

test("CR0 and CR4: what is masked reads from the shadow, and keeps its value when the shadow's is written", () => {
	const machine = new VmxMachine().operate();
	// MOV RAX, CR0; MOV RBX, CR4; MOV CR0, RAX; MOV CR4, RBX; CPUID
	machine.code(0x0f, 0x20, 0xc0, 0x0f, 0x20, 0xe3, 0x0f, 0x22, 0xc0, 0x0f, 0x22, 0xe3, 0x0f, 0xa2);
	machine.set({ cr0Mask: 0x20, cr0ReadShadow: 0, cr4Mask: 0x2000, cr4ReadShadow: 0 });
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(BigInt.asUintN(64, machine.state.gpr64(RAX)), 0x80000011n);
	assert.equal(machine.state.gpr64(RBX), 0x20n);
	assert.equal(machine.get("guestCr0"), 0x80000031n);
	assert.equal(machine.get("guestCr4"), 0x2020n);
});

test("CR3 targets are loaded without an exit", () => {
	const machine = new VmxMachine().operate().code(0x0f, 0x22, 0xd8, 0x0f, 0xa2);
	machine.add("primaryControls", 1 << 15).set({ cr3TargetCount: 2, cr3Target1: At.tables });
	machine.state.setGpr64(RAX, BigInt(At.tables));
	assert.equal(machine.enter(), Reason.cpuid);
	machine
		.operate()
		.add("primaryControls", 1 << 15)
		.set({ cr3TargetCount: 1, cr3Target1: At.tables });
	machine.state.setGpr64(RAX, BigInt(At.tables));
	assert.equal(machine.enter(), Reason.controlRegister);
});

test("MSR bitmaps: four quarters, and what lies outside exits", () => {
	const machine = new VmxMachine();
	const reads = (msr: number): boolean => {
		machine
			.operate()
			.code(0x0f, 0x32, 0x0f, 0xa2)
			.add("primaryControls", 1 << 28);
		machine.state.setGpr64(RCX, BigInt(msr));
		return machine.enter() === Reason.rdmsr;
	};
	const writes = (msr: number): boolean => {
		machine
			.operate()
			.code(0x0f, 0x30, 0x0f, 0xa2)
			.add("primaryControls", 1 << 28);
		machine.state.setGpr64(RAX, 0n);
		machine.state.setGpr64(RDX, 0n);
		machine.state.setGpr64(RCX, BigInt(msr));
		return machine.enter() === Reason.wrmsr;
	};
	assert.equal(reads(0x174), false);
	assert.equal(reads(0xc0000082), false);
	machine.bytes(At.msrBitmap + (0x174 >> 3), 1 << (0x174 & 7));
	machine.bytes(At.msrBitmap + 0x400 + (0x82 >> 3), 1 << (0x82 & 7));
	assert.equal(reads(0x174), true);
	assert.equal(reads(0xc0000082), true);
	assert.equal(reads(0x175), false);
	assert.equal(writes(0x174), false);
	machine.bytes(At.msrBitmap + 0x800 + (0x174 >> 3), 1 << (0x174 & 7));
	machine.bytes(At.msrBitmap + 0xc00 + (0x82 >> 3), 1 << (0x82 & 7));
	assert.equal(writes(0x174), true);
	assert.equal(writes(0xc0000082), true);
	assert.equal(reads(0x2000), true);
	assert.equal(reads(0xc0002000), true);
});

test("I/O bitmaps: each byte of a wide access counts, ports wrap around to an exit", () => {
	const machine = new VmxMachine();
	const exits = (port: number, code: readonly number[] = [0xec]): boolean => {
		machine
			.operate()
			.code(...code, 0x0f, 0xa2)
			.add("primaryControls", 1 << 25);
		machine.state.setGpr64(RDX, BigInt(port));
		return machine.enter() === Reason.io;
	};
	assert.equal(exits(0x80), false);
	machine.bytes(At.ioBitmaps + (0x83 >> 3), 1 << (0x83 & 7));
	machine.bytes(At.ioBitmaps + 0x1000, 1);
	assert.equal(exits(0x80), false);
	assert.equal(exits(0x80, [0xed]), true);
	assert.equal(exits(0x83), true);
	assert.equal(exits(0x8000), true);
	assert.equal(exits(0xffff), false);
	assert.equal(exits(0xffff, [0xed]), true);
});

test("the time stamp has the offset", () => {
	const machine = new VmxMachine()
		.operate()
		.code(0x0f, 0x31, 0x0f, 0xa2)
		.add("primaryControls", 1 << 3);
	machine.set({ tscOffset: 1n << 40n });
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.state.gpr32(RDX), 0x100);
	assert.ok(machine.host.processor.modelSpecific.read(0x10)! < 1n << 40n, "the host's has not");
});

test("task switches exit with selector and source", () => {
	const machine = new VmxMachine().operate();
	machine.set({ entryControls: 0x000011fb, guestCs: Code.code32, guestCsAccess: 0xc09b, guestCr0: 0x80000031 });
	machine.write64(At.data, BigInt(At.tables + 0x2000) | 1n);
	machine.set({ guestCr3: At.data });
	machine.write64(At.gdt + 0x40, 0x0000890040000067n);
	// JMP FAR 0x40:0
	machine.code(0xea, 0, 0, 0, 0, 0x40, 0);
	assert.equal(machine.enter(), Reason.taskSwitch);
	assert.equal(machine.get("exitQualification"), (2n << 30n) | 0x40n);
	assert.equal(machine.get32("exitInstructionLength"), 7);
});

test("VMCS shadowing: bitmaps choose between an exit and the shadow VMCS", () => {
	const machine = new VmxMachine()
		.operate()
		.secondary(1 << 14)
		.set({ vmcsLinkPointer: At.shadowVmcs });
	machine.write32(At.shadowVmcs, machine.unit.revision | 0x80000000);
	// VMWRITE RAX, RBX; VMREAD RCX, RAX; VMREAD RCX, RDX
	machine.code(0x0f, 0x79, 0xc3, 0x0f, 0x78, 0xc1, 0x0f, 0x78, 0xd1);
	machine.bytes(At.vmreadBitmap + (0x6820 >> 3), 1 << (0x6820 & 7));
	machine.state.setGpr64(RAX, 0x681en);
	machine.state.setGpr64(RBX, 0x1234n);
	machine.state.setGpr64(RDX, 0x6820n);
	assert.equal(machine.enter(), Reason.vmread);
	assert.equal(machine.state.gpr64(RCX), 0x1234n);
	assert.equal(machine.get("guestRip"), BigInt(At.guest + 6));
});

test("VMFUNC: EPTP switching takes the pointer from the list; others exit or are undefined", () => {
	const machine = new VmxMachine()
		.operate()
		.ept()
		.secondary((1 << 13) | 2);
	machine.set({ vmFunctionControls: 1, eptpListAddress: At.lists, exceptionBitmap: 1 << 6 });
	machine.write64(At.lists + 8, BigInt(At.ept) | 0x5en);
	machine.code(0x0f, 0x01, 0xd4, 0x0f, 0xa2);
	const call = (eax: bigint, ecx: bigint): number => {
		machine.state.setGpr64(RAX, eax);
		machine.state.setGpr64(RCX, ecx);
		machine.set({ guestRip: At.guest });
		return machine.enter();
	};
	assert.equal(call(0n, 0n), Reason.vmfunc);
	assert.equal(call(0n, 512n), Reason.vmfunc);
	assert.equal(call(1n, 1n), Reason.vmfunc);
	assert.equal(call(64n, 1n), Reason.exceptionOrNmi);
	assert.equal(call(0n, 1n), Reason.cpuid);
	assert.equal(machine.get("eptPointer"), BigInt(At.ept) | 0x5en);
});
