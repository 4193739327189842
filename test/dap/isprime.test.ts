import assert from "node:assert/strict";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { breakpointName, type FragmentBody, type FragmentsBody } from "../../debug-adapter/protocol.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";

const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const vcpu = { threadId: 1 };
const pcpu = { threadId: 2 };

async function stoppedInIsPrime(): Promise<DapClient> {
	const client = new DapClient({ scrub: [[samples, "SAMPLES"]] });
	await client.ask("initialize", {});
	await client.ask("launch", { program: `${samples}/isprime/isprime.elf`, vmm: "bt", memory: "16M" });
	await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: "isPrime" }] });
	await client.ask("configurationDone");
	await client.event("stopped");
	await client.ask("setFunctionBreakpoints", { breakpoints: [] });
	return client;
}

const top = async (client: DapClient, thread: { threadId: number }) =>
	(await client.ask("stackTrace", { ...thread, levels: 4 })).stackFrames;

test("under binary translation the vCPU and the pCPU are two threads with the same stack of functions", async () => {
	const client = await stoppedInIsPrime();
	const names = (frames: { name: string }[]) => frames.map((frame) => frame.name.replace(/ \(fragment \d+\)/, ""));
	const [guest, host] = [await top(client, vcpu), await top(client, pcpu)];
	assert.deepEqual(names(guest), ["isPrime", "call_is_prime", "kernel_main", "start"]);
	assert.deepEqual(names(host), names(guest));
	assert.match(host[0].name, /^isPrime \(fragment \d+\)$/);
	assert.notEqual(host[0].instructionPointerReference, guest[0].instructionPointerReference);
	client.dispose();
});

test("stepping the pCPU goes through the fragment; disassembly and memory are those of the cache", async () => {
	const client = await stoppedInIsPrime();
	const [frame] = await top(client, pcpu);
	const at = frame.instructionPointerReference;
	const fragment: FragmentBody = await client.ask("hyperscope/fragment", { address: at, ...pcpu });
	assert.equal(fragment.symbol, "isPrime");
	const line = fragment.lines.find((one) => one.current?.some((where) => where.threadId === pcpu.threadId));
	assert.ok(line, "the line at which the pCPU stands is marked");
	const addresses = fragment.lines.flatMap((one) => one.translated.map((instruction) => instruction.address));
	for (const expected of addresses.slice(addresses.indexOf(at) + 1, addresses.indexOf(at) + 3)) {
		assert.equal((await client.move("stepIn", pcpu)).threadId, pcpu.threadId);
		assert.equal((await top(client, pcpu))[0].instructionPointerReference, expected);
	}
	const { instructions } = await client.ask("disassemble", { memoryReference: at, instructionCount: 1 });
	assert.deepEqual(
		[instructions[0].instructionBytes, instructions[0].instruction],
		[line.translated[0]!.bytes, line.translated[0]!.text],
	);
	client.dispose();
});

test("a breakpoint inside a fragment stops there", async () => {
	const client = await stoppedInIsPrime();
	const [frame] = await top(client, pcpu);
	const fragment: FragmentBody = await client.ask("hyperscope/fragment", {
		address: frame.instructionPointerReference,
		...pcpu,
	});
	const wanted = fragment.lines[2]!.translated[0]!.address;
	const set = await client.ask("setFunctionBreakpoints", { breakpoints: [{ name: breakpointName(wanted) }] });
	assert.equal(set.breakpoints[0].verified, true);
	const stopped = await client.move("continue", vcpu);
	assert.deepEqual([stopped.reason, stopped.hitBreakpointIds], ["function breakpoint", [set.breakpoints[0].id]]);
	assert.equal((await top(client, pcpu))[0].instructionPointerReference, wanted);
	client.dispose();
});

test("after isPrime(49): four fragments of it, two continuations, one chaining jump, as in the paper", async () => {
	const client = await stoppedInIsPrime();
	await client.move("stepOut", vcpu);
	const { fragments }: FragmentsBody = await client.ask("hyperscope/fragments", { search: "isPrime", validOnly: true });
	const own = fragments.filter((one) => one.symbol !== "call_is_prime");
	const exits = own.flatMap((one) => one.exits);
	assert.equal(own.length, 4);
	assert.equal(exits.filter((exit) => exit.state === "continuation").length, 2);
	assert.equal(exits.filter((exit) => exit.state === "chained").length, 1);
	client.dispose();
});

test("a walk shows the guest's tables and the shadow tables side by side", async () => {
	const client = await stoppedInIsPrime();
	const { walks } = await client.ask("hyperscope/pageWalk", { ...vcpu, address: "$eip" });
	assert.deepEqual(
		walks.map((walk: { table: string }) => walk.table),
		["guest", "shadow"],
	);
	assert.match(walks[1].result.address, /^hpa:0x/);
	client.dispose();
});

test("a filter on the translation of a TU stops at it", async () => {
	const client = await stoppedInIsPrime();
	await client.ask("setExceptionBreakpoints", { filters: ["translate"] });
	const stopped = await client.move("continue", vcpu);
	assert.equal(stopped.reason, "exception");
	assert.equal((await client.ask("exceptionInfo", vcpu)).exceptionId, "translate");
	client.dispose();
});
