// Blocks of decoded records by physical page, and what happens to them when their bytes change.

import { BlockHeader, Record, RecordArena } from "../isa/state.ts";
import type { RecordDecoder } from "./decoder.ts";
import { MAX_BLOCK, PseudoHandler } from "./interpreter.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import type { TranslationLookasideBuffer } from "./translation-lookaside-buffer.ts";

/** Most bytes of a block with its header. */
const MAX_BLOCK_BYTES = BlockHeader.size + (MAX_BLOCK + 2) * Record.size;
/** The end of the arena holds the one block that is not kept: an exact number of instructions. Its header stays empty. */
const SCRATCH = RecordArena.end - (MAX_BLOCK + 2) * Record.size;

export interface Block {
	/** First record; the header lies in front of it. */
	readonly record: number;
	readonly start: number;
	/** Offset behind the last byte; can lie beyond the page's end. */
	readonly end: number;
	readonly instructions: number;
	readonly mode: number;
	/** Found only by lookups that pass over a breakpoint at its start. */
	readonly passing: boolean;
	/** Its instruction lies in two pages: the second one's number. */
	readonly following?: number;
	/** What this is the part of that lies in the second page. */
	readonly first?: Block;
	/** Its bytes have changed. */
	dead: boolean;
}

interface Page {
	/** By offset | mode << 13. */
	readonly blocks: Map<number, Block>;
}

export class CodeCache {
	private readonly pages = new Map<number, Page>();
	private free: number = RecordArena.base;
	private scratchPage = -1;
	private scratchStart = 0;
	private scratchEnd = 0;
	/** Page offsets of breakpoints: a block does not run over one. */
	private breakpointOffsets = new Set<number>();
	/** By Code: 1 for instructions that are stopped at as at a breakpoint, wherever they lie. */
	private stops: Uint8Array | undefined;
	/** Called when blocks of the physical page have changed: what was compiled from them is not good any more. */
	onPageChanged: (page: number) => void = () => {};
	/** Called when all blocks have been forgotten. */
	onFlush: () => void = () => {};
	blocksDecoded = 0;
	blocksInvalidated = 0;
	flushes = 0;

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly tlb: TranslationLookasideBuffer,
		private readonly decoder: RecordDecoder,
	) {
		physical.onCodeWrite = (address, length) => this.invalidate(address, length);
	}

	/** Forgets every block. Only between blocks. */
	flush(): void {
		this.flushes++;
		for (const number of this.pages.keys()) this.physical.hasCode[number] = 0;
		this.pages.clear();
		this.free = RecordArena.base;
		this.tlb.forgetJumps();
		this.scratchPage = -1;
		this.onFlush();
	}

	/** The blocks of a physical page that were decoded for a code size. */
	blocksOf(page: number, mode: number): Block[] {
		const blocks = [...(this.pages.get(page)?.blocks.values() ?? [])];
		return blocks.filter((block) => block.mode === mode && !block.passing && block.following === undefined);
	}

	setBreakpointOffsets(offsets: ReadonlySet<number>): void {
		this.breakpointOffsets = new Set(offsets);
		this.flush();
	}

	/** Makes every instruction of these forms (1 by Code of iced-x86) a breakpoint; blocks end before them. */
	setInstructionStops(stops: Uint8Array | undefined): void {
		this.stops = stops;
		this.flush();
	}

	/**
	 * The first record of the block at a physical address, decoded when it is not known.
	 * @param mode log2 of the code size in bytes (State.codeSize)
	 * @param nextPage gives the physical page that follows linearly, for an instruction that crosses; it throws the fault of that fetch
	 * @param ignoreBreakpoint a breakpoint at this very address is passed over; such a block is found by such lookups only
	 * @param most instructions to decode at most when it is not known
	 */
	block(
		address: number,
		mode: number,
		nextPage: () => number,
		ignoreBreakpoint: boolean,
		most: number = MAX_BLOCK,
	): number {
		const number = Math.floor(address / 4096);
		const offset = address & 0xfff;
		const passing = ignoreBreakpoint && (this.stops !== undefined || this.breakpointOffsets.has(offset));
		if (!passing && this.breakpointOffsets.has(offset)) {
			this.pseudo(SCRATCH, PseudoHandler.breakpoint, offset);
			return SCRATCH;
		}
		const key = offset | (mode << 13) | (passing ? 1 << 16 : 0);
		const found = this.pages.get(number)?.blocks.get(key);
		if (found && !found.dead && (found.following === undefined || found.following === nextPage())) return found.record;
		return this.decode(number, offset, mode, key, nextPage, passing, most);
	}

	/** True when the jump cache may keep the block. */
	isKept(record: number): boolean {
		const { view } = this.physical;
		const handler = view.getUint16(record + Record.handler, true);
		return handler !== PseudoHandler.breakpoint && record < SCRATCH;
	}

	/** True when a branch of the same page may keep the block: it does not depend on the mapping of a second page. */
	isLinkable(record: number): boolean {
		return this.isKept(record) && this.physical.i32[(record - BlockHeader.size + BlockHeader.crosses) >> 2] === 0;
	}

	private decode(
		number: number,
		offset: number,
		mode: number,
		key: number,
		nextPage: () => number,
		passing: boolean,
		most: number,
	): number {
		const { physical } = this;
		if (this.free + MAX_BLOCK_BYTES > SCRATCH - BlockHeader.size) this.flush();
		const header = this.free;
		const record = header + BlockHeader.size;
		const bits = 8 << mode;
		this.decoder.begin(bits, number, offset, undefined);
		let at = record;
		let position = offset;
		let instructions = 0;
		let crosses = false;
		/** Length of the instruction that is stopped at. */
		let stopped = 0;
		while (instructions < most) {
			if (instructions > 0 && this.breakpointOffsets.has(position)) break;
			const decoded = position < 4096 ? this.decoder.next(at, bits, position) : undefined;
			if (!decoded) {
				crosses = instructions === 0;
				break;
			}
			if (this.stops?.[decoded.code] && (instructions > 0 || !passing)) {
				if (instructions === 0) stopped = decoded.length;
				break;
			}
			position += decoded.length;
			at += Record.size;
			instructions++;
			if (decoded.endsBlock) break;
		}
		this.decoder.end();
		if (crosses) return this.decodeCrossing(number, offset, mode, key, nextPage, passing);
		this.pseudo(at, stopped > 0 ? PseudoHandler.breakpoint : PseudoHandler.continue, position);
		for (let n = 0; n < instructions; n++) physical.u8[record + n * Record.size + Record.remaining] = instructions - n;
		this.beginHeader(header, number, mode);
		this.free = at + Record.size;
		this.blocksDecoded++;
		const end = position + stopped;
		this.page(number).blocks.set(key, { record, start: offset, end, instructions, mode, passing, dead: false });
		return record;
	}

	/**
	 * One instruction that lies in two pages, as a block of its own. It holds as long as the same physical page follows, which block() asks
	 * for at each lookup; the jump cache may keep it, since what changes a mapping empties that.
	 */
	private decodeCrossing(
		number: number,
		offset: number,
		mode: number,
		key: number,
		nextPage: () => number,
		passing: boolean,
	): number {
		const { physical } = this;
		const following = nextPage();
		const bits = 8 << mode;
		const header = this.free;
		const record = header + BlockHeader.size;
		this.decoder.begin(bits, number, offset, physical.peek(following * 4096, 15) ?? new Uint8Array(0));
		const decoded = this.decoder.next(record, bits, offset);
		this.decoder.end();
		if (!decoded) {
			this.pseudo(SCRATCH, PseudoHandler.undefined, offset);
			return SCRATCH;
		}
		if (this.stops?.[decoded.code] && !passing) {
			this.pseudo(SCRATCH, PseudoHandler.breakpoint, offset);
			return SCRATCH;
		}
		const end = offset + decoded.length;
		physical.u8[record + Record.remaining] = 1;
		// A branch here is not linked: its target's page has to be looked up.
		physical.i32[(record + Record.link) >> 2] = -1;
		this.pseudo(record + Record.size, PseudoHandler.continue, end);
		this.beginHeader(header, number, mode);
		physical.i32[(header + BlockHeader.crosses) >> 2] = 1;
		this.free = record + 2 * Record.size;
		this.blocksDecoded++;
		const block: Block = { record, start: offset, end: 4096, instructions: 1, mode, passing, following, dead: false };
		this.page(number).blocks.set(key, block);
		// Found there by writes only: no lookup has a negative key.
		this.page(following).blocks.set(-record, { ...block, start: 0, end: end - 4096, first: block });
		return record;
	}

	private beginHeader(header: number, page: number, mode: number): void {
		this.physical.u8.fill(0, header, header + BlockHeader.size);
		this.physical.i32[(header + BlockHeader.page) >> 2] = page;
		this.physical.i32[(header + BlockHeader.mode) >> 2] = mode;
	}

	/** The blocks of a page; its writes are looked at from now on. */
	private page(number: number): Page {
		let page = this.pages.get(number);
		if (!page) {
			page = { blocks: new Map() };
			this.pages.set(number, page);
			this.physical.hasCode[number] = 1;
			this.tlb.withholdWrites(number);
		}
		return page;
	}

	/**
	 * A block of exactly `count` instructions (at least 1, or up to the end of the block) that then returns to the run loop.
	 * `record` is a block's first record, or the record of a crossing instruction.
	 * @param returns also behind the last instruction of the block
	 */
	exactly(record: number, count: number, page: number, returns = false): number {
		const { u8, view } = this.physical;
		const available = u8[record + Record.remaining]!;
		const instructions = Math.min(count, available);
		if (record !== SCRATCH) u8.copyWithin(SCRATCH, record, record + (available + 1) * Record.size);
		if (returns || instructions < available) {
			const end = SCRATCH + instructions * Record.size;
			this.pseudo(end, PseudoHandler.end, view.getUint16(end + Record.offset, true));
		}
		for (let n = 0; n < instructions; n++) {
			u8[SCRATCH + n * Record.size + Record.remaining] = instructions - n;
			const link = (SCRATCH + n * Record.size + Record.link) >> 2;
			if (this.physical.i32[link]! >= 0) this.physical.i32[link] = -1;
		}
		this.scratchPage = page;
		this.scratchStart = view.getUint16(SCRATCH + Record.offset, true);
		this.scratchEnd = view.getUint16(SCRATCH + instructions * Record.size + Record.offset, true);
		return SCRATCH;
	}

	private pseudo(at: number, handler: number, offset: number): void {
		this.physical.u8.fill(0, at, at + Record.size);
		this.physical.view.setUint16(at + Record.handler, handler, true);
		this.physical.view.setUint16(at + Record.offset, offset, true);
	}

	/** The bytes of a physical range are about to change: blocks that hold any of them go to the run loop's lookup from now on. */
	private invalidate(address: number, length: number): void {
		const number = Math.floor(address / 4096);
		const from = address & 0xfff;
		const to = from + length;
		if (number === this.scratchPage && this.scratchStart < to && this.scratchEnd > from) this.stampScratch();
		const page = this.pages.get(number);
		if (!page) {
			this.physical.hasCode[number] = 0;
			return;
		}
		const dead: Block[] = [];
		for (const [key, block] of page.blocks) {
			if (block.start >= to || block.end <= from) continue;
			dead.push(block);
			block.dead = true;
			if (block.first) block.first.dead = true;
			page.blocks.delete(key);
		}
		if (dead.length === 0) return;
		this.blocksInvalidated += dead.length;
		for (const block of dead) this.stamp(block.record, block.instructions);
		for (const block of page.blocks.values()) this.unlink(block, dead);
		this.onPageChanged(number);
		if (page.blocks.size === 0) {
			this.pages.delete(number);
			this.physical.hasCode[number] = 0;
		}
	}

	private stamp(record: number, instructions: number): void {
		for (let n = 0; n < instructions; n++) {
			this.physical.view.setUint16(record + n * Record.size + Record.handler, PseudoHandler.resync, true);
		}
	}

	private stampScratch(): void {
		this.stamp(SCRATCH, this.physical.u8[SCRATCH + Record.remaining]!);
	}

	/** Takes back the links of a block into dead ones. */
	private unlink(block: Block, dead: readonly Block[]): void {
		const { i32 } = this.physical;
		for (let n = 0; n < block.instructions; n++) {
			const link = (block.record + n * Record.size + Record.link) >> 2;
			const target = i32[link]!;
			if (target > 0 && dead.some((gone) => gone.record === target)) i32[link] = 0;
		}
	}
}
