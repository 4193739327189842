// Shadow page tables (DESIGN section 4; Adams & Agesen, ASPLOS 2006, §2.4): the tables that the host's CR3 points to, in host
// memory, in the host's format, filled on demand from the guest's tables and the pmap. A guest in 4-level paging gets 4-level
// tables; every other gets PAE tables, since a processor in protected mode can walk nothing wider: a 32-bit table of the guest
// becomes two or four of the host's, and a guest without paging gets its memory as it is. Large pages are broken into 4-KByte
// ones, for guest memory does not lie in a row. One shadow exists for a guest page-table page in each role and is shared by
// every table that leads to it, so that a guest's CR3 load only picks another root.
//
// Rights: each shadow entry has the rights of the guest's entry, and the hardware combines them, less the write permission
// where the dirty bit is not set yet or the page is write-traced. With CR0.WP = 0 the hardware must not stop supervisor writes
// but the VMM has to: its own CR0.WP stays 1, the tables above carry no write protection, and the last entry carries what all
// levels say. A read-only user page that a supervisor writes to then changes between writable for the supervisor only and
// readable for all.

import type { Tables } from "../../cpu/page-walk-view.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import {
	Access,
	Cr0,
	Cr4,
	Efer,
	Entry,
	GuestPageWalk,
	NX_HIGH,
	type PagingControls,
	PagingMode,
	tableIndex,
} from "../guest/guest-page-walk.ts";
import type { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import type { HostFrames } from "../host-frames.ts";
import { ENTRIES, type ShadowTable } from "./shadow-table.ts";
import { type ReservedEntries, ShadowTablePool } from "./shadow-table-pool.ts";
import { Trace, WriteTraces } from "./write-traces.ts";

/** What became of a page fault of the host. */
export const FillResult = {
	/** The guest maps it: the shadow was filled, the access can be tried again (a hidden page fault). */
	filled: 0,
	/** The guest's tables forbid it: `walk.errorCode` says why (a true page fault). */
	fault: 1,
	/** Allowed, but the write must not go by the VMM: the page is write-traced, or would need the rights of another. It has to be emulated. */
	traced: 2,
	/** Allowed, but no RAM lies there: the access has to be emulated. `walk.physical` is the guest-physical address. */
	device: 3,
	/** Allowed, but the address belongs to the VMM: the access has to be emulated. */
	reserved: 4,
	/** A write to ROM, allowed but without effect. */
	rom: 5,
} as const;
export type FillResult = (typeof FillResult)[keyof typeof FillResult];

/** Shadow entries have A and D set from the start, so that the host never writes them. */
const HOST_ACCESSED = Entry.accessed | Entry.dirty;
const ALL_RIGHTS = Entry.present | Entry.writable | Entry.user | HOST_ACCESSED;
/** Traced writes of up to 32 bits to an unused table after which it is taken for a page that is no table any more. */
const FLOOD_LIMIT = 16;
const MOST_TABLES = 4096;
/** Tables that one fill or one switch of roots makes at most. */
const MOST_AT_ONCE = 5;
/** In TableRole.rights: the guest's CR0.WP is 0. */
const UNPROTECTED = 8;

/** Bits of CR4 that the hardware does not have as the guest has them, see hardwareCr4; PSE has no meaning there. */
export const SHADOWED_CR4 = Cr4.pae | Cr4.smep | Cr4.smap;

/** What the shadow tables tell the rest of the VMM. */
export interface ShadowObserver {
	/** The host's TLB may hold translations that are no longer right. */
	flushTlb(): void;
	/** The current root changed: the host's CR3 has to be loaded. */
	rootChanged(frame: number): void;
	/** True when translated code was read from this guest-physical page. */
	hasCode(page: number): boolean;
	/** A mapping of a page with translated code went away. */
	codeMappingDropped(page: number): void;
	/** An entry of the guest's page directories in use changed: that of the 2 MBytes from index * 2 MBytes on. */
	directoryEntryChanged(index: number): void;
}

export interface ShadowOptions {
	/** The VMM's part of linear space: its page directory entries, and where it begins. */
	readonly reserved?: ReservedEntries & { readonly start: number };
	readonly limit?: number;
}

/** Shadow tables at most for a guest with so much memory: a small one has few pages that can be tables of its own. */
function shadowTableLimit(guestBytes: number): number {
	return Math.min(MOST_TABLES, 512 + (guestBytes >>> 13));
}

/** Host memory for the tables that translate a guest's memory, shadow or extended ones, and what else the VMM allocates for it. */
export function translationBytes(guestBytes: number): number {
	return shadowTableLimit(guestBytes) * 4096 + Math.min(8 << 20, (2 << 20) + (guestBytes >>> 14) * 4096);
}

export class ShadowPageTables {
	readonly walk: GuestPageWalk;
	readonly traces: WriteTraces;
	hiddenFaults = 0;
	private readonly pool: ShadowTablePool;
	/** Frame of the page-directory-pointer table of PAE paging; its four entries are stored anew for each root. */
	private readonly pointerFrame: number;
	/** The page directories of the four gigabytes, or the PML4 alone. */
	private roots: (ShadowTable | undefined)[] = [];
	/** What decides how entries are read, as it was when the tables were made. */
	private structure = -1;
	private mode: PagingMode = PagingMode.none;
	/** First linear address of the VMM. */
	private readonly end: number;
	private readonly i32: Int32Array;

	constructor(
		host: PhysicalMemory,
		frames: HostFrames,
		private readonly memory: GuestPhysicalMemory,
		private readonly controls: PagingControls,
		private readonly observer: ShadowObserver,
		options: ShadowOptions = {},
	) {
		this.i32 = host.i32;
		this.walk = new GuestPageWalk(memory, controls);
		this.pool = new ShadowTablePool(
			host,
			frames,
			options.limit ?? shadowTableLimit(memory.ramBytes),
			() => this.traces,
			options.reserved,
			(page) => {
				if (observer.hasCode(page)) observer.codeMappingDropped(page);
			},
		);
		this.traces = new WriteTraces(memory.pmap.length, (page) => this.protect(page));
		this.end = options.reserved?.start ?? 2 ** 32;
		this.pointerFrame = frames.allocate();
	}

	/** True while the host walks 4 levels; else PAE tables. */
	get fourLevel(): boolean {
		return this.mode === PagingMode.fourLevel;
	}

	/** Host frame of the root in use: what the host's CR3 has to hold. */
	get rootFrame(): number {
		return this.fourLevel ? this.roots[0]!.frame : this.pointerFrame;
	}

	/**
	 * What the hardware has of the bits of CR4 in SHADOWED_CR4: PAE always; SMEP and SMAP, which tell pages of the guest apart, only while the
	 * guest pages. Its CR0.PG and CR0.WP and EFER.NXE are always set; without NXE a fetch could not be told from a read.
	 */
	get hardwareCr4(): number {
		return Cr4.pae | (this.mode === PagingMode.none ? 0 : this.controls.cr4 & (Cr4.smep | Cr4.smap));
	}

	/** Number of shadow tables in host memory, without the page-directory-pointer table. */
	get size(): number {
		return this.pool.size;
	}

	get evicted(): number {
		return this.pool.evicted;
	}

	/** The tables in use, for a view. */
	inspected(): Tables {
		return {
			paging: this.fourLevel ? "4-level" : "PAE",
			root: this.rootFrame * 4096,
			pageSizeExtension: false,
			executeDisable: true,
			writeProtect: true,
		};
	}

	/** Follows the guest's CR0, CR3, CR4 and EFER after one of them was loaded; in PAE paging the PDPTE registers are loaded before. */
	activate(): void {
		const { controls, pool } = this;
		const { cr4, efer } = controls;
		const mode = this.walk.mode;
		const structure = mode | (cr4 & (Cr4.pse | Cr4.smep | Cr4.smap)) | (efer & Efer.nxe);
		for (const root of this.roots) if (root) root.pinned = false;
		this.roots = [];
		if (structure !== this.structure) this.dropAll();
		this.structure = structure;
		this.mode = mode;
		if (pool.makeRoom(MOST_AT_ONCE)) this.observer.flushTlb();
		this.roots = mode === PagingMode.fourLevel ? [this.topTable()] : [0, 1, 2, 3].map((gib) => this.directory(gib));
		for (const root of this.roots) {
			if (!root) continue;
			root.writes = 0;
			root.pinned = true;
		}
		if (!this.fourLevel)
			for (const [gib, root] of this.roots.entries()) {
				// A PDPTE has no rights and no A (SDM Vol. 3A Table 4-8).
				const word = ((RAM_BASE + this.pointerFrame * 4096) >>> 2) + gib * 2;
				this.i32[word] = root ? (root.frame * 4096) | Entry.present : 0;
				this.i32[word + 1] = 0;
			}
		this.observer.rootChanged(this.rootFrame);
	}

	private get rights(): number {
		return this.controls.cr0 & Cr0.wp ? 0 : UNPROTECTED | Entry.writable | Entry.user;
	}

	private topTable(): ShadowTable {
		const page = Math.floor(this.controls.cr3 / 4096) % 2 ** 28;
		return this.pool.obtain({ level: 4, direct: false, quadrant: 0, rights: this.rights }, page);
	}

	/** The page directory of a gigabyte of linear space; undefined where the guest has none. */
	private directory(gib: number): ShadowTable | undefined {
		const { controls, pool } = this;
		const quadrant = this.mode === PagingMode.bits32 || gib === 3 ? gib : 0;
		const role = { level: 2, direct: false, quadrant, rights: this.rights };
		if (this.mode === PagingMode.bits32) return pool.obtain(role, (controls.cr3 >>> 12) & 0xfffff);
		const low = controls.pdptes[gib * 2]!;
		if (this.mode === PagingMode.pae && low & Entry.present)
			return pool.obtain(role, (low >>> 12) | ((controls.pdptes[gib * 2 + 1]! & 0xff) << 20));
		// Where a PAE guest has no directory this one stays empty, but for the entries of the VMM.
		return pool.obtain({ level: 2, direct: true, quadrant, rights: 0 }, gib * 0x40000);
	}

	/** Drops every shadow table. `activate` has to follow when the roots may have changed. */
	dropAll(): void {
		this.pool.destroyAll();
		this.observer.flushTlb();
	}

	/** Host-physical address of a linear address of 32 bits when PAE tables map it with these rights, else -1. */
	lookup(linear: number, access: number): number {
		if (linear >>> 0 >= this.end) return -1;
		const { i32 } = this;
		const directory = this.roots[linear >>> 30];
		if (directory === undefined) return -1;
		const pde = i32[(RAM_BASE + directory.frame * 4096 + ((linear >>> 18) & 0xff8)) >>> 2]!;
		if ((pde & Entry.present) === 0) return -1;
		const pte = i32[(RAM_BASE + ((pde & 0xfffff000) >>> 0) + ((linear >>> 9) & 0xff8)) >>> 2]!;
		const needed = Entry.present | access;
		if ((pde & pte & needed) !== needed) return -1;
		return ((pte & 0xfffff000) | (linear & 0xfff)) >>> 0;
	}

	/**
	 * Makes the shadow map the linear address for the access, if the guest's tables allow it. Sets A and D in the guest's
	 * tables as the processor would. The walk's result lies in `walk`.
	 * @param high bits 47:32 of the linear address.
	 */
	fill(linear: number, access: number, high = 0): FillResult {
		const { walk, memory } = this;
		const allowed = walk.walk(linear, access, high);
		walk.markAccessed(access);
		if (!allowed) return FillResult.fault;
		if (high === 0 && linear >>> 0 >= this.end) return FillResult.reserved;
		if (!memory.isBacked(walk.physical)) return FillResult.device;
		const page = walk.physical / 4096;
		if (access & Access.write) {
			if (!memory.isRam(Math.floor(page))) return FillResult.rom;
			if (this.traces.has(Math.floor(page)) || this.needsEmulation(access)) return FillResult.traced;
		}
		this.hiddenFaults++;
		if (this.pool.makeRoom(MOST_AT_ONCE)) this.observer.flushTlb();
		this.map(linear, high, access);
		return FillResult.filled;
	}

	/**
	 * Follows a page fault that the host took in guest code.
	 * @param errorCode what the host pushed. @param alignmentCheck EFLAGS.AC, when the access was an explicit one as far as is known.
	 */
	pageFault(linear: number, errorCode: number, alignmentCheck: boolean, high = 0): FillResult {
		let access = errorCode & (Access.write | Access.user | Access.fetch);
		if (alignmentCheck && (access & (Access.user | Access.fetch)) === 0) access |= Access.alignmentCheck;
		// SMAP forbids implicit supervisor accesses even with EFLAGS.AC set, and no bit tells them (SDM Vol. 3A §4.6.1): it was one when the
		// shadow allows the access already.
		const implicit =
			(this.controls.cr4 & Cr4.smap) !== 0 &&
			(access & Access.alignmentCheck) !== 0 &&
			this.allows(linear, access, high);
		const result = this.fill(linear, access, high);
		if (!implicit || result !== FillResult.filled || !this.walk.user) return result;
		this.walk.errorCode = Entry.present | (access & Access.write);
		return FillResult.fault;
	}

	/**
	 * With CR0.WP = 0, a supervisor's write to a read-only user page while SMEP or SMAP is on: the page must not stay a supervisor page,
	 * as these would not see it then.
	 */
	private needsEmulation(access: number): boolean {
		const { walk, controls } = this;
		return (controls.cr4 & (Cr4.smep | Cr4.smap)) !== 0 && !walk.writable && walk.user && (access & Access.user) === 0;
	}

	/** Whether the shadow maps the address with these rights. */
	private allows(linear: number, access: number, high: number): boolean {
		const needed = Entry.present | (access & (Access.write | Access.user));
		let table: ShadowTable | undefined = this.roots[this.fourLevel ? 0 : linear >>> 30];
		while (table !== undefined) {
			const at = table.entryAddress(tableIndex(table.level, linear, high));
			if ((this.pool.low(at) & needed) !== needed) return false;
			if (access & Access.fetch && this.pool.high(at) & NX_HIGH) return false;
			if (table.level === 1) return true;
			table = this.pool.child(at);
		}
		return false;
	}

	/** Puts the way to the page of the last walk into the shadow tables. */
	private map(linear: number, high: number, access: number): void {
		const { walk, pool, memory } = this;
		const page = Math.floor(walk.physical / 4096);
		let table = this.roots[this.fourLevel ? 0 : linear >>> 30]!;
		if (!table.role.direct) pool.trace(table);
		let { rights } = this;
		let flush = false;
		for (;;) {
			const { level } = table;
			table.writes = 0;
			const index = tableIndex(level, linear, high);
			let flags = ALL_RIGHTS;
			let nx = 0;
			if (level > walk.leaf && !table.role.direct) {
				if (rights === 0)
					flags = (flags & ~(Entry.writable | Entry.user)) | (walk.low[level]! & (Entry.writable | Entry.user));
				else rights &= UNPROTECTED | walk.low[level]!;
				nx = this.noExecute(level);
			} else if (level === walk.leaf) {
				flags = this.leafFlags(access);
				nx = this.noExecute(level);
			}
			if (level === 1) {
				if (!memory.isRam(page) || this.traces.has(page)) flags &= ~Entry.writable;
				if (pool.map(table, index, page, memory.frameOf(page), flags, nx)) flush = true;
				break;
			}
			const child = this.childOf(level, linear, page, rights);
			if (pool.link(table, index, child, flags, nx)) flush = true;
			table = child;
		}
		if (flush) this.observer.flushTlb();
	}

	private noExecute(level: number): number {
		return this.mode === PagingMode.bits32 ? 0 : this.walk.high[level]! & NX_HIGH;
	}

	/** The table below `level` on the way of the last walk. */
	private childOf(level: number, linear: number, page: number, rights: number): ShadowTable {
		const { walk, pool } = this;
		if (level <= walk.leaf || walk.leaf === 0) {
			const span = 2 ** (9 * (level - 1));
			return pool.obtain({ level: level - 1, direct: true, quadrant: 0, rights: 0 }, page - (page % span));
		}
		const quadrant = this.mode === PagingMode.bits32 ? (linear >>> 21) & 1 : 0;
		const table = Math.floor(walk.address[level - 1]! / 4096);
		return pool.obtain({ level: level - 1, direct: false, quadrant, rights }, table);
	}

	/** Flags of the entry that shadows the guest's last one. */
	private leafFlags(access: number): number {
		const { walk, controls } = this;
		const entry = walk.low[walk.leaf]!;
		const dirty = entry & Entry.dirty ? Entry.writable : 0;
		const base = Entry.present | HOST_ACCESSED;
		if (controls.cr0 & Cr0.wp) return base | (entry & Entry.user) | (entry & dirty);
		if (!walk.user) return base | dirty;
		if (walk.writable) return base | Entry.user | dirty;
		// A supervisor's write makes it the supervisor's, the next access of a user changes it back.
		return (access & (Access.write | Access.user)) === Access.write ? base | dirty : base | Entry.user;
	}

	/** Traces the page table that holds a guest entry although no shadow was made of it; -1 for none. */
	traceTable(entryAddress: number): void {
		if (entryAddress >= 0)
			this.pool.obtain({ level: 1, direct: false, quadrant: 0, rights: this.rights }, Math.floor(entryAddress / 4096));
	}

	/** Follows a write to a guest page that holds page tables of any level. @param address guest-physical. */
	guestTableWritten(address: number, length: number): void {
		const { pool } = this;
		const same = pool.ofGuestPage(Math.floor(address / 4096));
		if (same.length === 0) return;
		const offset = address % 4096;
		const end = Math.min(offset + length, 4096);
		for (const table of [...same]) {
			if (++table.writes > FLOOD_LIMIT && !table.pinned && this.isEmpty(table)) {
				pool.destroy(table);
				this.observer.flushTlb();
				continue;
			}
			const [first, last] = this.shadowEntries(table, offset, end - 1);
			const own = pool.endOf(table);
			for (let index = first; index <= last; index++) {
				if (index < own) pool.drop(table, index);
				if (table.level === 2) this.directoryEntryChanged(table, index);
			}
		}
	}

	/** The entries of a shadow table that shadow the bytes from one offset in the guest's table to another, both inclusive. */
	private shadowEntries(table: ShadowTable, first: number, last: number): [number, number] {
		if (this.mode !== PagingMode.bits32) return [first >> 3, last >> 3];
		const { level, quadrant } = table.role;
		// An entry of a page directory covers 4 MBytes there and 2 MBytes here.
		const width = level === 2 ? 2 : 1;
		const skipped = quadrant * (ENTRIES / width);
		const from = ((first >> 2) - skipped) * width;
		const to = ((last >> 2) - skipped) * width + width - 1;
		return [Math.max(from, 0), Math.min(to, ENTRIES - 1)];
	}

	private directoryEntryChanged(table: ShadowTable, index: number): void {
		if (this.fourLevel) return;
		for (const [gib, root] of this.roots.entries())
			if (root === table) this.observer.directoryEntryChanged(gib * ENTRIES + index);
	}

	/** Nothing goes through the table now, so that there is no loss when its page turns out to be one of data by now. */
	private isEmpty(table: ShadowTable): boolean {
		for (let index = 0; index < this.pool.endOf(table); index++)
			if (this.pool.low(table.entryAddress(index)) & Entry.present) return false;
		return true;
	}

	/** Lets a page-table page be written freely: its shadows are dropped and come back, traced, when next used. */
	forgetTables(page: number): void {
		for (const table of [...this.pool.ofGuestPage(page)]) {
			this.pool.destroy(table);
			if (table.level === 2)
				for (let index = 0; index < this.pool.endOf(table); index++) this.directoryEntryChanged(table, index);
		}
		this.traces.clear(page, Trace.table);
		this.observer.flushTlb();
	}

	/** Drops every mapping of a page, which is something else from now on. */
	forgetPage(page: number): void {
		this.pool.reverse.forEach(page, (table, index) => this.pool.drop(table, index));
		this.observer.flushTlb();
	}

	/** Takes the write permission from every mapping of a page that is traced from now on. */
	private protect(page: number): void {
		const { pool } = this;
		pool.reverse.forEach(page, (table, index) => {
			const at = table.entryAddress(index);
			pool.setLow(at, pool.low(at) & ~Entry.writable);
		});
		this.observer.flushTlb();
	}
}
