// The architectural state of one processor, as it lies in WebAssembly memory. The generated code and the TypeScript
// helpers read and write the same bytes; there is no second copy. All offsets are bytes from the start of the memory.

/** A segment register's slot: selector, hidden part, and what the fast path derives from the hidden part. */
export const SegmentSlot = {
	/** i64: the base that addresses use: 0 for CS, DS, ES and SS in 64-bit mode (SDM Vol. 1 §3.4.4), else `base`. */
	effectiveBase: 0,
	/**
	 * i64, unsigned: an access of n bytes at offset o is inside the segment and readable when o + n <= readBound.
	 * 0 sends every access to the exact check (null, unreadable and expand-down segments); all-ones in 64-bit mode.
	 */
	readBound: 8,
	/** i64, unsigned: the same for writes. */
	writeBound: 16,
	/** i32 */
	selector: 24,
	/** i32: access rights in VMX format (SDM Vol. 3C §25.4.1, Table 25-2): type 3:0, S 4, DPL 6:5, P 7, AVL 12, L 13, D/B 14, G 15, unusable 16. */
	access: 28,
	/** i64: the base as loaded. */
	base: 32,
	/** i32, unsigned: the limit in bytes, scaled by G. */
	limit: 40,
	size: 48,
} as const;

/** Indices of the segment slots: the order of the instruction encoding (SDM Vol. 2A §2.1.1), then the system segments. */
export const Segment = { es: 0, cs: 1, ss: 2, ds: 3, fs: 4, gs: 5, ldtr: 6, tr: 7 } as const;
export type SegmentIndex = (typeof Segment)[keyof typeof Segment];

/** Byte offsets of the state's fields. Fields are i64 unless the comment says otherwise. */
export const State = {
	/** 16 × i64, in encoding order (RAX RCX RDX RBX RSP RBP RSI RDI R8..R15). AH, CH, DH, BH are the second bytes of the first four. */
	gpr: 0x000,
	/** Always zero: stands for an absent base or index register. */
	zero: 0x080,
	/** RIP of the start of the page that the current block lies in (linear page start minus CS base). Valid while generated code runs. */
	ripBase: 0x088,
	/** RIP of the next instruction; valid whenever generated code does not run, and in a helper: RIP of the current instruction. */
	rip: 0x090,
	/** The arithmetic flags in lazy form, see flags.ts: the last result, sign-extended to 64 bits. */
	flagsResult: 0x098,
	/** i32: carry, overflow, adjust and corrections to parity and sign, see flags.ts. */
	flagsAux: 0x0a0,
	/** i32: the other bits of EFLAGS at their places: TF IF DF IOPL NT RF VM AC VIF VIP ID (bit 1 and the arithmetic flags are 0 here). */
	flagsRest: 0x0a4,
	/** i32: instructions that may still retire before generated code has to return. */
	fuel: 0x0a8,
	/** i32: why generated code returned, see ExitReason in engine/. */
	exitReason: 0x0ac,
	/** i64: what TLB tags are combined with in their low 12 bits: generation and user/supervisor. */
	tlbContext: 0x0b0,
	/** i32: the same for the jump cache: code size, privilege, generation. */
	jumpContext: 0x0b8,
	/** i32: nonzero when an x87 or MMX instruction has to trap first (CR0.EM, CR0.TS). */
	x87Trap: 0x0bc,
	/** 8 segment slots of 48 bytes. */
	segments: 0x0c0,
	/** i32: nonzero when an SSE instruction has to trap first (CR0.EM, CR0.TS, CR4.OSFXSR clear). */
	sseTrap: 0x240,
	/** i32: current privilege level. */
	cpl: 0x244,
	/** i32: log2 of the code size in bytes: 1 = 16-bit, 2 = 32-bit, 3 = 64-bit. */
	codeSize: 0x248,
	/** i32: shift that makes the mask of stack addresses: 48 = 16-bit SP, 32 = ESP, 0 = RSP. */
	stackMaskShift: 0x24c,
	/** i32: 1 while an external interrupt could be taken as far as EFLAGS.IF says (IF copied), else 0. */
	interruptsEnabled: 0x250,
	/** i32: nonzero when an interrupt controller asserts INTR (or NMI is pending). */
	interruptRequest: 0x254,
	/**
	 * i32: of the segments ES to GS outside 64-bit mode, bit n is set when segment n has base 0 and reads and writes reach all 4 GiB, bit
	 * n + 8 when it has base 0.
	 */
	flatSegments: 0x258,
	/** i32: nonzero when PAUSE may cause a VM exit, or (bit 0, see PAUSE_YIELDS) ends the processor's turn. */
	pauseTrap: 0x25c,
	/** 16 × 16 bytes. */
	xmm: 0x280,
	/** 8 × 16 bytes: the x87 data registers by physical number R0..R7, 80-bit in the low 10 bytes; MMn is the low 8 bytes of Rn. */
	x87: 0x380,
	/** i32 each: control word; status word with TOP in bits 13:11; tag word in FXSAVE's abridged form (bit n set = Rn not empty); last opcode. */
	x87Control: 0x400,
	x87Status: 0x404,
	x87Tag: 0x408,
	x87Opcode: 0x40c,
	x87InstructionPointer: 0x410,
	x87DataPointer: 0x418,
	/** i32 each: selectors of the two pointers. */
	x87InstructionSelector: 0x420,
	x87DataSelector: 0x424,
	/** i32 */
	mxcsr: 0x428,
	/** Extended control register 0: the state that XSAVE manages (SDM Vol. 3A §2.6). */
	xcr0: 0x430,
	cr0: 0x440,
	cr2: 0x448,
	cr3: 0x450,
	cr4: 0x458,
	cr8: 0x460,
	efer: 0x468,
	/** DR0..DR7, i64 each. */
	dr: 0x470,
	gdtrBase: 0x4b0,
	/** i32 */
	gdtrLimit: 0x4b8,
	idtrBase: 0x4c0,
	/** i32 */
	idtrLimit: 0x4c8,
	/** 64 × i64: model-specific registers by the index that cpu/model-specific-registers.ts gives them; the last are internal words, see cpu/processor-state.ts. */
	msr: 0x500,
	/** 32 bytes: value of a memory access that took the slow path. */
	exchange: 0x700,
	/** i32 and i64 words that helpers use to return more than one result. */
	helperResult: 0x720,
	/** i32: nonzero while external interrupts are taken whatever EFLAGS.IF says: they cause VM exits. */
	interruptsUnmasked: 0x744,
	/** i32: nonzero while the run loop has to be asked whenever interrupts or NMIs may be unblocked: window exiting, a virtual interrupt. */
	windows: 0x768,
	end: 0x800,
} as const;

/** Where the states of those processors of a machine lie that do not run now, by the processor's number: each `size` bytes. */
export const SavedStates = { base: 0x1000, size: State.end, count: 8 } as const;

/** Words beside the state that the engine and generated code use between themselves. */
export const EngineWord = {
	/** i32: first record of the block that did not fit into the rest of the fuel. */
	lastBlock: 0x808,
	/** i64: instructions that compiled regions have retired. */
	compiledInstructions: 0x810,
	/** i32: translations that went into the TLB. */
	tlbFills: 0x81c,
	/** i32: entries of the fill log; -1 when more entries of the TLB than it has may be in use. */
	fillLogCount: 0x820,
	/** i32: what marks of large pages have that were set since the last flush. */
	largePageStamp: 0x824,
	// What follows is no part of a snapshot: it belongs to the machine as its user has set it up.
	/** i32: the paging mode whose tables generated code may walk (PagingMode); 0 while it must not. */
	walk: 0xb8000,
	/** i64 × 2: linear addresses whose code is not x86, exclusive end; see ExecutionEngine.setHostEntry(). */
	hostEntryStart: 0xb8008,
	hostEntryEnd: 0xb8010,
	/** i32: as fillLogCount, of the translations of fetches. */
	fetchLogCount: 0xb8018,
} as const;

/** Bit 0 of State.pauseTrap: another processor waits for its turn. */
export const PAUSE_YIELDS = 1;
/** Values of EngineWord.walk: 32-bit, PAE and 4-level paging (SDM Vol. 3A §4.1.1). */
export const PagingMode = { none: 0, legacy32: 1, pae: 2, fourLevel: 3 } as const;

/** Why every translation has to come to the processor itself. */
export const WalkBlock = { secondTranslation: 1, watches: 2, apicAccessPage: 4 } as const;

/** Bytes from the start of the memory to the slot of a segment register. */
export function segmentSlot(segment: SegmentIndex): number {
	return State.segments + segment * SegmentSlot.size;
}

/** The translation lookaside buffer: direct-mapped, 4096 entries. */
export const Tlb = {
	base: 0x10000,
	entries: 4096,
	entrySize: 32,
	/** i64 tags: linear page | tlbContext. A tag that can match nothing is -1. */
	readTag: 0,
	writeTag: 8,
	/** i32: add to the low 32 bits of the linear address to get the place in WebAssembly memory. */
	addend: 24,
	/** i32: host-physical page number of the entry, for the invalidation by physical page, and TLB_GLOBAL. */
	physicalPage: 28,
} as const;
/** In Tlb.physicalPage: the translation is global, and stays when CR3 is loaded (SDM Vol. 3A §4.10.2.4). */
export const TLB_GLOBAL = 0x80000000 | 0;

/**
 * Translations of instruction fetches, apart from the others: how often a fetch asks depends on what is compiled, and which translations of
 * data are known must not. 16 bytes: i64 tag as in the TLB, i32 host-physical page number and TLB_GLOBAL.
 */
export const FetchTlb = { base: 0xc0000, entries: 4096, entrySize: 16, tag: 0, page: 8 } as const;

/** u16 numbers of the entries of both that were filled since the last flush, so that a load of CR3 need not look at all of them. */
export const FillLog = { base: 0x5000, fetchBase: 0xd0000, entries: 4096 } as const;

/** Where pages larger than 4 KBytes may be in the TLB: two tables of i32, by 4-MByte and by 1-GByte region; see cpu/paging.ts. */
export const LargePages = { base: 0x8000, hugeBase: 0xc000, entries: 4096 } as const;

/** The jump cache: linear address → first record of the block. 16 bytes: i64 linear address, i32 jumpContext, i32 record. */
export const JumpCache = { base: 0x30000, entries: 16384, entrySize: 16, linear: 0, context: 8, record: 12 } as const;

/**
 * The block table: host-physical address → first record of the block, two entries for each hash. 16 bytes: i64 key (page << 14 | code size
 * << 12 | offset), i32 record. Unlike the jump cache it outlives changes of the mapping.
 */
export const BlockTable = { base: 0x70000, pairs: 8192, entrySize: 16, key: 0, record: 8, end: 0xb0000 } as const;

/** Bytes by host-physical page below 4 GiB: nonzero where a page holds decoded code; what the page is (PageKind of the engine). */
export const PageMarks = { hasCode: 0x100000, kind: 0x200000, pages: 0x100000, ram: 1 } as const;

/** Decoded instructions. */
export const RecordArena = { base: 0x300000, end: 0x4000000 } as const;

/** Where host-physical address 0 lies in WebAssembly memory. */
export const RAM_BASE = 0x4000000;

/**
 * A decoded instruction, 32 bytes. A block is a run of records in memory order; `remaining` of its first record is the
 * number of its instructions.
 */
export const Record = {
	size: 32,
	/** u16: number of the handler. */
	handler: 0,
	/** u8: bytes of the instruction. */
	length: 2,
	/** u8: instructions from this one to the end of the block, inclusive; 0 in the pseudo-record that ends a block. */
	remaining: 3,
	/** u16: offset in the page of the instruction's first byte (of the next instruction, for the pseudo-record). */
	offset: 4,
	/** u8: segment slot of the memory operand, divided by 8. */
	segment: 6,
	/** u8: shift that makes the address-size mask: 48, 32 or 0. */
	addressShift: 7,
	/** u8: base and index register slots divided by 8 (State.zero / 8 when absent; State.ripBase / 8 for RIP-relative). */
	base: 8,
	index: 9,
	/** u8: log2 of the scale. */
	scale: 10,
	/** u8 × 3: operand n, when a register: see operandRegister in decode. GPR: byte offset in the state; XMM, MM, ST, segment, CR, DR: its number. */
	register: 11,
	/** u8: prefix bits, see RecordFlags. */
	flags: 14,
	/** u8: shift that makes the mask of linear addresses: 32 outside 64-bit mode, 0 in it. */
	linearShift: 15,
	/** i32: displacement, sign-extended when used (RIP-relative: from the start of the page). Moffs64 keeps its address in `immediate`. */
	displacement: 16,
	/** i32: cached record of the taken target, 0 = not known. */
	link: 20,
	/** i64: immediate, sign-extended to the operand size as the instruction has it; relative branches: the displacement from the next instruction. */
	immediate: 24,
} as const;

/** What lies in front of a block's first record: `size` bytes; the offsets are from there. */
export const BlockHeader = {
	size: 32,
	/** i32: place in the table of the compiled region that the block belongs to, 0 = none. */
	region: 0,
	/** i32: number of the block among the entries of its region. */
	entry: 4,
	/** i32: number of the physical page. */
	page: 8,
	/** i32: log2 of the code size in bytes (State.codeSize). */
	mode: 12,
	/** i32: 1 when its instruction lies in two pages. */
	crosses: 16,
} as const;

export const RecordFlags = {
	rep: 1,
	repne: 2,
	lock: 4,
	operandSize16: 8,
	addressSizeOverride: 16,
	/** A string instruction with a repeat prefix. */
	repeated: 32,
} as const;
