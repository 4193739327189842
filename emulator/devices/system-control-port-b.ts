// System control port B, port 0x61: the speaker, counter 2 of the timer and the NMI sources.
// Reference: Intel 82371SB (PIIX3) data sheet, "NMISC - NMI status and control register".

import type { Clock, Device, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";

const TIMER_2_GATE = 0x01;
const WRITABLE = 0x0f;
const REFRESH = 0x10;
const TIMER_2_OUT = 0x20;
/** Memory refresh requests of a PC are 15.085 microseconds apart (18 clocks of the timer); the bit toggles with each. */
const refreshNanoseconds = 15_085;

/** What the port needs of the timer. */
interface Timer2 {
	setGate2(level: boolean): void;
	output(counter: number): boolean;
}

interface PortState {
	control: number;
}

/** Register block: 1 port at 0x61. */
export class SystemControlPortB implements Device, RegisterBlock {
	readonly name = "System control port B";
	readonly widestAccess = 1;
	private state: PortState = { control: 0 };

	constructor(
		private readonly clock: Clock,
		private readonly timer: Timer2,
	) {}

	/** Bits 6 and 7 (IOCHK#, SERR#) read 0: no device here reports such errors. */
	read(): number {
		const refresh = Math.floor(this.clock.now() / refreshNanoseconds) & 1 ? REFRESH : 0;
		return this.state.control | refresh | (this.timer.output(2) ? TIMER_2_OUT : 0);
	}

	write(_offset: number, _size: number, value: number): void {
		this.state.control = value & WRITABLE;
		this.timer.setGate2((value & TIMER_2_GATE) !== 0);
	}

	reset(): void {
		this.write(0, 1, 0);
	}

	save(): unknown {
		return { ...this.state };
	}

	/** The timer restores its own gate. */
	restore(state: unknown): void {
		this.state = { ...(state as PortState) };
	}

	registers(): RegisterView[] {
		const value = this.read();
		const names = ["gate 2", "speaker", "PERR# off", "IOCHK# off", "refresh", "OUT 2", "IOCHK#", "SERR#"];
		return [{ name: "NMISC", width: 8, value, meaning: bits(value, names) }];
	}
}
