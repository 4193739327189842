import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import fc from "fast-check";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const launch = { program: `${samples}/hello/hello.elf`, vmm: "none", memory: "16M" };

async function initialized(): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope" });
	return client;
}

async function stopped(): Promise<DapClient> {
	const client = await initialized();
	await client.ask("launch", { ...launch, stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

test("golden refusals: launch", async () => {
	const client = await initialized();
	client.transcript.length = 0;
	for (const change of [
		{ program: undefined },
		{ program: 5 },
		{ program: `${samples}/absent.elf` },
		{ program: samples },
		{ program: `${samples}/hello/main.c` },
		{ vmm: "qemu" },
		{ mmu: "ept" },
		{ memory: "lots" },
		{ memory: 0 },
		{ memory: "100000G" },
		{ memory: 1000 },
		{ memory: true },
		{ initrd: `${samples}/absent.cpio` },
		{ symbolFiles: "kernel.elf" },
		{ symbolFiles: [5] },
		{ symbolFiles: [`${samples}/absent.debug`] },
		{ symbolFiles: [`${samples}/hello/main.c`] },
		{ symbolFiles: [{ path: `${samples}/hello/hello.elf`, offset: "far" }] },
		{ symbolFiles: [{ path: `${samples}/hello/hello.elf`, sections: { ".text": "here" } }] },
		{ sourceMap: ["a", "b"] },
		{ disks: [`${samples}/absent.img`] },
		{ disks: "disk.img" },
		{ cdrom: `${samples}/absent.iso` },
		{ devices: ["toaster"] },
		{ stopOnEntry: "yes" },
		{ serial: "paper" },
		{ engine: "steam" },
		{ devices: ["toaster"] },
	])
		assert.equal((await client.request("launch", { ...launch, ...change })).success, false);
	client.note("After all that a good launch succeeds, once");
	await client.ask("launch", launch);
	await client.request("launch", launch);
	client.dispose();
	assertGolden("refusals-launch", import.meta.url, client.transcript);
});

test("golden refusals: before there is a machine", async () => {
	const client = new DapClient();
	await client.request("launch", launch);
	await client.request("initialize", { pathFormat: "uri" });
	await client.request("initialize", { linesStartAt1: false });
	await client.ask("initialize", {});
	client.transcript.length = 0;
	for (const command of client.session.commands().sort())
		if (command !== "launch" && command !== "disconnect") await client.request(command, {});
	await client.request("dance", {});
	client.dispose();
	assertGolden("refusals-no-machine", import.meta.url, client.transcript);
});

/** Command → arguments that are wrong in one way each. */
const wrong: Readonly<Record<string, readonly unknown[]>> = {
	setBreakpoints: [
		{},
		{ source: {} },
		{ source: { path: "a.c" }, breakpoints: [{ line: 0 }] },
		{ source: { path: "a.c" }, breakpoints: {} },
	],
	setFunctionBreakpoints: [{ breakpoints: [5] }, { breakpoints: [{ name: 1 }] }],
	setInstructionBreakpoints: [{ breakpoints: [{}] }, { breakpoints: [{ instructionReference: "0x10", offset: 0.5 }] }],
	setDataBreakpoints: [
		{ breakpoints: [{ accessType: "write" }] },
		{ breakpoints: [{ dataId: "0x1/4", accessType: "sniff" }] },
		{ breakpoints: [{ dataId: "gpa:0x1/4/ghost" }] },
	],
	setExceptionBreakpoints: [{ filters: ["vector-99"] }, { filters: [1] }, { filterOptions: [{}] }],
	dataBreakpointInfo: [{}, { name: "x", bytes: 0 }, { name: "nothing", asAddress: true }],
	breakpointLocations: [{ source: { path: "a.c" } }, { source: 1, line: 1 }],
	continue: [{}, { threadId: 99 }, { threadId: "one" }],
	next: [{ threadId: 99 }, { threadId: 1, granularity: "inch" }],
	stepIn: [{ threadId: 99 }],
	stepOut: [{ threadId: 1 }],
	pause: [{ threadId: 1 }, { threadId: 99 }],
	goto: [{ threadId: 1, targetId: 7 }],
	gotoTargets: [{ source: { path: "a.c" }, line: "one" }],
	stackTrace: [{}, { threadId: 99 }, { threadId: 1, startFrame: -1 }],
	scopes: [{}, { frameId: 999 }],
	variables: [{ variablesReference: 999 }, { variablesReference: 1, filter: "odd" }],
	setVariable: [{ variablesReference: 999, name: "x", value: "1" }, { variablesReference: 1 }],
	setExpression: [
		{ expression: "1", value: "2" },
		{ expression: "$eax", value: "" },
		{ expression: "$cs", value: "0xfff0" },
	],
	evaluate: [
		{},
		{ expression: "" },
		{ expression: "1 +" },
		{ expression: "tape:0" },
		{ expression: "1", frameId: 999 },
		{ expression: "walk gpa:0", context: "repl" },
		{ expression: "info weather", context: "repl" },
	],
	completions: [{ text: "x" }],
	exceptionInfo: [{ threadId: 1 }, {}],
	disassemble: [
		{ memoryReference: "0x0" },
		{ memoryReference: "zero", instructionCount: 1 },
		{ memoryReference: "0x0", instructionCount: 1e9 },
	],
	readMemory: [
		{ memoryReference: "0x0" },
		{ memoryReference: "tape:0x0", count: 1 },
		{ memoryReference: "0x10000000000000000", count: 1 },
		{ memoryReference: "iova:0x0", count: 1 },
		{ memoryReference: "iova:00:05.0:0x0", count: 1 },
		{ memoryReference: "iova:00:05.9:0x0", count: 1 },
	],
	writeMemory: [
		{ memoryReference: "0x0", data: "***" },
		{ memoryReference: "0xfffffff0", data: "AAAA" },
	],
	source: [{}, { source: { path: "/etc/hostname" }, sourceReference: 0 }],
	attach: [{}],
	"hyperscope/registers": [{}, { threadId: 99 }],
	"hyperscope/setRegister": [
		{ threadId: 1, name: "rexx", value: "1" },
		{ threadId: 1, name: "eax" },
	],
	"hyperscope/pageWalk": [
		{ threadId: 1, address: "gpa:0" },
		{ threadId: 1, address: "" },
	],
	"hyperscope/mappings": [
		{ threadId: 1, table: "coffee" },
		{ threadId: 1, table: "guest", limit: 0 },
		{ threadId: 1, table: "guest", filter: { privilege: "root" } },
	],
	"hyperscope/fragments": [{}],
	"hyperscope/fragment": [{ id: 1 }, {}],
	"hyperscope/hashTable": [{}],
	"hyperscope/nestedWalk": [
		{ threadId: 99, address: "0" },
		{ threadId: 1, address: "gpa:0" },
	],
	"hyperscope/events": [{ kinds: ["party"] }, { kinds: "exit" }, { limit: 0 }, { before: -1 }],
	"hyperscope/eventCounts": [],
	"hyperscope/vmcs": [{ address: "here" }, { address: "0x123000" }],
	"hyperscope/domains": [{}],
	"hyperscope/domainPages": [{}, { domain: -1 }, { domain: 0, limit: 5000 }, { domain: 0, from: "first" }],
	"hyperscope/iommus": [],
	"hyperscope/iommuWalk": [
		{},
		{ source: "disk", address: "0" },
		{ source: "00:05.0", address: "0", unit: -1 },
		{ source: "00:1f.9", address: "0" },
	],
	"hyperscope/compare": [
		{},
		{ program: 5 },
		{ program: `${samples}/hello/hello.elf`, memory: "lots" },
		{ program: "k", maxInstructions: 0 },
		{ program: "k" },
	],
	"hyperscope/serialInput": [{}, { data: "***" }],
	"hyperscope/disassembleText": [{ threadId: 1, address: "0", count: 0 }],
	"hyperscope/setNumberFormat": [{ format: "roman" }],
	"hyperscope/setStepInterrupts": [{}],
	"hyperscope/loadSymbols": [{}, { path: `${samples}/absent.elf` }, { path: `${samples}/hello/main.c` }],
	restart: [{ arguments: { program: `${samples}/absent.elf` } }],
	configurationDone: [{}],
	initialize: [{}],
};

test("golden refusals: wrong arguments while stopped", async () => {
	const client = await stopped();
	client.transcript.length = 0;
	for (const [command, list] of Object.entries(wrong))
		for (const args of ["text", ...list]) await client.request(command, args);
	client.note("The session is as good as before");
	await client.ask("stackTrace", { threadId: 1 });
	client.dispose();
	assertGolden("refusals", import.meta.url, client.transcript);
});

test("golden refusals: messages that are none", async () => {
	const client = await stopped();
	client.transcript.length = 0;
	for (const message of [
		null,
		5,
		"text",
		[],
		{},
		{ type: "request" },
		{ type: "request", seq: 1 },
		{ type: "request", seq: "1", command: "threads" },
		{ type: "dream", seq: 1 },
		{ type: "response", seq: 1 },
	])
		client.sendRaw(message);
	await client.ask("threads");
	client.dispose();
	assertGolden("refusals-messages", import.meta.url, client.transcript);
});

let fuzzed: DapClient;
before(async () => {
	fuzzed = await stopped();
});
after(() => fuzzed.dispose());

/** Requests that let the machine go or end the session. */
const moving = new Set([
	"continue",
	"next",
	"stepIn",
	"stepOut",
	"restart",
	"terminate",
	"disconnect",
	"launch",
	"goto",
]);

test("arbitrary arguments get one answer and never an error of the adapter's own", async () => {
	const commands = fuzzed.session.commands().filter((command) => !moving.has(command));
	const names = [
		"threadId",
		"frameId",
		"variablesReference",
		"name",
		"value",
		"expression",
		"context",
		"memoryReference",
		"offset",
		"count",
		"instructionCount",
		"instructionOffset",
		"data",
		"breakpoints",
		"filters",
		"filterOptions",
		"source",
		"line",
		"address",
		"id",
		"table",
		"limit",
		"filter",
		"from",
		"text",
		"column",
		"start",
		"search",
		"format",
		"path",
		"bytes",
		"asAddress",
		"levels",
		"startFrame",
		"kinds",
		"before",
		"reason",
		"domain",
		"type",
		"unit",
		"source",
	];
	const value = fc.oneof(
		fc.integer({ min: -5, max: 40 }),
		fc.integer(),
		fc.double(),
		fc.boolean(),
		fc.constantFrom(
			"0x100036",
			"kernel_main",
			"guest",
			"$eax",
			"gpa:0x0",
			"-1",
			"0xffffffffffffffff",
			"repl",
			"x/4i 0",
			"*(int*)0",
			"next->x",
			"((((",
			"1/0",
		),
		fc.string(),
		fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 3 }),
		fc.dictionary(fc.constantFrom(...names), fc.jsonValue({ maxDepth: 1 })),
	);
	await fc.assert(
		fc.asyncProperty(
			fc.constantFrom(...commands),
			fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 6 }),
			async (command, args) => {
				fuzzed.transcript.length = 0;
				const response = await fuzzed.request(command, args);
				if (response.success) return;
				assert.ok(response.message && response.message.length > 5, `${command}: no sentence`);
				assert.doesNotMatch(
					response.message,
					/undefined|is not a function|Cannot (read|convert|mix)|NaN|\[object|BigInt|Invalid/,
				);
				assert.doesNotMatch(response.message, /\n/);
			},
		),
		{ numRuns: 1500 },
	);
	assert.equal((await fuzzed.ask("threads")).threads.length, 1);
});
