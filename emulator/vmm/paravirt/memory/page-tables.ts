// Registered page tables: the guest's tables are the hardware's own, and every change of them is checked here before it is made
// (Barham et al., SOSP 2003, §3.3.3). What must hold: no frame is a page table, or a table of descriptors, and writable at a time;
// no entry leads to a frame of another owner; and each reference is counted, so that a recount from scratch gives the same numbers.
//
// A table that leads to itself would need two types at a time, so "linear page tables" are refused as Xen without pv-linear-pt does.

import { END_XEN_SLOT, FIRST_COMPAT_L2_SLOT, FIRST_XEN_SLOT } from "../vmm-layout.ts";
import { COMPAT_VIRT_START, Errno } from "../xen-abi.ts";
import { type FrameAllocator, FrameFlag, type FrameTable, NO_OWNER, PageType } from "./frame-table.ts";
import type { MachineMemory } from "./machine-memory.ts";

/** Bits of page-table entries (SDM Vol. 3A §4.5). */
export const Entry = {
	present: 1 << 0,
	writable: 1 << 1,
	user: 1 << 2,
	accessed: 1 << 5,
	dirty: 1 << 6,
	pageSize: 1 << 7,
	global: 1 << 8,
	/** In the high half: a supervisor page of a 64-bit guest, whose kernel runs in ring 3 (Xen: _PAGE_GUEST_KERNEL). */
	guestKernelHigh: 1 << 20,
} as const;

/** PWT, PCD, PS, G: not in entries that lead to tables. */
const DISALLOWED_IN_TABLES = 0x198;
/** Bits 51:32 of the address in the high half of an entry: host memory ends below 4 GiB. */
const ADDRESS_HIGH = 0xfffff;
const ENTRIES = 512;
const MOST_REFERENCES = 0xfffffff0;
/** Frames of the local APIC and the I/O APIC, which stay the VMM's. */
const INTERRUPT_CONTROLLERS: ReadonlySet<number> = new Set([0xfec00, 0xfee00]);

/** The owner of tables, as far as the checks depend on it. */
export interface TableOwner {
	readonly id: number;
	/** A 64-bit guest: four levels, kernel in ring 3. Else PAE, three levels, kernel in ring 1. */
	readonly wide: boolean;
	/** May map device memory. */
	readonly privileged: boolean;
	/** Fills the VMM's slots of a top-level table of the owner's. */
	fillXenSlots(frame: number): void;
	/** Fills the VMM's slots of the level-2 table of a 32-bit guest's top GByte. */
	fillCompatSlots(frame: number): void;
	/** A frame of the owner's came free. */
	frameFreed(frame: number): void;
}

export interface TableSurroundings {
	owner(id: number): TableOwner | undefined;
	/** TLB flushes so far. */
	flushes(): number;
	flush(): void;
}

function frameOf(low: number): number {
	return low >>> 12;
}

/** Type that an entry of a table gives to the frame it leads to; undefined for L1 entries. */
function typeBelow(type: PageType, index: number, owner: TableOwner): PageType {
	switch (type) {
		case PageType.l4:
			return PageType.l3;
		case PageType.l3:
			return !owner.wide && index === 3 ? PageType.l2Top : PageType.l2;
		default:
			return PageType.l1;
	}
}

export class PageTables {
	/** Entries looked at so far: what batches are cut by. */
	work = 0;

	constructor(
		readonly memory: MachineMemory,
		readonly table: FrameTable,
		private readonly allocator: FrameAllocator,
		private readonly around: TableSurroundings,
	) {}

	// References.

	/** One more general reference to a frame of a domain; false when it is not the domain's. */
	getPage(frame: number, owner: number): boolean {
		const { table } = this;
		if (!this.memory.isRam(frame) || table.owner[frame] !== owner) return false;
		if (table.referenceCount[frame] === 0 || table.referenceCount[frame]! >= MOST_REFERENCES) return false;
		table.referenceCount[frame]!++;
		return true;
	}

	putPage(frame: number): void {
		const { table } = this;
		if (--table.referenceCount[frame]! !== 0) return;
		const owner = table.owner[frame]!;
		table.owner[frame] = NO_OWNER;
		table.type[frame] = PageType.none;
		table.flags[frame] = 0;
		table.released[frame] = this.around.flushes();
		this.allocator.give(frame);
		this.around.owner(owner)?.frameFreed(frame);
	}

	/** One more type reference, which checks the content when it is the first. 0, or a negative errno and nothing changed. */
	getType(frame: number, type: PageType): number {
		const { table } = this;
		if (table.typeCount[frame] === 0) {
			if (table.type[frame] !== type) {
				// Translations made while it was writable may still be cached.
				if (table.released[frame] === this.around.flushes()) this.around.flush();
				table.type[frame] = type;
				table.clearFlag(frame, FrameFlag.validated);
			}
		} else if (table.type[frame] !== type) return -Errno.EINVAL;
		else if (table.typeCount[frame]! >= MOST_REFERENCES) return -Errno.EINVAL;
		if (!table.has(frame, FrameFlag.validated)) {
			// The reference counts while the content is checked: an entry that leads back here sees the type taken.
			table.typeCount[frame] = 1;
			const result = this.validate(frame, type);
			table.typeCount[frame] = 0;
			if (result < 0) return result;
			table.setFlag(frame, FrameFlag.validated);
		}
		table.typeCount[frame]!++;
		return 0;
	}

	putType(frame: number): void {
		const { table } = this;
		if (--table.typeCount[frame]! !== 0) return;
		const type = table.type[frame]! as PageType;
		if (type === PageType.writable) {
			table.released[frame] = this.around.flushes();
			return;
		}
		if (type === PageType.descriptors) return;
		table.clearFlag(frame, FrameFlag.validated);
		this.releaseEntries(frame, type, ENTRIES);
	}

	/** Both references. 0 or a negative errno. */
	getPageAndType(frame: number, owner: number, type: PageType): number {
		if (!this.getPage(frame, owner)) return -Errno.EINVAL;
		const result = this.getType(frame, type);
		if (result < 0) this.putPage(frame);
		return result;
	}

	putPageAndType(frame: number): void {
		this.putType(frame);
		this.putPage(frame);
	}

	// Whole tables.

	private validate(frame: number, type: PageType): number {
		if (type === PageType.writable || type === PageType.shared || type === PageType.none) return 0;
		const owner = this.around.owner(this.table.owner[frame]!);
		if (owner === undefined) return -Errno.EINVAL;
		this.work += ENTRIES;
		if (type === PageType.descriptors) return this.validateDescriptors(frame, owner);
		if (type === PageType.l4) owner.fillXenSlots(frame);
		for (let index = 0; index < ENTRIES; index++) {
			if (!this.isGuestSlot(type, index, owner)) continue;
			const low = this.memory.read(frame, index * 2);
			let result = 0;
			if (low & Entry.present) {
				const high = this.memory.read(frame, index * 2 + 1);
				result = this.getTarget(type, index, low, high, owner, owner.id);
				if (result === 0) this.storeAdjusted(frame, index, type, low, high, owner);
			} else if (type === PageType.l3 && !owner.wide && index === 3) result = -Errno.EINVAL;
			if (result < 0) {
				this.releaseEntries(frame, type, index);
				return result;
			}
		}
		if (type === PageType.l2Top) owner.fillCompatSlots(frame);
		return 0;
	}

	/** Gives back what the first `count` entries of a table refer to. */
	private releaseEntries(frame: number, type: PageType, count: number): void {
		const owner = this.around.owner(this.table.owner[frame]!);
		if (owner === undefined || type === PageType.none || type === PageType.shared) return;
		this.work += count;
		for (let index = 0; index < count; index++) {
			if (!this.isGuestSlot(type, index, owner)) continue;
			const low = this.memory.read(frame, index * 2);
			if (low & Entry.present) this.putTarget(type, low, this.memory.read(frame, index * 2 + 1));
		}
	}

	private isGuestSlot(type: PageType, index: number, owner: TableOwner): boolean {
		if (type === PageType.l4) return index < FIRST_XEN_SLOT || index >= END_XEN_SLOT;
		if (type === PageType.l2Top) return index < FIRST_COMPAT_L2_SLOT;
		return type !== PageType.l3 || owner.wide || index < 4;
	}

	/** The reference that an entry makes; 0 or a negative errno. */
	private getTarget(
		type: PageType,
		index: number,
		low: number,
		high: number,
		owner: TableOwner,
		pageOwner: number,
	): number {
		if (type === PageType.l1) return this.getMapped(low, high, owner, pageOwner);
		if (low & DISALLOWED_IN_TABLES || high & ADDRESS_HIGH) return -Errno.EINVAL;
		if (type === PageType.l3 && !owner.wide && high !== 0) return -Errno.EINVAL;
		return this.getPageAndType(frameOf(low), owner.id, typeBelow(type, index, owner));
	}

	private putTarget(type: PageType, low: number, high: number): void {
		if (type !== PageType.l1) this.putPageAndType(frameOf(low));
		else if ((high & ADDRESS_HIGH) === 0 && this.memory.isRam(frameOf(low))) {
			if (low & Entry.writable) this.putPageAndType(frameOf(low));
			else this.putPage(frameOf(low));
		}
	}

	/** What an entry of a level-1 table refers to. Device memory, which only a privileged domain may map, is not counted. */
	private getMapped(low: number, high: number, owner: TableOwner, pageOwner: number): number {
		const frame = frameOf(low);
		if (high & ADDRESS_HIGH) return -Errno.EINVAL;
		if (!this.memory.isRam(frame)) {
			if (!owner.privileged || INTERRUPT_CONTROLLERS.has(frame)) return -Errno.EPERM;
			return 0;
		}
		if (!this.getPage(frame, pageOwner)) return -Errno.EINVAL;
		if ((low & Entry.writable) === 0) return 0;
		const result = this.getType(frame, PageType.writable);
		if (result < 0) this.putPage(frame);
		return result;
	}

	/** Entries as the hardware needs them: the kernel of a 64-bit guest runs in ring 3, so that every page is a user page. */
	private storeAdjusted(
		frame: number,
		index: number,
		type: PageType,
		low: number,
		high: number,
		owner: TableOwner,
	): void {
		if (owner.wide) {
			if (type === PageType.l1 && (low & Entry.user) === 0) {
				low &= ~Entry.global;
				high |= Entry.guestKernelHigh;
			}
			low |= Entry.user;
		} else if (type === PageType.l3) low |= Entry.user | Entry.writable;
		this.memory.writeEntry(frame, index, low, high);
	}

	/** arch-x86/xen.h: descriptors that a guest may have are those of code and data, and nothing above its ring. */
	private validateDescriptors(frame: number, owner: TableOwner): number {
		for (let index = 0; index < ENTRIES; index++) {
			const fixed = checkDescriptor(this.memory.read(frame, index * 2), this.memory.read(frame, index * 2 + 1), owner);
			if (fixed === undefined) return -Errno.EINVAL;
			this.memory.writeEntry(frame, index, fixed[0], fixed[1]);
		}
		return 0;
	}

	// Single entries.

	/**
	 * Changes one entry of a validated table. 0 or a negative errno and nothing changed.
	 * @param pageOwner whose frames an entry of a level-1 table may lead to
	 * @param preserve keeps the A and D flags that the hardware has set (xen.h, MMU_PT_UPDATE_PRESERVE_AD)
	 */
	changeEntry(
		frame: number,
		index: number,
		low: number,
		high: number,
		owner: TableOwner,
		pageOwner: number,
		preserve = false,
	): number {
		const { memory, table } = this;
		const type = table.type[frame]! as PageType;
		this.work++;
		if (!this.isGuestSlot(type, index, owner)) return -Errno.EINVAL;
		// The top GByte holds the VMM's own mappings, which have to stay.
		if (type === PageType.l3 && !owner.wide && index === 3) return -Errno.EINVAL;
		const oldLow = memory.read(frame, index * 2);
		const oldHigh = memory.read(frame, index * 2 + 1);
		const had = (oldLow & Entry.present) !== 0;
		if ((low & Entry.present) === 0) {
			memory.writeEntry(frame, index, low, high);
			if (had) this.putTarget(type, oldLow, oldHigh);
			return 0;
		}
		const kept = preserve ? oldLow & (Entry.accessed | Entry.dirty) : 0;
		const same =
			had &&
			frameOf(oldLow) === frameOf(low) &&
			((oldHigh ^ high) & ADDRESS_HIGH) === 0 &&
			(type === PageType.l1 ? ((oldLow ^ low) & Entry.writable) === 0 : (low & DISALLOWED_IN_TABLES) === 0);
		if (same && (owner.wide || type !== PageType.l3 || high === 0)) {
			this.storeAdjusted(frame, index, type, low | kept, high, owner);
			return 0;
		}
		const result = this.getTarget(type, index, low, high, owner, pageOwner);
		if (result < 0) return result;
		this.storeAdjusted(frame, index, type, low | kept, high, owner);
		if (had) this.putTarget(type, oldLow, oldHigh);
		return 0;
	}

	/** MMUEXT_PIN_*: the frame stays a table of the type although nothing uses it. */
	pin(frame: number, owner: TableOwner, type: PageType): number {
		const result = this.getPageAndType(frame, owner.id, type);
		if (result < 0) return result;
		if (this.table.has(frame, FrameFlag.pinned)) {
			this.putPageAndType(frame);
			return -Errno.EINVAL;
		}
		this.table.setFlag(frame, FrameFlag.pinned);
		return 0;
	}

	unpin(frame: number, owner: number): number {
		if (!this.memory.isRam(frame) || this.table.owner[frame] !== owner) return -Errno.EINVAL;
		if (!this.table.has(frame, FrameFlag.pinned)) return -Errno.EINVAL;
		this.table.clearFlag(frame, FrameFlag.pinned);
		this.putPageAndType(frame);
		return 0;
	}
}

/** The level-1 entry that maps an address, from a top-level table down: [frame, index]; undefined when there is none. */
export function findLeaf(memory: MachineMemory, root: number, address: bigint): readonly [number, number] | undefined {
	let table = root;
	for (let level = 4; level > 1; level--) {
		const index = Number((address >> BigInt(3 + 9 * level)) & 511n);
		const low = memory.read(table, index * 2);
		if ((low & Entry.present) === 0 || low & Entry.pageSize || !memory.isRam(frameOf(low))) return undefined;
		table = frameOf(low);
	}
	return [table, Number((address >> 12n) & 511n)];
}

/** Whether a type is that of a page table. */
export function isTable(type: number): boolean {
	return (type >= PageType.l1 && type <= PageType.l4) || type === PageType.l2Top;
}

/**
 * A descriptor that a guest may have, with its DPL put where the guest runs; undefined for one that it may not. Call gates are
 * refused: a 32-bit guest could not use the 64-bit ones of this processor, and a 64-bit guest has no use for them.
 */
export function checkDescriptor(low: number, high: number, owner: TableOwner): readonly [number, number] | undefined {
	// Not present: every use faults.
	if ((high & 0x8000) === 0) return [low, high];
	const level = (high >> 13) & 3;
	const least = owner.wide ? 3 : 1;
	high = (high & ~0x6000) | (Math.max(level, least) << 13);
	if ((high & 0x1000) === 0) return (high & 0xf00) === 0 ? [low, high] : undefined;
	if (!owner.wide) {
		// 64-bit code would reach beyond the 4 GBytes that are the guest's.
		if (high & 0x200000) return undefined;
		const base = (high & 0xff000000) | ((high & 0xff) << 16) | (low >>> 16);
		const limit = ((high & 0xf0000) | (low & 0xffff)) + 1;
		if (base === 0 && (high & 0x800000 ? limit * 4096 : limit) > COMPAT_VIRT_START) {
			low |= 0xffff;
			high |= 0xf0000;
		}
	}
	return [low, high];
}
