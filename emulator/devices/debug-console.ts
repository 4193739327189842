// The debug console of Bochs and QEMU: a byte written to port 0xe9 is a character of output, and reading the port gives 0xe9
// so that a guest can find it. Reference: QEMU, hw/char/debugcon.c ("isa-debugcon").

import type { Device, RegisterBlock, RegisterView } from "./device.ts";

const PRESENT = 0xe9;

interface DebugConsoleState {
	written: number;
}

/** Register block: 1 port at 0xe9. */
export class DebugConsole implements Device, RegisterBlock {
	readonly name = "Debug console";
	readonly widestAccess = 1;
	private state: DebugConsoleState = { written: 0 };

	constructor(private readonly transmit: (byte: number) => void) {}

	read(): number {
		return PRESENT;
	}

	write(_offset: number, _size: number, value: number): void {
		this.state.written++;
		this.transmit(value & 0xff);
	}

	reset(): void {
		this.state = { written: 0 };
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as DebugConsoleState) };
	}

	registers(): RegisterView[] {
		return [{ name: "written", width: 32, value: this.state.written, meaning: "bytes sent" }];
	}
}
