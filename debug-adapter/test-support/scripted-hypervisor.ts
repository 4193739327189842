// What a hypervisor would show, made up: for views whose data a small test does not want to boot a guest for.
import type { DomainsView, IommuView, NestedWalk, VmxView } from "../../emulator/machine/hypervisor-views.ts";
import type { WalkStep } from "../../emulator/machine/virtual-machine.ts";

/** One VMCS at 0x5000 whose last exit was a CPUID at 0x100. */
export const scriptedVmx: VmxView = {
	enabled: true,
	regions: () => [
		{ address: 0x5000n, current: true },
		{ address: 0x6000n, current: false },
	],
	exitTarget: () => undefined,
	read: (address = 0x5000n) =>
		address !== 0x5000n && address !== 0x6000n
			? undefined
			: {
					address,
					launchState: address === 0x5000n ? "launched" : "clear",
					inGuest: false,
					lastExit: { reason: "CPUID", detail: [{ name: "instruction length", value: 2 }] },
					groups: [
						{
							name: "Guest-state area",
							fields: [
								{ name: "RIP", encoding: 0x681e, width: 64, value: 0x100n, bits: [], changed: true },
								{
									name: "CR0",
									encoding: 0x6800,
									width: 64,
									value: 0x21n,
									bits: [
										{ name: "PE", bit: 0, width: 1, value: 1n },
										{ name: "NE", bit: 5, width: 1, value: 1n },
									],
									changed: false,
								},
							],
						},
						{
							name: "VM-exit information fields",
							fields: [
								{
									name: "Exit reason",
									encoding: 0x4402,
									width: 32,
									value: 10n,
									bits: [{ name: "Basic reason", bit: 0, width: 16, value: 10n, meaning: "CPUID" }],
									meaning: "CPUID",
									changed: true,
								},
							],
						},
					],
				},
};

/** The 24 references of a walk over 4 × 4 levels (SDM Vol. 3C §28.3.2), all tables present. */
export function scriptedNestedWalk(linear: bigint): NestedWalk {
	const levels = ["PML4E", "PDPTE", "PDE", "PTE"];
	const references: NestedWalk["references"][number][] = [];
	const entry = (level: string): WalkStep => ({
		level,
		index: references.length,
		entryAddress: { space: "hpa", value: 0x10000n + BigInt(references.length) * 8n },
		entry: 0x20007n + BigInt(references.length) * 0x1000n,
		flags: ["P", "W"],
	});
	for (const row of [...levels, "page"]) {
		const guestPhysical = 0x1000n * BigInt(references.length);
		const add = (dimension: "guest" | "ept", step: WalkStep) =>
			references.push({ number: references.length + 1, dimension, row, guestPhysical, step });
		for (const level of levels) add("ept", entry(`EPT ${level}`));
		if (row !== "page") add("guest", entry(row));
	}
	return { linear, references, guestPhysical: 0x4321n, hostPhysical: 0x54321n };
}

export const scriptedDomains: DomainsView = {
	list: () => [
		{
			id: 0,
			name: "Domain-0",
			state: "running",
			pages: 4,
			maximumPages: 8,
			pageTypes: [
				{ type: "writable", pages: 3, pinned: 0 },
				{ type: "L1 page table", pages: 1, pinned: 1 },
			],
			eventChannels: [{ port: 1, kind: "virq", target: "VIRQ_TIMER", pending: true, masked: false }],
			grants: [{ reference: 8, domain: 1, frame: 0x12n, writable: true, mapped: 1 }],
			detail: [{ name: "<b>console</b>", value: "ring at page 3" }],
		},
	],
	pages: (_domain, from, limit, type) =>
		Array.from({ length: 4 }, (_, index) => ({
			page: BigInt(index),
			frame: BigInt(index + 16),
			type: index === 3 ? "L1 page table" : "writable",
			typeCount: index,
			referenceCount: index + 1,
			pinned: index === 3,
		}))
			.filter((page) => page.page >= from && (type === undefined || page.type === type))
			.slice(0, limit),
};

/** Device 00:05.0 in domain 2, and 00:06.0 without a context entry. */
export const scriptedIommu: IommuView = {
	name: "DMAR unit 0",
	enabled: true,
	rootTable: 0x9000n,
	translated: 12,
	blocked: 1,
	devices: () => [
		{ source: 0x28, name: "DMA engine", treatment: "translated", domain: 2, levels: 3, table: 0xa000n },
		{ source: 0x30, name: "ATA disk", treatment: "blocked: the context entry is not present" },
	],
	faults: () => [
		{
			instructionCount: 77,
			source: 0x30,
			address: 0xdead000n,
			access: "write",
			reason: 2,
			meaning: "The context entry is not present",
		},
	],
	walk: (source, address) => ({
		table: "iommu",
		linear: address,
		steps: [
			{
				level: "root entry",
				index: source >> 8,
				entryAddress: { space: "hpa", value: 0x9000n },
				entry: 0xa001n,
				flags: ["P"],
			},
		],
		result: {
			address: { space: "hpa", value: address + 0x100000n },
			pageSize: 4096,
			writable: true,
			user: false,
			executable: false,
		},
	}),
	translate: (_source, address) => ({ space: "hpa", value: address + 0x100000n }),
};
