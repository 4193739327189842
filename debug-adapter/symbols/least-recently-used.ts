/** A cache of bounded size: the entry used longest ago goes first. */
export class LeastRecentlyUsed<Key, Value> {
	readonly #entries = new Map<Key, Value>();
	readonly #capacity: number;

	constructor(capacity: number) {
		this.#capacity = capacity;
	}

	/** The value for `key`, made by `compute` if it is not held. An error of `compute` is not cached. */
	get(key: Key, compute: () => Value): Value {
		const held = this.#entries.get(key);
		if (held !== undefined) {
			this.#entries.delete(key);
			this.#entries.set(key, held);
			return held;
		}
		const value = compute();
		this.#entries.set(key, value);
		if (this.#entries.size > this.#capacity) this.#entries.delete(this.#entries.keys().next().value!);
		return value;
	}
}
