import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fragment } from "../../emulator/machine/virtual-machine.ts";
import type { FragmentBody, FragmentsBody, MappingsBody, PageWalkBody, RegistersBody } from "../protocol.ts";
import { DapClient } from "../test-support/dap-client.ts";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";

/** cmp eax, ebx; jl +2 at 0x100, translated to 0x8000: the first as it is, the jump into two continuations. */
const fragment: Fragment = {
	id: 7,
	guestStart: 0x100n,
	guestEnd: 0x104n,
	translatedStart: 0x8000n,
	translatedEnd: 0x800dn,
	lines: [
		{
			guest: 0x100n,
			guestBytes: new Uint8Array([0x39, 0xd8]),
			translated: 0x8000n,
			translatedBytes: new Uint8Array([0x39, 0xd8]),
			tag: "IDENT",
		},
		{
			guest: 0x102n,
			guestBytes: new Uint8Array([0x7c, 0x02]),
			translated: 0x8002n,
			translatedBytes: new Uint8Array([0x0f, 0x8c, 0xf8, 0, 0, 0, 0xe9, 0xf3, 1, 0, 0]),
			tag: "JCC",
		},
	],
	exits: [
		{ kind: "taken", guestTarget: 0x106n, state: "continuation" },
		{ kind: "fallthrough", guestTarget: 0x104n, state: "chained", fragment: 8 },
	],
	entries: 3,
	generation: 0,
	valid: true,
};

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

test("fragments: guest code beside its translation, exits, where the threads stand", async () => {
	const machine = new ScriptedMachine([fragment, { ...fragment, id: 8, guestStart: 0x104n, valid: false, exits: [] }]);
	machine.vcpu.values.set("eip", 0x102n);
	machine.pcpu.values.set("eip", 0x8008n);
	const client = await start(machine);
	const all: FragmentsBody = await client.ask("hyperscope/fragments", {});
	assert.deepEqual([all.total, all.continuationsLeft, all.cacheStart, all.cacheEnd], [2, 1, "0x8000", "0x9000"]);
	const valid: FragmentsBody = await client.ask("hyperscope/fragments", { validOnly: true, search: "0x8001" });
	assert.deepEqual(
		valid.fragments.map((one) => one.id),
		[7],
	);
	const one: FragmentBody = await client.ask("hyperscope/fragment", { address: "0x8003" });
	assert.equal(one.id, 7);
	assert.deepEqual(
		one.lines.map((line) => [line.tag, line.guestText, line.translated.map((instruction) => instruction.text)]),
		[
			["IDENT", "cmp eax, ebx", ["cmp eax, ebx"]],
			["JCC", "jl 0x106", ["jl 0x8100", "jmp 0x8200"]],
		],
	);
	assert.deepEqual(one.lines[1]!.current, [
		{ threadId: 1, address: "0x102" },
		{ threadId: 2, address: "0x8008" },
	]);
	assert.deepEqual(one.exits[1], { kind: "fallthrough", state: "chained", guestTarget: "0x104", fragment: 8 });
	assert.match((await client.request("hyperscope/fragment", { id: 99 })).message!, /no fragment 99/);
	assert.deepEqual(await client.ask("hyperscope/hashTable"), {
		size: 8,
		used: 2,
		buckets: [
			{ index: 0, guest: "0x100", fragment: 7 },
			{ index: 1, guest: "0x104", fragment: 8 },
		],
	});
	client.dispose();
});

test("the walk goes through every table side by side", async () => {
	const client = await start(new ScriptedMachine([]));
	const body: PageWalkBody = await client.ask("hyperscope/pageWalk", { threadId: 1, address: "0x1000 + 0x234" });
	assert.deepEqual(
		body.walks.map((walk) => [walk.table, walk.result?.address, walk.steps[0]!.failure]),
		[
			["guest", "gpa:0x1234", undefined],
			["shadow", undefined, "not present"],
		],
	);
	assert.deepEqual(await client.ask("hyperscope/tables", { threadId: 1 }), { tables: ["guest", "shadow"] });
	client.dispose();
});

test("mappings are filtered, cut at the limit, and gone on with", async () => {
	const client = await start(new ScriptedMachine());
	const ask = (more: object): Promise<MappingsBody> =>
		client.ask("hyperscope/mappings", { threadId: 1, table: "guest", ...more });
	assert.equal((await ask({})).mappings.length, 10);
	const first = await ask({ limit: 2, filter: { privilege: "kernel", writable: true } });
	assert.deepEqual(
		first.mappings.map((mapping) => mapping.start),
		["0x0", "0x4000"],
	);
	const rest = await ask({ from: first.next, filter: { privilege: "kernel", writable: true } });
	assert.deepEqual(
		rest.mappings.map((mapping) => mapping.start),
		["0x8000"],
	);
	assert.deepEqual(
		(await ask({ filter: { contains: "0x6800" } })).mappings.map((mapping) => mapping.target),
		["gpa:0x3000"],
	);
	assert.deepEqual(
		(await ask({ filter: { contains: "gpa:0x3800" } })).mappings.map((mapping) => mapping.start),
		["0x6000"],
	);
	client.dispose();
});

test("registers that changed since the stop before are marked; one is set by an expression", async () => {
	const machine = new ScriptedMachine();
	const client = await start(machine);
	machine.script.push((of) => {
		of.vcpu.values.set("ecx", 5n);
		return undefined;
	});
	await client.move("stepIn", { threadId: 1, granularity: "instruction" });
	const changed = async () => {
		const body: RegistersBody = await client.ask("hyperscope/registers", { threadId: 1 });
		return body.groups.flatMap((group) => group.registers.filter((one) => one.changed).map((one) => one.name));
	};
	assert.deepEqual(await changed(), ["ecx", "eip"]);
	const set = await client.ask("hyperscope/setRegister", { threadId: 1, name: "eax", value: "$ecx * 2" });
	assert.equal(set.value, "0xa");
	assert.match(
		(await client.request("hyperscope/setRegister", { threadId: 1, name: "cr0", value: "1" })).message!,
		/read-only/,
	);
	client.dispose();
});

test("a register field is set alone; one that does not fit is refused", async () => {
	const machine = new ScriptedMachine();
	machine.vcpu.values.set("eflags", 0x246n);
	const client = await start(machine);
	const frames = await client.ask("stackTrace", { threadId: 1 });
	const { scopes } = await client.ask("scopes", { frameId: frames.stackFrames[0].id });
	const general = await client.ask("variables", { variablesReference: scopes[0].variablesReference });
	const flags = general.variables.find((one: { name: string }) => one.name === "eflags");
	const fields = await client.ask("variables", { variablesReference: flags.variablesReference });
	assert.deepEqual(
		fields.variables.filter((one: { value: string }) => one.value !== "0").map((one: { name: string }) => one.name),
		["PF", "ZF", "IF"],
	);
	await client.ask("setVariable", { variablesReference: flags.variablesReference, name: "IOPL", value: "3" });
	assert.equal(machine.vcpu.values.get("eflags"), 0x3246n);
	assert.equal(
		(await client.request("setVariable", { variablesReference: flags.variablesReference, name: "ZF", value: "2" }))
			.message,
		"2 does not fit into ZF, which has 1 bit.",
	);
	client.dispose();
});

test("memory events follow the answer of what changed the memory", async () => {
	const client = await start(new ScriptedMachine());
	client.transcript.length = 0;
	await client.ask("evaluate", { expression: "*(unsigned char *)0x2000 = 7", context: "repl" });
	assert.deepEqual(
		client.transcript.filter((line) => line.startsWith("<-")).map((line) => line.split(" ").slice(1, 3).join(" ")),
		["evaluate {", "event memory", "event invalidated", "event invalidated"],
	);
	client.dispose();
});
