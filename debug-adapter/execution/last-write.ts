import type { RecordedMachine } from "../../emulator/machine/recorded-machine.ts";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import type { DataBreakpoints, MemoryRange } from "../breakpoints/data-breakpoints.ts";
import type { Motion } from "./motion.ts";
import { ReverseRun } from "./reverse-run.ts";

/** Back to the last write of some memory before this place, whatever breakpoints there are. Asked again, to the one before it. */
export class LastWrite implements Motion {
	readonly title = "Going back to the last write";
	readonly isDecided = true;
	private readonly way: ReverseRun;

	/** @param atBeginning called when nothing has written the memory since power-on */
	constructor(
		machine: RecordedMachine,
		readonly processor: number,
		private readonly dataBreakpoints: DataBreakpoints,
		range: MemoryRange,
		atBeginning: () => void,
	) {
		const id = dataBreakpoints.watchFor(range);
		this.way = new ReverseRun(
			machine,
			processor,
			(stop) => stop.reason === "watchpoint" && stop.id === id && stop.access === "write",
			atBeginning,
		);
	}

	advance(instructions: number, isExpired: () => boolean): Stop | undefined {
		return this.way.advance(instructions, isExpired);
	}

	finish(): void {
		this.way.finish();
		this.dataBreakpoints.watchFor(undefined);
	}
}
