// The console of a domain: two byte rings in a page that it shares with the hypervisor, which passes them on to the serial
// port that people see. Reference: Xen public header io/console.h, struct xencons_interface.

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { VmEventField } from "../../machine/vm-events.ts";

const INPUT = 0;
const INPUT_BYTES = 1024;
const OUTPUT = 1024;
const OUTPUT_BYTES = 2048;
const INPUT_CONSUMER = 3072;
const INPUT_PRODUCER = 3076;
const OUTPUT_CONSUMER = 3080;
const OUTPUT_PRODUCER = 3084;
/** Input that waits for a guest that does not read. */
const MOST_WAITING = 1 << 16;

export class ConsoleRing {
	private waiting: number[] = [];

	/**
	 * @param page host-physical address of the console page.
	 * @param signal raises the domain's event channel.
	 */
	constructor(
		private readonly physical: PhysicalMemory,
		private readonly page: number,
		private readonly write: (byte: number) => void,
		private readonly signal: () => void,
	) {}

	private index(offset: number): number {
		return this.physical.read(this.page + offset, 4);
	}

	/** For views: what is in the rings. */
	detail(): VmEventField[] {
		return [
			{ name: "output bytes", value: (this.index(OUTPUT_PRODUCER) - this.index(OUTPUT_CONSUMER)) >>> 0 },
			{ name: "input bytes", value: (this.index(INPUT_PRODUCER) - this.index(INPUT_CONSUMER)) >>> 0 },
		];
	}

	/** The guest signalled: it wrote output, or made room for input. */
	serve(): void {
		const wrote = this.drain();
		if (this.fill() || wrote) this.signal();
	}

	/** A producer that is more than a ring ahead is a guest's error: only what the ring can hold is taken. */
	private drain(): boolean {
		const consumer = this.index(OUTPUT_CONSUMER);
		const producer = this.index(OUTPUT_PRODUCER);
		const count = Math.min((producer - consumer) >>> 0, OUTPUT_BYTES);
		for (let i = 0; i < count; i++)
			this.write(this.physical.read(this.page + OUTPUT + ((consumer + i) & (OUTPUT_BYTES - 1)), 1));
		if (count > 0) this.physical.write(this.page + OUTPUT_CONSUMER, 4, producer);
		return count > 0;
	}

	/** Input from outside. */
	input(bytes: Uint8Array): void {
		for (const byte of bytes.subarray(0, MOST_WAITING - this.waiting.length)) this.waiting.push(byte);
		if (this.fill()) this.signal();
	}

	private fill(): boolean {
		const consumer = this.index(INPUT_CONSUMER);
		const producer = this.index(INPUT_PRODUCER);
		const room = INPUT_BYTES - ((producer - consumer) >>> 0);
		const count = Math.min(room, this.waiting.length);
		if (count <= 0) return false;
		for (let i = 0; i < count; i++)
			this.physical.write(this.page + INPUT + ((producer + i) & (INPUT_BYTES - 1)), 1, this.waiting[i]!);
		this.waiting = this.waiting.slice(count);
		this.physical.write(this.page + INPUT_PRODUCER, 4, (producer + count) >>> 0);
		return true;
	}
}
