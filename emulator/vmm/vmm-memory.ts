// The VMM's own 4 MB of linear space, as bytes of host-physical memory.

import type { PhysicalMemory } from "../engine/physical-memory.ts";
import { RAM_BASE } from "../isa/state.ts";
import { VMM_BASE, VMM_BYTES } from "./layout.ts";

export class VmmMemory {
	private readonly base: number;

	/** @param physicalBase host-physical address of the first byte, on a page boundary. */
	constructor(
		readonly host: PhysicalMemory,
		readonly physicalBase: number,
	) {
		this.base = RAM_BASE + physicalBase;
	}

	/** True when a linear address is the VMM's. */
	static holds(linear: number): boolean {
		return linear >>> 0 >= VMM_BASE;
	}

	/** A dword at an offset from VMM_BASE (a multiple of 4). */
	read32(offset: number): number {
		return this.host.i32[(this.base + offset) >> 2]!;
	}

	write32(offset: number, value: number): void {
		this.host.i32[(this.base + offset) >> 2] = value;
	}

	fill32(offset: number, count: number, value: number): void {
		this.host.i32.fill(value, (this.base + offset) >> 2, ((this.base + offset) >> 2) + count);
	}

	/** Bytes at an offset, as a view. */
	bytes(offset: number, length: number): Uint8Array {
		return this.host.u8.subarray(this.base + offset, this.base + offset + length);
	}

	/** Stores code: decoded copies of what lay there are dropped. @param linear in the translation cache. */
	storeCode(linear: number, code: Uint8Array): void {
		const offset = linear - VMM_BASE;
		if (offset < 0 || offset + code.length > VMM_BYTES) throw new RangeError("Code outside the VMM's area.");
		// Page by page: the frames are consecutive, but a write tells the decoded copies of one page at a time.
		for (let done = 0; done < code.length; ) {
			const part = Math.min(code.length - done, 4096 - ((offset + done) & 0xfff));
			this.host.poke(this.physicalBase + offset + done, code.subarray(done, done + part));
			done += part;
		}
	}
}
