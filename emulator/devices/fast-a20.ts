// Port 0x92: the fast way to the A20 gate and to a reset of the processor.
// Reference: Intel 82371SB (PIIX3) data sheet (order number 290550), "P92 - port 92 register".

import type { Device, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";

const FAST_INIT = 0x01;
const FAST_A20 = 0x02;

interface Port92State {
	value: number;
}

/** Register block: 1 port at 0x92. A20 is on after a reset, as the firmware leaves it. */
export class FastA20 implements Device, RegisterBlock {
	readonly name = "Port 92";
	readonly widestAccess = 1;
	private state: Port92State = { value: FAST_A20 };

	/**
	 * @param onA20 the level of this source of the A20 gate; called when it changes.
	 * @param onReset bit 0 has risen.
	 */
	constructor(
		private readonly onA20: (enabled: boolean) => void,
		private readonly onReset: () => void,
	) {}

	/** The keyboard controller, the other source of the gate, has set A20: the bit follows. */
	followA20(enabled: boolean): void {
		this.state.value = enabled ? this.state.value | FAST_A20 : this.state.value & ~FAST_A20;
	}

	read(): number {
		return this.state.value;
	}

	write(_offset: number, _size: number, value: number): void {
		const changed = this.state.value ^ value;
		this.state.value = value & (FAST_INIT | FAST_A20);
		if (changed & FAST_A20) this.onA20((value & FAST_A20) !== 0);
		if (changed & value & FAST_INIT) this.onReset();
	}

	reset(): void {
		this.state = { value: FAST_A20 };
		this.onA20(true);
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as Port92State) };
		this.onA20((this.state.value & FAST_A20) !== 0);
	}

	registers(): RegisterView[] {
		const { value } = this.state;
		return [{ name: "P92", width: 8, value, meaning: bits(value, ["reset", "A20"]) }];
	}
}
