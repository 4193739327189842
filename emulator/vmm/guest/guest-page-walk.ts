// The guest's own page tables, walked by the VMM in guest-physical memory: 32-bit, PAE and 4-level paging with the rights and
// the error codes that the processor would give (SDM Vol. 3A Chapter 4).

import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";

/** Bits of an access; the low ones are those of a page-fault error code (SDM Vol. 3A §4.7). */
export const Access = {
	read: 0,
	write: 2,
	user: 4,
	fetch: 0x10,
	/** An explicit access made with EFLAGS.AC set: SMAP does not forbid it (SDM Vol. 3A §4.6.1). */
	alignmentCheck: 0x200,
} as const;

/** Bits of the low half of paging-structure entries (SDM Vol. 3A §4.3, Tables 4-4 to 4-6; the same in §4.4 and §4.5). */
export const Entry = {
	present: 1,
	writable: 2,
	user: 4,
	accessed: 0x20,
	dirty: 0x40,
	large: 0x80,
	global: 0x100,
} as const;
/** Of the high half: execute disable. */
export const NX_HIGH = 0x80000000 | 0;

const ERROR_PRESENT = 1;
const ERROR_RESERVED = 8;
/** Guest-physical addresses have 40 bits, as the processor's have (CPUID.80000008H). */
const ADDRESS_HIGH = 0xff;
const RESERVED_HIGH_4_LEVEL = 0x000fff00;
const RESERVED_HIGH_PAE = 0x7fffff00;
const FRAMES = 2 ** 28;

/** The paging state of a vCPU. */
export interface PagingControls {
	cr0: number;
	/** A number of up to 52 bits. */
	cr3: number;
	cr4: number;
	efer: number;
	/** The four PDPTE registers as halves, loaded with CR3 in PAE paging (SDM Vol. 3A §4.4.1). */
	readonly pdptes: Int32Array;
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
	mce: 0x40,
	pge: 0x80,
	osfxsr: 0x200,
	osxmmexcpt: 0x400,
	umip: 0x800,
	osxsave: 1 << 18,
	smep: 1 << 20,
	smap: 1 << 21,
} as const;
export const Efer = { lma: 1 << 10, nxe: 1 << 11 } as const;

export const PagingMode = { none: 0, bits32: 1, pae: 2, fourLevel: 3 } as const;
export type PagingMode = (typeof PagingMode)[keyof typeof PagingMode];

export function pagingMode({ cr0, cr4, efer }: PagingControls): PagingMode {
	if ((cr0 & Cr0.pg) === 0) return PagingMode.none;
	if ((cr4 & Cr4.pae) === 0) return PagingMode.bits32;
	return efer & Efer.lma ? PagingMode.fourLevel : PagingMode.pae;
}

/** Index of the entry of 64-bit tables that a linear address selects at a level: 1 = page table ... 4 = PML4. */
export function tableIndex(level: number, low: number, high: number): number {
	if (level === 1) return (low >>> 12) & 0x1ff;
	if (level === 2) return (low >>> 21) & 0x1ff;
	return level === 3 ? ((high & 0x7f) << 2) | (low >>> 30) : (high >>> 7) & 0x1ff;
}

/** Walks the guest's tables; the result lies in its fields until the next walk. */
export class GuestPageWalk {
	/** Guest-physical address of the byte. */
	physical = 0;
	/** Level of the first entry read (4 or 2), and of the entry that maps the page; 0 without paging. */
	top = 0;
	leaf = 0;
	/** The entries by level, as halves, and their guest-physical addresses. */
	readonly low = new Int32Array(5);
	readonly high = new Int32Array(5);
	readonly address = new Float64Array(5);
	/** Rights of all levels together. */
	writable = false;
	user = false;
	executable = false;
	/** Of the page fault when the walk failed. */
	errorCode = 0;
	private allowed = false;

	constructor(
		private readonly memory: GuestPhysicalMemory,
		private readonly controls: PagingControls,
	) {}

	get mode(): PagingMode {
		return pagingMode(this.controls);
	}

	get paging(): boolean {
		return (this.controls.cr0 & Cr0.pg) !== 0;
	}

	/** Guest-physical address of the page-table entry; -1 when the walk met none. */
	get pteAddress(): number {
		return this.leaf === 1 ? this.address[1]! : -1;
	}

	/**
	 * Walks for the access; true when it is allowed. Changes no guest memory.
	 * @param high bits 47:32 of the linear address.
	 */
	walk(linear: number, access: number, high = 0): boolean {
		const { controls, memory } = this;
		const { mode } = this;
		this.allowed = false;
		this.top = this.leaf = 0;
		if (mode === PagingMode.none) {
			this.physical = linear >>> 0;
			this.writable = this.user = this.executable = true;
			this.allowed = true;
			return true;
		}
		const wide = mode !== PagingMode.bits32;
		let reserved = mode === PagingMode.fourLevel ? RESERVED_HIGH_4_LEVEL : RESERVED_HIGH_PAE;
		if ((controls.efer & Efer.nxe) === 0) reserved |= NX_HIGH;
		let frame = wide ? Math.floor(controls.cr3 / 4096) % FRAMES : controls.cr3 >>> 12;
		if (mode === PagingMode.pae) {
			const pdpte = controls.pdptes[(linear >>> 30) * 2]!;
			if ((pdpte & Entry.present) === 0) return this.fail(access, 0);
			frame = frameOf(pdpte, controls.pdptes[(linear >>> 30) * 2 + 1]!);
		}
		let rights: number = Entry.writable | Entry.user;
		let noExecute = 0;
		let level = mode === PagingMode.fourLevel ? 4 : 2;
		for (this.top = level; ; level--) {
			const index = wide ? tableIndex(level, linear, high) : level === 2 ? linear >>> 22 : (linear >>> 12) & 0x3ff;
			const address = frame * 4096 + index * (wide ? 8 : 4);
			const low = memory.read32(address);
			const top = wide ? memory.read32(address + 4) : 0;
			this.address[level] = address;
			this.low[level] = low;
			this.high[level] = top;
			if ((low & Entry.present) === 0) return this.fail(access, 0);
			if (wide && (top & reserved) !== 0) return this.fail(access, ERROR_PRESENT | ERROR_RESERVED);
			rights &= low;
			noExecute |= top & NX_HIGH;
			const large = level > 1 && (low & Entry.large) !== 0 && (wide || (controls.cr4 & Cr4.pse) !== 0);
			if (level > 1 && !large) {
				frame = wide ? frameOf(low, top) : low >>> 12;
				continue;
			}
			if (large && reservedInLarge(level, low, wide)) return this.fail(access, ERROR_PRESENT | ERROR_RESERVED);
			this.leaf = level;
			const offset = wide ? 2 ** (9 * (level - 1)) : level === 2 ? 1024 : 1;
			const base = wide ? frameOf(low, top) : large ? frame32(low) : low >>> 12;
			const within = (linear >>> 12) % offset;
			this.physical = (base - (base % offset) + within) * 4096 + (linear & 0xfff);
			break;
		}
		this.writable = (rights & Entry.writable) !== 0;
		this.user = (rights & Entry.user) !== 0;
		this.executable = noExecute === 0;
		if (!this.permits(access)) return this.fail(access, ERROR_PRESENT);
		this.allowed = true;
		return true;
	}

	/** The rights of SDM Vol. 3A §4.6.1. */
	private permits(access: number): boolean {
		const { cr0, cr4 } = this.controls;
		if (access & Access.fetch && !this.executable) return false;
		if (access & Access.user) return this.user && ((access & Access.write) === 0 || this.writable);
		if (this.user) {
			if (access & Access.fetch) {
				if (cr4 & Cr4.smep) return false;
			} else if (cr4 & Cr4.smap && (access & Access.alignmentCheck) === 0) return false;
		}
		return (access & Access.write) === 0 || this.writable || (cr0 & Cr0.wp) === 0;
	}

	/**
	 * Sets the accessed and dirty bits as the access of the last walk sets them: A of every entry, D of the last, when it was
	 * allowed, and none when it failed, as the processor has it (SDM Vol. 3A §4.8).
	 */
	markAccessed(access: number): void {
		if (!this.allowed || this.leaf === 0) return;
		for (let level = this.top; level > this.leaf; level--) this.mark(level, Entry.accessed);
		this.mark(this.leaf, access & Access.write ? Entry.accessed | Entry.dirty : Entry.accessed);
	}

	private mark(level: number, bits: number): void {
		if ((this.low[level]! & bits) === bits) return;
		this.memory.setBits(this.address[level]!, bits);
		this.low[level]! |= bits;
	}

	/**
	 * The page-directory entry of a linear address of 32 bits, less A and D, as one number; -1 when the guest does not page,
	 * 0 when there is no directory.
	 */
	directoryEntry(linear: number): number {
		const { controls, memory, mode } = this;
		if (mode === PagingMode.none) return -1;
		if (mode === PagingMode.bits32)
			return (memory.read32(((controls.cr3 & 0xfffff000) >>> 0) + (linear >>> 22) * 4) & ~IGNORED) >>> 0;
		const pdpte = controls.pdptes[(linear >>> 30) * 2]!;
		if ((pdpte & Entry.present) === 0) return 0;
		const address = frameOf(pdpte, controls.pdptes[(linear >>> 30) * 2 + 1]!) * 4096 + tableIndex(2, linear, 0) * 8;
		const high = memory.read32(address + 4);
		return ((memory.read32(address) & ~IGNORED) >>> 0) + ((high & ADDRESS_HIGH) | (high < 0 ? 0x100 : 0)) * 2 ** 32;
	}

	private fail(access: number, error: number): boolean {
		const { cr4, efer } = this.controls;
		this.errorCode = error | (access & (Access.write | Access.user));
		// I/D is reported only where a fetch can be told from a read (SDM Vol. 3A §4.7).
		if (access & Access.fetch && (cr4 & Cr4.smep || (cr4 & Cr4.pae && efer & Efer.nxe))) this.errorCode |= Access.fetch;
		return false;
	}
}

/** A and D of an entry do not change what it maps. */
const IGNORED = Entry.accessed | Entry.dirty;

function frameOf(low: number, high: number): number {
	return (low >>> 12) | ((high & ADDRESS_HIGH) << 20);
}

/** First frame of a 4-MByte page; PSE-36 puts address bits 39:32 in bits 20:13 (SDM Vol. 3A Table 4-4). */
function frame32(low: number): number {
	return ((low >>> 12) & 0xffc00) | (((low >>> 13) & 0xff) << 20);
}

/** PS in a PML4E; address bits below the page size, except PAT in bit 12 (SDM Vol. 3A Tables 4-4, 4-15, 4-16, 4-18). */
function reservedInLarge(level: number, low: number, wide: boolean): boolean {
	if (!wide) return (low & (1 << 21)) !== 0;
	return level === 4 || (level === 3 && (low & 0x3fffe000) !== 0) || (level === 2 && (low & 0x1fe000) !== 0);
}
