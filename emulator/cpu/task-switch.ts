// Task switches through 16-bit and 32-bit task-state segments (SDM Vol. 3A Chapter 7).

import { Fault, Vector } from "../engine/fault.ts";
import { Access, Cr0, Cr4, Eflags } from "../isa/register-bits.ts";
import { Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { type Descriptor, SystemType } from "./descriptor.ts";
import { Internal } from "./processor-state.ts";
import { selectorFault } from "./segmentation.ts";
import { raisePendingVirtualInterrupt } from "./virtual-interrupts.ts";

export type TaskSwitchSource = "jump" | "call" | "interrupt" | "return";

/** Offsets in a TSS (SDM Vol. 3A Figures 7-2 and 7-10). */
const LAYOUT_32 = { cr3: 0x1c, ip: 0x20, flags: 0x24, gpr: 0x28, segments: 0x48, ldt: 0x60, trap: 0x64, width: 4 };
const LAYOUT_16 = { cr3: -1, ip: 0x0e, flags: 0x10, gpr: 0x12, segments: 0x22, ldt: 0x2a, trap: -1, width: 2 };
/** The smallest limits (SDM Vol. 3A §7.2.2, §7.6). */
const MINIMUM_LIMIT_32 = 0x67;
const MINIMUM_LIMIT_16 = 0x2b;
const SEGMENT_ORDER = [Segment.es, Segment.cs, Segment.ss, Segment.ds, Segment.fs, Segment.gs] as const;
/** DR7.L0 to L3 and LE. */
const LOCAL_BREAKPOINTS = 0x155;
/** DR6.BT */
const DEBUG_TASK_SWITCH = 1 << 15;

export class TaskSwitch {
	/** Called before anything of a task switch is done, once its descriptor is known to be good; `eip` is as in switchTo(). May throw a VM exit. */
	onSwitch: (selector: number, source: TaskSwitchSource, eip: number) => void = () => {};

	constructor(private readonly core: ProcessorCore) {}

	/** The TSS descriptor of a selector for JMP, CALL, a task gate or an interrupt. @throws {Fault} #GP, #NP with the selector. */
	findAvailable(selector: number): Descriptor {
		if ((selector & ~3) === 0 || selector & 4) throw selectorFault(Vector.generalProtection, selector);
		const descriptor = this.core.segmentation.read(selector);
		const { type } = descriptor;
		if (!descriptor.isSystem || (type !== SystemType.availableTss && type !== SystemType.availableTss16))
			throw selectorFault(Vector.generalProtection, selector);
		if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
		return descriptor;
	}

	/** The back link of the current TSS and its descriptor, for IRET with NT set. @throws {Fault} #TS, #NP */
	findPrevious(): { selector: number; descriptor: Descriptor } {
		const { memory, segmentation, state } = this.core;
		const selector = memory.readLinear(state.baseLow(Segment.tr), 0, 2);
		if ((selector & ~3) === 0 || selector & 4) throw selectorFault(Vector.invalidTss, selector);
		const descriptor = segmentation.read(selector, Vector.invalidTss);
		const { type } = descriptor;
		if (!descriptor.isSystem || (type !== SystemType.busyTss && type !== SystemType.busyTss16))
			throw selectorFault(Vector.invalidTss, selector);
		if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
		return { selector, descriptor };
	}

	/**
	 * Switches to the task (SDM Vol. 3A §7.3). `eip` is what the old task goes on with. Returns the width in bytes of the new TSS,
	 * with which an error code is pushed. @throws {Fault} in the old task before anything has changed, or in the new one after.
	 */
	switchTo(selector: number, descriptor: Descriptor, source: TaskSwitchSource, eip: number): 2 | 4 {
		const { core } = this;
		const { state, memory, segmentation } = core;
		const wide = (descriptor.type & 8) !== 0;
		const layout = wide ? LAYOUT_32 : LAYOUT_16;
		if (descriptor.limit < (wide ? MINIMUM_LIMIT_32 : MINIMUM_LIMIT_16))
			throw selectorFault(Vector.invalidTss, selector);
		this.onSwitch(selector, source, eip);
		const base = descriptor.baseLow;
		const oldBase = state.baseLow(Segment.tr);
		const oldSelector = state.selector(Segment.tr);
		const oldWide = (state.access(Segment.tr) & 8) !== 0;
		const incoming = this.read(base, layout);

		// The old task's state; the first write also finds out whether its pages can be written.
		let flags = core.readEflags();
		if (source === "return") flags &= ~Eflags.NT;
		this.save(oldBase, oldWide ? LAYOUT_32 : LAYOUT_16, eip, flags);
		if (source === "jump" || source === "return") segmentation.setBusy(oldSelector, false);
		if (source === "call" || source === "interrupt") memory.writeLinear(base, 0, 2, oldSelector);
		if (source !== "return") segmentation.setBusy(selector, true);

		// The point of no return: from here on faults belong to the new task.
		state.setSegment(Segment.tr, selector, descriptor.access | 2, base, 0, descriptor.limit);
		state.cr0 |= Cr0.TS;
		state.i32[(State.dr + 7 * 8) >> 2]! &= ~LOCAL_BREAKPOINTS;
		if (wide && state.cr0 & Cr0.PG) this.loadCr3(incoming.cr3);
		state.setRip(incoming.ip, 0);
		for (let register = 0; register < 8; register++) state.setGpr32(register, incoming.gpr[register]!);
		let newFlags = incoming.flags;
		if (source === "call" || source === "interrupt") newFlags |= Eflags.NT;
		// A 16-bit TSS has no upper flags: they become 0.
		core.flags.writeEflags(newFlags, -1);
		if (incoming.trap) state.i32[Internal.pendingDebug >> 2]! |= DEBUG_TASK_SWITCH;
		this.loadSegments(incoming.ldt, incoming.segments);
		raisePendingVirtualInterrupt(state);
		return layout.width as 2 | 4;
	}

	private read(base: number, layout: typeof LAYOUT_32) {
		const { memory } = this.core;
		const at = (offset: number, size: number): number => memory.readLinear((base + offset) | 0, 0, size);
		const { width } = layout;
		const gpr: number[] = [];
		for (let register = 0; register < 8; register++) {
			const value = at(layout.gpr + register * width, width);
			// The upper halves of the registers are undefined after a switch to a 16-bit task; ones, as Intel's processors have it.
			gpr.push(width === 2 ? value | (0xffff0000 | 0) : value | 0);
		}
		const segments: number[] = [];
		for (let index = 0; index < 6; index++)
			segments.push(width === 4 || index < 4 ? at(layout.segments + index * width, 2) : 0);
		return {
			cr3: layout.cr3 < 0 ? 0 : at(layout.cr3, 4) | 0,
			ip: at(layout.ip, width),
			flags: at(layout.flags, width) | 0,
			gpr,
			segments,
			ldt: at(layout.ldt, 2),
			trap: layout.trap >= 0 && (at(layout.trap, 2) & 1) !== 0,
		};
	}

	private save(base: number, layout: typeof LAYOUT_32, eip: number, flags: number): void {
		const { memory, state } = this.core;
		const { width } = layout;
		const put = (offset: number, size: number, value: number): void =>
			memory.writeLinear((base + offset) | 0, 0, size, value);
		put(layout.ip, width, eip);
		put(layout.flags, width, flags);
		for (let register = 0; register < 8; register++) put(layout.gpr + register * width, width, state.gpr32(register));
		for (let index = 0; index < (width === 4 ? 6 : 4); index++)
			put(layout.segments + index * width, 2, state.selector(SEGMENT_ORDER[index]!));
	}

	private loadCr3(value: number): void {
		const { state, paging } = this.core;
		if (state.cr4 & Cr4.PAE && !paging.loadPdptes(value)) throw new Fault(Vector.generalProtection, 0);
		state.i64[State.cr3 >> 3] = BigInt(value >>> 0);
		paging.flush();
	}

	/** Segments of the new task, with faults of the new task (SDM Vol. 3A §7.3, step 14; Table 7-1). */
	private loadSegments(ldt: number, selectors: readonly number[]): void {
		const { core } = this;
		const { state, segmentation } = core;
		const virtual8086 = state.virtual8086;
		SEGMENT_ORDER.forEach((segment, index) => {
			state.setNullSegment(segment, selectors[index]!);
		});
		state.cpl = virtual8086 ? 3 : selectors[1]! & 3;
		state.setNullSegment(Segment.ldtr, ldt);
		// In virtual-8086 mode they need no descriptors: a fault of LDTR finds them as that mode has them.
		if (virtual8086)
			SEGMENT_ORDER.forEach((segment, index) => {
				segmentation.loadRealMode(segment, selectors[index]!);
			});
		state.updateMode();
		segmentation.loadLdtr(ldt, Vector.invalidTss);
		if (virtual8086) return;
		const cs = selectors[1]!;
		const cpl = cs & 3;
		if ((cs & ~3) === 0) throw selectorFault(Vector.invalidTss, cs);
		const code = segmentation.read(cs, Vector.invalidTss);
		if (!code.isCode || (code.isConforming ? code.dpl > cpl : code.dpl !== cpl))
			throw selectorFault(Vector.invalidTss, cs);
		if (!code.present) throw selectorFault(Vector.segmentNotPresent, cs);
		segmentation.commit(Segment.cs, cs, code);
		const ss = selectors[2]!;
		if ((ss & ~3) === 0) throw selectorFault(Vector.invalidTss, ss);
		segmentation.commit(Segment.ss, ss, segmentation.readStack(ss, cpl, Vector.invalidTss));
		state.updateMode();
		for (const index of [0, 3, 4, 5]) this.loadData(SEGMENT_ORDER[index]!, selectors[index]!, cpl);
		if (state.eip > state.limit(Segment.cs)) throw new Fault(Vector.generalProtection, 0);
	}

	private loadData(segment: SegmentIndex, selector: number, cpl: number): void {
		const { segmentation } = this.core;
		if ((selector & ~3) === 0) return;
		const descriptor = segmentation.read(selector, Vector.invalidTss);
		const conforming = (descriptor.access & (Access.code | Access.conforming)) === (Access.code | Access.conforming);
		if (!descriptor.isReadable || (!conforming && (descriptor.dpl < cpl || descriptor.dpl < (selector & 3))))
			throw selectorFault(Vector.invalidTss, selector);
		if (!descriptor.present) throw selectorFault(Vector.segmentNotPresent, selector);
		segmentation.commit(segment, selector, descriptor);
	}
}
