// Grant tables, version 1: a domain lets another one map or copy its pages by entries in frames that it shares with the
// hypervisor. The entries are the guest's; what is mapped now is counted here, and an entry in use shows it by its reading and
// writing bits. Reference: Xen public header grant_table.h.

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { DomainView } from "../../machine/hypervisor-views.ts";
import { Domid } from "./xen-abi.ts";

/** grant_table.h, enum grant_status. */
export const GrantStatus = {
	okay: 0,
	generalError: -1,
	badDomain: -2,
	badGrantReference: -3,
	badHandle: -4,
	badVirtualAddress: -5,
	badDeviceAddress: -6,
	permissionDenied: -8,
	badPage: -9,
	badCopyArgument: -10,
	noSpace: -13,
} as const;

/** GTF_* of an entry. */
export const GrantFlag = {
	typeMask: 3,
	permitAccess: 1,
	readonly: 1 << 2,
	reading: 1 << 3,
	writing: 1 << 4,
	subPage: 1 << 8,
} as const;

/** GNTMAP_* of a mapping. */
export const MapFlag = { device: 1, host: 2, readonly: 4, application: 8, containsPte: 16 } as const;

const ENTRY_BYTES = 8;
const ENTRIES_PER_FRAME = 4096 / ENTRY_BYTES;
export const MOST_GRANT_FRAMES = 32;
const MOST_HANDLES = 1 << 16;

/** What a grant table needs of its domain. */
export interface GrantDomain {
	readonly id: number;
	readonly privileged: boolean;
	/** A zeroed frame of the hypervisor that the domain may map; undefined when none is left. */
	allocateSharedFrame(): number | undefined;
}

/** Where a mapping is to be made: a linear address of the caller, or the machine address of a page-table entry of the caller. */
export interface MappingPlace {
	readonly address: bigint;
	readonly isEntry: boolean;
}

/** What grant operations need of memory management. */
export interface GrantMemory {
	/** Takes a reference on a frame that the domain owns, and on its writable type for `writable`; false when that cannot be. */
	take(domain: number, frame: number, writable: boolean): boolean;
	release(frame: number, writable: boolean): void;
	/** Puts a mapping of the frame into the caller's page tables. @returns GrantStatus */
	map(caller: number, place: MappingPlace, frame: number, writable: boolean, application: boolean): number;
	/** Removes that mapping; fails when the entry does not map the frame. @returns GrantStatus */
	unmap(caller: number, place: MappingPlace, frame: number): number;
}

/** A grant that is in use. */
interface ActiveGrant {
	readonly frame: number;
	readonly grantee: number;
	readers: number;
	writers: number;
}

/** A mapping that a domain made (a "handle"). */
interface Mapping {
	readonly granter: number;
	readonly reference: number;
	readonly frame: number;
	readonly writable: boolean;
	readonly place: MappingPlace;
	host: boolean;
	device: boolean;
}

interface Table {
	readonly domain: GrantDomain;
	/** Shared frames that hold the entries. */
	readonly frames: number[];
	readonly active: Map<number, ActiveGrant>;
	readonly mappings: Map<number, Mapping>;
	nextHandle: number;
}

export interface MapResult {
	readonly status: number;
	readonly handle?: number;
	readonly frame?: number;
}

/** One side of a copy: a frame of the caller or a grant reference of a domain. */
export interface CopySide {
	readonly domain: number;
	readonly isReference: boolean;
	/** Frame number or reference. */
	readonly page: number;
	readonly offset: number;
}

interface Pin {
	readonly frame: number;
	release(): void;
}

export class GrantTables {
	private readonly tables = new Map<number, Table>();

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly memory: GrantMemory,
	) {}

	addDomain(domain: GrantDomain): void {
		this.tables.set(domain.id, { domain, frames: [], active: new Map(), mappings: new Map(), nextHandle: 0 });
	}

	/** The domain ends: what it has mapped of others is given back, its page tables with it. */
	removeDomain(id: number): void {
		const table = this.tables.get(id);
		for (const mapping of table?.mappings.values() ?? []) this.drop(mapping);
		this.tables.delete(id);
	}

	// ---- the table -------------------------------------------------------------------------------------------------

	/** The domain that an operation speaks of, or a status when the caller may not. */
	private subject(caller: number, domain: number): Table | number {
		const id = domain === Domid.self ? caller : domain;
		if (id !== caller && !this.tables.get(caller)?.domain.privileged) return GrantStatus.permissionDenied;
		return this.tables.get(id) ?? GrantStatus.badDomain;
	}

	/** Frames of the table, at least `count` of them. */
	setup(caller: number, domain: number, count: number): readonly number[] | number {
		const table = this.subject(caller, domain);
		if (typeof table === "number") return table;
		if (count > MOST_GRANT_FRAMES || !this.grow(table, count)) return GrantStatus.generalError;
		return table.frames.slice(0, count);
	}

	private grow(table: Table, count: number): boolean {
		while (table.frames.length < count) {
			const frame = table.domain.allocateSharedFrame();
			if (frame === undefined) return false;
			table.frames.push(frame);
		}
		return true;
	}

	/** Frames now, or a status. */
	size(caller: number, domain: number): { readonly frames: number } | number {
		const table = this.subject(caller, domain);
		return typeof table === "number" ? table : { frames: table.frames.length };
	}

	/** The domain builder grants a page on behalf of the guest (grant_table.h, reserved entries). */
	prepare(id: number, reference: number, grantee: number, frame: number): void {
		const table = this.tables.get(id);
		if (!table || !this.grow(table, 1)) return;
		const entry = this.entry(table, reference)!;
		this.physical.write(entry + 2, 2, grantee);
		this.physical.write(entry + 4, 4, frame);
		this.physical.write(entry, 2, GrantFlag.permitAccess);
	}

	/** Host-physical address of an entry. */
	private entry(table: Table, reference: number): number | undefined {
		const frame = table.frames[Math.floor(reference / ENTRIES_PER_FRAME)];
		return frame === undefined ? undefined : frame * 4096 + (reference % ENTRIES_PER_FRAME) * ENTRY_BYTES;
	}

	// ---- pins ------------------------------------------------------------------------------------------------------

	/** Takes a grant into use once more; its frame stays the one that it was when the first use began. */
	private pin(granter: number, reference: number, grantee: number, writable: boolean): ActiveGrant | number {
		const table = this.tables.get(granter);
		if (!table) return GrantStatus.badDomain;
		const entry = this.entry(table, reference);
		if (entry === undefined) return GrantStatus.badGrantReference;
		const flags = this.physical.read(entry, 2);
		if ((flags & GrantFlag.typeMask) !== GrantFlag.permitAccess || flags & GrantFlag.subPage)
			return GrantStatus.generalError;
		if (this.physical.read(entry + 2, 2) !== grantee) return GrantStatus.generalError;
		if (writable && flags & GrantFlag.readonly) return GrantStatus.generalError;
		let active = table.active.get(reference);
		if (active && active.grantee !== grantee) return GrantStatus.generalError;
		const frame = active?.frame ?? this.physical.read(entry + 4, 4);
		if (!this.memory.take(granter, frame, writable)) return GrantStatus.badPage;
		if (!active) table.active.set(reference, (active = { frame, grantee, readers: 0, writers: 0 }));
		active.readers++;
		if (writable) active.writers++;
		this.showUse(table, reference, active);
		return active;
	}

	private unpin(granter: number, reference: number, frame: number, writable: boolean): void {
		this.memory.release(frame, writable);
		const table = this.tables.get(granter);
		const active = table?.active.get(reference);
		if (!table || !active) return;
		active.readers--;
		if (writable) active.writers--;
		this.showUse(table, reference, active);
		if (active.readers === 0) table.active.delete(reference);
	}

	/** The reading and writing bits of the entry follow the counts: the granter sees by them that it cannot take the grant back. */
	private showUse(table: Table, reference: number, active: ActiveGrant): void {
		const entry = this.entry(table, reference)!;
		const flags = this.physical.read(entry, 2) & ~(GrantFlag.reading | GrantFlag.writing);
		const reading = active.readers > 0 ? GrantFlag.reading : 0;
		this.physical.write(entry, 2, flags | reading | (active.writers > 0 ? GrantFlag.writing : 0));
	}

	// ---- mapping ---------------------------------------------------------------------------------------------------

	map(caller: number, granter: number, reference: number, flags: number, address: bigint): MapResult {
		const own = this.tables.get(caller);
		const host = (flags & MapFlag.host) !== 0;
		const device = (flags & MapFlag.device) !== 0;
		if (!own || (!host && !device)) return { status: GrantStatus.badGrantReference };
		if (own.mappings.size >= MOST_HANDLES) return { status: GrantStatus.noSpace };
		const writable = (flags & MapFlag.readonly) === 0;
		const active = this.pin(granter, reference, caller, writable);
		if (typeof active === "number") return { status: active };
		const { frame } = active;
		const place = { address, isEntry: (flags & MapFlag.containsPte) !== 0 };
		const application = (flags & MapFlag.application) !== 0;
		const status = host ? this.memory.map(caller, place, frame, writable, application) : GrantStatus.okay;
		if (status !== GrantStatus.okay) {
			this.unpin(granter, reference, frame, writable);
			return { status };
		}
		let handle = own.nextHandle;
		while (own.mappings.has(handle)) handle = (handle + 1) % MOST_HANDLES;
		own.nextHandle = (handle + 1) % MOST_HANDLES;
		own.mappings.set(handle, { granter, reference, frame, writable, place, host, device });
		return { status: GrantStatus.okay, handle, frame };
	}

	/** An address of 0 leaves that mapping as it is (grant_table.h, GNTTABOP_unmap_grant_ref). */
	unmap(caller: number, handle: number, hostAddress: bigint, deviceAddress: bigint): number {
		const own = this.tables.get(caller);
		const mapping = own?.mappings.get(handle);
		if (!own || !mapping) return GrantStatus.badHandle;
		if (deviceAddress !== 0n && mapping.device && deviceAddress >> 12n !== BigInt(mapping.frame))
			return GrantStatus.badDeviceAddress;
		if (hostAddress !== 0n && mapping.host) {
			const place = { address: hostAddress, isEntry: mapping.place.isEntry };
			const status = this.memory.unmap(caller, place, mapping.frame);
			if (status !== GrantStatus.okay) return status;
			mapping.host = false;
		}
		if (deviceAddress !== 0n) mapping.device = false;
		if (mapping.host || mapping.device) return GrantStatus.okay;
		own.mappings.delete(handle);
		this.drop(mapping);
		return GrantStatus.okay;
	}

	private drop(mapping: Mapping): void {
		this.unpin(mapping.granter, mapping.reference, mapping.frame, mapping.writable);
	}

	// ---- copying ---------------------------------------------------------------------------------------------------

	copy(caller: number, source: CopySide, destination: CopySide, length: number): number {
		if (source.offset + length > 4096 || destination.offset + length > 4096) return GrantStatus.badCopyArgument;
		const from = this.take(caller, source, false);
		if (typeof from === "number") return from;
		const to = this.take(caller, destination, true);
		if (typeof to === "number") {
			from.release();
			return to;
		}
		const bytes = this.physical.peek(from.frame * 4096 + source.offset, length);
		const done = bytes !== undefined && this.physical.poke(to.frame * 4096 + destination.offset, bytes);
		to.release();
		from.release();
		return done ? GrantStatus.okay : GrantStatus.badPage;
	}

	private take(caller: number, side: CopySide, writable: boolean): Pin | number {
		const domain = side.domain === Domid.self ? caller : side.domain;
		if (side.isReference) {
			const active = this.pin(domain, side.page, caller, writable);
			if (typeof active === "number") return active;
			const { frame } = active;
			return { frame, release: () => this.unpin(domain, side.page, frame, writable) };
		}
		if (domain !== caller) return GrantStatus.permissionDenied;
		if (!this.memory.take(caller, side.page, writable)) return GrantStatus.badPage;
		return { frame: side.page, release: () => this.memory.release(side.page, writable) };
	}

	// ---- views -----------------------------------------------------------------------------------------------------

	/** The entries of a domain that permit access, at most `limit`. */
	view(id: number, limit = 4096): DomainView["grants"] {
		const table = this.tables.get(id);
		const found: DomainView["grants"][number][] = [];
		for (let reference = 0; table && found.length < limit; reference++) {
			const entry = this.entry(table, reference);
			if (entry === undefined) break;
			const flags = this.physical.read(entry, 2);
			const active = table.active.get(reference);
			if ((flags & GrantFlag.typeMask) !== GrantFlag.permitAccess && !active) continue;
			found.push({
				reference,
				domain: active?.grantee ?? this.physical.read(entry + 2, 2),
				frame: BigInt(active?.frame ?? this.physical.read(entry + 4, 4)),
				writable: (flags & GrantFlag.readonly) === 0,
				mapped: active?.readers ?? 0,
			});
		}
		return found;
	}

	/** Mappings that a domain has made of other domains' pages. */
	mappings(id: number): readonly { readonly granter: number; readonly reference: number; readonly frame: number }[] {
		return [...(this.tables.get(id)?.mappings.values() ?? [])];
	}
}
