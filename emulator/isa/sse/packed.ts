// SSE2 and SSSE3 packed integers on XMM registers, and the bitwise operations on packed floating-point values.

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import {
	type PackedOperation,
	packedOperations,
	quadwordOperations,
	shiftMnemonics,
	shiftPacked,
} from "../mmx/packed-integer.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";
import {
	readVector,
	readXmm,
	simd,
	sourceAddress,
	writeXmm,
	writeXmmPart,
	xmmAddress,
	zeroVector,
} from "./operands.ts";

const { i32, i64, v128 } = ValueType;
const hot = { unit: "sse" } as const;
const cold = { unit: "sse", cold: true } as const;

/** What string functions of C libraries and memory routines use. */
const frequent = /^(Pxor|Por|Pand|Pandn|Pcmpeqb|Pcmpeqd|Pminub|Paddd|Paddq|Psubb|Punpckl(bw|wd|dq|qdq))$/;

function twoOperands(operation: PackedOperation): (o: Operation) => void {
	return (o) => {
		const source = readVector(o, 1);
		const destination = o.f.let(readXmm(o, 0));
		writeXmm(o, 0, operation(o.f, destination, source, 16));
	};
}

/** i32, usable many times: byte offset of the lane of 4 bytes that two bits of the immediate select. */
function selected(o: Operation, position: number, laneBits = 2): Value {
	return o
		.immediate(1)
		.shrU(position * 2)
		.and(3)
		.shl(laneBits);
}

/** PSHUFD: each doubleword by two bits of the immediate. */
function shuffleDoublewords(o: Operation): void {
	const source = sourceAddress(o, 1);
	const lanes = [0, 1, 2, 3].map((lane) => o.f.let(o.f.load(i32, 4, source.add(selected(o, lane)))));
	writeLanes(o, lanes, 4, 0);
}

/** PSHUFLW, PSHUFHW: the words of one half by the immediate, the other half as it is. */
function shuffleWords(o: Operation, half: 0 | 8): void {
	const source = sourceAddress(o, 1);
	const other = o.f.let(o.f.load(i64, 8, source, 8 - half));
	const lanes = [0, 1, 2, 3].map((lane) => o.f.let(o.f.load(i32, 2, source.add(selected(o, lane, 1)), half)));
	writeLanes(o, lanes, 2, half);
	writeXmmPart(o, 0, 8, other, 8 - half);
}

/** SHUFPS: two lanes of the destination, then two of the source. */
function shuffleSingles(o: Operation): void {
	const source = sourceAddress(o, 1);
	const destination = o.f.let(xmmAddress(o, 0));
	const lanes = [0, 1, 2, 3].map((lane) =>
		o.f.let(o.f.load(i32, 4, (lane < 2 ? destination : source).add(selected(o, lane)))),
	);
	writeLanes(o, lanes, 4, 0);
}

/** SHUFPD: one lane of the destination by bit 0, one of the source by bit 1. */
function shuffleDoubles(o: Operation): void {
	const source = sourceAddress(o, 1);
	const low = o.f.let(o.f.load(i64, 8, xmmAddress(o, 0).add(o.immediate(1).and(1).shl(3))));
	const high = o.f.let(o.f.load(i64, 8, source.add(o.immediate(1).and(2).shl(2))));
	writeXmmPart(o, 0, 8, low);
	writeXmmPart(o, 0, 8, high, 8);
}

function writeLanes(o: Operation, lanes: readonly Value[], size: number, offset: number): void {
	const destination = o.f.let(xmmAddress(o, 0));
	for (const [index, lane] of lanes.entries()) o.f.store(size, destination, lane, offset + index * size);
}

/** 16 bytes of `low:high` (32 bytes, `low` first) from byte `start` (i32, 0..16). */
function window(o: Operation, low: Value, high: Value, start: Value): Value {
	const scratch = Value.i32(State.exchange);
	o.f.store(16, scratch, low);
	o.f.store(16, scratch, high, 16);
	return o.f.load(v128, 16, scratch.add(start));
}

/** i32: the immediate, at most 16. */
function byteCount(o: Operation): Value {
	const count = o.f.let(o.immediate(1));
	return count.ltU(16).select(count, Value.i32(16));
}

/** PALIGNR: destination above source, shifted right by bytes. */
function alignRight(o: Operation): void {
	const source = readVector(o, 1);
	const destination = o.f.let(readXmm(o, 0));
	const count = o.f.let(o.immediate(1));
	o.f.if(
		count.leU(16),
		() => writeXmm(o, 0, window(o, source, destination, count)),
		() => {
			const beyond = count.sub(16);
			const start = count.ltU(32).select(beyond, Value.i32(16));
			writeXmm(o, 0, window(o, destination, zeroVector(), start));
		},
	);
}

function insertWord(o: Operation): void {
	const word = o.f.let(o.inMemory(1) ? o.f.load(i32, 2, o.readPlace(2).address) : o.read(1).toI32());
	o.f.store(2, xmmAddress(o, 0).add(o.immediate(1).and(7).shl(1)), word);
}

function extractWord(o: Operation): void {
	const word = o.f.load(i32, 2, xmmAddress(o, 1).add(o.immediate(1).and(7).shl(1)));
	o.write(0, o.size(0) === 8 ? word.extendU() : word);
}

export function definePacked(table: InstructionTable): void {
	for (const [mnemonic, operation] of Object.entries({ ...packedOperations, ...quadwordOperations }))
		table.define(new RegExp(`^${mnemonic}_xmm_xmmm128$`), twoOperands(operation), frequent.test(mnemonic) ? hot : cold);
	for (const [mnemonic, opcode] of [
		["And", Simd.and],
		["Or", Simd.or],
		["Xor", Simd.xor],
	] as const)
		table.define(
			new RegExp(`^${mnemonic}p[sd]_xmm_xmmm128$`),
			twoOperands((_f, a, b) => simd(opcode, a, b)),
			hot,
		);
	table.define(
		/^Andnp[sd]_xmm_xmmm128$/,
		twoOperands((_f, a, b) => simd(Simd.andNot, b, a)),
		hot,
	);
	table.define(/^Unpcklps_xmm_xmmm128$/, twoOperands(packedOperations.Punpckldq!), cold);
	table.define(/^Unpckhps_xmm_xmmm128$/, twoOperands(packedOperations.Punpckhdq!), cold);
	table.define(/^Unpcklpd_xmm_xmmm128$/, twoOperands(quadwordOperations.Punpcklqdq!), cold);
	table.define(/^Unpckhpd_xmm_xmmm128$/, twoOperands(quadwordOperations.Punpckhqdq!), cold);

	for (const mnemonic of shiftMnemonics) {
		table.define(
			new RegExp(`^${mnemonic}_xmm_imm8$`),
			(o) => writeXmm(o, 0, shiftPacked(mnemonic, readXmm(o, 0), o.f.let(o.immediate(1).extendU()))),
			cold,
		);
		table.define(
			new RegExp(`^${mnemonic}_xmm_xmmm128$`),
			(o) => {
				const count = o.f.let(o.f.load(i64, 8, sourceAddress(o, 1)));
				writeXmm(o, 0, shiftPacked(mnemonic, readXmm(o, 0), count));
			},
			cold,
		);
	}
	table.define(/^Psrldq_xmm_imm8$/, (o) => writeXmm(o, 0, window(o, readXmm(o, 0), zeroVector(), byteCount(o))), hot);
	table.define(
		/^Pslldq_xmm_imm8$/,
		(o) => writeXmm(o, 0, window(o, zeroVector(), readXmm(o, 0), Value.i32(16).sub(byteCount(o)))),
		hot,
	);
	table.define(/^Palignr_xmm_xmmm128_imm8$/, alignRight, cold);
	table.define(/^Pshufd_xmm_xmmm128_imm8$/, shuffleDoublewords, hot);
	table.define(/^Pshuflw_xmm_xmmm128_imm8$/, (o) => shuffleWords(o, 0), cold);
	table.define(/^Pshufhw_xmm_xmmm128_imm8$/, (o) => shuffleWords(o, 8), cold);
	table.define(/^Shufps_xmm_xmmm128_imm8$/, shuffleSingles, cold);
	table.define(/^Shufpd_xmm_xmmm128_imm8$/, shuffleDoubles, cold);
	table.define(/^Pinsrw_xmm_r(32|64)m16_imm8$/, insertWord, cold);
	table.define(/^Pextrw_r(32|64)_xmm_imm8$/, extractWord, cold);
}
