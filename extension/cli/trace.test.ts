import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { vmEventKinds } from "../../emulator/machine/vm-events.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { trace, traceKinds, traceLine } from "./trace.ts";

test("kinds by their names, all of them, and a refusal that lists them", () => {
	assert.deepEqual([...traceKinds(["exit", "callout", "exit"])], ["exit", "callout"]);
	assert.deepEqual([...traceKinds(["all"])].sort(), [...vmEventKinds].sort());
	assert.throws(() => traceKinds(["exits"]), /no events "exits": choose of exit,/);
});

test("a line has the count, the kind, the reason, the place and the fields", () => {
	const event = { sequence: 1, instructionCount: 7, kind: "hypercall", processor: 1, reason: "mmu_update" } as const;
	const update = {
		name: "update",
		value: [
			{ name: "pointer", value: 0x1000n },
			{ name: "value", value: "none" },
		],
	};
	assert.equal(
		traceLine({ ...event, instruction: 0x1234n, detail: [{ name: "count", value: 2 }, update] }),
		"7 hypercall mmu_update at 0x1234: count 0x2, update [pointer 0x1000; value none]",
	);
	assert.equal(traceLine({ ...event, detail: [] }), "7 hypercall mmu_update");
});

test("each event that the timeline counts is told once, in order, and watching changes nothing", () => {
	const path = fileURLToPath(new URL("../samples/isprime/isprime.elf", import.meta.url));
	const start = () =>
		createMachine({
			vmm: "bt",
			memory: 16 << 20,
			image: { name: "isprime.elf", bytes: new Uint8Array(readFileSync(path)) },
		});
	const plain = start();
	plain.run(10_000_000);
	const machine = start();
	const lines: string[] = [];
	trace(machine, traceKinds(["callout", "translation"]), (line) => lines.push(line));
	machine.run(10_000_000);
	assert.equal(machine.instructionCount(), plain.instructionCount());
	assert.equal(machine.memoryHash(), plain.memoryHash());
	for (const kind of ["callout", "translation"] as const) {
		const counted = machine
			.events!.counts()
			.filter((one) => one.kind === kind)
			.reduce((sum, { count }) => sum + count, 0);
		const told = lines.filter((line) => line.split(" ")[1] === kind).length;
		// Those of the power-on itself came before anyone listened.
		assert.ok(told > 0 && told <= counted && counted - told <= 2, `${kind}: ${told} of ${counted}`);
	}
	const counts = lines.map((line) => Number(line.split(" ")[0]));
	assert.deepEqual(
		counts,
		[...counts].sort((a, b) => a - b),
	);
});
