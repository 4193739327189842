// The I/O port space: 65,536 byte-wide ports (SDM volume 1, section 19.3), each belonging to at most one device.

import type { AccessSize, RegisterBlock } from "./device.ts";
import { allOnes, hex } from "./register-format.ts";

/** A range of ports or addresses and the device behind it, for a view. */
export interface BusRange {
	readonly base: number;
	readonly length: number;
	readonly name: string;
}

interface Range extends BusRange {
	readonly block: RegisterBlock;
	readonly widest: number;
}

const portCount = 0x1_0000;

/** Sends port accesses to the devices. A port without a device goes to `unassigned`, with the port as its offset. */
export class IoPortBus {
	/** Per port: 1 + index into `ranges`, or 0. */
	private readonly table = new Uint16Array(portCount);
	private readonly ranges: (Range | undefined)[] = [];

	constructor(private readonly unassigned: RegisterBlock) {}

	/** @throws RangeError when the range leaves the port space or overlaps another; the sentence names both. */
	register(base: number, length: number, block: RegisterBlock, name: string): void {
		if (!(base >= 0 && length > 0 && base + length <= portCount))
			throw new RangeError(`${name}: ports ${hex(base, 16)} + ${length} leave the 64 Ki port space.`);
		const other = this.overlapping(base, length);
		if (other)
			throw new RangeError(
				`${name}: ports ${hex(base, 16)}-${hex(base + length - 1, 16)} overlap ${other.name} at ${hex(other.base, 16)}-${hex(other.base + other.length - 1, 16)}.`,
			);
		let slot = this.ranges.indexOf(undefined);
		if (slot < 0) slot = this.ranges.length;
		this.ranges[slot] = { base, length, block, name, widest: block.widestAccess ?? 4 };
		this.table.fill(slot + 1, base, base + length);
	}

	/** Removes the range that starts at `base`; false if there is none. */
	unregister(base: number): boolean {
		const slot = this.ranges.findIndex((range) => range?.base === base);
		if (slot < 0) return false;
		this.table.fill(0, base, base + this.ranges[slot]!.length);
		this.ranges[slot] = undefined;
		return true;
	}

	/** A registered range that shares a port with `[base, base + length)`. */
	overlapping(base: number, length: number): BusRange | undefined {
		for (let port = Math.max(base, 0); port < Math.min(base + length, portCount); port++)
			if (this.table[port]) return this.ranges[this.table[port]! - 1];
		return undefined;
	}

	read(port: number, size: AccessSize): number {
		port &= 0xffff;
		const slot = this.table[port]!;
		if (slot !== 0) {
			const range = this.ranges[slot - 1]!;
			const offset = port - range.base;
			if (size <= range.widest && offset + size <= range.length) return range.block.read(offset, size);
			if (size === 1) return range.block.read(offset, 1);
		} else if (size === 1 || !this.anyDevice(port, size)) return this.unassigned.read(port, size);
		const half = (size >> 1) as AccessSize;
		const low = this.read(port, half);
		return (low | (this.read(port + half, half) << (8 * half))) >>> 0;
	}

	write(port: number, size: AccessSize, value: number): void {
		port &= 0xffff;
		const slot = this.table[port]!;
		if (slot !== 0) {
			const range = this.ranges[slot - 1]!;
			const offset = port - range.base;
			if (size === 1 || (size <= range.widest && offset + size <= range.length)) {
				range.block.write(offset, size, value);
				return;
			}
		} else if (size === 1 || !this.anyDevice(port, size)) {
			this.unassigned.write(port, size, value);
			return;
		}
		const half = (size >> 1) as AccessSize;
		this.write(port, half, value & allOnes(half));
		this.write(port + half, half, (value >>> (8 * half)) & allOnes(half));
	}

	/** The port map, lowest port first. */
	describe(): BusRange[] {
		return this.ranges
			.filter((range) => range !== undefined)
			.map(({ base, length, name }) => ({ base, length, name }))
			.sort((a, b) => a.base - b.base);
	}

	private anyDevice(port: number, size: number): boolean {
		for (let i = 1; i < size; i++) if (this.table[(port + i) & 0xffff]) return true;
		return false;
	}
}
