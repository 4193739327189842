import type { Processor, Stop } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import type { DataBreakpoints } from "../breakpoints/data-breakpoints.ts";
import type { Debuggee } from "../debuggee.ts";
import type { Program } from "../program/program.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import type { RequestContext, RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { beginningOf, FrameEntry } from "./frame-entry.ts";
import { LastWrite } from "./last-write.ts";
import { FreeMotion, type Motion } from "./motion.ts";
import { ReverseRun } from "./reverse-run.ts";
import type { RunControl } from "./run-control.ts";
import { stackIdentity, stackPointerOf } from "./stack-identity.ts";
import { StepBack } from "./step-back.ts";
import type { StepInTargets } from "./step-in-targets.ts";
import { StepMotion } from "./step-motion.ts";
import { StepOutMotion } from "./step-out-motion.ts";

/** A callee that pops its arguments returns this far above the canonical frame address at most. */
const MOST_POPPED = 4096n;

export class StepRequests {
	/** Set by `hyperscope/setStepInterrupts`. */
	takeInterrupts = false;

	constructor(
		private readonly debuggee: Debuggee,
		private readonly run: RunControl,
		private readonly store: BreakpointStore,
		private readonly program: Program,
		private readonly frames: FrameStore,
		private readonly dataBreakpoints: DataBreakpoints,
		private readonly stepInTargets: StepInTargets,
	) {}

	private start(context: RequestContext, make: () => Motion): void {
		this.run.assertCanRun();
		const motion = make();
		// The answer first, then what happens: a client takes an earlier `stopped` for that of the step before.
		context.afterResponse(() => this.run.start(motion));
	}

	private startBack(context: RequestContext, make: () => Motion): void {
		const motion = make();
		context.afterResponse(() => this.run.start(motion));
	}

	private readonly sayBeginning = () =>
		this.debuggee.emit("output", {
			category: "console",
			output: "The beginning of the recorded run: nothing was executed before.\n",
		});

	private step(args: RequestArguments, context: RequestContext, kind: "in" | "over"): void {
		const threadId = args.integer("threadId");
		args.optionalBoolean("singleThread");
		const granularity = args.optionalWord("granularity", ["statement", "line", "instruction"]) ?? "statement";
		const targetId = kind === "in" ? args.optionalInteger("targetId") : undefined;
		void this.debuggee.stopped;
		const processor = this.debuggee.processor(threadId);
		const into = targetId === undefined ? undefined : this.stepInTargets.callOf(targetId);
		// Below the guest there are no source lines: a physical CPU is stepped by host instructions.
		const isHost = processor.kind === "pcpu" && this.debuggee.machine.technique !== "none";
		this.start(
			context,
			() =>
				new StepMotion({
					machine: this.debuggee.machine,
					store: this.store,
					processor,
					kind,
					granularity: granularity === "instruction" || isHost ? "instruction" : "line",
					takeInterrupts: this.takeInterrupts,
					lines: this.program,
					into,
				}),
		);
	}

	private stepOut(processor: Processor): Motion {
		const walker = this.frames.walker(processor);
		const caller = walker.caller();
		const own = walker.at(0);
		if (!caller || !own)
			throw new RequestError("The caller of this frame is not known: there is nothing to step out to.");
		const { activation, by } = caller;
		const depth =
			(by === "interrupt" ? activation.registers.get(activation.model.stackPointer) : own.activation.cfa) ?? 0n;
		const { context } = stackIdentity(processor);
		const isThere = () => {
			const now = stackPointerOf(processor);
			// An interrupt returns to its own depth, in a ring of its own; a call to its caller's, on the same stack.
			if (by === "interrupt") return now === depth;
			return stackIdentity(processor).context === context && now >= depth && now < depth + MOST_POPPED;
		};
		return new StepOutMotion(this.debuggee.machine, this.store, processor.id, activation.pc, isThere);
	}

	readonly requests: RequestHandlers = {
		continue: (args, context) => {
			const threadId = args.integer("threadId");
			args.optionalBoolean("singleThread");
			void this.debuggee.stopped;
			const processor = this.debuggee.processor(threadId);
			this.start(context, () => new FreeMotion(this.debuggee.machine, processor.id));
			return { allThreadsContinued: true };
		},
		next: (args, context) => this.step(args, context, "over"),
		stepIn: (args, context) => this.step(args, context, "in"),
		stepInTargets: (args) => ({ targets: this.stepInTargets.targets(args.integer("frameId")) }),
		restartFrame: (args, context) => {
			const frame = this.frames.get(args.integer("frameId"));
			const { history } = this.debuggee;
			const beginning = beginningOf(frame, this.debuggee, this.frames.walker(frame.processor));
			if (!beginning)
				throw new RequestError("The beginning of this frame is not known: choose one of a function that was called.");
			this.startBack(context, () => new FrameEntry(history, this.store, beginning, this.sayBeginning));
		},
		stepOut: (args, context) => {
			const threadId = args.integer("threadId");
			args.optionalBoolean("singleThread");
			args.optionalWord("granularity", ["statement", "line", "instruction"]);
			void this.debuggee.stopped;
			const processor = this.debuggee.processor(threadId);
			this.start(context, () => this.stepOut(processor));
		},
		stepBack: (args, context) => {
			const threadId = args.integer("threadId");
			args.optionalBoolean("singleThread");
			const granularity = args.optionalWord("granularity", ["statement", "line", "instruction"]) ?? "statement";
			const { history } = this.debuggee;
			const processor = this.debuggee.processor(threadId);
			const unit = granularity === "instruction" ? "instruction" : "line";
			this.startBack(context, () => new StepBack(history, processor, unit, this.program, this.sayBeginning));
		},
		reverseContinue: (args, context) => {
			const threadId = args.integer("threadId");
			args.optionalBoolean("singleThread");
			const { history } = this.debuggee;
			const processor = this.debuggee.processor(threadId);
			const counts = (stop: Stop) => this.run.matches(stop);
			this.startBack(context, () => new ReverseRun(history, processor.id, counts, this.sayBeginning));
		},
		"hyperscope/lastWrite": (args, context) => {
			const threadId = args.integer("threadId");
			const text = args.string("expression");
			const bytes = args.optionalInteger("bytes", 1, 4096);
			const frameId = args.optionalInteger("frameId");
			const { history } = this.debuggee;
			const processor = this.debuggee.processor(threadId);
			const range = this.dataBreakpoints.rangeOf(text, bytes, frameId);
			const sayNever = () =>
				this.debuggee.emit("output", {
					category: "console",
					output: `Nothing wrote ${text} between power-on and there: this is the beginning of the recorded run.\n`,
				});
			this.startBack(context, () => new LastWrite(history, processor.id, this.dataBreakpoints, range, sayNever));
		},
		pause: (args, context) => {
			const threadId = args.integer("threadId");
			void this.debuggee.processor(threadId);
			if (this.debuggee.state !== "running") throw new RequestError("The machine is not running.");
			context.afterResponse(() => this.run.pause(threadId));
		},
	};
}
