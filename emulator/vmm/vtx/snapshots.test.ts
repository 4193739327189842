// Snapshots of a machine with a VMM: what runs on from one is what ran on without it.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { useHostHash } from "../../machine/hash.ts";
import { RecordedMachine } from "../../machine/recorded-machine.ts";
import type { MachineConfiguration } from "../../machine/virtual-machine.ts";
import { createMachine } from "../create-machine.ts";
import { HvmMachine } from "./hvm-machine.ts";

useHostHash((bytes) => createHash("sha256").update(bytes).digest("hex"));

const sample = (name: string) => ({
	name,
	bytes: new Uint8Array(readFileSync(new URL(`../../../extension/samples/${name}`, import.meta.url))),
});

function show(machine: HvmMachine): unknown {
	const processors = machine.processors().map((processor) => processor.registers());
	const { exits, mmu, interrupts, instructions } = machine.statistics();
	return { memory: machine.memoryHash(), processors, exits, mmu, interrupts, instructions };
}

for (const [name, more] of [
	["kernel32/kernel32.elf", {}],
	["kernel64/kernel64.elf", {}],
	["dma/dma.elf", { devices: ["dma-engine"], disks: [sample("dma/disk.img")], append: "msi" }],
] as const satisfies readonly (readonly [string, Partial<MachineConfiguration>])[])
	test(`${name}: from each snapshot, taken anywhere, the run is the same to its end`, () => {
		const machine = new HvmMachine({ vmm: "hvm", memory: 16 << 20, image: sample(name), ...more });
		let output = "";
		machine.onSerialOutput((bytes) => {
			output += Buffer.from(bytes).toString("latin1");
		});
		const steps = [1, 40_003, 150_001, 5];
		const kept: { snapshot: ReturnType<NonNullable<HvmMachine["takeSnapshot"]>>; seen: unknown; printed: number }[] =
			[];
		for (const step of steps) {
			if (machine.run(step)) break;
			const snapshot = machine.takeSnapshot!(kept.at(-1)?.snapshot);
			kept.push({ snapshot, seen: show(machine), printed: output.length });
		}
		assert.ok(kept.length >= 3);
		const finish = () => {
			for (let runs = 0; runs < 10_000; runs++) {
				const stop = machine.run(100_000);
				if (stop) return { stop, seen: show(machine), devices: machine.devices() };
			}
			return assert.fail("it does not end");
		};
		const end = finish();
		const whole = output;
		for (const { snapshot, seen, printed } of kept.reverse()) {
			machine.restoreSnapshot(snapshot);
			assert.deepEqual(show(machine), seen);
			output = whole.slice(0, printed);
			assert.deepEqual(finish(), end);
			assert.equal(output, whole);
		}
	});

test("a step back does not run the whole way again", () => {
	const machine = createMachine({ vmm: "hvm", memory: 16 << 20, image: sample("kernel32/kernel32.elf") });
	const distance = 20_000;
	const recorded = new RecordedMachine(machine, distance);
	recorded.run(300_000);
	const before = recorded.instructionCount();
	recorded.disarm();
	recorded.rewind(before - 1);
	assert.ok(
		recorded.instructionCount() > before - 3 * distance,
		`rewound to ${recorded.instructionCount()} of ${before}`,
	);
});

test("what a snapshot would not hold has none: firmware, shadow page tables, assigned devices", () => {
	const image = sample("dma/dma.elf");
	for (const more of [{ mmu: "shadow" }, { io: "passthrough", devices: ["dma-engine"] }] as const)
		assert.equal(new HvmMachine({ vmm: "hvm", memory: 16 << 20, image, ...more }).takeSnapshot, undefined);
});
