// Several processors in one memory and one engine: they take turns. The state of the one that runs lies where generated code has it;
// those of the others wait behind it (SavedStates). A turn is a number of instructions of virtual time, so that the same run has the same turns.

import type { ArchitecturalProcessor } from "../cpu/processor.ts";
import { Activity, Internal } from "../cpu/processor-state.ts";
import { VmxMode, VmxWord } from "../cpu/vmx/vmx-state.ts";
import type { ExecutionEngine } from "../engine/execution-engine.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import { PAUSE_YIELDS, SavedStates, State } from "../isa/state.ts";

/** Instructions of a turn: a lock that another processor holds is waited for so long at most, unless the one that waits executes PAUSE. */
const TURN = 20_000;

/**
 * Instructions of a turn before PAUSE ends it. Changing the processor costs as much as about a thousand instructions, so that processors
 * that wait for a long time wait for so long each.
 */
const LEAST = 1000;

/** What a snapshot keeps of the turns; the states themselves lie in memory. */
export interface TurnState {
	readonly current: number;
	readonly begun: number;
	readonly end: number;
	readonly examined: number;
	readonly own: readonly number[];
}

export class ProcessorTurns {
	/** Number of the processor whose state is in its place. */
	current = 0;
	/** Count of all retired instructions at which the turn ends. */
	private end = TURN;
	/** Count at which it began. */
	private begun = 0;
	/** Instructions of a turn. */
	length = TURN;
	/** Turns that were passed on in a row, no instruction having retired: after a full circle nobody has anything to do. */
	private examined = 0;
	/** Instructions that each has retired, as of the last time that it was put away. */
	private own: number[];
	/** Instructions that the others have retired. */
	private others = 0;
	/** Of each that is put away: its next instruction passes over a breakpoint. */
	private readonly passes: boolean[];

	/** @param selected told of the processor that runs from now on */
	constructor(
		private readonly physical: PhysicalMemory,
		private readonly processors: readonly ArchitecturalProcessor[],
		private readonly engine: () => ExecutionEngine,
		private readonly selected: (processor: number) => void,
	) {
		this.own = processors.map(() => 0);
		this.passes = processors.map(() => false);
	}

	get several(): boolean {
		return this.processors.length > 1;
	}

	/** Power-on: nobody has run. */
	clear(): void {
		this.own.fill(0);
		this.passes.fill(false);
		this.end = this.length;
		this.begun = 0;
		this.examined = 0;
		this.others = 0;
	}

	save(): TurnState {
		const { current, begun, end, examined } = this;
		return { current, begun, end, examined, own: this.processors.map((_, number) => this.instructions(number)) };
	}

	/** The states in memory have been replaced, with that of `current` in its place. */
	restore({ current, begun, end, examined, own }: TurnState, retired: number): void {
		this.passes.fill(false);
		this.own = [...own];
		this.begun = begun;
		this.end = end;
		this.examined = examined;
		this.others = retired - own[current]!;
		this.choose(current);
	}

	/** Bytes from the start of the memory to the state of a processor. */
	stateAt(processor: number): number {
		return processor === this.current ? 0 : SavedStates.base + processor * SavedStates.size;
	}

	/** Instructions that the processor which runs has retired. */
	get retired(): number {
		return this.engine().retired - this.others;
	}

	/** Instructions that a processor has retired. */
	instructions(processor: number): number {
		return processor === this.current ? this.retired : this.own[processor]!;
	}

	/** Puts the state of a processor in its place. The turn does not change by this alone. */
	load(processor: number): void {
		const { current, physical } = this;
		if (processor === current) return;
		const { retired } = this.engine();
		this.own[current] = retired - this.others;
		physical.u8.copyWithin(SavedStates.base + current * SavedStates.size, 0, State.end);
		const from = SavedStates.base + processor * SavedStates.size;
		physical.u8.copyWithin(0, from, from + State.end);
		this.others = retired - this.own[processor]!;
		this.passes[current] = this.engine().select(this.processors[processor]!, this.passes[processor]!);
		this.choose(processor);
	}

	private choose(processor: number): void {
		this.current = processor;
		for (const [number, { core }] of this.processors.entries()) if (number !== processor) core.tlb.select(false);
		this.processors[processor]!.core.tlb.select(true);
		this.selected(processor);
	}

	/** Does something with the state of a processor in its place. */
	within<T>(processor: number, action: () => T): T {
		const before = this.current;
		if (processor === before) return action();
		this.load(processor);
		try {
			return action();
		} finally {
			this.load(before);
		}
	}

	/** Gives a processor the turn, a whole one. */
	give(processor: number): void {
		this.load(processor);
		this.end = this.engine().retired + this.length;
		this.begun = this.end - this.length;
		this.offer();
	}

	/** Instructions until the turn ends; 0 when it has ended. */
	get left(): number {
		return Math.max(0, this.end - this.engine().retired);
	}

	/** The processor that runs has executed PAUSE. True: its turn ends with it. */
	yield(): boolean {
		const { retired } = this.engine();
		if (retired - this.begun < LEAST) return false;
		this.end = Math.min(this.end, retired + 1);
		return true;
	}

	/** The turn has ended: it goes to the next that may have something to do, which can be the same again. */
	next(): void {
		this.give(this.following() ?? this.current);
	}

	/**
	 * The processor that has the turn has nothing to do: the turn goes to another that may have. False when there is none, or when all
	 * have said so in turn.
	 */
	passOn(): boolean {
		const next = this.following();
		if (next === undefined || ++this.examined >= this.processors.length) {
			this.examined = 0;
			return false;
		}
		this.give(next);
		return true;
	}

	/** An instruction has retired. */
	progressed(): void {
		this.examined = 0;
	}

	/** Something has come to a processor that does not run. It is soon its turn: whoever sent it may wait for an answer. */
	woke(): void {
		this.physical.i32[State.pauseTrap >> 2]! |= PAUSE_YIELDS;
		this.end = Math.min(this.end, Math.max(this.begun + LEAST, this.engine().retired + 1));
	}

	/** PAUSE ends the turn only when somebody else may use it: leaving generated code for each is not free. */
	private offer(): void {
		const word = State.pauseTrap >> 2;
		const { i32 } = this.physical;
		i32[word] = this.following() === undefined ? i32[word]! & ~PAUSE_YIELDS : i32[word]! | PAUSE_YIELDS;
	}

	private following(): number | undefined {
		const count = this.processors.length;
		for (let distance = 1; distance < count; distance++) {
			const number = (this.current + distance) % count;
			if (this.mayRun(number)) return number;
		}
		return undefined;
	}

	/** False when a processor that does not run has certainly nothing to do. */
	private mayRun(processor: number): boolean {
		const at = this.stateAt(processor);
		const { i32 } = this.physical;
		const { init } = this.processors[processor]!;
		if (init.isDue(at)) return true;
		if (init.waitsAt(at)) return false;
		if (i32[(at + Internal.activity) >> 2] === Activity.active) return true;
		// In VMX non-root operation there are more ways out of a halt than are looked at here.
		if (i32[(at + VmxWord.mode) >> 2] === VmxMode.nonRoot) return true;
		return (
			i32[(at + State.interruptRequest) >> 2] !== 0 ||
			i32[(at + Internal.nmiPending) >> 2] !== 0 ||
			i32[(at + Internal.pendingDebug) >> 2] !== 0
		);
	}
}
