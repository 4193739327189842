// What the hardware's own tables let a guest reach: an independent walk of the page tables in host memory (SDM Vol. 3A §4.4, §4.5;
// Vol. 3C §29.3.2).

import type { PhysicalMemory } from "../../emulator/engine/physical-memory.ts";
import { RAM_BASE } from "../../emulator/isa/state.ts";

const ENTRIES = 512;
const LARGE = 1 << 7;

export interface TableFormat {
	/** Levels below the root table, and entries of the root. */
	readonly levels: number;
	readonly rootEntries: number;
	/** Bits of which an entry that leads anywhere has one. */
	readonly present: number;
}

export const pageTables = (fourLevel: boolean): TableFormat =>
	fourLevel ? { levels: 4, rootEntries: ENTRIES, present: 1 } : { levels: 3, rootEntries: 4, present: 1 };
export const extendedPageTables: TableFormat = { levels: 4, rootEntries: ENTRIES, present: 7 };

export interface Reached {
	/** Number of the address's page. */
	readonly page: number;
	/** First host frame, and how many. */
	readonly frame: number;
	readonly frames: number;
	/** Low half of the last entry. */
	readonly flags: number;
}

/**
 * Calls `visit` for every page that the tables at a host-physical address map, and `table` for every frame that holds one of them.
 * Tables that the host has no memory for count as what they map.
 */
export function walkTables(
	physical: PhysicalMemory,
	root: number,
	format: TableFormat,
	visit: (reached: Reached) => void,
	table: (frame: number) => void,
): void {
	const { i32 } = physical;
	const walk = (address: number, level: number, first: number): void => {
		const count = level === format.levels ? format.rootEntries : ENTRIES;
		const word = (RAM_BASE + address) >> 2;
		table(Math.floor(address / 4096));
		for (let index = 0; index < count; index++) {
			const flags = i32[word + index * 2]!;
			if ((flags & format.present) === 0) continue;
			const frame = (flags >>> 12) + (i32[word + index * 2 + 1]! & 0xfffff) * 0x100000;
			const frames = ENTRIES ** (level - 1);
			const page = first + index * frames;
			const isLeaf = level === 1 || (level < 4 && level < format.levels && (flags & LARGE) !== 0);
			if (isLeaf || frame * 4096 >= physical.ramBytes) visit({ page, frame, frames, flags });
			else walk(frame * 4096, level - 1, page);
		}
	};
	walk(root, format.levels, 0);
}
