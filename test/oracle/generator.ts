// Random states for an instruction: operands at the boundaries, memory operands inside the data window (or across its
// pages and ends), a stack, counts and divisors that make sense.

import {
	type Instruction,
	InstructionInfoFactory,
	MemorySizeExt,
	Mnemonic,
	OpKind,
	Register,
	RegisterExt,
} from "iced-x86";
import type { Row } from "../../emulator/isa/row.ts";
import { interestingSelectors } from "./descriptors.ts";
import { type ConstantPlace, decode, type Encoding, randomInstruction } from "./encodings.ts";
import { fillWithNumbers, randomFloatingPoint } from "./floating-point-state.ts";
import type { Random } from "./random.ts";
import {
	type Bits,
	Case,
	type CaseRecord,
	Fxsave,
	isKernelPrivate,
	Layout,
	PATCH_SIZE,
	segmentBase,
} from "./records.ts";

const PAGE = 4096;
const RSP = 4;
const STATUS_FLAGS = 0x8d5;
const DIRECTION = 0x400;
const ALIGNMENT_CHECK = 0x40000;

function mask(bits: number): bigint {
	return (1n << BigInt(bits)) - 1n;
}

const shifts = new Set<Mnemonic>([
	Mnemonic.Shl,
	Mnemonic.Sal,
	Mnemonic.Shr,
	Mnemonic.Sar,
	Mnemonic.Rol,
	Mnemonic.Ror,
	Mnemonic.Rcl,
	Mnemonic.Rcr,
	Mnemonic.Shld,
	Mnemonic.Shrd,
]);
const portStrings = new Set<Mnemonic>([
	Mnemonic.Insb,
	Mnemonic.Insw,
	Mnemonic.Insd,
	Mnemonic.Outsb,
	Mnemonic.Outsw,
	Mnemonic.Outsd,
]);
const nearBranches = new Set<OpKind>([OpKind.NearBranch16, OpKind.NearBranch32, OpKind.NearBranch64]);
const bitTests = new Set<Mnemonic>([Mnemonic.Bt, Mnemonic.Bts, Mnemonic.Btr, Mnemonic.Btc]);

/** Number of a general register in the encoding, whatever its size; -1 for others. */
function generalNumber(register: Register): number {
	if (!RegisterExt.isGPR(register)) return -1;
	return RegisterExt.number(RegisterExt.fullRegister(register));
}

export class Generator {
	private readonly information = new InstructionInfoFactory();
	private bits: Bits = 64;
	/** Where in the last patch the operand begins. */
	private operandOffset = 0;

	constructor(private readonly random: Random) {}

	/** Makes one case of an encoding. @returns the decoded instruction, which the caller frees. */
	make(encoding: Encoding, one: CaseRecord): Instruction {
		const { random } = this;
		const { bits } = encoding;
		this.bits = bits;
		one.bytes.fill(0);
		one.setU32(Case.bits, bits);
		const codeOffset = random.chance(10)
			? PAGE * (1 + random.below(14)) - random.below(16)
			: 16 + random.below(Layout.codeSize - 64);
		one.setU32(Case.codeOffset, codeOffset);
		const { bytes, instruction, displacement, immediate } = randomInstruction(encoding, random, one.rip);
		const code = new Uint8Array(24).fill(0x90);
		code.set(bytes);
		one.bytes.set(code, Case.code);
		one.setU32(Case.codeLength, Math.min(24, bytes.length + 4));

		let flags = random.bits32() & STATUS_FLAGS;
		if (random.chance(30)) flags |= DIRECTION;
		if (random.chance(1) && !uncheckedAlignment.test(encoding.row.name)) flags |= ALIGNMENT_CHECK;
		one.setU32(Case.flags, flags);
		for (let register = 0; register < (bits === 64 ? 16 : 8); register++) {
			const value = random.operand();
			one.setGeneral(register, bits === 64 ? value : value & mask(32));
		}
		// Of a segment register PUSH writes 2 or 4 bytes: nothing that tells them apart.
		if (/^Pushd_[A-Z]S$/.test(encoding.row.name))
			one.setGeneral(RSP, BigInt(bits === 16 ? 0x6000 : Layout.windowBase + 0x2000));
		else this.placeStack(one);
		this.specialOperands(one, instruction, encoding.row.name);
		this.placeMemory(one, instruction, displacement);
		if (immediate && !nearBranches.has(instruction.op0Kind)) this.chooseImmediate(one, immediate);
		this.controlTargets(one, instruction, encoding.row.name);
		this.floatingPoint(one, encoding.row);
		instruction.free();
		return decode(bits, one.bytes.subarray(Case.code, Case.code + 15), one.rip);
	}

	/** A linear address for an operand of `size` bytes. */
	private place(size: number): number {
		const { random } = this;
		const { windowBase, windowSize } = Layout;
		const where = random.below(20);
		if (where < 2) return windowBase + PAGE * (1 + random.below(3)) - 1 - random.below(Math.max(1, size));
		if (where === 2) return random.pick([windowBase, windowBase + windowSize]) - random.below(size + 1);
		const at = windowBase + 64 + random.below(windowSize - 1024);
		return where < 12 ? at & ~15 : at;
	}

	private placeStack(one: CaseRecord): void {
		const { random, bits } = this;
		if (random.chance(3)) return;
		let at = this.place(8);
		if (random.chance(80)) at &= ~7;
		const offset = BigInt(bits === 16 ? at - Layout.dataBase : at);
		// With a 16-bit stack the rest of ESP does not count.
		const above = bits === 16 && random.chance(50) ? BigInt(random.bits32()) & ~0xffffn : 0n;
		one.setGeneral(RSP, offset | above);
	}

	/** Points base registers and displacements of the instruction's memory operands into the window, and puts values there. */
	private placeMemory(one: CaseRecord, instruction: Instruction, constant: ConstantPlace | undefined): void {
		const { random, bits } = this;
		const info = this.information.info(instruction);
		const used = info.usedMemory();
		info.free();
		let patches = 0;
		const fixed = new Set<number>();
		for (const memory of used) {
			const { base, index, scale, segment, displacement } = memory;
			const size = MemorySizeExt.size(memory.memorySize) || 8;
			memory.free();
			if (patches < 2) this.patch(one, patches, this.place(size));
			if (random.chance(4)) continue;
			const baseNumber = generalNumber(base);
			const indexNumber = generalNumber(index);
			const wanted = base === Register.None ? index : base;
			const width =
				wanted !== Register.None
					? RegisterExt.size(wanted) * 8
					: bits === 64
						? 64
						: instruction.memoryDisplSize * 8 || bits;
			let linear = baseNumber === RSP ? this.linearOfStack(one, displacement) : this.place(size);
			// A locked access across cache lines is something that operating systems punish ("split lock").
			if (instruction.hasLockPrefix || instruction.mnemonic === Mnemonic.Xchg) linear &= -size;
			if (patches < 2) this.patch(one, patches++, linear);
			const offset = BigInt(linear) - segmentBase(bits, segment);
			if (baseNumber >= 0 && baseNumber !== RSP && !fixed.has(baseNumber)) {
				if (indexNumber === baseNumber) continue;
				const indexValue = indexNumber < 0 ? 0n : this.indexValue(one, index) * BigInt(scale);
				this.setLow(one, baseNumber, width, offset - displacement - indexValue);
				fixed.add(baseNumber);
			} else if (baseNumber < 0 && constant) this.setDisplacement(one, instruction, constant, offset, index, scale);
		}
	}

	private linearOfStack(one: CaseRecord, displacement: bigint): number {
		const { bits } = this;
		const low =
			bits === 16 ? Number(one.general(RSP) & 0xffffn) + Layout.dataBase : Number(one.general(RSP) & mask(32));
		return low + Number(BigInt.asIntN(32, displacement));
	}

	private indexValue(one: CaseRecord, index: Register): bigint {
		const value = one.general(generalNumber(index));
		return value & mask(RegisterExt.size(index) * 8);
	}

	/** Sets the low `width` bits of a register and leaves those above random, as far as the code size has them. */
	private setLow(one: CaseRecord, register: number, width: number, value: bigint): void {
		const whole = this.bits === 64 ? 64 : 32;
		const above = this.random.chance(50) ? 0n : one.general(register) & ~mask(width);
		one.setGeneral(register, (BigInt.asUintN(width, value) | above) & mask(whole));
	}

	/** A displacement-only address (also relative to RIP, or with an index): the displacement in the bytes is changed. */
	private setDisplacement(
		one: CaseRecord,
		instruction: Instruction,
		constant: ConstantPlace,
		offset: bigint,
		index: Register,
		scale: number,
	): void {
		const indexPart = index === Register.None ? 0n : this.indexValue(one, index) * BigInt(scale);
		let value = offset - indexPart;
		if (instruction.isIpRelMemoryOperand) value -= one.rip + BigInt(instruction.length);
		this.setConstant(one, constant, value);
	}

	private setConstant(one: CaseRecord, constant: ConstantPlace, value: bigint): void {
		for (let n = 0; n < constant.size; n++)
			one.bytes[Case.code + constant.at + n] = Number((value >> BigInt(8 * n)) & 0xffn);
	}

	private patch(one: CaseRecord, number: number, linear: number): void {
		const { windowBase, windowSize } = Layout;
		const start = Math.min(Math.max(linear - windowBase, 0), windowSize - PATCH_SIZE);
		one.setU32(Case.patchOffset + number * 4, start);
		one.setU32(Case.patchLength + number * 4, PATCH_SIZE);
		const at = Case.patch + number * PATCH_SIZE;
		this.operandOffset = Math.min(Math.max(linear - windowBase - start, 0), PATCH_SIZE);
		this.random.fill(one.bytes.subarray(at, at + PATCH_SIZE));
	}

	/** Immediates are random bits already; half of them become interesting. */
	private chooseImmediate(one: CaseRecord, constant: ConstantPlace): void {
		const { random } = this;
		if (random.chance(50)) return;
		const small = constant.size === 1 && random.chance(50);
		this.setConstant(one, constant, small ? BigInt(random.below(72)) : random.operand());
	}

	/** Register values that a group of instructions needs to show more than its faults. */
	private specialOperands(one: CaseRecord, instruction: Instruction, name: string): void {
		const { random, bits } = this;
		const { mnemonic } = instruction;
		const all = mask(bits === 64 ? 64 : 32);
		if (shifts.has(mnemonic) && random.chance(70))
			one.setGeneral(1, ((one.general(1) & ~0xffn) | BigInt(random.below(70))) & all);
		if (instruction.isStringInstruction && random.chance(60)) one.setGeneral(1, BigInt(random.below(4)));
		// Whether the right to do port I/O is checked when nothing is repeated differs between processors.
		if (portStrings.has(mnemonic)) one.setGeneral(1, 0x10001n);
		if (instruction.isLoop && random.chance(60)) {
			const garbage = random.chance(50) ? one.general(1) & ~0xffffn : 0n;
			one.setGeneral(1, garbage | BigInt(random.below(3)));
		}
		if ((mnemonic === Mnemonic.Div || mnemonic === Mnemonic.Idiv) && random.chance(70)) {
			const negative = mnemonic === Mnemonic.Idiv && random.chance(50);
			one.setGeneral(2, negative ? all : BigInt(random.below(3)));
			if (instruction.opRegister(0) === Register.None && random.chance(50)) one.setGeneral(0, one.general(0) & 0xffn);
		}
		if (bitTests.has(mnemonic) && instruction.op1Kind === OpKind.Register && random.chance(80)) {
			const register = generalNumber(instruction.op1Register);
			one.setGeneral(register, BigInt.asUintN(bits === 64 ? 64 : 32, BigInt(random.below(8192) - 4096)));
		}
		if (!usesSelectors.test(name)) return;
		for (let operand = 0; operand < instruction.opCount; operand++) {
			if (instruction.opKind(operand) !== OpKind.Register) continue;
			const register = generalNumber(instruction.opRegister(operand));
			if (register < 0) continue;
			if (isKernelPrivate(Number(one.general(register) & 0xffn))) one.setGeneral(register, 0n);
			const above = random.chance(50) ? one.general(register) & ~0xffffn : 0n;
			if (register !== RSP && random.chance(90))
				one.setGeneral(register, above | BigInt(random.pick(interestingSelectors)));
		}
	}

	/** Targets of indirect branches and returns: mostly inside the code, sometimes anywhere. */
	private controlTargets(one: CaseRecord, instruction: Instruction, name: string): void {
		const { random, bits } = this;
		const selectors = usesSelectors.test(name);
		const transfers = transfersControl.test(name);
		if (!selectors && !transfers) return;
		const target = BigInt(random.below(Layout.codeSize) + (bits === 16 ? 0 : Layout.codeBase));
		if (transfers && instruction.opCount > 0 && instruction.op0Kind === OpKind.Register && random.chance(80)) {
			const register = generalNumber(instruction.op0Register);
			if (register !== RSP) one.setGeneral(register, target);
		}
		for (let number = 0; number < 2; number++) {
			const at = Case.patch + number * PATCH_SIZE;
			for (let place = 0; selectors && place < PATCH_SIZE; place++)
				if (isKernelPrivate(one.bytes[at + place]!)) one.bytes[at + place] = 0x80;
			if (one.u32(Case.patchLength + number * 4) === 0 || !random.chance(80)) continue;
			for (let place = 0; place < PATCH_SIZE; place += 8) {
				if (transfers) one.setU64(at + place, target);
				if (selectors) one.setU16(at + place + random.pick([0, 0, 0, 2, 4]), random.pick(interestingSelectors));
			}
		}
	}

	private floatingPoint(one: CaseRecord, row: Row): void {
		const { random } = this;
		if (!usesFloatingPoint(row)) {
			one.setU16(Case.fxsave + Fxsave.control, 0x37f);
			one.setU32(Case.fxsave + Fxsave.mxcsr, 0x1f80);
			return;
		}
		randomFloatingPoint(random, one);
		const memory = row.operands.find(({ kind }) => /^(mem|xmmm|mmm)$/.test(kind));
		for (let number = 0; memory && number < 2; number++) {
			if (one.u32(Case.patchLength + number * 4) === 0 || !random.chance(80)) continue;
			const at = Case.patch + number * PATCH_SIZE;
			const start = random.below(3) === 0 ? 0 : this.operandOffset;
			fillWithNumbers(random, one.bytes.subarray(at + start, at + PATCH_SIZE), memory.size);
		}
	}
}

/** Rows that load or look at a selector. */
const usesSelectors = /^(Mov_Sreg|Pop[wdq]_[A-Z]S$|L[defgs]s_|Lar_|Lsl_|Ver[rw]_|Arpl_)/;
/** Rows that take a near target from a register or from memory. */
const transfersControl = /^((Jmp|Call)_rm|Retn)/;
/**
 * Rows whose inner accesses processors align differently: ENTER's look at the final stack, state images, 16-byte operands,
 * where #AC or #GP may come first (SDM Vol. 3A §6.15, Interrupt 17).
 */
const uncheckedAlignment = /^(Enter|F|Maskmov|Movn)|xmm|_mm/;

/** The row reads or writes x87, MMX or SSE state. */
export function usesFloatingPoint(row: Row): boolean {
	return row.options.unit !== undefined || row.operands.some(({ kind }) => /^(xmmm?|mmm?|st)$/.test(kind));
}
