import type { Stop, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";
import type { BreakpointStore } from "../breakpoints/breakpoint-store.ts";
import { type Motion, RunTo } from "./motion.ts";

/** Runs until the frame's caller goes on. */
export class StepOutMotion implements Motion {
	private readonly run: RunTo;

	/** `isThere` tells the caller's own activation from another that passes the address. */
	constructor(
		machine: VirtualMachine,
		private readonly store: BreakpointStore,
		readonly processor: number,
		returnAddress: bigint,
		isThere: () => boolean,
	) {
		this.run = new RunTo(machine, store, processor, [returnAddress], isThere);
	}

	advance(instructions: number): Stop | undefined {
		const result = this.run.advance(instructions);
		return result === "arrived" ? { reason: "step", processor: this.processor } : result;
	}

	finish(): void {
		this.store.setTemporary([]);
	}
}
