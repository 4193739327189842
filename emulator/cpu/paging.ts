// Translation of linear addresses by the page tables in host-physical memory (SDM Vol. 3A Chapter 4).
//
// The walk sets the accessed flags of all entries and the dirty flag of the last once the access is allowed: a translation that ends in
// a fault uses none of them (SDM Vol. 3A §4.8; later processors mark the upper ones all the same, an 80386 does not). Linear addresses
// are i32 halves, physical addresses Numbers.

import { PageKind, type PhysicalMemory } from "../engine/physical-memory.ts";
import { PageEntry, PageEntryHigh, RESERVED_1G, RESERVED_2M } from "../isa/page-entry.ts";
import { Cr0, Cr4, Efer, Eflags } from "../isa/register-bits.ts";
import { EngineWord, LargePages, RAM_BASE, State, WalkBlock } from "../isa/state.ts";
import { PageFault } from "./exceptions.ts";
import { Internal, type ProcessorState } from "./processor-state.ts";

/** What an access is. The low bits are those of the page-fault error code (SDM Vol. 3A §4.7, Figure 4-12). */
export const PageAccess = {
	read: 0,
	write: 1 << 1,
	user: 1 << 2,
	fetch: 1 << 4,
	/** An implicit supervisor access: descriptor tables, TSS (SDM Vol. 3A §4.6.1). */
	implicit: 1 << 8,
} as const;

const { present: PRESENT, writable: WRITABLE, user: USER, accessed: ACCESSED, dirty: DIRTY } = PageEntry;
const { pageSize: PAGE_SIZE, global: GLOBAL } = PageEntry;
const RESERVED_ERROR = 1 << 3;

/** MAXPHYADDR as CPUID.80000008H reports it. */
export const PHYSICAL_ADDRESS_BITS = 40;
const { address: ADDRESS_HIGH, executeDisable: NX_HIGH } = PageEntryHigh;
const { reservedFourLevel: RESERVED_HIGH_4_LEVEL, reservedPae: RESERVED_HIGH_PAE } = PageEntryHigh;
/** Reserved in a present PDPTE of PAE paging: 8:5 and 2:1 (Table 4-8). */
const RESERVED_PDPTE = 0x1e6;

/**
 * What stands between the addresses of a guest's tables and memory: extended page tables, or a VMM that executes instructions of its
 * guest in software. Frames are numbers of 4-KByte pages.
 */
export interface SecondTranslation {
	/** The accesses that follow serve the translation of this linear address. */
	begin(low: number, high: number): void;
	/** The accesses that follow serve no translation: a load of the PDPTEs. */
	beginWithoutLinear(): void;
	tableFrame(frame: number, offset: number, write: boolean): number;
	finalFrame(frame: number, offset: number, write: boolean, fetch: boolean, user: boolean): number;
	/** After finalFrame(): the page may be written through the TLB. */
	readonly writable: boolean;
	/** Where a frame leads, without side effects. */
	inspect(frame: number): { readonly frame: number | undefined };
}

/** Number of the 4-KByte frame that an entry points to, given its halves. */
function frameOf(low: number, high: number): number {
	return (low >>> 12) | ((high & ADDRESS_HIGH) << 20);
}

function largePageMark(low: number, high: number): number {
	return ((low >>> 22) ^ Math.imul(high, 0x9e3779b1)) & (LargePages.entries - 1);
}

function hugePageMark(low: number, high: number): number {
	return ((high << 2) | (low >>> 30)) & (LargePages.entries - 1);
}

const LAST_STAMP = 0x7fffffff;

/** What of the marks of large pages does not lie in memory. */
export interface LargePageState {
	readonly since: number;
}

export class Paging {
	private readonly i32: Int32Array;
	private readonly physical: PhysicalMemory;
	/** After translate(): the page may be written through the TLB by the current context (writable and dirty). */
	writable = false;
	/** After translate(): the page is a user-mode page. */
	userPage = false;
	/** After translate(): the translation is global (SDM Vol. 3A §4.10.2.4). */
	global = false;
	/** The stamp at which a page larger than 4 KBytes last went into the TLB: hashed by 4-MByte and 1-GByte region. */
	private readonly largePages: Int32Array;
	private readonly hugePages: Int32Array;
	/** The stamp of this processor's last flush: marks before it are of pages that it has forgotten. */
	private since: number;
	/** Upper entries that the current walk has to mark accessed: table, word, entry of each. */
	private readonly unmarked = new Int32Array(9);
	private unmarkedCount = 0;
	private second: SecondTranslation | undefined;

	constructor(private readonly state: ProcessorState) {
		this.physical = state.physical;
		this.i32 = state.i32;
		const { buffer } = state.physical.memory;
		this.largePages = new Int32Array(buffer, LargePages.base, LargePages.entries);
		this.hugePages = new Int32Array(buffer, LargePages.hugeBase, LargePages.entries);
		if (this.stamp === 0) this.nextStamp();
		this.since = this.stamp;
	}

	/** What marks of large pages have that are set now: more with every flush, of any of the processors. */
	private get stamp(): number {
		return this.i32[EngineWord.largePageStamp >> 2]!;
	}

	/** With the last number, marks count for ever. */
	private nextStamp(): void {
		if (this.stamp < LAST_STAMP) this.i32[EngineWord.largePageStamp >> 2]!++;
	}

	/** The second translation, of guest-physical addresses, while a guest runs under EPT. */
	get ept(): SecondTranslation | undefined {
		return this.second;
	}

	set ept(second: SecondTranslation | undefined) {
		this.second = second;
		this.state.tlb.blockWalks(WalkBlock.secondTranslation, second !== undefined);
	}

	/**
	 * Host-physical address of a canonical linear address, for an access of PageAccess flags.
	 * @throws {PageFault} #PF. @throws {VmExit} EPT violations and misconfigurations, in VMX non-root operation.
	 */
	translate(low: number, high: number, access: number): number {
		return this.translateFrame(low, high, access) * 0x1000 + (low & 0xfff);
	}

	/** The same as the number of a 4-KByte frame. Frame numbers have 28 bits, so that the walk computes with small integers. */
	translateFrame(low: number, high: number, access: number): number {
		const { ept } = this;
		if (ept === undefined) return this.walk(low, high, access);
		ept.begin(low, high);
		const frame = this.walk(low, high, access);
		const { writable } = this;
		const host = ept.finalFrame(
			frame,
			low & 0xfff,
			(access & PageAccess.write) !== 0,
			(access & PageAccess.fetch) !== 0,
			this.userPage,
		);
		this.writable = writable && ept.writable;
		return host;
	}

	/** The guest's own tables: without EPT the frame is the host's. */
	private walk(low: number, high: number, access: number): number {
		const { i32 } = this;
		this.unmarkedCount = 0;
		if ((i32[State.cr0 >> 2]! & Cr0.PG) === 0) {
			this.writable = true;
			this.userPage = false;
			this.global = false;
			return low >>> 12;
		}
		if ((i32[State.cr4 >> 2]! & Cr4.PAE) === 0) return this.translate32(low, access);
		if (i32[State.efer >> 2]! & Efer.LMA) {
			const root = frameOf(i32[State.cr3 >> 2]!, i32[(State.cr3 >> 2) + 1]!);
			return this.translate64(low, high, access, root, 4, WRITABLE | USER);
		}
		const slot = (Internal.pdpte >> 2) + (low >>> 30) * 2;
		const pdpte = i32[slot]!;
		if ((pdpte & PRESENT) === 0) this.fault(low, 0, access, 0);
		return this.translate64(low, 0, access, frameOf(pdpte, i32[slot + 1]!), 2, WRITABLE | USER);
	}

	/** 32-bit paging (SDM Vol. 3A §4.3). */
	private translate32(low: number, access: number): number {
		const { i32 } = this;
		const directory = i32[State.cr3 >> 2]! >>> 12;
		const pdeIndex = low >>> 22;
		const pde = this.readWord(directory, pdeIndex);
		if ((pde & PRESENT) === 0) this.fault(low, 0, access, 0);
		if (pde & PAGE_SIZE && i32[State.cr4 >> 2]! & Cr4.PSE) {
			// A 4-MByte page; PSE-36 puts address bits 39:32 in bits 20:13 (Table 4-4).
			if (pde & (1 << 21)) this.fault(low, 0, access, PRESENT | RESERVED_ERROR);
			this.check(low, 0, access, pde, false);
			this.markLeaf(directory, pdeIndex, pde, access);
			this.largePages[largePageMark(low, 0)] = this.stamp;
			return ((pde >>> 12) & 0xffc00) | (((pde >>> 13) & 0xff) << 20) | ((low >>> 12) & 0x3ff);
		}
		if ((pde & ACCESSED) === 0) this.markLater(directory, pdeIndex, pde);
		const table = pde >>> 12;
		const pteIndex = (low >>> 12) & 0x3ff;
		const pte = this.readWord(table, pteIndex);
		if ((pte & PRESENT) === 0) this.fault(low, 0, access, 0);
		this.check(low, 0, access, pde & pte, false);
		this.markLeaf(table, pteIndex, pte, access);
		return pte >>> 12;
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
			const host = this.ept ? this.ept.tableFrame(table, index * 8, false) : table;
			const entry = this.hostWord(host, index * 2);
			const entryHigh = this.hostWord(host, index * 2 + 1);
			if ((entry & PRESENT) === 0) this.fault(low, high, access, 0);
			if (entryHigh & reserved) this.fault(low, high, access, PRESENT | RESERVED_ERROR);
			rights &= entry;
			if (entryHigh < 0) executable = false;
			const frame = frameOf(entry, entryHigh);
			if (level === 1 || entry & PAGE_SIZE) {
				// Reserved: PS in a PML4E; the address bits below the page size, except PAT in bit 12 (Tables 4-15, 4-16, 4-18).
				if (level === 4 || (level === 3 && entry & RESERVED_1G) || (level === 2 && entry & RESERVED_2M))
					this.fault(low, high, access, PRESENT | RESERVED_ERROR);
				this.check(low, high, access, rights, !executable);
				this.markLeaf(table, index * 2, entry, access);
				if (level === 1) return frame;
				if (level === 2) this.largePages[largePageMark(low, high)] = this.stamp;
				else this.hugePages[hugePageMark(low, high)] = this.stamp;
				const offset = level === 2 ? 0x1ff : 0x3ffff;
				return (frame & ~offset) | ((low >>> 12) & offset);
			}
			if ((entry & ACCESSED) === 0) this.markLater(table, index * 2, entry);
			table = frame;
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

	private markLater(table: number, word: number, entry: number): void {
		const at = this.unmarkedCount;
		this.unmarked[at] = table;
		this.unmarked[at + 1] = word;
		this.unmarked[at + 2] = entry | ACCESSED;
		this.unmarkedCount = at + 3;
	}

	/** Marks the entries of a walk whose access is allowed. */
	private markLeaf(table: number, word: number, entry: number, access: number): void {
		this.global = (entry & GLOBAL) !== 0 && (this.i32[State.cr4 >> 2]! & Cr4.PGE) !== 0;
		const { unmarked } = this;
		for (let at = 0; at < this.unmarkedCount; at += 3)
			this.writeWord(unmarked[at]!, unmarked[at + 1]!, unmarked[at + 2]!);
		const marked = entry | (access & PageAccess.write ? ACCESSED | DIRTY : ACCESSED);
		if (marked !== entry) this.writeWord(table, word, marked);
		if ((marked & DIRTY) === 0) this.writable = false;
	}

	/** Word `word` of the table in a frame. */
	private readWord(table: number, word: number): number {
		return this.hostWord(this.ept ? this.ept.tableFrame(table, word * 4, false) : table, word);
	}

	/** Word `word` of a host-physical frame. */
	private hostWord(table: number, word: number): number {
		const kind = this.physical.kindOf(table);
		if (kind === PageKind.ram) return this.i32[(RAM_BASE >> 2) + table * 1024 + word]!;
		return this.physical.read(table * 0x1000 + word * 4, 4) | 0;
	}

	private writeWord(table: number, word: number, value: number): void {
		if (this.ept) table = this.ept.tableFrame(table, word * 4, true);
		this.physical.write(table * 0x1000 + word * 4, 4, value >>> 0);
	}

	private fault(low: number, high: number, access: number, error: number): never {
		const { i32 } = this;
		error |= access & (PageAccess.write | PageAccess.user);
		if (access & PageAccess.fetch) {
			// I/D is reported only where a fetch can be told from a read (SDM Vol. 3A §4.7).
			const cr4 = i32[State.cr4 >> 2]!;
			if (cr4 & Cr4.SMEP || (cr4 & Cr4.PAE && i32[State.efer >> 2]! & Efer.NXE)) error |= PageAccess.fetch;
		}
		throw new PageFault(error, low, high);
	}

	save(): LargePageState {
		return { since: this.since };
	}

	restore({ since }: LargePageState): void {
		this.since = since;
	}

	/** Forgets all translations in the TLB, global ones too (SDM Vol. 3A §4.10.4.1). */
	flush(): void {
		this.nextStamp();
		this.since = this.stamp;
		this.state.tlb.flush();
	}

	/** Forgets all but the global ones: CR3 was loaded without process-context identifiers (SDM Vol. 3A §4.10.4.1). Marks of large pages stay. */
	flushLocal(): void {
		this.state.tlb.flushLocal();
	}

	/**
	 * CR3 goes from one process-context identifier to another (SDM Vol. 3A §4.10.1). Marks of large pages stay: they are about all
	 * identifiers. @param keep what is known of the new one may be used again
	 */
	switchContext(from: number, to: number, keep: boolean): void {
		this.state.tlb.switchContext(from, to, keep);
	}

	/** Forgets the translations of one process-context identifier (INVPCID type 1). */
	flushContext(identifier: number, current: number): void {
		if (identifier === current) this.state.tlb.switchContext(current, current, false);
		else this.state.tlb.forgetContext(identifier);
	}

	/** Forgets the translation of one linear address under every process-context identifier, of its whole page when that is large (SDM Vol. 3A §4.10.4.1, INVLPG). */
	flushPage(low: number, high: number): void {
		// The TLB holds a large page as pieces of 4 KBytes; what size the page had is known only by these marks.
		const large = this.largePages[largePageMark(low, high)]! >= this.since;
		if (large || this.hugePages[hugePageMark(low, high)]! >= this.since) this.flush();
		else this.state.tlb.flushPage(low);
	}

	/**
	 * Loads the four PDPTE registers from the table that CR3 would point to (SDM Vol. 3A §4.4.1).
	 * @returns false, and nothing is changed, when one of them sets a reserved bit: the caller raises #GP(0).
	 */
	loadPdptes(cr3Low: number): boolean {
		const table = (cr3Low & ~0x1f) >>> 0;
		this.ept?.beginWithoutLinear();
		const entries = new Int32Array(8);
		for (let word = 0; word < 8; word++) entries[word] = this.readWord(table >>> 12, ((table & 0xfff) >> 2) + word);
		for (let index = 0; index < 4; index++) {
			if (hasReservedBits(entries[index * 2]!, entries[index * 2 + 1]!)) return false;
		}
		this.i32.set(entries, Internal.pdpte >> 2);
		return true;
	}

	/** Whether a PDPTE sets no reserved bit. */
	isPdpte(entry: bigint): boolean {
		return !hasReservedBits(Number(BigInt.asIntN(32, entry)), Number(BigInt.asIntN(32, entry >> 32n)));
	}
}

function hasReservedBits(low: number, high: number): boolean {
	return (low & PRESENT) !== 0 && ((low & RESERVED_PDPTE) !== 0 || (high & (NX_HIGH | RESERVED_HIGH_PAE)) !== 0);
}
