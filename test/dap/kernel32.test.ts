import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

async function launched(vmm: "none" | "trap" | "bt" | "hvm" = "none"): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", { adapterID: "hyperscope" });
	client.transcript.length = 0;
	await client.ask("launch", { program: `${samples}/kernel32/kernel32.elf`, vmm, memory: "64M" });
	return client;
}

test("golden session: kernel32, data structures, conditions, data breakpoints", async () => {
	const client = await launched();
	const frames = async (levels = 0) => (await client.ask("stackTrace", { ...thread, levels })).stackFrames;

	client.note("A function breakpoint with a condition on an argument, a log message in a line");
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "add_up", condition: "depth == 2" }] });
	await client.ask("setBreakpoints", {
		source: { path: `${samples}/kernel32/directory-tree.c` },
		breakpoints: [{ line: 82, logMessage: "file {node->name} of {node->as.file.size} bytes", hitCondition: "<3" }],
	});
	await client.ask("configurationDone");
	await client.event("stopped");
	const [frame, , outer] = await frames();

	client.note("Arguments, their parts, the same in a caller's frame");
	const { scopes } = await client.ask("scopes", { frameId: frame.id });
	const args = await client.ask("variables", { variablesReference: scopes[0].variablesReference });
	const node = args.variables[0];
	const parts = await client.ask("variables", { variablesReference: node.variablesReference });
	for (const part of parts.variables
		.filter((one: { variablesReference: number }) => one.variablesReference > 0)
		.slice(0, 2))
		await client.ask("variables", { variablesReference: part.variablesReference, start: 0, count: 3 });
	await client.ask("evaluate", { expression: "depth", context: "watch", frameId: outer.id });
	const outerScopes = await client.ask("scopes", { frameId: outer.id });
	await client.ask("variables", { variablesReference: outerScopes.scopes.at(-1).variablesReference });
	await client.ask("evaluate", { expression: "nodes[1].permissions", context: "watch", frameId: frame.id });
	await client.ask("setExpression", { expression: "nodes[1].permissions.owner", value: "0x3ff", frameId: frame.id });
	await client.request("setExpression", {
		expression: "nodes[1].permissions.owner",
		value: "0x400",
		frameId: frame.id,
	});

	client.note("A data breakpoint on a member; the stop says who wrote what");
	const info = await client.ask("dataBreakpointInfo", { name: "totals->links", frameId: frame.id });
	await client.request("dataBreakpointInfo", { variablesReference: scopes[1].variablesReference, name: "eax" });
	await client.request("dataBreakpointInfo", { variablesReference: node.variablesReference, name: "kind" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	await client.ask("setDataBreakpoints", { breakpoints: [{ dataId: info.dataId, accessType: "write" }] });
	await client.move("continue", thread);
	await frames(2);
	await client.ask("setDataBreakpoints", { breakpoints: [] });

	client.note("The stack through an interrupt, from a kernel function to the user's program");
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "process_page_fault" }] });
	await client.move("continue", thread);
	await frames();
	await client.ask("evaluate", { expression: "walk address", context: "repl" });
	await client.ask("hyperscope/pageWalk", { ...thread, address: "$eip", access: { write: true } });
	await client.ask("hyperscope/mappings", { ...thread, table: "guest", limit: 3, filter: { privilege: "user" } });
	await client.ask("hyperscope/mappings", { ...thread, table: "guest", filter: { contains: "gpa:0x105000" } });

	client.note("Out of the handler, frame by frame, to the instruction that faulted");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	await client.move("stepOut", thread);
	await client.move("stepOut", thread);
	await frames(1);
	await client.move("stepOut", thread);
	await frames();
	client.dispose();
	assertGolden("kernel32", import.meta.url, client.transcript);
});

for (const vmm of ["none", "trap", "bt", "hvm"] as const) {
	test(`a step over a line whose store faults comes back from the fault, vmm ${vmm}`, async () => {
		const client = await launched(vmm);
		const user = `${samples}/kernel32/user.c`;
		const at = async () => {
			const [frame] = (await client.ask("stackTrace", { ...thread, levels: 1 })).stackFrames;
			return { name: frame.name, line: frame.line };
		};
		const { breakpoints } = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "make_list" }] });
		assert.equal(breakpoints[0].verified, true);
		await client.ask("configurationDone");
		await client.event("stopped");
		await client.ask("setFunctionBreakpoints", { breakpoints: [] });
		const lines = [];
		for (let step = 0; step < 12; step++) {
			lines.push(await at());
			assert.equal((await client.move("next", thread)).reason, "step");
		}
		// Each line of the function in turn, though stores to fresh pages enter the kernel meanwhile.
		assert.deepEqual([...new Set(lines.slice(0, 8).map((one) => one.name))], ["make_list"]);
		const source = await client.ask("source", { source: { path: user } });
		assert.match(source.content, /make_list/);
		client.dispose();
	});
}

test("the same session twice gives the same conversation", async () => {
	const run = async () => {
		const client = await launched();
		await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "checksum" }, { name: "process_exit" }] });
		await client.ask("configurationDone");
		await client.event("stopped");
		await client.move("continue", thread);
		await client.ask("hyperscope/memoryHash");
		await client.ask("hyperscope/registers", thread);
		client.dispose();
		return client.transcript.filter((line) => !line.startsWith("<- output"));
	};
	assert.deepEqual(await run(), await run());
});
