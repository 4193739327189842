// Packed integer arithmetic, logic, comparison and conversion of MMX, SSE2 and SSSE3 (SDM Vol. 1 §9.4, §11.4.2, §12.6),
// stated once for both register widths: an MMX operand is the low half of a vector whose high half is zero.

import type { FunctionBuilder } from "../emit/function-builder.ts";
import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import { shuffle, simd, vector, zeroVector } from "../sse/operands.ts";

/** Bytes of the register: 8 for MMX, 16 for XMM. */
export type RegisterWidth = 8 | 16;

/** The result from the destination `a` and the source `b`, both usable many times. For MMX only the low half counts. */
export type PackedOperation = (f: FunctionBuilder, a: Value, b: Value, width: RegisterWidth) => Value;

function direct(opcode: number): PackedOperation {
	return (_f, a, b) => simd(opcode, a, b);
}

/** Lanes of `size` bytes taken in turn from `a` and `b`, starting at byte `start`. */
function interleave(a: Value, b: Value, size: number, start: number): Value {
	const lanes: number[] = [];
	for (let at = start; lanes.length < 16; at += size)
		for (const source of [0, 16]) for (let byte = 0; byte < size; byte++) lanes.push(source + ((at + byte) % 16));
	return shuffle(a, b, lanes);
}

function unpackLow(size: number): PackedOperation {
	return (_f, a, b) => interleave(a, b, size, 0);
}

function unpackHigh(size: number): PackedOperation {
	return (_f, a, b, width) => interleave(a, b, size, width / 2);
}

/** Narrows the lanes of `a` and then of `b`; for MMX the two low halves are put side by side first. */
function pack(opcode: number): PackedOperation {
	return (f, a, b, width) => {
		if (width === 16) return simd(opcode, a, b);
		const both = f.let(shuffle(a, b, [0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23]));
		return simd(opcode, both, both);
	};
}

/** The high 16 bits of the products of 16-bit lanes. */
function multiplyHigh(low: number, high: number): PackedOperation {
	const lanes = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31];
	return (_f, a, b) => shuffle(simd(low, a, b), simd(high, a, b), lanes);
}

/** Lanes of `size` bytes: the even or odd ones of `a`, then of `b`, within the register's width. */
function gather(a: Value, b: Value, size: number, odd: boolean, width: RegisterWidth): Value {
	const lanes: number[] = [];
	for (const source of [0, 16])
		for (let at = odd ? size : 0; at < width; at += 2 * size)
			for (let byte = 0; byte < size; byte++) lanes.push(source + at + byte);
	return shuffle(a, b, width === 8 ? [...lanes, ...lanes] : lanes);
}

/** PHADD, PHSUB: neighbours of `a` are combined, then those of `b`. */
function horizontal(opcode: number, size: number): PackedOperation {
	return (_f, a, b, width) => simd(opcode, gather(a, b, size, false, width), gather(a, b, size, true, width));
}

/** PSIGN: the lanes of `a` negated, zeroed or kept by the sign of those of `b`. */
function sign(negate: number, greater: number, equal: number): PackedOperation {
	return (f, a, b) => {
		const zero = f.let(zeroVector());
		const signed = simd(Simd.bitSelect, simd(negate, a), a, simd(greater, zero, b));
		return simd(Simd.andNot, signed, simd(equal, b, zero));
	};
}

/** PSADBW: the sums of the absolute differences of eight bytes, one in each half. */
function sumOfDifferences(f: FunctionBuilder, a: Value, b: Value): Value {
	const difference = simd(Simd.i8x16Sub, simd(Simd.i8x16MaxU, a, b), simd(Simd.i8x16MinU, a, b));
	const words = simd(Simd.i16x8ExtaddPairwiseU, difference);
	const pairs = f.let(simd(Simd.i32x4ExtaddPairwiseU, words));
	const low = simd(Simd.and, pairs, vector(0xffffffffn, 0xffffffffn));
	return simd(Simd.i64x2Add, low, shiftLanes(Simd.i64x2ShrU, pairs, 32));
}

/** PMADDUBSW: unsigned bytes of `a` times signed bytes of `b`, neighbours added with signed saturation. */
function multiplyAddBytes(f: FunctionBuilder, a: Value, b: Value): Value {
	const even = simd(
		Simd.i16x8Mul,
		simd(Simd.and, a, vector(0x00ff00ff00ff00ffn, 0x00ff00ff00ff00ffn)),
		shiftLanes(Simd.i16x8ShrS, f.let(shiftLanes(Simd.i16x8Shl, b, 8)), 8),
	);
	const odd = simd(Simd.i16x8Mul, shiftLanes(Simd.i16x8ShrU, a, 8), shiftLanes(Simd.i16x8ShrS, b, 8));
	return simd(Simd.i16x8AddSatS, even, odd);
}

/** PMULHRSW: bits 30:15 of the products, rounded: ((a * b >> 14) + 1) >> 1. */
function multiplyHighRounded(f: FunctionBuilder, a: Value, b: Value): Value {
	const one = vector(0x0000000100000001n, 0x0000000100000001n);
	const half = (multiply: number) =>
		f.let(
			shiftLanes(Simd.i32x4ShrS, simd(Simd.i32x4Add, shiftLanes(Simd.i32x4ShrS, simd(multiply, a, b), 14), one), 1),
		);
	const lanes = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29];
	return shuffle(half(Simd.i32x4ExtmulLowS), half(Simd.i32x4ExtmulHighS), lanes);
}

/** PSHUFB: the bytes of `a` selected by those of `b`; 0 where the selector's bit 7 is set. */
const shuffleBytes: PackedOperation = (_f, a, b, width) => {
	const mask = width === 16 ? 0x8f8f8f8f8f8f8f8fn : 0x8787878787878787n;
	return simd(Simd.swizzle, a, simd(Simd.and, b, vector(mask, mask)));
};

/** All lanes shifted by a constant. */
function shiftLanes(opcode: number, value: Value, count: number): Value {
	return value.simd(opcode, ValueType.v128, [Value.i32(count)]);
}

/** By mnemonic: instructions of MMX, and of SSE and SSE2 on both widths. */
export const packedOperations: Readonly<Record<string, PackedOperation>> = {
	Paddb: direct(Simd.i8x16Add),
	Paddw: direct(Simd.i16x8Add),
	Paddd: direct(Simd.i32x4Add),
	Paddq: direct(Simd.i64x2Add),
	Paddsb: direct(Simd.i8x16AddSatS),
	Paddsw: direct(Simd.i16x8AddSatS),
	Paddusb: direct(Simd.i8x16AddSatU),
	Paddusw: direct(Simd.i16x8AddSatU),
	Psubb: direct(Simd.i8x16Sub),
	Psubw: direct(Simd.i16x8Sub),
	Psubd: direct(Simd.i32x4Sub),
	Psubq: direct(Simd.i64x2Sub),
	Psubsb: direct(Simd.i8x16SubSatS),
	Psubsw: direct(Simd.i16x8SubSatS),
	Psubusb: direct(Simd.i8x16SubSatU),
	Psubusw: direct(Simd.i16x8SubSatU),
	Pmullw: direct(Simd.i16x8Mul),
	Pmulhw: multiplyHigh(Simd.i32x4ExtmulLowS, Simd.i32x4ExtmulHighS),
	Pmulhuw: multiplyHigh(Simd.i32x4ExtmulLowU, Simd.i32x4ExtmulHighU),
	Pmaddwd: direct(Simd.i32x4Dot),
	Pmuludq: (f, a, b) => {
		const low = f.let(vector(0xffffffffn, 0xffffffffn));
		return simd(Simd.i64x2Mul, simd(Simd.and, a, low), simd(Simd.and, b, low));
	},
	Psadbw: sumOfDifferences,
	Pavgb: direct(Simd.i8x16AvgrU),
	Pavgw: direct(Simd.i16x8AvgrU),
	Pminub: direct(Simd.i8x16MinU),
	Pmaxub: direct(Simd.i8x16MaxU),
	Pminsw: direct(Simd.i16x8MinS),
	Pmaxsw: direct(Simd.i16x8MaxS),
	Pand: direct(Simd.and),
	Pandn: (_f, a, b) => simd(Simd.andNot, b, a),
	Por: direct(Simd.or),
	Pxor: direct(Simd.xor),
	Pcmpeqb: direct(Simd.i8x16Eq),
	Pcmpeqw: direct(Simd.i16x8Eq),
	Pcmpeqd: direct(Simd.i32x4Eq),
	Pcmpgtb: direct(Simd.i8x16GtS),
	Pcmpgtw: direct(Simd.i16x8GtS),
	Pcmpgtd: direct(Simd.i32x4GtS),
	Punpcklbw: unpackLow(1),
	Punpcklwd: unpackLow(2),
	Punpckldq: unpackLow(4),
	Punpckhbw: unpackHigh(1),
	Punpckhwd: unpackHigh(2),
	Punpckhdq: unpackHigh(4),
	Packsswb: pack(Simd.i8x16NarrowS),
	Packuswb: pack(Simd.i8x16NarrowU),
	Packssdw: pack(Simd.i16x8NarrowS),
	Pshufb: shuffleBytes,
	Phaddw: horizontal(Simd.i16x8Add, 2),
	Phaddd: horizontal(Simd.i32x4Add, 4),
	Phaddsw: horizontal(Simd.i16x8AddSatS, 2),
	Phsubw: horizontal(Simd.i16x8Sub, 2),
	Phsubd: horizontal(Simd.i32x4Sub, 4),
	Phsubsw: horizontal(Simd.i16x8SubSatS, 2),
	Pmaddubsw: multiplyAddBytes,
	Pmulhrsw: multiplyHighRounded,
	Psignb: sign(Simd.i8x16Neg, Simd.i8x16GtS, Simd.i8x16Eq),
	Psignw: sign(Simd.i16x8Neg, Simd.i16x8GtS, Simd.i16x8Eq),
	Psignd: sign(Simd.i32x4Neg, Simd.i32x4GtS, Simd.i32x4Eq),
	Pabsb: (_f, _a, b) => simd(Simd.i8x16Abs, b),
	Pabsw: (_f, _a, b) => simd(Simd.i16x8Abs, b),
	Pabsd: (_f, _a, b) => simd(Simd.i32x4Abs, b),
};

/** SSE2 only: operations on quadwords. */
export const quadwordOperations: Readonly<Record<string, PackedOperation>> = {
	Punpcklqdq: unpackLow(8),
	Punpckhqdq: unpackHigh(8),
};

/** Shifts of packed lanes: opcode, bits of a lane, and whether a large count leaves copies of the sign. */
const shifts: Readonly<Record<string, readonly [opcode: number, laneBits: number, arithmetic: boolean]>> = {
	Psllw: [Simd.i16x8Shl, 16, false],
	Pslld: [Simd.i32x4Shl, 32, false],
	Psllq: [Simd.i64x2Shl, 64, false],
	Psrlw: [Simd.i16x8ShrU, 16, false],
	Psrld: [Simd.i32x4ShrU, 32, false],
	Psrlq: [Simd.i64x2ShrU, 64, false],
	Psraw: [Simd.i16x8ShrS, 16, true],
	Psrad: [Simd.i32x4ShrS, 32, true],
};

export const shiftMnemonics = Object.keys(shifts);

/** `value` shifted by `count` (i64, unsigned, usable many times); counts beyond the lane are not taken modulo. */
export function shiftPacked(mnemonic: string, value: Value, count: Value): Value {
	const [opcode, laneBits, arithmetic] = shifts[mnemonic]!;
	const small = count.ltU(laneBits);
	if (arithmetic) {
		const bounded = small.select(count.wrap(), Value.i32(laneBits - 1));
		return value.simd(opcode, ValueType.v128, [bounded]);
	}
	return small.select(value.simd(opcode, ValueType.v128, [count.wrap()]), zeroVector());
}
