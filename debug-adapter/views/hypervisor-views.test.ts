import assert from "node:assert/strict";
import { test } from "node:test";
import { VmEventLog } from "../../emulator/machine/vm-events.ts";
import type {
	DomainPagesBody,
	DomainsBody,
	EventCountsBody,
	EventsBody,
	IommusBody,
	IommuWalkBody,
	NestedWalkBody,
	VmcsBody,
} from "../hypervisor-protocol.ts";
import type { MachineInfo } from "../protocol.ts";
import { DapClient } from "../test-support/dap-client.ts";
import {
	scriptedDomains,
	scriptedIommu,
	scriptedNestedWalk,
	scriptedVmx,
} from "../test-support/scripted-hypervisor.ts";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";

async function start(machine: ScriptedMachine): Promise<DapClient> {
	const client = new DapClient({
		host: { readFile: async () => new Uint8Array(), now: () => 0, defer: (callback) => void setTimeout(callback, 0) },
		createMachine: () => machine,
	});
	await client.ask("initialize", {});
	await client.ask("launch", { program: "/guest", vmm: machine.technique, stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

test("the timeline is paged, filtered and counted; fields are decoded", async () => {
	const machine = new ScriptedMachine();
	const log = new VmEventLog(() => 5);
	machine.events = log;
	for (let index = 0; index < 5; index++) log.record("exit", index === 2 ? "CPUID" : "HLT", 1, 0x100 + index);
	log.record("hypercall", "mmu_update", 1, 0x200n, [
		{ name: "requests", value: [{ name: "pte", value: 0xabcn }] },
		{ name: "result", value: 0 },
	]);
	log.record("dma-fault", "not present", 0);
	const client = await start(machine);
	const first: EventsBody = await client.ask("hyperscope/events", { limit: 2 });
	assert.deepEqual([first.total, first.next], [7, 5]);
	assert.deepEqual(first.events[1], {
		sequence: 5,
		instructionCount: 5,
		kind: "hypercall",
		threadId: 1,
		instruction: "0x200",
		reason: "mmu_update",
		detail: [
			{ name: "requests", parts: [{ name: "pte", value: "0xabc" }] },
			{ name: "result", value: "0" },
		],
	});
	assert.equal(first.events[0]!.instruction, undefined);
	const rest: EventsBody = await client.ask("hyperscope/events", { kinds: ["exit"], reason: "HLT", before: 4 });
	assert.deepEqual([rest.events.map((event) => event.sequence), rest.next], [[3, 1, 0], undefined]);
	const counts: EventCountsBody = await client.ask("hyperscope/eventCounts");
	assert.deepEqual(counts.counts[0], { kind: "exit", reason: "HLT", count: 4 });
	assert.match((await client.request("hyperscope/events", { kinds: ["party"] })).message!, /no kind of event "party"/);
	client.dispose();
});

test("fields in fields end somewhere", async () => {
	const machine = new ScriptedMachine();
	const log = new VmEventLog(() => 0);
	machine.events = log;
	let value: { name: string; value: unknown }[] = [];
	for (let depth = 0; depth < 50; depth++) value = [{ name: "multicall", value }];
	log.record("hypercall", "multicall", 1, 0n, value as never);
	const client = await start(machine);
	const { events }: EventsBody = await client.ask("hyperscope/events");
	assert.match(JSON.stringify(events[0]!.detail), /"1 parts"/);
	client.dispose();
});

test("the current VMCS, another one, and none", async () => {
	const machine = new ScriptedMachine(undefined, "hvm");
	machine.vmx = scriptedVmx;
	const client = await start(machine);
	const current: VmcsBody = await client.ask("hyperscope/vmcs", {});
	assert.deepEqual(current.regions, [
		{ address: "0x5000", current: true },
		{ address: "0x6000", current: false },
	]);
	assert.equal(current.vmcs?.launchState, "launched");
	assert.deepEqual(
		current.vmcs?.groups.flatMap((group) => group.fields.filter((field) => field.changed).map((field) => field.name)),
		["RIP", "Exit reason"],
	);
	const other: VmcsBody = await client.ask("hyperscope/vmcs", { address: "0x6000" });
	assert.equal(other.vmcs?.address, "0x6000");
	assert.match((await client.request("hyperscope/vmcs", { address: "0x7000" })).message!, /no VMCS at 0x7000/);
	machine.vmx = { ...scriptedVmx, enabled: false };
	assert.deepEqual(await client.ask("hyperscope/vmcs", {}), { enabled: false, regions: [] });
	client.dispose();
});

test("a nested walk over 4 × 4 levels has 24 numbered references", async () => {
	const machine = new ScriptedMachine();
	machine.vcpu.nestedWalk = scriptedNestedWalk;
	const client = await start(machine);
	const body: NestedWalkBody = await client.ask("hyperscope/nestedWalk", { threadId: 1, address: "0x321" });
	assert.equal(body.walk?.references.length, 24);
	assert.deepEqual(
		body.walk?.references.map((one) => one.number),
		Array.from({ length: 24 }, (_, index) => index + 1),
	);
	assert.equal(body.walk?.references.filter((one) => one.dimension === "guest").length, 4);
	machine.vcpu.nestedWalk = () => undefined;
	assert.deepEqual(await client.ask("hyperscope/nestedWalk", { threadId: 1, address: "0x321" }), { linear: "0x321" });
	client.dispose();
});

test("domains with their pages, a piece at a time", async () => {
	const machine = new ScriptedMachine(undefined, "pv");
	machine.domains = scriptedDomains;
	const client = await start(machine);
	const { domains }: DomainsBody = await client.ask("hyperscope/domains");
	assert.deepEqual([domains[0]!.name, domains[0]!.grants[0]!.frame], ["Domain-0", "0x12"]);
	const pages: DomainPagesBody = await client.ask("hyperscope/domainPages", { domain: 0, limit: 3 });
	assert.deepEqual([pages.pages.length, pages.next], [3, "0x3"]);
	const rest: DomainPagesBody = await client.ask("hyperscope/domainPages", { domain: 0, from: pages.next });
	assert.deepEqual([rest.pages.map((page) => page.type), rest.next], [["L1 page table"], undefined]);
	assert.match((await client.request("hyperscope/domainPages", { domain: 7 })).message!, /no domain 7/);
	client.dispose();
});

test("IOMMU: devices, faults and the walk of a device address", async () => {
	const machine = new ScriptedMachine();
	machine.iommus = [scriptedIommu];
	const client = await start(machine);
	const { units }: IommusBody = await client.ask("hyperscope/iommus");
	assert.deepEqual(units[0]!.devices[0], {
		source: "00:05.0",
		name: "DMA engine",
		treatment: "translated",
		domain: 2,
		levels: 3,
		table: "0xa000",
	});
	assert.equal(units[0]!.faults[0]!.source, "00:06.0");
	const { walk }: IommuWalkBody = await client.ask("hyperscope/iommuWalk", {
		source: "00:05.0",
		address: "iova:0x1000",
	});
	assert.equal(walk.result?.address, "hpa:0x101000");
	assert.match(
		(await client.request("hyperscope/iommuWalk", { source: "5", address: "0" })).message!,
		/"5" is not a device/,
	);
	const info: MachineInfo = await client.ask("hyperscope/machine");
	assert.deepEqual(info.shows, { events: false, vmx: false, domains: false, iommu: true });
	client.dispose();
});

test("what a technique does not have is refused with what to do", async () => {
	const client = await start(new ScriptedMachine());
	const refusal = async (command: string, args?: object) => (await client.request(command, args)).message!;
	assert.match(await refusal("hyperscope/vmcs", {}), /start the guest with "vmm": "hvm"/);
	assert.match(await refusal("hyperscope/domains"), /start a paravirtualized guest/);
	assert.match(await refusal("hyperscope/events"), /does not record events/);
	assert.match(await refusal("hyperscope/iommuWalk", { source: "00:01.0", address: "0" }), /no IOMMU 0/);
	assert.deepEqual(await client.ask("hyperscope/iommus"), { units: [] });
	client.dispose();
});
