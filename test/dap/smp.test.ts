// Several processors in a DAP session: a thread each, stops that name the one that met them, steps that hold the others.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const PROCESSORS = 3;

async function launched(): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope" });
	const program = `${samples}/smp/smp.elf`;
	await client.ask("launch", { program, vmm: "none", memory: "2M", processors: PROCESSORS });
	return client;
}

async function top(client: DapClient, threadId: number) {
	const { stackFrames } = await client.ask("stackTrace", { threadId, levels: 1 });
	const [{ id, name, line, instructionPointerReference }] = stackFrames;
	return { id, name, line, at: instructionPointerReference };
}

const allTops = async (client: DapClient) => {
	const tops = [];
	for (let threadId = 1; threadId <= PROCESSORS; threadId++) tops.push((await top(client, threadId)).at);
	return tops;
};

test("a function that two processors enter stops each in its own thread, with its own arguments", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "processor_main" }] });
	await client.ask("configurationDone");
	for (const number of [1, 2]) {
		const { body } = await client.event("stopped");
		assert.equal(body.threadId, number + 1);
		assert.equal(body.allThreadsStopped, true);
		assert.equal(body.reason, "function breakpoint");
		const frame = await top(client, body.threadId);
		assert.equal(frame.name, "processor_main");
		const { result } = await client.ask("evaluate", { expression: "number", context: "watch", frameId: frame.id });
		assert.match(result, new RegExp(`^${number}\\b`));
		// The first processor waits for this one in a function of its own.
		const names = (await client.ask("stackTrace", { threadId: 1 })).stackFrames.map(
			({ name }: { name: string }) => name,
		);
		assert.ok(names.includes("processor_begin"), names.join(" "));
		await client.ask("continue", { threadId: body.threadId });
	}
	client.dispose();
});

test("threads have the names of their processors, registers and a disassembly of their own", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "processor_main" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const { threads } = await client.ask("threads");
	assert.deepEqual(
		threads.map(({ id, name }: { id: number; name: string }) => [id, name.split(" (")[0]]),
		[
			[1, "vCPU 0"],
			[2, "vCPU 1"],
			[3, "vCPU 2"],
		],
	);
	assert.match(threads[2].name, /real/, "the third has not been started");
	const pointers = [];
	for (const threadId of [1, 2, 3]) {
		const { groups } = await client.ask("hyperscope/registers", { threadId });
		const registers: { name: string; value: string }[] = groups[0].registers;
		pointers.push(registers.find(({ name }) => name === "esp")?.value);
		const { at } = await top(client, threadId);
		const { instructions } = await client.ask("disassemble", { memoryReference: at, instructionCount: 1 });
		assert.ok(instructions[0].instruction.length > 0);
	}
	assert.equal(new Set(pointers).size, 3, pointers.join(" "));
	client.dispose();
});

test("a step moves its processor, the others stay where they are; a step over a call runs it to its end", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "processor_main" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	for (const threadId of [2, 1, 2, 1]) {
		const before = await allTops(client);
		const stopped = await client.move("stepIn", { threadId, granularity: "instruction" });
		assert.deepEqual([stopped.reason, stopped.threadId], ["step", threadId]);
		const after = await allTops(client);
		for (const [index, at] of after.entries())
			assert.equal(at === before[index], index !== threadId - 1, `thread ${index + 1} when ${threadId} was stepped`);
	}
	const lines = [];
	for (let step = 0; step < 3; step++) {
		lines.push((await top(client, 2)).line);
		const stopped = await client.move("next", { threadId: 2 });
		assert.deepEqual([stopped.reason, stopped.threadId], ["step", 2]);
		assert.equal((await top(client, 2)).name, "processor_main");
	}
	assert.deepEqual(lines, [...lines].sort(), "line after line");
	client.dispose();
});

test("a data breakpoint tells the thread that wrote; lines are gone back to in that thread", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "count" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	const { dataId } = await client.ask("dataBreakpointInfo", { name: "counter" });
	await client.ask("setDataBreakpoints", { breakpoints: [{ dataId, accessType: "write", hitCondition: "%4999" }] });
	const writers: number[] = [];
	for (let stop = 0; stop < 3; stop++) {
		const stopped = await client.move("continue", { threadId: 1 });
		assert.equal(stopped.reason, "data breakpoint");
		writers.push(stopped.threadId!);
		const here = await top(client, stopped.threadId!);
		await client.move("stepIn", { threadId: stopped.threadId, granularity: "instruction" });
		const back = await client.move("stepBack", { threadId: stopped.threadId, granularity: "instruction" });
		assert.equal(back.threadId, stopped.threadId);
		assert.equal((await top(client, stopped.threadId!)).at, here.at);
	}
	assert.ok(new Set(writers).size > 1, writers.join(" "));
	client.dispose();
});
