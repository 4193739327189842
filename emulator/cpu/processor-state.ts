// The registers of the processor, as they lie in the state bytes. Nothing is kept anywhere else: a copy of the bytes below
// State.end is a copy of the processor.

import type { PhysicalMemory } from "../engine/physical-memory.ts";
import type { TranslationLookasideBuffer } from "../engine/translation-lookaside-buffer.ts";
import { Access, Cr0, Cr4, Efer, Eflags } from "../isa/register-bits.ts";
import { PagingMode, Segment, type SegmentIndex, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { VmxWord } from "./vmx/vmx-state.ts";

/** Internal words of the processor: i64 slots at the end of the MSR area, counted down from the last. */
export const Internal = {
	/** Four PDPTE registers of PAE paging (SDM Vol. 3A §4.4.1). */
	pdpte: State.msr + 60 * 8,
	/** Added to the injected time stamp: what WRMSR to IA32_TIME_STAMP_COUNTER changed. */
	timestampOffset: State.msr + 59 * 8,
	/** While fewer instructions than this have retired, interrupts wait (STI, MOV SS, POP SS). */
	shadowBoundary: State.msr + 58 * 8,
	/** EFLAGS.RF counts only while no more instructions than this have retired. */
	resumeFlagBoundary: State.msr + 57 * 8,
	/** i32 × 2: NMIs are blocked until IRET; an NMI is pending. */
	nmiBlocked: State.msr + 56 * 8,
	nmiPending: State.msr + 56 * 8 + 4,
	/** i32 × 2: Activity; DR6 bits of a debug trap that is due after the current instruction. */
	activity: State.msr + 55 * 8,
	pendingDebug: State.msr + 55 * 8 + 4,
	/** While fewer instructions than this have retired, debug traps wait (MOV SS, POP SS). */
	debugShadowBoundary: State.msr + 54 * 8,
} as const;

/** The first slots of the MSR area belong to the table in model-specific-registers.ts; it may use this many. */
export const MSR_SLOTS = 54;

/** What the processor does (SDM Vol. 3C §24.4.2 names the states). */
export const Activity = { active: 0, halted: 1, shutdown: 2 } as const;

/** The modes that a debugger tells apart (SDM Vol. 3A §2.2). */
export type ModeName = "real" | "virtual-8086" | "protected" | "compatibility" | "64-bit";

/**
 * CPUID.1:EAX: family 6, model 15, stepping 11 (SDM Vol. 2A, CPUID, Figure 3-6). A family 6 model below 3.3 would make Linux
 * distrust SYSENTER, one below 15 PAT (arch/x86/kernel/cpu/intel.c).
 */
export const PROCESSOR_SIGNATURE = 0x6fb;

/** Present, data, writable, accessed. */
const REAL_MODE_ACCESS = 0x93;

/** xmm, x87 and mxcsr; the model-specific registers; what the time-stamp counter was changed by; the request of the local APIC. */
const KEPT_BY_INIT: readonly (readonly [first: number, end: number])[] = [
	[State.xmm, State.mxcsr + 4],
	[State.msr, State.msr + MSR_SLOTS * 8],
	[Internal.timestampOffset, Internal.timestampOffset + 8],
	[State.interruptRequest, State.interruptRequest + 4],
];

export class ProcessorState {
	readonly i32: Int32Array;
	readonly i64: BigInt64Array;
	readonly u8: Uint8Array;
	readonly view: DataView;
	/** Called when the mode, in the sense of ModeName, has changed. */
	onModeChange: (mode: ModeName, previous: ModeName) => void = () => {};
	/** Derived from the state in updateMode(). */
	private mode: ModeName = "real";
	private alignmentWasChecked = false;

	constructor(
		readonly physical: PhysicalMemory,
		readonly tlb: TranslationLookasideBuffer,
	) {
		this.i32 = physical.i32;
		this.i64 = physical.i64;
		this.u8 = physical.u8;
		this.view = physical.view;
	}

	/** The state after power-on or reset (SDM Vol. 3A Table 9-1); model-specific registers are reset by their table. */
	reset(): void {
		this.u8.fill(0, 0, State.end);
		this.flagsRest = 0;
		// ZF clear, PF clear: a result of 1.
		this.i32[State.flagsResult >> 2] = 1;
		for (let segment = 0; segment < 8; segment++)
			this.setSegment(segment as SegmentIndex, 0, REAL_MODE_ACCESS, 0, 0, 0xffff);
		this.setSegment(Segment.cs, 0xf000, REAL_MODE_ACCESS, 0xffff0000 | 0, 0, 0xffff);
		this.setSegment(Segment.ldtr, 0, 0x82, 0, 0, 0xffff);
		this.setSegment(Segment.tr, 0, 0x8b, 0, 0, 0xffff);
		this.rip = 0xfff0n;
		this.cr0 = 0x60000010;
		// EDX holds the processor's signature, as CPUID.1:EAX gives it (SDM Vol. 3A §9.1.2).
		this.i32[(State.gpr + 2 * 8) >> 2] = PROCESSOR_SIGNATURE;
		this.i64[(State.dr + 6 * 8) >> 3] = 0xffff0ff0n;
		this.i64[(State.dr + 7 * 8) >> 3] = 0x400n;
		this.i32[State.gdtrLimit >> 2] = 0xffff;
		this.i32[State.idtrLimit >> 2] = 0xffff;
		this.i32[State.x87Control >> 2] = 0x40;
		// The full tag word is 5555H, "zero" in every register: no register is empty.
		this.i32[State.x87Tag >> 2] = 0xff;
		this.i32[State.mxcsr >> 2] = 0x1f80;
		this.i32[State.xcr0 >> 2] = 1;
		this.mode = "real";
		this.tlb.flush();
		this.updateMode();
	}

	/**
	 * The state after INIT (SDM Vol. 3A Table 9-1): as after reset, but x87, MMX and SSE state, model-specific registers, the time-stamp
	 * counter and the cache bits of CR0 stay. IA32_EFER does not: real-address mode has no IA-32e paging.
	 */
	initialize(): void {
		const kept = ([first, end]: readonly [number, number]) => ({ first, bytes: this.u8.slice(first, end) });
		const ranges = KEPT_BY_INIT.map(kept);
		const cache = this.cr0 & (Cr0.CD | Cr0.NW);
		this.reset();
		for (const { first, bytes } of ranges) this.u8.set(bytes, first);
		this.cr0 = (this.cr0 & ~(Cr0.CD | Cr0.NW)) | cache;
		this.updateMode();
	}

	/** Where a start-up IPI lets the processor begin: at the start of page `vector` (SDM Vol. 3A §8.4.3). */
	startAtPage(vector: number): void {
		this.setSegment(Segment.cs, vector << 8, REAL_MODE_ACCESS, vector << 12, 0, 0xffff);
		this.rip = 0n;
		this.updateMode();
	}

	// General registers, by number in encoding order.

	gpr32(register: number): number {
		return this.i32[(State.gpr + register * 8) >> 2]!;
	}

	/** Writes a 32-bit register and clears the upper half (SDM Vol. 1 §3.4.1.1). */
	setGpr32(register: number, value: number): void {
		this.i32[(State.gpr + register * 8) >> 2] = value;
		this.i32[((State.gpr + register * 8) >> 2) + 1] = 0;
	}

	gpr64(register: number): bigint {
		return this.i64[(State.gpr + register * 8) >> 3]!;
	}

	setGpr64(register: number, value: bigint): void {
		this.i64[(State.gpr + register * 8) >> 3] = value;
	}

	/** RIP as an unsigned 64-bit number. */
	get rip(): bigint {
		return BigInt.asUintN(64, this.i64[State.rip >> 3]!);
	}

	set rip(value: bigint) {
		this.i64[State.rip >> 3] = value;
	}

	/** The low half of RIP, unsigned. */
	get eip(): number {
		return this.i32[State.rip >> 2]! >>> 0;
	}

	setRip(low: number, high: number): void {
		this.i32[State.rip >> 2] = low;
		this.i32[(State.rip >> 2) + 1] = high;
	}

	// Control registers: low halves, signed.

	get cr0(): number {
		return this.i32[State.cr0 >> 2]!;
	}

	set cr0(value: number) {
		this.i32[State.cr0 >> 2] = value;
	}

	get cr4(): number {
		return this.i32[State.cr4 >> 2]!;
	}

	set cr4(value: number) {
		this.i32[State.cr4 >> 2] = value;
	}

	get efer(): number {
		return this.i32[State.efer >> 2]!;
	}

	set efer(value: number) {
		this.i32[State.efer >> 2] = value;
	}

	get cpl(): number {
		return this.i32[State.cpl >> 2]!;
	}

	set cpl(value: number) {
		this.i32[State.cpl >> 2] = value;
	}

	get flagsRest(): number {
		return this.i32[State.flagsRest >> 2]!;
	}

	set flagsRest(value: number) {
		this.i32[State.flagsRest >> 2] = value;
		this.updateInterruptsEnabled();
	}

	/** External interrupts are taken when IF is set, or whatever it says while they cause VM exits. */
	updateInterruptsEnabled(): void {
		const { i32 } = this;
		i32[State.interruptsEnabled >> 2] = ((i32[State.flagsRest >> 2]! >> 9) & 1) | i32[VmxWord.interruptsUnmasked >> 2]!;
	}

	/** A word of `Internal` as a Number: counts below 2^53. */
	internal(at: number): number {
		return this.i32[(at >> 2) + 1]! * 0x100000000 + (this.i32[at >> 2]! >>> 0);
	}

	setInternal(at: number, value: number): void {
		this.i32[at >> 2] = value;
		this.i32[(at >> 2) + 1] = Math.floor(value / 0x100000000);
	}

	get iopl(): number {
		return (this.i32[State.flagsRest >> 2]! >> 12) & 3;
	}

	/** CR0.PE. */
	get protectedMode(): boolean {
		return (this.cr0 & Cr0.PE) !== 0;
	}

	get virtual8086(): boolean {
		return (this.flagsRest & Eflags.VM) !== 0;
	}

	/** EFER.LMA: 64-bit or compatibility mode. */
	get longMode(): boolean {
		return (this.efer & Efer.LMA) !== 0;
	}

	/** 64-bit mode: EFER.LMA and CS.L. */
	get mode64(): boolean {
		return this.i32[State.codeSize >> 2] === 3;
	}

	/** Alignment checks are on: CR0.AM, EFLAGS.AC, CPL 3 (SDM Vol. 3A §6.15, Interrupt 17). */
	get alignmentChecked(): boolean {
		return this.cpl === 3 && (this.flagsRest & Eflags.AC) !== 0 && (this.cr0 & Cr0.AM) !== 0;
	}

	/** Which tables translate linear addresses (SDM Vol. 3A §4.1.1), as PagingMode numbers them. */
	private get pagingMode(): number {
		if ((this.cr0 & Cr0.PG) === 0) return PagingMode.none;
		if ((this.cr4 & Cr4.PAE) === 0) return PagingMode.legacy32;
		return this.longMode ? PagingMode.fourLevel : PagingMode.pae;
	}

	get modeName(): ModeName {
		if (!this.protectedMode) return "real";
		if (this.virtual8086) return "virtual-8086";
		return this.mode64 ? "64-bit" : this.longMode ? "compatibility" : "protected";
	}

	// Segment registers.

	selector(segment: SegmentIndex): number {
		return this.i32[(segmentSlot(segment) + SegmentSlot.selector) >> 2]!;
	}

	access(segment: SegmentIndex): number {
		return this.i32[(segmentSlot(segment) + SegmentSlot.access) >> 2]!;
	}

	/** The limit in bytes, unsigned. */
	limit(segment: SegmentIndex): number {
		return this.i32[(segmentSlot(segment) + SegmentSlot.limit) >> 2]! >>> 0;
	}

	baseLow(segment: SegmentIndex): number {
		return this.i32[(segmentSlot(segment) + SegmentSlot.base) >> 2]!;
	}

	baseHigh(segment: SegmentIndex): number {
		return this.i32[((segmentSlot(segment) + SegmentSlot.base) >> 2) + 1]!;
	}

	base(segment: SegmentIndex): bigint {
		return BigInt.asUintN(64, this.i64[(segmentSlot(segment) + SegmentSlot.base) >> 3]!);
	}

	/** Loads selector and hidden part. The caller runs updateMode() when CS or SS may have changed a mode word. */
	setSegment(
		segment: SegmentIndex,
		selector: number,
		access: number,
		baseLow: number,
		baseHigh: number,
		limit: number,
	): void {
		const at = segmentSlot(segment) >> 2;
		this.i32[at + (SegmentSlot.selector >> 2)] = selector;
		this.i32[at + (SegmentSlot.access >> 2)] = access;
		this.i32[at + (SegmentSlot.base >> 2)] = baseLow;
		this.i32[at + (SegmentSlot.base >> 2) + 1] = baseHigh;
		this.i32[at + (SegmentSlot.limit >> 2)] = limit;
		this.updateSegment(segment);
	}

	/** Changes only the selector. */
	setSelector(segment: SegmentIndex, selector: number): void {
		this.i32[(segmentSlot(segment) + SegmentSlot.selector) >> 2] = selector;
	}

	/** The same as setSegmentBase(), in halves. */
	setSegmentBaseHalves(segment: SegmentIndex, low: number, high: number): void {
		const at = (segmentSlot(segment) + SegmentSlot.base) >> 2;
		this.i32[at] = low;
		this.i32[at + 1] = high;
		this.updateSegment(segment);
	}

	/** Changes only the base of a segment (IA32_FS_BASE, SWAPGS, ...). */
	setSegmentBase(segment: SegmentIndex, base: bigint): void {
		this.i64[(segmentSlot(segment) + SegmentSlot.base) >> 3] = base;
		this.updateSegment(segment);
	}

	/** The hidden part of a null selector: unusable, limit and base kept from before as the processor does (SDM Vol. 3A §5.4.1). */
	setNullSegment(segment: SegmentIndex, selector: number): void {
		const at = segmentSlot(segment) >> 2;
		this.i32[at + (SegmentSlot.selector >> 2)] = selector;
		this.i32[at + (SegmentSlot.access >> 2)] = this.i32[at + (SegmentSlot.access >> 2)]! | Access.unusable;
		this.i32[at + (SegmentSlot.base >> 2)] = 0;
		this.i32[at + (SegmentSlot.base >> 2) + 1] = 0;
		this.updateSegment(segment);
	}

	/** Derives effectiveBase, readBound and writeBound of a slot from its hidden part and the mode. */
	private updateSegment(segment: SegmentIndex): void {
		const { i32 } = this;
		const at = segmentSlot(segment) >> 2;
		let boundLow = 0;
		let boundHigh = 0;
		let readable = false;
		let writable = false;
		if (i32[State.codeSize >> 2] === 3) {
			// 64-bit mode: no limits, no types; only FS and GS have a base (SDM Vol. 1 §3.4.4, Vol. 3A §5.3.1).
			const based = segment === Segment.fs || segment === Segment.gs;
			i32[at] = based ? i32[at + (SegmentSlot.base >> 2)]! : 0;
			i32[at + 1] = based ? i32[at + (SegmentSlot.base >> 2) + 1]! : 0;
			boundLow = boundHigh = -1;
			readable = writable = true;
		} else {
			i32[at] = i32[at + (SegmentSlot.base >> 2)]!;
			i32[at + 1] = 0;
			const access = i32[at + (SegmentSlot.access >> 2)]!;
			const limit = i32[at + (SegmentSlot.limit >> 2)]!;
			const usable = (access & (Access.unusable | Access.P | Access.S)) === (Access.P | Access.S);
			const code = (access & Access.code) !== 0;
			if (usable && (code || (access & Access.expandDown) === 0)) {
				readable = !code || (access & Access.readable) !== 0;
				writable = !code && (access & Access.writable) !== 0;
			}
			boundLow = (limit + 1) | 0;
			boundHigh = limit === -1 ? 1 : 0;
		}
		const bit = 1 << segment;
		const zero = i32[at] === 0 && i32[at + 1] === 0;
		const whole = zero && readable && writable && boundLow === 0 && boundHigh === 1;
		const others = i32[State.flatSegments >> 2]! & ~(bit * 0x101);
		i32[State.flatSegments >> 2] = others | (whole ? bit : 0) | (zero ? bit << 8 : 0);
		i32[at + 2] = readable ? boundLow : 0;
		i32[at + 3] = readable ? boundHigh : 0;
		i32[at + 4] = writable ? boundLow : 0;
		i32[at + 5] = writable ? boundHigh : 0;
	}

	/** To be called after the state bytes were replaced as a whole (a snapshot was restored). */
	restored(): void {
		this.tlb.flush();
		this.updateMode();
	}

	/** Sets every word that follows from CS, SS, CR0, CR4, EFER, EFLAGS.VM, EFLAGS.AC and CPL, after any of them has changed. */
	updateMode(): void {
		const { i32 } = this;
		const was = i32[State.codeSize >> 2]!;
		const access = this.access(Segment.cs);
		const codeSize = this.longMode && (access & Access.L) !== 0 ? 3 : (access & Access.DB) !== 0 ? 2 : 1;
		i32[State.codeSize >> 2] = codeSize;
		if ((was === 3) !== (codeSize === 3))
			for (let segment = 0; segment < 8; segment++) this.updateSegment(segment as SegmentIndex);
		i32[State.stackMaskShift >> 2] = codeSize === 3 ? 0 : (this.access(Segment.ss) & Access.DB) !== 0 ? 32 : 48;
		const taskSwitched = this.cr0 & (Cr0.EM | Cr0.TS);
		i32[State.x87Trap >> 2] = taskSwitched ? 1 : 0;
		i32[State.sseTrap >> 2] = taskSwitched || (this.cr4 & Cr4.OSFXSR) === 0 ? 1 : 0;
		// While alignment is checked, no translation of user mode is in the TLB: every access comes to the slow path.
		const checked = this.alignmentChecked;
		if (checked && !this.alignmentWasChecked) this.tlb.flush();
		this.alignmentWasChecked = checked;
		this.tlb.setPagingMode(checked ? PagingMode.none : this.pagingMode);
		this.tlb.updateContext();
		const mode = this.modeName;
		if (mode !== this.mode) {
			const previous = this.mode;
			this.mode = mode;
			this.onModeChange(mode, previous);
		}
	}
}
