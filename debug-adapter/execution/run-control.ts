import type { Stop } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import type { DataBreakpoints } from "../breakpoints/data-breakpoints.ts";
import type { Trigger, TriggerScope } from "../breakpoints/trigger.ts";
import type { Debuggee } from "../debuggee.ts";
import type { ExceptionFilters } from "../exceptions/exception-filters.ts";
import { RequestError, sentenceOf } from "../request-error.ts";
import type { Motion } from "./motion.ts";
import { MotionProgress } from "./motion-progress.ts";
import { type DescribeCode, endText, exitCodeOf, reportStop, type StopReport } from "./stop-report.ts";

/** How long the machine runs before messages are looked at, in milliseconds. */
const SLICE = 5;
const FIRST_BUDGET = 20_000;
const LARGEST_BUDGET = 50_000_000;

/** What a run asks of the rest of the session. */
export interface RunServices {
	readonly store: BreakpointStore;
	readonly filters: ExceptionFilters;
	readonly dataBreakpoints: DataBreakpoints;
	/** Evaluates the texts of breakpoints and filters on the processor of the stop. */
	triggerScope(stop: Stop): TriggerScope;
	readonly describe: DescribeCode;
	/** The guest-physical address of a linear one as a processor sees it. */
	physical(processor: number, linear: bigint): bigint | undefined;
	/** Called before the machine moves: frames and variables are out of date. */
	forget(): void;
	/** Called when it stands still again, before the client is told. */
	remember(): void;
	/** Called after the client was told that it stands still. */
	announce(): void;
	/** Passes on what the guest has sent. */
	flush(): void;
}

/**
 * Lets the machine run in slices between which messages are handled, decides which stops count, and tells the client.
 * The guest cannot tell how it was sliced: every slice ends between two instructions.
 */
export class RunControl {
	readonly progress: MotionProgress;
	private motion: Motion | undefined;
	private budget = FIRST_BUDGET;
	/** The last stop that was reported. */
	lastStop: Stop | undefined;

	constructor(
		private readonly debuggee: Debuggee,
		private readonly services: RunServices,
	) {
		this.progress = new MotionProgress(debuggee);
	}

	/** @throws {RequestError} when nothing can run any more. */
	assertCanRun(): void {
		void this.debuggee.stopped;
		if (this.lastStop?.reason === "triple-fault")
			throw new RequestError("The guest has triple-faulted and cannot go on: restart the session to run it again.");
	}

	/** Starts a motion; what it ends with is reported by events. Call `assertCanRun` before making it. */
	start(motion: Motion): void {
		this.services.forget();
		this.motion = motion;
		this.progress.begin(motion);
		this.debuggee.state = "running";
		this.sendState();
		this.debuggee.host.defer(() => this.slice(motion));
	}

	/** Stops a running machine; does nothing while it stands still. */
	pause(threadId: number): void {
		if (!this.motion) return;
		this.end({ reason: "pause", processor: threadId });
	}

	/** Stops what the client was told of as in progress. */
	cancelProgress(id: string): void {
		if (this.motion && this.progress.isOf(id)) this.pause(this.motion.processor);
	}

	/** Ends whatever runs, silently: the session ends or restarts. */
	abandon(): void {
		this.motion?.finish();
		this.motion = undefined;
		this.progress.end();
		this.lastStop = undefined;
	}

	/** Reports a machine that stands still without having been moved. */
	reportEntry(): void {
		this.lastStop = undefined;
		this.debuggee.state = "stopped";
		this.tell({
			threadId: 1,
			allThreadsStopped: true,
			reason: "entry",
			description: "Paused before the first instruction",
		});
	}

	private slice(motion: Motion): void {
		if (this.motion !== motion) return;
		const { host } = this.debuggee;
		const from = host.now();
		const isExpired = () => host.now() - from >= SLICE;
		let stop: Stop | undefined;
		try {
			stop = motion.advance(this.budget, isExpired);
		} catch (error) {
			this.services.flush();
			this.fail(sentenceOf(error));
			return;
		}
		const took = host.now() - from;
		this.services.flush();
		if (!stop && took < SLICE / 2) this.budget = Math.min(LARGEST_BUDGET, this.budget * 2);
		else if (took > SLICE * 2) this.budget = Math.max(1000, Math.floor(this.budget / 2));
		if (stop && (motion.isDecided || this.counts(stop))) this.end(stop);
		else {
			this.progress.tell();
			host.defer(() => this.slice(motion));
		}
	}

	/** The machine itself gave up: said to the person, and the state can be looked at. */
	private fail(sentence: string): void {
		const { processor } = this.motion!;
		this.debuggee.emit("output", { category: "stderr", output: `${sentence}\n` });
		this.end({ reason: "event", processor, ids: [], event: "exception", description: sentence });
	}

	/** Evaluates conditions, counts hits and prints log messages; false when the machine is to go on. */
	private counts(stop: Stop): boolean {
		const triggers = this.triggersOf(stop);
		if (triggers === undefined) return true;
		const scope = this.services.triggerScope(stop);
		let counts = false;
		for (const trigger of triggers) {
			const { stop: stays, output } = trigger.hit(scope);
			if (output !== undefined) this.debuggee.emit("output", { category: "console", output: `${output}\n` });
			if (stays) counts = true;
		}
		return counts;
	}

	/** Whether a stop is one that a person would see, going backwards. */
	matches(stop: Stop): boolean {
		const triggers = this.triggersOf(stop);
		if (triggers === undefined) return true;
		const scope = this.services.triggerScope(stop);
		return triggers.some((trigger) => trigger.matches(scope));
	}

	/** The triggers that decide about a stop; undefined when it counts in any case. */
	private triggersOf(stop: Stop): Trigger[] | undefined {
		switch (stop.reason) {
			case "breakpoint":
				return this.services.store.owners(stop.ids).map((breakpoint) => breakpoint.trigger);
			case "watchpoint": {
				const found = this.services.dataBreakpoints.find(stop.id);
				return found ? [found.trigger] : [];
			}
			case "event": {
				const triggers = this.services.filters.triggers(stop.ids);
				return triggers.length > 0 ? triggers : undefined;
			}
			default:
				return undefined;
		}
	}

	private end(stop: Stop): void {
		this.motion?.finish();
		this.motion = undefined;
		this.progress.end();
		this.lastStop = stop;
		this.debuggee.stopCount++;
		const exitCode = exitCodeOf(stop);
		if (exitCode !== undefined) {
			this.debuggee.state = "ended";
			this.sendState();
			const output = `${endText(stop, this.debuggee.machine.instructionCount())}\n`;
			this.debuggee.emit("output", { category: "console", output });
			this.debuggee.emit("exited", { exitCode });
			this.debuggee.emit("terminated");
			return;
		}
		this.debuggee.state = "stopped";
		if (stop.reason === "halted" || stop.reason === "triple-fault")
			this.debuggee.emit("output", { category: "important", output: `${stop.description}\n` });
		this.tell({ ...reportStop(stop, this.services.describe, this.services.physical), ...this.hitIds(stop) });
	}

	private tell(report: StopReport): void {
		if (report.threadId !== undefined) this.debuggee.focusedThread = report.threadId;
		this.services.remember();
		this.sendState();
		this.debuggee.emit("stopped", report);
		this.services.announce();
	}

	/** Which of the client's breakpoints were hit, and of which kind they are. */
	private hitIds(stop: Stop): Partial<StopReport> {
		if (stop.reason === "breakpoint") {
			const owners = this.services.store.owners(stop.ids);
			const kind = owners[0]?.kind;
			return {
				hitBreakpointIds: owners.map((breakpoint) => breakpoint.id),
				...(kind === "function" ? { reason: "function breakpoint" } : {}),
				...(kind === "instruction" ? { reason: "instruction breakpoint" } : {}),
			};
		}
		if (stop.reason === "watchpoint") {
			const found = this.services.dataBreakpoints.find(stop.id);
			return found ? { hitBreakpointIds: [found.id] } : {};
		}
		return {};
	}

	sendState(): void {
		const { state, machine } = this.debuggee;
		this.debuggee.emit("hyperscope/state", { state, instructionCount: machine.instructionCount() });
	}
}
