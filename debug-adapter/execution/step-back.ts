import type { RecordedMachine } from "../../emulator/machine/recorded-machine.ts";
import { isSamePosition, type Position } from "../../emulator/machine/recording.ts";
import type { Processor, Stop } from "../../emulator/machine/virtual-machine.ts";
import type { Motion } from "./motion.ts";
import { WayBack } from "./reverse-run.ts";
import { stackIdentity } from "./stack-identity.ts";
import type { LineMap } from "./step-motion.ts";

/** Host instructions before the present one that are looked at, one attempt after the other. */
const WINDOWS = [64, 4096, 65_536, 1_048_576];

/** A moment on the way to the present one. */
interface Moment {
	readonly at: Position;
	/** Linear address of the thread's next instruction. */
	readonly linear: bigint;
	readonly stackPointer: bigint;
	readonly context: string;
	readonly cpl: bigint;
}

type Line = NonNullable<ReturnType<LineMap["lineAt"]>>;

/**
 * One step back: to the instruction before, or to the beginning of the line before. Calls, and handlers that came and went, are
 * stepped over; at the beginning of a function it goes to its caller. It runs up to the present once more, instruction by
 * instruction, and chooses among the moments that it passed.
 */
export class StepBack implements Motion {
	readonly processor: number;
	readonly title = "Stepping back";
	readonly isDecided = true;
	private readonly start: Position;
	private readonly present: Moment;
	private window = -1;
	private from = 0;
	private moments: Moment[] = [];
	private isTracing = false;
	private way: WayBack | undefined;

	constructor(
		private readonly machine: RecordedMachine,
		private readonly thread: Processor,
		private readonly granularity: "instruction" | "line",
		private readonly lines: LineMap,
		/** Called when there is nothing before. */
		private readonly atBeginning: () => void,
	) {
		this.processor = thread.id;
		this.start = machine.position();
		this.present = this.moment(this.start);
	}

	/** A physical CPU under a VMM goes back by host instructions. */
	private get isHost(): boolean {
		return this.thread.kind === "pcpu" && this.machine.technique !== "none";
	}

	advance(_instructions: number, isExpired: () => boolean): Stop | undefined {
		for (;;) {
			if (this.way) return this.way.advance(isExpired) ? { reason: "step", processor: this.processor } : undefined;
			if (!this.isTracing) {
				if (this.start.instructions === 0 || (this.from === 0 && this.window >= 0)) return this.goToBeginning();
				this.beginTrace();
			}
			if (!this.trace(isExpired)) return undefined;
			this.isTracing = false;
			this.machine.arm();
			const target = this.choose();
			if (target) this.way = new WayBack(this.machine, target);
			if (isExpired()) return undefined;
		}
	}

	private goToBeginning(): Stop {
		this.machine.rewind(0);
		this.atBeginning();
		return { reason: "step", processor: this.processor };
	}

	private beginTrace(): void {
		this.window++;
		this.from = Math.max(0, this.start.instructions - WINDOWS[this.window]!);
		this.moments = [];
		this.isTracing = true;
		this.machine.disarm();
		this.machine.rewind(this.from);
	}

	/** True when the present is reached. */
	private trace(isExpired: () => boolean): boolean {
		const { machine, start } = this;
		while (machine.instructionCount() < this.from) {
			machine.run(Math.min(5_000_000, this.from - machine.instructionCount()));
			if (isExpired()) return false;
		}
		for (let count = 1; ; count++) {
			const at = machine.position();
			if (at.instructions > start.instructions || isSamePosition(at, start)) break;
			if (!this.isTranslated || at.linear !== this.moments.at(-1)?.at.linear) this.moments.push(this.moment(at));
			const stop = machine.advance();
			if (stop && stop.reason !== "breakpoint") break;
			// Another processor moved.
			if (machine.running !== undefined && machine.running !== this.thread.id) this.moments.pop();
			if (count % 256 === 0 && isExpired()) return false;
		}
		// The present one may have begun before the position that the machine was stopped at.
		if (this.isTranslated && this.moments.at(-1)?.at.linear === start.linear) this.moments.pop();
		return true;
	}

	/** Under a VMM one guest instruction may be several of the host's; the first one begins it. */
	private get isTranslated(): boolean {
		return !this.isHost && this.machine.technique !== "none";
	}

	private moment(at: Position): Moment {
		const { stackPointer, context } = stackIdentity(this.thread);
		const linear = this.machine.running === undefined ? at.linear : this.thread.linearInstructionPointer();
		return { at, linear, stackPointer, context, cpl: this.thread.register("cpl") ?? 0n };
	}

	/** Where the step ends; undefined when it lies before what was looked at. */
	private choose(): Position | undefined {
		const { moments } = this;
		const isWhole = this.from === 0 || this.window === WINDOWS.length - 1;
		if (this.granularity === "instruction" || this.isHost) {
			// Of the first moment it is not known that the instruction began there.
			if (moments.length > 1 || isWhole) return moments.at(-1)?.at;
			return undefined;
		}
		const found = this.lineBefore();
		if (found !== undefined && (found > 0 || isWhole)) return moments[found]!.at;
		return isWhole ? moments[0]?.at : undefined;
	}

	/** Index of the moment at which the line before begins; the present line's own beginning when the step starts in its middle. */
	private lineBefore(): number | undefined {
		for (let index = this.moments.length - 1; index >= 0; index--) {
			const moment = this.moments[index]!;
			const line = isOutside(moment, this.present) ? this.lines.lineAt(moment.linear) : undefined;
			if (line) return this.beginOfLine(index, moment, line);
		}
		return undefined;
	}

	/** The earliest index of an unbroken stay on a line that reaches up to `index`. */
	private beginOfLine(index: number, last: Moment, line: Line): number {
		let first = index;
		let lowest = last.stackPointer;
		for (let before = index - 1; before >= 0; before--) {
			const moment = this.moments[before]!;
			const isCallee = moment.context !== last.context || moment.stackPointer < lowest;
			if (isCallee && moment.cpl <= last.cpl) continue;
			const at = this.lines.lineAt(moment.linear);
			if (at?.path !== line.path || at.line !== line.line || moment.context !== last.context) break;
			first = before;
			if (moment.stackPointer < lowest) lowest = moment.stackPointer;
		}
		return first;
	}

	finish(): void {
		if (this.isTracing) this.machine.arm();
		this.way?.abandon();
	}
}

/** The moment belongs to the frame of the present one or to one that called, entered or was interrupted by it. */
function isOutside(moment: Moment, present: Moment): boolean {
	if (moment.context === present.context) return moment.stackPointer >= present.stackPointer;
	return moment.cpl > present.cpl;
}
