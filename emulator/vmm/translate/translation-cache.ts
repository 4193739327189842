// The translation cache (TC) in host memory: fragments behind each other, launches and continuations in regions of their
// own, the hash table, the table of indirect targets; chaining, fall-through and invalidation.

import { AddressCounts } from "../address-counts.ts";
import { Area, CONTINUATION_BYTES, HostVector, LAUNCH_BYTES, VcpuBlock, VMM_BASE } from "../layout.ts";
import type { VmmMemory } from "../vmm-memory.ts";
import { CodeBuffer, Register32 } from "./code-buffer.ts";
import type { CalloutSite, Exit, Fragment } from "./fragment.ts";
import { FragmentHashTable } from "./fragment-hash-table.ts";
import { type TranslationSource, translateUnit } from "./translator.ts";

/** No fragment is longer: 12 instructions of the longest forms, and their exits. */
const LONGEST_FRAGMENT = 4096;
const RETURN_ENTRIES = 0x10000;
const FIRST_FRAGMENT = VMM_BASE + Area.translationCache;
const COMMON_MISS = VMM_BASE + Area.launches;

/** What the translator reads, without the part that the cache itself gives. */
export type GuestCodeSource = Omit<TranslationSource, "allocateContinuation">;

export interface TranslationCacheObserver {
	/** A guest-physical page holds translated code from now on. */
	codePageAdded(page: number): void;
	codePageRemoved(page: number): void;
	translated(fragment: Fragment): void;
}

export class TranslationCache {
	readonly start = FIRST_FRAGMENT;
	readonly end = VMM_BASE + Area.translationCacheEnd;
	readonly hashTable: FragmentHashTable;
	/** Units translated, fragments invalidated, flushes, since power-on. */
	translationUnits = 0;
	invalidated = 0;
	flushes = 0;
	private next = FIRST_FRAGMENT;
	private nextLaunch = COMMON_MISS + LAUNCH_BYTES;
	private nextContinuation = VMM_BASE + Area.continuations;
	private readonly freeContinuations: number[] = [];
	private nextId = 1;
	/** In the order of their addresses. */
	private readonly ordered: Fragment[] = [];
	private readonly byId = new Map<number, Fragment>();
	private readonly byStart = new Map<number, Fragment>();
	private readonly byLaunch = new Map<number, Fragment>();
	private readonly byPage = new Map<number, Fragment[]>();
	private readonly generations = new AddressCounts();
	private readonly sites = new Map<number, CalloutSite>();

	constructor(
		private readonly memory: VmmMemory,
		private readonly source: GuestCodeSource,
		private readonly observer: TranslationCacheObserver,
	) {
		this.hashTable = new FragmentHashTable(memory);
		this.clear();
	}

	private clear(): void {
		this.hashTable.clear();
		this.memory.fill32(Area.returnTable, RETURN_ENTRIES, COMMON_MISS);
		const miss = new CodeBuffer(COMMON_MISS);
		miss.interrupt(HostVector.callout);
		this.memory.storeCode(COMMON_MISS, miss.take());
	}

	/** Drops every fragment. */
	flush(): void {
		this.flushes++;
		for (const page of this.byPage.keys()) this.observer.codePageRemoved(page);
		for (const fragment of this.ordered) fragment.valid = false;
		this.ordered.length = 0;
		this.byId.clear();
		this.byStart.clear();
		this.byLaunch.clear();
		this.byPage.clear();
		this.sites.clear();
		this.freeContinuations.length = 0;
		this.next = FIRST_FRAGMENT;
		this.nextLaunch = COMMON_MISS + LAUNCH_BYTES;
		this.nextContinuation = VMM_BASE + Area.continuations;
		this.clear();
	}

	/** Forgets all indirect targets, so that each goes through the VMM once more. */
	forgetIndirectTargets(): void {
		this.memory.fill32(Area.returnTable, RETURN_ENTRIES, COMMON_MISS);
	}

	/** The valid fragment that starts at a guest-linear address. */
	find(guest: number): Fragment | undefined {
		const start = this.hashTable.find(guest);
		return start === 0 ? undefined : this.byStart.get(start);
	}

	/** The same, translated when there is none. @throws {GuestFault} of the fetch */
	findOrTranslate(guest: number): Fragment {
		return this.find(guest) ?? this.translate(guest, -1);
	}

	/** @param origin where to put it if it fits into that page, -1 for behind the last fragment. */
	private translate(guest: number, origin: number): Fragment {
		const full =
			this.next + LONGEST_FRAGMENT > VMM_BASE + Area.launches ||
			this.nextContinuation + 64 * CONTINUATION_BYTES > this.end ||
			this.hashTable.used >= this.hashTable.size * 0.7;
		if (full) {
			this.flush();
			origin = -1;
		}
		let at = origin >= 0 ? origin : this.next;
		const generation = this.generations.get(guest);
		const { source } = this;
		const allocated: number[] = [];
		const allocateContinuation = (): number => {
			const slot = this.freeContinuations.pop() ?? this.nextContinuation;
			if (slot === this.nextContinuation) this.nextContinuation += CONTINUATION_BYTES;
			allocated.push(slot);
			return slot;
		};
		const make = (place: number): ReturnType<typeof translateUnit> =>
			translateUnit(
				{
					fetch: (linear) => source.fetch(linear),
					isSimulated: (linear) => source.isSimulated(linear),
					shortFlagForms: source.shortFlagForms,
					allocateContinuation,
				},
				guest,
				place,
				this.nextId,
				generation,
			);
		let translation: ReturnType<typeof translateUnit>;
		try {
			translation = make(at);
			if (at >>> 12 !== (translation.fragment.translatedEnd - 1) >>> 12) {
				// No fragment crosses a page: the host would have to look at two mappings each time.
				this.freeContinuations.push(...allocated);
				allocated.length = 0;
				at = ((at & ~0xfff) + 4096) >>> 0;
				translation = make(at);
			}
		} catch (fault) {
			this.freeContinuations.push(...allocated);
			throw fault;
		}
		const { fragment, code, sites } = translation;
		this.nextId++;
		this.translationUnits++;
		this.generations.set(guest, generation + 1);
		this.memory.storeCode(at, code);
		this.next = fragment.translatedEnd;
		for (const slot of allocated) this.memory.storeCode(slot, CONTINUATION);
		for (const { address, site } of sites) this.sites.set(address, site);
		this.ordered.push(fragment);
		this.byId.set(fragment.id, fragment);
		this.byStart.set(at, fragment);
		this.hashTable.insert(guest, at);
		for (const [page] of fragment.pages) {
			const list = this.byPage.get(page);
			if (list) list.push(fragment);
			else {
				this.byPage.set(page, [fragment]);
				this.observer.codePageAdded(page);
			}
		}
		this.observer.translated(fragment);
		return fragment;
	}

	/** The callout site of an INT at a linear address; undefined for the common miss. */
	site(address: number): CalloutSite | undefined {
		return this.sites.get(address);
	}

	/**
	 * The continuation at `address` was reached: finds or translates its target and replaces it, by a chaining jump or by falling through.
	 * @throws {GuestFault} of the fetch
	 */
	resolve(address: number, site: CalloutSite): Fragment {
		const { exit, fragment: source, next: target } = site;
		const { flushes } = this;
		const known = this.find(target);
		if (exit === undefined) {
			// The entry of an invalidated fragment: from now on it forwards to the new translation.
			const fragment = known ?? this.translate(target, -1);
			if (this.flushes === flushes) this.forward(source, fragment);
			return fragment;
		}
		let fragment: Fragment;
		const behind = exit.jump + exit.jumpLength === this.next && this.ordered.at(-1) === source && source.valid;
		if (known) {
			fragment = known;
			exit.state = "chained";
		} else if (behind && exit.elidable && exit.jumpLength === 5 && exit.jump - source.translatedStart >= 5) {
			fragment = this.translate(target, exit.jump);
			exit.state = fragment.translatedStart === exit.jump ? "elided" : "linked";
			if (this.flushes === flushes && exit.state === "elided") source.translatedEnd = exit.jump;
		} else {
			fragment = this.translate(target, -1);
			exit.state = "linked";
		}
		exit.fragment = fragment.id;
		if (this.flushes !== flushes) return fragment;
		if (exit.state !== "elided") this.patchJump(exit, fragment.translatedStart);
		this.sites.delete(address);
		this.freeContinuations.push(address);
		const list = source.sites;
		list.splice(list.indexOf(address), 1);
		return fragment;
	}

	private patchJump(exit: Exit, target: number): void {
		const end = exit.jump + exit.jumpLength;
		const displacement = new Uint8Array(4);
		new DataView(displacement.buffer).setInt32(0, target - end, true);
		this.memory.storeCode(end - 4, displacement);
	}

	/** Enters an indirect target into the table; from now on the fragment is reached without the VMM. */
	launch(fragment: Fragment): void {
		if (fragment.launch === 0) {
			if (this.nextLaunch + LAUNCH_BYTES > VMM_BASE + Area.continuations) return;
			const at = this.nextLaunch;
			this.nextLaunch += LAUNCH_BYTES;
			const code = new CodeBuffer(at);
			code.loadBlock(Register32.ecx, VcpuBlock.target);
			code.emit(0x8d, 0x89); // lea -guest(%ecx), %ecx
			code.dword(-fragment.guestStart);
			code.jumpIfEcxZero(2);
			code.interrupt(HostVector.callout);
			code.loadBlock(Register32.ecx, VcpuBlock.savedEcx);
			code.jump(fragment.translatedStart);
			this.memory.storeCode(at, code.take());
			fragment.launch = at;
			this.byLaunch.set(at, fragment);
		}
		this.memory.write32(Area.returnTable + (fragment.guestStart & 0xffff) * 4, fragment.launch);
	}

	/** Drops the fragments whose guest bytes overlap a guest-physical range. */
	bytesChanged(page: number, from: number, to: number): void {
		const list = this.byPage.get(page);
		if (list === undefined) return;
		const changed: Fragment[] = [];
		for (const fragment of list)
			for (const part of fragment.pages)
				if (part[0] === page && part[1] < to && part[2] > from) {
					changed.push(fragment);
					break;
				}
		for (const fragment of changed) this.invalidate(fragment);
	}

	/** Drops the fragments whose guest code lies in a guest-linear range. */
	linearRangeChanged(start: number, end: number): void {
		for (const fragment of [...this.byStart.values()])
			if (fragment.valid && fragment.guestStart < end && fragment.guestEnd > start) this.invalidate(fragment);
	}

	hasCode(page: number): boolean {
		return this.byPage.has(page);
	}

	/** Takes a fragment out of use: whoever still jumps to it comes to the VMM. */
	invalidate(fragment: Fragment): void {
		if (!fragment.valid) return;
		fragment.valid = false;
		this.invalidated++;
		this.hashTable.remove(fragment.guestStart);
		for (const [page] of fragment.pages) {
			const list = this.byPage.get(page);
			const at = list?.indexOf(fragment) ?? -1;
			if (!list || at < 0) continue;
			list.splice(at, 1);
			if (list.length === 0) {
				this.byPage.delete(page);
				this.observer.codePageRemoved(page);
			}
		}
		for (const address of fragment.sites) {
			this.sites.delete(address);
			if (address >= VMM_BASE + Area.continuations) this.freeContinuations.push(address);
		}
		fragment.sites.length = 0;
		const { translatedStart: start, guestStart: guest } = fragment;
		this.memory.storeCode(start, ENTRY_CALLOUT);
		this.sites.set(start, {
			kind: "invalidated",
			guest,
			next: guest,
			instruction: undefined,
			exit: undefined,
			fragment,
		});
		fragment.sites.push(start);
	}

	/** Replaces the entry of a fragment that is no longer used by a jump to its successor (a forwarding jump, A&A §3.3). */
	private forward(old: Fragment, successor: Fragment): void {
		const code = new CodeBuffer(old.translatedStart);
		code.jump(successor.translatedStart);
		this.memory.storeCode(old.translatedStart, code.take());
		this.sites.delete(old.translatedStart);
	}

	/** Translates a fragment anew, in another form, and forwards the old one to it. @throws {GuestFault} */
	retranslate(old: Fragment): Fragment {
		const { flushes } = this;
		this.invalidate(old);
		const fragment = this.translate(old.guestStart, -1);
		if (this.flushes === flushes) this.forward(old, fragment);
		return fragment;
	}

	/** The fragment, valid or not, whose code holds a linear address of the translation cache. */
	at(address: number): Fragment | undefined {
		const { ordered } = this;
		let low = 0;
		let high = ordered.length - 1;
		while (low <= high) {
			const middle = (low + high) >> 1;
			const fragment = ordered[middle]!;
			if (address < fragment.translatedStart) high = middle - 1;
			else if (address >= fragment.translatedEnd) low = middle + 1;
			else return fragment;
		}
		return undefined;
	}

	/** The fragment that a launch belongs to, and the offset in the launch; undefined elsewhere. */
	launchAt(address: number): { fragment: Fragment | undefined; offset: number } | undefined {
		if (address < COMMON_MISS || address >= this.nextLaunch) return undefined;
		const offset = (address - COMMON_MISS) % LAUNCH_BYTES;
		return { fragment: this.byLaunch.get(address - offset), offset };
	}

	byIdentifier(id: number): Fragment | undefined {
		return this.byId.get(id);
	}

	/** Every fragment in the cache, in the order of their addresses, with those that are no longer valid. */
	all(): readonly Fragment[] {
		return this.ordered;
	}
}

const CONTINUATION = new Uint8Array([0xcd, HostVector.continuation, 0xcc, 0xcc]);
const ENTRY_CALLOUT = new Uint8Array([0xcd, HostVector.continuation, 0xcc, 0xcc, 0xcc]);
