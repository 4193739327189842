import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { EventsBody, NestedWalkBody, VmcsBody } from "../../debug-adapter/protocol.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

async function launched(more: object = {}): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope", vmm: "none" });
	client.transcript.length = 0;
	await client.ask("launch", {
		program: `${samples}/hypervisor/hypervisor.elf`,
		vmm: "none",
		memory: "16M",
		stopOnEntry: true,
		serial: "output",
		...more,
	});
	return client;
}

const frames = async (client: DapClient, levels = 20): Promise<DebugProtocol.StackFrame[]> =>
	(await client.ask("stackTrace", { ...thread, levels })).stackFrames;
const names = async (client: DapClient): Promise<string[]> => (await frames(client)).map(({ name }) => name);

/** The line of a sample's source that has the text. */
function lineOf(file: string, text: string): number {
	const line = readFileSync(`${samples}/hypervisor/${file}`, "utf8")
		.split("\n")
		.findIndex((one) => one.includes(text));
	assert.ok(line >= 0, `${file}: ${text}`);
	return line + 1;
}

const field = (body: VmcsBody, name: string) =>
	body.vmcs!.groups.flatMap(({ fields }) => fields).find((one) => one.name === name)!;

test("golden session: a hypervisor's VM exit, its VMCS, its handler in C, the VM entry", async () => {
	const client = await launched();
	client.note("The exit by CPUID, before the handler; the registers are the guest's");
	await client.ask("setExceptionBreakpoints", {
		filters: [],
		filterOptions: [{ filterId: "vm-exit", condition: "$reason == $cpuid" }],
	});
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.move("continue", thread);
	await client.ask("exceptionInfo", thread);
	await client.ask("threads");
	await frames(client);
	await client.ask("evaluate", { expression: "$rax", context: "watch" });

	client.note("The VMCS: why the guest was left");
	const recorded = client.transcript.length;
	const body: VmcsBody = await client.ask("hyperscope/vmcs", {});
	client.transcript.length = recorded;
	assert.equal(body.vmcs!.lastExit!.reason, "CPUID");
	for (const name of ["Exit reason", "VM-exit instruction length", "RIP", "EPT pointer (EPTP)", "CS access rights"])
		client.transcript.push(`${name}: ${JSON.stringify(field(body, name))}`);

	client.note(
		"Into the handler by a breakpoint in C, a step over its print, the frames, the guest's registers as it holds them",
	);
	await client.ask("setExceptionBreakpoints", { filters: [] });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "handle_cpuid" }] });
	await client.move("continue", thread);
	const [frame] = await frames(client);
	await client.ask("evaluate", { expression: "registers->rax", context: "watch", frameId: frame!.id });
	await client.move("next", thread);
	await client.move("next", thread);
	await client.move("stepOut", thread);
	await frames(client, 3);

	client.note("The VM entry, before the guest's next instruction; the guest's stack");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	await client.ask("setExceptionBreakpoints", { filters: ["vm-entry"] });
	await client.move("continue", thread);
	await client.ask("threads");
	await frames(client);

	client.note("In the guest gpa: goes through the EPT, hpa: does not");
	await client.ask("readMemory", { memoryReference: "gpa:0x400000", count: 4 });
	await client.ask("readMemory", { memoryReference: "hpa:0x400000", count: 4 });
	await client.ask("evaluate", { expression: "translate $rip", context: "repl" });

	client.note("The timeline so far");
	await client.ask("hyperscope/eventCounts");
	await client.ask("hyperscope/events", { kinds: ["exit"], limit: 2 });
	client.dispose();
	assertGolden("hypervisor", import.meta.url, client.transcript);
});

test("steps cross VM exits and entries as they cross calls", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "guest_cpuid" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.move("continue", thread);
	assert.deepEqual((await names(client)).slice(0, 3), ["guest_cpuid", "guest_main", "guest_entry"]);

	const cpuid = lineOf("guest.c", '"cpuid"');
	const line = async () => (await frames(client, 1))[0]!.line;
	while ((await line()) !== cpuid) await client.move("next", thread);
	// By lines the exit, the handler and the entry are one step.
	await client.move("next", thread);
	assert.equal((await names(client))[0], "guest_cpuid");
	assert.ok((await line()) > cpuid);
	const { events }: EventsBody = await client.ask("hyperscope/events", { kinds: ["exit"], limit: 1 });
	assert.equal(events[0]!.reason, "CPUID");

	// By instructions a step into an instruction that exits ends in the hypervisor, one over it behind it.
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "guest_ports" }] });
	await client.move("continue", thread);
	const instruction = { ...thread, granularity: "instruction" };
	const text = async () => {
		const [frame] = await frames(client, 1);
		const found = await client.ask("disassemble", {
			memoryReference: frame!.instructionPointerReference,
			instructionCount: 1,
		});
		return found.instructions[0].instruction as string;
	};
	while (!(await text()).startsWith("in ")) await client.move("next", instruction);
	await client.move("stepIn", instruction);
	assert.match((await names(client))[0]!, /^(after_exit|enter_guest)/);
	assert.deepEqual((await names(client)).slice(1), ["run_guest", "hypervisor_main", "start_64"]);
	const entry = { source: { path: `${samples}/hypervisor/entry.S` } };
	const resume = lineOf("entry.S", "\tvmresume");
	await client.ask("setBreakpoints", { ...entry, breakpoints: [{ line: resume }] });
	await client.move("continue", thread);
	assert.match(await text(), /^vmresume/);
	await client.ask("setBreakpoints", { ...entry, breakpoints: [] });
	await client.move("stepIn", instruction);
	assert.equal((await names(client))[0], "guest_ports");
	while (!(await text()).startsWith("out ")) await client.move("next", instruction);
	await client.move("next", instruction);
	assert.equal((await names(client))[0], "guest_ports");

	// In the hypervisor a step over the VM entry ends at the next exit.
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "handle_msr" }] });
	await client.move("continue", thread);
	assert.deepEqual((await names(client)).slice(0, 3), ["handle_msr", "handle_exit", "run_guest"]);
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	await client.ask("setBreakpoints", { ...entry, breakpoints: [{ line: resume }] });
	await client.move("continue", thread);
	await client.ask("setBreakpoints", { ...entry, breakpoints: [] });
	await client.move("next", instruction);
	assert.match((await names(client))[0]!, /^(after_exit|enter_guest)/);
	// And so does one by lines.
	await client.move("stepOut", thread);
	assert.equal((await names(client))[0], "run_guest");
	const call = lineOf("main.c", "if (enter_guest(&vcpu.registers, !vcpu.launched)");
	do await client.move("next", thread);
	while ((await line()) !== call);
	const before: EventsBody = await client.ask("hyperscope/events", { kinds: ["exit"], limit: 1 });
	await client.move("next", thread);
	assert.equal((await names(client))[0], "run_guest");
	const after: EventsBody = await client.ask("hyperscope/events", { kinds: ["exit"], limit: 1 });
	assert.notEqual(after.events[0]!.sequence, before.events[0]!.sequence);
	client.dispose();
});

test("the two-dimensional walk over the debug protocol: 24 references, and where an EPT violation failed", async () => {
	const client = await launched();
	await client.ask("setExceptionBreakpoints", { filters: ["ept-violation"] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const stopped = await client.move("continue", thread);
	assert.match(
		stopped.text!,
		/^VM exit EPT violation: guest-physical address 0x5ff000, .*access write, EPT allows nothing/,
	);
	assert.deepEqual((await client.ask("hyperscope/tables", thread)).tables, ["host", "guest", "ept"]);
	const failed: NestedWalkBody = await client.ask("hyperscope/nestedWalk", {
		...thread,
		address: "0x5ff000",
		access: { write: true },
	});
	assert.equal(failed.walk!.references.length, 24);
	assert.match(failed.walk!.failure!, /EPT PTE\[511\]/);
	assert.equal(failed.walk!.references.at(-1)!.step.failure, "not present: EPT violation");
	await client.ask("setExceptionBreakpoints", { filters: ["vm-entry"] });
	await client.move("continue", thread);
	const walk: NestedWalkBody = await client.ask("hyperscope/nestedWalk", { ...thread, address: "0x5ff000" });
	assert.equal(walk.walk!.failure, undefined);
	assert.equal(walk.walk!.guestPhysical, "0x5ff000");
	const { mappings } = await client.ask("hyperscope/mappings", { ...thread, table: "ept" });
	assert.deepEqual(mappings.at(-1), {
		start: "0x600000",
		end: "0x800000",
		target: "hpa:0x600000",
		pageSize: 0x200000,
		writable: true,
		user: true,
		executable: false,
		global: false,
		accessed: false,
		dirty: false,
	});
	client.dispose();
});

test("a VM entry that fails says which field broke which rule", async () => {
	const client = await launched();
	await client.ask("setExceptionBreakpoints", { filters: ["vm-entry"] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const stopped = await client.move("continue", thread);
	assert.match(stopped.text!, /^The VM entry failed with error 7, .*: the field Pin-based VM-execution controls must/);
	const body: VmcsBody = await client.ask("hyperscope/vmcs", {});
	assert.equal(body.vmcs!.entryFailure!.field, "Pin-based VM-execution controls");
	client.dispose();
});
