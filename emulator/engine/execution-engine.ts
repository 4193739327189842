// Runs one processor: owns the generated interpreter's instance, finds blocks for it, and turns helpers' outcomes and faults
// into what generated code does next. It knows instructions and their count, not time, interrupts or devices.

import { EngineWord, JumpCache, Record, RecordFlags, Segment, SegmentSlot, State, segmentSlot } from "../isa/state.ts";
import { builtInHelpers } from "./built-in-helpers.ts";
import { CodeCache } from "./code-cache.ts";
import { RegionCache } from "./compiler/region-cache.ts";
import { RecordDecoder } from "./decoder.ts";
import { ExitReason } from "./exit-reason.ts";
import { Fault } from "./fault.ts";
import { type Helper, Outcome, type ProcessorHooks } from "./helper.ts";
import { instructionSet } from "./instruction-set.ts";
import { PseudoHandler, STOLEN_FUEL } from "./interpreter.ts";
import { type InterpreterCalls, interpreterIn } from "./interpreter-instance.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import type { TranslationLookasideBuffer } from "./translation-lookaside-buffer.ts";
import { enterBlock } from "./translation-refill.ts";

/** Most instructions of one call into generated code: it has to return now and then so that V8 can replace it by optimised code. */
const SLICE = 200_000;
/** Instructions between two samples of where the processor is, which tell what is worth compiling. */
const SAMPLE = 20_000;
/** Instructions that are decoded at once while single ones are executed: most of them are not gone on with from there. */
const DECODED_FOR_ONE = 4;
/** Faults delivered in a row, no instruction having retired, after which the run loop is asked: on hardware interrupts would come between. */
export const MOST_DELIVERIES = 64;
/** Everything is interpreted, or hot code is compiled and the rest interpreted. */
export type EngineTier = "interpreter" | "compiled";

export class ExecutionEngine implements InterpreterCalls {
	readonly code: CodeCache;
	/** Compiled code; undefined when everything is interpreted. */
	readonly regions: RegionCache | undefined;
	private readonly run: (record: number) => number;
	private helpers: readonly Helper[];
	/** Those of each processor that was selected once. */
	private readonly helpersOf = new Map<ProcessorHooks, readonly Helper[]>();
	/** Instructions retired before the current call into generated code. */
	private retiredBefore = 0;
	private granted = 0;
	private running = false;
	private currentRecord = 0;
	/** Linear addresses whose code is not x86 but TypeScript (exclusive end): see ExitReason.hostEntry. */
	private hostEntryStart = 0n;
	private hostEntryEnd = 0n;
	/** The breakpoint at State.rip is passed over by the next instruction. */
	private skipBreakpoint = false;
	private stolenFuel = 0;
	/** While a fault is delivered: bytes of the instruction that raised it; else 0. */
	faultingLength = 0;
	/** Faults delivered since the instruction with this count, none having retired since. */
	private deliveries = 0;
	private deliveredAt = -1;
	/** Handlers have faulted at their first instruction, over and over: execute() came back for it. The caller clears it. */
	inFaultStorm = false;
	/** Address of a record's handler that stopAfterInstruction() has replaced; 0 = none. */
	private patched = 0;
	private patchedHandler = 0;

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly tlb: TranslationLookasideBuffer,
		private hooks: ProcessorHooks,
		tier: EngineTier = "compiled",
	) {
		const set = instructionSet();
		this.code = new CodeCache(physical, tlb, new RecordDecoder(physical, set.decodeTables));
		this.helpers = this.helpersFor(hooks);
		const interpreter = interpreterIn(physical.memory, this);
		this.run = interpreter.run;
		if (tier === "compiled") this.regions = new RegionCache(physical, this.code, interpreter, set);
	}

	private helpersFor(hooks: ProcessorHooks): readonly Helper[] {
		const known = this.helpersOf.get(hooks);
		if (known) return known;
		const builtIn = builtInHelpers(this.physical);
		const helpers = instructionSet().helperNames.map((name) => {
			const helper = hooks.helpers[name] ?? builtIn[name];
			if (!helper) throw new Error(`The processor has no helper "${name}"`);
			return helper;
		});
		this.helpersOf.set(hooks, helpers);
		return helpers;
	}

	/**
	 * Another processor runs from now on: its state is in its place. Not while code runs.
	 * @param passBreakpoint what the last call of its kind, or passBreakpoint(), said for it
	 * @returns the same of the processor that ran
	 */
	select(hooks: ProcessorHooks, passBreakpoint: boolean): boolean {
		const before = this.skipBreakpoint;
		this.hooks = hooks;
		this.helpers = this.helpersFor(hooks);
		this.skipBreakpoint = passBreakpoint;
		return before;
	}

	/** Instructions retired by each tier. */
	get tiers(): { interpreter: number; compiled: number } {
		const compiled = Number(this.physical.i64[EngineWord.compiledInstructions >> 3]!);
		return { interpreter: this.retired - compiled, compiled };
	}

	/** Instructions retired since power-on, up to (not including) the current one. */
	get retired(): number {
		if (!this.running) return this.retiredBefore;
		const { i32, u8 } = this.physical;
		const left =
			i32[State.fuel >> 2]! + this.stolenFuel + (this.currentRecord ? u8[this.currentRecord + Record.remaining]! : 0);
		return this.retiredBefore + this.granted - left;
	}

	/** Sets the count, after a reset or when a state is restored. */
	setRetired(count: number): void {
		this.retiredBefore = count;
	}

	/** Makes `execute` return with ExitReason.hostEntry instead of fetching in this linear range at CPL 0. */
	setHostEntry(start: bigint, end: bigint): void {
		this.hostEntryStart = start;
		this.hostEntryEnd = end;
		const { i64 } = this.physical;
		i64[EngineWord.hostEntryStart >> 3] = start;
		i64[EngineWord.hostEntryEnd >> 3] = end;
		this.tlb.forgetJumps();
	}

	/**
	 * Runs until `count` instructions have retired or something else wants attention, and says what. ExitReason.fuel means
	 * that exactly `count` have retired.
	 */
	execute(count: number): ExitReason {
		const { i32 } = this.physical;
		const end = this.retiredBefore + count;
		while (this.retiredBefore < end) {
			const left = end - this.retiredBefore;
			let start = 0;
			if (this.skipBreakpoint || left < 256) {
				start = this.exactBlock(left);
				if (start === 0) return i32[State.exitReason >> 2] as ExitReason;
			}
			const reason = this.enter(start, Math.min(left, this.regions ? SAMPLE : SLICE));
			if (reason !== ExitReason.fuel) return reason;
			const sample = i32[EngineWord.lastBlock >> 2]!;
			if (this.regions && sample !== 0) this.regions.sample(sample);
		}
		return ExitReason.fuel;
	}

	/**
	 * Retires the instruction at State.rip, of a repeated string instruction at most so many iterations at once.
	 * @param iterations at most 1000: in one go INS and OUTS do what a page holds, and are looked up again for more
	 */
	executeOne(iterations: number): ExitReason {
		this.skipBreakpoint = true;
		const record = this.exactBlock(1, true);
		if (record === 0) return this.physical.i32[State.exitReason >> 2] as ExitReason;
		const repeated = (this.physical.u8[record + Record.flags]! & RecordFlags.repeated) !== 0;
		return this.enter(record, repeated ? iterations : 1);
	}

	/** Retires one instruction, whatever breakpoint lies on it. */
	step(): ExitReason {
		this.skipBreakpoint = true;
		return this.execute(1);
	}

	/** The next execute() passes over a breakpoint at the instruction where the processor stands. */
	passBreakpoint(): void {
		this.skipBreakpoint = true;
	}

	private enter(record: number, fuel: number): ExitReason {
		const { i32 } = this.physical;
		i32[State.exitReason >> 2] = ExitReason.none;
		i32[EngineWord.lastBlock >> 2] = 0;
		i32[State.fuel >> 2] = fuel;
		this.granted = fuel;
		this.currentRecord = 0;
		this.running = true;
		let stopped = false;
		let reason: number;
		try {
			reason = this.run(record);
		} finally {
			this.currentRecord = 0;
			if (this.endStop()) stopped = true;
			this.retiredBefore += fuel - i32[State.fuel >> 2]!;
			this.running = false;
		}
		return (stopped && reason === ExitReason.fuel ? ExitReason.attention : reason) as ExitReason;
	}

	/** A block of at most `count` instructions at State.rip; 0 when there is something else to do first (exitReason). */
	private exactBlock(count: number, returns = false): number {
		const { i32 } = this.physical;
		i32[State.exitReason >> 2] = ExitReason.none;
		const skipped = this.skipBreakpoint;
		this.skipBreakpoint = false;
		const record = this.find(skipped, returns ? 1 : count === 1 ? DECODED_FOR_ONE : undefined);
		if (record === 0) return 0;
		const wanted = skipped ? 1 : count;
		if (!skipped && this.physical.u8[record + Record.remaining]! <= count) return record;
		return this.code.exactly(record, wanted, this.foundPage, returns);
	}

	private foundPage = 0;

	/** The page that follows linearly the one of the code at State.rip. @throws {Fault} */
	private readonly nextPage = (): number => {
		const rip = this.physical.i64[State.rip >> 3]!;
		const offset = Number((rip + this.codeBase()) & 0xfffn);
		return Math.floor(this.hooks.fetchAddress(rip + BigInt(4096 - offset)) / 4096);
	};

	private codeBase(): bigint {
		return this.physical.i64[(segmentSlot(Segment.cs) + SegmentSlot.effectiveBase) >> 3]!;
	}

	/** The block at State.rip; delivers the faults of fetching. 0 when generated code has to be left: exitReason says why. */
	private find(ignoreBreakpoints: boolean, most?: number): number {
		const { i32, i64 } = this.physical;
		for (;;) {
			const rip = i64[State.rip >> 3]!;
			const linear = rip + this.codeBase();
			const inEntry = linear >= this.hostEntryStart && linear < this.hostEntryEnd;
			if (inEntry && i32[State.cpl >> 2] === 0 && !this.hooks.runsGuest) {
				i32[State.exitReason >> 2] = ExitReason.hostEntry;
				return 0;
			}
			try {
				const address = this.hooks.fetchAddress(rip);
				const offset = address & 0xfff;
				this.foundPage = Math.floor(address / 4096);
				const mode = i32[State.codeSize >> 2]!;
				const record = this.code.block(address, mode, this.nextPage, ignoreBreakpoints, most);
				i64[State.ripBase >> 3] = rip - BigInt(offset);
				return record;
			} catch (fault) {
				if (!(fault instanceof Fault)) throw fault;
				if (!this.deliver(fault) || i32[State.exitReason >> 2] !== ExitReason.none) return 0;
			}
		}
	}

	/** InterpreterCalls. */
	lookup(): number {
		this.currentRecord = 0;
		// The last instruction of the budget has retired: the faults of fetching at its target belong to the next one.
		if (this.physical.i32[State.fuel >> 2]! <= 0) {
			this.physical.i32[State.exitReason >> 2] = ExitReason.fuel;
			return 0;
		}
		const record = this.find(false);
		if (record !== 0 && this.code.isKept(record)) {
			const { i32, i64 } = this.physical;
			const linear = i64[State.rip >> 3]! + this.codeBase();
			const low = Number(BigInt.asIntN(32, linear));
			const entry = JumpCache.base + ((low ^ (low >>> 12)) & (JumpCache.entries - 1)) * JumpCache.entrySize;
			i64[(entry + JumpCache.linear) >> 3] = linear;
			i32[(entry + JumpCache.context) >> 2] = i32[State.jumpContext >> 2]!;
			i32[(entry + JumpCache.record) >> 2] = record;
			if (this.code.isLinkable(record)) enterBlock(i32, this.foundPage, i32[State.codeSize >> 2]!, low & 0xfff, record);
		}
		return record;
	}

	/** InterpreterCalls. The block at State.rip, remembered in the branch's record when both lie in one page. */
	link(branch: number): number {
		const flushes = this.code.flushes;
		const { i32, i64 } = this.physical;
		const base = i64[State.ripBase >> 3]!;
		const record = this.lookup();
		if (
			record !== 0 &&
			this.code.isLinkable(record) &&
			this.code.flushes === flushes &&
			i64[State.ripBase >> 3] === base
		) {
			i32[(branch + Record.link) >> 2] = record;
		}
		return record;
	}

	/** InterpreterCalls. */
	callHelper(record: number, number: number, parameter: number): number {
		const { i32, u8 } = this.physical;
		this.beginHelper(record);
		try {
			const outcome = this.helpers[number]!(record, parameter);
			if (outcome === Outcome.next) return 0;
			i32[State.fuel >> 2]! += u8[record + Record.remaining]! - 1;
			if (outcome === Outcome.exit) i32[State.exitReason >> 2] = ExitReason.attention;
			return 1;
		} catch (fault) {
			return this.faulted(record, fault);
		} finally {
			this.currentRecord = 0;
		}
	}

	private beginHelper(record: number): void {
		const { i32, view } = this.physical;
		this.currentRecord = record;
		// In halves: this comes before every helper, and a BigInt is made anew each time.
		const low = (i32[State.ripBase >> 2]! >>> 0) + view.getUint16(record + Record.offset, true);
		i32[State.rip >> 2] = low;
		i32[(State.rip >> 2) + 1] = i32[(State.ripBase >> 2) + 1]! + (low > 0xffffffff ? 1 : 0);
	}

	/** InterpreterCalls. */
	slowRead(record: number, low: number, high: number, kind: number): number {
		this.beginHelper(record);
		try {
			this.hooks.slowRead(record, low, high, kind);
			return 0;
		} catch (fault) {
			return this.faulted(record, fault);
		} finally {
			this.currentRecord = 0;
		}
	}

	/** InterpreterCalls. */
	slowWrite(record: number, low: number, high: number, kind: number): number {
		this.beginHelper(record);
		try {
			this.hooks.slowWrite(record, low, high, kind);
			return 0;
		} catch (fault) {
			return this.faulted(record, fault);
		} finally {
			this.currentRecord = 0;
		}
	}

	private faulted(record: number, fault: unknown): number {
		if (!(fault instanceof Fault)) throw fault;
		this.physical.i32[State.fuel >> 2]! += this.physical.u8[record + Record.remaining]!;
		this.currentRecord = 0;
		this.faultingLength = this.physical.u8[record + Record.length]!;
		this.deliver(fault);
		this.faultingLength = 0;
		return 1;
	}

	private deliver(fault: Fault): boolean {
		const { i32 } = this.physical;
		if (!this.hooks.deliver(fault)) {
			i32[State.exitReason >> 2] = ExitReason.shutdown;
			return false;
		}
		const { retired } = this;
		if (retired !== this.deliveredAt) {
			this.deliveredAt = retired;
			this.deliveries = 0;
		}
		if (++this.deliveries === MOST_DELIVERIES) {
			this.deliveries = 0;
			this.inFaultStorm = true;
			if (i32[State.exitReason >> 2] === ExitReason.none) i32[State.exitReason >> 2] = ExitReason.attention;
		}
		return true;
	}

	/**
	 * Makes execute() return with ExitReason.attention after the current instruction. For memory accesses and port writes that
	 * a watchpoint or a device answers; a helper of its own returns Outcome.exit instead.
	 */
	stopAfterInstruction(): void {
		const { i32, u8, view } = this.physical;
		const record = this.currentRecord;
		if (!this.running || this.stolenFuel !== 0) return;
		if (record === 0) {
			// Between instructions: a fault is being delivered, or a block is being looked up.
			i32[State.exitReason >> 2] = ExitReason.attention;
			return;
		}
		// No further block is entered, and the rest of this one is cut off behind the instruction.
		this.stolenFuel = STOLEN_FUEL;
		i32[State.fuel >> 2]! -= STOLEN_FUEL;
		if (u8[record + Record.remaining]! > 1) {
			this.patched = record + Record.size + Record.handler;
			this.patchedHandler = view.getUint16(this.patched, true);
			view.setUint16(this.patched, PseudoHandler.end, true);
		}
	}

	/** Takes back what stopAfterInstruction() did; true when it was called. */
	private endStop(): boolean {
		if (this.stolenFuel === 0) return false;
		this.physical.i32[State.fuel >> 2]! += this.stolenFuel;
		this.stolenFuel = 0;
		if (this.patched !== 0) {
			// A block that was invalidated meanwhile keeps its resync handlers.
			if (this.physical.view.getUint16(this.patched, true) === PseudoHandler.end) {
				this.physical.view.setUint16(this.patched, this.patchedHandler, true);
			}
			this.patched = 0;
		}
		return true;
	}
}
