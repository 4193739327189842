import type { RecordedMachine } from "../../emulator/machine/recorded-machine.ts";
import { isSamePosition, type Position } from "../../emulator/machine/recording.ts";
import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import type { Motion } from "./motion.ts";

/** Instructions between two looks at the messages while the machine goes where nothing can stop it. */
const PIECE = 5_000_000;

/** Goes to an earlier position with nothing stopping it on the way, in pieces. */
export class WayBack {
	private begun = false;

	constructor(
		private readonly machine: RecordedMachine,
		private readonly to: Position,
	) {}

	/** True when it is there. @throws {MachineError} when the run does not repeat itself. */
	advance(isExpired: () => boolean): boolean {
		const { machine, to } = this;
		if (!this.begun) {
			this.begun = true;
			machine.disarm();
			machine.rewind(to.instructions);
		}
		while (to.instructions - machine.instructionCount() > PIECE) {
			machine.run(PIECE);
			if (isExpired()) return false;
		}
		machine.runTo(to);
		machine.arm();
		return true;
	}

	/** It is not gone on with. */
	abandon(): void {
		this.machine.arm();
	}
}

/**
 * Back to the last place before this one where a breakpoint, watchpoint or event would have stopped the machine. It runs forward
 * from one origin after the other, the latest first, and remembers the last stop on each stretch.
 */
export class ReverseRun implements Motion {
	readonly title = "Going back to the stop before";
	readonly isDecided = true;
	private readonly start: Position;
	private begun = false;
	private stretch: { readonly from: number; readonly to: number } | undefined;
	private found: { readonly at: Position; readonly stop: Stop } | undefined;
	private way: WayBack | undefined;

	/** @param counts whether a stop is one that the person asked for: conditions are evaluated, log messages do not count */
	constructor(
		private readonly machine: RecordedMachine,
		readonly processor: number,
		private readonly counts: (stop: Stop) => boolean,
		/** Called when nothing was found and the machine stands at the beginning. */
		private readonly atBeginning: () => void,
	) {
		this.start = machine.position();
	}

	/** The stretch of the run that ends at a count. */
	private enter(to: number): void {
		const from = this.machine
			.origins()
			.filter((origin) => origin < to)
			.at(-1);
		this.stretch = from === undefined ? undefined : { from, to };
		if (this.stretch) this.machine.rewind(from!);
	}

	advance(instructions: number, isExpired: () => boolean): Stop | undefined {
		const { machine } = this;
		if (!this.begun) {
			this.begun = true;
			this.enter(this.start.instructions);
		}
		while (this.stretch && !this.way) {
			const left = this.stretch.to - machine.instructionCount();
			const stop = left > 0 ? machine.run(Math.min(left, instructions)) : undefined;
			if (stop) this.see(stop);
			if (machine.instructionCount() >= this.stretch.to || isEnd(stop)) this.finishStretch();
			if (isExpired()) return undefined;
		}
		if (!this.way) {
			machine.rewind(0);
			this.atBeginning();
			return { reason: "pause", processor: this.processor };
		}
		return this.way.advance(isExpired) ? this.found!.stop : undefined;
	}

	private see(stop: Stop): void {
		const at = this.machine.position();
		const isBefore = at.instructions <= this.start.instructions && !isSamePosition(at, this.start);
		if (isBefore && !isEnd(stop) && this.counts(stop)) this.found = { at, stop };
	}

	private finishStretch(): void {
		if (this.found) this.way = new WayBack(this.machine, this.found.at);
		else this.enter(this.stretch!.from);
	}

	finish(): void {
		this.way?.abandon();
	}
}

/** Nothing runs behind it. */
function isEnd(stop: Stop | undefined): boolean {
	return stop !== undefined && ["triple-fault", "halted", "poweroff", "debug-exit"].includes(stop.reason);
}
