import assert from "node:assert/strict";
import { test } from "node:test";
import { At, VmxMachine } from "../../../test/tools/vmx-machine.ts";
import { ExitReasonNumber as Reason } from "./exit-reasons.ts";

const SYSENTER_CS = 0x174;
const LSTAR = 0xc0000082;
const FS_BASE = 0xc0000100;
const NOT_CANONICAL = 0x8000_0000_0000n;

function list(
	machine: VmxMachine,
	address: number,
	...entries: readonly (readonly [msr: number, value: bigint])[]
): void {
	entries.forEach(([msr, value], index) => {
		machine.write64(address + index * 16, BigInt(msr));
		machine.write64(address + index * 16 + 8, value);
	});
}

test("entry loads, exit stores and loads, each in the order of its list", () => {
	const machine = new VmxMachine().operate().code(0x0f, 0xa2);
	list(machine, At.lists, [LSTAR, 1n], [LSTAR, 0x1111n]);
	list(machine, At.lists + 0x100, [LSTAR, 0n], [SYSENTER_CS, 0n]);
	list(machine, At.lists + 0x200, [LSTAR, 0x2222n]);
	machine.set({
		entryMsrLoadAddress: At.lists,
		entryMsrLoadCount: 2,
		exitMsrStoreAddress: At.lists + 0x100,
		exitMsrStoreCount: 2,
		exitMsrLoadAddress: At.lists + 0x200,
		exitMsrLoadCount: 1,
		guestSysenterCs: 0x77,
		hostSysenterCs: 0x88,
	});
	assert.equal(machine.enter(), Reason.cpuid);
	assert.equal(machine.read64(At.lists + 0x108), 0x1111n);
	assert.equal(machine.read64(At.lists + 0x118), 0x77n);
	const { modelSpecific } = machine.host.processor;
	assert.equal(modelSpecific.read(LSTAR), 0x2222n);
	assert.equal(modelSpecific.read(SYSENTER_CS), 0x88n);
});

test("an entry that cannot be loaded fails with reason 34 and its number", () => {
	for (const [msr, value] of [
		[FS_BASE, 0n],
		[0xc0000101, 0n],
		[0x808, 0n],
		[LSTAR, NOT_CANONICAL],
		[0x12345, 0n],
		[0x480, 0n],
	] as const) {
		const machine = new VmxMachine().operate().code(0x0f, 0xa2);
		list(machine, At.lists, [LSTAR, 0x1111n], [msr, value]);
		machine.set({ entryMsrLoadAddress: At.lists, entryMsrLoadCount: 2 });
		assert.deepEqual(machine.launch(), { kind: "exit", reason: 0x80000022, qualification: 2n });
	}
});

test("an exit whose lists cannot be processed is a VMX abort", () => {
	for (const [fields, indicator] of [
		[{ exitMsrStoreAddress: At.lists, exitMsrStoreCount: 1 }, 1],
		[{ exitMsrLoadAddress: At.lists, exitMsrLoadCount: 1 }, 4],
	] as const) {
		const machine = new VmxMachine().operate().code(0x0f, 0xa2).set(fields);
		list(machine, At.lists, [0x12345, 0n]);
		assert.deepEqual(machine.launch(), { kind: "stopped", why: "shutdown" });
		assert.equal(machine.read32(At.vmcs + 4), indicator);
	}
});
