import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { VirtualMachine } from "../machine/virtual-machine.ts";
import type { VmEventKind } from "../machine/vm-events.ts";
import { createMachine } from "./create-machine.ts";

function run(vmm: "none" | "bt"): VirtualMachine {
	const path = fileURLToPath(new URL("../../extension/samples/kernel32/kernel32.elf", import.meta.url));
	const image = { name: "kernel32.elf", bytes: new Uint8Array(readFileSync(path)) };
	const machine = createMachine({ image, vmm, memory: 64 << 20 });
	assert.equal(machine.run(100_000_000)?.reason, "debug-exit");
	return machine;
}

function counted(machine: VirtualMachine, kind: VmEventKind): Record<string, number> {
	const counts = machine.events!.counts().filter((count) => count.kind === kind);
	return Object.fromEntries(counts.map(({ reason, count }) => [reason, count]));
}

const sum = (counts: Record<string, number>) => Object.values(counts).reduce((all, count) => all + count, 0);

test("the timeline counts what the statistics count, and the guest's own faults are those of the bare machine", () => {
	const bare = run("none");
	const translated = run("bt");
	const statistics = translated.statistics() as unknown as {
		bt: { callouts: number; translationUnits: number };
		mmu: { hiddenFaults: number; trueFaults: number };
		interrupts: { delivered: number };
	};
	assert.equal(sum(counted(translated, "callout")), statistics.bt.callouts);
	assert.equal(sum(counted(translated, "translation")), statistics.bt.translationUnits);
	assert.equal(sum(counted(translated, "true-fault")), statistics.mmu.trueFaults);
	assert.equal(sum(counted(translated, "interrupt")), statistics.interrupts.delivered);
	const hidden = sum(counted(translated, "hidden-fault"));
	assert.ok(hidden > 0 && hidden <= statistics.mmu.hiddenFaults, `${hidden} of ${statistics.mmu.hiddenFaults}`);
	assert.deepEqual(counted(translated, "true-fault"), counted(bare, "true-fault"));
	assert.deepEqual(counted(translated, "exception"), counted(bare, "exception"));
	assert.equal(sum(counted(bare, "callout")), 0);
});

test("an event says which guest instruction, and a power cycle forgets it", () => {
	const machine = run("bt");
	const [fault] = machine.events!.read({ kinds: ["true-fault"], limit: 1 });
	assert.ok(fault?.instruction !== undefined && fault.instruction < 0xffc00000n);
	assert.equal(fault.detail[0]!.name, "address");
	for (const hidden of machine.events!.read({ kinds: ["hidden-fault"], limit: 100 }))
		assert.ok(hidden.instruction! < 0xffc00000n, "a guest address, not one of the translation cache");
	machine.reset();
	assert.deepEqual(
		machine.events!.counts(),
		[{ kind: "translation", reason: "first", count: 1 }],
		"only the unit at the entry point",
	);
});
