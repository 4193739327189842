// Shadow page tables (DESIGN section 4; Adams & Agesen, ASPLOS 2006, §2.4): the tables that the host's CR3 points to, in
// host memory, in the host's format (32-bit, two levels, 4 KB pages), filled on demand from the guest's tables and the pmap.
// One shadow exists per guest page-table page and is shared by every directory that uses it, so that a guest CR3 load only
// picks another root.

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import { Access, Cr0, Entry, GuestPageWalk, type PagingControls } from "../guest/guest-page-walk.ts";
import type { GuestPhysicalMemory } from "../guest/guest-physical-memory.ts";
import type { HostFrames } from "../host-frames.ts";
import { VMM_BASE, VMM_DIRECTORY_INDEX } from "../layout.ts";
import { ReverseMap } from "./reverse-map.ts";
import { ShadowTable, TableKind } from "./shadow-table.ts";
import { Trace, WriteTraces } from "./write-traces.ts";

/** What became of a page fault of the host. */
export const FillResult = {
	/** The guest maps it: the shadow was filled, the access can be tried again (a hidden page fault). */
	filled: 0,
	/** The guest's tables forbid it: `walk.errorCode` says why (a true page fault). */
	fault: 1,
	/** Allowed, but the page is write-traced: the write has to be emulated. */
	traced: 2,
	/** Allowed, but no RAM lies there: the access has to be emulated. `walk.physical` is the guest-physical address. */
	device: 3,
	/** Allowed, but the address belongs to the VMM: the access has to be emulated. */
	reserved: 4,
} as const;
export type FillResult = (typeof FillResult)[keyof typeof FillResult];

/** Shadow entries have A and D set from the start, so that the host never writes them. */
const HOST_ACCESSED = Entry.accessed | Entry.dirty;
/** Traced writes to an unused table after which it is taken for a page that is no table any more. */
const FLOOD_LIMIT = 16;
/** Shadow tables kept at most; when they are used up all are dropped and built anew. */
const MAXIMUM_TABLES = 4096;

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
	/** An entry of the current page directory changed. */
	directoryEntryChanged(index: number): void;
}

export class ShadowPageTables {
	readonly walk: GuestPageWalk;
	readonly traces: WriteTraces;
	hiddenFaults = 0;
	private readonly reverse = new ReverseMap();
	private readonly tables = new Map<number, ShadowTable>();
	private readonly byFrame = new Map<number, ShadowTable>();
	private readonly byGuestPage = new Map<number, ShadowTable[]>();
	private root!: ShadowTable;
	private readonly i32: Int32Array;

	/** @param vmmDirectoryEntry the host page-directory entry of the VMM's own 4 MB, present in every root. */
	constructor(
		private readonly host: PhysicalMemory,
		private readonly frames: HostFrames,
		private readonly memory: GuestPhysicalMemory,
		private readonly controls: PagingControls,
		private readonly vmmDirectoryEntry: number,
		private readonly observer: ShadowObserver,
	) {
		this.i32 = host.i32;
		this.walk = new GuestPageWalk(memory, controls);
		this.traces = new WriteTraces(memory.pmap.length, (page) => this.protect(page));
	}

	/** Host frame of the root in use: what the host's CR3 has to hold. */
	get rootFrame(): number {
		return this.root.frame;
	}

	/** Number of shadow tables in host memory. */
	get size(): number {
		return this.tables.size;
	}

	/** Follows the guest's CR0, CR3 and CR4 after one of them was loaded. */
	activate(): void {
		const page = this.walk.paging ? this.controls.cr3 >>> 12 : 0;
		const root = this.table(TableKind.root, page, this.walk.paging ? 0 : Entry.large);
		root.writes = 0;
		this.root = root;
		this.observer.rootChanged(root.frame);
	}

	/** Drops every shadow table, as after a change of CR0.WP, CR0.PG or CR4.PSE. `activate` has to follow. */
	dropAll(): void {
		for (const table of [...this.tables.values()]) this.destroy(table);
		this.observer.flushTlb();
	}

	/** Host-physical address of a linear address when the shadow maps it with these rights, else -1. */
	lookup(linear: number, access: number): number {
		if (linear >>> 0 >= VMM_BASE) return -1;
		const pde = this.i32[(RAM_BASE + this.root.frame * 4096 + ((linear >>> 20) & 0xffc)) >> 2]!;
		if ((pde & Entry.present) === 0) return -1;
		const pte = this.i32[(RAM_BASE + (pde & 0xfffff000) + ((linear >>> 10) & 0xffc)) >>> 2]!;
		const needed = Entry.present | access;
		if ((pde & pte & needed) !== needed) return -1;
		return ((pte & 0xfffff000) | (linear & 0xfff)) >>> 0;
	}

	/**
	 * Makes the shadow map the linear address for the access, if the guest's tables allow it. Sets A and D in the guest's
	 * tables as the processor would. The walk's result lies in `walk`.
	 */
	fill(linear: number, access: number): FillResult {
		const { walk } = this;
		if (!walk.walk(linear, access)) return FillResult.fault;
		walk.markAccessed(access);
		if (linear >>> 0 >= VMM_BASE) return FillResult.reserved;
		const page = walk.physical >>> 12;
		if (!this.memory.isBacked(walk.physical)) return FillResult.device;
		const write = (access & Access.write) !== 0;
		if (write && (this.traces.has(page) || !this.memory.isRam(page))) return FillResult.traced;
		this.hiddenFaults++;
		this.map(linear, page, access);
		return FillResult.filled;
	}

	private map(linear: number, page: number, access: number): void {
		const { walk } = this;
		const table = this.tableFor(linear);
		table.writes = 0;
		if (walk.paging) this.traces.set(this.root.guestPage, Trace.table);
		const leaf = walk.large ? walk.pde : walk.pte;
		const dirty = !walk.paging || (leaf & Entry.dirty) !== 0;
		let entry = Entry.present | HOST_ACCESSED;
		if (walk.user) entry |= Entry.user;
		if (walk.writable) {
			if (dirty) entry |= Entry.writable;
		} else if ((access & (Access.write | Access.user)) === Access.write) {
			// A supervisor writes to a read-only page, which CR0.WP = 0 allows (SDM Vol. 3A §4.6): writable, but not for users.
			entry = (entry | Entry.writable) & ~Entry.user;
		}
		if (this.traces.has(page) || !this.memory.isRam(page)) entry &= ~Entry.writable;
		this.setEntry(table, (linear >>> 12) & 0x3ff, page, entry);
	}

	/** The shadow table for the page-directory index of the address, linked into the current root. */
	private tableFor(linear: number): ShadowTable {
		const { walk, controls } = this;
		const index = linear >>> 22;
		const writeProtect = (controls.cr0 & Cr0.wp) !== 0;
		let table: ShadowTable;
		let flags: number = Entry.writable | Entry.user;
		if (!walk.paging) table = this.table(TableKind.splinter, index << 10, 0);
		else if (walk.large) {
			const rights = walk.pde & (Entry.writable | Entry.user | Entry.dirty | (writeProtect ? 0 : Entry.present));
			table = this.table(TableKind.splinter, (walk.pde >>> 22) << 10, rights | Entry.large);
		} else if (writeProtect) {
			table = this.table(TableKind.table, walk.pde >>> 12, 0);
			flags &= walk.pde;
		} else {
			// Without write protection the entries carry the rights of both levels, and the directory entry none.
			const rights = walk.pde & (Entry.writable | Entry.user);
			table = this.table(TableKind.table, walk.pde >>> 12, rights | Entry.present);
		}
		const at = this.root.frame * 4096 + index * 4;
		const entry = (table.frame * 4096) | flags | Entry.present | HOST_ACCESSED;
		const old = this.read(at);
		if (old !== (entry | 0)) {
			if ((old & Entry.present) !== 0) {
				this.byFrame.get(old >>> 12)?.parents.delete(at);
				this.observer.flushTlb();
			}
			this.write(at, entry);
			table.parents.add(at);
		}
		return table;
	}

	private setEntry(table: ShadowTable, index: number, page: number, flags: number): void {
		const at = table.frame * 4096 + index * 4;
		const entry = (this.memory.frameOf(page) * 4096) | flags;
		const old = this.read(at);
		if ((old & Entry.present) !== 0) this.reverse.remove(table.pages[index]!, at);
		this.write(at, entry);
		this.reverse.add(page, at);
		table.pages[index] = page;
	}

	/** Finds or makes the shadow of a guest page. */
	private table(kind: number, guestPage: number, rights: number): ShadowTable {
		const key = (kind * 256 + rights) * 0x100000 + guestPage;
		const found = this.tables.get(key);
		if (found !== undefined) return found;
		if (this.tables.size >= MAXIMUM_TABLES) this.dropUnused();
		const frame = this.frames.allocate();
		const start = (RAM_BASE + frame * 4096) >> 2;
		this.i32.fill(0, start, start + 1024);
		const table = new ShadowTable(key, kind, guestPage, frame, rights);
		this.tables.set(key, table);
		this.byFrame.set(frame, table);
		if (kind === TableKind.root) this.write(frame * 4096 + VMM_DIRECTORY_INDEX * 4, this.vmmDirectoryEntry);
		if (kind !== TableKind.splinter && (kind !== TableKind.root || rights === 0)) {
			const same = this.byGuestPage.get(guestPage);
			if (same) same.push(table);
			else this.byGuestPage.set(guestPage, [table]);
			this.traces.set(guestPage, Trace.table);
		}
		return table;
	}

	private dropUnused(): void {
		for (const table of [...this.tables.values()]) if (table !== this.root) this.destroy(table);
		this.observer.flushTlb();
	}

	private destroy(table: ShadowTable): void {
		const base = table.frame * 4096;
		if (table.kind === TableKind.root) {
			for (let index = 0; index < VMM_DIRECTORY_INDEX; index++) {
				const entry = this.read(base + index * 4);
				if ((entry & Entry.present) !== 0) this.byFrame.get(entry >>> 12)?.parents.delete(base + index * 4);
			}
		} else {
			for (let index = 0; index < 1024; index++) this.dropEntry(table, index);
			for (const parent of table.parents) this.write(parent, 0);
		}
		this.tables.delete(table.key);
		this.byFrame.delete(table.frame);
		const same = this.byGuestPage.get(table.guestPage);
		if (same?.includes(table)) {
			same.splice(same.indexOf(table), 1);
			if (same.length === 0) {
				this.byGuestPage.delete(table.guestPage);
				this.traces.clear(table.guestPage, Trace.table);
			}
		}
		this.frames.release(table.frame);
	}

	/** Takes one entry out of a table; the page that it mapped, or -1. */
	private dropEntry(table: ShadowTable, index: number): number {
		const at = table.frame * 4096 + index * 4;
		const old = this.read(at);
		if ((old & Entry.present) === 0) return -1;
		const page = table.pages[index]!;
		this.reverse.remove(page, at);
		this.write(at, 0);
		if (table.kind === TableKind.table && this.observer.hasCode(page)) this.observer.codeMappingDropped(page);
		return page;
	}

	/** Traces the page table that holds a guest entry although no shadow was made of it; -1 for none. */
	traceTable(entryAddress: number): void {
		if (entryAddress >= 0) this.table(TableKind.table, entryAddress >>> 12, 0);
	}

	/** Follows a write to a guest page that holds page tables or directories. @param address guest-physical. */
	guestTableWritten(address: number, length: number): void {
		const page = address >>> 12;
		const same = this.byGuestPage.get(page);
		if (same === undefined) return;
		const first = (address & 0xfff) >> 2;
		const last = Math.min(((address & 0xfff) + length - 1) >> 2, 1023);
		for (const table of [...same]) {
			if (++table.writes > FLOOD_LIMIT && table !== this.root && !this.holdsCode(table)) {
				this.destroy(table);
				this.observer.flushTlb();
				continue;
			}
			for (let index = first; index <= last; index++) {
				if (table.kind === TableKind.table) this.dropEntry(table, index);
				else this.unlink(table, index);
			}
		}
	}

	private holdsCode(table: ShadowTable): boolean {
		if (table.kind !== TableKind.table) return false;
		for (let index = 0; index < 1024; index++) {
			const present = (this.read(table.frame * 4096 + index * 4) & Entry.present) !== 0;
			if (present && this.observer.hasCode(table.pages[index]!)) return true;
		}
		return false;
	}

	private unlink(root: ShadowTable, index: number): void {
		if (index !== VMM_DIRECTORY_INDEX) {
			const at = root.frame * 4096 + index * 4;
			const old = this.read(at);
			if ((old & Entry.present) !== 0) {
				this.byFrame.get(old >>> 12)?.parents.delete(at);
				this.write(at, 0);
			}
		}
		if (root === this.root) this.observer.directoryEntryChanged(index);
	}

	/** Lets a page-table page be written freely: its shadows are dropped and come back, traced, when next used. */
	forgetTables(page: number): void {
		for (const table of [...(this.byGuestPage.get(page) ?? [])]) {
			if (table === this.root) {
				for (let index = 0; index < VMM_DIRECTORY_INDEX; index++) this.unlink(table, index);
				this.traces.clear(page, Trace.table);
			} else this.destroy(table);
		}
		this.observer.flushTlb();
	}

	/** Takes the write permission from every mapping of a page that is traced from now on. */
	private protect(page: number): void {
		for (const at of this.reverse.of(page)) this.write(at, this.read(at) & ~Entry.writable);
		this.observer.flushTlb();
	}

	/** A shadow entry at a host-physical address. */
	read(address: number): number {
		return this.i32[(RAM_BASE + address) >>> 2]!;
	}

	private write(address: number, entry: number): void {
		this.host.write(address, 4, entry >>> 0);
	}
}
