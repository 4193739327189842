// Memory-mapped registers: sorted ranges of physical addresses. RAM and ROM are not here; the memory map asks this bus
// only for pages that hold registers.

import type { AccessSize, RegisterBlock } from "./device.ts";
import type { BusRange } from "./io-port-bus.ts";
import { allOnes, hex } from "./register-format.ts";

interface Range extends BusRange {
	readonly end: number;
	readonly block: RegisterBlock;
	readonly widest: number;
}

/** Physical addresses have at most 52 bits (SDM volume 3A, section 4.1.4). */
const addressLimit = 2 ** 52;

/** Sends accesses by physical address to the devices. An address without one goes to `unassigned`, as its offset. */
export class MemoryBus {
	private readonly ranges: Range[] = [];
	private last: Range | undefined;

	constructor(private readonly unassigned: RegisterBlock) {}

	/** @throws RangeError when the range is no range of physical addresses or overlaps another; the sentence names both. */
	register(base: number, length: number, block: RegisterBlock, name: string): void {
		if (!(base >= 0 && length > 0 && base + length <= addressLimit))
			throw new RangeError(`${name}: ${hex(base, 32)} + ${hex(length, 4)} is no range of physical addresses.`);
		const other = this.overlapping(base, length);
		if (other)
			throw new RangeError(
				`${name}: addresses ${hex(base, 32)}-${hex(base + length - 1, 32)} overlap ${other.name} at ${hex(other.base, 32)}-${hex(other.base + other.length - 1, 32)}.`,
			);
		const range = { base, length, end: base + length, block, name, widest: block.widestAccess ?? 4 };
		this.ranges.splice(this.firstEndingAfter(base), 0, range);
	}

	/** Removes the range that starts at `base`; false if there is none. */
	unregister(base: number): boolean {
		const index = this.ranges.findIndex((range) => range.base === base);
		if (index < 0) return false;
		this.ranges.splice(index, 1);
		this.last = undefined;
		return true;
	}

	/** A registered range that shares an address with `[base, base + length)`. */
	overlapping(base: number, length: number): BusRange | undefined {
		const range = this.ranges[this.firstEndingAfter(base)];
		return range && range.base < base + length ? range : undefined;
	}

	read(address: number, size: AccessSize): number {
		const range = this.find(address);
		if (range) {
			const offset = address - range.base;
			if (size === 1 || (size <= range.widest && address + size <= range.end)) return range.block.read(offset, size);
		} else if (size === 1 || !this.overlapping(address, size)) return this.unassigned.read(address, size);
		const half = (size >> 1) as AccessSize;
		const low = this.read(address, half);
		return (low | (this.read(address + half, half) << (8 * half))) >>> 0;
	}

	write(address: number, size: AccessSize, value: number): void {
		const range = this.find(address);
		if (range) {
			if (size === 1 || (size <= range.widest && address + size <= range.end)) {
				range.block.write(address - range.base, size, value);
				return;
			}
		} else if (size === 1 || !this.overlapping(address, size)) {
			this.unassigned.write(address, size, value);
			return;
		}
		const half = (size >> 1) as AccessSize;
		this.write(address, half, value & allOnes(half));
		this.write(address + half, half, (value >>> (8 * half)) & allOnes(half));
	}

	/** The map of memory-mapped registers, lowest address first. */
	describe(): BusRange[] {
		return this.ranges.map(({ base, length, name }) => ({ base, length, name }));
	}

	private find(address: number): Range | undefined {
		const last = this.last;
		if (last && address >= last.base && address < last.end) return last;
		const range = this.ranges[this.firstEndingAfter(address)];
		if (!range || address < range.base) return undefined;
		this.last = range;
		return range;
	}

	private firstEndingAfter(address: number): number {
		let low = 0;
		let high = this.ranges.length;
		while (low < high) {
			const middle = (low + high) >> 1;
			if (this.ranges[middle]!.end > address) high = middle;
			else low = middle + 1;
		}
		return low;
	}
}
