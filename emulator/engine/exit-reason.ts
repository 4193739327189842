/** Why generated code returned to the run loop (State.exitReason). */
export const ExitReason = {
	none: 0,
	/** The instructions that were asked for have retired, or the next block does not fit into the rest. */
	fuel: 1,
	/** A helper asked for the run loop's attention: an interrupt may be due, the processor halted, the machine has to stop. */
	attention: 2,
	/** The next instruction's page offset is one of a breakpoint's. */
	breakpoint: 3,
	/** Shutdown: a triple fault (SDM Vol. 3A §6.15, interrupt 8). */
	shutdown: 4,
	/** The next instruction lies in the page whose code is TypeScript: the VMM's entry page. */
	hostEntry: 5,
} as const;
export type ExitReason = (typeof ExitReason)[keyof typeof ExitReason];
