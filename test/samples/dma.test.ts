// The sample that drives bus masters: the same output under each technique, and the same run however it is cut into slices.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import type { MachineConfiguration, Stop, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";

const sample = resolve(fileURLToPath(import.meta.url), "../../../extension/samples/dma");
const expected = readFileSync(resolve(sample, "expected.txt"), "latin1");

function start(more: Partial<MachineConfiguration>): { machine: VirtualMachine; output: () => string } {
	const machine = createMachine({
		vmm: "none",
		memory: 16 << 20,
		image: { name: "dma.elf", bytes: readFileSync(resolve(sample, "dma.elf")) },
		disks: [{ name: "disk.img", bytes: readFileSync(resolve(sample, "disk.img")) }],
		devices: ["dma-engine"],
		append: "stray",
		...more,
	});
	let output = "";
	machine.onSerialOutput((bytes) => {
		output += Buffer.from(bytes).toString("latin1");
	});
	return { machine, output: () => output };
}

function finish(machine: VirtualMachine, slice: number): Stop {
	for (let runs = 0; runs < 1_000_000; runs++) {
		const stop = machine.run(slice);
		if (stop) return stop;
	}
	assert.fail("the sample does not end");
}

for (const vmm of ["none", "bt"] as const)
	test(`under ${vmm} with canonical devices the sample prints what is expected`, () => {
		const { machine, output } = start({ vmm });
		assert.deepEqual(finish(machine, 10_000_000), { reason: "debug-exit", value: 0 });
		assert.equal(output(), expected);
	});

test("alarms that an instruction asks for come at their moment, however the run is sliced", () => {
	const counts = [10_000_000, 997, 13].map((slice) => {
		const { machine } = start({});
		finish(machine, slice);
		return machine.instructionCount();
	});
	assert.equal(new Set(counts).size, 1, String(counts));
});
