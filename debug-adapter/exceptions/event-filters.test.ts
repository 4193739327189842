import assert from "node:assert/strict";
import { test } from "node:test";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import { DapClient } from "../test-support/dap-client.ts";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";
import { exceptionBreakpointFilters } from "./event-filters.ts";

async function start(machine: ScriptedMachine, technique = machine.technique): Promise<DapClient> {
	const client = new DapClient({
		host: { readFile: async () => new Uint8Array(), now: () => 0, defer: (callback) => void setTimeout(callback, 0) },
		createMachine: () => machine,
	});
	await client.ask("initialize", { vmm: technique });
	await client.ask("launch", { program: "/guest", vmm: machine.technique, stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

const names = (technique?: "none" | "bt" | "pv" | "hvm" | "trap") =>
	exceptionBreakpointFilters(technique).map((filter) => filter.filter);

test("a client that says its technique is offered what can happen under it", () => {
	assert.ok(names("hvm").includes("vm-exit-10") && !names("hvm").includes("callout"));
	assert.ok(names("bt").includes("callout") && !names("bt").some((name) => name.startsWith("vm-exit")));
	assert.ok(names("pv").includes("hypercall-mmu_update") && !names("pv").includes("vm-exit"));
	assert.ok(names("none").includes("vm-exit") && !names("none").includes("vm-exit-10"));
	assert.ok(names("trap").includes("misbehaviour") && names("trap").includes("callout"));
	assert.equal(new Set(names()).size, names().length);
	for (const technique of ["none", "bt", "pv", "hvm", "trap"] as const)
		for (const name of [...names(technique), "dma-fault"]) assert.ok(names().includes(name));
});

test("a VM exit by its reason, by a name in a condition, and by its qualification", async () => {
	const machine = new ScriptedMachine(undefined, "hvm");
	const client = await start(machine);
	const exit = (exitReason: number, qualification: bigint): Stop => ({
		reason: "event",
		processor: 1,
		ids: [1],
		event: "vm-exit",
		description: `VM exit ${exitReason}`,
		exitReason,
		qualification,
	});
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "vm-exit", condition: "$reason == $cpuid || $qualification == 3" }],
	});
	assert.deepEqual(machine.filters, [{ id: 1, event: "vm-exit" }]);
	machine.script.push(exit(12, 0n), exit(10, 0n));
	assert.equal((await client.move("continue", { threadId: 1 })).text, "VM exit 10");
	assert.equal((await client.ask("exceptionInfo", { threadId: 1 })).exceptionId, "VM exit CPUID");
	machine.script.push(exit(12, 2n), exit(12, 3n));
	await client.move("continue", { threadId: 1 });
	assert.match((await client.ask("exceptionInfo", { threadId: 1 })).details.message, /Exit qualification 0x3/);
	const { breakpoints } = await client.ask("setExceptionBreakpoints", {
		filters: ["vm-exit-30", "hypercall-mmu_update", "dma-fault"],
	});
	assert.deepEqual(
		breakpoints.map((one: { verified: boolean }) => one.verified),
		[true, false, true],
	);
	assert.match(breakpoints[1].message, /only under "vmm": "pv"/);
	assert.deepEqual(machine.filters[0], { id: 1, event: "vm-exit", exitReason: 30 });
	client.dispose();
});

test("a hypercall by name and by its arguments", async () => {
	const machine = new ScriptedMachine(undefined, "pv");
	const client = await start(machine);
	const call = (hypercall: string, first: bigint): Stop => ({
		reason: "event",
		processor: 1,
		ids: [1],
		event: "hypercall",
		description: `Hypercall ${hypercall}`,
		hypercall,
		arguments: [first],
	});
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "hypercall", condition: "$hypercall == $mmu_update && $arg0 > 4" }],
	});
	machine.script.push(call("iret", 9n), call("mmu_update", 4n), call("mmu_update", 5n));
	await client.move("continue", { threadId: 1 });
	assert.match((await client.ask("exceptionInfo", { threadId: 1 })).details.message, /Argument 0: 0x5/);
	client.dispose();
});

test("data breakpoints on DMA: asked for in words, reported with the device", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	const info = await client.ask("dataBreakpointInfo", { name: "dma gpa:0x1000", asAddress: true, bytes: 16 });
	assert.deepEqual([info.dataId, info.description], ["gpa:0x1000/16/dma", "16 bytes at gpa:0x1000, by DMA"]);
	const { breakpoints } = await client.ask("setDataBreakpoints", {
		breakpoints: [{ dataId: info.dataId, accessType: "write" }, { dataId: "gpa:0x2000/4" }],
	});
	assert.deepEqual(
		machine.watchpoints.map(({ by, length }) => [by, length]),
		[
			["dma", 16],
			[undefined, 4],
		],
	);
	machine.script.push({
		reason: "watchpoint",
		processor: 1,
		id: breakpoints[0].id,
		access: "write",
		address: { space: "gpa", value: 0x1004n },
		length: 4,
		newValue: 7n,
		instruction: 0n,
		device: "DMA engine",
	});
	assert.equal(
		(await client.move("continue", { threadId: 1 })).text,
		"write of 4 bytes at gpa:0x1004 by DMA of DMA engine: unknown → 0x7",
	);
	client.dispose();
});

test("a device address may name its device", async () => {
	const machine = new ScriptedMachine();
	const seen: unknown[] = [];
	machine.vcpu.readMemory = (address, length) => {
		seen.push(address);
		return new Uint8Array(length);
	};
	const client = await start(machine);
	const body = await client.ask("readMemory", { memoryReference: "iova:00:05.0:0x1000", count: 4 });
	assert.equal(body.address, "iova:00:05.0:0x1000");
	assert.deepEqual(seen, [{ space: "iova", value: 0x1000n, source: 0x28 }]);
	client.dispose();
});
