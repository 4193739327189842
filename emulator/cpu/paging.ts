// Translation of linear addresses by the page tables in host-physical memory (SDM Vol. 3A Chapter 4).
//
// The walk sets the accessed flag of an entry as soon as it leads on to the next table, that of the last entry and its dirty
// flag once the access is allowed (SDM Vol. 3A §4.8). Linear addresses are i32 halves, physical addresses Numbers.

import { Fault, Vector } from "../engine/fault.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import { RAM_BASE, State } from "../isa/state.ts";
import { Internal, type ProcessorState } from "./processor-state.ts";
import { Cr0, Cr4, Efer, Eflags } from "./register-bits.ts";

/** What an access is. The low bits are those of the page-fault error code (SDM Vol. 3A §4.7, Figure 4-12). */
export const PageAccess = {
	read: 0,
	write: 1 << 1,
	user: 1 << 2,
	fetch: 1 << 4,
	/** An implicit supervisor access: descriptor tables, TSS (SDM Vol. 3A §4.6.1). */
	implicit: 1 << 8,
} as const;

const PRESENT = 1 << 0;
const WRITABLE = 1 << 1;
const USER = 1 << 2;
const ACCESSED = 1 << 5;
const DIRTY = 1 << 6;
const PAGE_SIZE = 1 << 7;
const RESERVED_ERROR = 1 << 3;
const GIB4 = 0x100000000;

/** MAXPHYADDR as CPUID.80000008H reports it. */
export const PHYSICAL_ADDRESS_BITS = 40;
/** Bits of the high half of an entry that belong to the address: 39:32. */
const ADDRESS_HIGH = 0xff;
/** Reserved in the high half: 51:40 with 4-level paging, 62:40 with PAE paging (SDM Vol. 3A Tables 4-14 to 4-19, 4-8 to 4-11). */
const RESERVED_HIGH_4_LEVEL = 0x000fff00;
const RESERVED_HIGH_PAE = 0x7fffff00;
const NX_HIGH = 1 << 31;
/** Reserved in a present PDPTE of PAE paging: 8:5 and 2:1 (Table 4-8). */
const RESERVED_PDPTE = 0x1e6;

const LARGE_PAGE_MARKS = 4096;

function largePageMark(low: number, high: number): number {
	return ((low >>> 22) ^ Math.imul(high, 0x9e3779b1)) & (LARGE_PAGE_MARKS - 1);
}

function hugePageMark(low: number, high: number): number {
	return ((high << 2) | (low >>> 30)) & (LARGE_PAGE_MARKS - 1);
}

export class Paging {
	private readonly i32: Int32Array;
	private readonly physical: PhysicalMemory;
	/** After translate(): the page may be written through the TLB by the current context (writable and dirty). */
	writable = false;
	/** After translate(): the page is a user-mode page. */
	userPage = false;
	/** Nonzero where a page larger than 4 KBytes may have gone into the TLB since the last flush: hashed by 4-MByte and 1-GByte region. */
	private readonly largePages = new Uint8Array(LARGE_PAGE_MARKS);
	private readonly hugePages = new Uint8Array(LARGE_PAGE_MARKS);

	constructor(private readonly state: ProcessorState) {
		this.physical = state.physical;
		this.i32 = state.i32;
	}

	/**
	 * Host-physical address of a canonical linear address, for an access of PageAccess flags.
	 * @throws {Fault} #PF, with CR2 set.
	 */
	translate(low: number, high: number, access: number): number {
		const { i32 } = this;
		if ((i32[State.cr0 >> 2]! & Cr0.PG) === 0) {
			this.writable = true;
			this.userPage = false;
			return low >>> 0;
		}
		if ((i32[State.cr4 >> 2]! & Cr4.PAE) === 0) return this.translate32(low, access);
		if (i32[State.efer >> 2]! & Efer.LMA) {
			const root = ((i32[State.cr3 >> 2]! & ~0xfff) >>> 0) + (i32[(State.cr3 >> 2) + 1]! & ADDRESS_HIGH) * GIB4;
			return this.translate64(low, high, access, root, 4, WRITABLE | USER);
		}
		const slot = (Internal.pdpte >> 2) + (low >>> 30) * 2;
		const pdpte = i32[slot]!;
		if ((pdpte & PRESENT) === 0) this.fault(low, 0, access, 0);
		const directory = ((pdpte & ~0xfff) >>> 0) + (i32[slot + 1]! & ADDRESS_HIGH) * GIB4;
		return this.translate64(low, 0, access, directory, 2, WRITABLE | USER);
	}

	/** 32-bit paging (SDM Vol. 3A §4.3). */
	private translate32(low: number, access: number): number {
		const { i32 } = this;
		const pdeAddress = ((i32[State.cr3 >> 2]! & ~0xfff) >>> 0) + (low >>> 22) * 4;
		const pde = this.read32(pdeAddress);
		if ((pde & PRESENT) === 0) this.fault(low, 0, access, 0);
		if (pde & PAGE_SIZE && i32[State.cr4 >> 2]! & Cr4.PSE) {
			// A 4-MByte page; PSE-36 puts address bits 39:32 in bits 20:13 (Table 4-4).
			if (pde & (1 << 21)) this.fault(low, 0, access, PRESENT | RESERVED_ERROR);
			this.check(low, 0, access, pde, false);
			this.markLeaf(pdeAddress, pde, access);
			this.largePages[largePageMark(low, 0)] = 1;
			return ((pde & 0xffc00000) >>> 0) + ((pde >>> 13) & 0xff) * GIB4 + (low & 0x3fffff);
		}
		if ((pde & ACCESSED) === 0) this.write32(pdeAddress, pde | ACCESSED);
		const pteAddress = ((pde & ~0xfff) >>> 0) + ((low >>> 12) & 0x3ff) * 4;
		const pte = this.read32(pteAddress);
		if ((pte & PRESENT) === 0) this.fault(low, 0, access, 0);
		this.check(low, 0, access, pde & pte, false);
		this.markLeaf(pteAddress, pte, access);
		return ((pte & ~0xfff) >>> 0) + (low & 0xfff);
	}

	/** The 64-bit entries of PAE and 4-level paging from `level` (4 = PML4, ... 1 = page table) down (SDM Vol. 3A §4.4, §4.5). */
	private translate64(low: number, high: number, access: number, table: number, level: number, rights: number): number {
		const efer = this.i32[State.efer >> 2]!;
		let reserved = efer & Efer.LMA ? RESERVED_HIGH_4_LEVEL : RESERVED_HIGH_PAE;
		if ((efer & Efer.NXE) === 0) reserved |= NX_HIGH;
		let executable = true;
		for (; ; level--) {
			const index =
				level === 1
					? (low >>> 12) & 0x1ff
					: level === 2
						? (low >>> 21) & 0x1ff
						: level === 3
							? ((high & 0x7f) << 2) | (low >>> 30)
							: (high >>> 7) & 0x1ff;
			const address = table + index * 8;
			const entry = this.read32(address);
			const entryHigh = this.read32(address + 4);
			if ((entry & PRESENT) === 0) this.fault(low, high, access, 0);
			if (entryHigh & reserved) this.fault(low, high, access, PRESENT | RESERVED_ERROR);
			rights &= entry;
			if (entryHigh < 0) executable = false;
			if (level === 1 || entry & PAGE_SIZE) {
				// Reserved: PS in a PML4E; the address bits below the page size, except PAT in bit 12 (Tables 4-15, 4-16, 4-18).
				if (level === 4 || (level === 3 && entry & 0x3fffe000) || (level === 2 && entry & 0x1fe000))
					this.fault(low, high, access, PRESENT | RESERVED_ERROR);
				this.check(low, high, access, rights, !executable);
				this.markLeaf(address, entry, access);
				if (level === 2) this.largePages[largePageMark(low, high)] = 1;
				else if (level === 3) this.hugePages[hugePageMark(low, high)] = 1;
				const offset = level === 1 ? 0xfff : level === 2 ? 0x1fffff : 0x3fffffff;
				return ((entry & ~offset) >>> 0) + (entryHigh & ADDRESS_HIGH) * GIB4 + (low & offset);
			}
			if ((entry & ACCESSED) === 0) this.write32(address, entry | ACCESSED);
			table = ((entry & ~0xfff) >>> 0) + (entryHigh & ADDRESS_HIGH) * GIB4;
		}
	}

	/** The access rights of SDM Vol. 3A §4.6.1, given R/W and U/S as all levels together have them. */
	private check(low: number, high: number, access: number, rights: number, executeDisabled: boolean): void {
		const { i32 } = this;
		const user = (rights & USER) !== 0;
		this.userPage = user;
		let denied = (access & PageAccess.fetch) !== 0 && executeDisabled;
		let writable = (rights & WRITABLE) !== 0;
		if (access & PageAccess.user) {
			if (!user) denied = true;
		} else {
			if (user) {
				const cr4 = i32[State.cr4 >> 2]!;
				if (access & PageAccess.fetch) {
					if (cr4 & Cr4.SMEP) denied = true;
				} else if (cr4 & Cr4.SMAP) {
					if (access & PageAccess.implicit || (i32[State.flagsRest >> 2]! & Eflags.AC) === 0) denied = true;
				}
			}
			if ((i32[State.cr0 >> 2]! & Cr0.WP) === 0) writable = true;
		}
		this.writable = writable;
		if (denied || (access & PageAccess.write && !writable)) this.fault(low, high, access, PRESENT);
	}

	private markLeaf(address: number, entry: number, access: number): void {
		const marked = entry | (access & PageAccess.write ? ACCESSED | DIRTY : ACCESSED);
		if (marked !== entry) this.write32(address, marked);
		if ((marked & DIRTY) === 0) this.writable = false;
	}

	private read32(address: number): number {
		if (this.physical.isBacked(address)) return this.i32[(RAM_BASE + address) >>> 2]!;
		return this.physical.read(address, 4) | 0;
	}

	private write32(address: number, value: number): void {
		this.physical.write(address, 4, value >>> 0);
	}

	private fault(low: number, high: number, access: number, error: number): never {
		const { i32 } = this;
		i32[State.cr2 >> 2] = low;
		i32[(State.cr2 >> 2) + 1] = high;
		error |= access & (PageAccess.write | PageAccess.user);
		if (access & PageAccess.fetch) {
			// I/D is reported only where a fetch can be told from a read (SDM Vol. 3A §4.7).
			const cr4 = i32[State.cr4 >> 2]!;
			if (cr4 & Cr4.SMEP || (cr4 & Cr4.PAE && i32[State.efer >> 2]! & Efer.NXE)) error |= PageAccess.fetch;
		}
		throw new Fault(Vector.pageFault, error);
	}

	/** Forgets all translations in the TLB (SDM Vol. 3A §4.10.4.1). Global pages go with the rest. */
	flush(): void {
		// Deviation: global pages could stay when CR3 is loaded; the architecture lets the processor drop any entry at any time.
		this.largePages.fill(0);
		this.hugePages.fill(0);
		this.state.tlb.flush();
	}

	/** Forgets the translation of one linear address, of its whole page when that is large (SDM Vol. 3A §4.10.4.1, INVLPG). */
	flushPage(low: number, high: number): void {
		// The TLB holds a large page as pieces of 4 KBytes; what size the page had is known only by these marks.
		if (this.largePages[largePageMark(low, high)] || this.hugePages[hugePageMark(low, high)]) this.flush();
		else this.state.tlb.flushPage(low, high);
	}

	/**
	 * Loads the four PDPTE registers from the table that CR3 would point to (SDM Vol. 3A §4.4.1).
	 * @returns false, and nothing is changed, when one of them sets a reserved bit: the caller raises #GP(0).
	 */
	loadPdptes(cr3Low: number): boolean {
		const table = (cr3Low & ~0x1f) >>> 0;
		const entries = new Int32Array(8);
		for (let word = 0; word < 8; word++) entries[word] = this.read32(table + word * 4);
		for (let index = 0; index < 4; index++) {
			const low = entries[index * 2]!;
			const high = entries[index * 2 + 1]!;
			if (low & PRESENT && (low & RESERVED_PDPTE || high & (NX_HIGH | RESERVED_HIGH_PAE))) return false;
		}
		this.i32.set(entries, Internal.pdpte >> 2);
		return true;
	}
}
