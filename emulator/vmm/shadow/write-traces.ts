// Which guest-physical pages are write-traced, and for whom. A traced page is mapped read-only in every shadow table.

export const Trace = { table: 1, code: 2, descriptors: 4 } as const;

export class WriteTraces {
	private readonly reasons: Uint8Array;
	/** Traced pages, for the statistics. */
	count = 0;

	/** @param pages guest-physical RAM pages. @param protect takes the write permission from every mapping of a page. */
	constructor(
		pages: number,
		private readonly protect: (page: number) => void,
	) {
		this.reasons = new Uint8Array(pages);
	}

	has(page: number): boolean {
		return page < this.reasons.length && this.reasons[page] !== 0;
	}

	reasonsOf(page: number): number {
		return page < this.reasons.length ? this.reasons[page]! : 0;
	}

	set(page: number, reason: number): void {
		if (page >= this.reasons.length) return;
		const before = this.reasons[page]!;
		this.reasons[page] = before | reason;
		if (before === 0) {
			this.count++;
			this.protect(page);
		}
	}

	clear(page: number, reason: number): void {
		if (page >= this.reasons.length) return;
		const before = this.reasons[page]!;
		this.reasons[page] = before & ~reason;
		if (before !== 0 && this.reasons[page] === 0) this.count--;
	}
}
