import assert from "node:assert/strict";
import { test } from "node:test";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import type { HostServices } from "../host-services.ts";
import { DapClient } from "../test-support/dap-client.ts";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";

/** A host whose clock moves only when it is read. */
function host(): HostServices {
	let time = 0;
	return {
		readFile: async () => new Uint8Array(),
		now: () => (time += 1),
		defer: (callback) => void setTimeout(callback, 0),
	};
}

async function start(machine: ScriptedMachine, configuration: object = {}): Promise<DapClient> {
	const client = new DapClient({ host: host(), createMachine: () => machine });
	await client.ask("initialize", { adapterID: "hyperscope" });
	await client.ask("launch", { program: "/guest", vmm: "none", stopOnEntry: true, ...configuration });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

test("a running machine answers requests and can be paused", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	await client.ask("continue", { threadId: 1 });
	assert.equal(
		(await client.request("stackTrace", { threadId: 1 })).message,
		"The machine is running: pause it first.",
	);
	assert.equal((await client.ask("threads")).threads.length, 1);
	await new Promise((resolve) => setTimeout(resolve, 20));
	const stopped = await client.move("pause", { threadId: 1 });
	assert.equal(stopped.reason, "pause");
	assert.ok(machine.instructionCount() > 0);
	assert.equal((await client.request("pause", { threadId: 1 })).message, "The machine is not running.");
	client.dispose();
});

test("conditions, hit counts and log messages decide whether a breakpoint stops", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	const set = await client.ask("setInstructionBreakpoints", {
		breakpoints: [
			{ instructionReference: "0x100", condition: "$eax == 3" },
			{ instructionReference: "0x200", hitCondition: "2" },
			{ instructionReference: "0x300", logMessage: "eax is {$eax,d}, {nonsense}" },
			{ instructionReference: "0x400", hitCondition: "often" },
		],
	});
	assert.deepEqual(
		set.breakpoints.map((one: { verified: boolean }) => one.verified),
		[true, true, true, false],
	);
	assert.match(set.breakpoints[3].message, /^Hit count "often" is not understood/);
	const hit = (address: bigint) => (of: ScriptedMachine) => {
		of.vcpu.values.set("eip", address);
		of.vcpu.values.set("eax", of.vcpu.values.get("eax")! + 1n);
		const ids = of.breakpoints.filter((one) => one.address.value === address).map((one) => one.id);
		return { reason: "breakpoint" as const, processor: 1, ids };
	};
	machine.script.push(hit(0x100n), hit(0x200n), hit(0x300n), "budget", hit(0x200n));
	const stopped = await client.move("continue", { threadId: 1 });
	assert.deepEqual([stopped.reason, stopped.hitBreakpointIds], ["instruction breakpoint", [set.breakpoints[1].id]]);
	assert.equal(machine.vcpu.values.get("eax"), 4n);
	assert.match(client.text(), /eax is 3, <There is no variable/);
	client.dispose();
});

test("an exception filter's condition sees the vector, the error code and the address", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "exception", condition: "$vector == 14 && $error & 2 && $address >= 0x1000" }],
	});
	const fault = (vector: number, errorCode: number, faultAddress: bigint) => ({
		reason: "event" as const,
		processor: 1,
		ids: [machine.filters[0]!.id],
		event: "exception" as const,
		description: `vector ${vector}`,
		vector,
		errorCode,
		faultAddress,
	});
	machine.script.push(fault(13, 2, 0x2000n), fault(14, 0, 0x2000n), fault(14, 6, 0x10n), fault(14, 6, 0x2000n));
	const stopped = await client.move("continue", { threadId: 1 });
	assert.deepEqual([stopped.reason, stopped.text], ["exception", "vector 14"]);
	const info = await client.ask("exceptionInfo", { threadId: 1 });
	assert.equal(info.exceptionId, "#PF");
	assert.equal(
		info.details.message,
		"Error code 0x6: the page is not present (P=0), write, in user mode\nFaulting address 0x2000",
	);
	client.dispose();
});

test("a data breakpoint reports the writer, the old and the new value", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	const info = await client.ask("dataBreakpointInfo", { name: "gpa:0x1000", bytes: 16, asAddress: true });
	assert.deepEqual([info.dataId, info.canPersist], ["gpa:0x1000/16", true]);
	const set = await client.ask("setDataBreakpoints", {
		breakpoints: [{ dataId: info.dataId, accessType: "readWrite", condition: "$eax == 0" }, { dataId: "here" }],
	});
	assert.deepEqual(machine.watchpoints, [
		{
			id: set.breakpoints[0].id,
			address: { space: "gpa", value: 0x1000n },
			length: 16,
			access: "readWrite",
		},
	]);
	assert.equal(set.breakpoints[1].verified, false);
	machine.script.push({
		reason: "watchpoint",
		processor: 1,
		id: set.breakpoints[0].id,
		access: "write",
		address: { space: "gpa", value: 0x1004n },
		length: 4,
		oldValue: 1n,
		newValue: 2n,
		instruction: 0x777n,
	});
	const stopped = await client.move("continue", { threadId: 1 });
	assert.equal(stopped.text, "write of 4 bytes at gpa:0x1004 by 0x777: 0x1 → 0x2");
	client.dispose();
});

test("a triple fault shows the state and does not go on; restart starts anew", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	machine.script.push({ reason: "triple-fault", processor: 1, description: "Triple fault at 0x10." });
	const stopped = await client.move("continue", { threadId: 1 });
	assert.deepEqual([stopped.reason, stopped.description], ["exception", "Triple fault"]);
	assert.equal((await client.ask("exceptionInfo", { threadId: 1 })).exceptionId, "triple-fault");
	assert.equal((await client.ask("stackTrace", { threadId: 1 })).stackFrames.length, 1);
	assert.match((await client.request("next", { threadId: 1 })).message!, /cannot go on: restart the session/);
	assert.equal((await client.move("restart", {})).reason, "entry");
	client.dispose();
});

test("the end of the guest ends the session with the guest's exit code", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	machine.script.push({ reason: "debug-exit", value: 3 });
	await client.ask("continue", { threadId: 1 });
	assert.deepEqual((await client.event("exited")).body, { exitCode: 7 });
	await client.event("terminated");
	assert.match((await client.request("continue", { threadId: 1 })).message!, /switched off/);
	client.dispose();
});

test("a machine that fails stops the session with its sentence", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	machine.script.push(new MachineError("The disk is on fire at sector 5: replace it."));
	const stopped = await client.move("continue", { threadId: 1 });
	assert.equal(stopped.text, "The disk is on fire at sector 5: replace it.");
	assert.equal((await client.move("stepIn", { threadId: 1, granularity: "instruction" })).reason, "step");
	client.dispose();
});

test("serial output arrives as stdout, and a character that is cut by a slice arrives whole", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	machine.script.push((of) => {
		of.send("gr");
		of.log("checkpoint\n");
		return undefined;
	});
	machine.script.push({ reason: "halted", description: "The guest has halted for good." });
	await client.move("continue", { threadId: 1 });
	assert.match(client.text(), /output stdout "gr"/);
	assert.match(client.text(), /output console "checkpoint\\n"/);
	assert.match(client.text(), /output important "The guest has halted for good\.\\n"/);
	await client.ask("hyperscope/serialInput", { text: "é\n" });
	assert.deepEqual(machine.typed, [0xc3, 0xa9, 0x0a]);
	client.dispose();
});

test("stepping the physical CPU moves it and not the vCPU", async () => {
	const machine = new ScriptedMachine([]);
	const client = await start(machine, { vmm: "bt" });
	machine.pcpu.values.set("eip", 0x8000n);
	assert.deepEqual(
		(await client.ask("threads")).threads.map((thread: { name: string }) => thread.name),
		["vCPU 0", "pCPU 0"],
	);
	const stopped = await client.move("stepIn", { threadId: 2, granularity: "instruction" });
	assert.equal(stopped.threadId, 2);
	assert.equal(machine.pcpu.values.get("eip"), 0x8001n);
	assert.equal(machine.vcpu.values.get("eip"), 0n);
	client.dispose();
});
