// Random code in ring 0 under each technique never reaches memory that is not its own and never stops the server.
// HYPERSCOPE_FRAGMENTS says how many fragments of code each technique runs, HYPERSCOPE_SEED which ones.

import assert from "node:assert/strict";
import { test } from "node:test";
import type { MachineConfiguration, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { Area as DeprivilegedArea } from "../../emulator/vmm/layout.ts";
import type { Monitor as DeprivilegedMonitor } from "../../emulator/vmm/monitor.ts";
import { Area as VtxArea } from "../../emulator/vmm/vtx/layout.ts";
import type { Monitor as VtxMonitor } from "../../emulator/vmm/vtx/monitor.ts";
import { Random } from "../oracle/random.ts";
import { type HostedParts, IsolationProbe, type TechniqueMemory } from "./isolation-probe.ts";
import { counterAddress, dispatchAddress, FRAGMENTS, GUEST_MEMORY, randomKernel } from "./random-kernel.ts";

const FRAGMENTS_EACH = Number(process.env.HYPERSCOPE_FRAGMENTS ?? 600);
const SEED = Number(process.env.HYPERSCOPE_SEED ?? 20061023);
/** Instructions after which a fragment that has not come to its end is left. */
const SLICE = 2000;
/** Slices in a row without a new fragment after which the kernel is given up. */
const STUCK = 3;

interface Technique {
	readonly name: string;
	readonly configuration: Pick<MachineConfiguration, "vmm" | "mmu">;
	/** What there is besides the guest; absent where the guest owns the host. */
	readonly memory?: (machine: VirtualMachine) => TechniqueMemory;
}

const monitorOf = <T>(machine: VirtualMachine): T => (machine as unknown as { monitor: T }).monitor;

/** The VMM of "bt" and "trap": its tables, and the pages that translated code uses through the VMM's %gs. */
function deprivileged(sharedAreas: readonly (readonly [start: number, end: number])[]) {
	return (machine: VirtualMachine): TechniqueMemory => {
		const { vmm } = monitorOf<DeprivilegedMonitor>(machine);
		const at = (offset: number, length: number) => ({ start: vmm.physicalBase + offset, length });
		const shared = new Set<number>();
		for (const [start, end] of sharedAreas)
			for (let offset = start; offset < end; offset += 4096) shared.add((vmm.physicalBase + offset) >>> 12);
		return {
			constant: [
				at(DeprivilegedArea.interruptDescriptorTable, 0x800),
				at(DeprivilegedArea.taskState, 104),
				at(DeprivilegedArea.entryPage, 4096),
				// The page table that maps the VMM lies behind its 4 MB.
				at(0x400000, 4096),
			],
			shared,
		};
	};
}

function vtx(machine: VirtualMachine): TechniqueMemory {
	const { control } = monitorOf<VtxMonitor>(machine);
	const at = (offset: number, end: number) => ({ start: control.at(offset), length: end - offset });
	return {
		constant: [
			at(VtxArea.vmxonRegion, VtxArea.vmcs),
			at(VtxArea.ioBitmapA, VtxArea.descriptorTables),
			at(VtxArea.interruptDescriptorTable, VtxArea.stack),
			at(VtxArea.instructions, VtxArea.end),
		],
		shared: new Set(),
	};
}

/** The processor pushes the guest's state there on each entry of the VMM. */
const VMM_STACK = [DeprivilegedArea.stack, DeprivilegedArea.stackEnd] as const;

const techniques: readonly Technique[] = [
	{ name: "none", configuration: { vmm: "none" } },
	{ name: "trap", configuration: { vmm: "trap" }, memory: deprivileged([VMM_STACK]) },
	{
		name: "bt",
		configuration: { vmm: "bt" },
		memory: deprivileged([
			VMM_STACK,
			[DeprivilegedArea.vcpuBlock, DeprivilegedArea.globalDescriptorTable],
			[DeprivilegedArea.returnTable, DeprivilegedArea.hashTable],
		]),
	},
	{ name: "hvm + shadow", configuration: { vmm: "hvm", mmu: "shadow" }, memory: vtx },
	{ name: "hvm + ept", configuration: { vmm: "hvm", mmu: "ept" }, memory: vtx },
];

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
	// Whatever the guest did, its machine can be looked at.
	for (const processor of machine.processors()) {
		processor.registers();
		const at = processor.linearInstructionPointer();
		processor.walk(at);
		processor.readMemory({ space: "lin", value: at }, 16);
	}
	machine.statistics();
	machine.events?.counts();
	return fragments;
}

for (const { name, configuration, memory } of techniques)
	test(`${FRAGMENTS_EACH} fragments of random code in ring 0 under ${name} reach nothing that is not the guest's`, (t) => {
		const random = new Random(SEED);
		const started = process.cpuUsage();
		let kernels = 0;
		const image = randomKernel(random);
		const machine = createMachine({ ...configuration, image, memory: GUEST_MEMORY });
		for (let done = 0; done < FRAGMENTS_EACH; kernels++) {
			try {
				image.bytes.set(randomKernel(random).bytes);
				machine.reset();
				const probe = memory && new IsolationProbe(machine as unknown as HostedParts, memory(machine));
				done += Math.max(1, live(machine, probe));
				probe?.checkAll();
			} catch (error) {
				t.diagnostic(`kernel ${kernels} of HYPERSCOPE_SEED=${SEED}`);
				throw error;
			}
		}
		const { user, system } = process.cpuUsage(started);
		t.diagnostic(`${kernels} kernels, ${Math.round((user + system) / 1000)} ms of processor time`);
	});
