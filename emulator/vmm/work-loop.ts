// What the VMM does between an entry and the way back to guest code, step by step, and where a debugger stops it on the way.

import type { EventName } from "../machine/virtual-machine.ts";
import { GuestFault } from "./guest/guest-fault.ts";
import type { EventDetails, MonitorObserver } from "./monitor-observer.ts";

/** Faults of the guest that are delivered one behind the other before the machine's run loop is asked. */
const STEPS_AT_ONCE = 1000;

export class WorkLoop {
	/** The VMM works: guest interrupts wait until it goes back. */
	inside = false;
	/** The VMM has been stopped inside: the guest's registers are in GuestRegisters, and `proceed` has to be called. */
	suspended = false;
	private suspendedWork: (() => void) | undefined;
	/** What is left to do before the VMM goes back to guest code. */
	private todo: (() => void) | undefined;

	constructor(
		private readonly observer: MonitorObserver,
		/** Raises a fault that a step has thrown in the vCPU. */
		private readonly raise: (fault: GuestFault) => void,
		/** The VMM goes back to guest code, or stays suspended. */
		private readonly left: () => void,
	) {}

	/** Does `work` and what it leaves to do: a fault whose handler faults must not grow the stack. */
	run(work: () => void): void {
		this.inside = true;
		this.todo = work;
		for (let steps = 0; this.todo !== undefined && !this.suspended; steps++) {
			const step: () => void = this.todo;
			this.todo = undefined;
			if (steps > STEPS_AT_ONCE) {
				this.suspend(step);
				break;
			}
			try {
				step();
			} catch (fault) {
				if (!(fault instanceof GuestFault)) throw fault;
				this.todo = () => this.raise(fault);
			}
		}
		this.inside = false;
		this.left();
	}

	/** What is to be done when the current step has ended. */
	next(work: () => void): void {
		this.todo = work;
	}

	/** Stops inside the VMM; `proceed` goes on with `work`. */
	suspend(work: (() => void) | undefined): void {
		this.suspended = true;
		this.suspendedWork = work;
	}

	/** While suspended: `proceed` goes on with other work than it would have. */
	replaceSuspended(work: () => void): void {
		this.suspendedWork = work;
	}

	/** Goes on after a suspension; with `otherwise` when no work was left. */
	proceed(otherwise: () => void): void {
		const work = this.suspendedWork;
		this.suspended = false;
		this.suspendedWork = undefined;
		this.run(() => (work ? work() : otherwise()));
	}

	/** Tells an event; when the machine has to stop, `work` is what is left to do. True when it stops. */
	stopsAt(event: EventName, description: () => string, details: EventDetails, work: () => void): boolean {
		if (!this.observer.wants(event) || !this.observer.event(event, description(), details)) return false;
		this.suspend(work);
		return true;
	}
}
