// Conversions between integers, single and double precision (SDM Vol. 1 §10.4.3, §11.4.1.6), and the approximate
// reciprocals.

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import { finishMmx, readMmSource, startMmx, writeMm } from "../mmx/registers.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import {
	allLanes,
	fastOrSlow,
	giveOperands,
	inexactIsQuiet,
	isNormal,
	isNormalOrZero,
	normalOrZeroLanes,
	takeResult,
} from "./arithmetic.ts";
import { ConvertFlag, ElementKind } from "./forms.ts";
import { readScalar, readVector, simd, writeXmm, writeXmmLow, writeXmmPart } from "./operands.ts";

const { i32, i64, f32, f64, v128 } = ValueType;
const options = { unit: "sse", cold: true } as const;
const { integer32, integer64, single, double } = ElementKind;
/** One-byte opcodes (WebAssembly core specification, numeric instructions). */
const I32_TRUNC_F32_S = 0xa8;
const I32_TRUNC_F64_S = 0xaa;
const I64_TRUNC_F32_S = 0xae;
const I64_TRUNC_F64_S = 0xb0;
const F32_CONVERT_I32_S = 0xb2;
const F32_CONVERT_I64_S = 0xb4;
const F64_CONVERT_I32_S = 0xb7;
const F64_CONVERT_I64_S = 0xb9;

function parameter(from: number, to: number, count: number, truncate = false): number {
	return (
		from |
		(to << ConvertFlag.destinationShift) |
		(count << ConvertFlag.countShift) |
		(truncate ? ConvertFlag.truncate : 0)
	);
}

/** The low `size` bytes of the source, whose memory form may be smaller than 128 bits. */
function readSource(o: Operation, size: 4 | 8 | 16): Value {
	return size === 16 ? readVector(o, 1) : readScalar(o, 1, size);
}

/** Packed elements; a result of 8 bytes clears the upper half. */
function packed(from: number, to: number, count: number, sourceSize: 8 | 16, resultSize: 8 | 16, truncate = false) {
	return (o: Operation) => {
		giveOperands(o, sourceSize, readSource(o, sourceSize));
		o.helper("sse:convert", parameter(from, to, count, truncate));
		if (resultSize === 16) writeXmm(o, 0, takeResult(o, 16));
		else writeXmmLow(o, 0, takeResult(o, 8));
	};
}

/** CVTSI2SS, CVTSI2SD. */
function fromGeneral(to: number) {
	return (o: Operation) => {
		const size = o.size(1) as 4 | 8;
		const source = o.f.let(o.read(1));
		if (to === double && size === 4) {
			writeXmmPart(o, 0, 8, source.operation(F64_CONVERT_I32_S, f64).bitsOfF64());
			return;
		}
		const resultSize = to === double ? 8 : 4;
		fastOrSlow(
			o,
			(finish) =>
				o.f.if(inexactIsQuiet(o), () => {
					const value =
						to === double
							? source.operation(F64_CONVERT_I64_S, f64).bitsOfF64()
							: source.operation(size === 8 ? F32_CONVERT_I64_S : F32_CONVERT_I32_S, f32).bitsOfF32();
					writeXmmPart(o, 0, resultSize, value);
					finish();
				}),
			() => {
				giveOperands(o, size, source);
				o.helper("sse:convert", parameter(size === 8 ? integer64 : integer32, to, 1));
				writeXmmPart(o, 0, resultSize, takeResult(o, resultSize));
			},
		);
	};
}

/** CVTSS2SI, CVTTSD2SI, ... */
function toGeneral(from: number, truncate: boolean) {
	return (o: Operation) => {
		const { f } = o;
		const size = o.size(0) as 4 | 8;
		const sourceSize = from === double ? 8 : 4;
		const source = readScalar(o, 1, sourceSize);
		const slow = () => {
			giveOperands(o, sourceSize, source);
			o.helper("sse:convert", parameter(from, size === 8 ? integer64 : integer32, 1, truncate));
			o.write(0, takeResult(o, size));
		};
		if (!truncate) {
			slow();
			return;
		}
		const wide = size === 8;
		const type = wide ? i64 : i32;
		const opcode =
			from === double ? (wide ? I64_TRUNC_F64_S : I32_TRUNC_F64_S) : wide ? I64_TRUNC_F32_S : I32_TRUNC_F32_S;
		fastOrSlow(
			o,
			(finish) => {
				// Magnitudes below 2^31 (2^63) by the biased exponent.
				const bits = wide ? 63 : 31;
				const small =
					from === double
						? source.shl(1).ltU(Value.i64(BigInt(1023 + bits) << 53n))
						: source.shl(1).ltU(Value.i32((127 + bits) * 2 ** 24));
				f.if(inexactIsQuiet(o).and(isNormalOrZero(source)).and(small), () => {
					const value = from === double ? source.asF64Bits() : source.asF32Bits();
					o.write(0, value.operation(opcode, type));
					finish();
				});
			},
			slow,
		);
	};
}

/** CVTSS2SD of a normal number or zero is exact; CVTSD2SS rounds as WebAssembly does. */
function betweenReals(from: number) {
	const widens = from === single;
	const sourceSize = widens ? 4 : 8;
	const resultSize = widens ? 8 : 4;
	return (o: Operation) => {
		const { f } = o;
		const source = readScalar(o, 1, sourceSize);
		fastOrSlow(
			o,
			(finish) => {
				if (widens)
					f.if(isNormalOrZero(source), () => {
						writeXmmPart(o, 0, 8, source.asF32Bits().promote().bitsOfF64());
						finish();
					});
				else
					f.if(inexactIsQuiet(o).and(isNormalOrZero(source)), () => {
						const result = f.let(source.asF64Bits().demote().bitsOfF32());
						f.if(isNormal(result, 2).or(source.shl(1).eqz()), () => {
							writeXmmPart(o, 0, 4, result);
							finish();
						});
					});
			},
			() => {
				giveOperands(o, sourceSize, source);
				o.helper("sse:convert", parameter(from, widens ? double : single, 1));
				writeXmmPart(o, 0, resultSize, takeResult(o, resultSize));
			},
		);
	};
}

/** CVTPS2PD: normal numbers and zeros are exact. */
function widenSingles(o: Operation): void {
	const source = readScalar(o, 1, 8);
	fastOrSlow(
		o,
		(finish) => {
			const lanes = o.f.let(source.simd(Simd.i64x2Splat, v128));
			o.f.if(allLanes(normalOrZeroLanes(lanes, false)), () => {
				writeXmm(o, 0, simd(Simd.f64x2PromoteLowF32x4, lanes));
				finish();
			});
		},
		() => {
			giveOperands(o, 8, source);
			o.helper("sse:convert", parameter(single, double, 2));
			writeXmm(o, 0, takeResult(o, 16));
		},
	);
}

/** CVTDQ2PS. */
function singlesFromIntegers(o: Operation): void {
	const source = readVector(o, 1);
	fastOrSlow(
		o,
		(finish) =>
			o.f.if(inexactIsQuiet(o), () => {
				writeXmm(o, 0, simd(Simd.f32x4ConvertI32x4S, source));
				finish();
			}),
		() => {
			giveOperands(o, 16, source);
			o.helper("sse:convert", parameter(integer32, single, 4));
			writeXmm(o, 0, takeResult(o, 16));
		},
	);
}

/**
 * CVTPI2PS: with a memory operand the x87 state stays as it is, as the processor does it and the SDM says of
 * CVTPI2PD.
 */
function singlesFromMmx(o: Operation): void {
	if (!o.inMemory(1)) startMmx(o);
	const source = readMmSource(o, 1);
	if (!o.inMemory(1)) finishMmx(o);
	giveOperands(o, 8, source);
	o.helper("sse:convert", parameter(integer32, single, 2));
	writeXmmPart(o, 0, 8, takeResult(o, 8));
}

/** CVTPI2PD: with a memory operand the x87 state stays as it is (SDM Vol. 2A CVTPI2PD). */
function doublesFromMmx(o: Operation): void {
	if (!o.inMemory(1)) startMmx(o);
	const source = readMmSource(o, 1);
	if (!o.inMemory(1)) finishMmx(o);
	const lanes = source.simd(Simd.i64x2Splat, v128);
	writeXmm(o, 0, lanes.simd(Simd.f64x2ConvertLowI32x4S, v128));
}

/** CVTPS2PI, CVTPD2PI and the truncating ones. */
function toMmx(from: number, truncate: boolean) {
	return (o: Operation) => {
		startMmx(o);
		const size = from === double ? 16 : 8;
		const source = readSource(o, size);
		// The transition to MMX comes first, as on the processor: it holds when the conversion raises #XM.
		finishMmx(o);
		giveOperands(o, size, source);
		o.helper("sse:convert", parameter(from, integer32, 2, truncate));
		writeMm(o, 0, takeResult(o, 8));
	};
}

/**
 * RCPPS, RSQRTPS and the scalar ones. No flags; the relative error is at most 1.5 × 2^-12 (SDM Vol. 2B).
 *
 * Deviation: processors differ in these results; here they are the exact ones cut to 12 bits of precision after
 * rounding to single. Denormal operands count as zeros, denormal results become zeros (SDM Vol. 2B RCPPS).
 */
function approximate(o: Operation, bits: Value, squareRoot: boolean): Value {
	const { f } = o;
	const value = f.let(bits);
	const magnitude = f.let(value.and(0x7fffffff));
	const sign = value.and(Value.i32(0x80000000));
	const denormal = magnitude.ltU(0x00800000);
	const flushed = f.let(denormal.select(sign, value));
	const operand = squareRoot ? flushed.asF32Bits().sqrt() : flushed.asF32Bits();
	const one = new Value(f32, (out) => out.bytes([0x43, 0x00, 0x00, 0x80, 0x3f]));
	const quotient = f.let(one.div(operand).bitsOfF32());
	const rounded = f.let(quotient.add(0x400).and(~0x7ff));
	const exponent = f.let(quotient.and(0x7f800000));
	const cut = exponent
		.eq(0x7f800000)
		.select(quotient, exponent.eqz().select(quotient.and(Value.i32(0x80000000)), rounded));
	const isNan = magnitude.gtU(0x7f800000);
	const negative = squareRoot ? f.let(flushed).ltS(0).and(flushed.shl(1).ne(0)) : Value.i32(0);
	return isNan.select(value.or(0x400000), negative.select(Value.i32(0xffc00000), cut));
}

function approximateRow(squareRoot: boolean, count: 1 | 4) {
	return (o: Operation) => {
		const { f } = o;
		const results: Value[] = [];
		if (count === 1) results.push(f.let(approximate(o, readScalar(o, 1, 4), squareRoot)));
		else {
			const source = readVector(o, 1);
			for (let lane = 0; lane < 4; lane++)
				results.push(f.let(approximate(o, source.simd(Simd.i32x4ExtractLane, i32, [], [lane]), squareRoot)));
		}
		for (const [lane, result] of results.entries()) writeXmmPart(o, 0, 4, result, lane * 4);
	};
}

export function defineConversions(table: InstructionTable): void {
	const define = (pattern: RegExp, emit: (o: Operation) => void) => table.define(pattern, emit, options);
	define(/^Cvtsi2ss_xmm_rm(32|64)$/, fromGeneral(single));
	define(/^Cvtsi2sd_xmm_rm(32|64)$/, fromGeneral(double));
	define(/^Cvtss2si_r(32|64)_xmmm32$/, toGeneral(single, false));
	define(/^Cvttss2si_r(32|64)_xmmm32$/, toGeneral(single, true));
	define(/^Cvtsd2si_r(32|64)_xmmm64$/, toGeneral(double, false));
	define(/^Cvttsd2si_r(32|64)_xmmm64$/, toGeneral(double, true));
	define(/^Cvtss2sd_xmm_xmmm32$/, betweenReals(single));
	define(/^Cvtsd2ss_xmm_xmmm64$/, betweenReals(double));
	define(/^Cvtps2pd_xmm_xmmm64$/, widenSingles);
	define(/^Cvtpd2ps_xmm_xmmm128$/, packed(double, single, 2, 16, 8));
	define(/^Cvtdq2ps_xmm_xmmm128$/, singlesFromIntegers);
	define(/^Cvtps2dq_xmm_xmmm128$/, packed(single, integer32, 4, 16, 16));
	define(/^Cvttps2dq_xmm_xmmm128$/, packed(single, integer32, 4, 16, 16, true));
	define(/^Cvtpd2dq_xmm_xmmm128$/, packed(double, integer32, 2, 16, 8));
	define(/^Cvttpd2dq_xmm_xmmm128$/, packed(double, integer32, 2, 16, 8, true));
	define(/^Cvtdq2pd_xmm_xmmm64$/, (o) => {
		const lanes = readScalar(o, 1, 8).simd(Simd.i64x2Splat, v128);
		writeXmm(o, 0, lanes.simd(Simd.f64x2ConvertLowI32x4S, v128));
	});
	define(/^Cvtpi2ps_xmm_mmm64$/, singlesFromMmx);
	define(/^Cvtpi2pd_xmm_mmm64$/, doublesFromMmx);
	define(/^Cvtps2pi_mm_xmmm64$/, toMmx(single, false));
	define(/^Cvttps2pi_mm_xmmm64$/, toMmx(single, true));
	define(/^Cvtpd2pi_mm_xmmm128$/, toMmx(double, false));
	define(/^Cvttpd2pi_mm_xmmm128$/, toMmx(double, true));
	define(/^Rcpss_xmm_xmmm32$/, approximateRow(false, 1));
	define(/^Rcpps_xmm_xmmm128$/, approximateRow(false, 4));
	define(/^Rsqrtss_xmm_xmmm32$/, approximateRow(true, 1));
	define(/^Rsqrtps_xmm_xmmm128$/, approximateRow(true, 4));
}
