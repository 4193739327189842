// Guest-physical memory: the pmap from guest-physical pages to host frames, allocated at first touch, and the guest's
// memory-mapped devices. It offers the same surface as the host's PhysicalMemory, so that loaders serve both.

import type { PhysicalBus, PhysicalMemory } from "../../engine/physical-memory.ts";
import { PageKind, pageMarks } from "../../engine/physical-memory.ts";
import { RAM_BASE } from "../../isa/state.ts";
import type { HostFrames } from "../host-frames.ts";

const UNTOUCHED = -1;

export class GuestPhysicalMemory {
	/** Host frame of each guest RAM page, or -1 when the page was never touched. */
	readonly pmap: Int32Array;
	/** PageKind of every guest page below 4 GiB. */
	readonly kind: Uint8Array;
	bus: PhysicalBus | undefined;
	/** Called after bytes of a page changed by another hand than the guest's own untraced stores. */
	onWrite: (address: number, length: number) => void = () => {};

	/** Called after a page has become something else. */
	onPageChange: (page: number) => void = () => {};
	/** Host frames of ROM pages by page number. */
	private readonly rom = new Map<number, number>();
	/** ROM pages that show at other pages: page number, number of the ROM page. */
	private readonly shown = new Map<number, number>();
	/** Pages that are not RAM but whose writes reach the RAM under them. */
	private readonly writtenThrough = new Set<number>();

	/**
	 * @param ramBytes a multiple of 4096.
	 * @param romBytes bytes of ROM that end at 4 GiB, a multiple of 4096.
	 * @param recycled the kinds of a VMM's pages that is no longer used
	 */
	constructor(
		readonly host: PhysicalMemory,
		private readonly frames: HostFrames,
		readonly ramBytes: number,
		romBytes = 0,
		recycled?: Uint8Array,
	) {
		this.kind = pageMarks(recycled);
		this.pmap = new Int32Array(ramBytes / 4096).fill(UNTOUCHED);
		this.kind.fill(PageKind.ram, 0, ramBytes / 4096);
		for (let page = this.kind.length - romBytes / 4096; page < this.kind.length; page++) {
			this.kind[page] = PageKind.rom;
			this.rom.set(page, frames.allocate());
		}
	}

	/** See ShadowableMemory. */
	setShadow(page: number, reads: "ram" | number | undefined, writable: boolean): void {
		if (typeof reads === "number") this.shown.set(page, reads);
		else this.shown.delete(page);
		const isRam = reads === "ram" && writable;
		if (writable && !isRam) this.writtenThrough.add(page);
		else this.writtenThrough.delete(page);
		this.kind[page] = reads === undefined ? PageKind.unmapped : isRam ? PageKind.ram : PageKind.rom;
		this.onPageChange(page);
	}

	/** Host frame of a page of ROM, or of one at which ROM shows. */
	private romFrame(page: number): number | undefined {
		return this.rom.size === 0 ? undefined : this.rom.get(this.shown.get(page) ?? page);
	}

	kindOf(page: number): number {
		return page < this.kind.length ? this.kind[page]! : PageKind.unmapped;
	}

	isRam(page: number): boolean {
		return this.kindOf(page) === PageKind.ram;
	}

	isBacked(address: number): boolean {
		const kind = this.kindOf(Math.floor(address / 4096));
		return kind === PageKind.ram || kind === PageKind.rom;
	}

	/** Host frame of a backed guest page; a page touched for the first time gets a frame of zeros. */
	frameOf(page: number): number {
		return this.romFrame(page) ?? this.ramFrame(page);
	}

	private ramFrame(page: number): number {
		const frame = this.pmap[page]!;
		if (frame !== UNTOUCHED) return frame;
		const fresh = this.frames.allocate();
		const start = RAM_BASE + fresh * 4096;
		this.host.u8.fill(0, start, start + 4096);
		this.pmap[page] = fresh;
		return fresh;
	}

	/** The same without allocating; undefined when the page was never touched or is none of memory. */
	knownFrame(page: number): number | undefined {
		const frame = this.romFrame(page) ?? this.pmap[page];
		return frame === undefined || frame === UNTOUCHED ? undefined : frame;
	}

	/** Every byte of RAM in order, zeros where no page was touched. */
	contents(): Uint8Array {
		const bytes = new Uint8Array(this.ramBytes);
		this.pmap.forEach((frame, page) => {
			if (frame === UNTOUCHED) return;
			const start = RAM_BASE + frame * 4096;
			bytes.set(this.host.u8.subarray(start, start + 4096), page * 4096);
		});
		return bytes;
	}

	/** Host-physical address of a byte of a backed page. */
	hostAddress(address: number): number {
		return this.frameOf(Math.floor(address / 4096)) * 4096 + (address & 0xfff);
	}

	/** A dword of RAM that does not cross a page (a page-table entry, a descriptor half); all ones where there is no RAM. */
	read32(address: number): number {
		if (!this.isBacked(address)) return this.read(address, 4) | 0;
		return this.host.i32[(RAM_BASE + this.hostAddress(address)) >> 2]!;
	}

	/** Sets bits in a dword of RAM, as the processor sets accessed and dirty bits: no trace is told. */
	setBits(address: number, bits: number): void {
		if (!this.isRam(Math.floor(address / 4096))) return;
		const at = this.hostAddress(address);
		this.host.write(at, 4, (this.host.i32[(RAM_BASE + at) >> 2]! | bits) >>> 0);
	}

	/** Reads within one page, with the side effects that a device gives to it. */
	read(address: number, size: 1 | 2 | 4): number {
		if (this.isBacked(address)) return this.host.read(this.hostAddress(address), size);
		if (this.bus) return this.bus.read(address, size);
		return size === 1 ? 0xff : size === 2 ? 0xffff : 0xffffffff;
	}

	/** Writes within one page; the write traces of the page are told. */
	write(address: number, size: 1 | 2 | 4, value: number): void {
		const page = Math.floor(address / 4096);
		const kind = this.kindOf(page);
		if (kind === PageKind.ram || this.writtenThrough.has(page)) {
			this.host.write(this.ramFrame(page) * 4096 + (address & 0xfff), size, value);
			this.onWrite(address, size);
		} else if (kind !== PageKind.rom) this.bus?.write(address, size, value);
	}

	/** Copies bytes of RAM or ROM without touching a page or a device; undefined when any of them is not backed. */
	peek(address: number, length: number): Uint8Array | undefined {
		const bytes = new Uint8Array(length);
		for (let done = 0; done < length; ) {
			const at = address + done;
			if (!this.isBacked(at)) return undefined;
			const part = Math.min(length - done, 4096 - (at % 4096));
			const frame = this.knownFrame(Math.floor(at / 4096));
			if (frame !== undefined) {
				const start = RAM_BASE + frame * 4096 + (at % 4096);
				bytes.set(this.host.u8.subarray(start, start + part), done);
			}
			done += part;
		}
		return bytes;
	}

	/** Stores bytes in RAM or ROM (a loader's or a debugger's write); false, and nothing changed, when any of them is not backed. */
	poke(address: number, bytes: Uint8Array): boolean {
		for (let page = Math.floor(address / 4096); page * 4096 < address + bytes.length; page++)
			if (!this.isBacked(page * 4096)) return false;
		for (let done = 0; done < bytes.length; ) {
			const at = address + done;
			const part = Math.min(bytes.length - done, 4096 - (at % 4096));
			this.host.poke(this.hostAddress(at), bytes.subarray(done, done + part));
			this.onWrite(at, part);
			done += part;
		}
		return true;
	}
}
