// Extended page tables as a debugger shows them, read where the hardware walks them, without side effects.

import type { EptStep, ExtendedPageTables } from "../../cpu/vmx/extended-page-tables.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import type { Mapping, Walk, WalkStep } from "../../machine/virtual-machine.ts";

const NAMES = { 4: "EPT PML4E", 3: "EPT PDPTE", 2: "EPT PDE", 1: "EPT PTE" } as const;
const FLAGS: readonly (readonly [bit: number, name: string])[] = [
	[0, "R"],
	[1, "W"],
	[2, "X"],
	[7, "PS"],
	[8, "A"],
	[9, "D"],
];
const [R, W, X, PAGE_SIZE, ACCESSED, DIRTY] = [1, 2, 4, 0x80, 0x100, 0x200] as const;

const hpa = (address: number) => ({ space: "hpa" as const, value: BigInt(address) });

function flagsOf({ level, low }: EptStep): string[] {
	const leaf = level === 1 || (low & PAGE_SIZE) !== 0;
	return FLAGS.filter(([bit, name]) => {
		if (name === "PS" && (level === 1 || level === 4)) return false;
		return (low & (1 << bit)) !== 0 && (name !== "D" || leaf);
	}).map(([, name]) => name);
}

/** The walk of a guest-physical address. */
export function eptWalk(
	tables: ExtendedPageTables,
	linear: bigint,
	guestPhysical: bigint,
	access: { write?: boolean; execute?: boolean },
): Walk {
	const page = Number(guestPhysical >> 12n);
	const { steps, frame, rights, misconfigured, pageSize } = tables.inspect(page);
	const wanted = access.execute ? X : access.write ? W : R;
	let failure: string | undefined;
	if (misconfigured) failure = "EPT misconfiguration";
	else if (frame === undefined) failure = "not present: EPT violation";
	else if ((rights & wanted) === 0)
		failure = `${wanted === X ? "not executable" : wanted === W ? "not writable" : "not readable"}: EPT violation`;
	const shown = steps.map((step, index): WalkStep => {
		const entry = (BigInt(step.high >>> 0) << 32n) | BigInt(step.low >>> 0);
		const last = index === steps.length - 1;
		return {
			level: NAMES[step.level],
			index: step.index,
			entryAddress: hpa(step.address),
			entry,
			flags: flagsOf(step),
			...(last && failure !== undefined ? { failure } : {}),
		};
	});
	if (failure !== undefined || frame === undefined) return { table: "ept", linear, steps: shown };
	const address = { space: "hpa" as const, value: BigInt(frame) * 4096n + (guestPhysical & 0xfffn) };
	const result = { address, pageSize, writable: (rights & W) !== 0, user: true, executable: (rights & X) !== 0 };
	return { table: "ept", linear, steps: shown, result };
}

/** Merged runs of guest-physical pages that end above `from`, at most `limit`. */
export function eptMappings(physical: PhysicalMemory, pointer: bigint, from: bigint, limit: number): Mapping[] {
	const found: Mapping[] = [];
	let run: { start: number; end: number; target: number; pageSize: number; key: number } | undefined;
	const finish = (): void => {
		if (run && BigInt(run.end) * 4096n > from && found.length < limit)
			found.push({
				start: BigInt(run.start) * 4096n,
				end: BigInt(run.end) * 4096n,
				target: hpa(run.target * 4096),
				pageSize: run.pageSize,
				writable: (run.key & W) !== 0,
				user: true,
				executable: (run.key & X) !== 0,
				global: false,
				accessed: (run.key & ACCESSED) !== 0,
				dirty: (run.key & DIRTY) !== 0,
			});
		run = undefined;
	};
	const visit = (table: number, level: number, base: number, rights: number): void => {
		const bytes = physical.peek(table * 4096, 4096);
		if (!bytes) return;
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		const pages = 512 ** (level - 1);
		for (let index = 0; index < 512 && found.length < limit; index++) {
			const low = view.getInt32(index * 8, true);
			const high = view.getInt32(index * 8 + 4, true);
			const start = base + index * pages;
			if ((low & (R | W | X)) === 0 || BigInt(start + pages) * 4096n <= from) continue;
			const target = (low >>> 12) | ((high & 0xff) << 20);
			const both = rights & low;
			if (level > 1 && (low & PAGE_SIZE) === 0) {
				visit(target, level - 1, start, both);
				continue;
			}
			const key = (both & (R | W | X)) | (low & (ACCESSED | DIRTY));
			const pageSize = pages * 4096;
			if (
				run &&
				run.end === start &&
				run.target + (start - run.start) === target &&
				run.key === key &&
				run.pageSize === pageSize
			)
				run.end += pages;
			else {
				finish();
				run = { start, end: start + pages, target, pageSize, key };
			}
		}
	};
	visit(Number((pointer >> 12n) & 0xfffffffn), 4, 0, R | W | X);
	finish();
	return found;
}
