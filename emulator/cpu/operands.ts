// Operands of decoded instructions, for helpers.

import type { Outcome } from "../engine/helper.ts";
import { RecordReader } from "../engine/record.ts";
import { Record, Segment, type SegmentIndex, State } from "../isa/state.ts";
import type { MemoryAccess } from "./memory-access.ts";
import type { ProcessorState } from "./processor-state.ts";

/** Index of the low word of RSP. */
const STACK_POINTER = (State.gpr + 4 * 8) >> 2;

export class Operands extends RecordReader {
	/** High half of the last operand of 8 bytes that was read. */
	high = 0;
	/** Offset of the memory operand that locate() found, as i32 halves. */
	offsetLow = 0;
	offsetHigh = 0;
	private spLow = 0;
	private spHigh = 0;

	constructor(
		private readonly state: ProcessorState,
		private readonly memory: MemoryAccess,
	) {
		super(state.physical);
	}

	/** Finds the offset of the memory operand plus `displacement` bytes. */
	locate(record: number, displacement = 0): void {
		const { u8, i32 } = this.state;
		const shift = u8[record + Record.addressShift]!;
		if (shift === 0) {
			const offset = this.effectiveAddress(record) + BigInt(displacement);
			this.offsetLow = Number(BigInt.asIntN(32, offset));
			this.offsetHigh = Number(BigInt.asIntN(32, offset >> 32n));
			return;
		}
		const base = i32[u8[record + Record.base]! * 2]!;
		const index = i32[u8[record + Record.index]! * 2]!;
		const offset = (base + (index << u8[record + Record.scale]!) + i32[(record + Record.displacement) >> 2]!) | 0;
		this.offsetLow = ((shift === 48 ? offset & 0xffff : offset) + displacement) | 0;
		this.offsetHigh = 0;
	}

	/** Reads `size` bytes at the memory operand plus `displacement`. The low half of 8 bytes; the high half is in `high`. @throws {Fault} */
	readMemory(record: number, size: number, displacement = 0): number {
		this.locate(record, displacement);
		const value = this.memory.read(this.segmentOf(record), this.offsetLow, this.offsetHigh, size);
		if (size === 8) this.high = this.memory.valueHigh;
		return value;
	}

	/** @throws {Fault} */
	writeMemory(record: number, size: number, value: number, high = 0, displacement = 0): void {
		this.locate(record, displacement);
		this.memory.write(this.segmentOf(record), this.offsetLow, this.offsetHigh, size, value, high);
	}

	segmentOf(record: number): SegmentIndex {
		return this.segment(record) as SegmentIndex;
	}

	/** A register at a byte offset in the state: unsigned, the low half of 8 bytes; the high half is in `high`. */
	readRegister(at: number, size: number): number {
		const { u8, view, i32 } = this.state;
		if (size === 1) return u8[at]!;
		if (size === 2) return view.getUint16(at, true);
		if (size === 8) this.high = i32[(at >> 2) + 1]!;
		return i32[at >> 2]! >>> 0;
	}

	/** Writes a register; 4 bytes clear the upper half, 1 and 2 leave the rest (SDM Vol. 1 §3.4.1.1). */
	writeRegister(at: number, size: number, value: number, high = 0): void {
		const { u8, view, i32 } = this.state;
		if (size === 1) u8[at] = value;
		else if (size === 2) view.setUint16(at, value & 0xffff, true);
		else {
			i32[at >> 2] = value;
			i32[(at >> 2) + 1] = size === 8 ? high : 0;
		}
	}

	/** The r/m operand, register `operand` of the record or memory. @throws {Fault} */
	readRm(record: number, operand: 0 | 1 | 2, size: number): number {
		if (this.isMemory(record)) return this.readMemory(record, size);
		return this.readRegister(this.register(record, operand), size);
	}

	/** @throws {Fault} */
	writeRm(record: number, operand: 0 | 1 | 2, size: number, value: number, high = 0): void {
		if (this.isMemory(record)) this.writeMemory(record, size, value, high);
		else this.writeRegister(this.register(record, operand), size, value, high);
	}

	/** RIP of the next instruction: low half; the high half is in `high`. */
	nextRip(record: number): number {
		const { i32 } = this.state;
		const sum = (i32[State.rip >> 2]! >>> 0) + this.length(record);
		const carry = sum > 0xffffffff ? 1 : 0;
		this.high = this.state.mode64 ? (i32[(State.rip >> 2) + 1]! + carry) | 0 : 0;
		return sum | 0;
	}

	/** Sets State.rip to the next instruction and returns the outcome. */
	advance(record: number, outcome: Outcome): Outcome {
		const low = this.nextRip(record);
		this.state.setRip(low, this.high);
		return outcome;
	}

	// The stack of the current privilege level.

	/** Value at `displacement` bytes above the stack pointer; the high half of 8 bytes is in `high`. @throws {Fault} */
	peekStack(displacement: number, size: number): number {
		this.locateStack(displacement);
		const value = this.memory.read(Segment.ss, this.spLow, this.spHigh, size);
		if (size === 8) this.high = this.memory.valueHigh;
		return value;
	}

	/** Writes at `displacement` bytes from the stack pointer, which stays. @throws {Fault} */
	pokeStack(displacement: number, size: number, value: number, high = 0): void {
		this.locateStack(displacement);
		this.memory.write(Segment.ss, this.spLow, this.spHigh, size, value, high);
	}

	/** Puts the stack pointer plus `displacement`, in the stack's address size, into spLow and spHigh. */
	private locateStack(displacement: number): void {
		const { i32 } = this.state;
		const shift = i32[State.stackMaskShift >> 2]!;
		const low = i32[STACK_POINTER]!;
		const sum = (low + displacement) | 0;
		this.spLow = shift === 48 ? sum & 0xffff : sum;
		this.spHigh = 0;
		if (shift === 0) {
			const wrapped = displacement < 0 ? sum >>> 0 > low >>> 0 : sum >>> 0 < low >>> 0;
			this.spHigh = (i32[STACK_POINTER + 1]! + (wrapped ? Math.sign(displacement) : 0)) | 0;
		}
	}

	/** Moves the stack pointer by `bytes`, in the stack's address size. */
	moveStack(bytes: number): void {
		this.locateStack(bytes);
		this.setStack(this.spLow, this.spHigh);
	}

	/** Sets SP, ESP or RSP by the stack's address size; a 16-bit stack keeps the upper bits. */
	setStack(low: number, high: number): void {
		const { state } = this;
		const shift = state.i32[State.stackMaskShift >> 2]!;
		const at = STACK_POINTER;
		if (shift === 48) state.i32[at] = (state.i32[at]! & ~0xffff) | (low & 0xffff);
		else {
			state.i32[at] = low;
			state.i32[at + 1] = shift === 0 ? high : 0;
		}
	}

	push(size: number, value: number, high = 0): void {
		this.pokeStack(-size, size, value, high);
		this.moveStack(-size);
	}
}
