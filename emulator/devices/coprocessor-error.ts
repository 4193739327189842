// The coprocessor error latch of a PC: FERR# asserts IRQ 13 until the program writes to port F0H or F1H.
// Reference: Intel 82371SB (PIIX3) data sheet, "Coprocessor error"; SDM Vol. 1 §8.7.2 (MS-DOS compatibility sub-mode).

import type { Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";

interface CoprocessorErrorState {
	pending: boolean;
}

/** Register block: 2 ports. */
export class CoprocessorError implements Device, RegisterBlock {
	readonly name = "Coprocessor error latch";
	private state: CoprocessorErrorState = { pending: false };

	constructor(private readonly irq: InterruptLine) {}

	/** The processor asserts FERR#. */
	assert(): void {
		this.state.pending = true;
		this.irq.set(true);
	}

	reset(): void {
		this.state = { pending: false };
		this.irq.set(false);
	}

	read(): number {
		return 0xff;
	}

	write(): void {
		this.reset();
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as CoprocessorErrorState) };
		this.irq.set(this.state.pending);
	}

	registers(): RegisterView[] {
		return [{ name: "FERR", width: 1, value: this.state.pending ? 1 : 0, meaning: "x87 exception, IRQ 13 asserted" }];
	}
}
