// Into one of several calls of a line, back to where a frame was entered, and from values to their places in the source.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

/** Starts the sample and runs it to a line. */
async function stoppedAt(vmm: string, file: string, line: number): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", {});
	await client.ask("launch", { program: `${samples}/kernel32/kernel32.elf`, vmm, memory: "64M" });
	const source = { path: `${samples}/kernel32/${file}` };
	const { breakpoints } = await client.ask("setBreakpoints", { source, breakpoints: [{ line }] });
	assert.equal(breakpoints[0].line, line);
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

async function frames(client: DapClient) {
	const { stackFrames } = await client.ask("stackTrace", thread);
	return stackFrames as { id: number; name: string; line: number; canRestart?: boolean }[];
}

async function evaluate(client: DapClient, expression: string, frameId?: number): Promise<string> {
	return (await client.ask("evaluate", { expression, context: "watch", frameId })).result;
}

for (const vmm of ["none", "bt", "hvm"]) {
	test(`the calls of a line: into the one that was chosen, over those before it, vmm ${vmm}`, async () => {
		// memcpy(frame_contents(copy), frame_contents(*entry & -PAGE_SIZE), PAGE_SIZE);
		const client = await stoppedAt(vmm, "process.c", 178);
		const [top, caller] = await frames(client);
		const { targets } = await client.ask("stepInTargets", { frameId: top!.id });
		const names = targets.map(({ label }: { label: string }) => label.split(" ")[0]);
		assert.deepEqual(names, ["frame_contents", "frame_contents", "memcpy"]);
		assert.deepEqual((await client.ask("stepInTargets", { frameId: caller!.id })).targets, []);
		const eax = await evaluate(client, "$eax");
		await client.move("stepIn", { ...thread, targetId: targets[2].id });
		assert.deepEqual(
			(await frames(client)).slice(0, 2).map(({ name, line }) => [name, line === 178]),
			[
				["memcpy", false],
				[top!.name, true],
			],
		);
		assert.notEqual(await evaluate(client, "$eax"), eax, "the calls before it have run");
		const late = await client.request("stepIn", { ...thread, targetId: targets[0].id });
		assert.equal(late.success, false);
		assert.match(late.message!, /There is no target 1 here: ask stepInTargets first/);
		client.dispose();
	});

	test(`a frame is gone through again, with memory as it was, vmm ${vmm}`, async () => {
		const client = await stoppedAt(vmm, "directory-tree.c", 93);
		await client.ask("setBreakpoints", {
			source: { path: `${samples}/kernel32/directory-tree.c` },
			breakpoints: [{ line: 93 }],
		});
		const [top, caller, outer] = await frames(client);
		assert.deepEqual([top!.name, caller!.name, outer!.name], ["add_up", "add_up", "directory_tree_demonstrate"]);
		assert.equal(await evaluate(client, "depth", top!.id), "1");
		assert.notEqual(await evaluate(client, "totals->files"), "0");
		// The caller's frame: the whole recursion is undone.
		await client.move("restartFrame", { frameId: caller!.id });
		const again = await frames(client);
		assert.deepEqual([again[0]!.name, again[1]!.name], ["add_up", "directory_tree_demonstrate"]);
		assert.equal(await evaluate(client, "depth", again[0]!.id), "0");
		assert.equal(await evaluate(client, "totals->files", again[0]!.id), "0");
		await client.move("continue", thread);
		assert.equal(await evaluate(client, "depth"), "1", "it comes to the same place");
		// Nothing called the outermost function.
		const last = (await frames(client)).at(-1)!;
		assert.equal(last.canRestart, false);
		const refused = await client.request("restartFrame", { frameId: last.id });
		assert.equal(
			refused.message,
			"The beginning of this frame is not known: choose one of a function that was called.",
		);
		client.dispose();
	});
}

test("values lead to the source: where a variable is declared, which code a register or pointer names", async () => {
	const client = await stoppedAt("none", "directory-tree.c", 78);
	const [top] = await frames(client);
	const { scopes } = await client.ask("scopes", { frameId: top!.id });
	const children = async (name: string) => {
		const scope = scopes.find((one: { name: string }) => one.name === name);
		const { variables } = await client.ask("variables", { variablesReference: scope.variablesReference });
		return variables as { name: string; declarationLocationReference?: number; valueLocationReference?: number }[];
	};
	const depth = (await children("Arguments")).find(({ name }) => name === "depth")!;
	const declared = await client.ask("locations", { locationReference: depth.declarationLocationReference });
	assert.deepEqual([declared.source.name, declared.line], ["directory-tree.c", 76]);
	const eip = (await children("General")).find(({ name }) => name === "eip")!;
	const here = await client.ask("locations", { locationReference: eip.valueLocationReference });
	assert.deepEqual([here.source.name, here.line], ["directory-tree.c", 78]);
	const pointer = await client.ask("evaluate", { expression: "&add_up", context: "watch" });
	const code = await client.ask("locations", { locationReference: pointer.valueLocationReference });
	assert.deepEqual([code.source.name, code.line], ["directory-tree.c", 77]);
	await client.move("next", thread);
	const late = await client.request("locations", { locationReference: eip.valueLocationReference });
	assert.equal(late.success, false);
	assert.match(late.message!, /is not known any more/);
	client.dispose();
});
