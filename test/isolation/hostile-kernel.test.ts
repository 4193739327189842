// Random code in ring 0 under each technique never reaches memory that is not its own and never stops the server.
// HYPERSCOPE_FRAGMENTS says how many fragments of code each technique runs, HYPERSCOPE_SEED which ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { Random } from "../oracle/random.ts";
import { type HostedParts, IsolationProbe } from "./isolation-probe.ts";
import { counterAddress, dispatchAddress, FRAGMENTS, GUEST_MEMORY } from "./kernel-layout.ts";
import { randomKernel } from "./random-kernel.ts";
import { techniques } from "./techniques.ts";

const FRAGMENTS_EACH = Number(process.env.HYPERSCOPE_FRAGMENTS ?? 5000);
const SEED = Number(process.env.HYPERSCOPE_SEED ?? 20061023);
/** Instructions after which a fragment that has not come to its end is left. */
const SLICE = 500;
/** Slices in a row without a new fragment after which the kernel is given up. */
const STUCK = 3;
/** Of so many kernels one is looked at with all registers. */
const LOOKED_AT = 8;

function begun(machine: VirtualMachine): number {
	const bytes = machine.processors()[0]!.readMemory({ space: "gpa", value: BigInt(counterAddress) }, 4);
	if (bytes === undefined) return 0;
	const count = new DataView(bytes.buffer, bytes.byteOffset).getInt32(0, true) + 1;
	return Math.max(0, Math.min(count, FRAGMENTS));
}

/** Lets a kernel run until it ends or is stuck; the number of fragments that it has begun. */
function live(machine: VirtualMachine, probe: IsolationProbe | undefined): number {
	let fragments = 0;
	let stuck = 0;
	// The counter is the guest's, who may write anything there: it counts forward only, and not for ever.
	for (let slices = 0; stuck < STUCK && slices < FRAGMENTS * STUCK; slices++) {
		const before = machine.instructionCount();
		const stop = machine.run(SLICE);
		assert.ok(machine.instructionCount() - before <= SLICE + 1, "run() keeps to its budget");
		probe?.check();
		// No state of a guest is one that the VMM cannot enter.
		assert.ok(!(stop && "description" in stop && /VM entry/.test(stop.description)), JSON.stringify(stop));
		const now = begun(machine);
		if (now > fragments) stuck = 0;
		else stuck++;
		fragments = Math.max(fragments, now);
		if (stop || probe?.isRestarted) break;
		if (stuck === 0) continue;
		try {
			machine.processors()[0]!.setRegister("eip", BigInt(dispatchAddress));
		} catch (error) {
			if (!(error instanceof MachineError)) throw error;
			break;
		}
	}
	return fragments;
}

/** Whatever the guest did, its machine can be looked at. */
function look(machine: VirtualMachine, whole: boolean): void {
	for (const processor of machine.processors()) {
		const at = processor.linearInstructionPointer();
		processor.walk(at);
		processor.readMemory({ space: "lin", value: at }, 16);
		if (whole) processor.registers();
	}
	machine.events?.counts();
	if (!whole) return;
	machine.statistics();
	machine.devices();
}

for (const { name, configuration, memory } of techniques)
	test(`${FRAGMENTS_EACH} fragments of random code in ring 0 under ${name} reach nothing that is not the guest's`, (t) => {
		const random = new Random(SEED);
		const started = process.cpuUsage();
		let kernels = 0;
		const image = randomKernel(random);
		const machine = createMachine({
			...configuration,
			image,
			memory: GUEST_MEMORY,
			devices: ["dma-engine", "e1000"],
			disks: [{ name: "disk", bytes: new Uint8Array(0x10000) }],
			iommu: true,
		});
		for (let done = 0; done < FRAGMENTS_EACH; kernels++) {
			try {
				image.bytes.set(randomKernel(random).bytes);
				machine.reset();
				const probe = memory && new IsolationProbe(machine as unknown as HostedParts, memory(machine));
				done += Math.max(1, live(machine, probe));
				look(machine, kernels % LOOKED_AT === 0);
				probe?.checkAll();
			} catch (error) {
				t.diagnostic(`kernel ${kernels} of HYPERSCOPE_SEED=${SEED}`);
				throw error;
			}
		}
		const { user, system } = process.cpuUsage(started);
		t.diagnostic(`${kernels} kernels, ${Math.round((user + system) / 1000)} ms of processor time`);
	});
