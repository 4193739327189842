// The VMM's part of linear space: the top 4 MB, present in every shadow page directory with supervisor rights and cut off
// from the guest by truncated segments. All numbers are linear addresses or byte offsets; host selectors as the host sees them.

/** First linear address of the VMM; guest segments are truncated below it. */
export const VMM_BASE = 0xffc00000;
/** Page-directory index of the VMM. */
export const VMM_DIRECTORY_INDEX = 1023;
export const VMM_BYTES = 0x400000;

/** Offsets from VMM_BASE. The vCPU block comes first, so that %gs:offset reaches it. */
export const Area = {
	vcpuBlock: 0x0000,
	/** 256 dwords each, indexed by bits 15:8 of a flags image; see PopfTable. */
	popfSpecial: 0x1000,
	popfInterruptAdjust: 0x1400,
	globalDescriptorTable: 0x10000,
	localDescriptorTable: 0x20000,
	interruptDescriptorTable: 0x30000,
	taskState: 0x31000,
	/** One page; the stack starts at its end. */
	stack: 0x32000,
	stackEnd: 0x33000,
	/** 65536 dwords: where `ret` and indirect jumps look up their target by its low 16 bits. */
	returnTable: 0x40000,
	/** Buckets of 8 bytes: guest address, address of the fragment (0 = free). */
	hashTable: 0x80000,
	hashTableEnd: 0xc0000,
	/** Compiled code fragments. */
	translationCache: 0x100000,
	/** Slots of LAUNCH_BYTES: checked entries of fragments for indirect transfers; the first slot is the common miss. */
	launches: 0x300000,
	/** Slots of CONTINUATION_BYTES. */
	continuations: 0x380000,
	translationCacheEnd: 0x3fe000,
	/** The page that the host's interrupt gates point into: one entry of 16 bytes a vector. */
	entryPage: 0x3ff000,
} as const;

export const HASH_BUCKETS = (Area.hashTableEnd - Area.hashTable) / 8;
export const ENTRY_BYTES = 16;
export const LAUNCH_BYTES = 32;
export const CONTINUATION_BYTES = 4;

/** Offsets in the vCPU block, reached through %gs in translated code. */
export const VcpuBlock = {
	/** Spilled %ecx and %eax of translated sequences. */
	savedEcx: 0x00,
	savedEax: 0x04,
	/** Target of the indirect transfer under way. */
	target: 0x08,
	/** What PUSHF adds to the real flags image: 0 while the guest's IF is 1, -0x200 while it is 0. */
	interruptAdjust: 0x0c,
	/** Nonzero when a virtual interrupt waits for the guest's IF. */
	pendingInterrupt: 0x10,
	/** Selectors as the guest has them, zero-extended: what MOV and PUSH of them give. */
	guestCs: 0x14,
	guestSs: 0x18,
	guestGs: 0x1c,
	guestLdtr: 0x20,
	guestTr: 0x24,
	/** 512 bytes: memory operand of a simulated instruction. */
	bounce: 0x40,
	bounceBytes: 0x200,
} as const;

/** Value of VcpuBlock.interruptAdjust while the guest's IF is clear. */
export const INTERRUPTS_OFF = -0x200;

/** Host selectors of the VMM's own descriptors, at the end of the host's GDT. */
export const HostSelector = {
	/** Cached descriptor: CS of directly running kernel code whose own descriptor is no longer that which it loaded (RPL 1). */
	cachedCode: 0xffa9,
	/** Cached descriptors: SS of kernel code (RPL 1); SS and GS of user code whose own descriptors are no longer those that it loaded (RPL 3). */
	cachedStack: 0xffb1,
	cachedGs: 0xffbb,
	/** Data, base VMM_BASE: %gs in translated code (RPL 1). */
	vmmData: 0xffc1,
	/** Code of the translation cache, flat (RPL 1). */
	translatedCode: 0xffc9,
	/** Ring 0 code and stack of the VMM. */
	code: 0xffd0,
	stack: 0xffd8,
	taskState: 0xffe0,
	localDescriptorTable: 0xffe8,
} as const;

/** First byte of the host's GDT that guest descriptors are not shadowed into. */
export const FIRST_VMM_DESCRIPTOR = HostSelector.cachedCode & ~7;

/** Vectors of the host: two that translated code raises with INT, and the first of the host's interrupt controllers. */
export const HostVector = { callout: 0xf0, continuation: 0xf1, interrupts: 0xe0 } as const;
/** The host's interrupt line by which the guest's devices call the VMM while guest code runs. */
export const VMM_INTERRUPT_LINE = 5;
