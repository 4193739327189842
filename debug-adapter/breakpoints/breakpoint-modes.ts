// Breakpoint modes (DAP): by which address a breakpoint holds. A linear one is an address of the program; a physical one is
// the memory behind it, whatever maps it. A person chooses per breakpoint, where the address comes from a line or a variable.
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Placement } from "./breakpoint.ts";
import type { MemoryRange } from "./data-breakpoints.ts";

export const codeModes = ["linear", "physical"] as const;
export const dataModes = ["linear", "physical", "dma"] as const;

const PAGE = 4096n;

export const breakpointModes: readonly DebugProtocol.BreakpointMode[] = [
	{
		mode: "linear",
		label: "Linear address",
		description: "The address as the program has it (the default)",
		appliesTo: ["source", "instruction", "data"],
	},
	{
		mode: "physical",
		label: "Guest-physical address",
		description: "The memory that the address is mapped to, through whatever mapping it is reached",
		appliesTo: ["source", "instruction", "data"],
	},
	{
		mode: "dma",
		label: "DMA",
		description: "The memory that the address is mapped to, reached by devices only",
		appliesTo: ["data"],
	},
];

/** The guest-physical address of a linear one; undefined where it is not mapped now. */
export function physicalAddress(address: Address, debuggee: Debuggee): Address | undefined {
	if (address.space !== "lin") return address;
	const { processor: owner } = address;
	const processor = owner === undefined ? debuggee.focusedProcessor() : debuggee.processor(owner);
	const value = processor.translate(address.value, "gpa");
	if (value === undefined) return undefined;
	const physical: Address = { space: "gpa", value, ...(owner === undefined ? {} : { processor: owner }) };
	// Before paging is on every linear address is its own physical one: of a kernel in the higher half nothing lies there yet.
	return processor.readMemory(physical, 1) ? physical : undefined;
}

/**
 * Places by guest-physical address what is placed by linear address. What is not mapped yet holds at its linear address
 * until a stop at which it is. A place that was found is kept while the machine lives: other tables do not move it.
 */
export function physicalPlacement<Scope extends unknown[]>(
	place: (...scope: Scope) => Placement,
	debuggee: Debuggee,
): (...scope: Scope) => Placement {
	let found: { readonly machine: object; readonly linear: string; readonly placement: Placement } | undefined;
	return (...scope) => {
		const placement = place(...scope);
		if (placement.addresses.length === 0) return placement;
		const { machine } = debuggee;
		const linear = placement.addresses.map(formatAddress).join();
		if (found?.machine === machine && found.linear === linear) return found.placement;
		const addresses = placement.addresses.map((address) => physicalAddress(address, debuggee));
		if (addresses.every((address) => address !== undefined)) {
			found = { machine, linear, placement: { ...placement, addresses } };
			return found.placement;
		}
		return {
			...placement,
			isProvisional: true,
			message: "Not mapped yet: it holds at its linear address until the machine stops with the address mapped.",
		};
	};
}

/** The range by guest-physical address, or why that is not possible. */
export function physicalRange(range: MemoryRange, debuggee: Debuggee): MemoryRange | string {
	const { address, length } = range;
	if (address.space !== "lin") return range;
	if (!debuggee.hasMachine) return "The machine is not there yet.";
	const first = physicalAddress(address, debuggee);
	if (!first) return `${formatAddress(address)} is not mapped now: it has no guest-physical address.`;
	const end = address.value + BigInt(length);
	for (let page = (address.value / PAGE + 1n) * PAGE; page < end; page += PAGE) {
		const next = physicalAddress({ ...address, value: page }, debuggee);
		if (next?.value !== first.value + (page - address.value))
			return `The ${length} bytes at ${formatAddress(address)} are not together in guest-physical memory: watch each page by itself.`;
	}
	return { ...range, address: first };
}
