// Extended page tables: guest-physical to host-physical addresses (SDM Vol. 3C §29.3), walked in host memory.

import { PageKind, type PhysicalMemory } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import { ExitReasonNumber } from "./exit-reasons.ts";
import { CACHED_DIRTY, type GuestPhysicalCache } from "./guest-physical-cache.ts";
import { VmExit } from "./vm-exit.ts";

const READ = 1 << 0;
const WRITE = 1 << 1;
const EXECUTE = 1 << 2;
const RIGHTS = READ | WRITE | EXECUTE;
const USER_EXECUTE = 1 << 10;
const PAGE_SIZE = 1 << 7;
const ACCESSED = 1 << 8;
const DIRTY = 1 << 9;
/** Bits 51:40 of an address, above the physical-address width, in the high half of an entry. */
const ADDRESS_RESERVED_HIGH = 0x000fff00;
const ADDRESS_HIGH = 0xff;
/** Memory types that exist (§29.3.3.1). */
const MEMORY_TYPES = [0, 1, 4, 5, 6];
/** EPT pointer: accessed and dirty flags are enabled. */
const POINTER_ACCESSED_DIRTY = 1 << 6;

/** Access type of an APIC-access exit: guest-physical, while no instruction's data is accessed (Table 28-6). */
const GUEST_PHYSICAL_ACCESS = 15n << 12n;

/** Bits of the exit qualification (Table 28-7). */
export const EptQualification = {
	read: 1 << 0,
	write: 1 << 1,
	fetch: 1 << 2,
	readable: 1 << 3,
	writable: 1 << 4,
	executable: 1 << 5,
	/** With mode-based execute control; bit 5 is about supervisor-mode pages then. */
	userExecutable: 1 << 6,
	linearValid: 1 << 7,
	finalTranslation: 1 << 8,
	nmiUnblocking: 1 << 12,
} as const;

/** One entry that a walk read. */
export interface EptStep {
	readonly level: 4 | 3 | 2 | 1;
	readonly index: number;
	/** Host-physical address of the entry. */
	readonly address: number;
	readonly low: number;
	readonly high: number;
}

export interface EptResult {
	readonly steps: readonly EptStep[];
	/** Number of the host-physical 4-KByte frame; undefined when the entries do not lead to one. */
	readonly frame: number | undefined;
	/** The rights of all entries together: bits 2:0 as in an entry. */
	readonly rights: number;
	readonly misconfigured: boolean;
	/** Bytes of the page that maps the address. */
	readonly pageSize: number;
}

/** What the controls add to the walk. */
export interface EptOptions {
	/** Fetches from user-mode pages need bit 10 of the entries, others bit 2. */
	readonly modeBasedExecute?: boolean;
	/** Called with the guest-physical frame before a dirty flag is set. @throws {VmExit} */
	readonly log?: (frame: number) => void;
	/** Frame of the APIC-access page; paging structures in it cause an exit. */
	readonly apicAccessFrame?: number;
	/** Empty; without one every access is walked. */
	readonly cache?: GuestPhysicalCache;
}

export class ExtendedPageTables {
	private readonly root: number;
	private readonly marks: boolean;
	/** Bits of an entry that are access rights. */
	private readonly rightBits: number;
	private readonly log: ((frame: number) => void) | undefined;
	private readonly apicAccessFrame: number;
	private readonly cache: GuestPhysicalCache | undefined;
	private linearLow = 0;
	private linearHigh = 0;
	private linearValid = false;
	/** After walk(): the rights of the frame as the cache has them. */
	private found = 0;
	/** After finalFrame(): the page may be written through the TLB. */
	writable = false;

	constructor(
		private readonly physical: PhysicalMemory,
		readonly pointer: bigint,
		options: EptOptions = {},
	) {
		this.rightBits = options.modeBasedExecute ? RIGHTS | USER_EXECUTE : RIGHTS;
		this.log = options.log;
		this.apicAccessFrame = options.apicAccessFrame ?? -1;
		this.cache = options.cache;
		this.root = Number((pointer >> 12n) & 0xfffffffn);
		this.marks = (pointer & BigInt(POINTER_ACCESSED_DIRTY)) !== 0n;
	}

	/** Fetches from user-mode pages need another bit than fetches from supervisor-mode ones (§29.3.3.2). */
	get modeBasedExecute(): boolean {
		return this.rightBits !== RIGHTS;
	}

	/** The accesses that follow serve the translation of this linear address. */
	begin(low: number, high: number): void {
		this.linearLow = low;
		this.linearHigh = high;
		this.linearValid = true;
	}

	/** The accesses that follow serve no translation: a load of the PDPTEs. */
	beginWithoutLinear(): void {
		this.linearLow = this.linearHigh = 0;
		this.linearValid = false;
	}

	/**
	 * The host frame of a guest paging structure. With accessed and dirty flags every such access counts as a write (§29.3.5).
	 * @throws {VmExit}
	 */
	tableFrame(frame: number, offset: number, write: boolean): number {
		const rights = this.marks || write ? READ | WRITE : READ;
		const found = this.translate(frame, offset, rights, false);
		if (found === this.apicAccessFrame) throw new VmExit(ExitReasonNumber.apicAccess, GUEST_PHYSICAL_ACCESS);
		return found;
	}

	/** The host frame of the page that a linear address is mapped to. @param user the page is a user-mode page. @throws {VmExit} */
	finalFrame(frame: number, offset: number, write: boolean, fetch: boolean, user: boolean): number {
		const execute = user && this.modeBasedExecute ? USER_EXECUTE : EXECUTE;
		return this.translate(frame, offset, fetch ? execute : write ? WRITE : READ, true);
	}

	private translate(frame: number, offset: number, wanted: number, final: boolean): number {
		const { cache } = this;
		if (cache === undefined) return this.walk(frame, offset, wanted, final);
		const known = cache.rights(frame);
		const needed = wanted & WRITE ? wanted | CACHED_DIRTY : wanted;
		if ((needed & ~known) === 0) {
			this.writable = (known & (WRITE | CACHED_DIRTY)) === (WRITE | CACHED_DIRTY);
			return cache.frame;
		}
		const host = this.walk(frame, offset, wanted, final);
		cache.fill(frame, host, this.found);
		return host;
	}

	private walk(frame: number, offset: number, wanted: number, final: boolean): number {
		const { physical, rightBits } = this;
		let table = this.root;
		let rights = rightBits;
		for (let level = 4; ; level--) {
			const index = this.index(frame, level);
			const at = table * 4096 + index * 8;
			const ram = physical.kindOf(table) === PageKind.ram;
			const word = (RAM_BASE >> 2) + table * 1024 + index * 2;
			const low = ram ? physical.i32[word]! : physical.read(at, 4) | 0;
			const high = ram ? physical.i32[word + 1]! : physical.read(at + 4, 4) | 0;
			if ((low & rightBits) === 0) this.violation(frame, offset, wanted, 0, final);
			const leaf = level === 1 || (low & PAGE_SIZE) !== 0;
			if (misconfiguration(level, low, high) !== undefined) this.misconfiguration(frame, offset);
			rights &= low;
			if (leaf && (wanted & ~rights) !== 0) this.violation(frame, offset, wanted, rights, final);
			if (this.marks) this.mark(at, low, leaf && (wanted & WRITE) !== 0, frame);
			if (leaf) {
				const dirty = !this.marks || (wanted & WRITE) !== 0 || (low & DIRTY) !== 0;
				this.writable = (rights & WRITE) !== 0 && dirty;
				this.found = rights | (dirty ? CACHED_DIRTY : 0);
				const inside = level === 1 ? 0 : level === 2 ? 0x1ff : 0x3ffff;
				return (frameOf(low, high) & ~inside) | (frame & inside);
			}
			table = frameOf(low, high);
		}
	}

	private index(frame: number, level: number): number {
		return level === 1
			? frame & 0x1ff
			: level === 2
				? (frame >>> 9) & 0x1ff
				: level === 3
					? (frame >>> 18) & 0x1ff
					: (frame >>> 27) & 0x1ff;
	}

	private mark(at: number, low: number, dirty: boolean, frame: number): void {
		if (dirty && (low & DIRTY) === 0) this.log?.(frame);
		const marked = low | ACCESSED | (dirty ? DIRTY : 0);
		if (marked !== low) this.physical.write(at, 4, marked >>> 0);
	}

	private get resumeInformation() {
		const linear = (BigInt(this.linearHigh >>> 0) << 32n) | BigInt(this.linearLow >>> 0);
		return { resumeFlag: true, ...(this.linearValid ? { guestLinearAddress: linear } : {}) };
	}

	/** §29.3.3.2 */
	private violation(frame: number, offset: number, wanted: number, rights: number, final: boolean): never {
		const qualification =
			(wanted & RIGHTS) |
			(wanted & USER_EXECUTE ? EptQualification.fetch : 0) |
			((rights & RIGHTS) << 3) |
			(rights & USER_EXECUTE ? EptQualification.userExecutable : 0) |
			(this.linearValid ? EptQualification.linearValid | (final ? EptQualification.finalTranslation : 0) : 0);
		throw new VmExit(ExitReasonNumber.eptViolation, BigInt(qualification), {
			...this.resumeInformation,
			guestPhysicalAddress: BigInt(frame) * 4096n + BigInt(offset),
		});
	}

	/** §29.3.3.1. The qualification is undefined. */
	private misconfiguration(frame: number, offset: number): never {
		throw new VmExit(ExitReasonNumber.eptMisconfiguration, 0n, {
			...this.resumeInformation,
			guestPhysicalAddress: BigInt(frame) * 4096n + BigInt(offset),
		});
	}

	/** The walk of a guest-physical frame without side effects, for views and a debugger's reads. */
	inspect(frame: number): EptResult {
		const steps: EptStep[] = [];
		const { rightBits } = this;
		let table = this.root;
		let rights = rightBits;
		for (let level = 4; ; level--) {
			const index = this.index(frame, level);
			const address = table * 4096 + index * 8;
			const bytes = this.physical.peek(address, 8);
			const view = bytes && new DataView(bytes.buffer, bytes.byteOffset);
			const low = view ? view.getInt32(0, true) : 0;
			const high = view ? view.getInt32(4, true) : 0;
			steps.push({ level: level as 4 | 3 | 2 | 1, index, address, low, high });
			rights &= low;
			const present = (low & rightBits) !== 0;
			const misconfigured = present && misconfiguration(level, low, high) !== undefined;
			if (!present || misconfigured) return { steps, frame: undefined, rights, misconfigured, pageSize: 0 };
			const inside = level === 1 ? 0 : level === 2 ? 0x1ff : 0x3ffff;
			if (level === 1 || low & PAGE_SIZE) {
				const found = (frameOf(low, high) & ~inside) | (frame & inside);
				return { steps, frame: found, rights, misconfigured, pageSize: (inside + 1) * 4096 };
			}
			table = frameOf(low, high);
		}
	}
}

function frameOf(low: number, high: number): number {
	return (low >>> 12) | ((high & ADDRESS_HIGH) << 20);
}

/**
 * Why a present entry is misconfigured: a write right without a read right, reserved bits, a memory type that does not exist
 * (§29.3.3.1). Undefined when it is not.
 */
export function misconfiguration(level: number, low: number, high: number): string | undefined {
	if ((low & (READ | WRITE)) === WRITE) return "write access without read access";
	if (high & ADDRESS_RESERVED_HIGH) return "an address bit above the physical-address width is set";
	if (level === 4) return (low & 0xf8) !== 0 ? "a reserved bit of bits 7:3 is set" : undefined;
	const leaf = level === 1 || (low & PAGE_SIZE) !== 0;
	if (!leaf) return (low & 0x78) !== 0 ? "a reserved bit of bits 6:3 is set" : undefined;
	if ((level === 3 && low & 0x3ffff000) || (level === 2 && low & 0x1ff000))
		return "an address bit below the page size is set";
	return MEMORY_TYPES.includes((low >> 3) & 7) ? undefined : `there is no memory type ${(low >> 3) & 7}`;
}
