import assert from "node:assert/strict";
import { test } from "node:test";
import { At, Code, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { controlRules } from "./control-checks.ts";
import { guestRules } from "./guest-checks.ts";
import { guestSegmentRules } from "./guest-segment-checks.ts";
import { hostRules } from "./host-checks.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

type Fields = Partial<Record<VmcsFieldName, number | bigint>>;
/** The field that the check is about, and the values that break it. Other fields are what makes the check apply. */
type Case = readonly [field: VmcsFieldName, fields: Fields, prepare?: (machine: VmxMachine) => void];

const SECONDARY = 0x84006172;
const primary = (bits: number): number => (0x04006172 | bits) >>> 0;
/** Secondary controls, activated, with the TPR shadow where it is needed. */
const secondary = (bits: number, more: Fields = {}, primaryBits = 0): Fields => ({
	primaryControls: (SECONDARY | primaryBits) >>> 0,
	secondaryControls: bits,
	...more,
});
const TPR_SHADOW = 1 << 21;
const EPT: Fields = { eptPointer: At.ept | 0x1e };
const WIDE = 1n << 40n;
const NOT_CANONICAL = 0x8000_0000_0000n;
const EXIT = 0x00036ffb;
const ENTRY = 0x000013fb;
/** An event to inject: type and vector. */
const event = (type: number, vector: number, bits = 0): number => (0x80000000 | bits | (type << 8) | vector) >>> 0;

/** Each fails with VMfailValid, error 7. */
const CONTROLS: readonly Case[] = [
	["pinControls", { pinControls: 0 }],
	["pinControls", { pinControls: 0x16 | (1 << 8) }],
	["primaryControls", { primaryControls: 0 }],
	["primaryControls", { primaryControls: primary(1 << 0) }],
	["secondaryControls", secondary(1 << 31)],
	["cr3TargetCount", { cr3TargetCount: 5 }],
	["ioBitmapA", { primaryControls: primary(1 << 25), ioBitmapA: 0x1001 }],
	["ioBitmapB", { primaryControls: primary(1 << 25), ioBitmapB: WIDE }],
	["msrBitmap", { primaryControls: primary(1 << 28), msrBitmap: 0x800 }],
	["virtualApicAddress", { primaryControls: primary(TPR_SHADOW), virtualApicAddress: 8 }],
	["tprThreshold", { primaryControls: primary(TPR_SHADOW), tprThreshold: 0x10 }],
	["tprThreshold", { primaryControls: primary(TPR_SHADOW), tprThreshold: 1 }],
	["pinControls", { pinControls: 0x16 | (1 << 5) }],
	["primaryControls", { primaryControls: primary(1 << 22) }],
	["apicAccessAddress", secondary(1 << 0, { apicAccessAddress: 4 })],
	["secondaryControls", secondary(1 << 4)],
	["secondaryControls", secondary(1 << 8)],
	["secondaryControls", secondary(1 << 9)],
	["secondaryControls", secondary((1 << 0) | (1 << 4), {}, TPR_SHADOW)],
	["pinControls", secondary(1 << 9, {}, TPR_SHADOW)],
	["pinControls", { pinControls: 0x17 | (1 << 7) }],
	[
		"postedInterruptVector",
		secondary(
			1 << 9,
			{ pinControls: 0x17 | (1 << 7), exitControls: EXIT | (1 << 15), postedInterruptVector: 0x100 },
			TPR_SHADOW,
		),
	],
	[
		"postedInterruptDescriptor",
		secondary(
			1 << 9,
			{ pinControls: 0x17 | (1 << 7), exitControls: EXIT | (1 << 15), postedInterruptDescriptor: 32 },
			TPR_SHADOW,
		),
	],
	["vpid", secondary(1 << 5)],
	["eptPointer", secondary(1 << 1, { eptPointer: At.ept | 0x1f })],
	["eptPointer", secondary(1 << 1, { eptPointer: At.ept | 0x16 })],
	["eptPointer", secondary(1 << 1, { eptPointer: At.ept | 0x9e })],
	["eptPointer", secondary(1 << 1, { eptPointer: WIDE | 0x1en })],
	["secondaryControls", secondary(1 << 7)],
	["secondaryControls", secondary(1 << 17)],
	["secondaryControls", secondary(1 << 22)],
	["pmlAddress", secondary((1 << 17) | 2, { ...EPT, pmlAddress: 8 })],
	["vmFunctionControls", secondary((1 << 13) | 2, { ...EPT, vmFunctionControls: 2 })],
	["vmFunctionControls", secondary(1 << 13, { vmFunctionControls: 1 })],
	["eptpListAddress", secondary((1 << 13) | 2, { ...EPT, vmFunctionControls: 1, eptpListAddress: 8 })],
	["vmreadBitmap", secondary(1 << 14, { vmreadBitmap: 8 })],
	["vmwriteBitmap", secondary(1 << 14, { vmwriteBitmap: 8 })],
	["exitControls", { exitControls: 0 }],
	["exitControls", { exitControls: EXIT | (1 << 31) }],
	["exitControls", { exitControls: EXIT | (1 << 22) }],
	["exitMsrStoreAddress", { exitMsrStoreCount: 1, exitMsrStoreAddress: 8 }],
	["exitMsrLoadAddress", { exitMsrLoadCount: 2, exitMsrLoadAddress: WIDE - 16n }],
	["entryControls", { entryControls: 0 }],
	["entryControls", { entryControls: ENTRY | (1 << 31) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(1, 0) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(2, 3) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(3, 32) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(7, 1) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(4, 0x80, 1 << 11) }],
	["entryInterruptionInformation", { entryInterruptionInformation: event(3, 6, 1 << 12) }],
	[
		"entryExceptionErrorCode",
		{ entryInterruptionInformation: event(3, 13, 1 << 11), entryExceptionErrorCode: 0x10000 },
	],
	["entryInstructionLength", { entryInterruptionInformation: event(4, 0x80), entryInstructionLength: 16 }],
	["entryMsrLoadAddress", { entryMsrLoadCount: 1, entryMsrLoadAddress: 8 }],
];

/** Each fails with VMfailValid, error 8. */
const HOST: readonly Case[] = [
	["hostCr0", { hostCr0: 0x80000011 }],
	["hostCr0", { hostCr0: 0x1_8000_0031n }],
	["hostCr4", { hostCr4: 0x20 }],
	["hostCr4", { hostCr4: 0x2020 | (1 << 31) }],
	["hostCr3", { hostCr3: WIDE }],
	["hostSysenterEsp", { hostSysenterEsp: NOT_CANONICAL }],
	["hostSysenterEip", { hostSysenterEip: NOT_CANONICAL }],
	["hostPat", { exitControls: EXIT | (1 << 19), hostPat: 2 }],
	["hostEfer", { exitControls: EXIT | (1 << 21), hostEfer: 0xd02 }],
	["hostEfer", { exitControls: EXIT | (1 << 21), hostEfer: 0x901 }],
	...(["hostEs", "hostCs", "hostSs", "hostDs", "hostFs", "hostGs", "hostTr"] as const).flatMap((field): Case[] => [
		[field, { [field]: 0x0b }],
		[field, { [field]: 0x0c }],
	]),
	["hostCs", { hostCs: 0 }],
	["hostTr", { hostTr: 0 }],
	["hostFsBase", { hostFsBase: NOT_CANONICAL }],
	["hostGsBase", { hostGsBase: NOT_CANONICAL }],
	["hostGdtrBase", { hostGdtrBase: NOT_CANONICAL }],
	["hostIdtrBase", { hostIdtrBase: NOT_CANONICAL }],
	["hostTrBase", { hostTrBase: NOT_CANONICAL }],
	["exitControls", { exitControls: EXIT & ~(1 << 9) }],
	["hostCr4", { hostCr4: 0x2000 }],
	["hostRip", { hostRip: NOT_CANONICAL }],
];

const V8086: Fields = {
	entryControls: ENTRY & ~(1 << 9),
	guestRflags: 0x20002,
	guestCr0: 0x80000031,
	guestCr4: 0x2020,
};
/** A guest in virtual-8086 mode, whose segments are as they have to be. */
function virtual8086(): Fields {
	const fields: Record<string, number | bigint> = { ...V8086, guestRip: 0 };
	for (const segment of ["Es", "Cs", "Ss", "Ds", "Fs", "Gs"]) {
		fields[`guest${segment}`] = 0x800;
		fields[`guest${segment}Base`] = 0x8000;
		fields[`guest${segment}Limit`] = 0xffff;
		fields[`guest${segment}Access`] = 0xf3;
	}
	return fields as Fields;
}

/** Each leads to a VM exit with reason 33. */
const GUEST: readonly Case[] = [
	["guestCr0", { guestCr0: 0x80000011 }],
	["guestCr0", { guestCr0: 0x80000030 }],
	["guestCr0", { guestCr0: 0xa0000031 }],
	["guestCr0", { guestCr0: 0x1_8000_0031n }],
	["guestCr4", { guestCr4: 0x20 }],
	["guestCr4", { guestCr4: 0x2020 | (1 << 31) }],
	["guestDebugctl", { entryControls: ENTRY | 4, guestDebugctl: 4 }],
	["guestCr4", { guestCr4: 0x2000 }],
	["guestCr4", { ...virtual8086(), guestCr4: 0x22020 }],
	["guestCr3", { guestCr3: WIDE }],
	["guestDr7", { entryControls: ENTRY | 4, guestDr7: 0x1_0000_0400n }],
	["guestSysenterEsp", { guestSysenterEsp: NOT_CANONICAL }],
	["guestSysenterEip", { guestSysenterEip: NOT_CANONICAL }],
	["guestPat", { entryControls: ENTRY | (1 << 14), guestPat: 3 }],
	["guestEfer", { entryControls: ENTRY | (1 << 15), guestEfer: 0x100 }],
	["guestEfer", { entryControls: ENTRY | (1 << 15), guestEfer: 0x502 }],
	["guestTr", { guestTr: 0x2c }],
	["guestLdtr", { guestLdtr: 0x14, guestLdtrAccess: 0x82 }],
	["guestSs", { guestSs: 0x13 }],
	["guestTrBase", { guestTrBase: NOT_CANONICAL }],
	["guestFsBase", { guestFsBase: NOT_CANONICAL }],
	["guestGsBase", { guestGsBase: NOT_CANONICAL }],
	["guestLdtrBase", { guestLdtrBase: NOT_CANONICAL, guestLdtrAccess: 0x82 }],
	["guestCsBase", { guestCsBase: 1n << 32n }],
	["guestSsBase", { guestSsBase: 1n << 32n }],
	["guestDsBase", { guestDsBase: 1n << 32n }],
	["guestEsBase", { guestEsBase: 1n << 32n }],
	...(["Es", "Cs", "Ss", "Ds", "Fs", "Gs"] as const).flatMap((segment): Case[] => [
		[`guest${segment}Base`, { ...virtual8086(), [`guest${segment}Base`]: 0x8010 }],
		[`guest${segment}Limit`, { ...virtual8086(), [`guest${segment}Limit`]: 0xfffe }],
		[`guest${segment}Access`, { ...virtual8086(), [`guest${segment}Access`]: 0x93 }],
	]),
	["guestCsAccess", { guestCsAccess: 0xa093 }],
	["guestSsAccess", { guestSsAccess: 0xc091 }],
	["guestDsAccess", { guestDsAccess: 0xc092 }],
	["guestEsAccess", { guestEsAccess: 0xc099 }],
	["guestCsAccess", { guestCsAccess: 0xa08b }],
	["guestDsAccess", { guestDsAccess: 0xc083 }],
	["guestCsAccess", { guestCsAccess: 0xa0fb }],
	["guestSsAccess", { guestSsAccess: 0xc0b3, guestCsAccess: 0xa0bb }],
	["guestFsAccess", { guestFs: 0x13 }],
	["guestGsAccess", { guestGs: 0x13 }],
	["guestCsAccess", { guestCsAccess: 0xa01b }],
	["guestDsAccess", { guestDsAccess: 0xc013 }],
	["guestCsAccess", { guestCsAccess: 0xa19b }],
	["guestDsAccess", { guestDsAccess: 0x2_c093n }],
	["guestDsAccess", { guestDsLimit: 0xffffeffe }],
	["guestDsAccess", { guestDsAccess: 0x4093 }],
	["guestCsAccess", { guestCsAccess: 0xe09b }],
	["guestTrAccess", { guestTrAccess: 0x89 }],
	["guestTrAccess", { guestTrAccess: 0x83 }],
	["guestTrAccess", { guestTrAccess: 0x9b }],
	["guestTrAccess", { guestTrAccess: 0x1008b }],
	["guestTrAccess", { guestTrLimit: 0x100000 }],
	["guestLdtrAccess", { guestLdtrAccess: 0x83 }],
	["guestLdtrAccess", { guestLdtrAccess: 0x82, guestLdtrLimit: 0x100000 }],
	["guestGdtrBase", { guestGdtrBase: NOT_CANONICAL }],
	["guestIdtrBase", { guestIdtrBase: NOT_CANONICAL }],
	["guestGdtrLimit", { guestGdtrLimit: 0x10000 }],
	["guestIdtrLimit", { guestIdtrLimit: 0x10000 }],
	["guestRip", { guestRip: NOT_CANONICAL }],
	["guestRip", { guestRip: 1n << 32n, guestCsAccess: 0xc09b, guestCs: Code.code32 }],
	["guestRflags", { guestRflags: 0 }],
	["guestRflags", { guestRflags: 0x8002 }],
	["guestRflags", { guestRflags: 0x20002 }],
	["guestRflags", { entryInterruptionInformation: event(0, 0x40) }],
	["guestActivity", { guestActivity: 4 }],
	["guestActivity", { guestActivity: 1, guestSs: 0x13, guestSsAccess: 0xc0f3, guestCs: 0x0b, guestCsAccess: 0xa0fb }],
	["guestActivity", { guestActivity: 1, guestInterruptibility: 2 }],
	["guestActivity", { guestActivity: 1, entryInterruptionInformation: event(3, 6) }],
	["guestActivity", { guestActivity: 2, entryInterruptionInformation: event(0, 0x40), guestRflags: 0x202 }],
	["guestInterruptibility", { guestInterruptibility: 0x20 }],
	["guestInterruptibility", { guestInterruptibility: 3, guestRflags: 0x202 }],
	["guestInterruptibility", { guestInterruptibility: 1 }],
	[
		"guestInterruptibility",
		{ guestInterruptibility: 2, entryInterruptionInformation: event(0, 0x40), guestRflags: 0x202 },
	],
	["guestInterruptibility", { guestInterruptibility: 2, entryInterruptionInformation: event(2, 2) }],
	["guestInterruptibility", { guestInterruptibility: 4 }],
	[
		"guestInterruptibility",
		{ pinControls: 0x16 | 0x28, guestInterruptibility: 8, entryInterruptionInformation: event(2, 2) },
	],
	["guestPendingDebug", { guestPendingDebug: 0x10 }],
	["guestPendingDebug", { guestInterruptibility: 2, guestRflags: 0x102 }],
	["guestPendingDebug", { guestInterruptibility: 2, guestPendingDebug: 0x4000 }],
];

const linkTo = (machine: VmxMachine, revision: number): void => machine.write32(At.shadowVmcs, revision);
/** Reason 33 with a qualification of its own. */
const QUALIFIED: readonly (readonly [bigint, ...Case])[] = [
	[4n, "vmcsLinkPointer", { vmcsLinkPointer: At.shadowVmcs | 1 }],
	[4n, "vmcsLinkPointer", { vmcsLinkPointer: WIDE }],
	[4n, "vmcsLinkPointer", { vmcsLinkPointer: At.shadowVmcs }, (machine) => linkTo(machine, 5)],
	[4n, "vmcsLinkPointer", { vmcsLinkPointer: At.vmcs }],
	[
		4n,
		"vmcsLinkPointer",
		secondary(1 << 14, { vmcsLinkPointer: At.shadowVmcs }),
		(machine) => linkTo(machine, machine.unit.revision),
	],
	[
		2n,
		"guestCr3",
		{ entryControls: ENTRY & ~(1 << 9), guestCsAccess: 0xc09b, guestCs: Code.code32, guestCr3: At.data },
		(machine) => machine.write64(At.data + 8, 0x3n),
	],
];

test("the default VMCS of the machine enters, as do a virtual-8086 and an unrestricted real-mode guest", () => {
	const plain = new VmxMachine().operate().code(0x0f, 0xa2);
	assert.equal(plain.enter(), 10);
	const v8086 = new VmxMachine().operate().set(virtual8086()).code(0x0f, 0xa2);
	v8086.write64(At.data, BigInt(At.tables + 0x2000) | 1n);
	v8086.set({ guestCr3: At.data });
	assert.equal(v8086.enter(), 10);
	const real = new VmxMachine()
		.operate()
		.ept()
		.secondary((1 << 7) | 2)
		.code(0x0f, 0xa2);
	real.set({ ...virtual8086(), guestRflags: 2, guestCr0: 0x30, guestCr4: 0x2000 });
	for (const segment of ["Es", "Ss", "Ds", "Fs", "Gs", "Cs"] as const) real.set({ [`guest${segment}Access`]: 0x93 });
	assert.equal(real.enter(), 10);
});

for (const [title, cases, error] of [
	["VM-execution, VM-exit and VM-entry control fields: VMfailValid with error 7", CONTROLS, 7],
	["host-state area: VMfailValid with error 8", HOST, 8],
] as const) {
	test(title, () => {
		const machine = new VmxMachine().code(0x0f, 0xa2);
		for (const [field, fields, prepare] of cases) {
			machine.operate().set(fields);
			prepare?.(machine);
			const label = `${field}: ${JSON.stringify(fields, (_, value) => (typeof value === "bigint" ? `${value}` : value))}`;
			assert.deepEqual(machine.launch(), { kind: "done", carry: false, zero: true, error }, label);
			assert.equal(machine.unit.entryFailure?.field, field, label);
			assert.equal(machine.read32(At.vmcs + 8), 0, "the launch state stays clear");
		}
	});
}

test("guest-state area: a VM exit with reason 33, and the guest's state is not saved", () => {
	const cases = [...GUEST.map((one) => [0n, ...one] as const), ...QUALIFIED];
	const machine = new VmxMachine().code(0x0f, 0xa2);
	for (const [qualification, field, fields, prepare] of cases) {
		machine.operate().set(fields);
		prepare?.(machine);
		const rip = machine.get("guestRip");
		const label = `${field}: ${JSON.stringify(fields, (_, value) => (typeof value === "bigint" ? `${value}` : value))}`;
		assert.deepEqual(machine.launch(), { kind: "exit", reason: 0x80000021, qualification }, label);
		assert.equal(machine.unit.entryFailure?.field, field, label);
		assert.equal(machine.get("guestRip"), rip);
		assert.equal(machine.read32(At.vmcs + 8), 0, "the launch state stays clear");
	}
});

test("every field that a check is about is broken by some case", () => {
	const rules = [...controlRules, ...hostRules, ...guestRules, ...guestSegmentRules];
	const broken = new Set([...CONTROLS, ...HOST, ...GUEST].map(([field]) => field));
	const missing = new Set(rules.map(({ field }) => field).filter((field) => !broken.has(field)));
	// Counts above the limit of IA32_VMX_MISC are beyond what a list is for.
	assert.deepEqual([...missing], ["exitMsrStoreCount", "exitMsrLoadCount", "entryMsrLoadCount"]);
});
