// SSE, SSE2 and SSE3 data movement (SDM Vol. 1 §10.4.1.1, §11.4.1.1, §12.3.3).

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import { Gpr, type Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";
import {
	readScalar,
	readVector,
	readXmm,
	readXmmPart,
	shuffle,
	simd,
	storeScalar,
	writeVector,
	writeXmm,
	writeXmmLow,
	writeXmmPart,
} from "./operands.ts";

const { i32, v128 } = ValueType;
/** Bits of MXCSR that exist, denormals-are-zeros included. */
export const MXCSR_MASK = 0xffff;
const GENERAL_PROTECTION = 13;
const hot = { unit: "sse" } as const;
const cold = { unit: "sse", cold: true } as const;

/** MOVSS, MOVSD into a register: a load clears the rest of the register, a register move keeps it. */
function loadScalar(o: Operation, size: 4 | 8): void {
	const value = readScalar(o, 1, size);
	if (o.inMemory(1)) writeXmmLow(o, 0, value.toI64U());
	else writeXmmPart(o, 0, size, value);
}

function storeOrMoveScalar(o: Operation, size: 4 | 8): void {
	const value = readXmmPart(o, 1, size);
	if (o.inMemory(0)) storeScalar(o, size, value);
	else writeXmmPart(o, 0, size, value);
}

/** The bytes of operand 1, 16 numbers. */
function rearrange(o: Operation, lanes: readonly number[]): void {
	const value = readVector(o, 1);
	writeXmm(o, 0, shuffle(value, value, lanes));
}

/** MASKMOVDQU: bytes whose mask byte has bit 7 set go to DS:rDI. */
function maskedStore(o: Operation): void {
	const { f } = o;
	const data = f.let(readXmm(o, 1));
	const mask = f.let(readXmm(o, 2).simd(Simd.i8x16GtS, v128, [Value.i32(-1).simd(Simd.i8x16Splat, v128)]));
	const offset = o.gpr(Gpr.rdi, 8).and(Value.i64(-1).shrU(o.addressShift().extendU()));
	const place = o.placeAt("modify", 16, o.segment(), offset);
	const old = f.load(v128, 16, place.address);
	// The comparison marks the bytes with bit 7 clear.
	f.store(16, place.address, simd(Simd.bitSelect, old, data, mask));
	place.commit();
}

/** LDMXCSR: #GP(0) when a reserved bit is set (SDM Vol. 1 §10.2.3). */
function loadMxcsr(o: Operation): void {
	const value = o.read(0);
	o.f.if(value.and(~MXCSR_MASK), () => o.raise(GENERAL_PROTECTION));
	o.setState32(State.mxcsr, value);
}

export function defineMoves(table: InstructionTable): void {
	table.define(/^Mov(ups|upd|dqu)_xmm_xmmm128$/, (o) => writeXmm(o, 0, readVector(o, 1, false)), hot);
	table.define(/^Mov(ups|upd|dqu)_xmmm128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1), false), hot);
	table.define(/^Mov(aps|apd|dqa)_xmm_xmmm128$/, (o) => writeXmm(o, 0, readVector(o, 1)), hot);
	table.define(/^Mov(aps|apd|dqa)_xmmm128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1)), hot);
	table.define(/^Lddqu_xmm_m128$/, (o) => writeXmm(o, 0, readVector(o, 1, false)), cold);
	table.define(/^Movnt(ps|pd|dq)_m128_xmm$/, (o) => writeVector(o, 0, readXmm(o, 1)), hot);

	table.define(/^Movss_xmm_xmmm32$/, (o) => loadScalar(o, 4), hot);
	table.define(/^Movsd_xmm_xmmm64$/, (o) => loadScalar(o, 8), hot);
	table.define(/^Movss_xmmm32_xmm$/, (o) => storeOrMoveScalar(o, 4), hot);
	table.define(/^Movsd_xmmm64_xmm$/, (o) => storeOrMoveScalar(o, 8), hot);

	table.define(/^Movlp[sd]_xmm_m64$/, (o) => writeXmmPart(o, 0, 8, readScalar(o, 1, 8)), hot);
	table.define(/^Movhp[sd]_xmm_m64$/, (o) => writeXmmPart(o, 0, 8, readScalar(o, 1, 8), 8), hot);
	table.define(/^Movlp[sd]_m64_xmm$/, (o) => storeScalar(o, 8, readXmmPart(o, 1, 8)), hot);
	table.define(/^Movhp[sd]_m64_xmm$/, (o) => storeScalar(o, 8, readXmmPart(o, 1, 8, 8)), hot);
	table.define(/^Movhlps_xmm_xmm$/, (o) => writeXmmPart(o, 0, 8, readXmmPart(o, 1, 8, 8)), cold);
	table.define(/^Movlhps_xmm_xmm$/, (o) => writeXmmPart(o, 0, 8, readXmmPart(o, 1, 8), 8), cold);

	table.define(
		/^Movsldup_xmm_xmmm128$/,
		(o) => rearrange(o, [0, 1, 2, 3, 0, 1, 2, 3, 8, 9, 10, 11, 8, 9, 10, 11]),
		cold,
	);
	table.define(
		/^Movshdup_xmm_xmmm128$/,
		(o) => rearrange(o, [4, 5, 6, 7, 4, 5, 6, 7, 12, 13, 14, 15, 12, 13, 14, 15]),
		cold,
	);
	table.define(/^Movddup_xmm_xmmm64$/, (o) => writeXmm(o, 0, readScalar(o, 1, 8).simd(Simd.i64x2Splat, v128)), cold);

	table.define(/^Movd_xmm_rm32$|^Movq_xmm_rm64$/, (o) => writeXmmLow(o, 0, o.read(1).toI64U()), hot);
	table.define(/^Movd_rm32_xmm$/, (o) => o.write(0, readXmmPart(o, 1, 4)), hot);
	table.define(/^Movq_rm64_xmm$/, (o) => o.write(0, readXmmPart(o, 1, 8)), hot);
	table.define(/^Movq_xmm_xmmm64$/, (o) => writeXmmLow(o, 0, readScalar(o, 1, 8)), hot);
	table.define(
		/^Movq_xmmm64_xmm$/,
		(o) => {
			if (o.inMemory(0)) storeScalar(o, 8, readXmmPart(o, 1, 8));
			else writeXmmLow(o, 0, readXmmPart(o, 1, 8));
		},
		hot,
	);

	const bitmask = (opcode: number) => (o: Operation) => {
		const bits = readXmm(o, 1).simd(opcode, i32);
		o.write(0, o.size(0) === 8 ? bits.extendU() : bits);
	};
	table.define(/^Movmskps_r(32|64)_xmm$/, bitmask(Simd.i32x4Bitmask), cold);
	table.define(/^Movmskpd_r(32|64)_xmm$/, bitmask(Simd.i64x2Bitmask), cold);
	table.define(/^Pmovmskb_r(32|64)_xmm$/, bitmask(Simd.i8x16Bitmask), hot);

	table.define(/^Maskmovdqu_rDI_xmm_xmm$/, maskedStore, cold);
	table.define(/^Ldmxcsr_m32$/, loadMxcsr, cold);
	table.define(
		/^Stmxcsr_m32$/,
		(o) => {
			const place = o.writePlace(4);
			o.f.store(4, place.address, o.state32(State.mxcsr));
			place.commit();
		},
		cold,
	);
}
