// The cost model of "compare techniques": cycles for what takes a guest out of its own code. Data, each figure with where it comes from;
// docs/cost-model.md says what it is good for. The figures are those of one Pentium 4 672 (3.8 GHz) where the paper is [AA06] and of one
// Xeon (2.4 GHz) where it is [Xen03]; the model is for the order of techniques and rough ratios, never for the time that a program takes.
//
// [AA06] Adams, Agesen: A Comparison of Software and Hardware Techniques for x86 Virtualization. ASPLOS 2006.
// [Evo10] Agesen, Garthwaite, Sheldon, Subrahmanyam: The Evolution of an x86 Virtual Machine Monitor. ACM OSR 44(4), 2010.
// [Xen03] Barham et al.: Xen and the Art of Virtualization. SOSP 2003.

import type { ComparedCounts, Technique } from "../protocol.ts";

/** What is charged for: the counts of a comparison, and translation units. */
export type Charged = Exclude<keyof ComparedCounts, "cost">;

export interface Charge {
	readonly of: Charged;
	/** Only events of these reasons; of all that no earlier charge of the list names when left out. */
	readonly reasons?: readonly string[];
	readonly cycles: number;
	/** Where the figure is stated, or the sum that it was derived by. */
	readonly source: string;
}

export type CostModel = readonly Charge[];

const INSTRUCTION: Charge = {
	of: "instructions",
	cycles: 1,
	source: "one cycle each: the model compares what virtualization adds",
};

/** What the processor itself takes for a fault and the return from its handler. */
const HARDWARE = { pageFault: 1093, exception: 889 } as const;
const NATIVE_FAULTS: readonly Charge[] = [
	{ of: "trueFaults", cycles: HARDWARE.pageFault, source: "[AA06] §6.3: pgfault, native 1093" },
	{ of: "exceptions", cycles: HARDWARE.exception, source: "[AA06] §6.3: divzero, native 889" },
];

const HIDDEN_FAULT_BY_SOFTWARE: Charge = {
	of: "hiddenFaults",
	cycles: 1000,
	source: "[Evo10] §3.2: several hundred cycles for the fault and a few hundred for the walk",
};

/** Page faults, exceptions and system calls that pass through a VMM in ring 0 to a guest kernel in ring 1. */
const THROUGH_THE_VMM: readonly Charge[] = [
	{ of: "trueFaults", cycles: 3927, source: "[AA06] §6.3: pgfault, software VMM 3927" },
	{ of: "exceptions", cycles: 3223, source: "[AA06] §6.3: divzero, software VMM 3223" },
	{ of: "switches", cycles: 2000, source: "[AA06] §6.3: syscall, software VMM about 2000 over native" },
	HIDDEN_FAULT_BY_SOFTWARE,
	{ of: "traceWrites", cycles: 2030, source: "[AA06] §3.3: 2030 to trap and emulate one instruction (RDTSC)" },
];

/** Of one exit: entry 2409, exit 1931 (their sum is the null round trip, 4340), and ten reads of the VMCS at 178. */
const EXIT = 2409 + 1931 + 10 * 178;
const PORT = 3209;
const SOFTWARE_MMU = 11242 - HARDWARE.pageFault - EXIT;

const EXITS: readonly Charge[] = [
	{
		of: "exits",
		reasons: ["I/O instruction"],
		cycles: 15826 - PORT,
		source:
			"[AA06] §6.3: in, hardware VMM 15826 less native 3209, of which the device itself is a part under every technique",
	},
	{
		of: "exits",
		cycles: EXIT,
		source: "[AA06] table 1 and §7.1: VM entry 2409, VM exit 1931, ten VMREADs of 178",
	},
];

const XEN_CYCLES = 2400;
const XEN_FAULT = Math.round((1.4 - 1.06) * XEN_CYCLES);
const XEN_HYPERCALL = Math.round((2.73 - 1.42) * XEN_CYCLES) - XEN_FAULT;

const models = {
	none: [INSTRUCTION, ...NATIVE_FAULTS],
	trap: [
		INSTRUCTION,
		...THROUGH_THE_VMM,
		{ of: "callouts", cycles: 2030, source: "[AA06] §3.3: 2030 to trap and emulate one instruction (RDTSC)" },
	],
	bt: [
		INSTRUCTION,
		...THROUGH_THE_VMM,
		{
			of: "callouts",
			reasons: ["IN", "OUT"],
			cycles: Math.round(PORT / 15),
			source: "[AA06] §6.3: in, software VMM fifteen times faster than native 3209",
		},
		{
			of: "callouts",
			reasons: ["MOV"],
			cycles: 391,
			source: "[AA06] §6.3: ptemod, software VMM 391 after adaptation",
		},
		{ of: "callouts", cycles: 1254, source: "[AA06] §3.3: 1254 to call out and emulate one instruction (RDTSC)" },
		{ of: "translations", cycles: 11400, source: "[Evo10] §3.1: 3 µs a translation unit, at 3.8 GHz" },
	],
	hvmShadow: [
		INSTRUCTION,
		...EXITS,
		{
			of: "trueFaults",
			cycles: 11242 - EXIT,
			source: `[AA06] §6.3: pgfault, hardware VMM 11242 less an exit of ${EXIT}`,
		},
		{ of: "exceptions", cycles: 1014, source: "[AA06] §6.3: divzero, hardware VMM 1014" },
		{
			of: "hiddenFaults",
			cycles: SOFTWARE_MMU,
			source: `[AA06] §6.3: pgfault, hardware VMM 11242 less native 1093 less an exit of ${EXIT}: the work of the software MMU`,
		},
		{
			of: "traceWrites",
			cycles: 12733 - EXIT,
			source: `[AA06] §6.3: ptemod, hardware VMM 12733 less an exit of ${EXIT}`,
		},
	],
	hvmEpt: [INSTRUCTION, ...EXITS, ...NATIVE_FAULTS],
	pv: [
		INSTRUCTION,
		{
			of: "trueFaults",
			cycles: HARDWARE.pageFault + XEN_FAULT,
			source: `[AA06] §6.3: pgfault, native 1093; [Xen03] table 5: prot fault 1.40 less 1.06 µs, at 2.4 GHz ${XEN_FAULT}`,
		},
		{
			of: "exceptions",
			cycles: HARDWARE.exception + XEN_FAULT,
			source: `[AA06] §6.3: divzero, native 889; [Xen03] table 5: prot fault 1.40 less 1.06 µs, at 2.4 GHz ${XEN_FAULT}`,
		},
		{ of: "switches", cycles: 24, source: "[Xen03] table 3: null call 0.46 less 0.45 µs, at 2.4 GHz" },
		{
			of: "hypercalls",
			cycles: XEN_HYPERCALL,
			source: `[Xen03] table 5: page fault 2.73 less 1.42 µs, at 2.4 GHz, less the ${XEN_FAULT} of the fault: one update of a page table`,
		},
	],
} satisfies Record<string, CostModel>;

/** The model of a technique. The figures of an exit were measured before there was EPT, and are kept for it. */
export function costModel(vmm: Technique, mmu?: "shadow" | "ept"): CostModel {
	if (vmm !== "hvm") return models[vmm];
	return mmu === "ept" ? models.hvmEpt : models.hvmShadow;
}

/** How often each was counted, in all and by reason. */
export interface Tally {
	readonly counts: Readonly<Record<Charged, number>>;
	/** Of what is counted by reason. */
	readonly byReason: Readonly<Partial<Record<Charged, ReadonlyMap<string, number>>>>;
}

/** Cycles of a tally under a model. */
export function costOf(model: CostModel, { counts, byReason }: Tally): number {
	let cost = 0;
	const left = { ...counts };
	for (const charge of model) {
		const count =
			charge.reasons === undefined
				? left[charge.of]
				: charge.reasons.reduce((sum, reason) => sum + (byReason[charge.of]?.get(reason) ?? 0), 0);
		left[charge.of] -= count;
		cost += count * charge.cycles;
	}
	return cost;
}

/** The model in words, a line for each charge. */
export function describeModel(name: string, model: CostModel): string[] {
	return model.map(({ of, reasons, cycles, source }) => {
		const what = reasons ? `${chargedNames[of]} (${reasons.join(", ")})` : chargedNames[of];
		return `${name}: ${what}: ${cycles}. ${source}.`;
	});
}

export const chargedNames: Readonly<Record<Charged, string>> = {
	instructions: "instructions",
	exits: "VM exits",
	callouts: "callouts",
	hypercalls: "hypercalls",
	hiddenFaults: "hidden faults",
	trueFaults: "true faults",
	exceptions: "other exceptions",
	traceWrites: "traced writes",
	switches: "switches from user code",
	translations: "translations",
};
