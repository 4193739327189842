/** Addresses that belong to numbered owners, searched by address. Ranges may overlap; the narrowest wins. */
export class RangeIndex {
	readonly #starts: BigUint64Array;
	readonly #ends: BigUint64Array;
	/** Greatest end among this and all earlier ranges: bounds the search to the left. */
	readonly #reach: BigUint64Array;
	readonly #owners: Uint32Array;

	constructor(ranges: readonly { start: bigint; end: bigint; owner: number }[]) {
		const sorted = [...ranges].sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : a.owner - b.owner));
		this.#starts = BigUint64Array.from(sorted, (range) => range.start);
		this.#ends = BigUint64Array.from(sorted, (range) => range.end);
		this.#owners = Uint32Array.from(sorted, (range) => range.owner);
		this.#reach = new BigUint64Array(sorted.length);
		let reach = 0n;
		for (let i = 0; i < sorted.length; i++) {
			if (sorted[i]!.end > reach) reach = sorted[i]!.end;
			this.#reach[i] = reach;
		}
	}

	/** The owners of all ranges that hold the address, narrowest range first. */
	owners(address: bigint): number[] {
		let low = 0;
		let high = this.#starts.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#starts[middle]! <= address) low = middle + 1;
			else high = middle;
		}
		const found: { owner: number; length: bigint }[] = [];
		for (let i = low - 1; i >= 0 && this.#reach[i]! > address; i--) {
			const end = this.#ends[i]!;
			if (end > address) found.push({ owner: this.#owners[i]!, length: end - this.#starts[i]! });
		}
		found.sort((a, b) => (a.length < b.length ? -1 : a.length > b.length ? 1 : 0));
		return [...new Set(found.map((entry) => entry.owner))];
	}
}
