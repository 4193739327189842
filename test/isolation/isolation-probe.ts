// Sees whether a guest reaches host memory that is not its own: by what its code does on the host's processor, and by what the
// VMM does for it.

import assert from "node:assert/strict";
import type { AccessWatch, WatchedAccess } from "../../emulator/cpu/memory-access.ts";
import { WatchedFor } from "../../emulator/cpu/memory-access.ts";
import { RAM_BASE } from "../../emulator/isa/state.ts";
import type { HostMachine } from "../../emulator/machine/host-machine.ts";
import type { GuestPhysicalMemory } from "../../emulator/vmm/guest/guest-physical-memory.ts";
import type { HostFrames } from "../../emulator/vmm/host-frames.ts";

/** What a machine with a VMM shows to this test. */
export interface HostedParts {
	readonly host: HostMachine;
	readonly monitor: { readonly frames: HostFrames; readonly physical: GuestPhysicalMemory };
}

/** A range of host-physical memory. */
export interface Range {
	readonly start: number;
	readonly length: number;
}

/** What is known of a technique's memory. */
export interface TechniqueMemory {
	/** The VMM's structures that stay as they were at power-on. */
	readonly constant: readonly Range[];
	/** Host-physical pages of the VMM that the code which it makes for the guest uses on its behalf. */
	readonly shared: ReadonlySet<number>;
}

const NEIGHBOUR_FRAMES = 32;
const FIRST_MEBIBYTE = 1 << 20;

export class IsolationProbe implements AccessWatch {
	private readonly host: HostMachine;
	private readonly neighbours: number[] = [];
	private readonly before: readonly Uint8Array[];
	private readonly ownership: Uint8Array;
	private readonly monitor: HostedParts["monitor"];
	private violation: string | undefined;

	/** The machine was just switched on. */
	constructor(
		private readonly parts: HostedParts,
		private readonly memory: TechniqueMemory,
	) {
		const { host, monitor } = parts;
		this.host = host;
		this.monitor = monitor;
		this.ownership = new Uint8Array(host.physical.ramBytes / 4096);
		for (let index = 0; index < NEIGHBOUR_FRAMES; index++) {
			const frame = monitor.frames.allocate();
			this.neighbours.push(frame);
			this.words(frame * 4096, 4096).fill(pattern(frame));
		}
		this.before = memory.constant.map((range) => this.bytes(range).slice());
		host.processor.setWatches([this]);
	}

	/** The guest has pulled its reset line: the machine, its neighbour's frames among it, has been made anew. */
	get isRestarted(): boolean {
		return this.parts.monitor !== this.monitor;
	}

	private words(start: number, length: number): Int32Array {
		return this.host.physical.i32.subarray((RAM_BASE + start) >> 2, (RAM_BASE + start + length) >> 2);
	}

	private bytes({ start, length }: Range): Uint8Array {
		return this.host.physical.u8.subarray(RAM_BASE + start, RAM_BASE + start + length);
	}

	private ownsFrame(frame: number): boolean {
		if (this.ownership[frame] === 0 && this.parts.monitor.physical.pmap.includes(frame)) this.ownership[frame] = 1;
		return this.ownership[frame] === 1;
	}

	watches(_low: number, _high: number, page: number): number {
		const free = page >= this.ownership.length || this.ownsFrame(page) || this.memory.shared.has(page);
		return free ? WatchedFor.nothing : WatchedFor.reads | WatchedFor.writes;
	}

	accessed({ linear, physical, write, size, implicit }: WatchedAccess): void {
		const { processor } = this.host;
		const { cpl, rip } = processor.core.state;
		// In ring 0 outside a guest the VMM itself is at work; the processor looks at the VMM's descriptor tables and task state.
		const guestRuns = processor.runsGuest || (cpl !== 0 && !implicit);
		if (!guestRuns || this.ownsFrame(physical >>> 12)) return;
		const what = write ? "wrote" : "read";
		this.violation ??= `The guest ${what} ${size} bytes of host memory at 0x${physical.toString(16)} (linear 0x${linear.toString(16)}, instruction 0x${rip.toString(16)}, CPL ${cpl}).`;
	}

	/** @throws {assert.AssertionError} when the guest has read or written what is not its own */
	check(): void {
		assert.equal(this.violation, undefined, this.violation);
	}

	/** The whole comparison, at the end of a machine's life. @throws {assert.AssertionError} */
	checkAll(): void {
		this.check();
		if (this.isRestarted) return;
		for (const frame of this.neighbours)
			assert.ok(
				holds(this.words(frame * 4096, 4096), pattern(frame)),
				`the neighbour's frame 0x${frame.toString(16)} changed`,
			);
		assert.ok(holds(this.words(0, FIRST_MEBIBYTE), 0), "the first MiB, which nobody owns, changed");
		const { frames, physical } = this.parts.monitor;
		const unused = (frames.firstUnused + 1) * 4096;
		assert.ok(holds(this.words(unused, this.host.physical.ramBytes - unused), 0), "memory that nobody owns changed");
		this.memory.constant.forEach((range, index) => {
			const same = Buffer.compare(this.bytes(range), this.before[index]!) === 0;
			assert.ok(same, `the VMM's structure at 0x${range.start.toString(16)} changed`);
		});
		const owned = physical.pmap.filter((frame) => frame >= 0);
		assert.equal(new Set(owned).size, owned.length, "two guest pages share a frame");
		assert.ok(!this.neighbours.some((frame) => owned.includes(frame)), "a guest page lies in the neighbour's memory");
	}
}

function pattern(frame: number): number {
	return Math.imul(frame, 0x9e3779b1) | 1;
}

/** True when all words are `value`; a loop, for there are millions of them. */
function holds(words: Int32Array, value: number): boolean {
	for (let index = 0; index < words.length; index++) if (words[index] !== value) return false;
	return true;
}
