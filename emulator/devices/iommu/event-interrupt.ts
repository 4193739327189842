// The interrupts of the unit itself, for faults and for completed invalidations: four registers each (control, data, address,
// upper address). Reference: Intel VT-d specification 3.3, §7.3 "Remapping hardware event interrupt programming".

import { EventControl, type Words } from "./register-map.ts";

const DATA = 4;
const ADDRESS = 8;

export class EventInterrupt {
	/**
	 * @param offset of the control register; the others follow it.
	 * @param send delivers the message; requests of the unit itself are not remapped (§5.1.2).
	 */
	constructor(
		private readonly words: Words,
		private readonly offset: number,
		private readonly send: (address: number, data: number) => void,
	) {}

	/** The event happened: the message goes out, or waits while it is masked. */
	raise(): void {
		const { words, offset } = this;
		if (words.get(offset) & EventControl.masked) words.set(offset, words.get(offset) | EventControl.pending);
		else this.deliver();
	}

	/** Software has dealt with all that the interrupt stood for. */
	withdraw(): void {
		this.words.set(this.offset, this.words.get(this.offset) & ~EventControl.pending);
	}

	writeControl(value: number): void {
		const { words, offset } = this;
		const pending = words.get(offset) & EventControl.pending;
		words.set(offset, (value & EventControl.masked) | pending);
		if (!pending || value & EventControl.masked) return;
		this.withdraw();
		this.deliver();
	}

	private deliver(): void {
		this.send(this.words.get(this.offset + ADDRESS), this.words.get(this.offset + DATA));
	}
}
