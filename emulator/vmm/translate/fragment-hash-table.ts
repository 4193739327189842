// Guest-linear address → compiled code fragment, in host memory: open addressing, buckets of two dwords (guest address,
// address of the fragment; 0 = free, 1 = removed).

import { Area, HASH_BUCKETS } from "../layout.ts";
import type { VmmMemory } from "../vmm-memory.ts";

const FREE = 0;
const REMOVED = 1;

export class FragmentHashTable {
	readonly size = HASH_BUCKETS;
	used = 0;

	constructor(private readonly memory: VmmMemory) {}

	private bucket(guest: number): number {
		return (Math.imul(guest, 0x9e3779b1) >>> 17) & (HASH_BUCKETS - 1);
	}

	private offset(bucket: number): number {
		return Area.hashTable + bucket * 8;
	}

	/** Linear address of the fragment of a guest address; 0 when there is none. */
	find(guest: number): number {
		for (let bucket = this.bucket(guest), tries = 0; tries < HASH_BUCKETS; tries++) {
			const fragment = this.memory.read32(this.offset(bucket) + 4);
			if (fragment === FREE) return 0;
			if (fragment !== REMOVED && this.memory.read32(this.offset(bucket)) === (guest | 0)) return fragment >>> 0;
			bucket = (bucket + 1) & (HASH_BUCKETS - 1);
		}
		return 0;
	}

	/** Enters a guest address that the table does not hold; false when the table is too full to stay quick. */
	insert(guest: number, fragment: number): boolean {
		if (this.used >= (HASH_BUCKETS * 3) / 4) return false;
		for (let bucket = this.bucket(guest); ; bucket = (bucket + 1) & (HASH_BUCKETS - 1)) {
			const old = this.memory.read32(this.offset(bucket) + 4);
			if (old !== FREE && old !== REMOVED) continue;
			if (old === FREE) this.used++;
			this.memory.write32(this.offset(bucket), guest);
			this.memory.write32(this.offset(bucket) + 4, fragment);
			return true;
		}
	}

	remove(guest: number): void {
		for (let bucket = this.bucket(guest), tries = 0; tries < HASH_BUCKETS; tries++) {
			const fragment = this.memory.read32(this.offset(bucket) + 4);
			if (fragment === FREE) return;
			if (fragment !== REMOVED && this.memory.read32(this.offset(bucket)) === (guest | 0)) {
				this.memory.write32(this.offset(bucket) + 4, REMOVED);
				return;
			}
			bucket = (bucket + 1) & (HASH_BUCKETS - 1);
		}
	}

	clear(): void {
		this.memory.fill32(Area.hashTable, HASH_BUCKETS * 2, FREE);
		this.used = 0;
	}

	/** Buckets in use, read from host memory. */
	*entries(): Generator<{ index: number; guest: number; fragment: number }> {
		for (let index = 0; index < HASH_BUCKETS; index++) {
			const fragment = this.memory.read32(this.offset(index) + 4);
			if (fragment === FREE || fragment === REMOVED) continue;
			yield { index, guest: this.memory.read32(this.offset(index)) >>> 0, fragment: fragment >>> 0 };
		}
	}
}
