// The tables by which a VMM tells the remapping unit which requester reaches which host frame: root table, context tables,
// second-level tables, and which interrupts they may raise. They lie in host memory, in frames of the VMM, and there is no other copy.
// Reference: Intel VT-d specification 3.3, §9.1 (root entry), §9.3 (context entry), §9.9 (second-level entries),
// §9.10 (interrupt-remapping entries).

import { sourceId } from "../../devices/dma-port.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";

/** Where frames for tables come from. @throws {MachineError} when none is left. */
export interface FrameSource {
	allocate(): number;
}

const PAGE = 4096;
const PRESENT = 1;
const READ = 1;
const WRITE = 2;
/** SVT of an interrupt-remapping entry: all 16 bits of the requester are compared. */
const VALIDATE_SOURCE = 1 << 18;
/** Second-level tables of four levels, 48 bits: AW is levels - 2. */
const LEVELS = 4;
const ADDRESS_WIDTH = LEVELS - 2;

/** Frames of tables, and their quadwords. */
class TableFrames {
	constructor(
		private readonly host: PhysicalMemory,
		private readonly frames: FrameSource,
	) {}

	/** Host-physical address of a fresh table of zeros. */
	make(): number {
		const address = this.frames.allocate() * PAGE;
		this.host.poke(address, new Uint8Array(PAGE));
		return address;
	}

	/** A table entry: the low 32 bits in `low`; the upper half of an address of this host's memory is 0. */
	set(address: number, low: number, high = 0): void {
		this.host.write(address, 4, low >>> 0);
		this.host.write(address + 4, 4, high >>> 0);
	}

	isPresent(address: number): boolean {
		return (this.host.read(address, 4) & PRESENT) !== 0;
	}

	/** Address of the table that an entry names; 0 when the entry is not present. */
	next(address: number): number {
		const low = this.host.read(address, 4);
		return low & (READ | WRITE) ? (low & ~(PAGE - 1)) >>> 0 : 0;
	}
}

/** Second-level tables of one domain: guest-physical pages to host frames. */
export class DomainTables {
	/** Host-physical address of the top table. */
	readonly root: number;

	/** @param frames of the tables. */
	constructor(
		private readonly tables: TableFrames,
		readonly domain: number,
	) {
		this.root = tables.make();
	}

	/** Lets the domain's devices read and, unless it is read-only, write a page. */
	map(page: number, frame: number, writable: boolean): void {
		this.tables.set(this.entry(page), frame * PAGE + (READ | (writable ? WRITE : 0)));
	}

	/** Takes a page away from the domain's devices; the unit's caches have to be told. */
	unmap(page: number): void {
		this.tables.set(this.entry(page), 0);
	}

	/** Host-physical address of the entry of a page; tables on the way are made. */
	private entry(page: number): number {
		let table = this.root;
		for (let level = LEVELS; level > 1; level--) {
			const at = table + 8 * (Math.floor(page / 2 ** (9 * (level - 1))) & 511);
			table = this.tables.next(at);
			if (table !== 0) continue;
			table = this.tables.make();
			this.tables.set(at, table + (READ | WRITE));
		}
		return table + 8 * (page & 511);
	}
}

/** Root and context tables of one remapping unit, and an interrupt-remapping table. */
export class RemappingTables {
	private readonly tables: TableFrames;
	/** Host-physical address of the root table. */
	readonly root: number;
	/** Of the interrupt-remapping table: 256 entries. A device raises no interrupt by a write but by an entry that is present. */
	readonly interrupts: number;
	/** Of the invalidation queue, and of a dword that the unit writes when it has done what is in it (§6.5.2). */
	readonly queue: number;
	readonly status: number;

	constructor(host: PhysicalMemory, frames: FrameSource) {
		this.tables = new TableFrames(host, frames);
		this.root = this.tables.make();
		this.interrupts = this.tables.make();
		this.queue = this.tables.make();
		this.status = this.tables.make();
	}

	/** Lets a requester, and no other, raise a vector of the host's processor: fixed, edge, physical destination 0. */
	openInterrupt(index: number, source: number, vector: number): void {
		const entry = this.interrupts + 16 * index;
		this.tables.set(entry + 8, VALIDATE_SOURCE | source);
		this.tables.set(entry, (vector << 16) | PRESENT);
	}

	/** Takes it back; the unit's cache has to be told. */
	closeInterrupt(index: number): void {
		this.tables.set(this.interrupts + 16 * index, 0);
	}

	isOpen(index: number): boolean {
		return this.tables.isPresent(this.interrupts + 16 * index);
	}

	makeDomain(domain: number): DomainTables {
		return new DomainTables(this.tables, domain);
	}

	/** The requester's requests are translated by the domain's tables; requesters without an entry are stopped. */
	assign(source: number, { domain, root }: DomainTables): void {
		const rootEntry = this.root + 16 * (source >> 8);
		let contexts = this.tables.next(rootEntry);
		if (contexts === 0) {
			contexts = this.tables.make();
			this.tables.set(rootEntry, contexts + PRESENT);
		}
		const entry = contexts + 16 * (source & sourceId(31, 7));
		this.tables.set(entry + 8, ADDRESS_WIDTH | (domain << 8));
		this.tables.set(entry, root + PRESENT);
	}
}
