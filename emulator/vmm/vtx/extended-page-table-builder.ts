// Extended page tables as the VMM builds them, in host frames: guest-physical pages of 4 KBytes to host frames (SDM Vol. 3C §29.3.2).

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import type { HostFrames } from "../host-frames.ts";

export const EptRights = { read: 1, write: 2, execute: 4, all: 7 } as const;
/** Memory type write-back in bits 5:3 of a leaf. */
const WRITE_BACK = 6 << 3;
/** Memory type 6 in bits 2:0, walk length minus 1 in bits 5:3, accessed and dirty flags in bit 6 (§25.6.11). */
const POINTER_FLAGS = 6 | (3 << 3) | (1 << 6);
const ENTRIES = 512;

export class ExtendedPageTableBuilder {
	readonly root: number;
	/** Tables in use, the root included. */
	tables = 0;

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly frames: HostFrames,
	) {
		this.root = this.allocate();
	}

	/** For the EPT-pointer field. */
	get pointer(): bigint {
		return BigInt(this.root * 4096 + POINTER_FLAGS);
	}

	private allocate(): number {
		const frame = this.frames.allocate();
		const start = RAM_BASE + frame * 4096;
		this.physical.u8.fill(0, start, start + 4096);
		this.tables++;
		return frame;
	}

	/** Host-physical address of the last-level entry of a guest page; with `make` the tables on the way are made, else -1 where one is missing. */
	private entry(page: number, make: boolean): number {
		let table = this.root;
		for (let level = 3; level > 0; level--) {
			const at = table * 4096 + (Math.floor(page / ENTRIES ** level) % ENTRIES) * 8;
			const low = this.physical.read(at, 4);
			if (low & EptRights.all) {
				table = low >>> 12;
				continue;
			}
			if (!make) return -1;
			table = this.allocate();
			this.store(at, table, EptRights.all);
		}
		return table * 4096 + (page % ENTRIES) * 8;
	}

	private store(at: number, frame: number, flags: number): void {
		this.physical.write(at, 4, ((frame << 12) | flags) >>> 0);
		this.physical.write(at + 4, 4, frame >>> 20);
	}

	/** Maps a guest page to a host frame with EptRights. */
	map(page: number, frame: number, rights: number): void {
		this.store(this.entry(page, true), frame, rights | WRITE_BACK);
	}

	/** Takes the mapping of a guest page away; true when there was one, so that cached translations have to be forgotten. */
	unmap(page: number): boolean {
		const at = this.entry(page, false);
		if (at < 0 || (this.physical.read(at, 4) & EptRights.all) === 0) return false;
		this.store(at, 0, 0);
		return true;
	}
}
