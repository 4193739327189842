// What a machine has counted so far, and the difference of two such moments.

import type { VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { VmEventKind } from "../../emulator/machine/vm-events.ts";
import type { Charged, Tally } from "./cost-model.ts";

/** The counts that are kept by the timeline. */
const KINDS: Readonly<Partial<Record<VmEventKind, Charged>>> = {
	exit: "exits",
	callout: "callouts",
	hypercall: "hypercalls",
	"hidden-fault": "hiddenFaults",
	"true-fault": "trueFaults",
	exception: "exceptions",
	translation: "translations",
};

const NOTHING: Readonly<Record<Charged, number>> = {
	instructions: 0,
	exits: 0,
	callouts: 0,
	hypercalls: 0,
	hiddenFaults: 0,
	trueFaults: 0,
	exceptions: 0,
	traceWrites: 0,
	switches: 0,
	translations: 0,
};

/** A part of the statistics that a technique may not have. */
interface Statistics {
	readonly bt?: { readonly directExecution?: number };
	readonly traps?: { readonly directExecution?: number };
	readonly mmu?: { readonly traceWrites?: number };
}

export function takeTally(machine: VirtualMachine): Tally {
	const counts = { ...NOTHING, instructions: machine.instructionCount() };
	const byReason: Partial<Record<Charged, Map<string, number>>> = {};
	let hiddenInUserCode = 0;
	for (const { kind, reason, count } of machine.events?.counts() ?? []) {
		const counted = KINDS[kind];
		if (!counted) continue;
		counts[counted] += count;
		byReason[counted] ??= new Map();
		byReason[counted].set(reason, count);
		if (kind === "hidden-fault" && reason === "user") hiddenInUserCode = count;
	}
	const statistics = machine.statistics() as Statistics;
	counts.traceWrites = statistics.mmu?.traceWrites ?? 0;
	// After a hidden fault user code goes on where it was; all else goes to the guest's kernel.
	const entries = (statistics.bt ?? statistics.traps)?.directExecution ?? 0;
	counts.switches = Math.max(0, entries - hiddenInUserCode);
	return { counts, byReason };
}

export const emptyTally: Tally = { counts: NOTHING, byReason: {} };

function combine(left: Tally, right: Tally, sign: 1 | -1): Tally {
	const counts = { ...NOTHING };
	const byReason: Partial<Record<Charged, Map<string, number>>> = {};
	for (const key of Object.keys(NOTHING) as Charged[]) {
		counts[key] = left.counts[key] + sign * right.counts[key];
		const [a, b] = [left.byReason[key], right.byReason[key]];
		if (!a && !b) continue;
		byReason[key] = new Map(
			[...new Set([...(a?.keys() ?? []), ...(b?.keys() ?? [])])].map((reason) => [
				reason,
				(a?.get(reason) ?? 0) + sign * (b?.get(reason) ?? 0),
			]),
		);
	}
	return { counts, byReason };
}

/** What happened between two moments. */
export function difference(later: Tally, earlier: Tally): Tally {
	return combine(later, earlier, -1);
}

export function sum(left: Tally, right: Tally): Tally {
	return combine(left, right, 1);
}
