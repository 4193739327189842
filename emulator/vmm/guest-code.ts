// Guest code as the translator reads it: fetches through the guest's page tables, which addresses are to be simulated, and
// under which page-directory entries translations were made.

import { Decoder, DecoderOptions } from "iced-x86";
import { refuse, Vector } from "./guest/guest-context.ts";
import { GuestFault } from "./guest/guest-fault.ts";
import { Access, Entry } from "./guest/guest-page-walk.ts";
import type { GuestPhysicalMemory } from "./guest/guest-physical-memory.ts";
import { FillResult, type ShadowPageTables } from "./shadow/shadow-page-tables.ts";
import type { Fragment } from "./translate/fragment.ts";
import { InstructionBytes } from "./translate/instruction-bytes.ts";
import type { GuestCodeSource, TranslationCache } from "./translate/translation-cache.ts";
import type { VirtualCpu } from "./virtual-cpu.ts";

const LONGEST_INSTRUCTION = 15;
/** A and D of an entry do not change what it maps. */
const IGNORED = Entry.accessed | Entry.dirty;
const NO_DIRECTORY = -1;

export class GuestCode implements GuestCodeSource {
	cache!: TranslationCache;
	private readonly simulated = new Set<number>();
	/** By page-directory index: the entry under which code was translated there. */
	private readonly witnesses = new Map<number, number>();

	constructor(
		private readonly vcpu: VirtualCpu,
		private readonly shadow: ShadowPageTables,
		private readonly physical: GuestPhysicalMemory,
	) {}

	get shortFlagForms(): boolean {
		return this.vcpu.iopl === 0;
	}

	isSimulated(linear: number): boolean {
		return this.simulated.has(linear);
	}

	/** From now on the instruction is translated in its SIMULATE form. */
	simulate(linear: number): void {
		this.simulated.add(linear);
	}

	/** From now on the instruction is translated as it is again. */
	unsimulate(linear: number): void {
		this.simulated.delete(linear);
	}

	fetch(linear: number): { bytes: Uint8Array; physical: number } {
		const { shadow, physical } = this;
		if (linear >>> 0 > this.vcpu.cs.limit) throw new GuestFault(Vector.generalProtection, 0);
		// The fill makes the shadow, and with it the write trace, of the page table that maps the code.
		const result = shadow.fill(linear, this.vcpu.cpl === 3 ? Access.user : Access.read);
		if (result === FillResult.fault) throw new GuestFault(Vector.pageFault, shadow.walk.errorCode, linear >>> 0);
		const address = shadow.walk.physical;
		if (result === FillResult.device) refuse("executes code in device memory", linear);
		if (result === FillResult.reserved && this.vcpu.cpl === 0) {
			// The code lies where the VMM does; translations do not care, but its page table has to be traced by hand.
			shadow.traceTable(shadow.walk.pteAddress);
		}
		const length = 4096 - (address & 0xfff);
		return { bytes: physical.peek(address, length)!, physical: address };
	}

	/** The instruction at a linear address, for the current privilege level. @throws {GuestFault} of the fetch */
	instructionAt(linear: number): { instruction: InstructionBytes; next: number } {
		const first = this.fetch(linear);
		let bytes = first.bytes.subarray(0, LONGEST_INSTRUCTION);
		let length = decodedLength(bytes);
		if (length === 0 && bytes.length < LONGEST_INSTRUCTION) {
			const rest = this.fetch(linear + bytes.length);
			const joined = new Uint8Array(LONGEST_INSTRUCTION);
			joined.set(bytes);
			joined.set(rest.bytes.subarray(0, LONGEST_INSTRUCTION - bytes.length), bytes.length);
			bytes = joined;
			length = decodedLength(bytes);
		}
		if (length === 0) throw new GuestFault(Vector.invalidOpcode);
		return { instruction: new InstructionBytes(bytes.slice(0, length)), next: (linear + length) >>> 0 };
	}

	/** A fragment was made: remembers under which page-directory entries. */
	translated(fragment: Fragment): void {
		for (const linear of [fragment.guestStart, fragment.guestEnd - 1]) {
			const index = linear >>> 22;
			if (!this.witnesses.has(index)) this.witnesses.set(index, this.directoryEntry(index));
		}
	}

	private directoryEntry(index: number): number {
		if (!this.shadow.walk.paging) return NO_DIRECTORY;
		const address = ((this.vcpu.cr3 & 0xfffff000) | (index << 2)) >>> 0;
		return this.physical.read32(address) & ~IGNORED;
	}

	/** Another page directory is in use: fragments under entries that differ are dropped. */
	rootChanged(): void {
		for (const index of [...this.witnesses.keys()]) this.directoryEntryChanged(index);
	}

	/** An entry of the current page directory may have changed. */
	directoryEntryChanged(index: number): void {
		const witness = this.witnesses.get(index);
		if (witness === undefined || witness === this.directoryEntry(index)) return;
		this.witnesses.delete(index);
		this.cache.linearRangeChanged(index * 0x400000, (index + 1) * 0x400000);
	}
}

function decodedLength(bytes: Uint8Array): number {
	const decoder = new Decoder(32, bytes, DecoderOptions.ForceReservedNop);
	const instruction = decoder.decode();
	const length = instruction.isInvalid ? 0 : instruction.length;
	instruction.free();
	decoder.free();
	return length;
}
