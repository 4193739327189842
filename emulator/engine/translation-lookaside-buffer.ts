// The TLB that generated code reads. Tags carry the context (generation, user/supervisor) in their low 12 bits, so that a
// full flush is a new generation and a change of privilege needs no flush.
//
// Behind the TLB lies the jump cache, by linear address; it has generations of its own, because INVLPG ends one too. What is not in it is
// found through the translations of fetches and the block table, by physical address.

import {
	BlockTable,
	EngineWord,
	FetchTlb,
	FillLog,
	JumpCache,
	PagingMode,
	State,
	TLB_GLOBAL,
	Tlb,
} from "../isa/state.ts";
import { PageKind, type PhysicalMemory } from "./physical-memory.ts";

const NO_TAG = -1n;
/** Generations that fit in the tag: bits 11:2, but not all ones, which the tag of the last page would share with NO_TAG. */
const GENERATIONS = (1 << 10) - 1;
const JUMP_GENERATIONS = 1 << 27;
/** Context bits of tags. */
export const TagBit = { user: 1, userPagesAllowed: 2, generationShift: 2 } as const;
const CONTEXT_MASK = 0xfff;
/** EFLAGS.AC */
const ALIGNMENT_CHECK = 1 << 18;
/** Words of an entry. */
const Word = {
	read: Tlb.readTag >> 2,
	write: Tlb.writeTag >> 2,
	addend: Tlb.addend >> 2,
	page: Tlb.physicalPage >> 2,
} as const;
const FETCH_PAGE = FetchTlb.page >> 2;
/** Pages below 4 GiB. */
const PAGES = 1 << 20;

/** The translations of a process-context identifier and the jumps made with them. */
interface Generations {
	readonly translations: number;
	readonly jumps: number;
}

/** What the buffers of processors in one memory share. */
interface SharedGenerations {
	/** The highest generation that was ever used; those below it that are not in the buffers' `contexts` are not used again. */
	newest: number;
	newestJumps: number;
	readonly members: TranslationLookasideBuffer[];
}

export interface TlbState {
	readonly generation: number;
	readonly newest: number;
	readonly contexts: readonly (readonly [identifier: number, generations: Generations])[];
	readonly flushes: number;
}

export class TranslationLookasideBuffer {
	private generation = 1;
	private jumpGeneration = 1;
	private readonly shared: SharedGenerations;
	/** Generations of process-context identifiers other than the current one whose translations are still known. */
	private readonly contexts = new Map<number, Generations>();
	flushes = 0;
	private readonly fillLog: Uint16Array;
	private readonly fetchLog: Uint16Array;

	/**
	 * State.tlbContext and State.jumpContext are those of this buffer's processor. Processors of one machine share the entries and are
	 * told apart by their generations; one at a time runs.
	 */
	private selected = true;
	private pagingMode: number = PagingMode.none;
	/** WalkBlock bits. */
	private walkBlocks = 0;

	/** @param other the buffer of another processor in the same memory; this one is not the selected one then */
	constructor(
		private readonly physical: PhysicalMemory,
		other?: TranslationLookasideBuffer,
	) {
		this.fillLog = new Uint16Array(physical.memory.buffer, FillLog.base, FillLog.entries);
		this.fetchLog = new Uint16Array(physical.memory.buffer, FillLog.fetchBase, FillLog.entries);
		this.shared = other?.shared ?? { newest: 1, newestJumps: 1, members: [] };
		this.shared.members.push(this);
		if (other) {
			this.selected = false;
			this.beginGeneration();
		} else {
			this.clear();
			this.clearJumpCache();
		}
	}

	/** The state in memory is that of this buffer's processor from now on, or no longer. */
	select(selected: boolean): void {
		this.selected = selected;
		if (selected) this.updateContext();
	}

	/** Which tables generated code may walk while nothing blocks that. updateContext() makes it known. */
	setPagingMode(mode: number): void {
		this.pagingMode = mode;
	}

	/** Has every translation come to the processor's own walk, for one of the reasons in WalkBlock. */
	blockWalks(reason: number, blocked: boolean): void {
		this.walkBlocks = blocked ? this.walkBlocks | reason : this.walkBlocks & ~reason;
		this.updateContext();
	}

	/** Translations entered since power-on, by generated code and here. */
	get fills(): number {
		return this.physical.i32[EngineWord.tlbFills >> 2]! >>> 0;
	}

	/** What does not lie in the memory that the entries lie in. */
	save(): TlbState {
		const { generation, shared, contexts, flushes } = this;
		return { generation, newest: shared.newest, contexts: [...contexts], flushes };
	}

	restore({ generation, newest, contexts, flushes }: TlbState): void {
		this.generation = generation;
		this.shared.newest = newest;
		this.contexts.clear();
		for (const [identifier, { translations }] of contexts)
			this.contexts.set(identifier, { translations, jumps: ++this.shared.newestJumps });
		this.flushes = flushes;
		this.forgetJumps();
		this.beginJumps();
	}

	private clear(): void {
		const { i32, i64 } = this.physical;
		i64.fill(NO_TAG, Tlb.base / 8, (Tlb.base + Tlb.entries * Tlb.entrySize) / 8);
		i32[EngineWord.fillLogCount >> 2] = 0;
		this.clearFetches();
	}

	private clearFetches(): void {
		this.physical.i32[EngineWord.fetchLogCount >> 2] = 0;
		this.physical.i64.fill(NO_TAG, FetchTlb.base / 8, (FetchTlb.base + FetchTlb.entries * FetchTlb.entrySize) / 8);
	}

	private clearJumpCache(): void {
		this.physical.i32.fill(0, JumpCache.base / 4, (JumpCache.base + JumpCache.entries * JumpCache.entrySize) / 4);
	}

	/** Sets the context words after CPL, EFLAGS.AC, code size or the generation has changed. */
	updateContext(): void {
		if (!this.selected) return;
		const { i32 } = this.physical;
		i32[EngineWord.walk >> 2] = this.walkBlocks === 0 ? this.pagingMode : PagingMode.none;
		const user = i32[State.cpl / 4] === 3 ? TagBit.user : 0;
		// With EFLAGS.AC the supervisor may use user pages in spite of CR4.SMAP: a context of its own.
		const allowed = user === 0 && (i32[State.flagsRest / 4]! & ALIGNMENT_CHECK) !== 0 ? TagBit.userPagesAllowed : 0;
		i32[State.tlbContext / 4] = (this.generation << TagBit.generationShift) | allowed | user;
		i32[State.tlbContext / 4 + 1] = 0;
		i32[State.jumpContext / 4] = (this.jumpGeneration << 4) | (i32[State.codeSize / 4]! << 1) | user;
	}

	/** Forgets every translation (MOV to CR3, CR0, CR4, ...; SDM Vol. 3A §4.10.4). */
	flush(): void {
		this.contexts.clear();
		this.beginGeneration();
	}

	/** Forgets every translation of the current context but the global ones (a load of CR3 without process-context identifiers; SDM Vol. 3A §4.10.4.1). */
	flushLocal(): void {
		const { i32 } = this.physical;
		const logged = i32[EngineWord.fillLogCount >> 2]!;
		const fetches = i32[EngineWord.fetchLogCount >> 2]!;
		const before = this.generation;
		this.flush();
		// After the last generation all begins anew, and nothing is there to be kept.
		if (this.generation <= before) return;
		i32[EngineWord.fillLogCount >> 2] = keepEach(this.fillLog, logged, (number) => this.keep(number, before));
		i32[EngineWord.fetchLogCount >> 2] = keepEach(this.fetchLog, fetches, (number) => this.keepFetch(number, before));
	}

	/** Takes a global entry of the generation before into the current one; false when it is none. */
	private keep(number: number, before: number): boolean {
		const entry = (Tlb.base + number * Tlb.entrySize) >> 2;
		if ((this.physical.i32[entry + Word.page]! & TLB_GLOBAL) === 0) return false;
		const kept = this.renew(entry + Word.read, before);
		this.renew(entry + Word.write, before);
		return kept;
	}

	private keepFetch(number: number, before: number): boolean {
		const entry = (FetchTlb.base + number * FetchTlb.entrySize) >> 2;
		return (this.physical.i32[entry + FETCH_PAGE]! & TLB_GLOBAL) !== 0 && this.renew(entry, before);
	}

	/** Takes a tag of the generation before into the current one; false when it is of another. */
	private renew(word: number, before: number): boolean {
		const { i32 } = this.physical;
		const tag = i32[word]!;
		if ((tag & CONTEXT_MASK) >> TagBit.generationShift !== before) return false;
		const bits = tag & (TagBit.user | TagBit.userPagesAllowed);
		i32[word] = (tag & ~CONTEXT_MASK) | (this.generation << TagBit.generationShift) | bits;
		return true;
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
		this.physical.i32[EngineWord.fillLogCount >> 2] = 0;
		this.physical.i32[EngineWord.fetchLogCount >> 2] = 0;
		this.beginJumps();
	}

	private beginJumps(): void {
		const { shared } = this;
		if (++shared.newestJumps >= JUMP_GENERATIONS) {
			this.clearJumpCache();
			shared.newestJumps = 0;
			for (const member of shared.members) {
				member.contexts.clear();
				member.jumpGeneration = ++shared.newestJumps;
			}
		} else this.jumpGeneration = shared.newestJumps;
		this.updateContext();
	}

	/** Goes from one process-context identifier to another, or stays with it; `keep`: what is known of the new one stays (SDM Vol. 3A §4.10.4.1). */
	switchContext(from: number, to: number, keep: boolean): void {
		if (from === to) {
			if (!keep) this.beginGeneration();
			return;
		}
		this.contexts.set(from, { translations: this.generation, jumps: this.jumpGeneration });
		const known = this.contexts.get(to);
		this.contexts.delete(to);
		if (known === undefined || !keep) {
			this.beginGeneration();
			return;
		}
		this.generation = known.translations;
		this.jumpGeneration = known.jumps;
		// Which entries are of the generation that is gone back to is not known.
		this.physical.i32[EngineWord.fillLogCount >> 2] = -1;
		this.physical.i32[EngineWord.fetchLogCount >> 2] = -1;
		this.updateContext();
	}

	/** Forgets the translations of a process-context identifier that is not the current one. */
	forgetContext(identifier: number): void {
		this.contexts.delete(identifier);
	}

	/** Forgets the translations of one linear page in every context, given the low half of its address. */
	flushPage(linearLow: number): void {
		const { i64 } = this.physical;
		const entry = (Tlb.base + ((linearLow >>> 12) & (Tlb.entries - 1)) * Tlb.entrySize) / 8;
		i64[entry + Tlb.readTag / 8] = NO_TAG;
		i64[entry + Tlb.writeTag / 8] = NO_TAG;
		i64[this.fetchEntry(linearLow) >> 1] = NO_TAG;
		// The jump cache is keyed by linear address: what it has of the page goes, in the other contexts too.
		for (const [identifier, { translations }] of this.contexts)
			this.contexts.set(identifier, { translations, jumps: ++this.shared.newestJumps });
		this.beginJumps();
	}

	/** Forgets which block begins where, for instance after a change of breakpoints. */
	forgetJumps(): void {
		this.clearJumpCache();
		this.clearFetches();
		this.physical.i32.fill(0, BlockTable.base / 4, BlockTable.end / 4);
	}

	/**
	 * Enters a translation for the current context. `write` must be false unless the page-table entries are dirty already.
	 * Pages that are not RAM or ROM are never entered; the write tag is withheld for ROM and for pages that hold decoded code.
	 */
	fill(linearLow: number, linearHigh: number, physicalPage: number, write: boolean, global = false): void {
		const kind = this.physical.kindOf(physicalPage);
		if (kind !== PageKind.ram && kind !== PageKind.rom) return;
		const { i32 } = this.physical;
		i32[EngineWord.tlbFills >> 2]!++;
		const number = (linearLow >>> 12) & (Tlb.entries - 1);
		log(i32, EngineWord.fillLogCount, this.fillLog, number);
		const entry = (Tlb.base + number * Tlb.entrySize) >> 2;
		const tagLow = (linearLow & ~CONTEXT_MASK) | i32[State.tlbContext / 4]!;
		i32[entry + Word.read] = tagLow;
		i32[entry + Word.read + 1] = linearHigh;
		const mayWrite = write && kind === PageKind.ram && this.physical.hasCode[physicalPage] === 0;
		i32[entry + Word.write] = mayWrite ? tagLow : -1;
		i32[entry + Word.write + 1] = mayWrite ? linearHigh : -1;
		i32[entry + Word.addend] = (this.physical.placeOfPage(physicalPage) - (linearLow & ~CONTEXT_MASK)) | 0;
		i32[entry + Word.page] = physicalPage | (global ? TLB_GLOBAL : 0);
	}

	/** Enters a translation that an instruction fetch has used. */
	fillFetch(linearLow: number, linearHigh: number, physicalPage: number, global: boolean): void {
		if (physicalPage >= PAGES) return;
		const { i32 } = this.physical;
		const number = (linearLow >>> 12) & (FetchTlb.entries - 1);
		log(i32, EngineWord.fetchLogCount, this.fetchLog, number);
		const entry = this.fetchEntry(linearLow);
		// What the supervisor may read does not matter to fetches.
		i32[entry] = (linearLow & ~CONTEXT_MASK) | (i32[State.tlbContext / 4]! & ~TagBit.userPagesAllowed);
		i32[entry + 1] = linearHigh;
		i32[entry + FETCH_PAGE] = physicalPage | (global ? TLB_GLOBAL : 0);
	}

	/** Index of the first word of the entry for a page. */
	private fetchEntry(linearLow: number): number {
		return (FetchTlb.base + ((linearLow >>> 12) & (FetchTlb.entries - 1)) * FetchTlb.entrySize) >> 2;
	}

	/** Takes the write permission of the fast path from every entry of a physical page (it has code now, or is watched). */
	withholdWrites(physicalPage: number): void {
		const { i32 } = this.physical;
		const step = Tlb.entrySize / 4;
		const end = (Tlb.base + Tlb.entries * Tlb.entrySize) / 4;
		for (let entry = Tlb.base / 4; entry < end; entry += step) {
			if ((i32[entry + Word.page]! & ~TLB_GLOBAL) === physicalPage) {
				i32[entry + Word.write] = -1;
				i32[entry + Word.write + 1] = -1;
			}
		}
	}
}

/** Enters a number in a log; a log that is full says so. */
function log(words: Int32Array, countAt: number, entries: Uint16Array, number: number): void {
	const count = words[countAt >> 2]!;
	if (count < 0) return;
	if (count < entries.length) entries[count] = number;
	words[countAt >> 2] = count < entries.length ? count + 1 : -1;
}

/** Of the numbers in a log (of all there are, when there were more) those that are kept: they make the new log. @returns its count */
function keepEach(entries: Uint16Array, count: number, keep: (number: number) => boolean): number {
	let kept = 0;
	const all = count < 0;
	for (let at = 0; at < (all ? entries.length : count); at++) {
		const number = all ? at : entries[at]!;
		if (keep(number)) entries[kept++] = number;
	}
	return kept;
}
