// A processor in real-address mode with flat memory, into which the state of a single-step test is put for one instruction.

import { ArchitecturalProcessor, type ProcessorSurroundings } from "../../emulator/cpu/processor.ts";
import { Activity, Internal } from "../../emulator/cpu/processor-state.ts";
import { ExecutionEngine } from "../../emulator/engine/execution-engine.ts";
import type { Fault } from "../../emulator/engine/fault.ts";
import { PhysicalMemory } from "../../emulator/engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../../emulator/engine/translation-lookaside-buffer.ts";
import { RAM_BASE, Segment, type SegmentIndex } from "../../emulator/isa/state.ts";
import type { ProcessorSnapshot, RegisterName, SingleStepTest } from "./moo-file.ts";

/** Up to FFFF:FFFF. */
const RAM_BYTES = 0x200000;
const general: Partial<Record<RegisterName, number>> = { ax: 0, cx: 1, dx: 2, bx: 3, sp: 4, bp: 5, si: 6, di: 7 };
const segments: Partial<Record<RegisterName, SegmentIndex>> = {
	es: Segment.es,
	cs: Segment.cs,
	ss: Segment.ss,
	ds: Segment.ds,
};
/** A present, writable data segment; real-address mode looks at nothing else. */
const DATA_ACCESS = 0x93;
/** IOPL and NT cannot be set in real-address mode by an 80286, whose tests have random bits there. */
const FLAGS = 0x0fd5;
/** More than any count of a repeated instruction in the tests. */
const MOST_ITERATIONS = 70_000;

class SteppedProcessor extends ArchitecturalProcessor {
	fault: Fault | undefined;

	/** Delivers the exception and lets the engine stop there. */
	override deliver(fault: Fault): boolean {
		this.fault = fault;
		super.deliver(fault);
		return false;
	}
}

export class RealModeStepper {
	private readonly physical = new PhysicalMemory(RAM_BYTES);
	private readonly processor: SteppedProcessor;
	private readonly engine: ExecutionEngine;

	constructor() {
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
		this.engine = new ExecutionEngine(physical, tlb, this.processor);
	}

	/** Executes the instruction of a test, all its repetitions. @returns the vector of the exception that it raised. */
	run(test: SingleStepTest): number | undefined {
		const { processor, engine } = this;
		const { state } = processor.core;
		this.load(test.initial);
		const start = state.rip;
		const cs = state.selector(Segment.cs);
		const repeats = isRepeated(test.bytes);
		for (let n = 0; n < MOST_ITERATIONS; n++) {
			engine.step();
			if (processor.fault !== undefined || !repeats) break;
			if (state.rip !== start || state.selector(Segment.cs) !== cs) break;
		}
		return processor.fault?.vector;
	}

	private load({ registers, memory }: ProcessorSnapshot): void {
		const { processor, physical } = this;
		const { state, flags } = processor.core;
		processor.fault = undefined;
		state.i32[Internal.activity >> 2] = Activity.active;
		for (const [address, byte] of memory) physical.poke(address, Uint8Array.of(byte));
		for (const [name, value] of Object.entries(registers) as [RegisterName, number][]) {
			const segment = segments[name];
			if (segment !== undefined) state.setSegment(segment, value, DATA_ACCESS, value << 4, 0, 0xffff);
			const register = general[name];
			if (register !== undefined) state.setGpr64(register, BigInt(value));
		}
		state.rip = BigInt(registers.ip ?? 0);
		flags.writeEflags(((registers.flags ?? 0) & FLAGS) | 2, -1);
		state.updateMode();
	}

	get halted(): boolean {
		return this.processor.activity === Activity.halted;
	}

	register(name: RegisterName): number {
		const { state, flags } = this.processor.core;
		if (name === "ip") return Number(state.rip & 0xffffn);
		if (name === "flags") return flags.readEflags() & 0xffff;
		const segment = segments[name];
		return segment !== undefined ? state.selector(segment) : Number(state.gpr64(general[name]!) & 0xffffn);
	}

	byte(address: number): number {
		return this.physical.u8[RAM_BASE + address]!;
	}

	/** Puts zeros where the test put bytes, and where it found some. */
	clear(test: SingleStepTest): void {
		for (const { memory } of [test.initial, test.final])
			for (const [address] of memory) this.physical.poke(address, Uint8Array.of(0));
	}
}

const prefixes = new Set([0x26, 0x2e, 0x36, 0x3e, 0xf0, 0xf2, 0xf3]);

/** A string instruction behind REP, REPE or REPNE. */
function isRepeated(bytes: Uint8Array): boolean {
	let repeated = false;
	for (const byte of bytes) {
		if (byte === 0xf2 || byte === 0xf3) repeated = true;
		if (!prefixes.has(byte)) return repeated && ((byte >= 0x6c && byte < 0x70) || (byte >= 0xa4 && byte < 0xb0));
	}
	return false;
}
