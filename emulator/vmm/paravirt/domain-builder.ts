// Puts a kernel into a domain as Xen's toolstack does (xen.h, "START-OF-DAY MEMORY LAYOUT"): kernel, module, list of machine frames,
// start info, xenstore and console pages, page tables, stack, in this order from VIRT_BASE on, with at least 512 KBytes behind them
// mapped and the end at a multiple of 4 MBytes.

import { MachineError, type NamedFile } from "../../machine/virtual-machine.ts";
import type { Domain } from "./domain.ts";
import type { Hypervisor } from "./hypervisor.ts";
import { PageType } from "./memory/frame-table.ts";
import { Entry } from "./memory/page-tables.ts";
import type { PvImage } from "./pv-image.ts";
import { GuestSelector, Hypercall, StartFlags } from "./xen-abi.ts";

const PAGE = 4096;
const PADDING = 512 * 1024;
const END_ALIGNMENT = 4 * 1024 * 1024;
const TABLE = Entry.present | Entry.writable | Entry.user | Entry.accessed;
const READ_ONLY = Entry.present | Entry.accessed;
const COMMAND_LINE_BYTES = 1024;
/** 2024-01-01 00:00:00 UTC, where the RTC of the machine begins too. */
const WALL_CLOCK = 1_704_067_200;
/** TSC ticks are nanoseconds: ticks << 1 times 2^31 / 2^32. */
const TIME_MULTIPLIER = 0x80000000;
const TSC_STABLE = 1;

export interface DomainFiles {
	readonly initrd?: NamedFile | undefined;
	readonly append?: string | undefined;
}

/** A run of pseudo-physical pages. */
interface Region {
	readonly page: number;
	readonly pages: number;
}

/** Tables of one level by the first page (in units of what they cover) that they map. */
type TableLevel = Map<bigint, number>;

export class DomainBuilder {
	/** Next pseudo-physical page to give out. */
	private next = 0;
	private readonly machine: number[] = [];

	constructor(
		private readonly hypervisor: Hypervisor,
		private readonly domain: Domain,
		private readonly image: PvImage,
	) {}

	private region(pages: number, what: string): Region {
		const page = this.next;
		if (page + pages > this.machine.length)
			throw new MachineError(
				`${what} (${pages} pages) does not fit in the ${this.machine.length} pages of ${this.domain.name}: give it more with "memory".`,
			);
		this.next += pages;
		return { page, pages };
	}

	private frame(page: number): number {
		return this.machine[page]!;
	}

	/** Bytes at a pseudo-physical address. */
	private store(address: number, bytes: Uint8Array): void {
		for (let done = 0; done < bytes.length; ) {
			const at = address + done;
			const part = Math.min(bytes.length - done, PAGE - (at % PAGE));
			this.hypervisor.memory.store(this.frame(Math.floor(at / PAGE)), at % PAGE, bytes.subarray(done, done + part));
			done += part;
		}
	}

	private linear(page: number): bigint {
		return this.image.virtualBase + BigInt(page) * 4096n;
	}

	/** Builds the domain; its vCPU stands at the kernel's entry. @throws {MachineError} */
	build(files: DomainFiles): void {
		const { hypervisor, domain, image } = this;
		for (let page = 0; page < domain.maximumPages; page++) {
			const frame = hypervisor.allocate(domain);
			if (frame < 0) throw new MachineError(`The host has no memory left for ${domain.name}.`);
			this.machine.push(frame);
			hypervisor.setPhysical(domain, frame, page);
		}
		this.loadKernel();
		const { initrd } = files;
		const listBytes = this.machine.length * domain.longBytes;
		const listPages = Math.ceil(listBytes / PAGE);
		let module = initrd && !image.modStartPfn ? this.region(pagesOf(initrd.bytes), initrd.name) : undefined;
		let list = image.initialP2m === undefined ? this.region(listPages, "The list of machine frames") : undefined;
		const startInfo = this.region(1, "The start info");
		const store = this.region(1, "The xenstore page");
		const console = this.region(1, "The console page");
		const tables = this.tableRegion();
		const stack = this.region(1, "The boot stack");
		const mapped = this.mappedPages(this.next);
		const wanted = this.next;
		let listTables: Region | undefined;
		if (image.initialP2m !== undefined) {
			// The list and the tables that map it lie beyond what is mapped at VIRT_BASE.
			this.next = mapped;
			list = this.region(listPages, "The list of machine frames");
			const count = countTables(image.initialP2m, listPages).reduce((sum, level) => sum + level, 0);
			listTables = this.region(count, "The tables of the list of machine frames");
		} else this.next = mapped;
		if (initrd && module === undefined) module = this.region(pagesOf(initrd.bytes), initrd.name);
		if (initrd && module) this.store(module.page * PAGE, initrd.bytes);
		this.storeList(list!);
		const root = this.buildTables(tables, Math.min(mapped, this.machine.length), list!, listTables);
		domain.store = { frame: this.frame(store.page), port: domain.store.port };
		domain.console = { frame: this.frame(console.page), port: domain.console.port };
		this.fillSharedInfo();
		this.storeHypercallPage();
		this.startInfoPage = { startInfo, tables, list: list!, listTables, module, files, wanted };
		this.adopt(root, stack, startInfo);
	}

	private startInfoPage!: {
		readonly startInfo: Region;
		readonly tables: Region;
		readonly list: Region;
		readonly listTables: Region | undefined;
		readonly module: Region | undefined;
		readonly files: DomainFiles;
		readonly wanted: number;
	};

	/** Pages mapped at VIRT_BASE when so many are in use. */
	private mappedPages(used: number): number {
		const end = this.linear(used) + BigInt(PADDING);
		const aligned = ((end + BigInt(END_ALIGNMENT) - 1n) / BigInt(END_ALIGNMENT)) * BigInt(END_ALIGNMENT);
		return Number((aligned - this.image.virtualBase) / 4096n);
	}

	private loadKernel(): void {
		const { image, domain } = this;
		let end = 0;
		for (const segment of image.elf.segments) {
			const at = segment.physicalAddress - Number(image.physicalOffset);
			if (at < 0 || at + segment.memorySize > this.machine.length * PAGE)
				throw new MachineError(
					`${image.name} needs memory from 0x${at.toString(16)} to 0x${(at + segment.memorySize).toString(16)}, but ${domain.name} has 0x${(this.machine.length * PAGE).toString(16)} bytes: give it more with "memory".`,
				);
			this.store(at, segment.bytes);
			end = Math.max(end, at + segment.memorySize);
		}
		this.next = Math.ceil(end / PAGE);
	}

	/** Room for the tables that map everything up to the end of the padding, themselves included. */
	private tableRegion(): Region {
		let count = 0;
		for (;;) {
			const needed = this.levelsFor(this.mappedPages(this.next + count + 1)).reduce((sum, level) => sum + level, 0);
			if (needed <= count) break;
			count = needed;
		}
		return this.region(count, "The initial page tables");
	}

	/** Tables of each level, the top first. */
	private levelsFor(pages: number): number[] {
		const { image } = this;
		const [l4, l3, l2, l1] = countTables(image.virtualBase, pages) as [number, number, number, number];
		if (image.wide) return [l4 + 1, l3, l2, l1];
		// The top GByte has a level-2 table in any case: it holds the VMM's part.
		const hasTop = image.virtualBase + BigInt(pages) * 4096n > 0xc0000000n;
		return [1, hasTop ? l2 : l2 + 1, l1];
	}

	private storeList(list: Region): void {
		const { longBytes } = this.domain;
		const bytes = new Uint8Array(this.machine.length * longBytes);
		const view = new DataView(bytes.buffer);
		this.machine.forEach((frame, page) => {
			view.setUint32(page * longBytes, frame, true);
		});
		this.store(list.page * PAGE, bytes);
	}

	/** Writes the initial tables: page tables are mapped read-only. @returns the frame of the top one. */
	private buildTables(tables: Region, mapped: number, list: Region, listTables: Region | undefined): number {
		const { hypervisor, image } = this;
		const { memory } = hypervisor;
		let nextTable = tables.page;
		const levels: TableLevel[] = [new Map(), new Map(), new Map(), new Map()];
		const root = this.frame(nextTable++);
		const tableOf = (level: number, linear: bigint, take: () => number): number => {
			const top = image.wide ? 4 : 3;
			if (level === top) return root;
			const shift = BigInt(12 + 9 * level);
			const key = linear >> shift;
			const known = levels[level - 1]!.get(key);
			if (known !== undefined) return known;
			const parent = tableOf(level + 1, linear, take);
			const frame = this.frame(take());
			levels[level - 1]!.set(key, frame);
			const index = Number(key & 511n) & (level === 2 && !image.wide ? 3 : 511);
			// The level-3 entries of PAE have no rights (SDM Vol. 3A Table 4-8).
			memory.writeEntry(parent, index, frame * PAGE + (image.wide || level !== 2 ? TABLE : Entry.present), 0);
			return frame;
		};
		const map = (linear: bigint, page: number, writable: boolean, take: () => number): void => {
			const table = tableOf(1, linear, take);
			const rights = READ_ONLY | Entry.dirty | (writable ? Entry.writable : 0);
			memory.writeEntry(table, Number((linear >> 12n) & 511n), this.frame(page) * PAGE + rights, 0);
		};
		const isTable = (page: number) => page >= tables.page && page < tables.page + tables.pages;
		for (let page = 0; page < mapped; page++) map(this.linear(page), page, !isTable(page), () => nextTable++);
		if (!image.wide) tableOf(2, 0xc0000000n, () => nextTable++);
		if (image.initialP2m !== undefined && listTables) {
			let next = listTables.page;
			for (let index = 0; index < list.pages; index++)
				map(image.initialP2m + BigInt(index) * 4096n, list.page + index, true, () => next++);
		}
		return root;
	}

	/** What struct shared_info says before anything runs: events masked, the time, the wall clock. */
	private fillSharedInfo(): void {
		const { hypervisor, domain } = this;
		const { memory } = hypervisor;
		const frame = domain.sharedInfoFrame;
		for (let vcpu = 0; vcpu < 32; vcpu++) memory.store(frame, vcpu * 64 + 1, new Uint8Array([1]));
		const time = new DataView(new ArrayBuffer(32));
		time.setUint32(24, TIME_MULTIPLIER, true);
		time.setUint8(28, 1);
		time.setUint8(29, TSC_STABLE);
		memory.store(frame, 32, new Uint8Array(time.buffer));
		const wallClock = 2048 + domain.longBytes * domain.longBytes * 16;
		const clock = new DataView(new ArrayBuffer(8));
		clock.setUint32(0, WALL_CLOCK, true);
		memory.store(frame, wallClock + 4, new Uint8Array(clock.buffer));
	}

	/** 32 bytes a hypercall: the number into EAX, and the way into the VMM (arch-x86/xen-x86_64.h, xen-x86_32.h). */
	private storeHypercallPage(): void {
		const { image } = this;
		const { hypercallPage } = image;
		if (hypercallPage === undefined) return;
		const at = hypercallPage - image.virtualBase;
		if (at < 0n || at % 4096n !== 0n || at / 4096n >= BigInt(this.machine.length))
			throw new MachineError(
				`${image.name} wants its hypercall page at 0x${hypercallPage.toString(16)}, which is no page of its memory.`,
			);
		this.store(Number(at), hypercallPageBytes(image.wide));
	}

	/** Lets the domain have its tables, and its vCPU stand at the entry. */
	private adopt(root: number, stack: Region, startInfo: Region): void {
		const { hypervisor, domain, image } = this;
		const { vcpu } = domain;
		const result = hypervisor.tables.pin(root, domain, domain.wide ? PageType.l4 : PageType.l3);
		const loaded = result < 0 ? result : hypervisor.loadGuestRoot(domain, root);
		if (loaded < 0) throw new Error(`The tables that the domain builder made are not accepted (${loaded}).`);
		const selectors = domain.wide
			? { cs: GuestSelector.ring3Code64, ss: GuestSelector.ring3Data }
			: { cs: GuestSelector.compatRing1Code, ss: GuestSelector.compatRing1Data };
		vcpu.kernelSs = selectors.ss;
		vcpu.kernelSp = this.linear(stack.page + 1);
		Object.assign(vcpu.frame, { rip: image.entry, rflags: 0x202, rsp: vcpu.kernelSp, ...selectors });
		vcpu.startInfo = this.linear(startInfo.page);
	}

	/** Writes the start info, once it is known what the domain is connected to. */
	finish(): void {
		const { domain, image, machine } = this;
		const { startInfo, tables, list, listTables, module, files } = this.startInfoPage;
		const { wide } = domain;
		const long = domain.longBytes;
		const page = new Uint8Array(PAGE);
		const view = new DataView(page.buffer);
		let at = 32;
		page.set(new TextEncoder().encode(wide ? "xen-3.0-x86_64" : "xen-3.0-x86_32p"));
		const longWord = (value: bigint | number): void => {
			if (wide) view.setBigUint64(at, BigInt(value), true);
			else view.setUint32(at, Number(value), true);
			at += long;
		};
		const word = (value: number): void => {
			view.setUint32(at, value, true);
			at += 4;
		};
		const align = (): void => {
			at = Math.ceil(at / long) * long;
		};
		let flags = domain.privileged ? StartFlags.privileged | StartFlags.initialDomain : 0;
		if (module && image.modStartPfn) flags |= StartFlags.modStartPfn;
		longWord(machine.length);
		longWord(domain.sharedInfoFrame * PAGE);
		word(flags);
		align();
		longWord(domain.store.frame);
		word(domain.store.port);
		align();
		// The console of Domain 0 is the hypervisor's: no ring, no VGA information.
		longWord(domain.privileged ? 0 : domain.console.frame);
		word(domain.privileged ? 0 : domain.console.port);
		align();
		longWord(this.linear(tables.page));
		longWord(tables.pages);
		longWord(image.initialP2m ?? this.linear(list.page));
		longWord(module ? (image.modStartPfn ? module.page : this.linear(module.page)) : 0);
		longWord(module ? files.initrd!.bytes.length : 0);
		const text = new TextEncoder().encode(files.append ?? "");
		if (text.length >= COMMAND_LINE_BYTES)
			throw new MachineError(
				`The kernel command line has ${text.length} characters; a paravirtual guest takes ${COMMAND_LINE_BYTES - 1}.`,
			);
		page.set(text, at);
		at += COMMAND_LINE_BYTES;
		longWord(image.initialP2m === undefined ? 0 : list.page);
		longWord(image.initialP2m === undefined ? 0 : list.pages + (listTables?.pages ?? 0));
		this.store(startInfo.page * PAGE, page);
	}
}

function pagesOf(bytes: Uint8Array): number {
	return Math.ceil(bytes.length / PAGE);
}

/** Tables below the top one that map a range: [0, level 3, level 2, level 1]. */
function countTables(start: bigint, pages: number): number[] {
	if (pages === 0) return [0, 0, 0, 0];
	const last = start + BigInt(pages - 1) * 4096n;
	const count = (shift: bigint) => Number((last >> shift) - (start >> shift)) + 1;
	return [0, count(39n), count(30n), count(21n)];
}

/** The hypercall page of 64- or 32-bit guests. */
export function hypercallPageBytes(wide: boolean): Uint8Array {
	const page = new Uint8Array(PAGE).fill(0xcc);
	for (let number = 0; number < PAGE / 32; number++) {
		const load = [0xb8, number, 0, 0, 0];
		const isReturn = number === Hypercall.iret;
		// 64-bit: PUSH RCX; PUSH R11; MOV EAX; SYSCALL; POP R11; POP RCX; RET. 32-bit: MOV EAX; INT 82h; RET.
		const code = wide
			? isReturn
				? [0x51, 0x41, 0x53, 0x50, ...load, 0x0f, 0x05]
				: [0x51, 0x41, 0x53, ...load, 0x0f, 0x05, 0x41, 0x5b, 0x59, 0xc3]
			: isReturn
				? [0x50, ...load, 0xcd, 0x82]
				: [...load, 0xcd, 0x82, 0xc3];
		page.set(code, number * 32);
	}
	return page;
}
