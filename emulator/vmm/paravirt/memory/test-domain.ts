// For tests: machine memory, a frame table and owners of frames without a processor.

import { PhysicalMemory } from "../../../engine/physical-memory.ts";
import { FrameAllocator, FrameFlag, FrameTable, PageType } from "./frame-table.ts";
import { MachineMemory } from "./machine-memory.ts";
import { Entry, isTable, PageTables, type TableOwner } from "./page-tables.ts";

const FRAMES = 512;
export const P = Entry.present;
export const W = Entry.writable;
export const U = Entry.user;

export class TestOwner implements TableOwner {
	readonly freed: number[] = [];

	constructor(
		private readonly bench: TestBench,
		readonly id: number,
		readonly wide: boolean,
		readonly privileged = false,
	) {
		bench.owners.set(id, this);
	}

	fillXenSlots(frame: number): void {
		for (let slot = 256; slot < 272; slot++) this.bench.memory.writeEntry(frame, slot, 0, 0);
		this.bench.memory.writeEntry(frame, 256, 0xabc000 | P, 0);
	}

	fillCompatSlots(frame: number): void {
		for (let slot = 428; slot < 512; slot++) this.bench.memory.writeEntry(frame, slot, 0xabc000 | P, 0);
	}

	frameFreed(frame: number): void {
		this.freed.push(frame);
	}

	/** A frame of this owner. */
	take(): number {
		const { allocator, table, memory } = this.bench;
		const frame = allocator.take();
		memory.clear(frame);
		table.owner[frame] = this.id;
		table.referenceCount[frame] = 1;
		table.flags[frame] = FrameFlag.allocated;
		return frame;
	}
}

export class TestBench {
	readonly memory = new MachineMemory(new PhysicalMemory(FRAMES * 4096));
	readonly table = new FrameTable(FRAMES);
	readonly allocator = new FrameAllocator(Array.from({ length: FRAMES - 16 }, (_, index) => index + 16));
	readonly owners = new Map<number, TestOwner>();
	flushes = 0;
	readonly tables = new PageTables(this.memory, this.table, this.allocator, {
		owner: (id) => this.owners.get(id),
		flushes: () => this.flushes,
		flush: () => void this.flushes++,
	});

	/** An entry into a table that is not checked yet. */
	put(table: number, index: number, frame: number, flags: number, high = 0): void {
		this.memory.writeEntry(table, index, frame * 4096 + flags, high);
	}

	/** [typeCount, referenceCount] of a frame. */
	counts(frame: number): [number, number] {
		return [this.table.typeCount[frame]!, this.table.referenceCount[frame]!];
	}

	/**
	 * Counts references from scratch: what every frame must have, given how often each is used as a root or otherwise held.
	 * @returns what is wrong, in words; empty when all is right
	 */
	recount(roots: ReadonlyMap<number, number> = new Map()): string[] {
		return recount(this.memory, this.table, this.owners, roots);
	}
}

/** Type and general references of all frames, counted anew from the tables; `held` are references of both kinds that no table shows. */
export function recount(
	memory: MachineMemory,
	table: FrameTable,
	owners: ReadonlyMap<number, { readonly wide: boolean }>,
	held: ReadonlyMap<number, number>,
): string[] {
	const types = new Uint32Array(table.frames);
	const references = new Uint32Array(table.frames);
	const wrong: string[] = [];
	const both = (frame: number, count = 1): void => {
		types[frame]! += count;
		references[frame]! += count;
	};
	for (const [frame, count] of held) both(frame, count);
	for (let frame = 0; frame < table.frames; frame++) {
		if (table.has(frame, FrameFlag.allocated)) references[frame]!++;
		if (table.has(frame, FrameFlag.shared)) types[frame]!++;
		if (table.has(frame, FrameFlag.pinned)) both(frame);
		const type = table.type[frame]!;
		if (!isTable(type) || table.typeCount[frame] === 0) continue;
		const wide = owners.get(table.owner[frame]!)?.wide ?? true;
		for (let index = 0; index < 512; index++) {
			if (type === PageType.l4 && index >= 256 && index < 272) continue;
			if (type === PageType.l2Top && index >= 428) continue;
			if (type === PageType.l3 && !wide && index > 3) continue;
			const low = memory.read(frame, index * 2);
			if ((low & P) === 0) continue;
			const target = low >>> 12;
			if (!memory.isRam(target)) continue;
			if (type === PageType.l1 && (low & W) === 0) references[target]!++;
			else both(target);
			if (type === PageType.l1 && low & W && table.type[target] !== PageType.writable)
				wrong.push(`frame ${frame} maps frame ${target} of type ${table.type[target]} writable`);
		}
	}
	for (let frame = 0; frame < table.frames; frame++) {
		if (types[frame] !== table.typeCount[frame])
			wrong.push(`frame ${frame} has ${table.typeCount[frame]} type references, counted ${types[frame]}`);
		if (references[frame] !== table.referenceCount[frame])
			wrong.push(`frame ${frame} has ${table.referenceCount[frame]} references, counted ${references[frame]}`);
	}
	return wrong;
}
