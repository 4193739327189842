// What came to a machine from outside, and at which moment of its run: with it the same run can be had again from power-on
// (DESIGN invariant 3, "same input, same run").

import type { Address } from "./virtual-machine.ts";

/**
 * A moment between two instructions. The delivery of an exception or interrupt retires nothing, so the count alone does not tell the
 * state before one from the state at its handler.
 */
export interface Position {
	/** Retired host instructions. */
	readonly instructions: number;
	/** Linear address of the next instruction of the processor that runs: the first vCPU, or the one that has the turn. */
	readonly linear: bigint;
}

export function isSamePosition(a: Position, b: Position): boolean {
	return a.instructions === b.instructions && a.linear === b.linear;
}

/** What a person, or a program on the serial line, did to the machine. */
export type OutsideAction =
	/** Steps up to `to`. They hold interrupts back, so they change when those come. */
	| { readonly kind: "steps"; readonly processor: number; readonly takeInterrupts: boolean; to: Position }
	| { readonly kind: "serial-input"; readonly bytes: Uint8Array }
	| { readonly kind: "register"; readonly processor: number; readonly name: string; readonly value: bigint }
	| { readonly kind: "memory"; readonly processor: number; readonly address: Address; readonly bytes: Uint8Array };

export interface RecordedAction {
	readonly at: Position;
	readonly action: OutsideAction;
}

/** The actions in their order; `done` of them lie behind the machine. */
export class Recording {
	private entries: RecordedAction[] = [];
	done = 0;

	/** The next action ahead: there is one when the machine stands earlier than it once did. */
	get ahead(): RecordedAction | undefined {
		return this.entries[this.done];
	}

	/** The user's power cycle. */
	clear(): void {
		this.entries = [];
		this.done = 0;
	}

	/** The machine stands within the steps that lie ahead, and leaves their way: they end here. */
	endStepsAt(to: Position): void {
		const entry = this.entries[this.done];
		if (entry?.action.kind !== "steps") return;
		this.entries[this.done++] = { at: entry.at, action: { ...entry.action, to } };
	}

	/**
	 * Notes an action at the present moment. What lies ahead belongs to another future now: a change of registers or memory drops it
	 * all, steps drop the steps; what was typed on the serial line still comes at its count.
	 */
	add(at: Position, action: OutsideAction): void {
		const past = this.entries.slice(0, this.done);
		const ahead = this.entries.slice(this.done);
		const last = past.at(-1)?.action;
		const goesOn =
			action.kind === "steps" &&
			last?.kind === "steps" &&
			last.processor === action.processor &&
			last.takeInterrupts === action.takeInterrupts &&
			isSamePosition(last.to, at);
		if (goesOn) last.to = action.to;
		else past.push({ at, action });
		this.done = past.length;
		const kept =
			action.kind === "serial-input"
				? ahead
				: action.kind === "steps"
					? ahead.filter((entry) => entry.action.kind === "serial-input")
					: [];
		this.entries = [...past, ...kept];
	}
}
