// The emulated processor in the place where native-oracle.c puts the real one: long mode, CPL 3, the same segments, the same
// two windows of memory, one instruction at a time.

import { PageFault } from "../../emulator/cpu/exceptions.ts";
import { ArchitecturalProcessor, type ProcessorSurroundings } from "../../emulator/cpu/processor.ts";
import { type EngineTier, ExecutionEngine } from "../../emulator/engine/execution-engine.ts";
import type { Fault } from "../../emulator/engine/fault.ts";
import { PhysicalMemory } from "../../emulator/engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../../emulator/engine/translation-lookaside-buffer.ts";
import { Cr0, Cr4, Efer } from "../../emulator/isa/register-bits.ts";
import { RAM_BASE, Segment, type SegmentIndex, State } from "../../emulator/isa/state.ts";
import { globalDescriptors, localDescriptors } from "./descriptors.ts";
import {
	type Bits,
	Case,
	type CaseRecord,
	FXSAVE_SIZE,
	Fxsave,
	Layout,
	Result,
	type ResultRecord,
	Selector,
	SPAN_SIZE,
	windowBefore,
} from "./records.ts";

/** Vector of a single-step trap: the instruction completed. */
export const COMPLETED = 1;
const JUMP_SHORT = 0xeb;
/** What is left where no instruction is: INT3. */
const BREAKPOINTS = new Uint8Array(Layout.codeSize).fill(0xcc);
const RAM_BYTES = 0x400000;
/** Host-physical places of the system's own structures. Linear: SYSTEM_BASE more. */
const Place = { tables: 0x10000, gdt: 0x8000, ldt: 0x9000, taskState: 0xa000 } as const;
/** The kernel's half, where nothing of the system is in the way of a user's access. */
const SYSTEM_BASE = 0xffff800000000000n;
const PageFlag = { present: 1n, writable: 2n, user: 4n, accessed: 0x20n, dirty: 0x40n, noExecute: 1n << 63n } as const;
/** What a case may set: CF PF AF ZF SF DF OF AC. */
const USER_FLAGS = 0x40cd5;
/** The real processor runs under it; here it only has to be seen by PUSHF. */
const TRAP_FLAG = 0x100;

export class SteppedProcessor extends ArchitecturalProcessor {
	fault: Fault | undefined;

	override deliver(fault: Fault): boolean {
		this.fault = fault;
		return false;
	}
}

export class EmulatedProcessor {
	readonly physical = new PhysicalMemory(RAM_BYTES);
	readonly processor: SteppedProcessor;
	readonly engine: ExecutionEngine;
	private readonly before = new Uint8Array(Layout.windowSize);
	readonly window: Uint8Array;

	constructor(
		private readonly bits: Bits,
		tier: EngineTier = "compiled",
	) {
		const { physical } = this;
		const tlb = new TranslationLookasideBuffer(physical);
		const surroundings: ProcessorSurroundings = {
			physical,
			tlb,
			ports: { read: () => 0xffffffff, write: () => {} },
			timestamp: () => this.engine.retired,
			retired: () => this.engine.retired,
		};
		this.processor = new SteppedProcessor(surroundings);
		this.engine = new ExecutionEngine(physical, tlb, this.processor, tier);
		const window = RAM_BASE + Layout.windowBase;
		this.window = physical.u8.subarray(window, window + Layout.windowSize);
		this.layTables();
		physical.poke(Layout.codeBase, BREAKPOINTS);
		this.enterLongMode();
	}

	private entry(address: number, value: bigint): void {
		this.physical.view.setBigUint64(RAM_BASE + address, value, true);
	}

	/** Four-level tables: the two windows for the user, and the first 2 MBytes again for the system in its own half. */
	private layTables(): void {
		const { present, writable, user, accessed, dirty, noExecute } = PageFlag;
		const branch = present | writable | accessed;
		const table = (index: number) => Place.tables + index * 0x1000;
		const link = (from: number, index: number, to: number, flags: bigint) =>
			this.entry(table(from) + index * 8, BigInt(table(to)) | flags);
		link(0, 0, 1, branch | user);
		link(1, 0, 2, branch | user);
		link(2, 0, 3, branch | user);
		link(2, 1, 4, branch | user);
		const leaf = branch | user | dirty;
		for (let page = 0; page < Layout.codeSize / 4096; page++) {
			const address = Layout.codeBase + page * 4096;
			this.entry(table(3) + (address >> 12) * 8, BigInt(address) | leaf);
		}
		for (let page = 0; page < Layout.windowSize / 4096; page++) {
			const address = Layout.windowBase + page * 4096;
			this.entry(table(4) + ((address >> 12) & 511) * 8, BigInt(address) | leaf | noExecute);
		}
		link(0, 256, 5, branch);
		link(5, 0, 6, branch);
		link(6, 0, 7, branch);
		for (let page = 0; page < 512; page++) this.entry(table(7) + page * 8, BigInt(page * 4096) | branch | dirty);
		for (const [index, value] of globalDescriptors.entries()) this.entry(Place.gdt + index * 8, value);
		for (const [index, value] of localDescriptors.entries()) this.entry(Place.ldt + index * 8, value);
	}

	private enterLongMode(): void {
		const { state } = this.processor.core;
		state.cr0 = Cr0.PE | Cr0.MP | Cr0.ET | Cr0.NE | Cr0.WP | Cr0.AM | Cr0.PG;
		state.cr4 = Cr4.PAE | Cr4.PGE | Cr4.OSFXSR | Cr4.OSXMMEXCPT;
		state.efer = Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE;
		state.i64[State.cr3 >> 3] = BigInt(Place.tables);
		state.i64[State.gdtrBase >> 3] = SYSTEM_BASE + BigInt(Place.gdt);
		state.i32[State.gdtrLimit >> 2] = globalDescriptors.length * 8 - 1;
		const ldt = SYSTEM_BASE + BigInt(Place.ldt);
		const low = Number(BigInt.asIntN(32, ldt));
		const high = Number(BigInt.asIntN(32, ldt >> 32n));
		state.setSegment(Segment.ldtr, 0x50, 0x82, low, high, localDescriptors.length * 8 - 1);
		// No I/O permission bitmap: its place lies beyond the limit of the TSS (SDM Vol. 1 §19.5.2).
		this.physical.view.setUint16(RAM_BASE + Place.taskState + 0x66, 0xffff, true);
		state.setSegment(Segment.tr, 0x40, 0x8b, low + Place.taskState - Place.ldt, high, 0x67);
		state.cpl = 3;
		this.loadSegments();
		state.restored();
	}

	private loadSegments(): void {
		const { core } = this.processor;
		const { state } = core;
		const { bits } = this;
		const load = (segment: SegmentIndex, selector: number) =>
			core.segmentation.commit(segment, selector, core.segmentation.read(selector));
		load(Segment.cs, bits === 64 ? Selector.code64 : bits === 32 ? Selector.code32 : Selector.code16);
		state.updateMode();
		const data = bits === 16 ? Selector.data16 : Selector.userData;
		for (const segment of [Segment.es, Segment.ss, Segment.ds] as const) load(segment, data);
		if (bits === 64) {
			state.setNullSegment(Segment.fs, 0);
			state.setSegmentBase(Segment.fs, Layout.fsBase64);
			state.setNullSegment(Segment.gs, 0);
			state.setSegmentBase(Segment.gs, Layout.gsBase64);
		} else {
			load(Segment.fs, Selector.fs);
			load(Segment.gs, Selector.gs);
		}
		state.updateMode();
	}

	private selectorsAreLoaded(): boolean {
		const { state } = this.processor.core;
		const { bits } = this;
		const data = bits === 16 ? Selector.data16 : Selector.userData;
		return (
			state.selector(Segment.cs) ===
				(bits === 64 ? Selector.code64 : bits === 32 ? Selector.code32 : Selector.code16) &&
			state.selector(Segment.ss) === data &&
			state.selector(Segment.ds) === data &&
			state.selector(Segment.es) === data &&
			state.selector(Segment.fs) === (bits === 64 ? 0 : Selector.fs) &&
			state.selector(Segment.gs) === (bits === 64 ? 0 : Selector.gs)
		);
	}

	/**
	 * Executes the instruction of a case from the case's state and stores the state after it.
	 * @param instructions 2 when the real processor executes the next one, a NOP, as well (MOV SS and POP SS hold the trap back).
	 */
	run(one: CaseRecord, result: ResultRecord, instructions: number): void {
		const { processor } = this;
		this.load(one);
		for (let n = 0; n < instructions && processor.fault === undefined; n++) this.engine.step();
		this.store(one, result);
	}

	/**
	 * The same in compiled code, for an instruction that goes on behind itself. A jump back to it follows: the two are a block, which is
	 * compiled when it has run once.
	 * @param length of the instruction
	 */
	runCompiled(one: CaseRecord, result: ResultRecord, length: number): void {
		const { engine, processor } = this;
		one.bytes.set([JUMP_SHORT, 0x100 - length - 2], Case.code + length);
		one.setU32(Case.codeLength, length + 2);
		this.load(one);
		engine.code.flush();
		engine.execute(2);
		engine.regions!.compilePage((Layout.codeBase + one.u32(Case.codeOffset)) >> 12, this.bits === 64 ? 3 : 2);
		this.loadState(one);
		engine.execute(2);
		this.store(one, result);
		if (processor.fault === undefined) result.setU64(Result.rip, one.rip + BigInt(length));
	}

	/** Takes the state after the run, and the code away. */
	private store(one: CaseRecord, result: ResultRecord): void {
		const { physical, processor } = this;
		const { state, flags } = processor.core;
		const { fault } = processor;
		result.setU32(Result.vector, fault ? fault.vector : COMPLETED);
		result.setU32(Result.errorCode, fault?.errorCode ?? 0);
		// Not delivered, so CR2 is as the case left it; the address is in the fault.
		if (fault instanceof PageFault)
			result.setU64(Result.cr2, (BigInt(fault.addressHigh >>> 0) << 32n) | BigInt(fault.addressLow >>> 0));
		result.setU64(Result.rip, state.rip);
		result.setU64(Result.flags, BigInt(flags.readEflags() >>> 0));
		for (let n = 0; n < 16; n++) result.setU64(Result.general + n * 8, state.gpr64(n));
		for (let n = 0; n < 6; n++) result.setU16(Result.selectors + n * 2, state.selector(n as SegmentIndex));
		this.storeSpan(result);
		this.storeFxsave(result.bytes.subarray(Result.fxsave, Result.fxsave + FXSAVE_SIZE));
		physical.poke(Layout.codeBase + one.u32(Case.codeOffset), BREAKPOINTS.subarray(0, one.code.length));
	}

	/** Puts the state of a case into the processor and its memory, and the case's code into its place. */
	load(one: CaseRecord): void {
		this.physical.poke(Layout.codeBase + one.u32(Case.codeOffset), one.code);
		this.loadState(one);
	}

	/** The same, but for the code. */
	loadState(one: CaseRecord): void {
		const { processor, window, before } = this;
		const { state, flags } = processor.core;
		before.set(windowBefore(one));
		window.set(before);
		state.cpl = 3;
		if (!this.selectorsAreLoaded()) this.loadSegments();
		if (this.bits === 64) {
			state.setSegmentBase(Segment.fs, Layout.fsBase64);
			state.setSegmentBase(Segment.gs, Layout.gsBase64);
		}
		flags.writeEflags((one.flags & USER_FLAGS) | TRAP_FLAG | 0x202, -1);
		state.updateMode();
		for (let n = 0; n < 16; n++) state.setGpr64(n, BigInt.asIntN(64, one.general(n)));
		state.rip = one.rip;
		this.loadFxsave(one.bytes.subarray(Case.fxsave, Case.fxsave + FXSAVE_SIZE));
		processor.fault = undefined;
	}

	private storeSpan(result: ResultRecord): void {
		const { window, before } = this;
		const { length } = window;
		let first = 0;
		let last = length;
		if (Buffer.compare(window, before) === 0) last = 0;
		while (first < last && window[first] === before[first]) first++;
		while (last > first && window[last - 1] === before[last - 1]) last--;
		result.setU32(Result.spanOffset, first);
		result.setU32(Result.spanLength, last - first);
		result.bytes.set(window.subarray(first, Math.min(last, first + SPAN_SIZE)), Result.span);
	}

	/** ST(i) of the image is physical register TOP + i (SDM Vol. 1 §10.5.1.1). */
	private loadFxsave(image: Uint8Array): void {
		const { u8, i32 } = this.physical;
		const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
		const status = view.getUint16(Fxsave.status, true);
		i32[State.x87Control >> 2] = view.getUint16(Fxsave.control, true);
		i32[State.x87Status >> 2] = status;
		i32[State.x87Tag >> 2] = view.getUint8(Fxsave.tag);
		i32[State.mxcsr >> 2] = view.getUint32(Fxsave.mxcsr, true);
		const top = (status >> 11) & 7;
		for (let n = 0; n < 8; n++)
			u8.set(image.subarray(Fxsave.st + n * 16, Fxsave.st + n * 16 + 10), State.x87 + ((top + n) & 7) * 16);
		u8.set(image.subarray(Fxsave.xmm, Fxsave.xmm + 256), State.xmm);
	}

	private storeFxsave(image: Uint8Array): void {
		const { u8, i32 } = this.physical;
		const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
		const status = i32[State.x87Status >> 2]!;
		view.setUint16(Fxsave.control, i32[State.x87Control >> 2]!, true);
		view.setUint16(Fxsave.status, status, true);
		view.setUint8(Fxsave.tag, i32[State.x87Tag >> 2]!);
		view.setUint32(Fxsave.mxcsr, i32[State.mxcsr >> 2]!, true);
		const top = (status >> 11) & 7;
		for (let n = 0; n < 8; n++) {
			const from = State.x87 + ((top + n) & 7) * 16;
			image.set(u8.subarray(from, from + 10), Fxsave.st + n * 16);
		}
		image.set(u8.subarray(State.xmm, State.xmm + 256), Fxsave.xmm);
	}
}
