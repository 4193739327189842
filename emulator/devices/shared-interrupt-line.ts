// One interrupt input with several drivers.

import type { InterruptLine } from "./device.ts";

/**
 * Makes one input out of several drivers: asserted while any of them is (wired OR, as shared PCI interrupts are). The levels are
 * the drivers' state: each device drives its line again when it is restored, so the interrupt controllers are restored last.
 */
export class SharedInterruptLine {
	private readonly asserted = new Set<number>();
	private drivers = 0;

	constructor(private readonly output: InterruptLine) {}

	/** One more driver of the line. */
	driver(): InterruptLine {
		const number = this.drivers++;
		return {
			set: (asserted) => {
				if (asserted) this.asserted.add(number);
				else this.asserted.delete(number);
				this.output.set(this.asserted.size > 0);
			},
		};
	}
}
