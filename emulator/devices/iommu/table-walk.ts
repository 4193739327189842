// Root table, context tables and second-level tables, walked in memory, without caches and side effects.
// Reference: Intel VT-d specification 3.3, §3.4 and §3.7, §9.1 (root entry), §9.3 (context entry), §9.9 (second-level entries).

import { FaultReason, type RemappingFault } from "./fault-reason.ts";

/** Bits of a host-physical address. */
export const HOST_ADDRESS_BITS = 40n;
/** Widest device address, as CAP.MGAW has it. */
export const MOST_ADDRESS_BITS = 57;

const ADDRESS = ((1n << HOST_ADDRESS_BITS) - 1n) & ~0xfffn;
/** Address bits of an entry that no host address has. */
const BEYOND_HOST = ((1n << 52n) - 1n) & ~((1n << HOST_ADDRESS_BITS) - 1n);

export const TranslationType = { untranslated: 0, deviceTlb: 1, passThrough: 2 } as const;

/** An entry that the walk has read. */
export interface TableStep {
	/** "root entry", "context entry", "SL-PML4E", ... */
	readonly level: string;
	readonly index: number;
	readonly address: bigint;
	/** The low 64 bits of root and context entries. */
	readonly entry: bigint;
	readonly high?: bigint;
}

/** What a context entry says of one requester. */
export interface Context {
	readonly domain: number;
	readonly type: number;
	/** Levels of the second-level tables. */
	readonly levels: number;
	/** Where they begin. */
	readonly table: bigint;
	/** Faults of this requester are not recorded. */
	readonly silent: boolean;
}

/** A second-level leaf. */
export interface SecondLevelPage {
	/** Host-physical address of the page. */
	readonly base: bigint;
	readonly size: bigint;
	readonly read: boolean;
	readonly write: boolean;
}

/** Reads 64 bits of host-physical memory; undefined where there is none. */
export type ReadQuadword = (address: bigint) => bigint | undefined;

const LEVEL_NAMES = ["", "SL-PTE", "SL-PDE", "SL-PDPTE", "SL-PML4E", "SL-PML5E"] as const;

function hex(value: bigint): string {
	return `0x${value.toString(16)}`;
}

function bitList(mask: bigint): string {
	const bits: number[] = [];
	for (let bit = 0; bit < 64; bit++) if ((mask >> BigInt(bit)) & 1n) bits.push(bit);
	return bits.length === 1 ? `bit ${bits[0]}` : `bits ${bits.join(", ")}`;
}

/** One sentence about an entry whose reserved bits are not 0. */
function reservedDetail(step: TableStep, low: bigint, high = 0n): string {
	const what = `${step.level} ${step.index} at ${hex(step.address)} is ${hex(step.entry)}`;
	const wrong = low !== 0n ? bitList(low) : `${bitList(high)} of its high half ${hex(step.high ?? 0n)}`;
	return `${what}: reserved ${wrong} must be 0`;
}

/** Fails the walk. */
export class WalkFault extends Error implements RemappingFault {
	constructor(
		readonly reason: number,
		readonly detail: string,
		readonly silent = false,
	) {
		super(detail);
	}
}

/**
 * The context entry of a requester. Entries read are pushed to `steps`.
 * @throws {WalkFault}
 */
export function walkContext(read: ReadQuadword, rootTable: bigint, source: number, steps: TableStep[] = []): Context {
	const bus = source >> 8;
	const rootAddress = rootTable + BigInt(bus * 16);
	const root = entry(read, rootAddress, "root entry", bus, FaultReason.rootTableAccess, steps);
	if (!(root.entry & 1n)) throw new WalkFault(FaultReason.rootNotPresent, `root entry ${bus} at ${hex(rootAddress)}`);
	const rootReserved = root.entry & (0xffen | BEYOND_HOST | (~((1n << 52n) - 1n) & 0xffff_ffff_ffff_ffffn));
	if (rootReserved !== 0n || root.high !== 0n)
		throw new WalkFault(FaultReason.rootReserved, reservedDetail(root, rootReserved, root.high));
	const index = source & 0xff;
	const address = (root.entry & ADDRESS) + BigInt(index * 16);
	const step = entry(read, address, "context entry", index, FaultReason.contextTableAccess, steps);
	const silent = (step.entry & 2n) !== 0n;
	if (!(step.entry & 1n))
		throw new WalkFault(FaultReason.contextNotPresent, `context entry ${index} at ${hex(address)}`, silent);
	const { high } = step;
	const reserved = step.entry & (0xff0n | BEYOND_HOST | (~((1n << 52n) - 1n) & 0xffff_ffff_ffff_ffffn));
	const reservedHigh = high & 0xffff_ffff_ff00_0080n;
	if (reserved !== 0n || reservedHigh !== 0n)
		throw new WalkFault(FaultReason.contextReserved, reservedDetail(step, reserved, reservedHigh), silent);
	const type = Number((step.entry >> 2n) & 3n);
	const width = Number(high & 7n);
	const problem =
		type === TranslationType.deviceTlb
			? "its translation type 1 needs device TLBs, which the unit has not"
			: type === 3
				? "its translation type 3 is reserved"
				: width < 1 || width > 3
					? `its address width ${width} is none of 1 (39 bits), 2 (48) and 3 (57)`
					: undefined;
	if (problem !== undefined) {
		const what = `context entry ${index} at ${hex(address)} is ${hex(high)}:${hex(step.entry)}: ${problem}`;
		throw new WalkFault(FaultReason.contextInvalid, what, silent);
	}
	const domain = Number((high >> 8n) & 0xffffn);
	return { domain, type, levels: width + 2, table: step.entry & ADDRESS, silent };
}

/**
 * The page of a device address in the second-level tables of a context, with the rights of all levels.
 * @throws {WalkFault}
 */
export function walkSecondLevel(
	read: ReadQuadword,
	context: Context,
	address: bigint,
	write: boolean,
	steps: TableStep[] = [],
): SecondLevelPage {
	const { silent, levels } = context;
	if (address >> BigInt(12 + 9 * levels) !== 0n)
		throw new WalkFault(
			FaultReason.addressBeyondWidth,
			`${hex(address)} needs more than the ${12 + 9 * levels} bits of the domain`,
			silent,
		);
	let table = context.table;
	let canRead = true;
	let canWrite = true;
	for (let level = levels; ; level--) {
		const shift = BigInt(3 + 9 * level);
		const index = Number((address >> shift) & 0x1ffn);
		const at = table + BigInt(8 * index);
		const name = LEVEL_NAMES[level]!;
		const value = read(at);
		if (value === undefined)
			throw new WalkFault(FaultReason.secondLevelTableAccess, `${name} ${index} at ${hex(at)}`, silent);
		const step = { level: name, index, address: at, entry: value };
		steps.push(step);
		const denied = () =>
			new WalkFault(
				write ? FaultReason.writeDenied : FaultReason.readDenied,
				`${name} ${index} at ${hex(at)} is ${hex(value)}`,
				silent,
			);
		// Neither readable nor writable: not present, and the other bits mean nothing.
		if (!(value & 3n)) throw denied();
		const leaf = level === 1 || (value & 0x80n) !== 0n;
		const reserved = value & reservedBits(level, leaf);
		if (reserved !== 0n) throw new WalkFault(FaultReason.secondLevelReserved, reservedDetail(step, reserved), silent);
		canRead &&= (value & 1n) !== 0n;
		canWrite &&= (value & 2n) !== 0n;
		if (write ? !canWrite : !canRead) throw denied();
		if (leaf) return { base: value & ADDRESS, size: 1n << shift, read: canRead, write: canWrite };
		table = value & ADDRESS;
	}
}

/** Bit 7 where no large pages are, SNP (no snoop control) and TM (no device TLB), address bits below a large page and beyond the host's. */
function reservedBits(level: number, leaf: boolean): bigint {
	let reserved = BEYOND_HOST;
	if (level > 3) reserved |= 0x80n;
	if (leaf) {
		reserved |= 0x800n | (1n << 62n);
		if (level > 1) reserved |= (1n << BigInt(3 + 9 * level)) - 0x1000n;
	}
	return reserved;
}

function entry(
	read: ReadQuadword,
	address: bigint,
	level: string,
	index: number,
	reason: number,
	steps: TableStep[],
): TableStep & { readonly high: bigint } {
	const low = read(address);
	const high = read(address + 8n);
	if (low === undefined || high === undefined) throw new WalkFault(reason, `${level} ${index} at ${hex(address)}`);
	const step = { level, index, address, entry: low, high };
	steps.push(step);
	return step;
}
