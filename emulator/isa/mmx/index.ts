// MMX and the SSE, SSE2 and SSSE3 instructions on MMX registers (SDM Vol. 1 Chapter 9). The MMX registers are the low 64
// bits of the x87 data registers R0..R7.

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import { Gpr, type Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { load64Zero, readXmmPart, writeXmmLow } from "../sse/operands.ts";
import { State } from "../state.ts";
import { type PackedOperation, packedOperations, shiftMnemonics, shiftPacked } from "./packed-integer.ts";
import { finishMmx, mmAddress, readMm, readMmSource, startMmx, writeMm } from "./registers.ts";

const { i32, i64, v128 } = ValueType;
const options = { cold: true } as const;

/** i64: the low half of a vector. */
function lowHalf(value: Value): Value {
	return value.simd(Simd.i64x2ExtractLane, i64, [], [0]);
}

function twoOperands(operation: PackedOperation): (o: Operation) => void {
	return (o) => {
		startMmx(o);
		const source = o.inMemory(1)
			? o.size(1) === 4
				? o.f.let(o.f.load(i64, 4, o.readPlace(4).address).simd(Simd.i64x2Splat, v128))
				: o.f.let(load64Zero(o.readPlace(8).address))
			: o.f.let(load64Zero(mmAddress(o, 1)));
		const destination = o.f.let(load64Zero(mmAddress(o, 0)));
		finishMmx(o);
		writeMm(o, 0, lowHalf(operation(o.f, destination, source, 8)));
	};
}

function shift(mnemonic: string, immediate: boolean): (o: Operation) => void {
	return (o) => {
		startMmx(o);
		const count = immediate ? o.f.let(o.immediate(1).extendU()) : readMmSource(o, 1);
		finishMmx(o);
		writeMm(o, 0, lowHalf(shiftPacked(mnemonic, load64Zero(mmAddress(o, 0)), count)));
	};
}

/** PSHUFW: each word by two bits of the immediate. */
function shuffleWords(o: Operation): void {
	startMmx(o);
	const source = readMmSource(o, 1);
	const word = (lane: number) =>
		source
			.shrU(
				o
					.immediate(1)
					.shrU(lane * 2)
					.and(3)
					.shl(4)
					.extendU(),
			)
			.and(0xffff)
			.shl(lane * 16);
	const result = o.f.let(word(0).or(word(1)).or(word(2)).or(word(3)));
	finishMmx(o);
	writeMm(o, 0, result);
}

/** PALIGNR: destination above source, shifted right by bytes. */
function alignRight(o: Operation): void {
	startMmx(o);
	const { f } = o;
	const source = readMmSource(o, 1);
	const destination = f.let(readMm(o, 0));
	const bits = f.let(o.immediate(1).shl(3).extendU());
	const within = bits.eqz().select(source, source.shrU(bits).or(destination.shl(Value.i64(64).sub(bits))));
	const beyond = bits.ltU(128).select(destination.shrU(bits.sub(64)), Value.i64(0));
	const result = f.let(bits.ltU(64).select(within, beyond));
	finishMmx(o);
	writeMm(o, 0, result);
}

function insertWord(o: Operation): void {
	startMmx(o);
	const word = o.f.let(o.inMemory(1) ? o.f.load(i32, 2, o.readPlace(2).address) : o.read(1).toI32());
	const shiftCount = o.f.let(o.immediate(1).and(3).shl(4).extendU());
	const cleared = readMm(o, 0).and(Value.i64(0xffff).shl(shiftCount).not());
	const result = o.f.let(cleared.or(word.and(0xffff).extendU().shl(shiftCount)));
	finishMmx(o);
	writeMm(o, 0, result);
}

function extractWord(o: Operation): void {
	startMmx(o);
	finishMmx(o);
	const word = readMm(o, 1).shrU(o.immediate(1).and(3).shl(4).extendU()).and(0xffff);
	o.write(0, o.size(0) === 8 ? word : word.wrap());
}

/** MASKMOVQ: bytes whose mask byte has bit 7 set go to DS:rDI. */
function maskedStore(o: Operation): void {
	startMmx(o);
	const { f } = o;
	const signs = f.let(readMm(o, 2).and(Value.i64(0x8080808080808080n)));
	// 80H in a byte becomes FFH: 100H - 1 shifted into place, without carries between bytes.
	const mask = f.let(signs.or(signs.sub(signs.shrU(7))));
	const data = f.let(readMm(o, 1));
	const offset = o.gpr(Gpr.rdi, 8).and(Value.i64(-1).shrU(o.addressShift().extendU()));
	const place = o.placeAt("modify", 8, o.segment(), offset);
	const merged = f.load(i64, 8, place.address).and(mask.not()).or(data.and(mask));
	f.store(8, place.address, merged);
	place.commit();
	finishMmx(o);
}

function store(o: Operation): void {
	startMmx(o);
	const value = o.f.let(readMm(o, 1));
	const place = o.writePlace(8);
	o.f.store(8, place.address, value);
	place.commit();
	finishMmx(o);
}

function defineMoves(table: InstructionTable): void {
	table.define(
		/^Movd_mm_rm32$|^Movq_mm_rm64$/,
		(o) => {
			startMmx(o);
			const value = o.f.let(o.read(1).toI64U());
			finishMmx(o);
			writeMm(o, 0, value);
		},
		options,
	);
	table.define(
		/^Movd_rm32_mm$|^Movq_rm64_mm$/,
		(o) => {
			startMmx(o);
			o.write(0, o.size(0) === 8 ? readMm(o, 1) : readMm(o, 1).wrap());
			finishMmx(o);
		},
		options,
	);
	table.define(
		/^Movq_mm_mmm64$/,
		(o) => {
			startMmx(o);
			const value = readMmSource(o, 1);
			finishMmx(o);
			writeMm(o, 0, value);
		},
		options,
	);
	table.define(
		/^Movq_mmm64_mm$/,
		(o) => {
			if (o.inMemory(0)) {
				store(o);
				return;
			}
			startMmx(o);
			finishMmx(o);
			writeMm(o, 0, readMm(o, 1));
		},
		options,
	);
	table.define(/^Movntq_m64_mm$/, store, options);
	table.define(/^Maskmovq_rDI_mm_mm$/, maskedStore, options);
	table.define(
		/^Movq2dq_xmm_mm$/,
		(o) => {
			startMmx(o);
			finishMmx(o);
			writeXmmLow(o, 0, readMm(o, 1));
		},
		{ unit: "sse", cold: true },
	);
	table.define(
		/^Movdq2q_mm_xmm$/,
		(o) => {
			startMmx(o);
			finishMmx(o);
			writeMm(o, 0, readXmmPart(o, 1, 8));
		},
		{ unit: "sse", cold: true },
	);
	table.define(
		/^Pmovmskb_r(32|64)_mm$/,
		(o) => {
			startMmx(o);
			finishMmx(o);
			const bits = load64Zero(mmAddress(o, 1)).simd(Simd.i8x16Bitmask, i32);
			o.write(0, o.size(0) === 8 ? bits.extendU() : bits);
		},
		options,
	);
}

export function defineMmx(table: InstructionTable): void {
	defineMoves(table);
	for (const [mnemonic, operation] of Object.entries(packedOperations))
		table.define(new RegExp(`^${mnemonic}_mm_mmm(32|64)$`), twoOperands(operation), options);
	for (const mnemonic of shiftMnemonics) {
		table.define(new RegExp(`^${mnemonic}_mm_imm8$`), shift(mnemonic, true), options);
		table.define(new RegExp(`^${mnemonic}_mm_mmm64$`), shift(mnemonic, false), options);
	}
	table.define(/^Pshufw_mm_mmm64_imm8$/, shuffleWords, options);
	table.define(/^Palignr_mm_mmm64_imm8$/, alignRight, options);
	table.define(/^Pinsrw_mm_r(32|64)m16_imm8$/, insertWord, options);
	table.define(/^Pextrw_r(32|64)_mm_imm8$/, extractWord, options);
	table.define(
		/^Emms$/,
		(o) => {
			startMmx(o);
			finishMmx(o);
			o.setState32(State.x87Tag, Value.i32(0));
		},
		options,
	);
}
