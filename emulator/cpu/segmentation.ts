// Descriptor tables and the loading of segment registers (SDM Vol. 3A Chapters 3 and 5).

import { Fault, Vector } from "../engine/fault.ts";
import { Access } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import { Descriptor } from "./descriptor.ts";
import { isCanonical, type MemoryAccess } from "./memory-access.ts";
import type { ProcessorState } from "./processor-state.ts";

/** Access rights of every segment in virtual-8086 mode: present, DPL 3, data, writable, accessed (SDM Vol. 3C §26.3.1.2). */
const VIRTUAL_8086_ACCESS = 0xf3;

/** A present data segment whose accessed flag is set. */
const LOADABLE_DATA = Access.P | Access.S | Access.accessed;

export class Segmentation {
	constructor(
		private readonly state: ProcessorState,
		private readonly memory: MemoryAccess,
	) {}

	/** Linear address of the descriptor that place() found last, in halves. */
	private low = 0;
	private high = 0;

	/**
	 * Finds the linear address of a selector's descriptor; false when it lies beyond its table or in an LDT that is not there. `size` is 8,
	 * or 16 for a system descriptor with EFER.LMA.
	 */
	private place(selector: number, size: number): boolean {
		const { state } = this;
		const offset = selector & 0xfff8;
		let low: number;
		let high: number;
		if (selector & 4) {
			if (state.access(Segment.ldtr) & Access.unusable) return false;
			if (offset + size - 1 > state.limit(Segment.ldtr)) return false;
			low = state.baseLow(Segment.ldtr);
			high = state.baseHigh(Segment.ldtr);
		} else {
			if (offset + size - 1 > state.i32[State.gdtrLimit >> 2]! >>> 0) return false;
			low = state.i32[State.gdtrBase >> 2]!;
			high = state.i32[(State.gdtrBase >> 2) + 1]!;
		}
		const sum = (low >>> 0) + offset;
		this.low = sum | 0;
		this.high = state.longMode ? (high + (sum > 0xffffffff ? 1 : 0)) | 0 : 0;
		return true;
	}

	/** The descriptor of a selector; undefined when it is beyond the limit of its table. @throws {Fault} #PF */
	find(selector: number): Descriptor | undefined {
		if (!this.place(selector, 8)) return undefined;
		const low = this.memory.readLinear(this.low, this.high, 8) | 0;
		return new Descriptor(low, this.memory.valueHigh);
	}

	/** The descriptor of a selector. @throws {Fault} `vector` with the selector when it is beyond its table. */
	read(selector: number, vector: number = Vector.generalProtection): Descriptor {
		const descriptor = this.find(selector);
		if (!descriptor) throw selectorFault(vector, selector);
		return descriptor;
	}

	/**
	 * A system descriptor, 16 bytes with EFER.LMA (SDM Vol. 3A §3.5.2): `descriptor` is the lower half as read before.
	 * @throws {Fault} `vector` with the selector when the upper half is beyond the table or its type is not 0.
	 */
	readUpper(selector: number, descriptor: Descriptor, vector: number = Vector.generalProtection): Descriptor {
		if (!this.state.longMode) return descriptor;
		if (!this.place(selector, 16)) throw selectorFault(vector, selector);
		const low = ((this.low >>> 0) + 8) | 0;
		const high = (this.low >>> 0) + 8 > 0xffffffff ? (this.high + 1) | 0 : this.high;
		const upper = this.memory.readLinear(low, high, 8) | 0;
		if (this.memory.valueHigh & 0x1f00) throw selectorFault(vector, selector);
		return new Descriptor(descriptor.low, descriptor.high, upper);
	}

	/** Sets bits in the type field of a descriptor in memory: accessed, or busy of a TSS (SDM Vol. 3A §3.4.5.1, §7.2.2). */
	private changeType(selector: number, set: number, clear: number): void {
		if (!this.place(selector, 8)) return;
		const low = (this.low + 5) | 0;
		const high = (this.low >>> 0) + 5 > 0xffffffff ? (this.high + 1) | 0 : this.high;
		const byte = this.memory.readLinear(low, high, 1);
		const changed = (byte | set) & ~clear;
		if (changed !== byte) this.memory.writeLinear(low, high, 1, changed);
	}

	/** Sets the accessed flag of a code or data descriptor in memory if it is clear. @returns its access rights with the flag set. */
	markAccessed(selector: number, descriptor: Descriptor): number {
		if ((descriptor.access & Access.accessed) === 0) this.changeType(selector, Access.accessed, 0);
		return descriptor.access | Access.accessed;
	}

	setBusy(selector: number, busy: boolean): void {
		this.changeType(selector, busy ? 2 : 0, busy ? 0 : 2);
	}

	/** Loads ES, SS, DS, FS or GS as MOV, POP and LDS do (SDM Vol. 2B, MOV, "Operation"). @throws {Fault} */
	load(segment: SegmentIndex, selector: number): void {
		const { state } = this;
		if (!state.protectedMode || state.virtual8086) {
			this.loadRealMode(segment, selector);
			if (segment === Segment.ss) state.updateMode();
			return;
		}
		if (segment === Segment.ss) {
			this.loadStack(selector);
			return;
		}
		if ((selector & ~3) === 0) {
			state.setNullSegment(segment, selector);
			return;
		}
		const descriptor = this.read(selector);
		if (this.isLoaded(segment, selector, descriptor)) return;
		if (!descriptor.isReadable) throw selectorFault(Vector.generalProtection, selector);
		if (!(descriptor.isCode && descriptor.isConforming)) {
			const rpl = selector & 3;
			if (rpl > descriptor.dpl || state.cpl > descriptor.dpl) throw selectorFault(Vector.generalProtection, selector);
		}
		if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
		this.commit(segment, selector, descriptor);
	}

	/** Whether a load would change nothing: kernels load the same segments over and over. */
	private isLoaded(segment: SegmentIndex, selector: number, descriptor: Descriptor): boolean {
		const { state } = this;
		const { access } = descriptor;
		return (
			state.selector(segment) === selector &&
			state.access(segment) === access &&
			(access & LOADABLE_DATA) === LOADABLE_DATA &&
			(access & Access.code) === 0 &&
			((access >> Access.dplShift) & 3) >= Math.max(selector & 3, state.cpl) &&
			state.baseLow(segment) === descriptor.baseLow &&
			state.baseHigh(segment) === 0 &&
			state.limit(segment) === descriptor.limit >>> 0
		);
	}

	private loadStack(selector: number): void {
		const { state } = this;
		const cpl = state.cpl;
		const rpl = selector & 3;
		if ((selector & ~3) === 0) {
			// 64-bit mode allows a null SS below CPL 3 when RPL = CPL.
			if (!state.mode64 || cpl === 3 || rpl !== cpl) throw new Fault(Vector.generalProtection, 0);
			this.commitNullStack(selector);
			state.updateMode();
			return;
		}
		const descriptor = this.readStack(selector, cpl, Vector.generalProtection);
		this.commit(Segment.ss, selector, descriptor);
		state.updateMode();
	}

	/**
	 * The descriptor of a stack segment for privilege level `cpl`, checked: RPL, writable data, DPL, present.
	 * @throws {Fault} `vector` with the selector; #SS when not present.
	 */
	readStack(selector: number, cpl: number, vector: number): Descriptor {
		const descriptor = this.read(selector, vector);
		if ((selector & 3) !== cpl || !descriptor.isWritableData || descriptor.dpl !== cpl)
			throw selectorFault(vector, selector);
		if (!descriptor.present) throw selectorFault(Vector.stackFault, selector);
		return descriptor;
	}

	/** Sets accessed flags ahead of commit(), so that a page fault in a descriptor table comes before anything has changed. */
	prepare(selector: number, descriptor: Descriptor | undefined): void {
		if (descriptor) this.markAccessed(selector, descriptor);
	}

	/** Puts a checked code or data descriptor into a segment register, its accessed flag set. The caller runs updateMode() for CS and SS. */
	commit(segment: SegmentIndex, selector: number, descriptor: Descriptor): void {
		const access = this.markAccessed(selector, descriptor);
		this.state.setSegment(segment, selector, access, descriptor.baseLow, 0, descriptor.limit);
	}

	/** A null SS as 64-bit mode has it; its DPL is the CPL (SDM Vol. 3C §26.3.1.2). */
	commitNullStack(selector: number): void {
		const access = Access.unusable | ((selector & 3) << Access.dplShift);
		this.state.setSegment(Segment.ss, selector, access, 0, 0, 0xffffffff);
	}

	/** Loads a segment register without descriptors: real-address and virtual-8086 mode (SDM Vol. 3B §20.1.1, §20.2.1). */
	loadRealMode(segment: SegmentIndex, selector: number): void {
		const { state } = this;
		if (state.virtual8086) state.setSegment(segment, selector, VIRTUAL_8086_ACCESS, selector << 4, 0, 0xffff);
		else {
			// The limit and the D/B flag stay what they were, which "unreal mode" lives from.
			const kept = state.access(segment) & (Access.DB | Access.G);
			state.setSegment(segment, selector, 0x93 | kept, selector << 4, 0, state.limit(segment) | 0);
		}
	}

	/** Loads LDTR (SDM Vol. 2A, LLDT). @throws {Fault} `vector` with the selector. */
	loadLdtr(selector: number, vector: number = Vector.generalProtection): void {
		const { state } = this;
		if ((selector & ~3) === 0) {
			state.setNullSegment(Segment.ldtr, selector);
			return;
		}
		if (selector & 4) throw selectorFault(vector, selector);
		let descriptor = this.read(selector, vector);
		if (!descriptor.isSystem || descriptor.type !== 2) throw selectorFault(vector, selector);
		const absent = vector === Vector.generalProtection ? Vector.segmentNotPresent : vector;
		if (!descriptor.present) throw selectorFault(absent, selector);
		descriptor = this.readUpper(selector, descriptor, vector);
		if (!isCanonical(descriptor.upper)) throw selectorFault(vector, selector);
		const { access, baseLow, upper, limit } = descriptor;
		state.setSegment(Segment.ldtr, selector, access, baseLow, upper, limit);
	}

	/**
	 * ES, DS, FS and GS after a return to an outer privilege level: those whose segments it may not use become null, and null
	 * selectors lose their RPL (SDM Vol. 3A §5.8.6; Vol. 2B, RET, "Operation"). The base of an already null FS or GS stays.
	 */
	dropInnerSegments(cpl: number): void {
		const { state } = this;
		for (const segment of [Segment.es, Segment.ds, Segment.fs, Segment.gs] as const) {
			const access = state.access(segment);
			const conforming = (access & (Access.code | Access.conforming)) === (Access.code | Access.conforming);
			if (access & Access.unusable) state.setSelector(segment, 0);
			else if (!conforming && ((access >> Access.dplShift) & 3) < cpl) {
				// The selector becomes null, the hidden base stays: 64-bit code goes on to use the one of FS and GS.
				const base = state.base(segment);
				state.setNullSegment(segment, 0);
				state.setSegmentBase(segment, base);
			}
		}
	}
}

/** A fault whose error code is a selector without its RPL (SDM Vol. 3A §6.13). */
export function selectorFault(vector: number, selector: number): Fault {
	return new Fault(vector, selector & 0xfffc);
}
