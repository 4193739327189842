// A machine whose run can be had again: it notes what comes from outside and goes back to any earlier moment by running again
// from a snapshot, or from power-on, with the same input. Nothing has to be configured or switched on for it.

import { RecordedProcessor } from "./recorded-processor.ts";
import { isSamePosition, type OutsideAction, type Position, type RecordedAction, Recording } from "./recording.ts";
import { RepeatedOutput } from "./repeated-output.ts";
import { type Snapshot, SnapshotSeries } from "./snapshot-series.ts";
import {
	type DeviceView,
	type EventFilter,
	type ExecutionBreakpoint,
	MachineError,
	type MachineStatistics,
	type Processor,
	type StepOptions,
	type Stop,
	type VirtualMachine,
	type Watchpoint,
} from "./virtual-machine.ts";

/** Id of the breakpoint that stops a repeated run at the position that it is to reach. */
const ARRIVAL = -1;

export class RecordedMachine implements VirtualMachine {
	private readonly recording = new Recording();
	private readonly snapshots: SnapshotSeries;
	private readonly serial = new RepeatedOutput();
	private readonly console = new RepeatedOutput();
	private wrapped: { readonly inner: Processor; readonly outer: RecordedProcessor }[] = [];
	private breakpoints: readonly ExecutionBreakpoint[] = [];
	private watchpoints: readonly Watchpoint[] = [];
	private filters: readonly EventFilter[] = [];
	private isArmed = true;
	/** The machine is within the steps that lie ahead in the recording. */
	private isStepping = false;

	/** @param snapshotDistance instructions between two snapshots at first */
	constructor(
		private readonly machine: VirtualMachine,
		snapshotDistance?: number,
	) {
		this.snapshots = new SnapshotSeries(machine, snapshotDistance);
		machine.onSerialOutput((bytes) => this.serial.add(bytes));
		machine.onDebugConsole((byte) => this.console.add(new Uint8Array([byte])));
	}

	get technique() {
		return this.machine.technique;
	}

	get translationCache() {
		return this.machine.translationCache;
	}

	get events() {
		return this.machine.events;
	}

	get vmx() {
		return this.machine.vmx;
	}

	get domains() {
		return this.machine.domains;
	}

	get iommus() {
		return this.machine.iommus;
	}

	get display() {
		return this.machine.display;
	}

	get disks() {
		return this.machine.disks;
	}

	get running() {
		return this.machine.running;
	}

	processors(): Processor[] {
		return this.machine.processors().map((inner, index) => {
			const known = this.wrapped[index];
			if (known?.inner === inner) return known.outer;
			const outer = new RecordedProcessor(inner, {
				registerSet: (processor, name, value) => this.note({ kind: "register", processor, name, value }),
				memoryWritten: (processor, address, bytes) => this.note({ kind: "memory", processor, address, bytes }),
			});
			this.wrapped[index] = { inner, outer };
			return outer;
		});
	}

	instructionCount(): number {
		return this.machine.instructionCount();
	}

	devices(): DeviceView[] {
		return this.machine.devices();
	}

	statistics(): MachineStatistics {
		return this.machine.statistics();
	}

	memoryHash(): string {
		return this.machine.memoryHash();
	}

	onSerialOutput(listener: (bytes: Uint8Array) => void): void {
		this.serial.listen(listener);
	}

	onDebugConsole(listener: (byte: number) => void): void {
		this.console.listen((bytes) => {
			for (const byte of bytes) listener(byte);
		});
	}

	setExecutionBreakpoints(breakpoints: readonly ExecutionBreakpoint[]): void {
		this.breakpoints = breakpoints;
		if (this.isArmed) this.machine.setExecutionBreakpoints(breakpoints);
	}

	setWatchpoints(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints;
		if (this.isArmed) this.machine.setWatchpoints(watchpoints);
	}

	setEventFilters(filters: readonly EventFilter[]): void {
		this.filters = filters;
		if (this.isArmed) this.machine.setEventFilters(filters);
	}

	serialInput(bytes: Uint8Array): void {
		const at = this.position();
		this.machine.serialInput(bytes);
		this.noteAt(at, { kind: "serial-input", bytes: bytes.slice() });
	}

	step(processor: number, options: StepOptions = {}): Stop {
		const at = this.position();
		const stop = this.machine.step(processor, options);
		const to = this.position();
		if (!isSamePosition(at, to))
			this.noteAt(at, { kind: "steps", processor, takeInterrupts: options.takeInterrupts ?? false, to });
		return stop;
	}

	/** Runs as VirtualMachine.run says; what was done from outside on this stretch before is done again at its moments. */
	run(instructions: number): Stop | undefined {
		const end = this.instructionCount() + instructions;
		for (;;) {
			const { ahead } = this.recording;
			if (!ahead || (!this.isStepping && ahead.at.instructions > end)) break;
			const stop = (this.isStepping ? undefined : this.advanceTo(ahead.at)) ?? this.again(ahead);
			if (stop) return stop;
		}
		return this.runFreely(end);
	}

	/** @param arrive goes on although the guest stands still for long: it is known that it comes to `end`. */
	private runFreely(end: number, arrive = false): Stop | undefined {
		for (let now = this.instructionCount(); now < end; ) {
			const stop = this.machine.run(Math.min(end, this.snapshots.due(now)) - now);
			if (stop) return stop;
			const before = now;
			now = this.instructionCount();
			// The guest's reset may begin a new count: there is no way back over it.
			if (now < before) this.forget();
			this.snapshots.take(this.recording.done, this.serial.produced, this.console.produced);
			if (now === before && !arrive) break;
		}
		return undefined;
	}

	reset(): void {
		this.machine.reset();
		this.forget();
		this.serial.clear();
		this.console.clear();
	}

	private forget(): void {
		this.recording.clear();
		this.snapshots.clear();
		this.isStepping = false;
	}

	// The way back.

	position(): Position {
		return {
			instructions: this.machine.instructionCount(),
			linear: this.mover().linearInstructionPointer(),
		};
	}

	/**
	 * Goes to the latest moment from which the machine can run again that lies at or before `instructions`: a snapshot or power-on.
	 * What was recorded from there on lies ahead then.
	 */
	rewind(instructions: number): void {
		const snapshot: Snapshot | undefined = this.snapshots.restore(instructions);
		if (!snapshot) this.machine.reset();
		this.recording.done = snapshot?.actions ?? 0;
		this.isStepping = false;
		this.serial.produced = snapshot?.serial ?? 0;
		this.console.produced = snapshot?.console ?? 0;
	}

	/** The counts from which the machine can run again, ascending; 0 is power-on. */
	origins(): number[] {
		return [0, ...this.snapshots.counts()];
	}

	/** Between these calls no breakpoint, watchpoint or event stops the machine. */
	disarm(): void {
		this.isArmed = false;
		this.machine.setExecutionBreakpoints([]);
		this.machine.setWatchpoints([]);
		this.machine.setEventFilters([]);
	}

	arm(): void {
		this.isArmed = true;
		this.machine.setExecutionBreakpoints(this.breakpoints);
		this.machine.setWatchpoints(this.watchpoints);
		this.machine.setEventFilters(this.filters);
	}

	/**
	 * Runs forward to a position that the machine has been at, which must not lie behind. Undefined when it is reached.
	 * @throws {MachineError} when the run takes another way.
	 */
	runTo(to: Position): Stop | undefined {
		while (!isSamePosition(this.position(), to)) {
			const { ahead } = this.recording;
			if (!ahead || (!this.isStepping && ahead.at.instructions > to.instructions)) return this.advanceTo(to);
			const stop = this.isStepping ? undefined : this.advanceTo(isSamePosition(ahead.at, to) ? to : ahead.at);
			if (stop) return stop;
			if (isSamePosition(this.position(), to)) return undefined;
			this.again(ahead, to);
		}
		return undefined;
	}

	/** Moves on by as little as the recorded run allows: one host instruction, or one step as it was made. */
	advance(): Stop | undefined {
		const { ahead } = this.recording;
		if (!ahead || (!this.isStepping && ahead.at.instructions > this.instructionCount())) return this.machine.run(1);
		if (this.isStepping || isSamePosition(ahead.at, this.position())) {
			this.again(ahead, undefined, 1);
			return undefined;
		}
		return this.advanceTo(ahead.at);
	}

	private advanceTo(to: Position): Stop | undefined {
		const stop = this.runFreely(to.instructions, true);
		if (stop) return stop;
		if (isSamePosition(this.position(), to)) return undefined;
		// The same count: what is still to come is the delivery of an exception or interrupt.
		const arrival: ExecutionBreakpoint = { id: ARRIVAL, address: { space: "lin", value: to.linear } };
		const others = this.isArmed ? this.breakpoints : [];
		this.machine.setExecutionBreakpoints([...others, arrival]);
		try {
			const found = this.machine.run(1);
			if (found && (found.reason !== "breakpoint" || !found.ids.includes(ARRIVAL))) return found;
			if (!isSamePosition(this.position(), to))
				throw new MachineError(
					`The run did not repeat itself at instruction ${to.instructions}: it is at 0x${this.position().linear.toString(16)}, not at 0x${to.linear.toString(16)}.`,
				);
			const ids = found?.ids.filter((id) => id !== ARRIVAL) ?? [];
			return found && ids.length > 0 ? { ...found, ids } : undefined;
		} finally {
			this.machine.setExecutionBreakpoints(others);
		}
	}

	/**
	 * Does what was done from outside, at the moment where it was done; steps at most up to `until`, or so many. @returns the breakpoint,
	 * watchpoint or event that stops the machine within them, if it is armed.
	 */
	private again({ action }: RecordedAction, until?: Position, steps = Number.POSITIVE_INFINITY): Stop | undefined {
		let stop: Stop | undefined;
		switch (action.kind) {
			case "serial-input":
				this.machine.serialInput(action.bytes);
				break;
			case "register":
				this.inner(action.processor).setRegister(action.name, action.value);
				break;
			case "memory":
				this.inner(action.processor).writeMemory(action.address, action.bytes);
				break;
			case "steps":
				this.isStepping = true;
				stop = this.stepAgain(action, until, steps);
				if (!isSamePosition(this.position(), action.to)) return stop;
				this.isStepping = false;
				break;
		}
		this.recording.done++;
		return stop;
	}

	/** @throws {MachineError} when the steps lead elsewhere. */
	private stepAgain(
		{ processor, takeInterrupts, to }: Extract<OutsideAction, { kind: "steps" }>,
		until: Position | undefined,
		steps: number,
	): Stop | undefined {
		let at = this.position();
		for (let count = 0; !isSamePosition(at, to); count++) {
			if (count === steps || (count > 0 && until && isSamePosition(at, until))) return undefined;
			const stop = this.machine.step(processor, { takeInterrupts });
			const now = this.position();
			const stands = isSamePosition(at, now) && stop.reason !== "event";
			if (now.instructions > to.instructions || stands)
				throw new MachineError(`The steps up to instruction ${to.instructions} did not repeat themselves.`);
			at = now;
			if (!this.isArmed) continue;
			if (stop.reason === "event" || stop.reason === "watchpoint") return stop;
			const ids = this.breakpointsAt(at.linear);
			if (ids.length > 0) return { reason: "breakpoint", processor, ids };
		}
		return undefined;
	}

	/** The processor whose next instruction tells positions apart. */
	private mover(): Processor {
		const processors = this.machine.processors();
		const { running } = this.machine;
		return processors.find(({ id }) => id === running) ?? processors[0]!;
	}

	/** Breakpoints where that processor stands: a step passes over them. */
	private breakpointsAt(linear: bigint): number[] {
		const processor = this.mover();
		return this.breakpoints
			.filter(
				({ address: { space, value } }) => value === (space === "lin" ? linear : processor.translate(linear, space)),
			)
			.map(({ id }) => id);
	}

	private inner(processor: number): Processor {
		return this.machine.processors().find(({ id }) => id === processor)!;
	}

	private note(action: OutsideAction): void {
		this.noteAt(this.position(), action);
	}

	/** From here on the run may be another than the one that was seen before. */
	private noteAt(at: Position, action: OutsideAction): void {
		if (this.isStepping) this.recording.endStepsAt(at);
		this.isStepping = false;
		this.recording.add(at, action);
		this.snapshots.dropAfter(at.instructions);
	}
}
