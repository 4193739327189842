// Instruction bytes for the rows of the instruction table: for each row and code size the ways to encode it, found by
// trying the size prefixes and decoding; then random operands, again checked by decoding.

import {
	Code,
	CodeExt,
	Decoder,
	DecoderOptions,
	EncodingKind,
	type Instruction,
	MandatoryPrefix,
	OpCodeOperandKind,
} from "iced-x86";
import type { Row } from "../../emulator/isa/row.ts";
import type { Random } from "./random.ts";
import type { Bits } from "./records.ts";

export interface Encoding {
	readonly row: Row;
	readonly bits: Bits;
	/** 66H and 67H as the row needs them, then the mandatory prefix. */
	readonly prefixes: readonly number[];
	/** REX.W is set. */
	readonly wide: boolean;
	readonly opcode: readonly number[];
	/** Where the operands are: in a ModRM byte that names a register or memory, or in the opcode (with 8 registers) or nowhere. */
	readonly form: "register" | "memory" | "opcode" | "none";
	/** ModRM.reg and ModRM.rm where the opcode fixes them. */
	readonly reg: number | undefined;
	readonly rm: number | undefined;
	readonly repeatable: boolean;
}

const OPTIONS = DecoderOptions.ForceReservedNop;
const REX = 0x40;
const PADDING = 8;

/** Where a constant lies in the bytes of an instruction. */
export interface ConstantPlace {
	readonly at: number;
	readonly size: number;
}

/** Decodes one instruction. The caller frees it. */
export function decode(bits: Bits, bytes: Uint8Array, rip: bigint): Instruction {
	return decodeWithConstants(bits, bytes, rip).instruction;
}

function decodeWithConstants(
	bits: Bits,
	bytes: Uint8Array,
	rip: bigint,
	wanted: Code | undefined = undefined,
): { instruction: Instruction; displacement: ConstantPlace | undefined; immediate: ConstantPlace | undefined } {
	const decoder = new Decoder(bits, bytes, OPTIONS);
	decoder.ip = rip;
	const instruction = decoder.decode();
	let displacement: ConstantPlace | undefined;
	let immediate: ConstantPlace | undefined;
	if (instruction.code === wanted) {
		const offsets = decoder.getConstantOffsets(instruction);
		if (offsets.hasDisplacement) displacement = { at: offsets.displacementOffset, size: offsets.displacementSize };
		if (offsets.hasImmediate) immediate = { at: offsets.immediateOffset, size: offsets.immediateSize };
		offsets.free();
	}
	decoder.free();
	return { instruction, displacement, immediate };
}

function codeOf(bits: Bits, bytes: readonly number[]): Code {
	const instruction = decode(bits, new Uint8Array([...bytes, ...new Array(PADDING).fill(0)]), 0n);
	const { code } = instruction;
	instruction.free();
	return code;
}

const mandatory: Readonly<Record<number, readonly number[]>> = {
	[MandatoryPrefix.None]: [],
	[MandatoryPrefix.PNP]: [],
	[MandatoryPrefix.P66]: [0x66],
	[MandatoryPrefix.PF3]: [0xf3],
	[MandatoryPrefix.PF2]: [0xf2],
};
const escapes: readonly (readonly number[])[] = [[], [0x0f], [0x0f, 0x38], [0x0f, 0x3a]];
const sizePrefixes: readonly (readonly number[])[] = [[], [0x66], [0x67], [0x66, 0x67]];
const nearBranch = /^(J[a-z]+_(rel|rm)|Call_(rel|rm)|Loop|Retn)/;
const opcodeRegisters = new Set<OpCodeOperandKind>([
	OpCodeOperandKind.r8_opcode,
	OpCodeOperandKind.r16_opcode,
	OpCodeOperandKind.r32_opcode,
	OpCodeOperandKind.r64_opcode,
	OpCodeOperandKind.sti_opcode,
]);
const inModRm = /(_or_mem|_reg|_rm|_reg_mem|^mem|^sibmem)/;

/** Every way to encode a row in code of this size; empty when it does not exist there. */
export function encodingsOf(row: Row, bits: Bits): Encoding[] {
	const info = CodeExt.opCode(row.code);
	const found: Encoding[] = [];
	const escapeBytes = escapes[info.table];
	if (info.encoding === EncodingKind.Legacy && escapeBytes && info.isAvailableInMode(bits)) {
		const kinds = Array.from({ length: info.opCount }, (_, operand) => info.opKind(operand));
		const hasModRm =
			info.isGroup ||
			info.isRmGroup ||
			kinds.some((kind) => kind !== OpCodeOperandKind.mem_offs && inModRm.test(OpCodeOperandKind[kind]!));
		const opcode = [
			...escapeBytes,
			...(info.opCodeLength === 2 ? [info.opCode >> 8, info.opCode & 0xff] : [info.opCode]),
		];
		const reg = info.isGroup ? info.groupIndex : undefined;
		const rm = info.isRmGroup ? info.rmGroupIndex : undefined;
		const forms: Encoding["form"][] = hasModRm
			? ["register", "memory"]
			: [kinds.some((kind) => opcodeRegisters.has(kind)) ? "opcode" : "none"];
		const required = mandatory[info.mandatoryPrefix]!;
		for (const form of forms) {
			let without67 = false;
			for (const sizes of sizePrefixes) {
				// An address size that nothing uses is one prefix too many.
				const addressing =
					form === "memory" || kinds.some((kind) => kind === OpCodeOperandKind.mem_offs) || info.addressSize !== 0;
				if (sizes.includes(0x67) && without67 && !addressing && !info.canUseRepPrefix) continue;
				// Intel's processors ignore 66H at near branches of 64-bit code, AMD's do not (SDM Vol. 2A, JMP; AMD APM Vol. 3, JMP).
				if (sizes.includes(0x66) && bits === 64 && nearBranch.test(row.name)) continue;
				for (const wide of bits === 64 ? [false, true] : [false]) {
					const prefixes = [...sizes, ...required];
					const modRm = hasModRm ? [((form === "register" ? 3 : 0) << 6) | ((reg ?? 0) << 3) | (rm ?? 3)] : [];
					const start = [...prefixes, ...(wide ? [REX | 8] : []), ...opcode.slice(0, -1)];
					const last = opcode.at(-1)!;
					// Register 0 in the opcode may be another instruction (XCHG rAX, rAX is NOP).
					const matches =
						codeOf(bits, [...start, last, ...modRm]) === row.code ||
						(form === "opcode" && codeOf(bits, [...start, last | 1]) === row.code);
					if (!matches) continue;
					if (!sizes.includes(0x67)) without67 = true;
					found.push({ row, bits, prefixes, wide, opcode, form, reg, rm, repeatable: info.canUseRepPrefix });
				}
			}
		}
	}
	info.free();
	return found;
}

/** With LOCK, which the SDM forbids here, AMD's processors reach CR8, or look at the operand before they raise #UD. */
const oddLocks = /^(Mov_(r\d\d_[cd]r|[cd]r_r\d\d)|Ver[rw]_)/;
const segmentPrefixes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x64, 0x65];

export interface RandomInstruction {
	readonly bytes: Uint8Array;
	readonly displacement: ConstantPlace | undefined;
	/** Also the displacement of a relative branch. */
	readonly immediate: ConstantPlace | undefined;
	/** Decoded at its place; the caller frees it. Code.INVALID only after a LOCK prefix that the instruction may not have. */
	readonly instruction: Instruction;
}

/** One instruction of an encoding with random operands, decoded at `rip`. */
export function randomInstruction(encoding: Encoding, random: Random, rip: bigint): RandomInstruction {
	const { bits, form } = encoding;
	for (;;) {
		const bytes: number[] = [];
		const locked = !oddLocks.test(encoding.row.name) && random.chance(form === "memory" ? 4 : 0.5);
		if (locked) bytes.push(0xf0);
		if (random.chance(form === "register" || form === "opcode" ? 2 : 15)) bytes.push(random.pick(segmentPrefixes));
		if (encoding.repeatable && random.chance(50)) bytes.push(random.pick([0xf2, 0xf3]));
		bytes.push(...encoding.prefixes);
		if (bits === 64) {
			const rex = encoding.wide ? 8 : 0;
			const extension = random.chance(50) ? random.below(8) : 0;
			if (rex || extension || random.chance(10)) bytes.push(REX | rex | extension);
		}
		bytes.push(...encoding.opcode);
		if (form === "opcode") bytes[bytes.length - 1]! += random.below(8);
		if (form === "register" || form === "memory") {
			const mod = form === "register" ? 3 : random.below(3);
			bytes.push((mod << 6) | ((encoding.reg ?? random.below(8)) << 3) | (encoding.rm ?? random.below(8)));
		}
		const tail = new Uint8Array(15);
		for (let n = 0; n < tail.length; n++) tail[n] = random.bits32();
		const all = new Uint8Array([...bytes, ...tail]);
		// F3 90 with REX.B is XCHG R8, rAX on some processors.
		if (encoding.row.name === "Pause" && bytes.some((byte) => (byte & 0xf1) === 0x41)) continue;
		const { instruction, displacement, immediate } = decodeWithConstants(bits, all, rip, encoding.row.code);
		const { code, length } = instruction;
		if (code !== encoding.row.code && !(locked && code === Code.INVALID)) {
			instruction.free();
			continue;
		}
		if (code === Code.INVALID) {
			if (codeOf(bits, [...all.subarray(1, 16)]) === encoding.row.code)
				return { bytes: all.slice(0, 15), instruction, displacement, immediate };
			instruction.free();
			continue;
		}
		return { bytes: all.slice(0, length), instruction, displacement, immediate };
	}
}
