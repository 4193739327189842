// A processor in 64-bit mode with flat memory and nothing around it, that runs one instruction from a given
// floating-point state.

import { ArchitecturalProcessor } from "../../emulator/cpu/processor.ts";
import { ExecutionEngine } from "../../emulator/engine/execution-engine.ts";
import { PhysicalMemory } from "../../emulator/engine/physical-memory.ts";
import { TranslationLookasideBuffer } from "../../emulator/engine/translation-lookaside-buffer.ts";
import { Segment, State } from "../../emulator/isa/state.ts";

export const CODE = 0x10000;
export const DATA = 0x200000;
/** An XSAVE area, and some bytes behind it. */
export const DATA_BYTES = 640;

/** Registers and memory that a test gives and gets back. `fx` has the layout of FXSAVE64. */
export interface InstructionState {
	fx: Uint8Array;
	/** RAX, RCX, RDX, RBX; RSI and RDI hold DATA. */
	gpr: BigUint64Array;
	flags: bigint;
	/** At DATA: DATA_BYTES, or more. */
	data: Uint8Array;
	/** Vector of the exception, -1 when there was none. */
	vector: number;
}

/** OSFXSR, OSXMMEXCPT, OSXSAVE. */
const CR4 = 0x40600;

export class BareMachine {
	private readonly physical = new PhysicalMemory(0x400000);
	private readonly processor: ArchitecturalProcessor;
	private readonly engine: ExecutionEngine;
	private vector = -1;
	/** Calls of helpers since the machine was made. */
	helperCalls = 0;

	constructor() {
		const tlb = new TranslationLookasideBuffer(this.physical);
		this.processor = new ArchitecturalProcessor({
			physical: this.physical,
			tlb,
			ports: { read: () => 0, write: () => {} } as never,
			timestamp: () => 0,
			retired: () => 0,
		});
		const hooks = this.processor;
		this.engine = new ExecutionEngine(this.physical, tlb, {
			helpers: Object.fromEntries(
				Object.entries(hooks.helpers).map(([name, helper]) => [
					name,
					(record: number, parameter: number) => {
						this.helperCalls++;
						return helper(record, parameter);
					},
				]),
			),
			slowRead: (...a) => hooks.slowRead(...a),
			slowWrite: (...a) => hooks.slowWrite(...a),
			fetchAddress: (rip) => hooks.fetchAddress(rip),
			deliver: (fault) => {
				this.vector = fault.vector;
				return false;
			},
		});
		const { state } = this.processor.core;
		state.cr0 = 0x21;
		state.cr4 = CR4;
		this.physical.i32[State.xcr0 >> 2] = 3;
		state.efer = 0x500;
		for (const segment of [Segment.ds, Segment.es, Segment.ss])
			state.setSegment(segment, 0x10, 0xc093, 0, 0, 0xffffffff | 0);
		state.setSegment(Segment.cs, 8, 0xa09b, 0, 0, 0xffffffff | 0);
		state.updateMode();
	}

	/** CR0 and CR4 for the instructions that follow. */
	setControl(cr0: number, cr4: number): void {
		const { state } = this.processor.core;
		state.cr0 = cr0;
		state.cr4 = cr4;
		state.updateMode();
	}

	private load(before: InstructionState): void {
		const { i32, i64, u8 } = this.physical;
		const { fx } = before;
		const fxView = new DataView(fx.buffer, fx.byteOffset);
		this.physical.poke(DATA, before.data);
		i32[State.x87Status >> 2] = fxView.getUint16(2, true);
		i32[State.x87Tag >> 2] = fx[4]!;
		i32[State.x87Control >> 2] = fxView.getUint16(0, true);
		i32[State.mxcsr >> 2] = fxView.getInt32(24, true);
		const top = (fxView.getUint16(2, true) >> 11) & 7;
		for (let n = 0; n < 8; n++) u8.set(fx.subarray(32 + n * 16, 42 + n * 16), State.x87 + ((top + n) & 7) * 16);
		u8.set(fx.subarray(160, 416), State.xmm);
		for (let n = 0; n < 4; n++) i64[(State.gpr >> 3) + n] = BigInt.asIntN(64, before.gpr[n]!);
		i64[(State.gpr >> 3) + 6] = BigInt(DATA);
		i64[(State.gpr >> 3) + 7] = BigInt(DATA);
		i64[State.flagsResult >> 3] = 1n;
		i32[State.flagsAux >> 2] = 0;
		i64[State.rip >> 3] = BigInt(CODE);
		this.vector = -1;
	}

	/** Runs the instruction and returns the state after it. */
	run(code: Uint8Array, before: InstructionState): InstructionState {
		this.physical.poke(CODE, code);
		this.load(before);
		this.engine.step();
		return this.after(before);
	}

	/** The same in compiled code: with a jump back behind it, which is a block that is compiled when it has run once. */
	runCompiled(code: Uint8Array, before: InstructionState): InstructionState {
		this.physical.poke(CODE, new Uint8Array([...code, 0xeb, 0x100 - code.length - 2]));
		this.load(before);
		this.engine.execute(2);
		this.engine.regions!.compilePage(CODE >> 12, 3);
		this.load(before);
		this.engine.execute(2);
		return this.after(before);
	}

	/** Instructions that compiled code has retired. */
	get compiled(): number {
		return this.engine.tiers.compiled;
	}

	private after(before: InstructionState): InstructionState {
		const { i32, i64, u8 } = this.physical;
		const after = new Uint8Array(512);
		const afterView = new DataView(after.buffer);
		afterView.setUint16(0, i32[State.x87Control >> 2]!, true);
		afterView.setUint16(2, i32[State.x87Status >> 2]!, true);
		after[4] = i32[State.x87Tag >> 2]!;
		afterView.setInt32(24, i32[State.mxcsr >> 2]!, true);
		const newTop = (i32[State.x87Status >> 2]! >> 11) & 7;
		for (let n = 0; n < 8; n++) {
			const at = State.x87 + ((newTop + n) & 7) * 16;
			after.set(u8.subarray(at, at + 10), 32 + n * 16);
		}
		after.set(u8.subarray(State.xmm, State.xmm + 256), 160);
		const gpr = new BigUint64Array(4);
		for (let n = 0; n < 4; n++) gpr[n] = BigInt.asUintN(64, i64[(State.gpr >> 3) + n]!);
		const data = this.physical.peek(DATA, before.data.length)!;
		return { fx: after, gpr, flags: this.flags(), data, vector: this.vector };
	}

	/** ZF, PF, CF, SF, OF, AF from their lazy form. */
	private flags(): bigint {
		const { i32, i64 } = this.physical;
		const result = i64[State.flagsResult >> 3]!;
		const aux = i32[State.flagsAux >> 2]!;
		const carry = (aux >>> 31) & 1;
		const overflow = carry ^ ((aux >>> 30) & 1);
		let low = Number(BigInt.asUintN(8, result)) ^ ((aux >> 8) & 0xff);
		let parity = 1;
		for (; low; low >>= 1) parity ^= low & 1;
		const sign = (result < 0n ? 1 : 0) ^ (aux & 1);
		return BigInt(
			carry | (parity << 2) | (((aux >> 3) & 1) << 4) | ((result === 0n ? 1 : 0) << 6) | (sign << 7) | (overflow << 11),
		);
	}
}
