// Host-physical memory: RAM and ROM lie in WebAssembly memory behind the processor's state; the rest is answered by a bus.

import { PageMarks, RAM_BASE, RecordArena } from "../isa/state.ts";

/** What a physical page is. */
export const PageKind = { unmapped: 0, ram: PageMarks.ram, rom: 2, mmio: 3 } as const;

/** Answers accesses to pages that are not RAM or ROM. Addresses are host-physical. */
export interface PhysicalBus {
	read(address: number, size: 1 | 2 | 4): number;
	write(address: number, size: 1 | 2 | 4, value: number): void;
}

const PAGES_BELOW_4G = 1 << 20;
/** Pages of 0xc0000-0xfffff, where firmware is shadowed. */
const SHADOW_FIRST = 0xc0;
const SHADOW_PAGES = 0x40;
const WASM_PAGE = 0x10000;
/** Above this new memory, whose pages the system clears at their first use, is cheaper. */
const RECYCLED_MOST = 0x4000000;

/** The memory of a machine, and nothing that refers to the machine: who keeps it keeps no chain of its predecessors. */
export interface RecycledMemory {
	readonly memory: WebAssembly.Memory;
}

export class PhysicalMemory {
	readonly memory: WebAssembly.Memory;
	readonly u8: Uint8Array;
	readonly i32: Int32Array;
	readonly i64: BigInt64Array;
	readonly view: DataView;
	/** PageKind of every page below 4 GiB. */
	readonly kind: Uint8Array;
	/** Nonzero for pages that hold decoded code; the engine sets it, every writer must ask it. */
	readonly hasCode: Uint8Array;
	bus: PhysicalBus | undefined;
	/** Called for a write into a page with `hasCode`, before the bytes change. */
	onCodeWrite: (address: number, length: number) => void = () => {};

	/** Places of the pages that can be ROM or RAM by turns. */
	private readonly shadowPlaces = new Uint32Array(SHADOW_PAGES);
	/** Nonzero where writes reach the RAM although reads do not come from there. */
	private readonly shadowWritable = new Uint8Array(SHADOW_PAGES);

	/**
	 * @param ramBytes a multiple of 4096, at most 3 GiB.
	 * @param romBytes bytes of ROM that end at 4 GiB, a multiple of 4096.
	 * @param recycled of a machine that is no longer used: its bytes are cleared and taken over when there are as many
	 */
	constructor(
		readonly ramBytes: number,
		readonly romBytes = 0,
		recycled?: RecycledMemory,
	) {
		const pages = Math.ceil((RAM_BASE + ramBytes + romBytes) / WASM_PAGE);
		this.memory = cleared(recycled?.memory, pages) ?? new WebAssembly.Memory({ initial: pages, maximum: pages });
		this.u8 = new Uint8Array(this.memory.buffer);
		this.i32 = new Int32Array(this.memory.buffer);
		this.i64 = new BigInt64Array(this.memory.buffer);
		this.view = new DataView(this.memory.buffer);
		this.kind = this.u8.subarray(PageMarks.kind, PageMarks.kind + PageMarks.pages);
		this.hasCode = this.u8.subarray(PageMarks.hasCode, PageMarks.hasCode + PageMarks.pages);
		this.kind.fill(PageKind.ram, 0, ramBytes / 4096);
		this.kind.fill(PageKind.rom, PAGES_BELOW_4G - romBytes / 4096);
		for (let page = 0; page < SHADOW_PAGES; page++) this.shadowPlaces[page] = RAM_BASE + (SHADOW_FIRST + page) * 4096;
	}

	/** What another machine can take over when this one is no longer used. */
	get recyclable(): RecycledMemory {
		const { memory } = this;
		return { memory };
	}

	/** Place in WebAssembly memory of the first byte of a page that is RAM or ROM. */
	placeOfPage(page: number): number {
		const shadow = page - SHADOW_FIRST;
		if (shadow >= 0 && shadow < SHADOW_PAGES) return this.shadowPlaces[shadow]!;
		const above = page - (PAGES_BELOW_4G - this.romBytes / 4096);
		return RAM_BASE + (above >= 0 ? this.ramBytes + above * 4096 : page * 4096);
	}

	private place(address: number): number {
		const page = Math.floor(address / 4096);
		return this.placeOfPage(page) + address - page * 4096;
	}

	/**
	 * Says what a page of 0xc0000-0xfffff is: where reads come from (the RAM at its address, or the ROM page with the given number below
	 * 4 GiB; undefined for neither) and whether writes reach the RAM. The caller flushes the TLB.
	 */
	setShadow(page: number, reads: "ram" | number | undefined, writable: boolean): void {
		if (this.hasCode[page]) this.onCodeWrite(page * 4096, 4096);
		const shadow = page - SHADOW_FIRST;
		this.kind[page] =
			reads === undefined ? PageKind.unmapped : reads === "ram" && writable ? PageKind.ram : PageKind.rom;
		this.shadowPlaces[shadow] = typeof reads === "number" ? this.placeOfPage(reads) : RAM_BASE + page * 4096;
		this.shadowWritable[shadow] = writable ? 1 : 0;
	}

	/** Whether a write to a page that is not RAM reaches the RAM under it. */
	private writesThrough(page: number): boolean {
		return page >= SHADOW_FIRST && page < SHADOW_FIRST + SHADOW_PAGES && this.shadowWritable[page - SHADOW_FIRST] !== 0;
	}

	/** PageKind of the page with this number. */
	kindOf(page: number): number {
		return page < PAGES_BELOW_4G ? this.kind[page]! : PageKind.unmapped;
	}

	/** True when the address lies in RAM or ROM, so that it has a place in WebAssembly memory. */
	isBacked(address: number): boolean {
		const kind = this.kindOf(Math.floor(address / 4096));
		return kind === PageKind.ram || kind === PageKind.rom;
	}

	/** Reads within one page, with the side effects that a device gives to it. */
	read(address: number, size: 1 | 2 | 4): number {
		if (this.isBacked(address)) {
			const at = this.place(address);
			return size === 1 ? this.u8[at]! : size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
		}
		if (this.bus) return this.bus.read(address, size);
		return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffffffff;
	}

	/** Writes within one page. A write to ROM is lost, as on the bus of a PC, unless it is shadowed by writable RAM. */
	write(address: number, size: 1 | 2 | 4, value: number): void {
		const page = Math.floor(address / 4096);
		const kind = this.kindOf(page);
		if (kind === PageKind.ram || this.writesThrough(page)) {
			if (this.hasCode[page]) this.onCodeWrite(address, size);
			const at = RAM_BASE + address;
			if (size === 1) this.u8[at] = value;
			else if (size === 2) this.view.setUint16(at, value, true);
			else this.view.setUint32(at, value, true);
		} else if (kind !== PageKind.rom) this.bus?.write(address, size, value);
	}

	/** Copies bytes out of RAM or ROM; undefined when any of them is not backed. Never touches a device. */
	peek(address: number, length: number): Uint8Array | undefined {
		for (let page = Math.floor(address / 4096); page * 4096 < address + length; page++) {
			const kind = this.kindOf(page);
			if (kind !== PageKind.ram && kind !== PageKind.rom) return undefined;
		}
		const bytes = new Uint8Array(length);
		for (let done = 0; done < length; ) {
			const part = Math.min(length - done, 4096 - ((address + done) % 4096));
			const at = this.place(address + done);
			bytes.set(this.u8.subarray(at, at + part), done);
			done += part;
		}
		return bytes;
	}

	/** Stores bytes in RAM or ROM (a loader's or a debugger's write); false, and nothing changed, when any of them is not backed. */
	poke(address: number, bytes: Uint8Array): boolean {
		const first = Math.floor(address / 4096);
		for (let page = first; page * 4096 < address + bytes.length; page++) {
			const kind = this.kindOf(page);
			if (kind !== PageKind.ram && kind !== PageKind.rom) return false;
		}
		for (let page = first; page * 4096 < address + bytes.length; page++) {
			const start = Math.max(address, page * 4096);
			if (this.hasCode[page]) this.onCodeWrite(start, Math.min(address + bytes.length, (page + 1) * 4096) - start);
		}
		for (let done = 0; done < bytes.length; ) {
			const part = Math.min(bytes.length - done, 4096 - ((address + done) % 4096));
			this.u8.set(bytes.subarray(done, done + part), this.place(address + done));
			done += part;
		}
		return true;
	}
}

/** A zero for every page below 4 GiB. @param recycled of a memory that is no longer used */
export function pageMarks(recycled?: Uint8Array): Uint8Array {
	return recycled?.fill(0) ?? new Uint8Array(PAGES_BELOW_4G);
}

/** WebAssembly memory as it was when it was new, but for records, which are written before they are read; undefined when it has another size. */
function cleared(memory: WebAssembly.Memory | undefined, pages: number): WebAssembly.Memory | undefined {
	const length = pages * WASM_PAGE;
	if (memory === undefined || memory.buffer.byteLength !== length || length > RAM_BASE + RECYCLED_MOST)
		return undefined;
	const bytes = new Uint8Array(memory.buffer);
	bytes.fill(0, 0, RecordArena.base);
	bytes.fill(0, RAM_BASE);
	return memory;
}
