// The host's GDT and LDT: shadows of the guest's descriptors in their places, the VMM's own at the end of the GDT.

import { GuestFault } from "../guest/guest-fault.ts";
import type { GuestLinearMemory } from "../guest/guest-linear-memory.ts";
import { Access } from "../guest/guest-page-walk.ts";
import { Area, FIRST_VMM_DESCRIPTOR } from "../layout.ts";
import type { ShadowPageTables } from "../shadow/shadow-page-tables.ts";
import { Trace } from "../shadow/write-traces.ts";
import type { VmmMemory } from "../vmm-memory.ts";
import { type DescriptorWords, NO_DESCRIPTOR, shadowDescriptor } from "./shadow-descriptor.ts";

/** One guest table and the host table that shadows it. */
class ShadowedTable {
	base = 0;
	/** Bytes of the guest's table. */
	length = 0;
	/** Guest-physical pages that hold it, in linear order; -1 where none is mapped. */
	pages: number[] = [];
	/** False when the table shares its pages with data that is written often: then it has no trace and no lasting shadows. */
	traced = true;
	/** Writes to its pages beside the table. */
	misses = 0;
	/** Offsets of code descriptors that ring 3 can run in. */
	readonly userCode = new Set<number>();

	constructor(
		readonly area: number,
		readonly capacity: number,
	) {}
}

const S_CODE = 0x1800;
const DPL_3 = 0x6000;
const CONFORMING = 0x400;
/** Writes beside a table, in its pages, after which the trace costs more than loads that trap. */
const MISS_LIMIT = 64;

export class ShadowDescriptorTables {
	private readonly global = new ShadowedTable(Area.globalDescriptorTable, FIRST_VMM_DESCRIPTOR);
	private readonly local = new ShadowedTable(Area.localDescriptorTable, 0x10000);

	private hidden = false;

	constructor(
		private readonly vmm: VmmMemory,
		private readonly linear: GuestLinearMemory,
		private readonly shadow: ShadowPageTables,
	) {}

	/**
	 * While this is set code descriptors that ring 3 can run in have no shadow, so that a far return of kernel code in ring 1 to user code
	 * traps: the processor itself would let it pass, without the guest's IF.
	 */
	set userCodeIsHidden(hidden: boolean) {
		if (this.hidden === hidden) return;
		this.hidden = hidden;
		for (const table of [this.global, this.local]) {
			if (!table.traced) continue;
			for (const offset of table.userCode) {
				if (hidden) this.erase(table, offset);
				else this.synchronize(table, offset);
			}
		}
	}

	/** Follows LGDT. */
	loadGlobal(base: number, limit: number): void {
		this.load(this.global, base, limit + 1);
	}

	/** Follows LLDT; a length of 0 is no table. */
	loadLocal(base: number, length: number): void {
		this.load(this.local, base, length);
	}

	private load(table: ShadowedTable, base: number, length: number): void {
		table.base = base >>> 0;
		table.length = Math.min(length, 0x10000);
		this.vmm.fill32(table.area, table.capacity / 4, 0);
		const old = table.pages;
		table.pages = this.pagesOf(table);
		table.traced = true;
		table.misses = 0;
		table.userCode.clear();
		for (const page of old) if (!this.holds(page)) this.shadow.traces.clear(page, Trace.descriptors);
		for (const page of table.pages) if (page >= 0) this.shadow.traces.set(page, Trace.descriptors);
		const end = Math.min(table.length, table.capacity);
		for (let offset = 0; offset + 8 <= end; offset += 8) this.synchronize(table, offset);
	}

	private holds(page: number): boolean {
		return this.global.pages.includes(page) || this.local.pages.includes(page);
	}

	private pagesOf(table: ShadowedTable): number[] {
		const pages: number[] = [];
		if (table.length === 0) return pages;
		for (let at = table.base & ~0xfff; at >>> 0 < table.base + table.length; at += 4096) {
			const mapped = this.shadow.walk.walk(at, Access.read);
			pages.push(mapped ? Math.floor(this.shadow.walk.physical / 4096) : -1);
			if (at >>> 0 >= 0xfffff000) break;
		}
		return pages;
	}

	/** Looks again at where the tables lie, after the guest's paging changed. */
	mappingChanged(): void {
		for (const table of [this.global, this.local]) {
			if (table.length === 0) continue;
			const pages = this.pagesOf(table);
			if (pages.length === table.pages.length && pages.every((page, index) => page === table.pages[index])) continue;
			this.load(table, table.base, table.length);
		}
	}

	/** Follows a write to a guest-physical page that holds a descriptor table. */
	written(address: number, length: number): void {
		const page = address >>> 12;
		for (const table of [this.global, this.local]) {
			table.pages.forEach((held, index) => {
				if (held !== page) return;
				const start = ((table.base & ~0xfff) >>> 0) + index * 4096 + (address & 0xfff) - table.base;
				const end = Math.min(start + length, table.length, table.capacity);
				if (!table.traced) return;
				if (end <= 0 || start >= table.length) {
					if (++table.misses > MISS_LIMIT) this.untrace(table);
					return;
				}
				for (let offset = Math.max(0, start & ~7); offset < end; offset += 8)
					if (offset + 8 <= table.length) this.synchronize(table, offset);
			});
		}
	}

	/** Gives up a table's trace: from now on each load of a segment traps and is done by the VMM. */
	private untrace(table: ShadowedTable): void {
		table.traced = false;
		this.vmm.fill32(table.area, table.capacity / 4, 0);
		for (const page of table.pages)
			if (page >= 0 && ![this.global, this.local].some((other) => other.traced && other.pages.includes(page)))
				this.shadow.traces.clear(page, Trace.descriptors);
	}

	/** Lets the pages of descriptor tables be written without the VMM. */
	untracePage(page: number): void {
		for (const table of [this.global, this.local]) if (table.pages.includes(page)) this.untrace(table);
	}

	/** True when the table of a selector is traced, so that its shadows may stay. */
	isTraced(selector: number): boolean {
		return (selector & 4 ? this.local : this.global).traced;
	}

	/** Makes the shadow of a selector's descriptor, as the guest's table has it now, until drop() takes away what may not stay. */
	refresh(selector: number): void {
		const table = selector & 4 ? this.local : this.global;
		const offset = selector & 0xfff8;
		if (offset + 8 <= Math.min(table.length, table.capacity))
			this.write(table, offset, this.readQuietly(table, offset));
	}

	/** Takes the shadow of a selector's descriptor away again, when its table is not traced or it is hidden. */
	drop(selector: number): void {
		const table = selector & 4 ? this.local : this.global;
		const offset = selector & 0xfff8;
		const stays = table.traced && !(this.hidden && table.userCode.has(offset));
		if (!stays && offset + 8 <= table.capacity) this.erase(table, offset);
	}

	private erase(table: ShadowedTable, offset: number): void {
		this.vmm.write32(table.area + offset, 0);
		this.vmm.write32(table.area + offset + 4, 0);
	}

	private synchronize(table: ShadowedTable, offset: number): void {
		const guest = this.readQuietly(table, offset);
		const code = (guest[1] & S_CODE) === S_CODE;
		const userCode = code && ((guest[1] & DPL_3) === DPL_3 || (guest[1] & CONFORMING) !== 0);
		if (userCode) table.userCode.add(offset);
		else table.userCode.delete(offset);
		if (userCode && this.hidden) this.erase(table, offset);
		else this.write(table, offset, guest);
	}

	private write(table: ShadowedTable, offset: number, guest: DescriptorWords): void {
		const [low, high] = shadowDescriptor(guest);
		this.vmm.write32(table.area + offset, low);
		this.vmm.write32(table.area + offset + 4, high);
	}

	private readQuietly(table: ShadowedTable, offset: number): DescriptorWords {
		try {
			return this.readAt(table, offset);
		} catch (fault) {
			if (!(fault instanceof GuestFault)) throw fault;
			return NO_DESCRIPTOR;
		}
	}

	private readAt(table: ShadowedTable, offset: number): DescriptorWords {
		const at = table.base + offset;
		return [this.linear.read(at >>> 0, 4, false) | 0, this.linear.read((at + 4) >>> 0, 4, false) | 0];
	}

	/** The guest's descriptor of a selector; undefined beyond its table's limit. @throws {GuestFault} #PF */
	descriptor(selector: number): DescriptorWords | undefined {
		const table = selector & 4 ? this.local : this.global;
		const offset = selector & 0xfff8;
		if (offset + 8 > table.length) return undefined;
		return this.readAt(table, offset);
	}

	/** Sets bits in the second dword of a guest descriptor: accessed or busy. */
	setHighBits(selector: number, set: number, clear = 0): void {
		const table = selector & 4 ? this.local : this.global;
		const at = (table.base + (selector & 0xfff8) + 4) >>> 0;
		const old = this.linear.read(at, 4, false) | 0;
		const changed = (old | set) & ~clear;
		if (changed !== old) this.linear.write(at, 4, changed, false);
		if (table.traced && (selector & 0xfff8) + 8 <= table.capacity) this.synchronize(table, selector & 0xfff8);
	}

	/** The host's descriptor of a selector, as the hardware sees it. */
	shadowOf(selector: number): DescriptorWords {
		const at = (selector & 4 ? this.local : this.global).area + (selector & 0xfff8);
		return [this.vmm.read32(at), this.vmm.read32(at + 4)];
	}

	/** True when the host's table has a descriptor for the selector that can be loaded. */
	isShadowed(selector: number): boolean {
		const table = selector & 4 ? this.local : this.global;
		const offset = selector & 0xfff8;
		return offset + 8 <= Math.min(table.length, table.capacity) && this.vmm.read32(table.area + offset + 4) !== 0;
	}
}
