// The translation cache as debuggers show it.

import type { FragmentExit, Fragment as FragmentView, TranslationCacheView } from "../machine/virtual-machine.ts";
import { VMM_BASE } from "./layout.ts";
import { type Fragment, Undo } from "./translate/fragment.ts";
import { recover } from "./translate/recovery.ts";
import type { TranslationCache } from "./translate/translation-cache.ts";
import type { VmmMemory } from "./vmm-memory.ts";

export class CacheView implements TranslationCacheView {
	private cache!: TranslationCache;
	private memory!: VmmMemory;

	/** Shows another cache from now on: the machine was reset. */
	attach(cache: TranslationCache, memory: VmmMemory): void {
		this.cache = cache;
		this.memory = memory;
	}

	get start(): bigint {
		return BigInt(this.cache.start);
	}

	get end(): bigint {
		return BigInt(this.cache.end);
	}

	private view(fragment: Fragment): FragmentView {
		const lines = fragment.lines.map((line) => {
			const translated = fragment.translatedStart + line.offset;
			const length = Math.max(0, Math.min(line.length, fragment.translatedEnd - translated));
			return {
				guest: BigInt(line.guest),
				guestBytes: line.guestBytes,
				translated: BigInt(translated),
				translatedBytes: this.memory.bytes(translated - VMM_BASE, length).slice(),
				tag: line.tag,
			};
		});
		const exits = fragment.exits.map(
			(exit): FragmentExit => ({
				kind: exit.kind,
				guestTarget: exit.target < 0 ? undefined : BigInt(exit.target),
				state: exit.state,
				...(exit.fragment < 0 ? {} : { fragment: exit.fragment }),
			}),
		);
		return {
			id: fragment.id,
			guestStart: BigInt(fragment.guestStart),
			guestEnd: BigInt(fragment.guestEnd),
			translatedStart: BigInt(fragment.translatedStart),
			translatedEnd: BigInt(fragment.translatedEnd),
			lines,
			exits,
			entries: fragment.entries,
			generation: fragment.generation,
			valid: fragment.valid,
		};
	}

	fragments(): FragmentView[] {
		return this.cache.all().map((fragment) => this.view(fragment));
	}

	fragment(id: number): FragmentView | undefined {
		const found = this.cache.byIdentifier(id);
		return found && this.view(found);
	}

	fragmentAt(linear: bigint): FragmentView | undefined {
		const address = Number(linear);
		const translated = this.cache.at(address);
		if (translated?.valid) return this.view(translated);
		const guest = this.cache
			.all()
			.find((fragment) => fragment.valid && fragment.guestStart <= address && fragment.guestEnd > address);
		return guest && this.view(guest);
	}

	guestAddressOf(translated: bigint): bigint | undefined {
		if (translated < this.start || translated >= this.end) return undefined;
		const address = Number(translated);
		const fragment = this.cache.at(address);
		if (fragment === undefined) {
			const site = this.cache.site(address);
			return site && BigInt(site.next);
		}
		const recovered = recover(this.cache, this.memory, address);
		return recovered.undo & Undo.target ? undefined : BigInt(recovered.eip);
	}

	hashTable(): ReturnType<TranslationCacheView["hashTable"]> {
		const buckets = [...this.cache.hashTable.entries()].map(({ index, guest, fragment }) => ({
			index,
			guest: BigInt(guest),
			fragment: this.cache.at(fragment)?.id ?? 0,
		}));
		return { size: this.cache.hashTable.size, used: buckets.length, buckets };
	}
}
