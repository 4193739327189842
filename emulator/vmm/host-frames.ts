// Frames of host-physical memory that the VMM hands out: to the guest (by the pmap) and to shadow page tables.

import { MachineError } from "../machine/virtual-machine.ts";

export interface HostFramesState {
	readonly next: number;
	readonly free: readonly number[];
}

export class HostFrames {
	private next: number;
	private readonly free: number[] = [];

	/** @param first number of the first free frame; @param end exclusive. */
	constructor(
		private readonly first: number,
		private readonly end: number,
	) {
		this.next = first;
	}

	/** Number of a frame. Its content is what the last owner left; fresh frames are zero. @throws {MachineError} when none is left. */
	allocate(): number {
		const freed = this.free.pop();
		if (freed !== undefined) return freed;
		if (this.next >= this.end)
			throw new MachineError(
				"Host memory is used up by guest pages and shadow tables; start the machine with less guest memory.",
			);
		return this.next++;
	}

	release(frame: number): void {
		this.free.push(frame);
	}

	/** A run of frames with consecutive numbers. */
	allocateRun(count: number): number {
		if (this.next + count > this.end) throw new MachineError("Host memory is too small for the VMM's own area.");
		const run = this.next;
		this.next += count;
		return run;
	}

	/** What is handed out, for restore(). */
	save(): HostFramesState {
		return { next: this.next, free: this.free.slice() };
	}

	restore({ next, free }: HostFramesState): void {
		this.next = next;
		this.free.splice(0, this.free.length, ...free);
	}

	/** The first frame that was never handed out. */
	get firstUnused(): number {
		return this.next;
	}

	get used(): number {
		return this.next - this.first - this.free.length;
	}
}
