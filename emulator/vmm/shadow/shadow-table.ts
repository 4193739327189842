// One shadow page-table page in host memory, and what it shadows.

/** What a shadow table was built from. */
export const TableKind = {
	/** A guest page directory. */
	root: 0,
	/** A guest page table. */
	table: 1,
	/** A guest 4 MB page, splintered into 4 KB pages; also 4 MB of guest-physical memory while the guest does not page. */
	splinter: 2,
} as const;

export class ShadowTable {
	/** Host-physical addresses of the shadow directory entries that point here (tables and splinters). */
	readonly parents = new Set<number>();
	/** Traced writes to the guest's page since the table was last used for a fill or a switch. */
	writes = 0;
	/** Guest-physical page that each present entry of a table or splinter maps. */
	readonly pages = new Int32Array(1024);

	constructor(
		readonly key: number,
		readonly kind: number,
		/** Guest-physical page that is shadowed: the directory's, the table's, or the first page of the 4 MB. */
		readonly guestPage: number,
		/** Host frame that holds the table. */
		readonly frame: number,
		/** Splinters: rights and dirty bit of the 4 MB entry (Entry bits); with write protection off: of the directory entry above. */
		readonly rights: number,
	) {}
}
