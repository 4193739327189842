// The shadow tables that there are, in host memory in the host's format (64-bit entries, SDM Vol. 3A §4.4 and §4.5): found by
// what they shadow, linked to each other, given up when they are too many or no longer wanted.

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import { Entry } from "../guest/guest-page-walk.ts";
import type { HostFrames } from "../host-frames.ts";
import { ReverseMap } from "./reverse-map.ts";
import { ENTRIES, roleKey, ShadowTable, type TableRole } from "./shadow-table.ts";
import { Trace, type WriteTraces } from "./write-traces.ts";

const NO_TABLES: readonly ShadowTable[] = [];
/** The part of all tables that one search gives up. */
const GIVEN_UP = 1 / 8;

/** The host's own page directory entries at the end of linear space, present in every root of 32-bit guests. */
export interface ReservedEntries {
	/** Quadrant and first index of the page directory. */
	readonly quadrant: number;
	readonly first: number;
	/** Low halves; the high halves are 0. */
	readonly entries: readonly number[];
}

export class ShadowTablePool {
	readonly reverse: ReverseMap;
	/** Tables given up because there were too many. */
	evicted = 0;
	private readonly slots: (ShadowTable | undefined)[] = [];
	private readonly freeSlots: number[] = [];
	private readonly byKey = new Map<number, ShadowTable>();
	private readonly byFrame = new Map<number, ShadowTable>();
	private readonly byGuestPage = new Map<number, ShadowTable[]>();
	private readonly i32: Int32Array;

	/**
	 * @param limit tables at most.
	 * @param entryDropped told when a page table that shadows the guest's loses the mapping of a page.
	 */
	constructor(
		host: PhysicalMemory,
		private readonly frames: HostFrames,
		readonly limit: number,
		private readonly traces: () => WriteTraces,
		private readonly reserved: ReservedEntries | undefined,
		private readonly entryDropped: (page: number) => void,
	) {
		this.i32 = host.i32;
		this.reverse = new ReverseMap(this.slots);
	}

	get size(): number {
		return this.byKey.size;
	}

	/** Low half of an entry at a host-physical address. */
	low(address: number): number {
		return this.i32[(RAM_BASE + address) >>> 2]!;
	}

	high(address: number): number {
		return this.i32[((RAM_BASE + address) >>> 2) + 1]!;
	}

	// Frames of shadow tables never hold code that was decoded, so that the words can be stored as they are.
	private store(address: number, low: number, high: number): void {
		const word = (RAM_BASE + address) >>> 2;
		this.i32[word] = low;
		this.i32[word + 1] = high;
	}

	setLow(address: number, low: number): void {
		this.i32[(RAM_BASE + address) >>> 2] = low;
	}

	/** First index that is the VMM's own; ENTRIES when the table has none. */
	endOf({ role }: ShadowTable): number {
		const { reserved } = this;
		return reserved && role.level === 2 && role.quadrant === reserved.quadrant ? reserved.first : ENTRIES;
	}

	/** Finds or makes a table. A table of the guest's is write-traced from then on. */
	obtain(role: TableRole, guestPage: number): ShadowTable {
		const key = roleKey(role, guestPage);
		const found = this.byKey.get(key);
		if (found !== undefined) {
			found.referenced = true;
			return found;
		}
		const frame = this.frames.allocate();
		const start = (RAM_BASE + frame * 4096) >>> 2;
		this.i32.fill(0, start, start + 1024);
		const slot = this.freeSlots.pop() ?? this.slots.length;
		const table = new ShadowTable(key, role, guestPage, frame, slot);
		this.slots[slot] = table;
		this.byKey.set(key, table);
		this.byFrame.set(frame, table);
		const { reserved } = this;
		const first = this.endOf(table);
		if (reserved && first < ENTRIES)
			for (const [index, entry] of reserved.entries.entries()) this.store(table.entryAddress(first + index), entry, 0);
		if (!role.direct) {
			const same = this.byGuestPage.get(guestPage);
			if (same) same.push(table);
			else this.byGuestPage.set(guestPage, [table]);
			this.trace(table);
		}
		return table;
	}

	/** Traces a guest's table, in case that the trace was lifted. */
	trace(table: ShadowTable): void {
		this.traces().set(table.guestPage, Trace.table);
	}

	/** Shadows of a guest page. */
	ofGuestPage(page: number): readonly ShadowTable[] {
		return this.byGuestPage.get(page) ?? NO_TABLES;
	}

	/** The table that an entry at a host-physical address leads to. */
	child(address: number): ShadowTable | undefined {
		const low = this.low(address);
		return low & Entry.present ? this.byFrame.get(low >>> 12) : undefined;
	}

	/** Makes an entry lead to a table. True when another entry was there, which the TLB may still have. */
	link(parent: ShadowTable, index: number, child: ShadowTable, flags: number, high: number): boolean {
		const at = parent.entryAddress(index);
		const low = (child.frame * 4096) | flags;
		const old = this.low(at);
		if (old === low && this.high(at) === high) return false;
		const replaced = (old & Entry.present) !== 0;
		if (replaced) this.byFrame.get(old >>> 12)?.parents.delete(at);
		this.store(at, low, high);
		child.parents.add(at);
		return replaced;
	}

	/** Makes an entry of a page table map a page. True when another entry was there, which the TLB may still have. */
	map(table: ShadowTable, index: number, page: number, frame: number, flags: number, high: number): boolean {
		const at = table.entryAddress(index);
		const low = (frame * 4096) | flags;
		const old = this.low(at);
		if (old === low && this.high(at) === high) return false;
		const replaced = (old & Entry.present) !== 0;
		if (replaced) this.reverse.remove(table, index);
		this.store(at, low, high);
		this.reverse.add(page, table, index);
		return replaced && (old & ~(low & Entry.writable)) !== (low & ~Entry.writable);
	}

	/** Takes one entry out. */
	drop(table: ShadowTable, index: number): void {
		const at = table.entryAddress(index);
		const old = this.low(at);
		if ((old & Entry.present) === 0) return;
		this.store(at, 0, 0);
		if (table.level > 1) {
			this.byFrame.get(old >>> 12)?.parents.delete(at);
			return;
		}
		this.reverse.remove(table, index);
		if (!table.role.direct) this.entryDropped(table.pages[index]!);
	}

	/** Takes out every entry but the VMM's own. */
	empty(table: ShadowTable): void {
		const end = this.endOf(table);
		for (let index = 0; index < end; index++) this.drop(table, index);
	}

	/** Gives a table up; one that is in use as a root is only emptied. The caller flushes the TLB. */
	destroy(table: ShadowTable): void {
		this.empty(table);
		if (table.pinned) return;
		for (const parent of table.parents) this.store(parent, 0, 0);
		this.byKey.delete(table.key);
		this.byFrame.delete(table.frame);
		this.slots[table.slot] = undefined;
		this.freeSlots.push(table.slot);
		this.frames.release(table.frame);
		const same = this.byGuestPage.get(table.guestPage);
		if (table.role.direct || same === undefined) return;
		same.splice(same.indexOf(table), 1);
		if (same.length > 0) return;
		this.byGuestPage.delete(table.guestPage);
		this.traces().clear(table.guestPage, Trace.table);
	}

	destroyAll(): void {
		for (const table of [...this.byKey.values()]) this.destroy(table);
	}

	/**
	 * Makes room for `count` tables. Gives up those that were not used since the last search, oldest first, then any.
	 * @returns true when tables were given up: the caller flushes the TLB.
	 */
	makeRoom(count: number): boolean {
		if (this.size + count <= this.limit) return false;
		const goal = this.limit - Math.max(count, Math.ceil(this.limit * GIVEN_UP));
		const before = this.size;
		for (const spared of [true, false])
			for (const table of [...this.byKey.values()]) {
				if (this.size <= goal) break;
				if (table.pinned) continue;
				if (spared && table.referenced) table.referenced = false;
				else this.destroy(table);
			}
		this.evicted += before - this.size;
		return true;
	}
}
