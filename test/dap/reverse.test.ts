// Going back: by instruction, by line and to the breakpoint before, under each technique, with nothing configured.

import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const vcpu = { threadId: 1 };
const techniques = ["none", "trap", "bt", "hvm"] as const;

async function stoppedAt(sample: string, vmm: string, name: string, condition?: string): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	const capabilities = await client.ask("initialize", {});
	assert.equal(capabilities.supportsStepBack, true);
	await client.ask("launch", { program: `${samples}/${sample}/${sample}.elf`, vmm, memory: "16M" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name, ...(condition ? { condition } : {}) }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

async function where(client: DapClient) {
	const { stackFrames } = await client.ask("stackTrace", { ...vcpu, levels: 1 });
	const [{ name, line, instructionPointerReference }] = stackFrames;
	return { name, line, at: instructionPointerReference };
}

const general = async (client: DapClient): Promise<string> => {
	const { groups } = await client.ask("hyperscope/registers", vcpu);
	return JSON.stringify(groups[0].registers.map(({ name, value }: { name: string; value: string }) => [name, value]));
};

for (const vmm of techniques) {
	test(`${vmm}: instructions forward, and the same ones back with the same registers`, async () => {
		const client = await stoppedAt("isprime", vmm, "isPrime");
		const way = [];
		for (let step = 0; step < 15; step++) {
			way.push({ ...(await where(client)), registers: await general(client) });
			await client.move("stepIn", { ...vcpu, granularity: "instruction" });
		}
		for (const expected of way.reverse()) {
			const stopped = await client.move("stepBack", { ...vcpu, granularity: "instruction" });
			assert.equal(stopped.reason, "step");
			assert.deepEqual({ ...(await where(client)), registers: await general(client) }, expected);
		}
		client.dispose();
	});

	test(`${vmm}: lines back over calls, out of a function to its caller, to the beginning`, async () => {
		const client = await stoppedAt("isprime", vmm, "kernel_main");
		const lines = [];
		for (let step = 0; step < 3; step++) {
			lines.push((await where(client)).line);
			await client.move("next", vcpu);
		}
		for (const line of lines.reverse()) {
			await client.move("stepBack", vcpu);
			assert.deepEqual([(await where(client)).name, (await where(client)).line], ["kernel_main", line]);
		}
		// Before the function there is its caller, the entry code; before that, nothing.
		for (let steps = 0; (await where(client)).name === "kernel_main"; steps++) {
			assert.ok(steps < 4, "the caller is reached");
			await client.move("stepBack", vcpu);
		}
		assert.equal((await where(client)).name, "start");
		for (let steps = 0; !client.text().includes("The beginning of the recorded run"); steps++) {
			assert.ok(steps < 40, "the beginning is reached");
			await client.move("stepBack", vcpu);
		}
		client.dispose();
	});

	test(`${vmm}: back to each breakpoint before, as conditions have it, and forward again`, async () => {
		const client = await stoppedAt("kernel32", vmm, "process_page_fault");
		const forward = [await where(client)];
		const registers = [await general(client)];
		for (let stop = 1; stop < 5; stop++) {
			await client.move("continue", vcpu);
			forward.push(await where(client));
			registers.push(await general(client));
		}
		for (let stop = 3; stop >= 0; stop--) {
			const { reason } = await client.move("reverseContinue", vcpu);
			assert.equal(reason, "function breakpoint");
			assert.deepEqual(await where(client), forward[stop]);
			assert.equal(await general(client), registers[stop]);
		}
		await client.move("reverseContinue", vcpu);
		assert.match(client.text(), /The beginning of the recorded run/);
		for (let stop = 0; stop < 5; stop++) {
			await client.move("continue", vcpu);
			assert.equal(await general(client), registers[stop], `stop ${stop}`);
		}
		// A condition that is never true is no place to go back to; a log message is none either.
		await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "process_page_fault", condition: "0" }] });
		await client.move("reverseContinue", vcpu);
		assert.equal((await where(client)).name, "start");
		client.dispose();
	});

	test(`${vmm}: back to the last write of a variable, by the instruction that did it`, async () => {
		const client = await stoppedAt("kernel32", vmm, "process_page_fault");
		for (let stop = 1; stop < 4; stop++) await client.move("continue", vcpu);
		await client.ask("setFunctionBreakpoints", { breakpoints: [] });
		const info = await client.ask("dataBreakpointInfo", { name: "clock_page.ticks", asAddress: false });
		assert.ok(info.dataId, info.description);
		await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
		const stopped = await client.move("reverseContinue", vcpu);
		assert.equal(stopped.reason, "data breakpoint");
		assert.match(stopped.text ?? "", /^write of 4 bytes at .* by .*\(interrupt_dispatch\+/);
		client.dispose();
	});
}

for (const vmm of ["none", "bt"] as const) {
	test(`${vmm}: back to the last write of a variable, and to the one before it, past breakpoints`, async () => {
		const client = await stoppedAt("kernel32", vmm, "process_exit");
		// Every call of it lies on the way back.
		await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "add_up" }] });
		const write = { ...vcpu, expression: "node_count" };
		const counts = [];
		for (let turn = 0; turn < 2; turn++) {
			const stopped = await client.move("hyperscope/lastWrite", write);
			assert.equal(stopped.reason, "data breakpoint");
			assert.match((await where(client)).name, /^add$|^new_node$/);
			counts.push((await client.ask("evaluate", { expression: "node_count", context: "watch" })).result);
		}
		assert.equal(Number(counts[0]), Number(counts[1]) + 1);
		// A register is no memory; nothing of the person's breakpoints was changed.
		assert.match((await client.request("hyperscope/lastWrite", { ...vcpu, expression: "$eax" })).message!, /register/);
		const next = await client.move("continue", vcpu);
		assert.equal(next.reason, "function breakpoint");
		client.dispose();
	});
}
