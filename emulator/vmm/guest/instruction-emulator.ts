// Executes one guest instruction in the VMM: device memory, write-traced pages, addresses that belong to the VMM, %gs and
// %cs overrides. Only instructions that address memory, and of these the integer ones and MOV of x87-free data.

import { Segment, type SegmentIndex } from "../../isa/state.ts";
import type { InstructionBytes } from "../translate/instruction-bytes.ts";
import { ARITHMETIC_FLAGS, add, condition, Flag, group1, group2, logic, subtract } from "./arithmetic.ts";
import type { GuestRegisters } from "./guest-registers.ts";

type Size = 1 | 2 | 4;
/** "again": a repeated instruction is not done; "jumped": EIP is set. */
type Outcome = "done" | "again" | "jumped" | "unknown";

/** Memory as the instruction addresses it: through a segment, with every check. */
export interface SegmentedMemory {
	/** Linear address of a range in a segment. @throws {GuestFault} #GP, #SS */
	linear(segment: SegmentIndex, offset: number, size: number, write: boolean): number;
	/** @throws {GuestFault} #PF */
	read(linear: number, size: Size): number;
	/** @throws {GuestFault} #PF */
	write(linear: number, size: Size, value: number): void;
	/** What PUSHF pushes. */
	flagsImage(): number;
	/** The guest's selector in a segment register. */
	selector(segment: SegmentIndex): number;
}

/** Iterations of a repeated string instruction in one go; the rest comes after the interrupts. Few, for the run loop counts a burst as one. */
const STRING_BURST = 32;
const { cf: CF, zf: ZF, df: DF } = Flag;
const [EAX, ECX, EDX, EBX, ESI, EDI] = [0, 1, 2, 3, 6, 7] as const;

export class InstructionEmulator {
	private i!: InstructionBytes;

	constructor(
		private readonly registers: GuestRegisters,
		private readonly memory: SegmentedMemory,
	) {}

	/**
	 * Executes the instruction and moves EIP behind it (a repeated one that is not done keeps it). False when it is none that
	 * this emulator knows; nothing has changed then. @throws {GuestFault} with nothing changed but what repeated steps did
	 */
	execute(instruction: InstructionBytes, next: number): boolean {
		this.i = instruction;
		const { opcode } = instruction;
		const result = opcode < 0x100 ? this.oneByte(opcode, next) : this.twoBytes(opcode);
		if (result === "unknown") return false;
		if (result === "done") this.registers.eip = next >>> 0;
		return true;
	}

	private size(opcode: number): Size {
		return (opcode & 1) === 0 ? 1 : this.i.operandSize16 ? 2 : 4;
	}

	private get wide(): 2 | 4 {
		return this.i.operandSize16 ? 2 : 4;
	}

	// Operands.

	/** Offset of the ModRM memory operand in its segment, plus `displaced` bytes, masked to the address size. */
	private effectiveOffset(displaced = 0): number {
		const { i, registers } = this;
		let offset = i.displacement + displaced;
		if (i.base >= 0) offset += registers.read32(i.base);
		if (i.index >= 0) offset += registers.read32(i.index) * 2 ** i.scale;
		// The sum stays below 2^53 in magnitude, so its remainder is exact.
		const modulus = i.addressSize16 ? 0x10000 : 0x100000000;
		return ((offset % modulus) + modulus) % modulus;
	}

	private address(size: number, write: boolean): number {
		return this.memory.linear(this.i.segment, this.effectiveOffset(), size, write);
	}

	/** Makes `instruction` the one whose operands the methods below speak of. */
	begin(instruction: InstructionBytes): void {
		this.i = instruction;
	}

	/** Offset of the memory operand. */
	operandOffset(): number {
		return this.effectiveOffset();
	}

	/** Linear address of the memory operand, checked for an access of `size` bytes. @throws {GuestFault} */
	operandAddress(size: number, write: boolean): number {
		return this.address(size, write);
	}

	/** @throws {GuestFault} */
	readOperand(size: Size): number {
		return this.readRm(size);
	}

	/** @throws {GuestFault} */
	writeOperand(size: Size, value: number): void {
		this.writeRm(size, value);
	}

	/** @throws {GuestFault} */
	pushValue(value: number): void {
		this.push(value);
	}

	/** Reads the ModRM operand, changes it, writes it. `change` gives the new value, or undefined for none. */
	private modify(size: Size, change: (old: number) => number | undefined): void {
		const { i, registers, memory } = this;
		if (!i.inMemory) {
			const value = change(registers.read(i.rm, size));
			if (value !== undefined) registers.write(i.rm, size, value);
			return;
		}
		const at = this.address(size, true);
		const value = change(memory.read(at, size));
		if (value !== undefined) memory.write(at, size, value);
	}

	private readRm(size: Size): number {
		const { i, registers } = this;
		return i.inMemory ? this.memory.read(this.address(size, false), size) : registers.read(i.rm, size);
	}

	private writeRm(size: Size, value: number): void {
		const { i, registers } = this;
		if (i.inMemory) this.memory.write(this.address(size, true), size, value);
		else registers.write(i.rm, size, value);
	}

	private setFlags(flags: number, affected = ARITHMETIC_FLAGS): void {
		this.registers.eflags = (this.registers.eflags & ~affected) | (flags & affected);
	}

	private get carry(): number {
		return this.registers.eflags & CF;
	}

	private oneByte(opcode: number, next: number): Outcome {
		const { i, registers } = this;
		if (opcode < 0x40 && (opcode & 7) < 4) return this.arithmetic(opcode);
		switch (opcode) {
			case 0x80:
			case 0x81:
			case 0x83: {
				const size = this.size(opcode);
				const immediate = i.immediate(opcode === 0x81 ? size : 1);
				const b = size === 4 ? immediate >>> 0 : immediate & (size === 2 ? 0xffff : 0xff);
				return this.group(i.reg, size, b);
			}
			case 0x84:
			case 0x85: {
				const size = this.size(opcode);
				this.setFlags(logic(this.readRm(size) & registers.read(i.reg, size), size).flags);
				return "done";
			}
			case 0x86:
			case 0x87: {
				const size = this.size(opcode);
				let old = 0;
				const value = registers.read(i.reg, size);
				this.modify(size, (before) => {
					old = before;
					return value;
				});
				registers.write(i.reg, size, old);
				return "done";
			}
			case 0x88:
			case 0x89:
				this.writeRm(this.size(opcode), registers.read(i.reg, this.size(opcode)));
				return "done";
			case 0x8a:
			case 0x8b:
				registers.write(i.reg, this.size(opcode), this.readRm(this.size(opcode)));
				return "done";
			case 0x8f: {
				if (i.reg !== 0) return "unknown";
				return this.popMemory();
			}
			case 0xa0:
			case 0xa1: {
				const size = this.size(opcode);
				const at = this.memory.linear(i.segmentPrefix ?? Segment.ds, this.absolute(), size, false);
				registers.write(EAX, size, this.memory.read(at, size));
				return "done";
			}
			case 0xa2:
			case 0xa3: {
				const size = this.size(opcode);
				const at = this.memory.linear(i.segmentPrefix ?? Segment.ds, this.absolute(), size, true);
				this.memory.write(at, size, registers.read(EAX, size));
				return "done";
			}
			case 0xa4:
			case 0xa5:
			case 0xa6:
			case 0xa7:
			case 0xaa:
			case 0xab:
			case 0xac:
			case 0xad:
			case 0xae:
			case 0xaf:
				return this.string(opcode);
			case 0xc0:
			case 0xc1:
				return this.shift(this.size(opcode), i.immediate(1) & 0xff);
			case 0xd0:
			case 0xd1:
				return this.shift(this.size(opcode), 1);
			case 0xd2:
			case 0xd3:
				return this.shift(this.size(opcode), registers.read(ECX, 1));
			case 0xc6:
			case 0xc7: {
				if (i.reg !== 0) return "unknown";
				const size = this.size(opcode);
				this.writeRm(size, i.immediate(size));
				return "done";
			}
			case 0xf6:
			case 0xf7:
				return this.group3(this.size(opcode));
			case 0xfe:
			case 0xff:
				return this.group5(opcode, next);
			default:
				if (opcode >= 0x50 && opcode <= 0x57) {
					this.push(registers.read(opcode & 7, this.wide));
					return "done";
				}
				if (opcode >= 0x58 && opcode <= 0x5f) {
					registers.write(opcode & 7, this.wide, this.pop());
					return "done";
				}
				if (opcode === 0xe8 && !i.operandSize16) {
					this.push(next);
					registers.eip = (next + i.immediate(4)) >>> 0;
					return "jumped";
				}
				if (opcode === 0x60) return this.pushAll();
				if (opcode === 0x9c) {
					this.push(this.memory.flagsImage());
					return "done";
				}
				if (opcode < 0x20 && (opcode & 7) === 6) {
					this.pushSelector((opcode >> 3) as SegmentIndex);
					return "done";
				}
				if (opcode === 0xc8 && (i.immediate(1, 2) & 0x1f) === 0) return this.enter();
				if (opcode === 0x68 || opcode === 0x6a) {
					this.push(i.immediate(opcode === 0x6a ? 1 : this.wide));
					return "done";
				}
				return "unknown";
		}
	}

	private absolute(): number {
		return this.i.addressSize16 ? this.i.immediate(2) & 0xffff : this.i.immediate(4) >>> 0;
	}

	/** Opcodes 00..3B: ADD OR ADC SBB AND SUB XOR CMP between ModRM and a register. */
	private arithmetic(opcode: number): "done" {
		const { i, registers } = this;
		const size = this.size(opcode);
		const operation = opcode >> 3;
		const register = registers.read(i.reg, size);
		if (opcode & 2) {
			const { value, flags } = group1(operation, register, this.readRm(size), this.carry, size);
			if (operation !== 7) registers.write(i.reg, size, value);
			this.setFlags(flags);
			return "done";
		}
		return this.group(operation, size, register);
	}

	private group(operation: number, size: Size, b: number): "done" {
		if (operation === 7) {
			this.setFlags(group1(7, this.readRm(size), b, 0, size).flags);
			return "done";
		}
		const { carry } = this;
		let flags = 0;
		this.modify(size, (a) => {
			const result = group1(operation, a, b, carry, size);
			flags = result.flags;
			return result.value;
		});
		this.setFlags(flags);
		return "done";
	}

	private shift(size: Size, count: number): "done" {
		const before = this.registers.eflags;
		let flags = 0;
		this.modify(size, (a) => {
			const result = group2(this.i.reg, a, count, before, size);
			flags = result.flags;
			return result.value;
		});
		this.setFlags(flags);
		return "done";
	}

	/** F6, F7: TEST NOT NEG MUL IMUL; divisions are left to the processor. */
	private group3(size: Size): "done" | "unknown" {
		const { i } = this;
		if (i.reg < 2) {
			this.setFlags(logic(this.readRm(size) & i.immediate(size), size).flags);
			return "done";
		}
		if (i.reg === 2) {
			this.modify(size, (a) => ~a);
			return "done";
		}
		if (i.reg === 3) {
			let flags = 0;
			this.modify(size, (a) => {
				const result = subtract(0, a, 0, size);
				flags = result.flags;
				return result.value;
			});
			this.setFlags(flags);
			return "done";
		}
		return "unknown";
	}

	/** FE, FF: INC DEC CALL JMP PUSH; CALL and JMP set EIP by themselves. */
	private group5(opcode: number, next: number): Outcome {
		const { i } = this;
		const size = this.size(opcode);
		if (i.reg < 2) {
			let flags = 0;
			this.modify(size, (a) => {
				const result = i.reg === 0 ? add(a, 1, 0, size) : subtract(a, 1, 0, size);
				flags = result.flags;
				return result.value;
			});
			this.setFlags(flags, ARITHMETIC_FLAGS & ~CF);
			return "done";
		}
		if (opcode === 0xff && i.reg === 6) {
			this.push(this.readRm(this.wide));
			return "done";
		}
		if (opcode === 0xff && (i.reg === 2 || i.reg === 4) && !i.operandSize16) {
			const target = this.readRm(4);
			if (i.reg === 2) this.push(next);
			this.registers.eip = target;
			return "jumped";
		}
		return "unknown";
	}

	private twoBytes(opcode: number): Outcome {
		const { i, registers } = this;
		const { wide } = this;
		if (opcode >= 0x0f40 && opcode <= 0x0f4f) {
			const value = this.readRm(wide);
			if (condition(opcode & 15, registers.eflags)) registers.write(i.reg, wide, value);
			return "done";
		}
		if (opcode >= 0x0f90 && opcode <= 0x0f9f) {
			this.writeRm(1, condition(opcode & 15, registers.eflags) ? 1 : 0);
			return "done";
		}
		switch (opcode) {
			case 0x0fa0:
			case 0x0fa8:
				this.pushSelector(opcode === 0x0fa0 ? Segment.fs : Segment.gs);
				return "done";
			case 0x0fa3:
			case 0x0fab:
			case 0x0fb3:
			case 0x0fbb:
				return this.bit((opcode >> 3) & 3, registers.read(i.reg, wide), true);
			case 0x0fba:
				if (i.reg < 4) return "unknown";
				return this.bit(i.reg & 3, i.immediate(1) & (wide * 8 - 1), false);
			case 0x0fb0:
			case 0x0fb1:
				return this.compareExchange(this.size(opcode));
			case 0x0fb6:
			case 0x0fb7:
				registers.write(i.reg, wide, this.readRm(opcode === 0x0fb6 ? 1 : 2));
				return "done";
			case 0x0fbe:
				registers.write(i.reg, wide, (this.readRm(1) << 24) >> 24);
				return "done";
			case 0x0fbf:
				registers.write(i.reg, wide, (this.readRm(2) << 16) >> 16);
				return "done";
			case 0x0fc0:
			case 0x0fc1: {
				const size = this.size(opcode);
				const b = registers.read(i.reg, size);
				let old = 0;
				let flags = 0;
				this.modify(size, (a) => {
					old = a;
					const result = add(a, b, 0, size);
					flags = result.flags;
					return result.value;
				});
				// The sum wins when both operands are the same register (SDM Vol. 2D, XADD, "Operation").
				if (i.inMemory || i.rm !== i.reg) registers.write(i.reg, size, old);
				this.setFlags(flags);
				return "done";
			}
			case 0x0fc3:
				this.writeRm(4, registers.read32(i.reg));
				return "done";
			case 0x0fc7:
				return i.reg === 1 && i.inMemory ? this.compareExchange8() : "unknown";
			default:
				return "unknown";
		}
	}

	/** BT, BTS, BTR, BTC. A register offset may reach beyond the operand (SDM Vol. 2A, BT). */
	private bit(operation: number, bitOffset: number, reach: boolean): "done" {
		const { i, memory, wide } = this;
		const bits = wide * 8;
		const index = bitOffset & (bits - 1);
		let carry = 0;
		const apply = (old: number): number | undefined => {
			carry = (old >>> index) & 1;
			const bit = 1 << index;
			return operation === 0 ? undefined : operation === 1 ? old | bit : operation === 2 ? old & ~bit : old ^ bit;
		};
		if (!i.inMemory || !reach) {
			if (operation === 0) apply(this.readRm(wide));
			else this.modify(wide, apply);
			this.setFlags(carry, CF);
			return "done";
		}
		const signed = wide === 2 ? (bitOffset << 16) >> 16 : bitOffset | 0;
		const offset = this.effectiveOffset(Math.floor(signed / bits) * wide);
		const linear = memory.linear(i.segment, offset, wide, operation !== 0);
		const value = apply(memory.read(linear, wide));
		if (value !== undefined) memory.write(linear, wide, value);
		this.setFlags(carry, CF);
		return "done";
	}

	private compareExchange(size: Size): "done" {
		const { i, registers } = this;
		const expected = registers.read(EAX, size);
		const replacement = registers.read(i.reg, size);
		let old = 0;
		// The destination is written in any case (SDM Vol. 2A, CMPXCHG).
		this.modify(size, (a) => {
			old = a;
			return a === expected ? replacement : a;
		});
		const { flags } = subtract(expected, old, 0, size);
		if (old !== expected) registers.write(EAX, size, old);
		this.setFlags(flags);
		return "done";
	}

	private compareExchange8(): "done" {
		const { registers, memory } = this;
		const at = this.address(8, true);
		const low = memory.read(at, 4);
		const high = memory.read((at + 4) >>> 0, 4);
		const equal = low === registers.read32(EAX) && high === registers.read32(EDX);
		memory.write(at, 4, equal ? registers.read32(EBX) : low);
		memory.write((at + 4) >>> 0, 4, equal ? registers.read32(ECX) : high);
		if (!equal) {
			registers.write32(EAX, low);
			registers.write32(EDX, high);
		}
		this.setFlags(equal ? ZF : 0, ZF);
		return "done";
	}

	private push(value: number): void {
		const { registers, memory, wide } = this;
		const esp = (registers.esp - wide) >>> 0;
		memory.write(memory.linear(Segment.ss, esp, wide, true), wide, value);
		registers.esp = esp;
	}

	/** 16 bits are stored whatever the operand size (SDM Vol. 2B, PUSH: what recent processors do). */
	private pushSelector(segment: SegmentIndex): void {
		const { registers, memory, wide } = this;
		const esp = (registers.esp - wide) >>> 0;
		memory.write(memory.linear(Segment.ss, esp, 2, true), 2, memory.selector(segment));
		registers.esp = esp;
	}

	/** PUSHA: all or nothing. */
	private pushAll(): "done" {
		const { registers, memory, wide } = this;
		const { esp } = registers;
		const bottom = (esp - 8 * wide) >>> 0;
		const at = memory.linear(Segment.ss, bottom, 8 * wide, true);
		for (let register = 0; register < 8; register++)
			memory.write((at + (7 - register) * wide) >>> 0, wide, registers.read(register, wide));
		registers.esp = bottom;
		return "done";
	}

	/** ENTER with nesting level 0. */
	private enter(): "done" {
		const { i, registers, wide } = this;
		this.push(registers.read(5, wide));
		registers.write(5, wide, registers.esp);
		registers.esp = (registers.esp - (i.immediate(2) & 0xffff)) >>> 0;
		return "done";
	}

	private pop(): number {
		const { registers, memory, wide } = this;
		const value = memory.read(memory.linear(Segment.ss, registers.esp, wide, false), wide);
		registers.esp = (registers.esp + wide) >>> 0;
		return value;
	}

	/** POP to memory: the address is computed with ESP as it is after the pop (SDM Vol. 2B, POP). */
	private popMemory(): "done" {
		const { registers, wide } = this;
		const before = registers.esp;
		const value = this.pop();
		try {
			this.writeRm(wide, value);
		} catch (fault) {
			registers.esp = before;
			throw fault;
		}
		return "done";
	}

	/** MOVS CMPS STOS LODS SCAS, repeated or not. */
	private string(opcode: number): "done" | "again" {
		const { i, registers } = this;
		const size = this.size(opcode);
		if (i.repeat === 0) {
			this.stringStep(opcode, size);
			return "done";
		}
		const countSize = i.addressSize16 ? 2 : 4;
		const compares = (opcode & 0xf6) === 0xa6;
		for (let step = 0; step < STRING_BURST; step++) {
			const count = registers.read(ECX, countSize);
			if (count === 0) return "done";
			this.stringStep(opcode, size);
			registers.write(ECX, countSize, count - 1);
			if (count === 1) return "done";
			if (compares && ((registers.eflags & ZF) !== 0) !== (i.repeat === 0xf3)) return "done";
		}
		return "again";
	}

	private stringStep(opcode: number, size: Size): void {
		const { i, registers, memory } = this;
		const addressSize = i.addressSize16 ? 2 : 4;
		switch (opcode & 0xfe) {
			case 0xa4:
				memory.write(this.stringDestination(addressSize, size, true), size, this.stringSource(addressSize, size));
				this.advance(ESI, addressSize, size);
				break;
			case 0xa6: {
				const a = this.stringSource(addressSize, size);
				const b = memory.read(this.stringDestination(addressSize, size, false), size);
				this.setFlags(subtract(a, b, 0, size).flags);
				this.advance(ESI, addressSize, size);
				break;
			}
			case 0xaa:
				memory.write(this.stringDestination(addressSize, size, true), size, registers.read(EAX, size));
				break;
			case 0xac:
				registers.write(EAX, size, this.stringSource(addressSize, size));
				this.advance(ESI, addressSize, size);
				return;
			default: {
				const b = memory.read(this.stringDestination(addressSize, size, false), size);
				this.setFlags(subtract(registers.read(EAX, size), b, 0, size).flags);
			}
		}
		this.advance(EDI, addressSize, size);
	}

	private stringSource(addressSize: 2 | 4, size: Size): number {
		const { i, registers, memory } = this;
		return memory.read(
			memory.linear(i.segmentPrefix ?? Segment.ds, registers.read(ESI, addressSize), size, false),
			size,
		);
	}

	private stringDestination(addressSize: 2 | 4, size: Size, write: boolean): number {
		return this.memory.linear(Segment.es, this.registers.read(EDI, addressSize), size, write);
	}

	/** ESI or EDI goes on by one element in the direction of DF. */
	private advance(register: number, addressSize: 2 | 4, size: Size): void {
		const { registers } = this;
		const step = registers.eflags & DF ? -size : size;
		registers.write(register, addressSize, registers.read(register, addressSize) + step);
	}
}
