// Guest-physical page → shadow entries that map it (the backmap), so that a trace can downgrade them: a doubly linked list for
// each page that runs through the tables, for a guest may map one page from every entry that it has.

import { ENTRIES, type ShadowTable } from "./shadow-table.ts";

const NONE = -1;
/** Pages whose list heads are allocated at once: most of the 4 GBytes are never mapped. */
const CHUNK = 4096;

export class ReverseMap {
	/** Place of the first entry of each page, or NONE. */
	private readonly heads: (Int32Array | undefined)[] = [];

	/** @param tables by slot. */
	constructor(private readonly tables: readonly (ShadowTable | undefined)[]) {}

	private head(page: number): number {
		return this.heads[Math.floor(page / CHUNK)]?.[page % CHUNK] ?? NONE;
	}

	private setHead(page: number, place: number): void {
		const chunk = Math.floor(page / CHUNK);
		this.heads[chunk] ??= new Int32Array(CHUNK).fill(NONE);
		this.heads[chunk][page % CHUNK] = place;
	}

	add(page: number, table: ShadowTable, index: number): void {
		const head = this.head(page);
		const place = table.slot * ENTRIES + index;
		table.pages[index] = page;
		table.next[index] = head;
		table.previous[index] = NONE;
		if (head !== NONE) this.tables[Math.floor(head / ENTRIES)]!.previous[head % ENTRIES] = place;
		this.setHead(page, place);
	}

	remove(table: ShadowTable, index: number): void {
		const next = table.next[index]!;
		const previous = table.previous[index]!;
		if (previous === NONE) this.setHead(table.pages[index]!, next);
		else this.tables[Math.floor(previous / ENTRIES)]!.next[previous % ENTRIES] = next;
		if (next !== NONE) this.tables[Math.floor(next / ENTRIES)]!.previous[next % ENTRIES] = previous;
	}

	forEach(page: number, visit: (table: ShadowTable, index: number) => void): void {
		for (let place = this.head(page); place !== NONE; ) {
			const table = this.tables[Math.floor(place / ENTRIES)]!;
			const index = place % ENTRIES;
			place = table.next[index]!;
			visit(table, index);
		}
	}
}
