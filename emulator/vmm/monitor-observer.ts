// What the VMM counts and tells.

import type { EventName } from "../machine/virtual-machine.ts";
import type { VmEventField, VmEventKind } from "../machine/vm-events.ts";
import type { Fragment } from "./translate/fragment.ts";

export interface MonitorStatistics {
	directExecution: number;
	trueFaults: number;
	interruptsDelivered: number;
}

/** What the machine around the VMM wants to know, and may stop at. */
export interface MonitorObserver {
	/** Something that can be broken on. True: the machine stops before the VMM goes on with it. */
	event(event: EventName, description: string, details: EventDetails): boolean;
	/** False when event() would certainly say false. */
	wants(event: EventName): boolean;
	/** Goes into the timeline: what happened at the guest instruction at a linear address. */
	record(kind: VmEventKind, reason: string, instruction: number, detail?: readonly VmEventField[]): void;
	translated(fragment: Fragment): void;
	tripleFault(): void;
	/** The guest halted with interrupts off, or nothing can wake it. */
	halted(): void;
}

export interface EventDetails {
	readonly vector?: number;
	readonly errorCode?: number | undefined;
	readonly address?: number;
}
