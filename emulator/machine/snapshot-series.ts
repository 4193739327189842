// Snapshots of a run, taken by themselves in growing distances, so that a way back is short and memory stays bounded.

import type { MachineSnapshot, VirtualMachine } from "./virtual-machine.ts";

/** A snapshot and how far the records of the run were. */
export interface Snapshot {
	readonly instructions: number;
	readonly machine: MachineSnapshot;
	/** Actions from outside that lay behind the machine. */
	readonly actions: number;
	/** Bytes that the outputs had had. */
	readonly serial: number;
	readonly console: number;
}

/** Instructions between two snapshots at first: a run of about two seconds. */
const DISTANCE = 250_000_000;
/** Bytes that the snapshots of one machine may take together. */
const MOST_BYTES = 1 << 30;
const MOST_SNAPSHOTS = 24;

export class SnapshotSeries {
	private snapshots: Snapshot[] = [];
	private distance: number;

	/** @param firstDistance instructions between two snapshots until there are many */
	constructor(
		private readonly machine: VirtualMachine,
		private readonly firstDistance = DISTANCE,
	) {
		this.distance = firstDistance;
	}

	/** The count at which the next snapshot is to be taken; never for a machine that cannot. */
	due(now: number): number {
		if (!this.machine.takeSnapshot) return Number.POSITIVE_INFINITY;
		const last = this.snapshots.at(-1)?.instructions ?? 0;
		return last > now ? Number.POSITIVE_INFINITY : Math.max(now + 1, last + this.distance);
	}

	/** Takes a snapshot when one is due. */
	take(actions: number, serial: number, console: number): void {
		const instructions = this.machine.instructionCount();
		const last = this.snapshots.at(-1);
		if (!this.machine.takeSnapshot || instructions < (last?.instructions ?? 0) + this.distance) return;
		const machine = this.machine.takeSnapshot(last?.machine);
		this.snapshots.push({ instructions, machine, actions, serial, console });
		const bytes = this.snapshots.reduce((sum, snapshot) => sum + snapshot.machine.bytes, 0);
		if (this.snapshots.length <= MOST_SNAPSHOTS && bytes <= MOST_BYTES) return;
		// Every other one goes; the latest stays, for it is what the next one is compared with.
		this.distance *= 2;
		this.snapshots = this.snapshots.filter((_, index) => (this.snapshots.length - 1 - index) % 2 === 0);
	}

	/** Puts the machine to the latest snapshot at or before a count; undefined, and nothing done, when there is none. */
	restore(instructions: number): Snapshot | undefined {
		const found = this.snapshots.filter((snapshot) => snapshot.instructions <= instructions).at(-1);
		if (found) this.machine.restoreSnapshot!(found.machine);
		return found;
	}

	counts(): number[] {
		return this.snapshots.map(({ instructions }) => instructions);
	}

	/** The run was changed at a count: what came behind it is of another future. */
	dropAfter(instructions: number): void {
		this.snapshots = this.snapshots.filter((snapshot) => snapshot.instructions <= instructions);
	}

	clear(): void {
		this.snapshots = [];
		this.distance = this.firstDistance;
	}
}
