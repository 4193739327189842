import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { MemoryBody } from "../protocol.ts";
import { DapClient } from "../test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));

async function stopped(vmm: string): Promise<DapClient> {
	const client = new DapClient({});
	await client.ask("initialize", {});
	await client.ask("launch", { program: `${samples}/kernel32/kernel32.elf`, vmm, memory: "16M" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "add_up" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

const bytesOf = ({ data }: MemoryBody["parts"][number]) => Buffer.from(data, "base64");

test("the stack: its words with the names of what they point to", async () => {
	const client = await stopped("none");
	const body: MemoryBody = await client.ask("hyperscope/memory", { threadId: 1, address: "esp", count: 64 });
	const esp = BigInt((await client.ask("evaluate", { expression: "$esp", context: "watch" })).result);
	assert.deepEqual([BigInt(body.address), BigInt(body.start)], [esp, esp - (esp % 16n)]);
	assert.deepEqual([body.space, body.wordSize, body.count, body.parts.length], ["lin", 4, 64, 1]);
	const names = body.pointers.map(({ name }) => name);
	assert.ok(
		names.some((name) => name.startsWith("directory_tree_demonstrate+")),
		names.join(),
	);
	const pointer = body.pointers.find(({ name }) => name.startsWith("directory_tree_demonstrate+"))!;
	const value = bytesOf(body.parts[0]!).readUInt32LE(pointer.offset);
	assert.equal(
		(await client.ask("evaluate", { expression: `info symbol ${value}`, context: "repl" })).result
			.split("(")[1]
			.split(")")[0],
		pointer.name,
	);
	client.dispose();
});

test("one space and another, symbols that begin in the range, gaps, the ends of the space", async () => {
	const client = await stopped("none");
	const ask = (values: object): Promise<MemoryBody> => client.ask("hyperscope/memory", { threadId: 1, ...values });
	const code = await ask({ address: "add_up", count: 32 });
	const start = Number(BigInt(code.address) - BigInt(code.start));
	assert.ok(code.names.some(({ offset, name }) => name === "add_up" && offset === start));
	const same = await ask({ address: "gpa:0x105000", count: 4096 });
	const linear = await ask({ address: "0xc0105000", count: 4096 });
	assert.deepEqual(bytesOf(same.parts[0]!), bytesOf(linear.parts[0]!));
	assert.deepEqual([same.address, same.space, same.names.length], ["gpa:0x105000", "gpa", 0]);
	// The page before the kernel's first is not mapped.
	const edge = await ask({ address: "0xc0000000", offset: -4096, count: 8192 });
	assert.deepEqual([edge.start, edge.count, edge.parts.map(({ offset }) => offset)], ["0xbffff000", 8192, [4096]]);
	const first = await ask({ address: "gpa:8", offset: -64, count: 32 });
	assert.deepEqual([first.address, first.start], ["gpa:0x8", "0x0"]);
	const last = await ask({ address: "0xfffffff8", count: 64 });
	assert.deepEqual([last.start, last.count], ["0xfffffff0", 16]);
	const { message } = await client.request("hyperscope/memory", { threadId: 1, address: "nowhere", count: 16 });
	assert.match(message!, /nowhere/);
	client.dispose();
});
