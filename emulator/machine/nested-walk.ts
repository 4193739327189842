// Two-dimensional page walks as a debugger shows them: the guest's tables, each reference to them translated by the EPT
// (SDM Vol. 3C §29.3). Nothing here has a side effect: no accessed or dirty flag, no VM exit, no device read.

import { type InspectedAccess, inspectWalk, physicalTables, type Tables } from "../cpu/page-walk-view.ts";
import { type EptStep, type ExtendedPageTables, misconfiguration } from "../cpu/vmx/extended-page-tables.ts";
import type { PhysicalMemory } from "../engine/physical-memory.ts";
import type { NestedReference, NestedWalk } from "./hypervisor-views.ts";
import type { Walk, WalkStep } from "./virtual-machine.ts";

/** What translates an address of the guest: its own tables, in guest-physical memory, and the EPT. */
export interface NestedTables {
	readonly physical: PhysicalMemory;
	readonly guest: Tables;
	readonly ept: ExtendedPageTables;
}

const LEVELS = { 4: "EPT PML4E", 3: "EPT PDPTE", 2: "EPT PDE", 1: "EPT PTE" } as const;
const READ = 1;
const WRITE = 2;
const EXECUTE = 4;
/** Of user-mode pages, with mode-based execute control. */
const USER_EXECUTE = 1 << 10;
const RIGHTS = READ | WRITE | EXECUTE | USER_EXECUTE;
const PAGE_SIZE = 0x80;
const ACCESSED_DIRTY_ENABLED = 1n << 6n;
const MEMORY_TYPES: Readonly<Record<number, string>> = { 0: "UC", 1: "WC", 4: "WT", 5: "WP", 6: "WB" };

/** Set bits of an EPT entry by name (Tables 29-1 to 29-7). */
function flagNames(level: number, low: number, { pointer, modeBasedExecute }: ExtendedPageTables): string[] {
	const marks = (pointer & ACCESSED_DIRTY_ENABLED) !== 0n;
	const names = ["R", "W", "X"].filter((_, bit) => (low >> bit) & 1);
	if (modeBasedExecute && low & USER_EXECUTE) names.push("XU");
	if (names.length === 0) return names;
	const leaf = level === 1 || (low & PAGE_SIZE) !== 0;
	if (leaf && level > 1) names.push("PS");
	if (marks && low & 0x100) names.push("A");
	if (marks && leaf && low & 0x200) names.push("D");
	if (leaf) names.push(MEMORY_TYPES[(low >> 3) & 7] ?? "reserved type");
	if (leaf && low & 0x40) names.push("IPAT");
	return names;
}

const REFUSALS: readonly (readonly [number, string])[] = [
	[READ, "not readable, read access"],
	[WRITE, "not writable, write access"],
	[EXECUTE, "not executable, instruction fetch"],
	[USER_EXECUTE, "not executable for user-mode pages, instruction fetch"],
];

/** Why an entry stops an access that every entry before it allowed; the violation itself comes after the last entry is read. */
function failureOf(
	{ level, low, high }: EptStep,
	wanted: number,
	allowed: number,
	modeBasedExecute: boolean,
): string | undefined {
	const rights = modeBasedExecute ? RIGHTS : RIGHTS & ~USER_EXECUTE;
	if ((low & rights) === 0) return "not present: EPT violation";
	const malformed = misconfiguration(level, low, high);
	if (malformed) return `${malformed}: EPT misconfiguration`;
	const refused = REFUSALS.find(([right]) => wanted & right & allowed & ~low);
	return refused && `${refused[1]}: EPT violation`;
}

interface EptPath {
	readonly steps: readonly WalkStep[];
	/** Host-physical address; absent when the walk failed. */
	readonly address?: bigint;
	readonly pageSize: number;
	/** Bits 2:0 as in an entry. */
	readonly rights: number;
	readonly failure?: string;
}

/** The EPT's entries for one guest-physical address. @param wanted rights of the access: READ, WRITE, EXECUTE, USER_EXECUTE */
function eptPath(ept: ExtendedPageTables, guestPhysical: bigint, wanted: number): EptPath {
	const found = ept.inspect(Number(BigInt.asUintN(40, guestPhysical) >> 12n));
	let allowed = RIGHTS;
	const steps = found.steps.map((step): WalkStep => {
		const { level, index, address, low, high } = step;
		const failure = failureOf(step, wanted, allowed, ept.modeBasedExecute);
		allowed &= low;
		return {
			level: LEVELS[level],
			index,
			entryAddress: { space: "hpa", value: BigInt(address) },
			entry: (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0),
			flags: flagNames(level, low, ept),
			...(failure ? { failure } : {}),
		};
	});
	const failed = steps.find((step) => step.failure !== undefined);
	return {
		steps,
		pageSize: found.pageSize,
		rights: found.rights & RIGHTS,
		...(failed
			? {
					failure: `${failed.level}[${failed.index}] for guest-physical 0x${guestPhysical.toString(16)}: ${failed.failure}`,
				}
			: { address: (BigInt(found.frame!) << 12n) | (guestPhysical & 0xfffn) }),
	};
}

/** @param user the page is a user-mode page. */
function rightsOf({ write, execute }: InspectedAccess, user: boolean, ept: ExtendedPageTables): number {
	if (execute) return user && ept.modeBasedExecute ? USER_EXECUTE : EXECUTE;
	return write ? WRITE : READ;
}

/** The table "ept" of a walk: how the guest-physical address of a linear one is translated. @param user the guest's page is a user-mode page. */
export function eptWalk(
	ept: ExtendedPageTables,
	linear: bigint,
	guestPhysical: bigint,
	access: InspectedAccess,
	user = false,
): Walk {
	const { steps, address, pageSize, rights } = eptPath(ept, guestPhysical, rightsOf(access, user, ept));
	return {
		table: "ept",
		linear,
		steps,
		...(address === undefined
			? {}
			: {
					result: {
						address: { space: "hpa", value: address },
						pageSize,
						writable: (rights & WRITE) !== 0,
						user: true,
						executable: (rights & EXECUTE) !== 0,
					},
				}),
	};
}

/** The whole walk of a linear address, every memory reference numbered. */
export function nestedWalk(
	{ physical, guest, ept }: NestedTables,
	linear: bigint,
	access: InspectedAccess,
): NestedWalk {
	const references: NestedReference[] = [];
	const add = (dimension: "guest" | "ept", row: string, guestPhysical: bigint, step: WalkStep): void => {
		references.push({ number: references.length + 1, dimension, row, guestPhysical, step });
	};
	const through = (row: string, guestPhysical: bigint, wanted: number): EptPath => {
		const path = eptPath(ept, guestPhysical, wanted);
		for (const step of path.steps) add("ept", row, guestPhysical, step);
		return path;
	};
	const failed = (failure: string, guestPhysical?: bigint): NestedWalk => ({
		linear,
		references,
		failure,
		...(guestPhysical === undefined ? {} : { guestPhysical }),
	});
	// With accessed and dirty flags every access to a guest paging structure counts as a write (§29.3.5).
	const table = ept.pointer & ACCESSED_DIRTY_ENABLED ? READ | WRITE : READ;
	const walk = inspectWalk(physicalTables(physical, ept), guest, linear, access);
	for (const step of walk.steps) {
		// The PDPTEs of PAE paging are in registers: there is no memory reference (SDM Vol. 3A §4.4.1).
		const inRegister = guest.paging === "PAE" && step.level === "PDPTE";
		if (!inRegister) {
			const guestPhysical = BigInt(step.entryAddress);
			const path = through(step.level, guestPhysical, table);
			if (path.failure !== undefined) return failed(path.failure);
			const entryAddress = { space: "hpa", value: path.address! } as const;
			add("guest", step.level, guestPhysical, { ...step, entryAddress });
		}
		if (step.failure !== undefined) return failed(`${step.level}[${step.index}]: ${step.failure}`);
	}
	const guestPhysical = BigInt(walk.result!.address);
	const path = through("page", guestPhysical, rightsOf(access, walk.result!.user, ept));
	if (path.failure !== undefined) return failed(path.failure, guestPhysical);
	return { linear, references, guestPhysical, hostPhysical: path.address! };
}
