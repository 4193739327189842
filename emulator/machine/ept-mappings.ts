// The guest-physical address space as extended page tables map it, merged for a view.

import { misconfiguration } from "../cpu/vmx/extended-page-tables.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import type { Mapping } from "./virtual-machine.ts";

const RIGHTS = 7;
const PAGE_SIZE = 0x80;
/** Rights, accessed, dirty: what has to be equal in a merged run. */
const KEY = RIGHTS | 0x300;
/** Entries that one call reads at most: hostile tables may lead to each other without end. */
const ENTRY_BUDGET = 1 << 22;

interface Run {
	/** Guest-physical 4-KByte pages. */
	readonly start: number;
	pages: number;
	/** Host-physical page. */
	readonly target: number;
	readonly size: number;
	readonly key: number;
}

/** Runs in order that end above `from`, at most `limit`; `start` and `end` are guest-physical, targets host-physical. @param pointer EPTP */
export function eptMappings(physical: PhysicalMemory, pointer: bigint, from: bigint, limit: number): Mapping[] {
	const found: Run[] = [];
	const first = Number(BigInt.asUintN(48, from) >> 12n);
	let budget = ENTRY_BUDGET;

	/** False when there is no room for this run. */
	const take = (page: number, target: number, size: number, key: number): boolean => {
		const run = found.at(-1);
		const goesOn =
			run?.key === key && run.size === size && run.start + run.pages === page && run.target + run.pages === target;
		if (goesOn) run.pages += size;
		else if (found.length >= limit) return false;
		else found.push({ start: page, pages: size, target, size, key });
		return true;
	};

	const visit = (frame: number, level: number, base: number, rights: number): boolean => {
		if (!physical.isBacked(frame * 4096)) return true;
		const words = physical.placeOfPage(frame) / 4;
		const size = 512 ** (level - 1);
		for (let index = Math.max(0, Math.floor((first - base) / size)); index < 512; index++) {
			if (--budget < 0) return false;
			const low = physical.i32[words + index * 2]!;
			const high = physical.i32[words + index * 2 + 1]!;
			if ((low & RIGHTS) === 0 || misconfiguration(level, low, high) !== undefined) continue;
			const page = base + index * size;
			const target = (low >>> 12) + (high & 0xff) * 2 ** 20;
			const leaf = level === 1 || (low & PAGE_SIZE) !== 0;
			const goOn = leaf
				? take(page, target, size, (low & KEY & ~RIGHTS) | (rights & low & RIGHTS))
				: visit(target, level - 1, page, rights & low);
			if (!goOn) return false;
		}
		return true;
	};
	if (limit > 0) visit(Number((pointer >> 12n) & 0xfffffffn), 4, 0, RIGHTS);
	return found.map(({ start, pages, target, size, key }) => ({
		start: BigInt(start) << 12n,
		end: BigInt(start + pages) << 12n,
		target: { space: "hpa", value: BigInt(target) << 12n },
		pageSize: size * 4096,
		writable: (key & 2) !== 0,
		user: true,
		executable: (key & 4) !== 0,
		global: false,
		accessed: (key & 0x100) !== 0,
		dirty: (key & 0x200) !== 0,
	}));
}
