// The messages between I/O APICs and local APICs, and who takes them.
// Reference: SDM volume 3A, section 11.6.2 "Determining IPI Destination"; section 11.11 "Message Signalled Interrupts".

/** Delivery modes as ICR, LVT, redirection entries and MSI data encode them (SDM volume 3A, figure 11-12). */
export const DeliveryMode = {
	fixed: 0,
	lowestPriority: 1,
	systemManagement: 2,
	nonMaskable: 4,
	init: 5,
	startUp: 6,
	externalInterrupt: 7,
} as const;

/** One interrupt on its way to one or more local APICs. */
export interface InterruptMessage {
	/** An APIC ID, or a logical destination when `logical`. */
	readonly destination: number;
	readonly logical: boolean;
	/** One of `DeliveryMode`. */
	readonly deliveryMode: number;
	readonly vector: number;
	readonly levelTriggered: boolean;
}

/** What the bus needs of a local APIC. */
export interface ApicTarget {
	/** Whether the message is for this APIC. */
	matches(message: InterruptMessage): boolean;
	/** Smaller takes a lowest-priority message first. */
	readonly processorPriority: number;
	accept(message: InterruptMessage): void;
}

/** What the bus needs of an I/O APIC. */
export interface EndOfInterruptListener {
	endOfInterrupt(vector: number): void;
}

/** Connects the APICs of one machine. It holds no state of its own. */
export class ApicBus {
	private readonly targets: ApicTarget[] = [];
	private readonly listeners: EndOfInterruptListener[] = [];

	addTarget(target: ApicTarget): void {
		this.targets.push(target);
	}

	addListener(listener: EndOfInterruptListener): void {
		this.listeners.push(listener);
	}

	/** Delivers to the addressed local APICs; false when there is none. */
	deliver(message: InterruptMessage): boolean {
		const matching = this.targets.filter((target) => target.matches(message));
		if (matching.length === 0) return false;
		if (message.deliveryMode === DeliveryMode.lowestPriority) {
			const lowest = matching.reduce((a, b) => (b.processorPriority < a.processorPriority ? b : a));
			lowest.accept(message);
		} else for (const target of matching) target.accept(message);
		return true;
	}

	/** An IPI with the shorthand "all" (`sender` undefined) or "all but the sender". */
	broadcast(message: InterruptMessage, sender?: ApicTarget): void {
		for (const target of this.targets) if (target !== sender) target.accept(message);
	}

	/** A local APIC broadcasts the end of a level-triggered interrupt. */
	endOfInterrupt(vector: number): void {
		for (const listener of this.listeners) listener.endOfInterrupt(vector);
	}
}
