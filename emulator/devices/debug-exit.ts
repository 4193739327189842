// QEMU's isa-debug-exit: a guest ends its run by writing a value. Reference: QEMU, hw/misc/debugexit.c ("isa-debug-exit").

import type { Device, RegisterBlock, RegisterView } from "./device.ts";

interface DebugExitState {
	/** What the guest wrote last; null if nothing yet. */
	value: number | null;
}

/** Register block: 4 ports at 0xf4 (any of them, any size). The process's exit status is `(value << 1) | 1`. */
export class DebugExit implements Device, RegisterBlock {
	readonly name = "Debug exit";
	private state: DebugExitState = { value: null };

	constructor(private readonly onExit: (value: number) => void) {}

	read(): number {
		return 0;
	}

	write(_offset: number, _size: number, value: number): void {
		this.state.value = value;
		this.onExit(value);
	}

	reset(): void {
		this.state = { value: null };
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as DebugExitState) };
	}

	registers(): RegisterView[] {
		const { value } = this.state;
		return [
			{ name: "value", width: 32, value: value ?? 0, meaning: value === null ? "not written" : "written by the guest" },
		];
	}
}
