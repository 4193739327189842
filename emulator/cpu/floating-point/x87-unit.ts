// The x87 registers, as they lie in the processor's state bytes (SDM Vol. 1 §8.1).

import { Fault, Vector } from "../../engine/fault.ts";
import { AccessKind, type ProcessorHooks } from "../../engine/helper.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { RecordReader } from "../../engine/record.ts";
import { Segment, type SegmentIndex, SegmentSlot, State, segmentSlot } from "../../isa/state.ts";
import { Flag, type Unpacked } from "./binary-float.ts";
import { type Extended, indefinite, packExtended, type Result, unpackExtended } from "./extended.ts";

/** Status word bits (SDM Vol. 1 §8.1.3). */
export const Status = {
	errorSummary: 0x80,
	c0: 0x100,
	c1: 0x200,
	c2: 0x400,
	topShift: 11,
	top: 0x3800,
	c3: 0x4000,
	busy: 0x8000,
} as const;

/** What the floating-point helpers need of the processor. */
export interface FloatingPointHost {
	readonly physical: PhysicalMemory;
	/** The memory accesses of ProcessorHooks: values pass through State.exchange. @throws {Fault} */
	readonly slowRead: ProcessorHooks["slowRead"];
	readonly slowWrite: ProcessorHooks["slowWrite"];
	/** Raises what a write of this size there would raise, without writing. @throws {Fault} */
	probeWrite(segment: SegmentIndex, offsetLow: number, offsetHigh: number, size: number): void;
	readonly fetchAddress: ProcessorHooks["fetchAddress"];
	/**
	 * FERR# is asserted: an unmasked x87 exception is pending while CR0.NE is clear (SDM Vol. 1 §8.7.2; IRQ 13 in a
	 * PC).
	 */
	ferr(): void;
}

const CR0_NE = 0x20;
/** Bytes of State.exchange. */
const CHUNK = 32;

export class X87Unit {
	readonly records: RecordReader;
	private readonly i32: Int32Array;
	private readonly i64: BigInt64Array;
	readonly u8: Uint8Array;
	readonly view: DataView;

	constructor(readonly host: FloatingPointHost) {
		const { physical } = host;
		this.records = new RecordReader(physical);
		this.i32 = physical.i32;
		this.i64 = physical.i64;
		this.u8 = physical.u8;
		this.view = physical.view;
	}

	get control(): number {
		return this.i32[State.x87Control >> 2]!;
	}

	/**
	 * Sets the control word: reserved bits read as hardware gives them; ES follows the masks (SDM Vol. 1 §8.1.5,
	 * §8.3.3).
	 */
	set control(value: number) {
		this.i32[State.x87Control >> 2] = (value & 0x1f3f) | 0x40;
		this.summarize();
	}

	get status(): number {
		return this.i32[State.x87Status >> 2]!;
	}

	set status(value: number) {
		this.i32[State.x87Status >> 2] = value;
	}

	/** The abridged tag word: bit n set = physical register n is not empty. */
	get tag(): number {
		return this.i32[State.x87Tag >> 2]!;
	}

	set tag(value: number) {
		this.i32[State.x87Tag >> 2] = value & 0xff;
	}

	get top(): number {
		return (this.status >> Status.topShift) & 7;
	}

	set top(value: number) {
		this.status = (this.status & ~Status.top) | ((value & 7) << Status.topShift);
	}

	/** ES and B from the flags and masks. */
	summarize(): void {
		const pending = this.status & ~this.control & Flag.all;
		const rest = this.status & ~(Status.errorSummary | Status.busy);
		this.status = pending ? rest | Status.errorSummary | Status.busy : rest;
	}

	/** Adds exception flags; C1 is as given. */
	raise(flags: number, c1: boolean): void {
		this.status = (this.status & ~Status.c1) | flags | (c1 ? Status.c1 : 0);
		this.summarize();
		if (flags & ~this.control & Flag.all) this.recordOpcode();
	}

	private slot(index: number): number {
		return (this.top + index) & 7;
	}

	isEmpty(index: number): boolean {
		return (this.tag & (1 << this.slot(index))) === 0;
	}

	/** The bits of ST(index). */
	bits(index: number): Extended {
		return this.physicalBits(this.slot(index));
	}

	/** The bits of data register Rn. */
	physicalBits(register: number): Extended {
		const at = State.x87 + register * 16;
		return { high: this.view.getUint16(at + 8, true), low: this.view.getBigUint64(at, true) };
	}

	setPhysicalBits(register: number, value: Extended): void {
		const at = State.x87 + register * 16;
		this.view.setBigUint64(at, value.low, true);
		this.view.setUint16(at + 8, value.high, true);
	}

	read(index: number): Unpacked {
		return unpackExtended(this.bits(index));
	}

	writeBits(index: number, value: Extended): void {
		this.setPhysicalBits(this.slot(index), value);
		this.tag |= 1 << this.slot(index);
	}

	write(index: number, value: Unpacked): void {
		this.writeBits(index, packExtended(value));
	}

	pop(): void {
		this.tag &= ~(1 << this.slot(0));
		this.top = this.top + 1;
	}

	/** Marks ST(index) empty. */
	free(index: number): void {
		this.tag &= ~(1 << this.slot(index));
	}

	/**
	 * Pushes a value; on a full stack the overflow response (SDM Vol. 1 §8.5.1.1).
	 * @returns false when nothing was pushed.
	 */
	pushBits(value: Extended, flags = 0): boolean {
		if (!this.isEmpty(7)) {
			this.raise(Flag.invalid | Flag.stackFault, true);
			if ((this.control & Flag.invalid) === 0) return false;
			this.top = this.top - 1;
			this.writeBits(0, indefinite);
			return true;
		}
		this.raise(flags, false);
		if (flags & ~this.control & (Flag.invalid | Flag.denormal)) return false;
		this.top = this.top - 1;
		this.writeBits(0, value);
		return true;
	}

	/** The stack-underflow response: the indefinite goes to ST(destination) when masked. @returns true when masked. */
	underflow(destination: number | undefined): boolean {
		this.raise(Flag.invalid | Flag.stackFault, false);
		if ((this.control & Flag.invalid) === 0) return false;
		if (destination !== undefined) this.writeBits(destination, indefinite);
		return true;
	}

	/**
	 * Writes a result to ST(destination) and raises its flags. @returns false when an unmasked exception kept the
	 * destination.
	 */
	finish(destination: number, result: Result): boolean {
		this.raise(result.flags, result.up);
		if (result.value === undefined) return false;
		this.write(destination, result.value);
		return true;
	}

	/** C0, C2, C3 as status bits; the others stay. */
	setConditions(bits: number): void {
		this.status = (this.status & ~(Status.c0 | Status.c2 | Status.c3)) | bits;
	}

	/** #MF or FERR# when an exception is pending: before waiting instructions (SDM Vol. 1 §8.6, §8.7). */
	checkPending(): void {
		if ((this.status & Status.errorSummary) === 0) return;
		if (this.i32[State.cr0 >> 2]! & CR0_NE) throw new Fault(Vector.x87FloatingPoint);
		// Deviation: the processor would stop until IGNNE# or an interrupt; here the instruction goes on, and IRQ 13 follows.
		this.host.ferr();
	}

	/** Remembers the instruction and its memory operand (SDM Vol. 1 §8.1.8); not for control instructions. */
	recordInstruction(record: number): void {
		const { i32, i64 } = this;
		i64[State.x87InstructionPointer >> 3] = i64[State.rip >> 3]!;
		i32[State.x87InstructionSelector >> 2] = this.selector(Segment.cs);
		if (!this.records.isMemory(record)) return;
		i64[State.x87DataPointer >> 3] = this.records.effectiveAddress(record);
		i32[State.x87DataSelector >> 2] = this.selector(this.records.segment(record) as SegmentIndex);
	}

	private selector(segment: SegmentIndex): number {
		return this.i32[(segmentSlot(segment) + SegmentSlot.selector) >> 2]!;
	}

	/**
	 * The low 11 bits of the instruction's opcode, kept for unmasked exceptions only, as processors since the Pentium 4 do
	 * (SDM Vol. 1 §8.1.9.1).
	 */
	private recordOpcode(): void {
		const rip = this.i64[State.x87InstructionPointer >> 3]!;
		try {
			for (let at = 0n; at < 15n; at++) {
				const byte = this.codeByte(rip + at);
				if ((byte & 0xf8) !== 0xd8) continue;
				this.i32[State.x87Opcode >> 2] = ((byte & 7) << 8) | this.codeByte(rip + at + 1n);
				return;
			}
		} catch (fault) {
			// The code page went away under the instruction: the old opcode stays.
			if (!(fault instanceof Fault)) throw fault;
		}
	}

	private codeByte(rip: bigint): number {
		const address = this.host.fetchAddress(rip);
		return this.host.physical.peek(address, 1)?.[0] ?? 0;
	}

	/**
	 * Writes the memory operand from bytes, all or nothing as far as faults go.
	 * @param operandSize bytes that have to be writable, when more than are written.
	 * @param displacement of the bytes in the operand.
	 * @throws {Fault}
	 */
	writeMemory(record: number, bytes: Uint8Array, operandSize = bytes.length, displacement = 0): void {
		const segment = this.records.segment(record) as SegmentIndex;
		const start = this.records.effectiveAddress(record) + BigInt(displacement);
		if (operandSize > CHUNK) this.probeWrite(record, operandSize, displacement);
		for (let done = 0; done < bytes.length; done += CHUNK) {
			const part = bytes.subarray(done, Math.min(done + CHUNK, bytes.length));
			this.u8.set(part, State.exchange);
			this.transfer(record, segment, start + BigInt(done), part.length, true);
		}
	}

	/** Raises what a write of so many bytes of the memory operand would raise, without writing. @throws {Fault} */
	probeWrite(record: number, size: number, displacement = 0): void {
		const offset = this.records.maskAddress(record, this.records.effectiveAddress(record) + BigInt(displacement));
		const low = Number(BigInt.asIntN(32, offset));
		const high = Number(BigInt.asIntN(32, offset >> 32n));
		this.host.probeWrite(this.records.segment(record) as SegmentIndex, low, high, size);
	}

	/** Reads bytes of the memory operand. @throws {Fault} */
	readMemory(record: number, length: number, displacement = 0): Uint8Array {
		const segment = this.records.segment(record) as SegmentIndex;
		const start = this.records.effectiveAddress(record) + BigInt(displacement);
		const bytes = new Uint8Array(length);
		for (let done = 0; done < length; done += CHUNK) {
			const size = Math.min(CHUNK, length - done);
			this.transfer(record, segment, start + BigInt(done), size, false);
			bytes.set(this.u8.subarray(State.exchange, State.exchange + size), done);
		}
		return bytes;
	}

	private transfer(record: number, segment: SegmentIndex, address: bigint, size: number, write: boolean): void {
		const offset = this.records.maskAddress(record, address);
		const low = Number(BigInt.asIntN(32, offset));
		const high = Number(BigInt.asIntN(32, offset >> 32n));
		const kind = size | (segment << AccessKind.segmentShift);
		if (write) this.host.slowWrite(record, low, high, kind);
		else this.host.slowRead(record, low, high, kind);
	}
}
