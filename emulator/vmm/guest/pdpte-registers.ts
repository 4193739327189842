// The PDPTE registers of PAE paging, which the processor loads with CR3 and keeps (SDM Vol. 3A §4.4.1).

import { Cr0, Cr4, Entry, type PagingControls, PagingMode, pagingMode } from "./guest-page-walk.ts";
import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";

/** Bits of CR0 and CR4 that load the registers anew when they change. */
export const LOADS_PDPTES = {
	cr0: Cr0.pg | 0x60000000,
	cr4: Cr4.pae | Cr4.pge | Cr4.pse | Cr4.smep,
} as const;
/** Reserved in a present PDPTE: 8:5 and 2:1 (Table 4-8), and above the 40 address bits. */
const RESERVED_LOW = 0x1e6;
const RESERVED_HIGH = 0xffffff00 | 0;

/**
 * Loads the registers of `controls` as it is to be, if that pages by PAE.
 * @returns false, and nothing is changed, when a PDPTE sets a reserved bit: the caller raises #GP(0).
 */
export function loadPdptes(memory: GuestPhysicalMemory, controls: PagingControls): boolean {
	if (pagingMode(controls) !== PagingMode.pae) return true;
	const table = (controls.cr3 & ~0x1f) >>> 0;
	const words = Array.from({ length: 8 }, (_, index) => memory.read32(table + index * 4));
	for (let index = 0; index < 8; index += 2) {
		const [low, high] = [words[index]!, words[index + 1]!];
		if (low & Entry.present && (low & RESERVED_LOW || high & RESERVED_HIGH)) return false;
	}
	controls.pdptes.set(words);
	return true;
}
