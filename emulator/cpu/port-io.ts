// IN, OUT, INS and OUTS (SDM Vol. 1 Chapter 19; Vol. 2, "Operation" of each).

import { Fault, Vector } from "../engine/fault.ts";
import { type Helper, Outcome } from "../engine/helper.ts";
import { Eflags } from "../isa/register-bits.ts";
import { Record, RecordFlags, Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import type { DebugRegisters } from "./debug-registers.ts";

/** The I/O port space as the processor sees it. Sizes in bytes; values are unsigned. */
export interface PortBus {
	read(port: number, size: 1 | 2 | 4): number;
	write(port: number, size: 1 | 2 | 4, value: number): void;
}

/** Offset of the I/O map base in a 32-bit or 64-bit TSS (SDM Vol. 3A Figure 7-2, Figure 7-11). */
const IO_MAP_BASE = 0x66;
const RAX = 0;
const RCX = 1;
const RDX = 2;
const RSI = 6;
const RDI = 7;
/** Iterations of a repeated instruction in one call: no more bytes than a page. */
const PAGE = 4096;

export class PortIo {
	readonly helpers: globalThis.Record<string, Helper>;

	constructor(
		private readonly core: ProcessorCore,
		private readonly ports: PortBus,
		private readonly debug: DebugRegisters,
	) {
		this.helpers = this.instructions();
	}

	/** @throws {Fault} #GP(0) when neither IOPL nor the I/O permission bitmap allows the ports (SDM Vol. 1 §19.5). */
	checkPermission(port: number, size: number): void {
		const { state, memory } = this.core;
		if (!state.protectedMode || (!state.virtual8086 && state.cpl <= state.iopl)) return;
		const limit = state.limit(Segment.tr);
		const wide = (state.access(Segment.tr) & 8) !== 0;
		if (!wide || IO_MAP_BASE + 1 > limit) throw new Fault(Vector.generalProtection, 0);
		const at = (offset: number): readonly [number, number] => {
			const sum = (state.baseLow(Segment.tr) >>> 0) + offset;
			return [sum | 0, state.longMode ? (state.baseHigh(Segment.tr) + (sum > 0xffffffff ? 1 : 0)) | 0 : 0];
		};
		const map = memory.readLinear(...at(IO_MAP_BASE), 2) + (port >> 3);
		// Two bytes are read always, so the byte after the last used one has to be inside too (SDM Vol. 1 §19.5.2).
		if (map + 1 > limit) throw new Fault(Vector.generalProtection, 0);
		const bits = memory.readLinear(...at(map), 2) >> (port & 7);
		if (bits & ((1 << size) - 1)) throw new Fault(Vector.generalProtection, 0);
	}

	private input(port: number, size: number): number {
		this.checkPermission(port, size);
		this.debug.portAccessed(port, size);
		return this.ports.read(port, size as 1 | 2 | 4);
	}

	private output(port: number, size: number, value: number): void {
		this.checkPermission(port, size);
		this.debug.portAccessed(port, size);
		this.ports.write(port, size as 1 | 2 | 4, value);
	}

	private instructions(): globalThis.Record<string, Helper> {
		const { core } = this;
		const { state, operands } = core;
		const accumulator = State.gpr + RAX * 8;
		const dx = (): number => state.gpr32(RDX) & 0xffff;
		const immediate = (record: number): number => operands.immediate(record) & 0xff;
		const input = (port: (record: number) => number): Helper => {
			return (record, size) => {
				operands.writeRegister(accumulator, size, this.input(port(record), size));
				return core.proceed(record);
			};
		};
		const output = (port: (record: number) => number): Helper => {
			return (record, size) => {
				this.output(port(record), size, operands.readRegister(accumulator, size));
				return core.proceed(record);
			};
		};
		return {
			in: input(immediate),
			inDx: input(dx),
			out: output(immediate),
			outDx: output(dx),
			ins: (record, size) => this.repeat(record, size, RDI, () => this.inputString(record, size)),
			outs: (record, size) => this.repeat(record, size, RSI, () => this.outputString(record, size)),
		};
	}

	/** Offset of RSI or RDI in the instruction's address size. */
	private index(record: number, register: number): readonly [number, number] {
		const { state } = this.core;
		const low = state.gpr32(register);
		const shift = state.u8[record + Record.addressShift]!;
		if (shift === 48) return [low & 0xffff, 0];
		return [low, shift === 0 ? state.i32[((State.gpr + register * 8) >> 2) + 1]! : 0];
	}

	private inputString(record: number, size: number): void {
		const { state, memory } = this.core;
		const port = state.gpr32(RDX) & 0xffff;
		const [low, high] = this.index(record, RDI);
		this.checkPermission(port, size);
		// The destination has to be writable before the device is read.
		memory.probeWrite(Segment.es, low, high, size);
		memory.write(Segment.es, low, high, size, this.input(port, size));
	}

	private outputString(record: number, size: number): void {
		const { state, memory, operands } = this.core;
		const port = state.gpr32(RDX) & 0xffff;
		const [low, high] = this.index(record, RSI);
		this.checkPermission(port, size);
		const value = memory.read(operands.segment(record) as SegmentIndex, low, high, size);
		this.output(port, size, value);
	}

	/** One iteration, or with REP as many as a page, the fuel and pending events allow. */
	private repeat(record: number, size: number, register: number, iteration: () => void): Outcome {
		const { core } = this;
		const { state, operands } = core;
		const shift = state.u8[record + Record.addressShift]!;
		const step = state.flagsRest & Eflags.DF ? -size : size;
		if ((operands.flags(record) & (RecordFlags.rep | RecordFlags.repne)) === 0) {
			iteration();
			this.advanceIndex(register, step, shift);
			return core.proceed(record);
		}
		const fuel = State.fuel >> 2;
		if (this.count(shift) === 0n) {
			// The SDM does not say whether the port matters when nothing is transferred; processors look at the permission first.
			this.checkPermission(state.gpr32(RDX) & 0xffff, size);
			return core.proceed(record);
		}
		for (let done = 1; ; done++) {
			iteration();
			this.advanceIndex(register, step, shift);
			this.advanceIndex(RCX, -1, shift);
			if (this.count(shift) === 0n) return core.proceed(record);
			const outcome = core.leave();
			// Unfinished: RIP stays at this instruction, and the rest is another instruction to whoever counts.
			if (outcome === Outcome.exit || done * size >= PAGE || state.i32[fuel]! <= 1) return outcome;
			state.i32[fuel] = state.i32[fuel]! - 1;
		}
	}

	private count(shift: number): bigint {
		return BigInt.asUintN(64 - shift, this.core.state.gpr64(RCX));
	}

	private advanceIndex(register: number, step: number, shift: number): void {
		const { state } = this.core;
		const at = State.gpr + register * 8;
		if (shift === 48) state.view.setUint16(at, (state.gpr32(register) + step) & 0xffff, true);
		else if (shift === 32) state.setGpr32(register, (state.gpr32(register) + step) | 0);
		else state.setGpr64(register, state.gpr64(register) + BigInt(step));
	}
}
