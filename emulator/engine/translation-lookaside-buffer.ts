// The TLB that generated code reads. Tags carry the context (generation, user/supervisor) in their low 12 bits, so that a
// full flush is a new generation and a change of privilege needs no flush.

import { JumpCache, State, Tlb } from "../isa/state.ts";
import { PageKind, type PhysicalMemory } from "./physical-memory.ts";

const NO_TAG = -1n;
/** Generations that fit in the tag: bits 11:1, but not all ones, which the tag of the last page would share with NO_TAG; bit 0 is "user". */
const GENERATIONS = (1 << 11) - 1;

export interface TlbState {
	readonly generation: number;
	readonly newest: number;
	readonly contexts: readonly (readonly [identifier: number, generation: number])[];
	readonly fills: number;
	readonly flushes: number;
}

/** What the buffers of processors in one memory share. */
interface SharedGenerations {
	/** The highest generation that was ever used; those below it that are not in the buffers' `contexts` are not used again. */
	newest: number;
	readonly members: TranslationLookasideBuffer[];
}

export class TranslationLookasideBuffer {
	private generation = 1;
	private readonly shared: SharedGenerations;
	/** Generations of process-context identifiers other than the current one whose translations are still known. */
	private readonly contexts = new Map<number, number>();
	fills = 0;
	flushes = 0;

	/**
	 * State.tlbContext and State.jumpContext are those of this buffer's processor. Processors of one machine share the entries and are
	 * told apart by their generations; one at a time runs.
	 */
	private selected = true;

	/** @param other the buffer of another processor in the same memory; this one is not the selected one then */
	constructor(
		private readonly physical: PhysicalMemory,
		other?: TranslationLookasideBuffer,
	) {
		this.shared = other?.shared ?? { newest: 1, members: [] };
		this.shared.members.push(this);
		if (other) {
			this.selected = false;
			this.beginGeneration();
		} else this.clear();
	}

	/** The state in memory is that of this buffer's processor from now on, or no longer. */
	select(selected: boolean): void {
		this.selected = selected;
		if (selected) this.updateContext();
	}

	/** What does not lie in the memory that the entries lie in. */
	save(): TlbState {
		const { generation, shared, contexts, fills, flushes } = this;
		return { generation, newest: shared.newest, contexts: [...contexts], fills, flushes };
	}

	restore({ generation, newest, contexts, fills, flushes }: TlbState): void {
		this.generation = generation;
		this.shared.newest = newest;
		this.contexts.clear();
		for (const [identifier, known] of contexts) this.contexts.set(identifier, known);
		this.fills = fills;
		this.flushes = flushes;
	}

	private clear(): void {
		this.physical.i64.fill(NO_TAG, Tlb.base / 8, (Tlb.base + Tlb.entries * Tlb.entrySize) / 8);
		this.clearJumpCache();
	}

	private clearJumpCache(): void {
		this.physical.i32.fill(0, JumpCache.base / 4, (JumpCache.base + JumpCache.entries * JumpCache.entrySize) / 4);
	}

	/** Sets the context words after CPL, code size or the generation has changed. */
	updateContext(): void {
		if (!this.selected) return;
		const { i32, i64 } = this.physical;
		const user = i32[State.cpl / 4] === 3 ? 1 : 0;
		i64[State.tlbContext / 8] = BigInt((this.generation << 1) | user);
		i32[State.jumpContext / 4] = (this.generation << 4) | (i32[State.codeSize / 4]! << 1) | user;
	}

	/** Forgets every translation (MOV to CR3, CR0, CR4, ...; SDM Vol. 3A §4.10.4). */
	flush(): void {
		this.contexts.clear();
		this.beginGeneration();
	}

	private beginGeneration(): void {
		this.flushes++;
		const { shared } = this;
		if (++shared.newest === GENERATIONS) {
			this.clear();
			// Every buffer begins anew with a generation of its own; the others' words follow when they are selected.
			shared.newest = 0;
			for (const member of shared.members) {
				member.contexts.clear();
				member.generation = ++shared.newest;
			}
		} else this.generation = shared.newest;
		this.updateContext();
	}

	/** Goes from one process-context identifier to another, or stays with it; `keep`: what is known of the new one stays (SDM Vol. 3A §4.10.4.1). */
	switchContext(from: number, to: number, keep: boolean): void {
		if (from === to) {
			if (!keep) this.beginGeneration();
			return;
		}
		this.contexts.set(from, this.generation);
		const known = this.contexts.get(to);
		this.contexts.delete(to);
		if (known === undefined || !keep) {
			this.beginGeneration();
			return;
		}
		this.generation = known;
		this.updateContext();
	}

	/** Forgets the translations of a process-context identifier that is not the current one. */
	forgetContext(identifier: number): void {
		this.contexts.delete(identifier);
	}

	/** Forgets the translations of one linear page in every context (low and high half of the address as i32). The jump cache, keyed by linear address, goes with it. */
	flushPage(linearLow: number, _linearHigh: number): void {
		const entry = Tlb.base + ((linearLow >>> 12) & (Tlb.entries - 1)) * Tlb.entrySize;
		this.physical.i64[entry / 8] = NO_TAG;
		this.physical.i64[entry / 8 + 1] = NO_TAG;
		this.clearJumpCache();
	}

	/** Forgets what the jump cache knows, for instance after a change of breakpoints. */
	forgetJumps(): void {
		this.clearJumpCache();
	}

	/**
	 * Enters a translation for the current context. `write` must be false unless the page-table entries are dirty already.
	 * Pages that are not RAM or ROM are never entered; the write tag is withheld for ROM and for pages that hold decoded code.
	 */
	fill(linearLow: number, linearHigh: number, physicalPage: number, write: boolean): void {
		const kind = this.physical.kindOf(physicalPage);
		if (kind !== PageKind.ram && kind !== PageKind.rom) return;
		this.fills++;
		const { i32 } = this.physical;
		const entry = (Tlb.base + ((linearLow >>> 12) & (Tlb.entries - 1)) * Tlb.entrySize) >> 2;
		const tagLow = (linearLow & ~0xfff) | i32[State.tlbContext / 4]!;
		i32[entry] = tagLow;
		i32[entry + 1] = linearHigh;
		const mayWrite = write && kind === PageKind.ram && this.physical.hasCode[physicalPage] === 0;
		i32[entry + 2] = mayWrite ? tagLow : -1;
		i32[entry + 3] = mayWrite ? linearHigh : -1;
		i32[entry + 6] = (this.physical.placeOfPage(physicalPage) - (linearLow & ~0xfff)) | 0;
		i32[entry + 7] = physicalPage;
	}

	/** Takes the write permission of the fast path from every entry of a physical page (it has code now, or is watched). */
	withholdWrites(physicalPage: number): void {
		const { i32 } = this.physical;
		const step = Tlb.entrySize / 4;
		const end = (Tlb.base + Tlb.entries * Tlb.entrySize) / 4;
		for (let entry = Tlb.base / 4; entry < end; entry += step) {
			if (i32[entry + 7] === physicalPage) {
				i32[entry + 2] = -1;
				i32[entry + 3] = -1;
			}
		}
	}
}
