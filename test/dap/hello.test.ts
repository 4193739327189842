import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import { assertGolden } from "./golden.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

test("golden session: hello, from launch to its end", async () => {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	const source = { path: `${samples}/hello/main.c` };
	const stack = async () => (await client.ask("stackTrace", thread)).stackFrames;

	client.note("What the adapter can do");
	await client.ask("initialize", { adapterID: "hyperscope", pathFormat: "path" });
	await client.ask("launch", { program: `${samples}/hello/hello.elf`, vmm: "none", memory: "16M" });

	client.note("Breakpoints: a line with code, a line past the end, a function, an unknown function, an address");
	await client.ask("breakpointLocations", { source, line: 1, endLine: 40 });
	await client.ask("setBreakpoints", { source, breakpoints: [{ line: 10 }, { line: 400 }] });
	await client.ask("setFunctionBreakpoints", {
		breakpoints: [{ name: "machine_exit" }, { name: "absent" }, { name: "*0x10001d" }, { name: "gpa:0x100000" }],
	});
	await client.ask("configurationDone");
	await client.event("stopped");

	client.note("The frames, the locals");
	await client.ask("threads");
	const frames = await stack();
	const frameId = frames[0].id;
	const { scopes } = await client.ask("scopes", { frameId });
	await client.ask("variables", { variablesReference: scopes[0].variablesReference });
	await client.ask("variables", { variablesReference: scopes[1].variablesReference });

	client.note("Expressions: symbols, registers, formats, address spaces");
	for (const expression of [
		"next",
		"*next",
		"greeting",
		"greeting[1],c",
		"$eax + 1",
		"$al,b",
		"gpa:0x100000",
		"next + 1",
	])
		await client.ask("evaluate", { expression, context: "watch", frameId });
	await client.request("evaluate", { expression: "port:0x3f8", context: "watch", frameId });
	await client.request("evaluate", { expression: "absent", context: "hover", frameId });
	await client.request("evaluate", { expression: "$ebx = 1", context: "hover", frameId });
	await client.ask("completions", { text: "gree", column: 5, frameId });
	await client.ask("completions", { text: "$eb", column: 4, frameId });

	client.note("The console");
	for (const expression of ["help", "x/2i $eip", "x/8xb next", "x/s next", "walk next", "info symbol $eip", "x/9z 0"])
		await client.request("evaluate", { expression, context: "repl", frameId });

	client.note("A local and a register are set; the machine sees it");
	await client.ask("setVariable", {
		variablesReference: scopes[0].variablesReference,
		name: "next",
		value: "next + 6",
	});
	await client.request("setVariable", { variablesReference: scopes[0].variablesReference, name: "next", value: "{" });
	await client.ask("setExpression", { expression: "$al", value: "'w'", frameId });
	await client.ask("evaluate", { expression: "$eax = 'W'", context: "repl", frameId });

	client.note("Steps: over a line with a call, into the function, out of it, by instruction");
	await client.ask("setBreakpoints", { source, breakpoints: [] });
	await client.move("next", thread);
	await stack();
	await client.move("next", thread);
	await client.move("stepIn", thread);
	await stack();
	await client.move("stepOut", thread);
	await stack();
	await client.move("stepIn", { ...thread, granularity: "instruction" });
	await client.move("next", { ...thread, granularity: "instruction" });
	await stack();

	client.note("Jump to another line");
	const { targets } = await client.ask("gotoTargets", { source, line: 11 });
	await client.ask("goto", { ...thread, targetId: targets[0].id });
	await client.event("stopped");
	await stack();

	client.note("Memory, read and written; disassembly around an address");
	await client.ask("readMemory", { memoryReference: "0x1000c0", count: 5 });
	await client.ask("readMemory", { memoryReference: "0xfffffe", offset: 1, count: 4 });
	await client.ask("writeMemory", { memoryReference: "gpa:0x1000c0", data: btoa("J") });
	await client.event("memory");
	await client.ask("evaluate", { expression: "greeting", context: "watch" });
	await client.ask("disassemble", { memoryReference: "0x100049", instructionOffset: -3, instructionCount: 6 });
	await client.ask("disassemble", { memoryReference: "0x0", instructionOffset: -2, instructionCount: 3 });

	client.note("What else is known");
	await client.ask("modules", {});
	await client.ask("loadedSources");

	client.note("To the end");
	await client.move("continue", thread);
	await client.ask("continue", thread);
	await client.event("terminated");
	await client.ask("disconnect", {});
	client.dispose();
	assertGolden("hello", import.meta.url, client.transcript);
});
