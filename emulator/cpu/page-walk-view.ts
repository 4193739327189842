// Page tables as a debugger shows them: the walk of one address and the merged mappings, for any root and paging mode.
// Nothing here has a side effect: no accessed or dirty flag, no CR2, no device read (SDM Vol. 3A Chapter 4).

import type { PhysicalMemory } from "../engine/physical-memory.ts";
import { Cr0, Cr4, Efer } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import { Internal, type ProcessorState } from "./processor-state.ts";

/** The memory that tables lie in. */
export interface TableMemory {
	/** The 1024 words of the page at an address (a multiple of 4096) in the space that the tables use; undefined when it is not RAM or ROM. */
	page(address: number): Int32Array | undefined;
}

/** A set of page tables and what decides their meaning. */
export interface Tables {
	readonly paging: "none" | "32-bit" | "PAE" | "4-level";
	/** Address of the first table, without the flags of CR3. */
	readonly root: number;
	/** CR4.PSE: 4-MByte pages in 32-bit paging. */
	readonly pageSizeExtension: boolean;
	/** EFER.NXE */
	readonly executeDisable: boolean;
	/** CR0.WP */
	readonly writeProtect: boolean;
	/** CR4.SMEP */
	readonly supervisorExecutionPrevention?: boolean;
	/** The four PDPTE registers of PAE paging; absent: read from the table at `root`. */
	readonly pdptes?: Int32Array;
}

export interface InspectedAccess {
	readonly write?: boolean;
	readonly user?: boolean;
	readonly execute?: boolean;
}

/** One step of a walk, as machine/virtual-machine.ts has it but for the address space, which the caller knows. */
export interface InspectedStep {
	readonly level: "PML4E" | "PDPTE" | "PDE" | "PTE";
	readonly index: number;
	readonly entryAddress: number;
	readonly entry: bigint;
	readonly flags: readonly string[];
	readonly failure?: string;
}

export interface InspectedWalk {
	readonly steps: readonly InspectedStep[];
	readonly result?: {
		readonly address: number;
		readonly pageSize: number;
		readonly writable: boolean;
		readonly user: boolean;
		readonly executable: boolean;
	};
}

export interface InspectedMapping {
	readonly start: bigint;
	/** Exclusive. */
	readonly end: bigint;
	readonly target: number;
	readonly pageSize: number;
	readonly writable: boolean;
	readonly user: boolean;
	readonly executable: boolean;
	readonly global: boolean;
	readonly accessed: boolean;
	readonly dirty: boolean;
}

const LEVEL_NAMES: Readonly<Record<number, InspectedStep["level"]>> = { 1: "PTE", 2: "PDE", 3: "PDPTE", 4: "PML4E" };
const P = 1;
const W = 2;
const U = 4;
const A = 0x20;
const D = 0x40;
const PS = 0x80;
const G = 0x100;
const GIB4 = 0x100000000;
/** Entries that one call of inspectMappings() reads at most: tables of a hostile guest may lead to each other without end. */
const ENTRY_BUDGET = 1 << 24;

/** Extended page tables, as far as looking needs them. */
export interface SecondTranslation {
	/** The host-physical frame of a guest-physical one; undefined when it has none. */
	inspect(frame: number): { readonly frame: number | undefined };
}

/** Host-physical memory as memory of tables; with `ept` guest-physical memory. */
export function physicalTables(physical: PhysicalMemory, ept?: SecondTranslation): TableMemory {
	return {
		page(tableAddress) {
			const address = ept ? secondAddress(ept, tableAddress) : tableAddress;
			if (address === undefined) return undefined;
			if (!physical.isBacked(address)) return undefined;
			const first = physical.placeOfPage(Math.floor(address / 4096)) / 4;
			return physical.i32.subarray(first, first + 1024);
		},
	};
}

/** What decides the paging mode (SDM Vol. 3A §4.1.1). */
export interface PagingRegisters {
	readonly cr0: number;
	/** The whole register. */
	readonly cr3: bigint;
	readonly cr4: number;
	readonly efer: number;
	/** The PDPTE registers, when the processor has loaded them. */
	readonly pdptes?: Int32Array;
}

export function tablesOf({ cr0, cr3, cr4, efer, pdptes }: PagingRegisters): Tables {
	const paging = !(cr0 & Cr0.PG) ? "none" : !(cr4 & Cr4.PAE) ? "32-bit" : efer & Efer.LMA ? "4-level" : "PAE";
	const low = Number(BigInt.asUintN(32, cr3));
	const high = Number(BigInt.asUintN(8, cr3 >> 32n));
	return {
		paging,
		root: paging === "PAE" ? (low & ~0x1f) >>> 0 : ((low & ~0xfff) >>> 0) + (paging === "4-level" ? high * GIB4 : 0),
		pageSizeExtension: (cr4 & Cr4.PSE) !== 0,
		executeDisable: (efer & Efer.NXE) !== 0,
		writeProtect: (cr0 & Cr0.WP) !== 0,
		supervisorExecutionPrevention: (cr4 & Cr4.SMEP) !== 0,
		...(paging === "PAE" && pdptes ? { pdptes } : {}),
	};
}

/** The tables that the processor uses now. */
export function inspectedTables(state: ProcessorState): Tables {
	return tablesOf({
		cr0: state.cr0,
		cr3: state.i64[State.cr3 >> 3]!,
		cr4: state.cr4,
		efer: state.efer,
		pdptes: state.i32.slice(Internal.pdpte >> 2, (Internal.pdpte >> 2) + 8),
	});
}

/** Bits of a linear address that an entry of this level covers. */
function coverage(tables: Tables, level: number): number {
	if (tables.paging === "32-bit") return level === 1 ? 12 : 22;
	return 12 + 9 * (level - 1);
}

function topLevel(tables: Tables): number {
	return tables.paging === "32-bit" ? 2 : tables.paging === "PAE" ? 3 : 4;
}

function isPdpteOfPae(tables: Tables, level: number): boolean {
	return tables.paging === "PAE" && level === 3;
}

/** True when a present entry maps a page itself. */
function isLeaf(tables: Tables, level: number, low: number): boolean {
	if (level === 1) return true;
	if ((low & PS) === 0 || level === 4 || isPdpteOfPae(tables, level)) return false;
	return tables.paging !== "32-bit" || tables.pageSizeExtension;
}

/** Why a present entry is malformed; undefined when it is not. */
function reservedBits(tables: Tables, level: number, low: number, high: number): string | undefined {
	if (tables.paging === "32-bit") {
		if (isLeaf(tables, level, low) && level === 2 && low & (1 << 21)) return "bit 21 is reserved in a 4-MByte page";
		return undefined;
	}
	if (isPdpteOfPae(tables, level))
		return low & 0x1e6 || high & 0xffffff00 ? "a reserved bit is set in the PDPTE" : undefined;
	if (high < 0 && !tables.executeDisable) return "bit 63 is reserved while EFER.NXE is 0";
	if (high & (tables.paging === "PAE" ? 0x7fffff00 : 0x000fff00)) return "an address bit above MAXPHYADDR is set";
	if (level === 4 && low & PS) return "bit 7 is reserved in a PML4E";
	if (isLeaf(tables, level, low) && ((level === 3 && low & 0x3fffe000) || (level === 2 && low & 0x1fe000)))
		return "an address bit below the page size is set";
	return undefined;
}

function targetOf(tables: Tables, level: number, low: number, high: number): number {
	if (tables.paging === "32-bit") {
		if (level === 2 && isLeaf(tables, level, low)) return ((low & 0xffc00000) >>> 0) + ((low >>> 13) & 0xff) * GIB4;
		return (low & ~0xfff) >>> 0;
	}
	const mask = isLeaf(tables, level, low) ? 2 ** coverage(tables, level) - 1 : 0xfff;
	return ((low & ~mask) >>> 0) + (high & 0xff) * GIB4;
}

function flagNames(tables: Tables, level: number, low: number, high: number): string[] {
	const names: string[] = [];
	const leaf = isLeaf(tables, level, low);
	const add = (bit: number, name: string): void => {
		if (low & bit) names.push(name);
	};
	add(P, "P");
	if (!isPdpteOfPae(tables, level)) {
		add(W, "W");
		add(U, "U");
	}
	add(8, "PWT");
	add(0x10, "PCD");
	if (!isPdpteOfPae(tables, level)) {
		add(A, "A");
		if (leaf) add(D, "D");
		if (level > 1 && leaf) add(PS, "PS");
		if (leaf) add(G, "G");
	}
	if (tables.paging !== "32-bit" && high < 0 && tables.executeDisable) names.push("NX");
	return names;
}

/** Reads entry `index` of a table: [low, high]; undefined when the table is not in memory. */
function readEntry(
	memory: TableMemory,
	tables: Tables,
	level: number,
	table: number,
	index: number,
): readonly [number, number] | undefined {
	if (isPdpteOfPae(tables, level) && tables.pdptes) return [tables.pdptes[index * 2]!, tables.pdptes[index * 2 + 1]!];
	const start = table - (table % 0x1000);
	const page = memory.page(start);
	if (!page) return undefined;
	const word = (table - start) / 4;
	if (tables.paging === "32-bit") return [page[word + index]!, 0];
	return [page[word + index * 2]!, page[word + index * 2 + 1]!];
}

/** The walk of a linear address, for a supervisor read unless told otherwise. */
export function inspectWalk(
	memory: TableMemory,
	tables: Tables,
	linear: bigint,
	access: InspectedAccess = {},
): InspectedWalk {
	if (tables.paging === "none") {
		const address = Number(BigInt.asUintN(32, linear));
		return { steps: [], result: { address, pageSize: 0x1000, writable: true, user: true, executable: true } };
	}
	const steps: InspectedStep[] = [];
	let table = tables.root;
	let writable = true;
	let user = true;
	let executable = true;
	for (let level = topLevel(tables); ; level--) {
		const shift = coverage(tables, level);
		const indexBits = tables.paging === "32-bit" ? 10 : isPdpteOfPae(tables, level) ? 2 : 9;
		const index = Number(BigInt.asUintN(indexBits, linear >> BigInt(shift)));
		const entryAddress = table + index * (tables.paging === "32-bit" ? 4 : 8);
		const name = LEVEL_NAMES[level]!;
		const found = readEntry(memory, tables, level, table, index);
		if (!found) {
			steps.push({ level: name, index, entryAddress, entry: 0n, flags: [], failure: "the table is not in memory" });
			return { steps };
		}
		const [low, high] = found;
		const entry = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
		let failure: string | undefined;
		if ((low & P) === 0) failure = "not present";
		else failure = reservedBits(tables, level, low, high);
		if (!failure && !isPdpteOfPae(tables, level)) {
			const could = { writable, user, executable };
			writable &&= (low & W) !== 0;
			user &&= (low & U) !== 0;
			executable &&= high >= 0 || tables.paging === "32-bit";
			if (access.user && could.user && !user) failure = "supervisor page, user access";
			else if (access.write && could.writable && !writable && (access.user || tables.writeProtect))
				failure = "read-only page, write access";
			else if (access.execute && could.executable && !executable) failure = "execute-disabled page, fetch";
		}
		const leaf = isLeaf(tables, level, low);
		if (!failure && leaf && access.execute && !access.user && user && tables.supervisorExecutionPrevention)
			failure = "user page, supervisor fetch (SMEP)";
		const flags = flagNames(tables, level, low, high);
		steps.push({ level: name, index, entryAddress, entry, flags, ...(failure ? { failure } : {}) });
		if (failure) return { steps };
		const target = targetOf(tables, level, low, high);
		if (leaf) {
			const pageSize = 2 ** shift;
			const address = target + Number(BigInt.asUintN(shift, linear));
			return { steps, result: { address, pageSize, writable, user, executable } };
		}
		table = target;
	}
}

/** The guest-physical address that a linear address is mapped to, whatever the rights; undefined when it is not. */
export function translateFirst(
	physical: PhysicalMemory,
	tables: Tables,
	linear: bigint,
	ept?: SecondTranslation,
): number | undefined {
	if (tables.paging === "4-level" && BigInt.asIntN(48, linear) !== BigInt.asIntN(64, linear)) return undefined;
	return inspectWalk(physicalTables(physical, ept), tables, linear).result?.address;
}

/** The host-physical address; without EPT it is the guest-physical one. */
export function translateInspected(
	physical: PhysicalMemory,
	tables: Tables,
	linear: bigint,
	ept?: SecondTranslation,
): number | undefined {
	const address = translateFirst(physical, tables, linear, ept);
	return address === undefined || ept === undefined ? address : secondAddress(ept, address);
}

function secondAddress(ept: SecondTranslation, address: number): number | undefined {
	const { frame } = ept.inspect(Math.floor(address / 4096));
	return frame === undefined ? undefined : frame * 4096 + (address % 4096);
}

/**
 * The mapped ranges in order, merged where rights, flags, page size and targets go on. The first begins at the page that holds `from`
 * when that is mapped. `next` is where to go on when `limit` mappings were found or the tables are too many for one call.
 */
export function inspectMappings(
	memory: TableMemory,
	tables: Tables,
	from: bigint,
	limit: number,
): { readonly mappings: InspectedMapping[]; readonly next?: bigint } {
	const mappings: InspectedMapping[] = [];
	if (tables.paging === "none") {
		const whole = { start: 0n, end: 1n << 32n, target: 0, pageSize: 0x1000, writable: true, user: true };
		const flags = { executable: true, global: false, accessed: false, dirty: false };
		return { mappings: limit > 0 && from < 1n << 32n ? [{ ...whole, ...flags }] : [] };
	}
	// Linear addresses are page numbers below 2^36 here; bits 63:48 come back when a mapping is complete.
	const bits = tables.paging === "4-level" ? 48 : 32;
	const fromPage = Number(BigInt.asUintN(bits, from) >> 12n);
	const linearOf = (page: number): bigint => {
		const linear = BigInt(page) << 12n;
		return bits === 48 && page >= 2 ** 35 ? linear | 0xffff000000000000n : linear;
	};
	let budget = ENTRY_BUDGET;
	let next: number | undefined;
	let run: { start: number; pages: number; target: number; size: number; key: number } | undefined;
	const finish = (): void => {
		if (!run) return;
		mappings.push({
			start: linearOf(run.start),
			end: run.start + run.pages === 2 ** (bits - 12) && bits === 48 ? 1n << 64n : linearOf(run.start + run.pages),
			target: run.target,
			pageSize: run.size * 0x1000,
			writable: (run.key & W) !== 0,
			user: (run.key & U) !== 0,
			executable: (run.key & 1) !== 0,
			global: (run.key & G) !== 0,
			accessed: (run.key & A) !== 0,
			dirty: (run.key & D) !== 0,
		});
		run = undefined;
	};
	const visit = (table: number, level: number, base: number, rights: number): boolean => {
		const pages = 2 ** (coverage(tables, level) - 12);
		const wide = tables.paging !== "32-bit";
		const pdpt = isPdpteOfPae(tables, level);
		const tableStart = table - (table % 0x1000);
		const words = pdpt && tables.pdptes ? tables.pdptes : memory.page(tableStart);
		if (!words) return true;
		const firstWord = words === tables.pdptes ? 0 : (table - tableStart) / 4;
		const count = pdpt ? 4 : wide ? 512 : 1024;
		const first = fromPage > base ? Math.min(count, Math.floor((fromPage - base) / pages)) : 0;
		for (let index = first; index < count; index++) {
			const low = words[firstWord + (wide ? index * 2 : index)]!;
			const page = base + index * pages;
			if (--budget < 0) {
				next = page;
				return false;
			}
			if ((low & P) === 0) continue;
			const high = wide ? words[firstWord + index * 2 + 1]! : 0;
			if (reservedBits(tables, level, low, high)) continue;
			let here = rights;
			if (!pdpt) here &= (low & (W | U)) | (high < 0 ? 0 : 1);
			const target = targetOf(tables, level, low, high);
			if (!isLeaf(tables, level, low)) {
				if (!visit(target, level - 1, page, here)) return false;
				continue;
			}
			const key = here | (low & (A | D | G));
			if (
				run &&
				run.key === key &&
				run.size === pages &&
				run.start + run.pages === page &&
				run.target + run.pages * 0x1000 === target &&
				page !== 2 ** 35
			) {
				run.pages += pages;
				continue;
			}
			finish();
			if (mappings.length >= limit) {
				next = page;
				return false;
			}
			run = { start: page, pages, target, size: pages, key };
		}
		return true;
	};
	visit(tables.root, topLevel(tables), 0, W | U | 1);
	finish();
	return next === undefined ? { mappings } : { mappings, next: linearOf(next) };
}
