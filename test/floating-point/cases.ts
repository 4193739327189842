// Random instructions of the x87, MMX and SSE rows with random states that are rich in special values.

import { Code, Decoder, DecoderOptions, Instruction, OpKind, Register } from "iced-x86";
import { nameOfCode } from "../../emulator/isa/row.ts";
import { DATA, DATA_BYTES, type InstructionState } from "./bare-machine.ts";

/** Deterministic random numbers (xorshift), so that a failure can be repeated from its seed. */
export class Random {
	private state: number;

	constructor(seed: number) {
		this.state = seed | 1;
		for (let n = 0; n < 8; n++) this.next();
	}

	/** 32 bits, unsigned. */
	next(): number {
		let x = this.state;
		x ^= x << 13;
		x ^= x >>> 17;
		x ^= x << 5;
		this.state = x;
		return x >>> 0;
	}

	below(limit: number): number {
		return this.next() % limit;
	}

	pick<T>(list: readonly T[]): T {
		return list[this.below(list.length)]!;
	}

	wide(): bigint {
		return (BigInt(this.next()) << 32n) | BigInt(this.next());
	}
}

const general = new Set<number>();
for (const name of ["RAX", "EAX", "AX", "RCX", "ECX", "CX", "RDX", "EDX", "DX", "RBX", "EBX", "BX"])
	general.add((Register as unknown as Record<string, number>)[name]!);

/** True when the harness can run it: only the registers and the memory that it controls. */
function isUsable(instruction: Instruction): boolean {
	for (let operand = 0; operand < instruction.opCount; operand++) {
		const kind = instruction.opKind(operand);
		if (kind === OpKind.Memory) {
			if (instruction.memoryBase !== Register.RSI || instruction.memoryIndex !== Register.None) return false;
		} else if (kind === OpKind.Register) {
			const name = (Register as unknown as Record<number, string>)[instruction.opRegister(operand)] ?? "";
			if (!/^(XMM|MM|ST)\d/.test(name) && !general.has(instruction.opRegister(operand))) return false;
		}
	}
	return true;
}

/** Encodings by Code, found by decoding every opcode with every ModRM byte. */
export function encodings(wanted: (code: Code) => boolean): Map<Code, Uint8Array[]> {
	const found = new Map<Code, Uint8Array[]>();
	const instruction = new Instruction();
	const consider = (bytes: readonly number[]) => {
		const decoder = new Decoder(64, new Uint8Array(bytes), DecoderOptions.None);
		decoder.decodeOut(instruction);
		decoder.free();
		if (instruction.code === Code.INVALID || !wanted(instruction.code) || !isUsable(instruction)) return;
		const list = found.get(instruction.code) ?? [];
		list.push(new Uint8Array(bytes.slice(0, instruction.length)));
		found.set(instruction.code, list);
	};
	for (let modrm = 0; modrm < 256; modrm++) {
		const mod = modrm >> 6;
		if (mod === 2 || (mod < 2 && (modrm & 7) !== 6)) continue;
		const tail = [modrm, 0x10, 0x55, 0, 0, 0, 0];
		for (let opcode = 0xd8; opcode <= 0xdf; opcode++) consider([opcode, ...tail]);
		for (const prefixes of [[], [0x66], [0xf3], [0xf2]])
			for (const rex of [[], [0x48], [0x45]])
				for (let opcode = 0; opcode < 256; opcode++) {
					if (mod === 1 && rex.length > 0) continue;
					if (rex[0] === 0x45 && mod !== 3) continue;
					consider([...prefixes, ...rex, 0x0f, opcode, ...tail]);
					consider([...prefixes, ...rex, 0x0f, 0x38, opcode, ...tail]);
					consider([...prefixes, ...rex, 0x0f, 0x3a, opcode, ...tail]);
				}
	}
	consider([0x9b]);
	return found;
}

/** The encoding with its last byte, an immediate, replaced by a random one. */
export function withImmediate(bytes: Uint8Array, code: Code, random: Random): Uint8Array {
	if (!/_imm8$/.test(nameOfCode(code))) return bytes;
	const copy = bytes.slice();
	copy[copy.length - 1] = random.below(4) === 0 ? random.next() : random.below(20);
	return copy;
}

const singles = [
	0, 1, 0x007fffff, 0x00800000, 0x00800001, 0x3f800000, 0x3f800001, 0x3f7fffff, 0x3f000000, 0x40000000, 0x4b000000,
	0x4b800001, 0x4effffff, 0x4f000000, 0x4f000001, 0x5f000000, 0x7f7fffff, 0x7f800000, 0x7f800001, 0x7fa12345,
	0x7fc00000, 0x7fc12345, 0x00400000, 0x34000000, 0x33800000, 0x3fc00000, 0x40200000,
];
const doubles = [
	0n,
	1n,
	0x000fffffffffffffn,
	0x0010000000000000n,
	0x0010000000000001n,
	0x3ff0000000000000n,
	0x3ff0000000000001n,
	0x3fefffffffffffffn,
	0x3fe0000000000000n,
	0x4000000000000000n,
	0x41dfffffffc00000n,
	0x41e0000000000000n,
	0x41dfffffffe00000n,
	0xc1e0000000100000n,
	0x43dfffffffffffffn,
	0x43e0000000000000n,
	0x7fefffffffffffffn,
	0x7ff0000000000000n,
	0x7ff0000000000001n,
	0x7ff4567800000000n,
	0x7ff8000000000000n,
	0x7ff8123400000000n,
	0x36a0000000000000n,
	0x369fffffffffffffn,
	0x380fffffe0000000n,
	0x3810000000000000n,
	0x47efffffe0000000n,
	0x47effffff0000000n,
	0x3ff8000000000000n,
	0x0008000000000000n,
	0x3690000000000000n,
];

export function randomSingle(random: Random): number {
	const sign = random.below(2) << 31;
	switch (random.below(6)) {
		case 0:
		case 1:
			return random.pick(singles) | sign;
		case 2:
			return (random.next() & 0x007fffff) | sign;
		case 3:
			return ((0x70 + random.below(0x20)) << 23) | (random.next() & 0x7fffff) | sign;
		case 4:
			return ((0x78 + random.below(0x28)) << 23) | ((random.next() & 7) << 20) | sign;
		default:
			return random.next() | 0;
	}
}

export function randomDouble(random: Random): bigint {
	const sign = BigInt(random.below(2)) << 63n;
	switch (random.below(6)) {
		case 0:
		case 1:
			return random.pick(doubles) | sign;
		case 2:
			return (random.wide() & 0x000fffffffffffffn) | sign;
		case 3:
			return (BigInt(0x3e0 + random.below(0x40)) << 52n) | (random.wide() & 0xfffffffffffffn) | sign;
		case 4:
			return (BigInt(0x3f8 + random.below(0x40)) << 52n) | (BigInt(random.below(8)) << 49n) | sign;
		default:
			return random.wide();
	}
}

const extendedParts: readonly (readonly [number, bigint])[] = [
	[0, 0n],
	[0, 1n],
	[0, 0x7fffffffffffffffn],
	[0, 0x8000000000000000n],
	[1, 0x8000000000000000n],
	[0x3fff, 0x8000000000000000n],
	[0x3fff, 0x8000000000000001n],
	[0x3ffe, 0xffffffffffffffffn],
	[0x4000, 0xc000000000000000n],
	[0x401e, 0xffffffff00000000n],
	[0x403e, 0x8000000000000000n],
	[0x403d, 0xffffffffffffffffn],
	[0x7ffe, 0xffffffffffffffffn],
	[0x7fff, 0x8000000000000000n],
	[0x7fff, 0x8000000000000001n],
	[0x7fff, 0xa000000000000000n],
	[0x7fff, 0xc000000000000000n],
	[0x7fff, 0xc000000012345678n],
	[0x7fff, 0x0000000000000001n],
	[0x7fff, 0x4000000000000000n],
	[0x3fff, 0x4000000000000000n],
	[0x3fff, 0xc000000000000000n],
	[0x407f - 63, 0xde0b6b3a763fffffn],
];

/** The 80 bits: sign and exponent, significand. */
export function randomExtended(random: Random): readonly [number, bigint] {
	const sign = random.below(2) << 15;
	switch (random.below(7)) {
		case 0:
		case 1: {
			const [high, low] = random.pick(extendedParts);
			return [high | sign, low];
		}
		case 2:
			return [sign, random.wide()];
		case 3:
			return [sign | (0x3fc0 + random.below(0x80)), random.wide() | 0x8000000000000000n];
		case 4:
			return [sign | (0x3ff8 + random.below(0x50)), (BigInt(random.below(16)) << 60n) | 0x8000000000000000n];
		case 5: {
			// A double or single that was loaded.
			const shift = random.pick([11n, 40n]);
			const exponent = random.pick([0x3c01, 0x3f81, 0x3fff, 0x407e, 0x43fe]) + random.below(5) - 2;
			return [sign | exponent, ((random.wide() | 0x8000000000000000n) >> shift) << shift];
		}
		default:
			return [random.next() & 0xffff, random.wide() | (random.below(8) ? 0x8000000000000000n : 0n)];
	}
}

export interface StateChoices {
	/** Some exceptions are unmasked in MXCSR. */
	readonly unmaskSse?: boolean;
	/** Some exceptions are unmasked in the x87 control word. */
	readonly unmaskX87?: boolean;
	/** MXCSR as programs have it, with the precision flag set, and lanes that are normal numbers or zeros. */
	readonly ordinary?: boolean;
}

/** A normal number, often near the ends of the exponent range, or a zero. */
function ordinarySingle(random: Random): number {
	const exponent = random.pick([
		0, 1, 2, 3, 0x40, 0x60, 0x7e, 0x7f, 0x7f, 0x80, 0x81, 0x90, 0x9d, 0x9e, 0xbf, 0xfd, 0xfe,
	]);
	const fraction =
		exponent === 0 ? 0 : random.pick([0, 1, 0x7fffff, random.next() & 0x7fffff, random.next() & 0x700000]);
	return (random.below(2) << 31) | (exponent << 23) | fraction;
}

function ordinaryDouble(random: Random): bigint {
	const exponent = random.pick([
		0, 1, 2, 3, 0x200, 0x381, 0x3fe, 0x3ff, 0x400, 0x41d, 0x41e, 0x43d, 0x43e, 0x47e, 0x5ff, 0x7fd, 0x7fe,
	]);
	const fraction =
		exponent === 0 ? 0n : random.pick([0n, 1n, (1n << 52n) - 1n, random.wide() >> 12n, (random.wide() >> 49n) << 37n]);
	return (BigInt(random.below(2)) << 63n) | (BigInt(exponent) << 52n) | fraction;
}

/** Values in the lanes of all registers and in memory. */
export function randomState(random: Random, choices: StateChoices = {}): InstructionState {
	const fx = new Uint8Array(512);
	const view = new DataView(fx.buffer);
	const masks = choices.unmaskX87 ? random.next() & 0x3f : 0x3f;
	const precision = random.pick([0, 2, 3, 3]);
	view.setUint16(0, 0x40 | masks | (precision << 8) | (random.below(4) << 10), true);
	const raised = random.below(2) ? random.next() & 0x3f & masks : 0;
	view.setUint16(2, raised | (random.below(8) << 11) | (random.next() & 0x4700), true);
	fx[4] = random.below(4) ? 0xff : random.next() & 0xff;
	const sseMasks = choices.unmaskSse ? random.next() & 0x3f : 0x3f;
	const sseRaised = random.below(2) ? random.next() & 0x3f : 0;
	const modes = random.below(2) ? 0 : random.next() & 0xe040;
	view.setUint32(24, (sseMasks << 7) | (choices.unmaskSse ? sseRaised & sseMasks : sseRaised) | modes, true);
	for (let register = 0; register < 8; register++) {
		const [high, low] = randomExtended(random);
		view.setBigUint64(32 + register * 16, low, true);
		view.setUint16(40 + register * 16, high, true);
	}
	if (choices.ordinary) view.setUint32(24, 0x1fa0, true);
	const flavour = choices.ordinary ? 3 + random.below(2) : random.below(3);
	fillLanes(view, 160, 256, flavour, random);
	const data = new Uint8Array(DATA_BYTES);
	fillLanes(new DataView(data.buffer), 0, 64, flavour, random);
	const memory = random.below(4);
	if (memory === 0) {
		const [high, low] = randomExtended(random);
		for (const at of [0, 16]) {
			new DataView(data.buffer).setBigUint64(at, low, true);
			new DataView(data.buffer).setUint16(at + 8, high, true);
		}
	} else if (memory === 1) for (let at = 0; at < 64; at++) data[at] = random.below(10) | (random.below(10) << 4);
	const gpr = new BigUint64Array(4);
	for (let n = 0; n < 4; n++)
		gpr[n] = random.below(2) ? random.wide() : BigInt.asUintN(64, BigInt(random.below(512) - 256));
	return { fx, gpr, flags: 0n, data, vector: -1 };
}

function fillLanes(view: DataView, from: number, length: number, flavour: number, random: Random): void {
	for (let at = from; at < from + length; at += 8) {
		if (flavour === 0) {
			view.setInt32(at, randomSingle(random), true);
			view.setInt32(at + 4, randomSingle(random), true);
		} else if (flavour === 3) {
			view.setInt32(at, ordinarySingle(random), true);
			view.setInt32(at + 4, ordinarySingle(random), true);
		} else if (flavour === 4) view.setBigUint64(at, ordinaryDouble(random), true);
		else if (flavour === 1) view.setBigUint64(at, randomDouble(random), true);
		else if (random.below(4) === 0) view.setBigUint64(at, BigInt(random.below(100)), true);
		else view.setBigUint64(at, random.wide(), true);
	}
}

/**
 * Where two states differ, in words; empty when they agree. FXSAVE's pointers and the bits of `ignoredFlags` are not
 * looked at.
 */
export function differences(
	actual: InstructionState,
	expected: InstructionState,
	comparedFlags = 0n,
	ignoredStatus = 0,
): string[] {
	const found: string[] = [];
	const hex = (bytes: Uint8Array, from: number, length: number) =>
		Buffer.from(bytes.slice(from, from + length).reverse()).toString("hex");
	const part = (name: string, from: number, length: number) => {
		const a = hex(actual.fx, from, length);
		const b = hex(expected.fx, from, length);
		if (a !== b) found.push(`${name} is ${a}, the processor's ${b}`);
	};
	if (actual.vector !== expected.vector) found.push(`vector ${actual.vector}, the processor's ${expected.vector}`);
	part("FCW", 0, 2);
	const status = (state: InstructionState) => new DataView(state.fx.buffer, state.fx.byteOffset).getUint16(2, true);
	if ((status(actual) ^ status(expected)) & ~ignoredStatus)
		found.push(`FSW is ${status(actual).toString(16)}, the processor's ${status(expected).toString(16)}`);
	part("FTW", 4, 1);
	part("MXCSR", 24, 4);
	for (let n = 0; n < 8; n++) part(`ST${n}`, 32 + n * 16, 10);
	for (let n = 0; n < 16; n++) part(`XMM${n}`, 160 + n * 16, 16);
	for (const [n, name] of ["RAX", "RCX", "RDX", "RBX"].entries())
		if (actual.gpr[n] !== expected.gpr[n])
			found.push(`${name} is ${actual.gpr[n]!.toString(16)}, the processor's ${expected.gpr[n]!.toString(16)}`);
	if ((actual.flags ^ expected.flags) & comparedFlags)
		found.push(`EFLAGS ${actual.flags.toString(16)}, the processor's ${(expected.flags & comparedFlags).toString(16)}`);
	const memory = hex(actual.data, 0, DATA_BYTES);
	const memoryExpected = hex(expected.data, 0, DATA_BYTES);
	if (memory !== memoryExpected) found.push(`memory ${memory}, the processor's ${memoryExpected}`);
	return found;
}

export function describe(state: InstructionState): string {
	const hex = (from: number, length: number) =>
		Buffer.from(state.fx.slice(from, from + length).reverse()).toString("hex");
	const lines = [`FCW ${hex(0, 2)} FSW ${hex(2, 2)} FTW ${hex(4, 1)} MXCSR ${hex(24, 4)}`];
	lines.push(Array.from({ length: 8 }, (_, n) => `ST${n} ${hex(32 + n * 16, 10)}`).join(" "));
	lines.push(Array.from({ length: 16 }, (_, n) => `XMM${n} ${hex(160 + n * 16, 16)}`).join(" "));
	lines.push(
		`GPR ${[...state.gpr].map((v) => v.toString(16)).join(" ")} data@${DATA.toString(16)} ${Buffer.from(state.data.subarray(0, 64)).toString("hex")}`,
	);
	return lines.join("\n");
}
