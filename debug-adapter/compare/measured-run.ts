// One run of a guest under one technique, with what happened in each operation that it marked.

import type { VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { Tally } from "./cost-model.ts";
import { type Markers, readOperation } from "./operations.ts";
import { difference, emptyTally, sum, takeTally } from "./tally.ts";

export interface MeasuredOperation {
	readonly repetitions: number;
	readonly tally: Tally;
}

export interface MeasuredRun {
	/** Why it ended, as `--stats` has it. */
	readonly stop: string;
	readonly whole: Tally;
	/** In the order of their first beginning. */
	readonly operations: ReadonlyMap<string, MeasuredOperation>;
	/** The first MiB of what it said on the serial line, a character a byte. */
	readonly output: string;
}

const SLICE = 4_000_000;
const LONGEST_OUTPUT = 1 << 20;
const MOST_OPERATIONS = 256;
const BEGIN_ID = 1;
const END_ID = 2;

/** Runs a machine that was just switched on to its end. @param breathe lets others have their turn; rejects to end the run */
export async function measure(
	machine: VirtualMachine,
	markers: Markers | undefined,
	maxInstructions: number,
	breathe: () => Promise<void>,
): Promise<MeasuredRun> {
	const operations = new Map<string, MeasuredOperation>();
	let output = "";
	let open: { name: string; repetitions: number; from: Tally } | undefined;
	machine.onSerialOutput((bytes) => {
		if (output.length < LONGEST_OUTPUT) output += String.fromCharCode(...bytes);
	});
	if (markers)
		machine.setExecutionBreakpoints([
			{ id: BEGIN_ID, address: { space: "lin", value: markers.begin } },
			{ id: END_ID, address: { space: "lin", value: markers.end } },
		]);

	const begin = () => {
		const processor = machine.processors()[0]!;
		const { name, repetitions } = readOperation(processor);
		open = { name, repetitions, from: takeTally(machine) };
	};
	const end = () => {
		if (!open) return;
		const { name, repetitions, from } = open;
		open = undefined;
		const before = operations.get(name);
		if (!before && operations.size >= MOST_OPERATIONS) return;
		const tally = difference(takeTally(machine), from);
		operations.set(name, {
			repetitions: repetitions + (before?.repetitions ?? 0),
			tally: sum(tally, before?.tally ?? emptyTally),
		});
	};

	let stop: string | undefined;
	while (stop === undefined) {
		const left = maxInstructions - machine.instructionCount();
		if (left <= 0) stop = "budget";
		else {
			const stopped = machine.run(Math.min(left, SLICE));
			if (stopped?.reason === "breakpoint") {
				if (stopped.ids.includes(BEGIN_ID)) begin();
				if (stopped.ids.includes(END_ID)) end();
			} else if (stopped) stop = stopped.reason;
			else await breathe();
		}
	}
	return { stop, whole: takeTally(machine), operations, output };
}
