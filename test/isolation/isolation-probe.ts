// Sees whether a guest reaches host memory that is not its own: by what its code does on the host's processor, by what the VMM and
// devices do for it, and by what the hardware's tables would let it do.

import assert from "node:assert/strict";
import type { AccessWatch, WatchedAccess } from "../../emulator/cpu/memory-access.ts";
import { WatchedFor } from "../../emulator/cpu/memory-access.ts";
import { RAM_BASE } from "../../emulator/isa/state.ts";
import type { HostMachine } from "../../emulator/machine/host-machine.ts";
import type { GuestPhysicalMemory } from "../../emulator/vmm/guest/guest-physical-memory.ts";
import type { HostFrames } from "../../emulator/vmm/host-frames.ts";
import { type Reached, type TableFormat, walkTables } from "./hardware-tables.ts";

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
	/** The VMM's area. */
	readonly area: Range;
	/** Host-physical pages of the VMM that the code which it makes for the guest uses on its behalf. */
	readonly shared: ReadonlySet<number>;
	/** The tables that translate for the guest now. */
	tables(): { readonly root: number; readonly format: TableFormat };
	/** Whether the VMM itself is mapped there, out of the guest's reach. */
	isOwn(reached: Reached): boolean;
	/** Values that only the VMM may change, and does not. */
	state(): readonly unknown[];
}

const NEIGHBOUR_FRAMES = 32;
const FIRST_MEBIBYTE = 1 << 20;
/** Compared at once: what stays in a processor's cache. */
const CHUNK = 1 << 18;

const zeros = Buffer.alloc(CHUNK);

export class IsolationProbe implements AccessWatch {
	private readonly host: HostMachine;
	private readonly neighbours: (readonly [frame: number, bytes: Uint8Array])[] = [];
	private readonly before: readonly Uint8Array[];
	private readonly stateBefore: readonly unknown[];
	/** 1 for the guest's frames. The pmap only grows. */
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
			const bytes = new Uint8Array(new Int32Array(1024).fill(Math.imul(frame, 0x9e3779b1) | 1).buffer);
			this.bytes({ start: frame * 4096, length: 4096 }).set(bytes);
			this.neighbours.push([frame, bytes]);
		}
		this.before = memory.constant.map((range) => this.bytes(range).slice());
		this.stateBefore = memory.state();
		host.processor.setWatches([this]);
		const { onDmaWrite } = host;
		host.onDmaWrite = (address, length) => {
			for (let frame = Math.floor(address / 4096); frame * 4096 < address + length; frame++)
				if (!this.ownsFrame(frame))
					this.violation ??= `A device wrote ${length} bytes of host memory at 0x${address.toString(16)}.`;
			onDmaWrite(address, length);
		};
	}

	/** The guest has pulled its reset line: the machine, its neighbour's frames among it, has been made anew. */
	get isRestarted(): boolean {
		return this.parts.monitor !== this.monitor;
	}

	/** Outside a guest the processor looks at the VMM's descriptor tables and task state by itself; in a guest at the guest's. */
	get explicitOnly(): boolean {
		return !this.host.processor.runsGuest;
	}

	/** A host frame of the neighbour. */
	get neighbour(): number {
		return this.neighbours[0]![0];
	}

	private bytes({ start, length }: Range): Uint8Array {
		return this.host.physical.u8.subarray(RAM_BASE + start, RAM_BASE + start + length);
	}

	private isZero({ start, length }: Range): boolean {
		for (let done = 0; done < length; done += CHUNK) {
			const part = Math.min(CHUNK, length - done);
			if (Buffer.compare(this.bytes({ start: start + done, length: part }), zeros.subarray(0, part)) !== 0)
				return false;
		}
		return true;
	}

	private ownsFrame(frame: number): boolean {
		if (this.ownership[frame] === 1) return true;
		for (const owned of this.monitor.physical.pmap) if (owned >= 0) this.ownership[owned] = 1;
		return this.ownership[frame] === 1;
	}

	watches(_low: number, _high: number, page: number): number {
		const free = page >= this.ownership.length || this.memory.shared.has(page) || this.ownsFrame(page);
		return free ? WatchedFor.nothing : WatchedFor.reads | WatchedFor.writes;
	}

	accessed({ linear, physical, write, size }: WatchedAccess): void {
		const { processor } = this.host;
		const { cpl, rip } = processor.core.state;
		// In ring 0 outside a guest the VMM itself is at work.
		const guestRuns = processor.runsGuest || cpl !== 0;
		if (!guestRuns || this.ownsFrame(physical >>> 12)) return;
		const what = write ? "wrote" : "read";
		this.violation ??= `The guest ${what} ${size} bytes of host memory at 0x${physical.toString(16)} (linear 0x${linear.toString(16)}, instruction 0x${rip.toString(16)}, CPL ${cpl}).`;
	}

	/** @throws {assert.AssertionError} when the guest has reached what is not its own, or the hardware's tables would let it */
	check(): void {
		assert.equal(this.violation, undefined, this.violation);
		if (this.isRestarted) return;
		const { root, format } = this.memory.tables();
		const isTable = (frame: number) =>
			assert.ok(!this.ownsFrame(frame), `the guest owns the table 0x${frame.toString(16)}`);
		walkTables(this.host.physical, root, format, (reached) => this.checkReached(reached), isTable);
	}

	private checkReached(reached: Reached): void {
		if (this.memory.isOwn(reached)) return;
		for (let frame = reached.frame; frame < reached.frame + reached.frames; frame++)
			if (!this.ownsFrame(frame))
				assert.fail(
					`The tables map page 0x${reached.page.toString(16)} to host frame 0x${frame.toString(16)}, which is not the guest's.`,
				);
	}

	/** The whole comparison, at the end of a machine's life. @throws {assert.AssertionError} */
	checkAll(): void {
		this.check();
		if (this.isRestarted) return;
		for (const [frame, bytes] of this.neighbours) {
			const same = Buffer.compare(this.bytes({ start: frame * 4096, length: 4096 }), bytes) === 0;
			assert.ok(same, `the neighbour's frame 0x${frame.toString(16)} changed`);
		}
		assert.ok(this.isZero({ start: 0, length: FIRST_MEBIBYTE }), "the first MiB, which nobody owns, changed");
		const { frames, physical } = this.monitor;
		const start = frames.firstUnused * 4096;
		assert.ok(this.isZero({ start, length: this.host.physical.ramBytes - start }), "memory that nobody owns changed");
		this.memory.constant.forEach((range, index) => {
			const same = Buffer.compare(this.bytes(range), this.before[index]!) === 0;
			assert.ok(same, `the VMM's structure at 0x${range.start.toString(16)} changed`);
		});
		assert.deepEqual(this.memory.state(), this.stateBefore, "the VMM's own values changed");
		const owned = physical.pmap.filter((frame) => frame >= 0);
		assert.equal(new Set(owned).size, owned.length, "two guest pages share a frame");
		const { area } = this.memory;
		for (const frame of owned)
			assert.ok(
				frame * 4096 < area.start || frame * 4096 >= area.start + area.length,
				"a guest page lies in the VMM's area",
			);
		for (const [frame] of this.neighbours)
			assert.ok(!this.ownsFrame(frame), "a guest page lies in the neighbour's memory");
	}
}
