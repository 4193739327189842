import type { Address, Stop, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";

/**
 * A way to let the machine move until something is reached: run freely, one step, to the end of a line. It moves in
 * pieces, so that messages are handled meanwhile; between two pieces the machine stands at an exact instruction.
 */
export interface Motion {
	/** The processor whose thread is reported when the motion ends by itself. */
	readonly processor: number;
	/** Said to the person when it takes long; left out for what they can see going on. */
	readonly title?: string;
	/** The stop that it ends with counts whatever conditions and hit counts say: the motion has asked them already. */
	readonly isDecided?: boolean;
	/**
	 * Moves by about `instructions` at most, less when `isExpired` says so. Returns why the machine stands still, or
	 * undefined when the motion is to go on. It can be called again after a stop that turned out not to count, such as a
	 * breakpoint whose condition is false.
	 */
	advance(instructions: number, isExpired: () => boolean): Stop | undefined;
	/** Cleans up; called once, whatever ended the motion. */
	finish(): void;
}

/** Runs freely. */
export class FreeMotion implements Motion {
	constructor(
		private readonly machine: VirtualMachine,
		readonly processor: number,
	) {}

	advance(instructions: number): Stop | undefined {
		return this.machine.run(instructions);
	}

	finish(): void {}
}

/** Runs to one of some linear addresses, as far as `isThere` agrees; other breakpoints and events stop it on the way. */
export class RunTo {
	constructor(
		private readonly machine: VirtualMachine,
		private readonly store: BreakpointStore,
		/** The processor that is to come there. */
		private readonly processor: number,
		addresses: readonly bigint[],
		private readonly isThere: () => boolean,
	) {
		store.setTemporary(addresses.map((value): Address => ({ space: "lin", value })));
	}

	/** "arrived", a stop of another kind, or undefined when the budget is used up. */
	advance(instructions: number): "arrived" | Stop | undefined {
		const stop = this.machine.run(instructions);
		if (stop?.reason !== "breakpoint" || !this.store.hasTemporary(stop.ids)) return stop;
		if (!this.isOther(stop.processor) && this.isThere()) {
			this.store.setTemporary([]);
			return "arrived";
		}
		// Another activation or processor passed by: only what else lies there counts.
		const others = this.store.owners(stop.ids);
		return others.length > 0 ? stop : undefined;
	}

	/** Another of several processors that share the memory. */
	private isOther(processor: number): boolean {
		return this.machine.running !== undefined && processor !== this.processor;
	}
}
