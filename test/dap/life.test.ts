import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const program = fileURLToPath(new URL("../../extension/samples/hello/hello.elf", import.meta.url));
const thread = { threadId: 1 };

async function launched(more: object = {}): Promise<DapClient> {
	const client = new DapClient();
	await client.ask("initialize", {});
	await client.ask("launch", { program, vmm: "none", memory: "16M", ...more });
	return client;
}

test("restart switches the machine on anew; breakpoints stay, hit counts begin again", async () => {
	const client = await launched();
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "serial_write", hitCondition: "2" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	const count = async () => (await client.ask("hyperscope/machine")).instructionCount;
	const hash = async () => (await client.ask("hyperscope/memoryHash")).sha256;
	const before = [await count(), await hash()];
	await client.ask("setExpression", { expression: "greeting", value: '"Changed"' });
	assert.notEqual(await hash(), before[1]);
	const again = await client.move("restart", {});
	assert.equal(again.reason, "function breakpoint");
	assert.deepEqual([await count(), await hash()], before);
	const other = await client.move("restart", { arguments: { program, vmm: "none", memory: "16M", stopOnEntry: true } });
	assert.equal(other.reason, "entry");
	assert.equal(await count(), 0);
	client.dispose();
});

test("terminate ends the session; what needs the machine is refused afterwards", async () => {
	const client = await launched({ stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("terminate");
	await client.event("terminated");
	for (const command of ["continue", "stackTrace", "next"])
		assert.match((await client.request(command, thread)).message!, /has been switched off: restart the session/);
	client.dispose();
});

test("without debugging no breakpoint stops", async () => {
	const client = await launched({ noDebug: true, stopOnEntry: true });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "kernel_main" }] });
	await client.ask("configurationDone");
	await client.event("terminated");
	assert.match(client.text(), /output stdout "Hello from the guest kernel/);
	assert.doesNotMatch(client.text(), /event stopped/);
	client.dispose();
});

test("symbols that are added later place the breakpoints that waited for them", async () => {
	const client = await launched({ stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	const { breakpoints } = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "isPrime" }] });
	assert.equal(breakpoints[0].verified, false);
	const path = program.replaceAll("hello", "isprime");
	const loaded = await client.ask("hyperscope/loadSymbols", { path, offset: "0x1000000" });
	assert.ok(loaded.symbols > 0 && loaded.hasLines);
	const changed = (await client.event("breakpoint")).body as {
		breakpoint: { id: number; instructionReference: string };
	};
	assert.equal(changed.breakpoint.id, breakpoints[0].id);
	assert.match(changed.breakpoint.instructionReference, /^0x11000/);
	client.dispose();
});

test("a request that was cancelled while it waited is refused", async () => {
	const client = await launched({ stopOnEntry: true });
	const path = program.replaceAll("hello", "isprime");
	// The first reads a file; the second waits for it, and is cancelled meanwhile.
	const first = client.request("hyperscope/loadSymbols", { path, offset: "0x1000000" });
	const second = client.request("threads");
	client.sendRaw({ seq: 999, type: "request", command: "cancel", arguments: { requestId: 4 } });
	assert.equal((await first).success, true);
	assert.equal((await second).message, "cancelled");
	client.dispose();
});
