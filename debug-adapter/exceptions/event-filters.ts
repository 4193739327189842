import type { DebugProtocol } from "@vscode/debugprotocol";
import { exitReasonNames } from "../../emulator/cpu/vmx/exit-reasons.ts";
import type { EventFilter, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import { exitReasons } from "./exit-reasons.ts";
import { hypercalls } from "./hypercalls.ts";
import { exceptionVectors, vectorTitle } from "./vectors.ts";

type Technique = VirtualMachine["technique"];

/** An exception filter of DAP with what the machine is told of it. */
export interface Filter extends DebugProtocol.ExceptionBreakpointsFilter {
	readonly machine: Omit<EventFilter, "id">;
	/** The techniques under which it happens; all when absent. */
	readonly techniques?: readonly Technique[];
	/** Offered only to a client that asks for one of these techniques, or for none: one of many of a kind. */
	readonly offeredFor?: readonly Technique[];
}

const events: readonly Filter[] = [
	{
		filter: "triple-fault",
		machine: { event: "triple-fault" },
		label: "Triple fault",
		description: "A fault while a double fault is delivered; the state is the one at the fault",
		default: true,
	},
	{
		filter: "true-page-fault",
		machine: { event: "true-page-fault" },
		label: "True page fault",
		description: "The guest's own tables forbid the access; the guest's handler runs",
	},
	{
		filter: "hidden-page-fault",
		machine: { event: "hidden-page-fault" },
		label: "Hidden page fault",
		description: "Only the shadow tables lacked the mapping; the guest does not see it",
		techniques: ["bt", "trap", "hvm"],
	},
	{
		filter: "translate",
		machine: { event: "translate" },
		label: "Translation of a TU",
		description: "The binary translator makes a fragment of a translation unit",
		techniques: ["bt"],
	},
	{
		filter: "callout",
		machine: { event: "callout" },
		label: "Callout",
		description: "Translated code calls the VMM, or an instruction of a kernel in ring 1 traps into it",
		techniques: ["bt", "trap"],
	},
	{
		filter: "vm-exit",
		machine: { event: "vm-exit" },
		label: "Any VM exit",
		description: "Before the hypervisor's handler; give $reason == $cpuid as the condition for one reason",
		techniques: ["hvm", "none"],
	},
	{
		filter: "vm-entry",
		machine: { event: "vm-entry" },
		label: "VM entry",
		description: "After the hypervisor's handler, before the guest's next instruction",
		techniques: ["hvm", "none"],
	},
	{
		filter: "ept-violation",
		machine: { event: "ept-violation" },
		label: "EPT violation",
		description: "The EPT tables forbid the access; $gpa is the guest-physical address",
		techniques: ["hvm", "none"],
	},
	{
		filter: "hypercall",
		machine: { event: "hypercall" },
		label: "Any hypercall",
		description: "Before it is carried out; give $hypercall == $mmu_update as the condition for one of them",
		techniques: ["pv"],
	},
	{
		filter: "misbehaviour",
		machine: { event: "misbehaviour" },
		label: "Sensitive instruction that runs wrongly",
		description: "It does not trap in ring 1 and gives another result than in ring 0",
		techniques: ["trap"],
	},
	{
		filter: "dma-fault",
		machine: { event: "dma-fault" },
		label: "DMA fault",
		description: "The IOMMU stopped a device; $address is the device address, $source its requester id",
	},
	{
		filter: "mode-switch",
		machine: { event: "mode-switch" },
		label: "Mode switch",
		description: "The processor enters or leaves protected, long or paged mode",
	},
	{
		filter: "interrupt",
		machine: { event: "interrupt" },
		label: "Any external interrupt",
		description: "An interrupt of a device is delivered; give $vector == 32 as the condition for one of them",
	},
	{
		filter: "exception",
		machine: { event: "exception" },
		label: "Any exception",
		description: "Vectors 0 to 31",
	},
];

const vectors = exceptionVectors.map(
	({ vector }): Filter => ({
		filter: `vector-${vector}`,
		machine: { event: "exception", vector },
		label: vectorTitle(vector),
		description: "When it is raised, before its handler runs",
	}),
);

const exits = [...exitReasons].map(
	([reason, name]): Filter => ({
		filter: `vm-exit-${reason}`,
		machine: { event: "vm-exit", exitReason: reason },
		label: `VM exit ${exitReasonNames.get(reason) ?? name} (${reason})`,
		description: "Before the hypervisor's handler",
		techniques: ["hvm", "none"],
		offeredFor: ["hvm"],
	}),
);

const calls = [...hypercalls.values()].map(
	(name): Filter => ({
		filter: `hypercall-${name}`,
		machine: { event: "hypercall", hypercall: name },
		label: `Hypercall ${name}`,
		description: "Before it is carried out",
		techniques: ["pv"],
		offeredFor: ["pv"],
	}),
);

/** All that setExceptionBreakpoints understands. */
export const filters: readonly Filter[] = [...events, ...vectors, ...exits, ...calls];

const condition = {
	supportsCondition: true,
	conditionDescription:
		"An expression over registers and memory, and $vector, $error (the error code), $address (the faulting address), $reason and $qualification (of a VM exit), $gpa, $hypercall and $arg0 to $arg5",
} as const;

/**
 * For `initialize`.
 * @param technique the one that the client is going to ask for: what cannot happen under it is left out; all when unknown
 */
export function exceptionBreakpointFilters(technique?: Technique): DebugProtocol.ExceptionBreakpointsFilter[] {
	const offered = ({ techniques, offeredFor }: Filter) =>
		technique === undefined || (offeredFor ?? techniques ?? [technique]).includes(technique);
	return filters.filter(offered).map((filter) => ({
		filter: filter.filter,
		label: filter.label,
		...(filter.description ? { description: filter.description } : {}),
		default: filter.default ?? false,
		...condition,
	}));
}

const numbersByName: ReadonlyMap<string, bigint> = new Map(
	[...exitReasons, ...hypercalls].map(([number, name]) => [name.toLowerCase(), BigInt(number)]),
);

/** The number that a name in a condition stands for: $cpuid is 10, $mmu_update is 1. */
export function eventNumbers(): ReadonlyMap<string, bigint> {
	return numbersByName;
}
