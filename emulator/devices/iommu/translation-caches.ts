// Context cache, IOTLB and interrupt-entry cache: what the unit may go on using after the tables in memory have changed, until
// software invalidates it. Reference: Intel VT-d specification 3.3, §6.2 and §6.5.

import type { InterruptEntry } from "./interrupt-remapping.ts";
import type { Context, SecondLevelPage } from "./table-walk.ts";

interface CachedPage extends SecondLevelPage {
	readonly domain: number;
	/** First device address of the page. */
	readonly start: bigint;
}

/** Addresses as numbers: they are multiples of a page, so that 57 bits fit exactly. */
export interface CachesState {
	contexts: [number, Omit<Context, "table"> & { table: number }][];
	pages: { domain: number; start: number; base: number; size: number; read: boolean; write: boolean }[];
	interrupts: [number, InterruptEntry][];
}

const MOST_CONTEXTS = 64;
const MOST_PAGES = 256;
const MOST_INTERRUPTS = 256;
const PAGE_SIZES = [1n << 12n, 1n << 21n, 1n << 30n] as const;

/** Puts an entry into a cache that drops the oldest when it is full. */
function insert<K, V>(cache: Map<K, V>, most: number, key: K, value: V): void {
	if (cache.size >= most && !cache.has(key)) cache.delete(cache.keys().next().value as K);
	cache.set(key, value);
}

export class TranslationCaches {
	private readonly contexts = new Map<number, Context>();
	private readonly pages = new Map<string, CachedPage>();
	private readonly interrupts = new Map<number, InterruptEntry>();

	context(source: number): Context | undefined {
		return this.contexts.get(source);
	}

	addContext(source: number, context: Context): void {
		insert(this.contexts, MOST_CONTEXTS, source, context);
	}

	/** The page of a device address in a domain. */
	page(domain: number, address: bigint): SecondLevelPage | undefined {
		for (const size of PAGE_SIZES) {
			const found = this.pages.get(key(domain, address & -size, size));
			if (found) return found;
		}
		return undefined;
	}

	addPage(domain: number, address: bigint, page: SecondLevelPage): void {
		const start = address & -page.size;
		insert(this.pages, MOST_PAGES, key(domain, start, page.size), { ...page, domain, start });
	}

	interrupt(index: number): InterruptEntry | undefined {
		return this.interrupts.get(index);
	}

	addInterrupt(index: number, entry: InterruptEntry): void {
		insert(this.interrupts, MOST_INTERRUPTS, index, entry);
	}

	/** Entries of a domain, of one requester (with the function bits of `mask` ignored: 1, 3 or 7 of them), or all. */
	dropContexts(domain?: number, source?: number, ignored = 0): void {
		for (const [cached, context] of this.contexts)
			if (
				(domain === undefined || context.domain === domain) &&
				(source === undefined || (cached & ~ignored) === (source & ~ignored))
			)
				this.contexts.delete(cached);
	}

	/** Pages that touch `[start, end)` of a domain, or all of a domain, or all. */
	dropPages(domain?: number, start = 0n, end = 1n << 64n): void {
		for (const [cached, page] of this.pages)
			if (domain === undefined || (page.domain === domain && page.start < end && page.start + page.size > start))
				this.pages.delete(cached);
	}

	/** `count` interrupt entries from an index on; all when left out. */
	dropInterrupts(first = 0, count = 0x1_0000): void {
		for (const index of this.interrupts.keys())
			if (index >= first && index < first + count) this.interrupts.delete(index);
	}

	clear(): void {
		this.dropContexts();
		this.dropPages();
		this.dropInterrupts();
	}

	save(): CachesState {
		return {
			contexts: [...this.contexts].map(([source, context]) => [source, { ...context, table: Number(context.table) }]),
			pages: [...this.pages.values()].map(({ domain, start, base, size, read, write }) => {
				return { domain, start: Number(start), base: Number(base), size: Number(size), read, write };
			}),
			interrupts: [...this.interrupts],
		};
	}

	restore(state: CachesState): void {
		this.clear();
		for (const [source, context] of state.contexts)
			this.contexts.set(source, { ...context, table: BigInt(context.table) });
		for (const { domain, start, base, size, read, write } of state.pages) {
			const page = { domain, start: BigInt(start), base: BigInt(base), size: BigInt(size), read, write };
			this.pages.set(key(domain, page.start, page.size), page);
		}
		for (const [index, entry] of state.interrupts) this.interrupts.set(index, entry);
	}

	/** Entries in use: contexts, pages, interrupt entries. */
	get used(): readonly [number, number, number] {
		return [this.contexts.size, this.pages.size, this.interrupts.size];
	}
}

function key(domain: number, start: bigint, size: bigint): string {
	return `${domain}/${start}/${size}`;
}
