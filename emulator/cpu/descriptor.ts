// Segment and gate descriptors (SDM Vol. 3A §3.4.5, §3.5, §5.8.3, §6.11).

import { Access } from "../isa/register-bits.ts";

/** Types of system descriptors (SDM Vol. 3A Table 3-2). With EFER.LMA only ldt, tss (9), busy TSS (11), call, interrupt and trap gates exist. */
export const SystemType = {
	availableTss16: 1,
	ldt: 2,
	busyTss16: 3,
	callGate16: 4,
	taskGate: 5,
	interruptGate16: 6,
	trapGate16: 7,
	availableTss: 9,
	busyTss: 11,
	callGate: 12,
	interruptGate: 14,
	trapGate: 15,
} as const;

/** An 8-byte descriptor, and the upper half of a 16-byte one. */
export class Descriptor {
	constructor(
		readonly low: number,
		readonly high: number,
		/** Bits 63:32 of the base or offset in a 16-byte descriptor, else 0. */
		readonly upper = 0,
	) {}

	/** Access rights in the format of SegmentSlot.access. */
	get access(): number {
		return (this.high >>> 8) & 0xf0ff;
	}

	/** Type of a system descriptor, or of code and data without the S bit. */
	get type(): number {
		return (this.high >>> 8) & 0xf;
	}

	get isSystem(): boolean {
		return (this.high & (Access.S << 8)) === 0;
	}

	get dpl(): number {
		return (this.high >>> 13) & 3;
	}

	get present(): boolean {
		return (this.high & (Access.P << 8)) !== 0;
	}

	get isCode(): boolean {
		return (this.high & ((Access.S | Access.code) << 8)) === (Access.S | Access.code) << 8;
	}

	get isConforming(): boolean {
		return (this.high & (Access.conforming << 8)) !== 0;
	}

	/** A data segment that may be written. */
	get isWritableData(): boolean {
		const mask = (Access.S | Access.code | Access.writable) << 8;
		return (this.high & mask) === (Access.S | Access.writable) << 8;
	}

	/** Data, or code that may be read. */
	get isReadable(): boolean {
		return !this.isSystem && (!this.isCode || (this.high & (Access.readable << 8)) !== 0);
	}

	get isLong(): boolean {
		return (this.high & (Access.L << 8)) !== 0;
	}

	/** The D/B flag. */
	get isBig(): boolean {
		return (this.high & (Access.DB << 8)) !== 0;
	}

	get baseLow(): number {
		return (this.low >>> 16) | ((this.high & 0xff) << 16) | (this.high & 0xff000000);
	}

	/** The limit in bytes, scaled by G, unsigned. */
	get limit(): number {
		const raw = (this.low & 0xffff) | (this.high & 0xf0000);
		return this.high & (Access.G << 8) ? ((raw << 12) | 0xfff) >>> 0 : raw;
	}

	// Of gates:

	get gateSelector(): number {
		return this.low >>> 16;
	}

	get gateOffset(): number {
		return ((this.low & 0xffff) | (this.high & 0xffff0000)) >>> 0;
	}

	/** Parameters that a call gate copies. */
	get gateParameters(): number {
		return this.high & 0x1f;
	}

	/** Index in the interrupt stack table, of 64-bit gates; 0 for none. */
	get gateStackIndex(): number {
		return this.high & 7;
	}
}
