// Random programs of one page: straight code with branches forward and back, memory operands in the data window.

import {
	Encoder,
	FlowControl,
	type Instruction,
	InstructionInfoFactory,
	OpAccess,
	OpKind,
	Register,
	RegisterExt,
} from "iced-x86";
import type { Row } from "../../emulator/isa/row.ts";
import { decode, type Encoding, encodingsOf, randomInstruction } from "./encodings.ts";
import type { Random } from "./random.ts";
import { type Bits, Layout } from "./records.ts";

/** Registers that point into the data window and are not written: RSP, RBX, RSI. */
const POINTERS = [4, 3, 6];
/** Jcc rel8 and back; LOOP. */
const SHORT_BRANCHES = [...Array.from({ length: 16 }, (_, n) => 0x70 + n), 0xe0, 0xe1, 0xe2, 0xe3, 0xeb];
/** What ends a program, or changes what later instructions mean. */
const excluded =
	/^(Int|Into|Ud\d|Hlt|Sys|Iret|Push|Pop|Mov_Sreg|L[defgs]s_|Enter|Leave|Wr[fg]s|Xrstor|Fx(save|rstor)|Fld(cw|env)|Frstor|Xbegin|Str|Sldt|Smsw|S[gi]dt)/;

/** What most programs consist of, and what reads the flags that they leave. */
const common =
	/^(Add|Adc|Sub|Sbb|Cmp|Test|And|Or|Xor|Inc|Dec|Neg|Shl|Shr|Sar|Bt|Mov|Movzx|Movsx|Lea|Imul|Set[a-z]+|Cmov[a-z]+)_/;

/** What takes long in loops: series of many terms. */
const slow = /^F(2xm1|yl2x|yl2xp1|sin|cos|sincos|ptan|patan)$/;

/** Encodings of the rows that programs are made of. */
export interface SequenceEncodings {
	readonly common: readonly Encoding[];
	readonly all: readonly Encoding[];
	readonly x87: readonly Encoding[];
}

/** In code of 32 or 64 bits. */
export function sequenceEncodings(rows: readonly Row[], bits: Bits): SequenceEncodings {
	const all = rows.filter((row) => !excluded.test(row.name)).flatMap((row) => encodingsOf(row, bits));
	return {
		common: all.filter(({ row }) => common.test(row.name)),
		all,
		x87: all.filter(({ row }) => row.options.unit === "x87" && !slow.test(row.name)),
	};
}

/** What a program is made of: mostly `common`. */
export type Mixture = Pick<SequenceEncodings, "common" | "all">;

const information = new InstructionInfoFactory();

function number(register: Register): number {
	return RegisterExt.isGPR(register) ? RegisterExt.number(RegisterExt.fullRegister(register)) : -1;
}

/** It goes on behind itself and writes no pointer. */
function isUsable(instruction: Instruction): boolean {
	if (instruction.flowControl !== FlowControl.Next || instruction.isStringInstruction || instruction.hasLockPrefix)
		return false;
	const info = information.info(instruction);
	const registers = info.usedRegisters();
	let usable = true;
	for (const used of registers) {
		const writes =
			used.access !== OpAccess.Read && used.access !== OpAccess.CondRead && used.access !== OpAccess.NoMemAccess;
		if (writes && POINTERS.includes(number(used.register))) usable = false;
		used.free();
	}
	info.free();
	return usable;
}

/** Points the memory operand into the window; the bytes of the instruction, undefined when it has no such form. */
function intoWindow(instruction: Instruction, bits: Bits, rip: bigint, random: Random): Uint8Array | undefined {
	const wide = bits === 64;
	instruction.memoryBase = random.pick(
		wide ? [Register.RBX, Register.RSI, Register.RSP] : [Register.EBX, Register.ESI, Register.ESP],
	);
	instruction.memoryIndex = Register.None;
	instruction.memoryIndexScale = 1;
	instruction.segmentPrefix = Register.None;
	const displacement = random.below(3) === 0 ? random.below(200) - 100 : (random.below(16) - 8) * 16;
	instruction.memoryDisplacement = BigInt.asUintN(bits, BigInt(displacement));
	instruction.memoryDisplSize = wide ? 8 : 4;
	const encoder = new Encoder(bits);
	try {
		encoder.encode(instruction, rip);
		return encoder.takeBuffer();
	} catch {
		return undefined;
	} finally {
		encoder.free();
	}
}

function straight({ common, all }: Mixture, bits: Bits, rip: bigint, random: Random): Uint8Array | undefined {
	const made = randomInstruction(random.pick(random.chance(60) ? common : all), random, rip);
	const { instruction } = made;
	try {
		const memory = Array.from({ length: instruction.opCount }, (_, n) => instruction.opKind(n)).includes(OpKind.Memory);
		const bytes = memory ? intoWindow(instruction, bits, rip, random) : made.bytes;
		if (!bytes) return undefined;
		const decoded = decode(bits, bytes, rip);
		const usable = isUsable(decoded);
		decoded.free();
		return usable ? bytes : undefined;
	} finally {
		instruction.free();
	}
}

/**
 * A program of about `length` instructions that lies within one page. It ends with INT3.
 * @param start linear address of its first byte
 */
export function randomProgram(
	encodings: Mixture,
	bits: Bits,
	start: number,
	length: number,
	random: Random,
): Uint8Array {
	const parts: Uint8Array[] = [];
	const branches: number[] = [];
	let size = 0;
	while (parts.length < length) {
		if (random.chance(18)) {
			branches.push(parts.length);
			parts.push(new Uint8Array([random.pick(SHORT_BRANCHES), 0]));
			size += 2;
			continue;
		}
		const bytes = straight(encodings, bits, BigInt(start + size), random);
		if (!bytes) continue;
		parts.push(bytes);
		size += bytes.length;
	}
	const offsets = parts.map((_, index) => parts.slice(0, index).reduce((sum, part) => sum + part.length, 0));
	for (const branch of branches) {
		const target = offsets[Math.min(parts.length - 1, Math.max(0, branch + random.below(24) - 10))]!;
		const displacement = target - offsets[branch]! - 2;
		if (displacement >= -128 && displacement < 128) parts[branch]![1] = displacement;
	}
	const program = new Uint8Array(size + 1).fill(0xcc);
	for (const [index, part] of parts.entries()) program.set(part, offsets[index]);
	return program;
}

/** Where the pointers point: the middle of the window, aligned for every operand. */
export function pointerValue(register: number): bigint | undefined {
	const place = POINTERS.indexOf(register);
	return place < 0 ? undefined : BigInt(Layout.windowBase + 0x800 + place * 0x400);
}
