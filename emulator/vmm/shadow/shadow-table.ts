// One shadow page-table page in host memory, and what it shadows.

/** Entries of a table in the host's format. */
export const ENTRIES = 512;

/** What a shadow table was built from. Two that differ in any of these are two tables, also of one guest page. */
export interface TableRole {
	/** 1 = page table ... 4 = PML4, of the host's tables. */
	readonly level: number;
	/** It maps guest-physical memory in a row: a part of a large page, or memory as it is while the guest does not page. */
	readonly direct: boolean;
	/**
	 * Which part of a 32-bit table, whose 1024 entries need more than one table of 512. For page directories this is the gigabyte of
	 * linear space, which also tells the tables that hold the VMM's own entries.
	 */
	readonly quadrant: number;
	/** With CR0.WP = 0: bit 3, and R/W and U/S of all levels above (Entry bits), which then count at the last level; else 0. */
	readonly rights: number;
}

const PAGES = 2 ** 28;

export function roleKey({ level, direct, quadrant, rights }: TableRole, guestPage: number): number {
	return ((rights << 6) | (quadrant << 4) | (direct ? 8 : 0) | level) * PAGES + guestPage;
}

export class ShadowTable {
	/** Host-physical addresses of the shadow entries that point here. */
	readonly parents = new Set<number>();
	/** Traced writes to the guest's page since the table was last used for a fill or a switch. */
	writes = 0;
	/** In use as a root: it may be emptied but not given up. */
	pinned = false;
	/** Used since the last search for tables to give up. */
	referenced = true;
	/** Of a page table: the guest-physical page that each present entry maps, and its neighbours in the list of that page's entries. */
	readonly pages: Int32Array;
	readonly next: Int32Array;
	readonly previous: Int32Array;

	constructor(
		readonly key: number,
		readonly role: TableRole,
		/** Guest-physical page that is shadowed; of direct tables the first page that is mapped. */
		readonly guestPage: number,
		/** Host frame that holds the table. */
		readonly frame: number,
		/** Its number among the tables that there are. */
		readonly slot: number,
	) {
		const size = role.level === 1 ? ENTRIES : 0;
		this.pages = new Int32Array(size);
		this.next = new Int32Array(size);
		this.previous = new Int32Array(size);
	}

	get level(): number {
		return this.role.level;
	}

	/** Host-physical address of an entry. */
	entryAddress(index: number): number {
		return this.frame * 4096 + index * 8;
	}
}
