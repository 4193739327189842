// Guest code as the translator reads it: which addresses are to be simulated, and under which page-directory entries
// translations were made.

import { AddressCounts } from "../address-counts.ts";
import type { GuestCode } from "../guest-code.ts";
import type { ShadowPageTables } from "../shadow/shadow-page-tables.ts";
import type { VirtualCpu } from "../virtual-cpu.ts";
import type { Fragment } from "./fragment.ts";
import type { GuestCodeSource, TranslationCache } from "./translation-cache.ts";

export class TranslationSource implements GuestCodeSource {
	cache!: TranslationCache;
	/** 1 for the addresses of simulated instructions. */
	private readonly simulated = new AddressCounts();
	/** By number of the 2 MBytes: the page-directory entry under which code was translated there. */
	private readonly witnesses = new Map<number, number>();

	constructor(
		private readonly code: GuestCode,
		private readonly vcpu: VirtualCpu,
		private readonly shadow: ShadowPageTables,
	) {}

	get shortFlagForms(): boolean {
		return this.vcpu.iopl === 0;
	}

	isSimulated(linear: number): boolean {
		return this.simulated.get(linear) > 0;
	}

	/** From now on the instruction is translated in its SIMULATE form. */
	simulate(linear: number): void {
		this.simulated.set(linear, 1);
	}

	/** From now on the instruction is translated as it is again. */
	unsimulate(linear: number): void {
		this.simulated.delete(linear);
	}

	fetch(linear: number): { bytes: Uint8Array; physical: number } {
		return this.code.fetch(linear);
	}

	/** A fragment was made: remembers under which page-directory entries. */
	translated(fragment: Fragment): void {
		for (const linear of [fragment.guestStart, fragment.guestEnd - 1]) {
			const index = linear >>> 21;
			if (!this.witnesses.has(index)) this.witnesses.set(index, this.directoryEntry(index));
		}
	}

	private directoryEntry(index: number): number {
		return this.shadow.walk.directoryEntry(index << 21);
	}

	/** Another page directory is in use: fragments under entries that differ are dropped. */
	rootChanged(): void {
		for (const index of [...this.witnesses.keys()]) this.directoryEntryChanged(index);
	}

	/** The entry of the current page directory for the 2 MBytes with this number may have changed. */
	directoryEntryChanged(index: number): void {
		const witness = this.witnesses.get(index);
		if (witness === undefined || witness === this.directoryEntry(index)) return;
		this.witnesses.delete(index);
		this.cache.linearRangeChanged(index * 0x200000, (index + 1) * 0x200000);
	}
}
