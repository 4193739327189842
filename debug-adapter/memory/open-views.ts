// What the client's memory views show: told to be stale as soon as it is. An editor reads once and then waits for `memory`
// events, which it takes only under the reference that it read with.
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import type { Emit } from "../session.ts";

/** Ranges that are remembered; the one read longest ago goes first. */
const MOST_VIEWS = 16;
/** A longer range is no view that a person looks at: it is not remembered. */
const LONGEST_VIEW = 256 * 1024;

interface View {
	readonly reference: string;
	readonly offset: number;
	readonly address: Address;
	readonly bytes: Uint8Array;
}

const equal = (a: Uint8Array, b: Uint8Array) => a.length === b.length && a.every((byte, index) => byte === b[index]);

export class OpenMemoryViews {
	private readonly views = new Map<string, View>();

	constructor(
		private readonly emit: Emit,
		private readonly read: (address: Address, length: number) => Uint8Array,
	) {}

	/** The client has read: `reference` and `offset` as it wrote them, the bytes that it was given. */
	note(reference: string, offset: number, address: Address, bytes: Uint8Array): void {
		const key = `${reference}+${offset}/${bytes.length}`;
		this.views.delete(key);
		if (bytes.length === 0 || bytes.length > LONGEST_VIEW) return;
		this.views.set(key, { reference, offset, address, bytes: bytes.slice() });
		if (this.views.size > MOST_VIEWS) this.views.delete(this.views.keys().next().value!);
	}

	/** The machine has moved or memory was changed: views of bytes that are others now are told, once each. */
	announce(): void {
		for (const [key, { reference, offset, address, bytes }] of this.views) {
			if (equal(this.read(address, bytes.length), bytes)) continue;
			// A view that is still open reads again, and is remembered again.
			this.views.delete(key);
			this.emit("memory", { memoryReference: reference, offset, count: bytes.length });
		}
	}
}
