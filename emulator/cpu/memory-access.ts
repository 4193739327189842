// Memory accesses that generated code does not do by itself: segment and canonical checks, page walks, page-crossing, alignment
// checks, memory-mapped I/O, watched pages; and the accesses of TypeScript helpers.
//
// Values pass through State.exchange. Linear addresses and offsets are i32 halves.

import { Fault, Vector } from "../engine/fault.ts";
import { AccessKind } from "../engine/helper.ts";
import { PageKind, type PhysicalMemory } from "../engine/physical-memory.ts";
import type { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { Access, Cr0, Cr4, Eflags } from "../isa/register-bits.ts";
import { RAM_BASE, Segment, type SegmentIndex, SegmentSlot, State, segmentSlot, Tlb, WalkBlock } from "../isa/state.ts";
import { inspectedTables, translateInspected } from "./page-walk-view.ts";
import { PageAccess, type Paging } from "./paging.ts";
import type { ProcessorState } from "./processor-state.ts";

/** One access, or the part of it in one page, to a watched page. Values are little-endian; undefined for memory-mapped I/O. */
export interface WatchedAccess {
	readonly linear: bigint;
	/** Host-physical. */
	readonly physical: number;
	/** Bytes, 1 to 32. */
	readonly size: number;
	readonly write: boolean;
	/** Made by the processor itself, of a table of the system (SDM Vol. 3A §4.6.1, implicit supervisor-mode access). */
	readonly implicit: boolean;
	readonly oldValue: bigint | undefined;
	/** The value after a write; for a read the same as `oldValue`. */
	readonly newValue: bigint | undefined;
}

/** Watches pages. While a page is watched its translations are kept out of the TLB, so that every access is seen. */
export interface AccessWatch {
	/** What the processor itself accesses of its tables is not asked for. */
	readonly explicitOnly?: boolean;
	/** WatchedFor bits of a page: halves of its linear address, host-physical page number. */
	watches(linearLow: number, linearHigh: number, physicalPage: number): number;
	/** An access of a watched kind was done. Memory may be looked at only by peeking: the value accessed is still in State.exchange. */
	accessed(access: WatchedAccess): void;
}

/** The APIC-access page of a guest of a hypervisor (SDM Vol. 3C §30.4). */
export interface ApicAccess {
	/** An access at an offset in the page; the bytes are at `place` in the state. @throws {VmExit} when it is not virtualized. */
	access(offset: number, size: number, write: boolean, place: number): void;
	/** @throws {VmExit} */
	fetch(offset: number): never;
}

export const WatchedFor = { nothing: 0, reads: 1, writes: 2 } as const;

const EXCHANGE = State.exchange;
const PAGE = 0x1000;

export class MemoryAccess {
	private readonly i32: Int32Array;
	private readonly u8: Uint8Array;
	private readonly view: DataView;
	private readonly physical: PhysicalMemory;
	private readonly tlb: TranslationLookasideBuffer;
	/** Each is asked and told. Change the list with setWatches(), which empties the TLB. */
	private watches: readonly AccessWatch[] = [];
	/** The linear address that the last segment check made. */
	private low = 0;
	private high = 0;
	/** Number of the host-physical frame whose accesses `apicAccess` answers; it stays out of the TLB. -1 = none. */
	private apicFrame = -1;
	apicAccess: ApicAccess | undefined;

	constructor(
		private readonly state: ProcessorState,
		private readonly paging: Paging,
	) {
		this.physical = state.physical;
		this.tlb = state.tlb;
		this.i32 = state.i32;
		this.u8 = state.u8;
		this.view = state.view;
	}

	get apicAccessFrame(): number {
		return this.apicFrame;
	}

	set apicAccessFrame(frame: number) {
		this.apicFrame = frame;
		this.tlb.blockWalks(WalkBlock.apicAccessPage, frame >= 0);
	}

	/** Replaces the watches and makes every page be asked for anew. */
	setWatches(watches: readonly AccessWatch[]): void {
		this.watches = watches;
		this.tlb.blockWalks(WalkBlock.watches, watches.length > 0);
		this.tlb.flush();
	}

	/** ProcessorHooks.slowRead. @throws {Fault} */
	slowRead(_record: number, offsetLow: number, offsetHigh: number, kind: number): void {
		this.locate(offsetLow, offsetHigh, kind, (kind & AccessKind.forWrite) !== 0);
		this.transfer(kind & AccessKind.sizeMask, this.rights(kind), false, (kind & AccessKind.forWrite) !== 0);
	}

	/** ProcessorHooks.slowWrite. @throws {Fault} */
	slowWrite(_record: number, offsetLow: number, offsetHigh: number, kind: number): void {
		this.locate(offsetLow, offsetHigh, kind, true);
		this.transfer(kind & AccessKind.sizeMask, this.rights(kind), true, false);
	}

	private rights(kind: number): number {
		if (kind & AccessKind.supervisor) return PageAccess.implicit;
		return this.i32[State.cpl >> 2] === 3 ? PageAccess.user : 0;
	}

	private locate(offsetLow: number, offsetHigh: number, kind: number, write: boolean): void {
		if (kind & AccessKind.linear) {
			this.low = offsetLow;
			this.high = offsetHigh;
			return;
		}
		const segment = ((kind & AccessKind.segmentMask) >> AccessKind.segmentShift) as SegmentIndex;
		this.checkSegment(segment, offsetLow, offsetHigh, kind & AccessKind.sizeMask, write);
	}

	/** Segment checks of SDM Vol. 3A §5.3, §5.4 and the canonical check of Vol. 1 §3.3.7.1; leaves the linear address in low and high. */
	private checkSegment(
		segment: SegmentIndex,
		offsetLow: number,
		offsetHigh: number,
		size: number,
		write: boolean,
	): void {
		const { i32 } = this;
		const at = segmentSlot(segment) >> 2;
		if (i32[State.codeSize >> 2] === 3) {
			const sum = (i32[at]! >>> 0) + (offsetLow >>> 0);
			this.low = sum | 0;
			this.high = (i32[at + 1]! + offsetHigh + (sum > 0xffffffff ? 1 : 0)) | 0;
			const lastHigh = ((this.low >>> 0) + size - 1 > 0xffffffff ? this.high + 1 : this.high) | 0;
			if (!isCanonical(this.high) || !isCanonical(lastHigh))
				throw new Fault(segment === Segment.ss ? Vector.stackFault : Vector.generalProtection, 0);
			return;
		}
		if (!this.insideSegment(at, offsetLow >>> 0, size, write))
			throw new Fault(segment === Segment.ss ? Vector.stackFault : Vector.generalProtection, 0);
		this.low = (i32[at]! + offsetLow) | 0;
		this.high = 0;
	}

	private insideSegment(at: number, offset: number, size: number, write: boolean): boolean {
		const { i32 } = this;
		const access = i32[at + (SegmentSlot.access >> 2)]!;
		const limit = i32[at + (SegmentSlot.limit >> 2)]! >>> 0;
		if (access & Access.unusable) return false;
		if (access & Access.code) {
			if (write || (access & Access.readable) === 0) return false;
		} else if (write && (access & Access.writable) === 0) return false;
		const last = offset + size - 1;
		if ((access & (Access.code | Access.expandDown)) === Access.expandDown)
			return offset > limit && last <= (access & Access.DB ? 0xffffffff : 0xffff);
		// Beyond 4 GiB the SDM leaves open whether a limit of FFFFFFFFH faults (Vol. 3A §5.3); here the address wraps, as in flat segments of Intel's processors.
		return last <= limit || limit === 0xffffffff;
	}

	/** The access itself, between linear memory and State.exchange. */
	private transfer(size: number, rights: number, write: boolean, forWrite: boolean): void {
		const { low, high, paging } = this;
		if (rights & PageAccess.user && size > 1) this.checkAlignment(low, size);
		const access = write || forWrite ? rights | PageAccess.write : rights;
		const room = PAGE - (low & 0xfff);
		if (size <= room) {
			const frame = paging.translateFrame(low, high, access);
			if (frame === this.apicFrame) {
				this.apicAccess!.access(low & 0xfff, size, write, EXCHANGE);
				return;
			}
			const implicit = (rights & PageAccess.implicit) !== 0;
			const watched = this.watches.length === 0 ? 0 : this.watchedFor(low, high, frame, implicit);
			const mayWrite = paging.writable && (watched & WatchedFor.writes) === 0;
			const { global } = paging;
			const mayEnter = this.mayEnter(rights) && (watched & WatchedFor.reads) === 0;
			this.transferPart(low, high, frame, EXCHANGE, size, write, watched, implicit);
			if (mayEnter) this.tlb.fill(low, high, frame, mayWrite, global);
			return;
		}
		// Both pages are translated before a byte moves, so that a fault changes nothing.
		const nextLow = (low + room) | 0;
		let nextHigh = nextLow === 0 ? (high + 1) | 0 : high;
		if (this.i32[State.codeSize >> 2] !== 3) nextHigh = 0;
		const first = paging.translateFrame(low, high, access);
		const second = paging.translateFrame(nextLow, nextHigh, access);
		// No register lies across two pages.
		if (first === this.apicFrame || second === this.apicFrame)
			this.apicAccess!.access(first === this.apicFrame ? low & 0xfff : 0, size, write, EXCHANGE);
		const watching = this.watches.length !== 0;
		const implicit = (rights & PageAccess.implicit) !== 0;
		const firstWatched = watching ? this.watchedFor(low, high, first, implicit) : 0;
		const secondWatched = watching ? this.watchedFor(nextLow, nextHigh, second, implicit) : 0;
		this.transferPart(low, high, first, EXCHANGE, room, write, firstWatched, implicit);
		this.transferPart(nextLow, nextHigh, second, EXCHANGE + room, size - room, write, secondWatched, implicit);
	}

	/** #AC for an unaligned access at CPL 3 (SDM Vol. 3A §6.15, Interrupt 17). */
	private checkAlignment(low: number, size: number): void {
		if (!this.state.alignmentChecked) return;
		// An 80-bit real is aligned to 8 bytes, a 16-bit x87 environment to 2 (Table 6-7).
		const mask = size === 10 ? 7 : size === 14 ? 1 : size > 16 || (size & (size - 1)) !== 0 ? 3 : size - 1;
		if (low & mask) throw new Fault(Vector.alignmentCheck, 0);
	}

	/** False when the current context must not use this translation again without asking. */
	private mayEnter(rights: number): boolean {
		const { i32 } = this;
		const user = i32[State.cpl >> 2] === 3;
		if (((rights & PageAccess.user) !== 0) !== user) return false;
		// The processor's own accesses are not seen by every watch, and their rights to user pages are others (SDM Vol. 3A §4.6.1).
		if (rights & PageAccess.implicit && (this.watches.length > 0 || this.paging.userPage)) return false;
		if (user) return (i32[State.flagsRest >> 2]! & Eflags.AC) === 0 || (i32[State.cr0 >> 2]! & Cr0.AM) === 0;
		// With EFLAGS.AC the context is another.
		return !(this.paging.userPage && i32[State.cr4 >> 2]! & Cr4.SMAP && (i32[State.flagsRest >> 2]! & Eflags.AC) === 0);
	}

	private watchedFor(low: number, high: number, frame: number, implicit: boolean): number {
		let bits = 0;
		for (const watch of this.watches) if (!implicit || !watch.explicitOnly) bits |= watch.watches(low, high, frame);
		return bits;
	}

	private transferPart(
		low: number,
		high: number,
		frame: number,
		at: number,
		size: number,
		write: boolean,
		watched: number,
		implicit: boolean,
	): void {
		const wanted = write ? WatchedFor.writes : WatchedFor.reads;
		if ((watched & wanted) === 0) {
			this.move(frame, low & 0xfff, at, size, write);
			return;
		}
		const physical = frame * PAGE + (low & 0xfff);
		const before = this.physical.peek(physical, size);
		this.move(frame, low & 0xfff, at, size, write);
		const oldValue = before && littleEndian(before);
		const newValue = before && littleEndian(this.physical.peek(physical, size)!);
		const linear = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
		for (const watch of this.watches)
			if ((!implicit || !watch.explicitOnly) && watch.watches(low, high, frame) & wanted)
				watch.accessed({ linear, physical, size, write, implicit, oldValue, newValue });
	}

	/** Moves bytes between State bytes at `at` and offset `offset` of a frame of host-physical memory, within the frame. */
	private move(frame: number, offset: number, at: number, size: number, write: boolean): void {
		const { physical } = this;
		const kind = physical.kindOf(frame);
		if (kind === PageKind.ram) {
			const place = RAM_BASE + frame * PAGE + offset;
			if (!write) this.copy(place, at, size);
			else {
				if (physical.hasCode[frame]) physical.onCodeWrite(frame * PAGE + offset, size);
				this.copy(at, place, size);
			}
			return;
		}
		if (kind === PageKind.rom) {
			if (!write) {
				this.copy(physical.placeOfPage(frame) + offset, at, size);
				return;
			}
		}
		const address = frame * PAGE + offset;
		for (let done = 0; done < size; ) {
			const left = size - done;
			const unit = left >= 4 && (offset + done) % 4 === 0 ? 4 : left >= 2 && (offset + done) % 2 === 0 ? 2 : 1;
			if (write) physical.write(address + done, unit, this.exchanged(at + done, unit));
			else {
				const value = physical.read(address + done, unit);
				if (unit === 4) this.view.setUint32(at + done, value, true);
				else if (unit === 2) this.view.setUint16(at + done, value, true);
				else this.u8[at + done] = value;
			}
			done += unit;
		}
	}

	/** Copies within WebAssembly memory, of which the state and RAM are both parts. */
	private copy(from: number, to: number, size: number): void {
		const { view, u8 } = this;
		if (size === 4) view.setInt32(to, view.getInt32(from, true), true);
		else if (size === 1) u8[to] = u8[from]!;
		else if (size === 2) view.setUint16(to, view.getUint16(from, true), true);
		else if (size === 8) {
			view.setInt32(to, view.getInt32(from, true), true);
			view.setInt32(to + 4, view.getInt32(from + 4, true), true);
		} else u8.copyWithin(to, from, from + size);
	}

	private exchanged(at: number, size: number): number {
		return size === 1 ? this.u8[at]! : size === 2 ? this.view.getUint16(at, true) : this.view.getUint32(at, true);
	}

	// For helpers. Sizes of 1, 2 and 4 bytes return an unsigned number; of an 8-byte value it is the low half, and
	// `valueHigh` has the high half as i32.

	/** High half of the last 8-byte value that was read. */
	get valueHigh(): number {
		return this.i32[(EXCHANGE >> 2) + 1]!;
	}

	/** Reads at an offset in a segment with the rights of CPL. @throws {Fault} */
	read(segment: SegmentIndex, offsetLow: number, offsetHigh: number, size: number): number {
		this.checkSegment(segment, offsetLow, offsetHigh, size, false);
		this.readHere(size, this.rights(0));
		return this.exchanged(EXCHANGE, size);
	}

	/** Writes at an offset in a segment with the rights of CPL. @throws {Fault} */
	write(
		segment: SegmentIndex,
		offsetLow: number,
		offsetHigh: number,
		size: number,
		value: number,
		valueHigh = 0,
	): void {
		this.checkSegment(segment, offsetLow, offsetHigh, size, true);
		this.writeHere(size, value, valueHigh, this.rights(0));
	}

	private readHere(size: number, rights: number): void {
		const place = this.lookUp(size, rights, Tlb.readTag);
		if (place >= 0) this.copy(place, EXCHANGE, size);
		else this.transfer(size, rights, false, false);
	}

	private writeHere(size: number, value: number, valueHigh: number, rights: number): void {
		this.i32[EXCHANGE >> 2] = value;
		this.i32[(EXCHANGE >> 2) + 1] = valueHigh;
		const place = this.lookUp(size, rights, Tlb.writeTag);
		if (place >= 0) this.copy(EXCHANGE, place, size);
		else this.transfer(size, rights, true, false);
	}

	/** Place in WebAssembly memory of the bytes at low and high, when the TLB of the current context has them; else -1. */
	private lookUp(size: number, rights: number, tag: number): number {
		const { i32, low } = this;
		if ((low & 0xfff) + size > PAGE || ((rights & PageAccess.user) !== 0) !== (i32[State.cpl >> 2] === 3)) return -1;
		// What the supervisor may read of user pages without SMAP, an implicit access may too; with it they are in the TLB only under EFLAGS.AC.
		if (rights & PageAccess.implicit && i32[State.flagsRest >> 2]! & Eflags.AC) return -1;
		const entry = (Tlb.base + ((low >>> 12) & (Tlb.entries - 1)) * Tlb.entrySize) >> 2;
		const at = entry + (tag >> 2);
		if (i32[at] !== ((low & ~0xfff) | i32[State.tlbContext >> 2]!) || i32[at + 1] !== this.high) return -1;
		return (low + i32[entry + (Tlb.addend >> 2)]!) >>> 0;
	}

	/** Raises what a write of this size there would raise, without writing. @throws {Fault} */
	probeWrite(segment: SegmentIndex, offsetLow: number, offsetHigh: number, size: number): void {
		this.checkSegment(segment, offsetLow, offsetHigh, size, true);
		const rights = this.rights(0);
		if (rights & PageAccess.user && size > 1) this.checkAlignment(this.low, size);
		const { low, high } = this;
		this.paging.translate(low, high, rights | PageAccess.write);
		if ((low & 0xfff) + size > PAGE) {
			const nextLow = (low + PAGE) & ~0xfff;
			this.paging.translate(
				nextLow,
				nextLow === 0 && this.i32[State.codeSize >> 2] === 3 ? high + 1 : high,
				rights | PageAccess.write,
			);
		}
	}

	/** Raises what a read of one byte there would raise (CLFLUSH). @throws {Fault} */
	probeRead(segment: SegmentIndex, offsetLow: number, offsetHigh: number): void {
		this.checkSegment(segment, offsetLow, offsetHigh, 1, false);
		this.paging.translate(this.low, this.high, this.rights(0));
	}

	/** Reads at a linear address; `rights` are PageAccess flags (implicit for a table of the system, user or 0). @throws {Fault} */
	readLinear(low: number, high: number, size: number, rights: number = PageAccess.implicit): number {
		this.low = low;
		this.high = high;
		this.readHere(size, rights);
		return this.exchanged(EXCHANGE, size);
	}

	/** Writes at a linear address. @throws {Fault} */
	writeLinear(
		low: number,
		high: number,
		size: number,
		value: number,
		valueHigh = 0,
		rights: number = PageAccess.implicit,
	): void {
		this.low = low;
		this.high = high;
		this.writeHere(size, value, valueHigh, rights);
	}

	/**
	 * ProcessorHooks.fetchAddress: host-physical address of the code byte at `rip` (SDM Vol. 3A §5.3, §4.6).
	 * @throws {Fault} #GP(0) beyond the limit or not canonical, #PF.
	 */
	fetchAddress(rip: bigint): number {
		const low = Number(BigInt.asIntN(32, rip));
		const high = Number(BigInt.asIntN(32, rip >> 32n));
		const access = PageAccess.fetch | this.rights(0);
		if (this.i32[State.codeSize >> 2] === 3) {
			if (!isCanonical(high)) throw new Fault(Vector.generalProtection, 0);
			return this.fetchFrom(low, high, access);
		}
		if (low >>> 0 > this.state.limit(Segment.cs) || high !== 0) throw new Fault(Vector.generalProtection, 0);
		return this.fetchFrom((this.state.baseLow(Segment.cs) + low) | 0, 0, access);
	}

	private fetchFrom(low: number, high: number, access: number): number {
		const frame = this.paging.translateFrame(low, high, access);
		const offset = low & 0xfff;
		if (frame === this.apicFrame) this.apicAccess!.fetch(offset);
		this.tlb.fillFetch(low, high, frame, this.paging.global);
		return frame * PAGE + offset;
	}

	/**
	 * Bytes at a linear address as the tables map them, whatever the rights; no side effects, no device is touched. Shorter
	 * than asked when only a part can be read; undefined when not even the first byte can.
	 */
	peekLinear(linear: bigint, length: number): Uint8Array | undefined {
		const bytes = new Uint8Array(length);
		let done = 0;
		this.eachPage(linear, length, (address, size) => {
			const part = this.physical.peek(address, size);
			if (!part) return false;
			bytes.set(part, done);
			done += size;
			return true;
		});
		if (done === 0 && length > 0) return undefined;
		return bytes.subarray(0, done);
	}

	/** Writes as a debugger does: through read-only mappings, with no accessed or dirty flag. @returns the bytes written. */
	pokeLinear(linear: bigint, bytes: Uint8Array): number {
		let done = 0;
		this.eachPage(linear, bytes.length, (address, size) => {
			if (!this.physical.poke(address, bytes.subarray(done, done + size))) return false;
			done += size;
			return true;
		});
		return done;
	}

	private eachPage(linear: bigint, length: number, action: (address: number, size: number) => boolean): void {
		const tables = inspectedTables(this.state);
		const mask = this.state.longMode ? 64 : 32;
		for (let done = 0; done < length; ) {
			const at = BigInt.asUintN(mask, linear + BigInt(done));
			const size = Math.min(length - done, PAGE - Number(at & 0xfffn));
			const address = translateInspected(this.physical, tables, at, this.paging.ept);
			if (address === undefined || !action(address, size)) return;
			done += size;
		}
	}
}

/** True when bits 63:47 of a linear address are all equal, given its high half. */
export function isCanonical(high: number): boolean {
	const sign = high >> 15;
	return sign === 0 || sign === -1;
}

function littleEndian(bytes: Uint8Array): bigint {
	let value = 0n;
	for (let index = bytes.length - 1; index >= 0; index--) value = (value << 8n) | BigInt(bytes[index]!);
	return value;
}
