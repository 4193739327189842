import assert from "node:assert/strict";
import { test } from "node:test";
import { VmcsMemory } from "../cpu/vmx/vmcs.ts";
import { Vmcs, type VmcsFieldName, VmcsRegion, vmcsFields } from "../cpu/vmx/vmcs-fields.ts";
import { HostMachine } from "./host-machine.ts";
import { vmcsGroups } from "./vmcs/field-catalogue.ts";
import { HostVmxView } from "./vmx-view.ts";

const VMXON = 0x1000n;
const REGION = 0x2000n;

/** A host in VMX operation with a current VMCS of zeros. */
function start() {
	const nothing = () => {};
	const host = new HostMachine({
		memoryBytes: 0x100000,
		onSerial: nothing,
		onDebugConsole: nothing,
		onReset: nothing,
	});
	const unit = host.processor.vmx!.unit;
	const view = new HostVmxView(host, [unit]);
	assert.equal(view.enabled, false);
	assert.equal(view.read(), undefined);
	unit.enterOperation(VMXON);
	const vmcs = new VmcsMemory(host.physical, Number(REGION));
	for (const region of [VMXON, REGION]) host.physical.write(Number(region), 4, unit.revision);
	unit.setCurrentVmcs(REGION);
	for (const observer of unit.observers) observer.activated?.(REGION);
	const field = (name: VmcsFieldName) => {
		const index = vmcsGroups.findIndex(({ fields }) => fields.some((one) => one.field === name));
		const at = vmcsGroups[index]!.fields.findIndex((one) => one.field === name);
		return view.read()!.groups[index]!.fields[at]!;
	};
	const set = (name: VmcsFieldName, value: bigint) => vmcs.write(Vmcs[name], value);
	/** An exit as the processor records it. */
	const exit = (fields: Partial<Record<VmcsFieldName, bigint>>) => {
		for (const observer of unit.observers) observer.leaving?.(vmcs);
		for (const [name, value] of Object.entries(fields)) set(name as VmcsFieldName, value);
		for (const observer of unit.observers) observer.left?.(vmcs);
	};
	return { host, unit, view, vmcs, field, set, exit };
}

test("every field of the VMCS is shown once, in its group, with its encoding and width", () => {
	const { view } = start();
	const groups = view.read()!.groups;
	const shown = groups.flatMap(({ fields }) => fields.map(({ encoding }) => encoding));
	assert.deepEqual([...shown].sort(), vmcsFields.map(({ encoding }) => encoding).sort());
	for (const { name, fields } of groups) {
		assert.equal(new Set(fields.map((field) => field.name)).size, fields.length, `names in ${name}`);
		for (const { encoding, width } of fields) {
			assert.equal(width, [16, 64, 32, 64][(encoding >> 13) & 3]);
			const type = (encoding >> 10) & 3;
			const expected = ["control fields", "VM-exit information fields", "Guest-state area", "Host-state area"][type]!;
			assert.ok(name.endsWith(expected), `${encoding.toString(16)} in ${name}`);
		}
	}
});

test("no two named bits of a field overlap, and none lies beyond its width", () => {
	const { view, exit } = start();
	for (let reason = 0; reason < 70; reason++) {
		for (const information of [0n, 0x80000b0en, 0x80000301n, 0x400n]) {
			exit({
				exitReason: BigInt(reason),
				exitInterruptionInformation: information,
				exitInstructionInformation: information,
			});
			for (const { fields } of view.read()!.groups) {
				for (const { name, width, bits } of fields) {
					let seen = 0n;
					for (const bit of bits) {
						const mask = ((1n << BigInt(bit.width)) - 1n) << BigInt(bit.bit);
						assert.equal(seen & mask, 0n, `${name}: ${bit.name}`);
						assert.ok(bit.bit + bit.width <= width, `${name}: ${bit.name}`);
						seen |= mask;
					}
				}
			}
		}
	}
});

test("controls, registers and events are decoded", () => {
	const { field, set } = start();
	const setBits = (name: VmcsFieldName) =>
		field(name)
			.bits.filter(({ value }) => value !== 0n)
			.map(({ name: bit, meaning }) => (meaning ? `${bit}: ${meaning}` : bit));
	set("primaryControls", 0x84006172n | (1n << 7n));
	assert.deepEqual(setBits("primaryControls"), ["HLT exiting", "Activate secondary controls"]);
	assert.equal(field("primaryControls").meaning, undefined);
	set("pinControls", 0x16n | (1n << 30n));
	assert.equal(field("pinControls").meaning, "reserved bits set: 30");
	set("exceptionBitmap", 1n << 14n);
	assert.deepEqual(setBits("exceptionBitmap"), ["#PF"]);
	set("eptPointer", 0x1005en);
	assert.deepEqual(setBits("eptPointer"), [
		"Memory type: write-back (WB)",
		"Page-walk length minus 1: 4 levels",
		"Enable accessed and dirty flags",
		"Page frame of the EPT PML4 table: at 0x10000",
	]);
	set("guestCsAccess", 0xa09bn);
	assert.match(field("guestCsAccess").meaning!, /code 64-bit/);
	assert.deepEqual(setBits("guestCsAccess").slice(0, 2), ["Type: code: execute/read, accessed", "S: code or data"]);
	set("guestActivity", 1n);
	assert.equal(field("guestActivity").meaning, "HLT");
	set("entryInterruptionInformation", 0x80000b0dn);
	assert.equal(field("entryInterruptionInformation").meaning, "hardware exception #GP");
	set("instructionError", 7n);
	assert.equal(field("instructionError").meaning, "VM entry with invalid control field(s)");
	set("vmcsLinkPointer", 0xffffffffffffffffn);
	assert.equal(field("vmcsLinkPointer").meaning, "none");
	set("tscOffset", 0xffffffffffffff00n);
	assert.equal(field("tscOffset").meaning, "-256");
});

test("the last exit is told in words by its reason and qualification", () => {
	const { view, exit, field } = start();
	const last = () => {
		const { reason, detail } = view.read()!.lastExit!;
		return `${reason}: ${detail.map(({ name, value }) => `${name} ${typeof value === "bigint" ? `0x${value.toString(16)}` : value}`).join(", ")}`;
	};
	assert.equal(view.read()!.lastExit, undefined);
	assert.equal(field("exitReason").meaning, "no VM exit yet");
	exit({ exitReason: 30n, exitQualification: (0x3f8n << 16n) | 8n });
	assert.equal(last(), "I/O instruction: access IN, port 0x3f8, bytes 1");
	exit({ exitReason: 48n, exitQualification: 0x182n, guestPhysicalAddress: 0x5008n, guestLinearAddress: 0x7008n });
	assert.equal(
		last(),
		"EPT violation: guest-physical address 0x5008, guest-linear address 0x7008, access write, EPT allows nothing",
	);
	exit({ exitReason: 28n, exitQualification: 0x203n });
	assert.equal(last(), "Control-register access: access MOV CR3, RDX");
	exit({
		exitReason: 0n,
		exitQualification: 0xdead000n,
		exitInterruptionInformation: 0x80000b0en,
		exitInterruptionErrorCode: 2n,
	});
	assert.match(last(), /^Exception or NMI: event hardware exception #PF, error code 2, address 0xdead000/);
	exit({ exitReason: 0x80000021n, exitQualification: 4n });
	assert.equal(view.read()!.lastExit!.reason, "Invalid guest state (entry failed)");
	assert.deepEqual(
		field("exitQualification").bits.map(({ meaning }) => meaning),
		["VMCS link pointer"],
	);
});

test("what the last exit and the hypervisor since have changed is marked", () => {
	const { field, set, exit } = start();
	set("guestRip", 0x100n);
	assert.equal(field("guestRip").changed, false);
	exit({ exitReason: 10n, guestRip: 0x200n });
	assert.equal(field("guestRip").changed, true);
	assert.equal(field("exitReason").changed, true);
	assert.equal(field("guestRsp").changed, false);
	set("guestRsp", 0x3000n);
	assert.equal(field("guestRsp").changed, true);
	exit({ exitReason: 10n, guestRip: 0x202n });
	assert.deepEqual(
		(["guestRip", "exitReason", "guestRsp"] as const).map((name) => field(name).changed),
		[true, false, false],
	);
});

test("regions are those made active and not cleared; an address that holds none gives nothing", () => {
	const { unit, view, host } = start();
	const tell = (pointer: bigint, what: "activated" | "cleared") => {
		for (const observer of unit.observers) observer[what]?.(pointer);
	};
	tell(0x3000n, "activated");
	assert.deepEqual(view.regions(), [
		{ address: REGION, current: true },
		{ address: 0x3000n, current: false },
	]);
	assert.equal(view.read(0x3000n), undefined, "no revision identifier");
	host.physical.write(0x3000, 4, unit.revision);
	assert.equal(view.read(0x3000n)!.launchState, "clear");
	for (const address of [VMXON, 0x2001n, -1n, 1n << 60n, 0xf0000000n]) assert.equal(view.read(address), undefined);
	tell(REGION, "cleared");
	unit.setCurrentVmcs(-1n);
	assert.deepEqual(view.regions(), [{ address: 0x3000n, current: false }]);
	assert.equal(view.read(), undefined);
	for (let region = 0; region < 100; region++) tell(BigInt(0x10000 + region * 0x1000), "activated");
	assert.equal(view.regions().length, 64);
	unit.leaveOperation();
	assert.deepEqual(view.regions(), []);
});

test("an entry that fails a check tells the field and the rule", () => {
	const { unit, view, host, vmcs } = start();
	assert.deepEqual(unit.enter(true), { error: 7 });
	assert.deepEqual(view.read()!.entryFailure, {
		field: "Pin-based VM-execution controls",
		rule: "must have the reserved bits of the pin-based controls as the capability MSRs say",
	});
	assert.equal(host.physical.read(vmcs.address + VmcsRegion.launchState, 4), 0);
});

test("bits that are fixed to 1, the reserved bits of DR7 and RFLAGS, are not complained of; an invalid event has no type", () => {
	const { field, set } = start();
	set("guestRflags", 2n);
	set("guestDr7", 0x400n);
	assert.deepEqual([field("guestRflags").meaning, field("guestDr7").meaning], [undefined, undefined]);
	assert.deepEqual(
		field("guestDr7").bits.filter(({ meaning }) => meaning !== undefined),
		[],
	);
	set("guestDr7", 0x402n | (1n << 16n));
	assert.equal(field("guestDr7").bits.find(({ name }) => name === "R/W0")!.meaning, "writes");
	set("exitInterruptionInformation", 0x30en);
	assert.equal(field("exitInterruptionInformation").bits.find(({ name }) => name === "Type")!.meaning, undefined);
	set("exitInterruptionInformation", 0x80000b0en);
	assert.equal(field("exitInterruptionInformation").bits.find(({ name }) => name === "Vector")!.meaning, "#PF");
});
