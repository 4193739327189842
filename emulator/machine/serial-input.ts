// Bytes for COM1 from outside: each portion is given to the port at a moment of virtual time, and kept in the log of inputs.

import type { VirtualClock } from "../devices/clock.ts";
import type { Uart16550 } from "../devices/uart16550.ts";

export interface LoggedInput {
	/** Retired instructions when the bytes came. */
	readonly instruction: number;
	readonly bytes: Uint8Array;
}

export interface SerialInputState {
	readonly waiting: Uint8Array;
	readonly armedFor: number | undefined;
	readonly logged: number;
}

/** Nanoseconds after which a full receiver is tried again. */
const RETRY = 100_000;
const MOST_WAITING = 1 << 20;

export class SerialInput {
	readonly log: LoggedInput[] = [];
	private waiting = new Uint8Array(0);
	/** When the port is tried next; undefined while nothing waits. */
	private armedFor: number | undefined;

	constructor(
		private readonly clock: VirtualClock,
		private readonly port: Uart16550,
	) {}

	/** Bytes beyond 1 MiB that the guest has not read are dropped. */
	queue(bytes: Uint8Array, instruction: number): void {
		this.log.push({ instruction, bytes: bytes.slice() });
		const room = Math.max(0, MOST_WAITING - this.waiting.length);
		const joined = new Uint8Array(this.waiting.length + Math.min(room, bytes.length));
		joined.set(this.waiting);
		joined.set(bytes.subarray(0, room), this.waiting.length);
		this.waiting = joined;
		this.arm(this.clock.now());
	}

	/** What waits for the guest, for restore(). */
	save(): SerialInputState {
		return { waiting: this.waiting.slice(), armedFor: this.armedFor, logged: this.log.length };
	}

	/** To be called when the clock has been restored, which drops all alarms. */
	restore({ waiting, armedFor, logged }: SerialInputState): void {
		this.waiting = waiting.slice();
		this.log.length = logged;
		this.armedFor = undefined;
		if (armedFor !== undefined) this.arm(armedFor);
	}

	private arm(time: number): void {
		if (this.armedFor !== undefined) return;
		this.armedFor = time;
		this.clock.at(time, () => {
			this.armedFor = undefined;
			this.waiting = this.waiting.slice(this.port.receive(this.waiting));
			if (this.waiting.length > 0) this.arm(this.clock.now() + RETRY);
		});
	}
}
