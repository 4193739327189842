// What the hypervisor tells the machine around it, which may stop there.

import type { EventName } from "../../machine/virtual-machine.ts";
import type { VmEventField, VmEventKind } from "../../machine/vm-events.ts";
import type { EventFacts } from "../hosted-machine.ts";
import type { Domain } from "./domain.ts";

export interface HypervisorObserver {
	/** Something that can be broken on. True: the machine stops before the hypervisor goes on with it. */
	event(event: EventName, description: () => string, facts: EventFacts): boolean;
	/** Goes into the timeline: what happened at the guest instruction at a linear address. */
	record(kind: VmEventKind, reason: string, instruction: bigint, detail?: readonly VmEventField[]): void;
	/** A domain has shut down or crashed. */
	domainEnded(domain: Domain): void;
	/** Nothing can run any more, and nothing that is pending will change that. */
	halted(): void;
}
