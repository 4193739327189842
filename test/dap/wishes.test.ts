// What users of other debuggers for kernels and virtual machines complain of, as tests of this one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { type HostServices, nodeHostServices } from "../../debug-adapter/host-services.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };

/** The file "/bare.elf" is a sample without its symbols. */
function bareHost(sample: string): HostServices {
	const bare = (bytes: Uint8Array): Uint8Array => {
		const copy = bytes.slice();
		// No section headers: e_shoff, and e_shnum with e_shstrndx (System V ABI, "ELF Header").
		copy.fill(0, 32, 36);
		copy.fill(0, 48, 52);
		return copy;
	};
	return {
		...nodeHostServices,
		readFile: async (path) =>
			path === "/bare.elf"
				? bare(await nodeHostServices.readFile(`${samples}/${sample}/${sample}.elf`))
				: nodeHostServices.readFile(path),
	};
}

async function launched(sample = "kernel32", more: object = {}, host = nodeHostServices): Promise<DapClient> {
	const client = new DapClient({ host });
	await client.ask("initialize", {});
	await client.ask("launch", { program: `${samples}/${sample}/${sample}.elf`, vmm: "none", memory: "64M", ...more });
	return client;
}

/** Starts the machine and runs it to a function. */
async function stoppedIn(name: string, sample?: string, more?: object): Promise<DapClient> {
	const client = await launched(sample, more);
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	return client;
}

async function top(client: DapClient) {
	const [frame] = (await client.ask("stackTrace", { ...thread, levels: 1 })).stackFrames;
	return frame as { id: number; name: string; line: number; instructionPointerReference: string };
}

/** The instruction that comes next, in words. */
async function instruction(client: DapClient): Promise<string> {
	const { instructionPointerReference: memoryReference } = await top(client);
	return (await client.ask("disassemble", { memoryReference, instructionCount: 1 })).instructions[0].instruction;
}

const stepInstruction = (client: DapClient) => client.move("stepIn", { ...thread, granularity: "instruction" });

async function sumOfMemory(client: DapClient): Promise<string> {
	return (await client.ask("hyperscope/memoryHash")).sha256;
}

test("breakpoints are unlimited, write nothing into the guest, and outlive a guest that writes over the code", async () => {
	const client = await launched("hello", { stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	const before = await sumOfMemory(client);
	const { instructionPointerReference: entry } = await top(client);
	const set = await client.ask("setInstructionBreakpoints", {
		breakpoints: Array.from({ length: 500 }, (_, index) => ({
			instructionReference: "0x100000",
			offset: 0x1000 + index,
			condition: "0",
		})),
	});
	assert.equal(set.breakpoints.filter((one: { verified: boolean }) => one.verified).length, 500);
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] });
	assert.equal(await sumOfMemory(client), before);
	// As a boot loader copies a kernel over the place where its breakpoint was set.
	const { address } = await client.ask("readMemory", { memoryReference: entry, count: 16 });
	const { data } = await client.ask("readMemory", { memoryReference: address, count: 16 });
	await client.ask("writeMemory", { memoryReference: address, data: Buffer.alloc(16, 0x90).toString("base64") });
	await client.ask("writeMemory", { memoryReference: address, data });
	const stopped = await client.move("continue", thread);
	assert.equal(stopped.reason, "function breakpoint");
	assert.equal((await top(client)).name, "kernel_main");
	client.dispose();
});

test("a breakpoint in the higher half, set before the first instruction, holds once paging is on", async () => {
	const client = await launched("kernel32", { stopOnEntry: true });
	const set = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] });
	assert.equal(set.breakpoints[0].verified, true);
	assert.match(set.breakpoints[0].instructionReference, /^0xc0/);
	await client.ask("configurationDone");
	await client.event("stopped");
	assert.equal((await client.ask("evaluate", { expression: "$cr0 >> 31", context: "watch" })).result, "0");
	await client.move("continue", thread);
	assert.equal((await top(client)).name, "kernel_main");
	client.dispose();
});

test("a breakpoint in a process that is not loaded yet holds, and only there with a condition on CPL and CR3", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", {
		breakpoints: [{ name: "make_list", condition: "$cpl == 3 && $cr3 != 0" }],
	});
	await client.ask("configurationDone");
	await client.event("stopped");
	assert.equal((await top(client)).name, "make_list");
	const { threads } = await client.ask("threads");
	assert.match(threads[0].name, /CPL 3, CR3 0x/);
	client.dispose();
});

test("an IRET is stepped like any other instruction, to the instruction that was interrupted", async () => {
	const client = await stoppedIn("process_page_fault");
	const { stackFrames } = await client.ask("stackTrace", thread);
	const interrupted =
		stackFrames[
			stackFrames.findIndex((one: { name: string }) => /interrupt/.test(one.name) && one.name.includes(" or ")) + 1
		];
	await client.move("stepOut", thread);
	await client.move("stepOut", thread);
	for (let step = 0; step < 40 && !/^iret/.test(await instruction(client)); step++) await stepInstruction(client);
	assert.match(await instruction(client), /^iret/);
	assert.equal((await stepInstruction(client)).reason, "step");
	const after = await top(client);
	assert.equal(after.name, interrupted.name);
	client.dispose();
});

test("STI is stepped: the instruction in its shadow is the next stop, and the one after it", async () => {
	const client = await stoppedIn("interrupts_on");
	for (let step = 0; step < 10 && (await instruction(client)) !== "sti"; step++) await stepInstruction(client);
	assert.equal(await instruction(client), "sti");
	const places = [await top(client)];
	for (let step = 0; step < 2; step++) {
		assert.equal((await stepInstruction(client)).reason, "step");
		places.push(await top(client));
	}
	assert.equal(new Set(places.map((one) => one.instructionPointerReference)).size, 3);
	assert.equal((await client.ask("evaluate", { expression: "$eflags >> 9 & 1", context: "watch" })).result, "1");
	client.dispose();
});

test("the guest's own INT3 reaches the debugger, and then the guest", async () => {
	const client = await launched();
	await client.ask("setExceptionBreakpoints", { filters: ["vector-3"] });
	await client.ask("configurationDone");
	const stopped = (await client.event("stopped")).body;
	assert.equal(stopped.reason, "exception");
	const info = await client.ask("exceptionInfo", thread);
	assert.equal(info.exceptionId, "#BP");
	await client.ask("setExceptionBreakpoints", { filters: [] });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "check_page_tables" }] });
	await client.move("continue", thread);
	assert.match(client.text(), /exception 3 \(INT3\) in the kernel: resumed/);
	client.dispose();
});

test("by physical address: a line and a variable keep their memory whatever maps it, and a stop tells both addresses", async () => {
	const client = await launched();
	const source = { path: `${samples}/kernel32/directory-tree.c` };
	const early = await client.ask("setBreakpoints", { source, breakpoints: [{ line: 78, mode: "physical" }] });
	assert.equal(early.breakpoints[0].verified, true);
	assert.match(early.breakpoints[0].message, /^Not mapped yet/);
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "directory_tree_demonstrate" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const { breakpoint } = (await client.event("breakpoint")).body;
	assert.deepEqual(
		[breakpoint.id, breakpoint.verified, breakpoint.message],
		[early.breakpoints[0].id, true, undefined],
	);
	const hit = await client.move("continue", thread);
	assert.deepEqual(hit.hitBreakpointIds, [breakpoint.id]);
	const { id: frameId } = await top(client);
	await client.ask("setBreakpoints", { source, breakpoints: [] });
	const { dataId } = await client.ask("dataBreakpointInfo", { name: "totals->links", frameId });
	const data = await client.ask("setDataBreakpoints", {
		breakpoints: [
			{ dataId, accessType: "write", mode: "physical" },
			{ dataId: "0x5000/4", mode: "physical" },
			{ dataId, hitCondition: "often" },
			{ dataId, accessType: "write", mode: "dma" },
		],
	});
	assert.deepEqual(
		data.breakpoints.map((one: { verified: boolean }) => one.verified),
		[true, false, false, true],
	);
	assert.match(data.breakpoints[1].message, /^0x5000 is not mapped now/);
	assert.match(data.breakpoints[2].message, /^Hit count "often"/);
	const written = await client.move("continue", thread);
	assert.deepEqual(written.hitBreakpointIds, [data.breakpoints[0].id]);
	assert.match(written.text!, /^write of 4 bytes at gpa:0x\w+ by 0x\w+ \(add_up\+\w+\): 0x0 → 0x1$/);
	client.dispose();
});

test("memory that is shown is told to be stale under the reference that it was read with, and only when it is", async () => {
	const client = await stoppedIn("directory_tree_demonstrate");
	const memory = (count: number) => client.transcript.slice(count).filter((line) => line.startsWith("<- event memory"));
	await client.ask("readMemory", { memoryReference: "0xc010b000", offset: 0, count: 4096 });
	await client.ask("readMemory", { memoryReference: "0xc0100000", offset: 16, count: 64 });
	let from = client.transcript.length;
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "add_up" }] });
	await client.move("continue", thread);
	// Events that follow a stop are there when the next request is answered.
	await client.ask("threads");
	assert.deepEqual(memory(from), ['<- event memory { "memoryReference": "0xc010b000", "offset": 0, "count": 4096 }']);
	from = client.transcript.length;
	await client.ask("writeMemory", { memoryReference: "0xc0100018", data: "qg==" });
	assert.deepEqual(memory(from), [
		'<- event memory { "memoryReference": "0xc0100018", "offset": 0, "count": 1 }',
		'<- event memory { "memoryReference": "0xc0100000", "offset": 16, "count": 64 }',
	]);
	client.dispose();
});

test("a register takes the text that is shown for it, with another number before its meaning", async () => {
	const client = await stoppedIn("kernel_main");
	const { scopes } = await client.ask("scopes", { frameId: (await top(client)).id });
	const { variablesReference } = scopes.find((one: { name: string }) => one.name === "General");
	const { variables } = await client.ask("variables", { variablesReference });
	const flags = variables.find((one: { name: string }) => one.name === "eflags");
	assert.match(flags.value, /^0x\w{8} {2}\S/);
	const value = flags.value.replace(/^0x\w+/, "0x00000247");
	const set = await client.ask("setVariable", { variablesReference, name: "eflags", value });
	assert.match(set.value, /^0x00000247 {2}.*CF/);
	client.dispose();
});

test("two sessions at once: neither knows of the other", async () => {
	const [first, second] = await Promise.all([stoppedIn("kernel_main"), stoppedIn("isPrime", "isprime", { vmm: "bt" })]);
	await first.ask("setExpression", { expression: "$eax", value: "1" });
	await Promise.all([first.move("next", thread), second.move("next", thread)]);
	assert.equal((await first.ask("threads")).threads.length, 1);
	assert.equal((await second.ask("threads")).threads.length, 2);
	first.dispose();
	assert.equal((await top(second)).name, "isPrime");
	await second.move("stepOut", thread);
	second.dispose();
});

test("a kernel that moved itself: its symbols are found by its gates, moved, and hold from the start after a restart", async () => {
	// The symbols come from a file that claims another place.
	const client = new DapClient({ host: bareHost("kernel32") });
	await client.ask("initialize", {});
	const symbolFiles = [{ path: `${samples}/kernel32/kernel32.elf`, offset: "0x400000" }];
	await client.ask("launch", { program: "/bare.elf", symbolFiles, vmm: "none", memory: "64M" });
	const set = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "process_page_fault" }] });
	assert.equal(set.breakpoints[0].instructionReference, "0xc05050c5");
	await client.ask("setExceptionBreakpoints", { filters: ["vector-3"] });
	await client.ask("configurationDone");
	await client.event("stopped");
	assert.match(client.text(), /kernel32\.elf: the kernel runs -0x400000 from the addresses of its symbols \(KASLR\)/);
	const changed = client.transcript.filter((line) => line.startsWith("<- event breakpoint")).at(-1)!;
	assert.match(changed, /"instructionReference": "0xc01050c5"/);
	await client.ask("setExceptionBreakpoints", { filters: [] });
	await client.move("continue", thread);
	assert.equal((await top(client)).name, "process_page_fault");
	await client.move("restart", {});
	assert.equal((await top(client)).name, "process_page_fault");
	assert.equal(client.text().match(/\(KASLR\)/g)!.length, 1);
	client.dispose();
});

test("the console completes registers from their dollar on, members, and commands of several words", async () => {
	const client = await stoppedIn("add_up");
	const { id: frameId } = await top(client);
	const labels = async (text: string) => {
		const { targets } = await client.ask("completions", { text, column: text.length + 1, frameId });
		return targets.map((one: { label: string; start: number; length: number }) => {
			return `${text.slice(0, one.start)}${one.label}${text.slice(one.start + one.length)}`;
		});
	};
	assert.ok((await labels("$")).includes("$eax"));
	assert.ok((await labels("1 + $e")).includes("1 + $eip"));
	assert.deepEqual(await labels("totals->d"), ["totals->directories", "totals->deepest"]);
	assert.deepEqual(await labels("nodes[1].permissions.ow"), ["nodes[1].permissions.owner"]);
	assert.deepEqual(await labels("nothing->"), []);
	assert.equal((await labels("info m"))[0], "info mem");
	client.dispose();
});

test("code without symbols is disassembled backwards from where the machine has stopped", async () => {
	const client = await launched("hello", { stopOnEntry: true, program: "/bare.elf" }, bareHost("hello"));
	await client.ask("configurationDone");
	await client.event("stopped");
	const entry = await top(client);
	await stepInstruction(client);
	const { instructionPointerReference: memoryReference } = await top(client);
	const rows = await client.ask("disassemble", { memoryReference, instructionOffset: -1, instructionCount: 2 });
	assert.equal(rows.instructions[0].address, entry.instructionPointerReference);
	assert.match(rows.instructions[0].instruction, /^mov esp/);
	client.dispose();
});

test("the guest's screen is read under each technique", async () => {
	for (const vmm of ["none", "trap", "bt", "hvm"]) {
		const client = await stoppedIn("kernel_main", "hello", { vmm });
		const { columns, rows } = await client.ask("hyperscope/display");
		assert.deepEqual([vmm, columns, rows.length], [vmm, 80, 25]);
		client.dispose();
	}
});

test("numbers are shown in the format that is chosen, in variables, watches and the console, and the editor is told", async () => {
	const client = await stoppedIn("process_page_fault");
	const { id: frameId } = await top(client);
	const value = async () =>
		(await client.ask("evaluate", { expression: "error_code", context: "watch", frameId })).result;
	assert.equal(await value(), "3");
	for (const [format, shown] of [
		["hexadecimal", "0x3"],
		["binary", "0b11"],
		["natural", "3"],
	]) {
		await client.ask("hyperscope/setNumberFormat", { format });
		assert.deepEqual((await client.event("invalidated")).body, { areas: ["variables"] });
		assert.match(await value(), new RegExp(`^${shown!.slice(0, 2)}0*${shown!.slice(2)}$`));
	}
	client.dispose();
});

test("code at any address is listed as text: an address, a symbol, physical memory", async () => {
	const client = await stoppedIn("kernel_main");
	const first = async (address: string) =>
		(await client.ask("hyperscope/disassembleText", { ...thread, address, count: 2 })).lines[0];
	const main = await first("kernel_main");
	assert.deepEqual([main.symbol, main.text], ["kernel_main", "push ebp"]);
	assert.equal((await first(main.address)).text, main.text);
	const { result } = await client.ask("evaluate", { expression: `translate ${main.address}`, context: "repl" });
	const physical = /gpa:0x\w+/.exec(result)![0];
	assert.equal((await first(physical)).bytes, main.bytes);
	client.dispose();
});
