// What the VMM knows of each machine frame: its owner, how often it is referred to, and what it may be used as (Xen's page_info).
//
// A frame has one type at a time, kept while its type count is above 0. Each use as that type holds a type reference; each use at
// all holds a general reference. A frame of a domain holds one general reference by belonging to it, and is freed when the last goes.

/** Types of a frame. `none` is that of frames that were never used as anything. */
export const PageType = {
	none: 0,
	l1: 1,
	l2: 2,
	l3: 3,
	l4: 4,
	descriptors: 5,
	writable: 6,
	shared: 7,
	l2Top: 8,
} as const;
export type PageType = (typeof PageType)[keyof typeof PageType];

export const pageTypeNames: readonly string[] = [
	"none",
	"L1 page table",
	"L2 page table",
	"L3 page table",
	"L4 page table",
	"LDT/GDT",
	"writable",
	"shared",
	"L2 page table",
];

/** Owners that are no domain. */
export const NO_OWNER = -1;
export const XEN_OWNER = 0x7ff2;

export const FrameFlag = {
	/** It belongs to its owner: one general reference stands for that. */
	allocated: 1,
	/** Its content was checked to be what the type says. */
	validated: 2,
	/** A type reference is held by MMUEXT_PIN_*. */
	pinned: 4,
	/** The VMM uses it too (shared info, grant table): the domain cannot give it away. */
	shared: 8,
} as const;

export class FrameTable {
	readonly owner: Int32Array;
	readonly type: Uint8Array;
	readonly typeCount: Uint32Array;
	readonly referenceCount: Uint32Array;
	readonly flags: Uint8Array;
	/** TLB flushes of the host when the frame last stopped being writable or mapped: translations made before may still be cached. */
	readonly released: Uint32Array;

	constructor(readonly frames: number) {
		this.owner = new Int32Array(frames).fill(NO_OWNER);
		this.type = new Uint8Array(frames);
		this.typeCount = new Uint32Array(frames);
		this.referenceCount = new Uint32Array(frames);
		this.flags = new Uint8Array(frames);
		this.released = new Uint32Array(frames);
	}

	has(frame: number, flag: number): boolean {
		return (this.flags[frame]! & flag) !== 0;
	}

	setFlag(frame: number, flag: number): void {
		this.flags[frame]! |= flag;
	}

	clearFlag(frame: number, flag: number): void {
		this.flags[frame]! &= ~flag;
	}
}

/** Free machine frames, lowest first: the same input gives the same frames. */
export class FrameAllocator {
	private readonly free: number[] = [];

	/** @param available frames to hand out, any order */
	constructor(available: Iterable<number>) {
		this.free = [...available].sort((a, b) => b - a);
	}

	get count(): number {
		return this.free.length;
	}

	/** A frame, or -1 when none is left. */
	take(): number {
		return this.free.pop() ?? -1;
	}

	give(frame: number): void {
		this.free.push(frame);
	}
}
