// Guest-physical page → shadow entries that map it (the backmap), so that a trace can downgrade them: a doubly linked list for
// each page that runs through the tables, for a guest may map one page from every entry that it has.

import { ENTRIES, type ShadowTable } from "./shadow-table.ts";

const NONE = -1;

export class ReverseMap {
	private readonly heads: Int32Array;

	/** @param pages guest-physical pages. @param tables by slot. */
	constructor(
		pages: number,
		private readonly tables: readonly (ShadowTable | undefined)[],
	) {
		this.heads = new Int32Array(pages).fill(NONE);
	}

	add(page: number, table: ShadowTable, index: number): void {
		const head = this.heads[page]!;
		const place = table.slot * ENTRIES + index;
		table.pages[index] = page;
		table.next[index] = head;
		table.previous[index] = NONE;
		if (head !== NONE) this.tables[Math.floor(head / ENTRIES)]!.previous[head % ENTRIES] = place;
		this.heads[page] = place;
	}

	remove(table: ShadowTable, index: number): void {
		const next = table.next[index]!;
		const previous = table.previous[index]!;
		if (previous === NONE) this.heads[table.pages[index]!] = next;
		else this.tables[Math.floor(previous / ENTRIES)]!.next[previous % ENTRIES] = next;
		if (next !== NONE) this.tables[Math.floor(next / ENTRIES)]!.previous[next % ENTRIES] = previous;
	}

	forEach(page: number, visit: (table: ShadowTable, index: number) => void): void {
		for (let place = this.heads[page] ?? NONE; place !== NONE; ) {
			const table = this.tables[Math.floor(place / ENTRIES)]!;
			const index = place % ENTRIES;
			place = table.next[index]!;
			visit(table, index);
		}
	}
}
