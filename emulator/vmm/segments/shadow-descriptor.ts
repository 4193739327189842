// What a guest descriptor becomes in the host's tables: DPL 0 becomes 1, and the segment ends below the VMM (Adams & Agesen,
// ASPLOS 2006, §3; Bugnion et al., ACM TOCS 30(4), 2012).

import { VMM_BASE } from "../layout.ts";

const ACCESSED = 1 << 8;
const EXPAND_DOWN = 1 << 10;
const CODE = 1 << 11;
const S = 1 << 12;
const DPL = 3 << 13;
const G = 1 << 23;
/** D/B, and with it the limit's upper nibble. */
const UPPER_LIMIT = 0xf0000;

/** [low, high] of a descriptor. */
export type DescriptorWords = readonly [low: number, high: number];

export const NO_DESCRIPTOR: DescriptorWords = [0, 0];

/** Base of a code or data descriptor, unsigned. */
export function descriptorBase([low, high]: DescriptorWords): number {
	return ((low >>> 16) | ((high & 0xff) << 16) | (high & 0xff000000)) >>> 0;
}

/** Limit in bytes, scaled by G, unsigned. */
export function descriptorLimit([low, high]: DescriptorWords): number {
	const raw = (low & 0xffff) | (high & UPPER_LIMIT);
	return high & G ? ((raw << 12) | 0xfff) >>> 0 : raw;
}

/**
 * The shadow of a guest descriptor. System descriptors have none, nor do segments that were never loaded: the first load of
 * one traps, so that the VMM can set the accessed bit in the guest's table (SDM Vol. 3A §3.4.5.1).
 */
export function shadowDescriptor(guest: DescriptorWords): DescriptorWords {
	let [low, high] = guest;
	if ((high & S) === 0 || (high & ACCESSED) === 0) return NO_DESCRIPTOR;
	if ((high & DPL) === 0) high |= 1 << 13;
	const base = descriptorBase(guest);
	const limit = descriptorLimit(guest);
	const expandDown = (high & CODE) === 0 && (high & EXPAND_DOWN) !== 0;
	if (expandDown || base >= VMM_BASE) {
		// No offset is inside an expand-down segment with the highest limit (SDM Vol. 3A §5.3): every access traps.
		if ((high & CODE) === 0) high |= EXPAND_DOWN;
		return (high & CODE) === 0 ? [low | 0xffff, high | G | UPPER_LIMIT] : [low & ~0xffff, high & ~(G | UPPER_LIMIT)];
	}
	const last = VMM_BASE - 1 - base;
	if (limit <= last) return [low, high];
	if (last <= 0xfffff) {
		low = (low & ~0xffff) | (last & 0xffff);
		high = (high & ~(G | UPPER_LIMIT)) | (last & UPPER_LIMIT);
	} else {
		// Whole pages only: an unaligned base loses up to a page more, which is emulated like the rest.
		const pages = Math.floor((last + 1) / 4096) - 1;
		low = (low & ~0xffff) | (pages & 0xffff);
		high = (high & ~UPPER_LIMIT) | G | (pages & UPPER_LIMIT);
	}
	return [low, high];
}
