// Addresses behind which there is nothing: reads float high, writes go nowhere, and both are counted so that a view shows them.

import type { AccessSize, Device, RegisterBlock, RegisterView } from "./device.ts";
import { allOnes, hex } from "./register-format.ts";

interface UnassignedState {
	reads: number;
	writes: number;
	/** The first addresses that were touched, with counts; bounded, because the guest chooses the addresses. */
	touched: { address: number; reads: number; writes: number }[];
}

const most = 256;

/** Answers all ones (ISA and PCI: nobody drives the data lines) and remembers who was asked for. */
export class UnassignedRange implements Device, RegisterBlock {
	private state: UnassignedState = { reads: 0, writes: 0, touched: [] };
	private index = new Map<number, { reads: number; writes: number }>();

	/** @param onFirst called at the first access to an address, for a log. */
	constructor(
		readonly name: string,
		private readonly onFirst: (sentence: string) => void = () => {},
	) {}

	read(offset: number, size: AccessSize): number {
		this.state.reads++;
		const entry = this.entry(offset, size, "read");
		if (entry) entry.reads++;
		return allOnes(size);
	}

	write(offset: number, size: AccessSize, value: number): void {
		this.state.writes++;
		const entry = this.entry(offset, size, `write of ${hex(value, 8 * size)}`);
		if (entry) entry.writes++;
	}

	/** The addresses touched so far, at most 256, in the order of the first access. */
	accesses(): readonly { address: number; reads: number; writes: number }[] {
		return this.state.touched;
	}

	reset(): void {
		this.state = { reads: 0, writes: 0, touched: [] };
		this.index.clear();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as UnassignedState);
		this.index = new Map(this.state.touched.map((entry) => [entry.address, entry]));
	}

	registers(): RegisterView[] {
		const touched = this.state.touched.map(({ address, reads, writes }) => ({
			name: hex(address, 16),
			width: 32,
			value: reads + writes,
			meaning: `${reads} reads, ${writes} writes`,
		}));
		return [
			{ name: "reads", width: 32, value: this.state.reads },
			{ name: "writes", width: 32, value: this.state.writes },
			...touched,
		];
	}

	private entry(address: number, size: AccessSize, what: string): { reads: number; writes: number } | undefined {
		let entry = this.index.get(address);
		if (!entry && this.index.size < most) {
			const added = { address, reads: 0, writes: 0 };
			this.state.touched.push(added);
			this.index.set(address, added);
			this.onFirst(`${this.name}: ${size}-byte ${what} at ${hex(address, 16)}, where no device answers`);
			entry = added;
		}
		return entry;
	}
}
