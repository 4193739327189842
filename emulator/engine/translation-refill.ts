// Generated code that puts translations into the TLB and finds blocks behind the jump cache, so that what a change of context has
// emptied fills again without TypeScript.
//
// The refill walks the page tables as cpu/paging.ts does, and gives up, having changed nothing, wherever that would fault, set an accessed
// flag, meet a reserved bit or leave RAM: the slow path then does the whole access. test/fidelity compares the two.

import type { FunctionBuilder, FunctionReference } from "../isa/emit/function-builder.ts";
import type { ModuleBuilder } from "../isa/emit/module-builder.ts";
import { Value, ValueType } from "../isa/emit/value.ts";
import { PageEntry, PageEntryHigh, RESERVED_1G, RESERVED_2M } from "../isa/page-entry.ts";
import { Cr0, Cr4, Efer } from "../isa/register-bits.ts";
import {
	BlockTable,
	EngineWord,
	FetchTlb,
	FillLog,
	JumpCache,
	LargePages,
	PageMarks,
	PagingMode,
	RAM_BASE,
	Record,
	Segment,
	SegmentSlot,
	State,
	segmentSlot,
	TLB_GLOBAL,
	Tlb,
} from "../isa/state.ts";
import { TagBit } from "./translation-lookaside-buffer.ts";

const { i32, i64 } = ValueType;
/** Pages of 0xc0000-0xfffff, whose RAM does not lie at its place. */
const SHADOWED = { first: 0xc0, end: 0x100 } as const;
/** The four PDPTE registers: Internal.pdpte of cpu/processor-state.ts. */
const PDPTES = State.msr + 60 * 8;

const word = (f: FunctionBuilder, offset: number): Value => f.load(i32, 4, Value.i32(0), offset);

/** Place in memory of entry `index` of the table in a frame; returns from the function when the frame is not RAM at its place. */
function emitEntry(f: FunctionBuilder, frame: Value, index: Value, size: 4 | 8): Value {
	const kept = f.let(frame);
	emitRequireRam(f, kept);
	return f.let(kept.shl(12).add(index.shl(size === 4 ? 2 : 3)));
}

function emitRequireRam(f: FunctionBuilder, frame: Value): void {
	f.if(frame.geU(PageMarks.pages), () => f.return());
	const isRam = f.load(i32, 1, frame, PageMarks.kind).eq(PageMarks.ram);
	const isShadowed = frame.sub(SHADOWED.first).ltU(SHADOWED.end - SHADOWED.first);
	f.if(isRam.eqz().or(isShadowed), () => f.return());
}

/** Gives up when one of the bits is not set in an entry. */
function requireBits(f: FunctionBuilder, entry: Value, bits: number): void {
	f.if(entry.and(bits).ne(bits), () => f.return());
}

function emitMarkLarge(f: FunctionBuilder, base: number, index: Value): void {
	f.store(4, index.and(LargePages.entries - 1).shl(2), word(f, EngineWord.largePageStamp), base);
}

/** What a walk is for: enters frame `frame` for `linear`; `rights` are those of all levels together, `leaf` is the last entry. */
type Fill = (
	f: FunctionBuilder,
	linear: Value,
	frame: Value,
	rights: Value,
	leaf: Value,
	/** Emits what is to be done besides when the translation is entered. */
	entered: () => void,
) => void;

const emitReadFill: Fill = (...operands) => emitFill(false, ...operands);
const emitWriteFill: Fill = (...operands) => emitFill(true, ...operands);

/** @param write for a write, which has to be possible */
function emitFill(
	write: boolean,
	f: FunctionBuilder,
	linear: Value,
	frame: Value,
	rights: Value,
	leaf: Value,
	entered: () => void,
): void {
	const low = f.let(linear.wrap());
	const page = f.let(frame);
	emitRequireRam(f, page);
	const context = f.let(word(f, State.tlbContext));
	const cr4 = f.let(word(f, State.cr4));
	const isUser = f.let(context.and(TagBit.user));
	const userPage = f.let(rights.and(PageEntry.user).ne(0));
	const guarded = cr4.and(Cr4.SMAP).ne(0).and(context.and(TagBit.userPagesAllowed).eqz());
	f.if(isUser.select(userPage.eqz(), userPage.and(guarded)), () => f.return());
	// SDM Vol. 3A §4.6.1: the supervisor writes to read-only pages too while CR0.WP is clear.
	const unprotected = isUser.eqz().and(word(f, State.cr0).and(Cr0.WP).eqz());
	const writable = rights.and(PageEntry.writable).ne(0).or(unprotected);
	const isDirty = leaf.and(PageEntry.dirty).ne(0);
	const hasNoCode = f.load(i32, 1, page, PageMarks.hasCode).eqz();
	const mayWrite = f.let(writable.and(isDirty).and(hasNoCode));
	if (write) f.if(mayWrite.eqz(), () => f.return());
	const isGlobal = leaf.and(PageEntry.global).ne(0).and(cr4.and(Cr4.PGE).ne(0));
	const marked = f.let(page.or(isGlobal.select(Value.i32(TLB_GLOBAL), Value.i32(0))));

	entered();
	const number = f.let(low.shrU(12).and(Tlb.entries - 1));
	const entry = f.let(number.shl(5));
	const tag = f.let(linear.and(Value.i64(-4096)).or(f.load(i64, 8, Value.i32(0), State.tlbContext)));
	f.store(8, entry, tag, Tlb.base + Tlb.readTag);
	f.store(8, entry, mayWrite.select(tag, Value.i64(-1)), Tlb.base + Tlb.writeTag);
	f.store(4, entry, page.shl(12).add(RAM_BASE).sub(low.and(~0xfff)), Tlb.base + Tlb.addend);
	f.store(4, entry, marked, Tlb.base + Tlb.physicalPage);
	f.store(4, Value.i32(0), word(f, EngineWord.tlbFills).add(1), EngineWord.tlbFills);
	emitLog(f, EngineWord.fillLogCount, FillLog.base, number);
	f.return();
}

/** The same for a fetch, of a page that no entry forbids to execute. */
function emitFetchFill(
	f: FunctionBuilder,
	linear: Value,
	frame: Value,
	rights: Value,
	leaf: Value,
	entered: () => void,
): void {
	const page = f.let(frame);
	emitRequireRam(f, page);
	const cr4 = f.let(word(f, State.cr4));
	const isUser = word(f, State.tlbContext).and(TagBit.user);
	const userPage = f.let(rights.and(PageEntry.user).ne(0));
	f.if(isUser.select(userPage.eqz(), userPage.and(cr4.and(Cr4.SMEP).ne(0))), () => f.return());
	const isGlobal = leaf.and(PageEntry.global).ne(0).and(cr4.and(Cr4.PGE).ne(0));
	entered();
	const number = f.let(
		linear
			.wrap()
			.shrU(12)
			.and(FetchTlb.entries - 1),
	);
	const entry = f.let(number.shl(4));
	f.store(8, entry, linear.and(Value.i64(-4096)).or(fetchContext(f)), FetchTlb.base + FetchTlb.tag);
	f.store(4, entry, page.or(isGlobal.select(Value.i32(TLB_GLOBAL), Value.i32(0))), FetchTlb.base + FetchTlb.page);
	emitLog(f, EngineWord.fetchLogCount, FillLog.fetchBase, number);
	f.return();
}

/** What the tags of fetches have: what the supervisor may read does not matter to them. */
function fetchContext(f: FunctionBuilder): Value {
	return f.load(i64, 8, Value.i32(0), State.tlbContext).and(Value.i64(~TagBit.userPagesAllowed));
}

function emitLog(f: FunctionBuilder, countAt: number, base: number, number: Value): void {
	const count = f.let(word(f, countAt));
	f.if(count.geS(0), () => {
		f.if(
			count.ltS(FillLog.entries),
			() => {
				f.store(2, count.shl(1), number, base);
				f.store(4, Value.i32(0), count.add(1), countAt);
			},
			() => f.store(4, Value.i32(0), Value.i32(-1), countAt),
		);
	});
}

/** 32-bit paging (SDM Vol. 3A §4.3). */
function emitLegacyWalk(f: FunctionBuilder, linear: Value, fill: Fill): void {
	const low = f.let(linear.wrap());
	const directory = emitEntry(f, word(f, State.cr3).shrU(12), low.shrU(22), 4);
	const pde = f.let(f.load(i32, 4, directory, RAM_BASE));
	requireBits(f, pde, PageEntry.present | PageEntry.accessed);
	f.if(pde.and(PageEntry.pageSize).ne(0).and(word(f, State.cr4).and(Cr4.PSE).ne(0)), () => {
		// Bits 39:32 of the address, and a reserved one, in bits 21:13 (Table 4-4): none of them is below 4 GBytes.
		f.if(pde.and(0x3fe000), () => f.return());
		const mark = () => emitMarkLarge(f, LargePages.base, low.shrU(22));
		const frame = pde.shrU(12).and(0xffc00).or(low.shrU(12).and(0x3ff));
		fill(f, linear, frame, pde, pde, mark);
	});
	const table = emitEntry(f, pde.shrU(12), low.shrU(12).and(0x3ff), 4);
	const pte = f.let(f.load(i32, 4, table, RAM_BASE));
	requireBits(f, pte, PageEntry.present | PageEntry.accessed);
	fill(f, linear, pte.shrU(12), pde.and(pte), pte, () => {});
}

/** 64-bit entries of PAE and 4-level paging from `level` (4 = PML4, ... 1 = page table) down (SDM Vol. 3A §4.4, §4.5). */
function emitWideWalk(
	f: FunctionBuilder,
	linear: Value,
	root: Value,
	level: number,
	reservedHigh: number,
	fill: Fill,
): void {
	const noExecute = word(f, State.efer).and(Efer.NXE);
	const reserved = f.let(
		noExecute.select(Value.i32(reservedHigh), Value.i32(reservedHigh | PageEntryHigh.executeDisable)),
	);
	let frame = root;
	let rights: Value = Value.i32(-1);
	for (let at = level; at >= 1; at--) {
		const shift = 12 + 9 * (at - 1);
		const index = linear.shrU(shift).wrap().and(0x1ff);
		const place = emitEntry(f, frame, index, 8);
		const entry = f.let(f.load(i32, 4, place, RAM_BASE));
		const high = f.let(f.load(i32, 4, place, RAM_BASE + 4));
		requireBits(f, entry, PageEntry.present | PageEntry.accessed);
		// Beyond 4 GBytes nothing is RAM.
		f.if(high.and(reserved.or(PageEntryHigh.address)), () => f.return());
		if (fill === emitFetchFill) f.if(high.ltS(0), () => f.return());
		rights = f.let(rights.and(entry));
		const combined = rights;
		frame = f.let(entry.shrU(12));
		if (at === 1) {
			fill(f, linear, frame, combined, entry, () => {});
			return;
		}
		f.if(entry.and(PageEntry.pageSize), () => {
			if (at === 4) f.return();
			else {
				const offset = at === 2 ? 0x1ff : 0x3ffff;
				f.if(entry.and(at === 2 ? RESERVED_2M : RESERVED_1G), () => f.return());
				const mark = () => {
					if (at === 3) emitMarkLarge(f, LargePages.hugeBase, linear.shrU(30).wrap());
					else {
						const upper = linear
							.shrU(32)
							.wrap()
							.mul(0x9e3779b1 | 0);
						emitMarkLarge(f, LargePages.base, linear.wrap().shrU(22).xor(upper));
					}
				};
				const page = linear.shrU(12).wrap().and(offset);
				fill(f, linear, entry.shrU(12).and(~offset).or(page), combined, entry, mark);
			}
		});
	}
}

/**
 * (linear address i64, wanted tag i64) → i32: puts the translation into the TLB when the current context may use it and nothing has to be
 * marked for it. Nonzero when the tag is not there afterwards.
 */
export function defineRefills(module: ModuleBuilder): { read: FunctionReference; write: FunctionReference } {
	const define = (tag: number, fill: Fill): FunctionReference => {
		const walk = defineWalk(module, fill);
		const refill = module.declare([i64, i64], [i32]);
		module.define(refill, (f) => {
			const linear = f.parameter(0).get;
			f.callStatement(walk, [linear]);
			const entry = linear
				.wrap()
				.shrU(12)
				.and(Tlb.entries - 1)
				.shl(5);
			f.return(f.load(i64, 8, entry, Tlb.base + tag).ne(f.parameter(1).get));
		});
		return refill;
	};
	return { read: define(Tlb.readTag, emitReadFill), write: define(Tlb.writeTag, emitWriteFill) };
}

function defineWalk(module: ModuleBuilder, fill: Fill): FunctionReference {
	const refill = module.declare([i64], []);
	module.define(refill, (f) => {
		const linear = f.parameter(0).get;
		const mode = f.let(word(f, EngineWord.walk));
		f.if(mode.eqz(), () => f.return());
		f.if(mode.eq(PagingMode.legacy32), () => emitLegacyWalk(f, linear, fill));
		f.if(mode.eq(PagingMode.pae), () => {
			const slot = f.let(linear.wrap().shrU(30).shl(3));
			const pdpte = f.let(f.load(i32, 4, slot, PDPTES));
			f.if(
				pdpte
					.and(PageEntry.present)
					.eqz()
					.or(f.load(i32, 4, slot, PDPTES + 4)),
				() => f.return(),
			);
			emitWideWalk(f, linear, f.let(pdpte.shrU(12)), 2, PageEntryHigh.reservedPae, fill);
		});
		// The high half of CR3 has address bits alone; a canonical address is one whose bits 63:47 are equal.
		f.if(f.load(i32, 4, Value.i32(0), State.cr3 + 4), () => f.return());
		f.if(linear.shl(16).shrS(16).ne(linear), () => f.return());
		emitWideWalk(f, linear, f.let(word(f, State.cr3).shrU(12)), 4, PageEntryHigh.reservedFourLevel, fill);
	});
	return refill;
}

/**
 * The first record of the block at State.rip, when the translation of its fetch is known and the block table the block; else 0. It goes
 * into the jump cache, and State.ripBase is set.
 */
export function defineBlockLookup(module: ModuleBuilder): FunctionReference {
	const refill = defineWalk(module, emitFetchFill);
	const lookup = module.declare([], [i32]);
	module.define(lookup, (f) => {
		const none = () => f.return(Value.i32(0));
		const rip = f.let(f.load(i64, 8, Value.i32(0), State.rip));
		const codeSegment = segmentSlot(Segment.cs);
		const linear = f.let(rip.add(f.load(i64, 8, Value.i32(0), codeSegment + SegmentSlot.effectiveBase)));
		const codeSize = f.let(word(f, State.codeSize));
		// The faults of a fetch belong to the next instruction, which is not due when the fuel is used up.
		f.if(word(f, State.fuel).leS(0), none);
		f.if(codeSize.ne(3), () => {
			const limit = f.load(i32, 4, Value.i32(0), codeSegment + SegmentSlot.limit).extendU();
			f.if(rip.gtU(limit).or(linear.shrU(32).ne(0n)), none);
		});
		const inEntry = linear
			.geU(f.load(i64, 8, Value.i32(0), EngineWord.hostEntryStart))
			.and(linear.ltU(f.load(i64, 8, Value.i32(0), EngineWord.hostEntryEnd)));
		f.if(inEntry, none);
		const low = f.let(linear.wrap());
		const translation = f.let(
			low
				.shrU(12)
				.and(FetchTlb.entries - 1)
				.shl(4),
		);
		const tag = f.let(linear.and(Value.i64(-4096)).or(fetchContext(f)));
		const misses = () => f.load(i64, 8, translation, FetchTlb.base + FetchTlb.tag).ne(tag);
		f.if(misses(), () => {
			f.callStatement(refill, [linear]);
			f.if(misses(), none);
		});
		const page = f.let(f.load(i32, 4, translation, FetchTlb.base + FetchTlb.page).and(~TLB_GLOBAL));
		const offset = f.let(low.and(0xfff));
		const block = f.variable(i32);
		f.set(block, blockTablePlace(page, offset));
		const key = f.let(page.shl(2).or(codeSize).extendU().shl(12).or(offset.extendU()));
		const differs = () => f.load(i64, 8, block.get, BlockTable.base + BlockTable.key).ne(key);
		f.if(differs(), () => {
			f.set(block, block.get.add(BlockTable.entrySize));
			f.if(differs(), none);
		});
		const record = f.let(f.load(i32, 4, block.get, BlockTable.base + BlockTable.record));
		f.if(record.eqz(), none);
		f.store(8, Value.i32(0), rip.sub(f.load(i64, 2, record, Record.offset)), State.ripBase);
		const jump = f.let(
			low
				.xor(low.shrU(12))
				.and(JumpCache.entries - 1)
				.shl(4),
		);
		f.store(8, jump, linear, JumpCache.base + JumpCache.linear);
		f.store(4, jump, word(f, State.jumpContext), JumpCache.base + JumpCache.context);
		f.store(4, jump, record, JumpCache.base + JumpCache.record);
		f.return(record);
	});
	return lookup;
}

/** Offset of the first of a block's two entries from the start of the block table. */
function blockTablePlace(page: Value, offset: Value): Value {
	return offset
		.xor(page.mul(BLOCK_HASH))
		.and(BlockTable.pairs - 1)
		.shl(5);
}

const BLOCK_HASH = 0x9e5;

/** Enters a block for defineBlockLookup(). @param mode log2 of the code size in bytes */
export function enterBlock(words: Int32Array, page: number, mode: number, offset: number, record: number): void {
	const pair = (offset ^ Math.imul(page, BLOCK_HASH)) & (BlockTable.pairs - 1);
	const entry = (BlockTable.base + pair * 2 * BlockTable.entrySize) >> 2;
	const key = (BlockTable.key >> 2) + entry;
	const upper = (page << 2) | mode;
	const low = (upper << 12) | offset;
	const size = BlockTable.entrySize >> 2;
	// The one that was entered before becomes the second.
	if (words[key] !== low || words[key + 1] !== upper >>> 20) words.copyWithin(entry + size, entry, entry + size);
	words[key] = low;
	words[key + 1] = upper >>> 20;
	words[entry + (BlockTable.record >> 2)] = record;
}
