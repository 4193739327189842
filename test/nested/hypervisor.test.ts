// A guest that is a hypervisor, under `none`: its VM exits and entries as stops and events, its VMCS, its EPT, and both sides of an entry.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { ExitReasonNumber } from "../../emulator/cpu/vmx/exit-reasons.ts";
import { NativeMachine } from "../../emulator/machine/native-machine.ts";
import type { EventFilter, Stop } from "../../emulator/machine/virtual-machine.ts";
import { root } from "../tools/command-line.ts";
import { symbolAddress } from "../tools/image-symbols.ts";

const image = join(root, "extension/samples/hypervisor/hypervisor.elf");
const bytes = readFileSync(image);
const at = (name: string): bigint => symbolAddress(image, name);
const BUDGET = 1_000_000;
const HOLE = 0x5ff000n;

function machine(...filters: EventFilter[]): NativeMachine {
	const vm = new NativeMachine({ vmm: "none", memory: 16 << 20, image: { name: "hypervisor.elf", bytes } });
	vm.setEventFilters(filters);
	return vm;
}

const exitFilter = (exitReason: number): EventFilter => ({ id: 1, event: "vm-exit", exitReason });
const entryFilter: EventFilter = { id: 2, event: "vm-entry" };

/** Runs to the next event stop. */
function event(vm: NativeMachine): Extract<Stop, { reason: "event" }> {
	const stop = vm.run(BUDGET);
	assert.ok(stop?.reason === "event", `stopped by ${stop?.reason}`);
	return stop;
}

const register = (vm: NativeMachine, name: string): bigint => vm.processors()[0]!.register(name)!;

/** The hypervisor's field of the current VMCS as the view shows it. */
function field(vm: NativeMachine, group: string, name: string) {
	return vm
		.vmx!.read()!
		.groups.find((one) => one.name === group)!
		.fields.find((one) => one.name === name)!;
}

test("a stop at a VM exit lies before the hypervisor's first instruction, with the guest's registers", () => {
	const vm = machine(exitFilter(ExitReasonNumber.cpuid));
	const stop = event(vm);
	assert.deepEqual([stop.event, stop.exitReason, stop.ids], ["vm-exit", 10, [1]]);
	assert.match(stop.description, /^VM exit CPUID: leaf 0x40000000, subleaf 0x0, at 0x[0-9a-f]+ in the guest$/);
	const cpu = vm.processors()[0]!;
	assert.equal(cpu.linearInstructionPointer(), at("after_exit"));
	assert.match(cpu.describe(), /^vCPU 0, hypervisor \(64-bit, CPL 0/);
	assert.equal(register(vm, "rax"), 0x40000000n);
	assert.equal(register(vm, "vmx_operation"), 1n);
	const view = vm.vmx!.read()!;
	assert.equal(view.inGuest, false);
	assert.equal(view.launchState, "launched");
	assert.equal(view.lastExit!.reason, "CPUID");
	assert.equal(view.entryFailure, undefined);
	// What the exit wrote is marked; the guest's RIP is that of its CPUID.
	const rip = field(vm, "Guest-state area", "RIP");
	assert.equal(rip.changed, true);
	assert.deepEqual(cpu.readMemory({ space: "gpa", value: 0n }, 1)?.length, 1);
	assert.equal(field(vm, "VM-exit information fields", "Exit reason").meaning, "CPUID");
	assert.equal(field(vm, "Host-state area", "CR3").changed, false);
	const recorded = vm.events.read({ kinds: ["exit"], limit: 1 })[0]!;
	assert.equal(recorded.instruction, rip.value);
	assert.deepEqual(recorded.detail, [
		{ name: "leaf", value: 0x40000000n },
		{ name: "subleaf", value: 0n },
	]);
});

test("a stop at a VM entry lies before the guest's next instruction, behind the one that exited", () => {
	const vm = machine(exitFilter(ExitReasonNumber.cpuid));
	event(vm);
	const rip = field(vm, "Guest-state area", "RIP").value;
	vm.setEventFilters([entryFilter]);
	const stop = event(vm);
	assert.equal(stop.event, "vm-entry");
	assert.match(stop.description, /^VM entry by VMRESUME, to 0x[0-9a-f]+ in the guest$/);
	const cpu = vm.processors()[0]!;
	assert.equal(cpu.linearInstructionPointer(), rip + 2n);
	assert.match(cpu.describe(), /^vCPU 0, in its guest \(64-bit, CPL 0/);
	assert.equal(register(vm, "cr3"), at("guest_page_map"));
	assert.equal(vm.vmx!.read()!.inGuest, true);
});

test("in the guest lin:, gpa: and hpa: are three spaces; in the hypervisor gpa: is hpa:", () => {
	const vm = machine(entryFilter);
	assert.match(event(vm).description, /failed with error 7/);
	assert.match(event(vm).description, /VMLAUNCH/);
	const cpu = vm.processors()[0]!;
	const entry = at("guest_entry");
	assert.equal(cpu.linearInstructionPointer(), entry);
	assert.equal(cpu.translate(entry, "gpa"), entry);
	const host = cpu.translate(entry, "hpa")!;
	assert.equal(host, at("guest_frames"));
	const code = cpu.readMemory({ space: "lin", value: entry }, 16)!;
	assert.deepEqual(cpu.readMemory({ space: "gpa", value: entry }, 16), code);
	assert.deepEqual(cpu.readMemory({ space: "hpa", value: host }, 16), code);
	assert.notDeepEqual(cpu.readMemory({ space: "hpa", value: entry }, 16), code);
	// The hole of the guest-physical space, and what lies below the guest's memory.
	assert.equal(cpu.readMemory({ space: "gpa", value: HOLE }, 1), undefined);
	assert.equal(cpu.readMemory({ space: "gpa", value: at("hypervisor_main") }, 1), undefined);
	assert.equal(cpu.writeMemory({ space: "gpa", value: HOLE - 4n }, new Uint8Array(8)), 0);
	assert.equal(cpu.readMemory({ space: "lin", value: at("hypervisor_main") }, 1), undefined);
	vm.setEventFilters([exitFilter(ExitReasonNumber.cpuid)]);
	event(vm);
	assert.deepEqual(cpu.readMemory({ space: "gpa", value: host }, 16), code);
	assert.deepEqual(cpu.readMemory({ space: "hpa", value: host }, 16), code);
});

test("the tables of both sides, the EPT and its mappings", () => {
	const vm = machine(exitFilter(ExitReasonNumber.cpuid));
	const cpu = vm.processors()[0]!;
	assert.deepEqual(
		cpu.walk(0n).map(({ table }) => table),
		["guest"],
	);
	event(vm);
	const entry = at("guest_entry");
	assert.deepEqual(
		cpu.walk(entry).map(({ table, result }) => [table, result && `${result.address.space}:${result.address.value}`]),
		[
			["host", `hpa:${entry}`],
			["guest", `gpa:${entry}`],
			["ept", `hpa:${at("guest_frames")}`],
		],
	);
	const shown = (table: string) =>
		cpu
			.mappings(table, 0n, 100)
			.map(
				({ start, end, target, pageSize, writable, executable }) =>
					`${start.toString(16)}-${end.toString(16)} ${target.space}:${target.value.toString(16)} ${pageSize} ${writable ? "w" : "-"}${executable ? "x" : "-"}`,
			);
	const frames = at("guest_frames");
	const data = at("guest_data_start");
	const ept = shown("ept");
	// Runs are cut where pages have been accessed or written.
	for (const { start, end, target, writable, executable, pageSize } of cpu.mappings("ept", 0n, 100).slice(0, -1)) {
		assert.equal(target.value, start - entry + frames);
		assert.deepEqual([writable, executable, pageSize], start < data ? [false, true, 4096] : [true, false, 4096]);
		assert.ok(end <= data || start >= data);
	}
	assert.equal(ept.at(-1), "600000-800000 hpa:600000 2097152 w-");
	assert.match(shown("host")[0]!, /^0-[0-9a-f]+ hpa:0 2097152 wx$/);
	assert.match(shown("guest")[0]!, /^400000-/);
	assert.throws(() => cpu.mappings("shadow", 0n, 1), /There is no table "shadow" under "none"/);
	// The same, seen from the other side.
	vm.setEventFilters([entryFilter]);
	event(vm);
	assert.deepEqual(
		cpu.walk(entry).map(({ table }) => table),
		["guest", "ept", "host"],
	);
	assert.equal(shown("ept").at(-1), ept.at(-1));
	assert.equal(cpu.nestedWalk!(entry)!.references.length, 24);
	assert.equal(cpu.nestedWalk!(entry)!.hostPhysical, frames);
});

test("an EPT violation: the walk fails where the hardware's did, and no more after the handler", () => {
	const vm = machine({ id: 3, event: "ept-violation" });
	const stop = event(vm);
	assert.deepEqual([stop.event, stop.exitReason, stop.guestPhysical], ["ept-violation", 48, HOLE]);
	// Data write, page not mapped, linear address valid, of the page itself (Table 28-7).
	assert.equal(stop.qualification, 0x182n);
	const cpu = vm.processors()[0]!;
	const failed = cpu.nestedWalk!(HOLE, { write: true })!;
	assert.equal(failed.references.length, 24);
	assert.match(failed.failure!, /EPT PTE\[511\] for guest-physical 0x5ff000: not present: EPT violation/);
	assert.equal(cpu.walk(HOLE).find(({ table }) => table === "ept")!.result, undefined);
	vm.setEventFilters([entryFilter]);
	event(vm);
	assert.equal(
		cpu.linearInstructionPointer(),
		field(vm, "Guest-state area", "RIP").value,
		"the instruction is done again",
	);
	assert.equal(cpu.nestedWalk!(HOLE, { write: true })!.failure, undefined);
	assert.ok(cpu.translate(HOLE, "hpa")! < HOLE);
});

test("entries that fail: the error of the instruction, the exit, the field and the rule", () => {
	const vm = machine(entryFilter);
	const refused = event(vm);
	assert.match(
		refused.description,
		/^The VM entry failed with error 7, VM entry with invalid control field\(s\): the field Pin-based VM-execution controls must/,
	);
	assert.equal(vm.vmx!.read()!.entryFailure!.field, "Pin-based VM-execution controls");
	assert.match(
		field(vm, "VM-execution control fields", "Pin-based VM-execution controls").meaning!,
		/reserved bits set: 30/,
	);
	vm.setEventFilters([exitFilter(ExitReasonNumber.invalidGuestState)]);
	const failed = event(vm);
	assert.match(failed.description, /Invalid guest state \(entry failed\): field Guest RFLAGS, rule must/);
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), at("after_exit"));
	assert.equal(vm.vmx!.read()!.launchState, "clear");
	assert.equal(vm.events.read({ kinds: ["entry"], limit: 9 }).length, 1);
});

test("the timeline has every exit and entry in order, and the statistics count them", () => {
	const vm = machine();
	assert.deepEqual(vm.run(BUDGET), { reason: "debug-exit", value: 0 });
	const exits = vm.events.read({ kinds: ["exit"], limit: 100 }).reverse();
	const others = exits.map(({ reason }) => reason).filter((reason) => reason !== "VMCALL");
	assert.deepEqual(others, [
		"Invalid guest state (entry failed)",
		"CPUID",
		"I/O instruction",
		"I/O instruction",
		"WRMSR",
		"RDMSR",
		"Control-register access",
		"EPT violation",
		"Exception or NMI",
		"HLT",
		"Monitor trap flag",
		"Monitor trap flag",
		"Monitor trap flag",
		"Monitor trap flag",
		"VMX-preemption timer expired",
	]);
	const { exits: counted } = vm.statistics() as unknown as {
		exits: { total: number; byReason: Record<string, number> };
	};
	assert.equal(counted.total, exits.length);
	assert.equal(counted.byReason.VMCALL, exits.length - others.length);
	const entries = vm.events.read({ kinds: ["entry"], limit: 100 }).reverse();
	assert.deepEqual(
		entries.slice(0, 3).map(({ reason }) => reason),
		["failed with error 7", "VMLAUNCH", "VMRESUME"],
	);
	assert.equal(entries.length, exits.length, "an entry for each exit, and the one that was refused for the failed one");
	const injected = entries.find(({ detail }) => detail.some(({ name }) => name === "injects"))!;
	assert.deepEqual(injected.detail, [{ name: "injects", value: "external interrupt 32" }]);
	assert.equal(injected.instruction, at("timer_entry"));
	const port = exits.find(({ reason }) => reason === "I/O instruction")!;
	assert.deepEqual(port.detail, [
		{ name: "access", value: "IN" },
		{ name: "port", value: 0x510n },
		{ name: "bytes", value: 1 },
	]);
	// Sixteen page faults of the guest between two exits.
	const faults = vm.events.read({ kinds: ["true-fault"], limit: 100 });
	assert.equal(faults.length, 16);
	assert.equal(vm.vmx!.enabled, false);
});

test("an exception of the guest's guest stops at its instruction, and is delivered to its own handler", () => {
	const vm = machine({ id: 4, event: "true-page-fault" });
	const stop = event(vm);
	assert.deepEqual([stop.vector, stop.faultAddress], [14, 0x40000000n]);
	assert.equal(vm.vmx!.read()!.inGuest, true);
	const exits = vm.events.counts().filter(({ kind }) => kind === "exit");
	for (let page = 1; page < 16; page++) assert.equal(event(vm).faultAddress, 0x40000000n + BigInt(page) * 4096n);
	assert.deepEqual(
		vm.events.counts().filter(({ kind }) => kind === "exit"),
		exits,
	);
	// An injected interrupt stops at the handler's first instruction and is not lost.
	vm.setEventFilters([{ id: 5, event: "interrupt" }]);
	assert.equal(event(vm).vector, 32);
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), at("timer_entry"));
	vm.setEventFilters([]);
	assert.deepEqual(vm.run(BUDGET), { reason: "debug-exit", value: 0 });
});

test("a step ends on the other side of an exit and of an entry", () => {
	const vm = machine(exitFilter(ExitReasonNumber.cpuid));
	event(vm);
	const cpuid = field(vm, "Guest-state area", "RIP").value;
	vm.reset();
	vm.setEventFilters([]);
	vm.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: cpuid } }]);
	assert.equal(vm.run(BUDGET)?.reason, "breakpoint");
	const cpu = vm.processors()[0]!;
	const count = vm.instructionCount();
	assert.deepEqual(vm.step(1), { reason: "step", processor: 1 });
	assert.equal(cpu.linearInstructionPointer(), at("after_exit"));
	assert.equal(vm.instructionCount(), count, "the CPUID has not retired");
	for (let steps = 0; register(vm, "vmx_operation") === 1n; steps++) {
		assert.ok(steps < 20_000);
		vm.step(1);
	}
	assert.equal(cpu.linearInstructionPointer(), cpuid + 2n);
});

test("single steps by the monitor trap flag come while the debugger steps too", () => {
	const vm = machine();
	vm.setExecutionBreakpoints([{ id: 1, address: { space: "lin", value: at("guest_steps") } }]);
	assert.equal(vm.run(BUDGET)?.reason, "breakpoint");
	const count = () => vm.events.counts().find(({ reason }) => reason === "Monitor trap flag")?.count ?? 0;
	for (let steps = 0; count() < 4; steps++) {
		assert.ok(steps < 100_000);
		vm.step(1);
	}
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), at("after_exit"));
});

test("breakpoints and watchpoints of each space", () => {
	const entry = at("guest_main");
	const host = at("guest_frames") + entry - at("guest_entry");
	for (const address of [
		{ space: "lin", value: entry },
		{ space: "gpa", value: entry },
		{ space: "hpa", value: host },
	] as const) {
		const vm = machine();
		vm.setExecutionBreakpoints([{ id: 1, address }]);
		assert.deepEqual(vm.run(BUDGET), { reason: "breakpoint", processor: 1, ids: [1] }, address.space);
		assert.equal(vm.processors()[0]!.linearInstructionPointer(), entry);
	}
	const vm = machine();
	vm.setWatchpoints([
		{ id: 1, address: { space: "gpa", value: HOLE }, length: 4, access: "write" },
		{ id: 2, address: { space: "hpa", value: 0x600000n }, length: 8, access: "write" },
	]);
	const hole = vm.run(BUDGET);
	assert.ok(hole?.reason === "watchpoint");
	assert.deepEqual([hole.id, hole.address, hole.newValue], [1, { space: "gpa", value: HOLE }, 0x600dn]);
	const heap = vm.run(BUDGET);
	assert.ok(heap?.reason === "watchpoint");
	assert.deepEqual([heap.id, heap.address], [2, { space: "hpa", value: 0x600000n }]);
});

test("a snapshot brings back what the views show", () => {
	const vm = machine(exitFilter(ExitReasonNumber.wrmsr));
	event(vm);
	const shown = () => ({
		vmcs: vm.vmx!.read(),
		regions: vm.vmx!.regions(),
		exits: vm.statistics().exits,
		events: vm.events.read({ limit: 1000 }),
	});
	const before = shown();
	const snapshot = vm.takeSnapshot!(undefined);
	vm.setEventFilters([]);
	assert.equal(vm.run(BUDGET)?.reason, "debug-exit");
	assert.notDeepEqual(shown(), before);
	vm.restoreSnapshot(snapshot);
	assert.deepEqual(shown(), before);
	vm.setEventFilters([{ id: 1, event: "ept-violation" }]);
	assert.equal(event(vm).guestPhysical, HOLE);
});

test("the guest cannot tell that it is watched: the same run with every stop as with none", () => {
	const free = machine();
	free.run(BUDGET);
	const watched = machine(
		{ id: 1, event: "vm-exit" },
		{ id: 2, event: "vm-entry" },
		{ id: 3, event: "exception" },
		{ id: 4, event: "interrupt" },
	);
	let stops = 0;
	for (let stop = watched.run(BUDGET); stop?.reason !== "debug-exit"; stop = watched.run(BUDGET)) {
		assert.ok(++stops < 1000);
		watched.vmx!.read();
		const cpu = watched.processors()[0]!;
		cpu.walk(cpu.linearInstructionPointer());
		cpu.nestedWalk!(0x600000n);
		for (const table of cpu.walk(0n).map((walk) => walk.table)) cpu.mappings(table, 0n, 50);
		cpu.readMemory({ space: "gpa", value: HOLE }, 16);
	}
	assert.ok(stops > 60, `${stops} stops`);
	assert.equal(watched.instructionCount(), free.instructionCount());
	assert.equal(watched.memoryHash(), free.memoryHash());
});
