// What the SDM leaves undefined: flags, and a few results. There processors differ, so nothing is compared.

import { type Instruction, Mnemonic, OpKind, Register, RegisterExt } from "iced-x86";
import { Case, type CaseRecord, Layout, segmentBase } from "./records.ts";

const CF = 1;
const PF = 4;
const AF = 0x10;
const ZF = 0x40;
const SF = 0x80;
const OF = 0x800;
const ALL = CF | PF | AF | ZF | SF | OF;

/** Always undefined after the instruction: SDM Vol. 2, "Flags Affected" of each; Vol. 1 Appendix A, Table A-2. */
const always: ReadonlyMap<Mnemonic, number> = new Map([
	[Mnemonic.And, AF],
	[Mnemonic.Or, AF],
	[Mnemonic.Xor, AF],
	[Mnemonic.Test, AF],
	[Mnemonic.Mul, SF | ZF | AF | PF],
	[Mnemonic.Imul, SF | ZF | AF | PF],
	[Mnemonic.Div, ALL],
	[Mnemonic.Idiv, ALL],
	[Mnemonic.Bsf, CF | OF | SF | AF | PF],
	[Mnemonic.Bsr, CF | OF | SF | AF | PF],
	[Mnemonic.Bt, OF | SF | AF | PF],
	[Mnemonic.Bts, OF | SF | AF | PF],
	[Mnemonic.Btr, OF | SF | AF | PF],
	[Mnemonic.Btc, OF | SF | AF | PF],
	[Mnemonic.Daa, OF],
	[Mnemonic.Das, OF],
	[Mnemonic.Aaa, OF | SF | ZF | PF],
	[Mnemonic.Aas, OF | SF | ZF | PF],
	[Mnemonic.Aam, OF | AF | CF],
	[Mnemonic.Aad, OF | AF | CF],
]);
const plainShifts = new Set<Mnemonic>([Mnemonic.Shl, Mnemonic.Sal, Mnemonic.Shr, Mnemonic.Sar]);
const rotates = new Set<Mnemonic>([Mnemonic.Rol, Mnemonic.Ror, Mnemonic.Rcl, Mnemonic.Rcr]);
const doubleShifts = new Set<Mnemonic>([Mnemonic.Shld, Mnemonic.Shrd]);

/** The count of a shift or rotate as the processor masks it, and the operand's size in bits, given from the name of the Code. */
function shiftCount(instruction: Instruction, one: CaseRecord, name: string): { count: number; bits: number } {
	const bits = Number(/_rm(8|16|32|64)/.exec(name)![1]);
	const operand = instruction.opCount - 1;
	const byImmediate = instruction.opKind(operand) === OpKind.Immediate8;
	const count = byImmediate ? Number(instruction.immediate(operand)) : one.u32(Case.general + 8) & 0xff;
	return { count: count & (bits === 64 ? 63 : 31), bits };
}

/** EFLAGS bits that are undefined after the instruction with these operands. */
export function undefinedFlags(instruction: Instruction, one: CaseRecord, name: string): number {
	const { mnemonic } = instruction;
	const fixed = always.get(mnemonic);
	if (fixed !== undefined) return fixed;
	if (plainShifts.has(mnemonic)) {
		// SDM Vol. 2B, SAL/SAR/SHL/SHR: OF for counts other than 1, AF for nonzero counts, CF of SHL and SHR for counts of at least the size.
		const { count, bits } = shiftCount(instruction, one, name);
		if (count === 0) return 0;
		const carry = count >= bits && mnemonic !== Mnemonic.Sar ? CF : 0;
		return AF | (count > 1 ? OF : 0) | carry;
	}
	if (rotates.has(mnemonic)) {
		// SDM Vol. 2B, RCL/RCR/ROL/ROR: OF for counts other than 1. A rotate by RCL or RCR that comes round changes nothing.
		return shiftCount(instruction, one, name).count > 1 ? OF : 0;
	}
	if (doubleShifts.has(mnemonic)) {
		// SDM Vol. 2B, SHLD, SHRD: everything for counts above the size.
		const { count, bits } = shiftCount(instruction, one, name);
		if (count === 0) return 0;
		return count > bits ? ALL : AF | (count > 1 ? OF : 0);
	}
	return 0;
}

const ALL_BITS = (1n << 64n) - 1n;

/**
 * Bits of the destination register that are defined.
 * @param zeroFlag ZF after the instruction.
 */
export function definedResult(instruction: Instruction, one: CaseRecord, name: string, zeroFlag: boolean): bigint {
	const { mnemonic } = instruction;
	// SDM Vol. 2A, BSWAP: 16-bit operands.
	if (name === "Bswap_r16") return ALL_BITS ^ 0xffffn;
	// A count above the size, which only 16-bit operands can have.
	if (doubleShifts.has(mnemonic)) {
		const { count, bits } = shiftCount(instruction, one, name);
		if (count > bits) return ALL_BITS ^ 0xffffn;
	}
	// SDM Vol. 2A, BSF, BSR: with a zero source the destination stays; some processors clear its upper half.
	if ((mnemonic === Mnemonic.Bsf || mnemonic === Mnemonic.Bsr) && zeroFlag) return 0xffffffffn;
	// SDM Vol. 2A, LAR: bits 19:16.
	if (mnemonic === Mnemonic.Lar) return ALL_BITS ^ 0xf0000n;
	return ALL_BITS;
}

/** Bytes of a state image that are the processor's own or left open: [start, end) in the image. */
const openBytes: readonly { readonly names: RegExp; readonly ranges: readonly (readonly [number, number])[] }[] = [
	// SDM Vol. 1 §8.1.8, §8.1.10: last opcode and the two pointers, which processors differ in when they save.
	{ names: /_m(14byte|94byte)$/, ranges: [[6, 14]] },
	{ names: /_m(28byte|108byte)$/, ranges: [[12, 28]] },
	// SDM Vol. 1 §10.5.1: last opcode, the two pointers (processors differ in when they save them), MXCSR_MASK, reserved bytes.
	{
		names: /^Fxsave/,
		ranges: [
			[5, 24],
			[28, 32],
			...Array.from({ length: 8 }, (_, n) => [42 + n * 16, 48 + n * 16] as const),
			[416, 512],
		],
	},
];

/** Parts of the data window, [start, end), whose contents after the instruction are undefined. */
export function undefinedMemory(
	instruction: Instruction,
	one: CaseRecord,
	name: string,
	defined: bigint,
): (readonly [number, number])[] {
	// SDM Vol. 2B, PUSH: of a segment register with 32-bit operand size the upper half is zero or is not written.
	if (/^Pushd_[A-Z]S$/.test(name)) {
		const stack = one.bits === 16 ? (one.general(4) & 0xffffn) + BigInt(Layout.dataBase) : one.general(4);
		const upper = Number(stack) - 2 - Layout.windowBase;
		return [[upper, upper + 2]];
	}
	const open = openBytes.find(({ names }) => names.test(name));
	const isUndefined = defined !== ALL_BITS && instruction.opCount > 0 && instruction.op0Kind === OpKind.Memory;
	if (!open && !isUndefined) return [];
	const start = Number(BigInt.asUintN(64, memoryOperand(instruction, one))) - Layout.windowBase;
	if (!open) return [[start, start + 2]];
	return open.ranges.map(([from, to]) => [start + from, start + to] as const);
}

/** Linear address of the explicit memory operand. */
function memoryOperand(instruction: Instruction, one: CaseRecord): bigint {
	const { memoryBase, memoryIndex, memorySegment, memoryDisplSize } = instruction;
	const wanted = memoryBase === Register.None ? memoryIndex : memoryBase;
	const bits = wanted === Register.None ? memoryDisplSize * 8 || one.bits : RegisterExt.size(wanted) * 8;
	const value = (register: Register) =>
		register === Register.None || instruction.isIpRelMemoryOperand
			? 0n
			: one.general(RegisterExt.number(RegisterExt.fullRegister(register)));
	const offset = value(memoryBase) + value(memoryIndex) * BigInt(instruction.memoryIndexScale);
	return segmentBase(one.bits, memorySegment) + BigInt.asUintN(bits, offset + instruction.memoryDisplacement);
}
