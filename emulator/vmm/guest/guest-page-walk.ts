// The guest's own page tables, walked by the VMM: two levels, 4 KB and 4 MB pages (SDM Vol. 3A §4.3). PAE is refused when
// the guest turns it on.

import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";

/** Bits of an access and of a page-fault error code (SDM Vol. 3A §4.7). */
export const Access = { read: 0, write: 2, user: 4 } as const;

/** Bits of page-directory and page-table entries (SDM Vol. 3A §4.3, Tables 4-4 to 4-6). */
export const Entry = {
	present: 1,
	writable: 2,
	user: 4,
	accessed: 0x20,
	dirty: 0x40,
	large: 0x80,
	global: 0x100,
} as const;

const ERROR_PRESENT = 1;
const ERROR_RESERVED = 8;
/** Bits 21:13 of a 4 MB entry: reserved, as the guest's CPUID does not announce PSE-36 (SDM Vol. 3A §4.1.4). */
const LARGE_RESERVED = 0x3fe000;

/** The paging state of a vCPU. */
export interface PagingControls {
	cr0: number;
	cr3: number;
	cr4: number;
}

export const Cr0 = {
	pe: 1,
	mp: 2,
	em: 4,
	ts: 8,
	et: 0x10,
	ne: 0x20,
	wp: 0x10000,
	am: 0x40000,
	pg: 0x80000000 | 0,
} as const;
export const Cr4 = {
	vme: 1,
	pvi: 2,
	tsd: 4,
	de: 8,
	pse: 0x10,
	pae: 0x20,
	pge: 0x80,
	osfxsr: 0x200,
	osxmmexcpt: 0x400,
	umip: 0x800,
} as const;

/** Walks the guest's tables; the result lies in its fields until the next walk. */
export class GuestPageWalk {
	/** Guest-physical address of the byte. */
	physical = 0;
	pdeAddress = 0;
	pde = 0;
	/** -1 when the walk had no second level. */
	pteAddress = -1;
	pte = 0;
	large = false;
	/** Rights of both levels together. */
	writable = false;
	user = false;
	/** Of the page fault when the walk failed. */
	errorCode = 0;

	constructor(
		private readonly memory: GuestPhysicalMemory,
		private readonly controls: PagingControls,
	) {}

	get paging(): boolean {
		return (this.controls.cr0 & Cr0.pg) !== 0;
	}

	/** Walks for the access; true when it is allowed. Changes no guest memory. */
	walk(linear: number, access: number): boolean {
		const { cr0, cr3, cr4 } = this.controls;
		this.pteAddress = -1;
		this.large = false;
		if ((cr0 & Cr0.pg) === 0) {
			this.physical = linear >>> 0;
			this.writable = this.user = true;
			return true;
		}
		this.pdeAddress = ((cr3 & 0xfffff000) | ((linear >>> 20) & 0xffc)) >>> 0;
		const pde = (this.pde = this.memory.read32(this.pdeAddress));
		if ((pde & Entry.present) === 0) return this.fail(access);
		let rights = pde;
		if ((pde & Entry.large) !== 0 && (cr4 & Cr4.pse) !== 0) {
			if ((pde & LARGE_RESERVED) !== 0) return this.fail(access | ERROR_PRESENT | ERROR_RESERVED);
			this.large = true;
			this.physical = ((pde & 0xffc00000) | (linear & 0x3fffff)) >>> 0;
		} else {
			this.pteAddress = ((pde & 0xfffff000) | ((linear >>> 10) & 0xffc)) >>> 0;
			const pte = (this.pte = this.memory.read32(this.pteAddress));
			if ((pte & Entry.present) === 0) return this.fail(access);
			rights &= pte;
			this.physical = ((pte & 0xfffff000) | (linear & 0xfff)) >>> 0;
		}
		this.writable = (rights & Entry.writable) !== 0;
		this.user = (rights & Entry.user) !== 0;
		if ((access & Access.user) !== 0 && !this.user) return this.fail(access | ERROR_PRESENT);
		if ((access & Access.write) !== 0 && !this.writable && ((access & Access.user) !== 0 || (cr0 & Cr0.wp) !== 0))
			return this.fail(access | ERROR_PRESENT);
		return true;
	}

	/** Sets the accessed and dirty bits that the access of the last, successful walk sets (SDM Vol. 3A §4.8). */
	markAccessed(access: number): void {
		if (!this.paging) return;
		const dirty = (access & Access.write) !== 0 ? Entry.dirty : 0;
		const leaf = Entry.accessed | dirty;
		const pdeBits = this.large ? leaf : Entry.accessed;
		if ((this.pde & pdeBits) !== pdeBits) {
			this.memory.setBits(this.pdeAddress, pdeBits);
			this.pde |= pdeBits;
		}
		if (this.pteAddress >= 0 && (this.pte & leaf) !== leaf) {
			this.memory.setBits(this.pteAddress, leaf);
			this.pte |= leaf;
		}
	}

	private fail(errorCode: number): boolean {
		this.errorCode = errorCode;
		return false;
	}
}
