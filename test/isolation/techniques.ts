// The techniques that random kernels run under, and what there is in host memory besides the guest.

import { Vmcs } from "../../emulator/cpu/vmx/vmcs-fields.ts";
import type { MachineConfiguration, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { Area as DeprivilegedArea, VMM_BASE, VMM_BYTES } from "../../emulator/vmm/layout.ts";
import type { Monitor as DeprivilegedMonitor } from "../../emulator/vmm/monitor.ts";
import { Area as VtxArea } from "../../emulator/vmm/vtx/layout.ts";
import type { Monitor as VtxMonitor } from "../../emulator/vmm/vtx/monitor.ts";
import { ShadowMmu } from "../../emulator/vmm/vtx/shadow-mmu.ts";
import { extendedPageTables, pageTables } from "./hardware-tables.ts";
import type { TechniqueMemory } from "./isolation-probe.ts";

export interface Technique {
	readonly name: string;
	readonly configuration: Pick<MachineConfiguration, "vmm" | "mmu" | "io">;
	/** What there is besides the guest; absent where the guest owns the host. */
	readonly memory?: (machine: VirtualMachine) => TechniqueMemory;
}

const USER = 1 << 2;

const monitorOf = <T>(machine: VirtualMachine): T => (machine as unknown as { monitor: T }).monitor;

/** The VMM of "bt" and "trap": its tables, and the pages that translated code uses through the VMM's %gs. */
function deprivileged(sharedAreas: readonly (readonly [start: number, end: number])[]) {
	return (machine: VirtualMachine): TechniqueMemory => {
		const { vmm, shadow } = monitorOf<DeprivilegedMonitor>(machine);
		const at = (offset: number, length: number) => ({ start: vmm.physicalBase + offset, length });
		const area = at(0, VMM_BYTES);
		const shared = new Set<number>();
		for (const [start, end] of sharedAreas)
			for (let offset = start; offset < end; offset += 4096) shared.add((vmm.physicalBase + offset) >>> 12);
		return {
			area,
			constant: [
				at(DeprivilegedArea.interruptDescriptorTable, 0x800),
				at(DeprivilegedArea.taskState, 104),
				at(DeprivilegedArea.entryPage, 4096),
				// The page tables that map the VMM lie behind its 4 MB.
				at(VMM_BYTES, 2 * 4096),
			],
			shared,
			tables: () => ({ root: shadow.rootFrame * 4096, format: pageTables(false) }),
			// Supervisor's pages at the end of linear space, where truncated segments do not reach.
			isOwn: ({ page, frame, flags }) =>
				page >= VMM_BASE / 4096 && (flags & USER) === 0 && frame - (page - VMM_BASE / 4096) === area.start / 4096,
			state: () => [],
		};
	};
}

/** Fields of the VMCS that the VMM writes once. */
const FIXED = (Object.keys(Vmcs) as (keyof typeof Vmcs)[]).filter(
	(name) =>
		/^host[A-Z]/.test(name) ||
		["ioBitmapA", "ioBitmapB", "msrBitmap", "eptPointer", "pinControls", "secondaryControls"].includes(name),
);

function vtx(machine: VirtualMachine): TechniqueMemory {
	const { control, vmcs, mmu } = monitorOf<VtxMonitor>(machine);
	const at = (offset: number, end: number) => ({ start: control.at(offset), length: end - offset });
	return {
		area: at(0, VtxArea.end),
		constant: [
			at(VtxArea.vmxonRegion, VtxArea.vmcs),
			at(VtxArea.ioBitmapA, VtxArea.descriptorTables),
			at(VtxArea.interruptDescriptorTable, VtxArea.stack),
			at(VtxArea.instructions, VtxArea.end),
		],
		shared: new Set(),
		tables: () =>
			mmu instanceof ShadowMmu
				? { root: mmu.shadow.rootFrame * 4096, format: pageTables(mmu.shadow.fourLevel) }
				: { root: Math.floor(Number(vmcs.read(Vmcs.eptPointer)) / 4096) * 4096, format: extendedPageTables },
		isOwn: () => false,
		state: () => FIXED.map((name) => `${name} 0x${vmcs.read(Vmcs[name]).toString(16)}`),
	};
}

/** The processor pushes the guest's state there on each entry of the VMM. */
const VMM_STACK = [DeprivilegedArea.stack, DeprivilegedArea.stackEnd] as const;
const trap = deprivileged([VMM_STACK]);
const bt = deprivileged([
	VMM_STACK,
	[DeprivilegedArea.vcpuBlock, DeprivilegedArea.globalDescriptorTable],
	[DeprivilegedArea.returnTable, DeprivilegedArea.hashTable],
]);

export const techniques: readonly Technique[] = [
	{ name: "none", configuration: { vmm: "none" } },
	{ name: "trap", configuration: { vmm: "trap" }, memory: trap },
	{ name: "bt", configuration: { vmm: "bt" }, memory: bt },
	{ name: "hvm + shadow", configuration: { vmm: "hvm", mmu: "shadow" }, memory: vtx },
	{ name: "hvm + ept", configuration: { vmm: "hvm", mmu: "ept" }, memory: vtx },
	{ name: "bt + passthrough", configuration: { vmm: "bt", io: "passthrough" }, memory: bt },
	{ name: "hvm + ept + passthrough", configuration: { vmm: "hvm", mmu: "ept", io: "passthrough" }, memory: vtx },
];
