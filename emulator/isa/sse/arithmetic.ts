// SSE, SSE2 and SSE3 floating-point arithmetic and comparison (SDM Vol. 1 §10.4, §11.4, §12.3).
//
// WebAssembly's operations round to nearest and give the right result for numbers; what they do not give are
// exception flags and the NaN rules. So generated code does an operation by itself when nothing but the precision
// exception can be raised and its flag is set already: rounding to nearest, everything masked, operands that are
// normal or zero and a result that is normal, away from the smallest normal numbers, or an exact zero. The rest goes
// to the helpers "sse:..." (cpu/floating-point).

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import { setArithmeticFlags } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";
import { SseFlag, SseOperation } from "./forms.ts";
import {
	readScalar,
	readVector,
	readXmm,
	readXmmPart,
	simd,
	vector,
	writeXmm,
	writeXmmPart,
	zeroVector,
} from "./operands.ts";

const { i32, i64, v128 } = ValueType;
const options = { unit: "sse", cold: true } as const;
const FIRST = Value.i32(State.exchange);
const SECOND_OFFSET = 16;

/** MXCSR: all masked, nearest, no DAZ, no FTZ, PE set; the other flags do not matter. */
const CONTROL_MASK = 0xffe0;
const CONTROL_FAST = 0x1fa0;

/** i32: MXCSR is such that an inexact result changes nothing. */
export function inexactIsQuiet(o: Operation): Value {
	return o.state32(State.mxcsr).and(CONTROL_MASK).eq(CONTROL_FAST);
}

/** i32: the bits (i32 or i64) are those of a zero. */
function isZero(bits: Value): Value {
	return bits.shl(1).eqz();
}

/** i32: the bits are those of a number with a biased exponent of at least `least`, and finite. */
export function isNormal(bits: Value, least = 1): Value {
	const fraction = bits.type === ValueType.i64 ? 53n : 24n;
	const infinite = (bits.type === ValueType.i64 ? 0x7ffn : 0xffn) << fraction;
	const from = BigInt(least) << fraction;
	const lift = (constant: bigint) => (bits.type === ValueType.i64 ? Value.i64(constant) : Value.i32(constant));
	return bits
		.shl(1)
		.sub(lift(from))
		.ltU(lift(infinite - from));
}

export function isNormalOrZero(bits: Value): Value {
	return isNormal(bits).or(isZero(bits));
}

/** v128: lanes that are normal and at least `factor` times the smallest normal number. */
function normalLanes(value: Value, isDouble: boolean, factor: 1 | 2): Value {
	const magnitude = simd(isDouble ? Simd.f64x2Abs : Simd.f32x4Abs, value);
	const doubles = (bits: bigint) => vector(bits, bits);
	const singles = (bits: bigint) => vector((bits << 32n) | bits, (bits << 32n) | bits);
	const least = isDouble
		? doubles(factor === 1 ? 1n << 52n : 2n << 52n)
		: singles(factor === 1 ? 1n << 23n : 2n << 23n);
	const infinite = isDouble ? doubles(0x7ffn << 52n) : singles(0xffn << 23n);
	return simd(
		Simd.and,
		simd(isDouble ? Simd.f64x2Ge : Simd.f32x4Ge, magnitude, least),
		simd(isDouble ? Simd.f64x2Lt : Simd.f32x4Lt, magnitude, infinite),
	);
}

function zeroLanes(value: Value, isDouble: boolean): Value {
	return simd(isDouble ? Simd.f64x2Eq : Simd.f32x4Eq, value, zeroVector());
}

export function normalOrZeroLanes(value: Value, isDouble: boolean): Value {
	return simd(Simd.or, normalLanes(value, isDouble, 1), zeroLanes(value, isDouble));
}

export function allLanes(mask: Value): Value {
	return mask.simd(Simd.i8x16AllTrue, i32);
}

interface Arithmetic {
	readonly parameter: number;
	/** On f32 or f64. */
	readonly scalar: (a: Value, b: Value) => Value;
	/** Opcodes for f32x4 and f64x2. */
	readonly packed: readonly [number, number];
	/** A zero result is exact: always, or only if one of the operands (the first, for a quotient) is zero. */
	readonly zeroExact: "always" | "product" | "quotient";
}

const arithmetic: Readonly<Record<string, Arithmetic>> = {
	Add: {
		parameter: SseOperation.add,
		scalar: (a, b) => a.add(b),
		packed: [Simd.f32x4Add, Simd.f64x2Add],
		zeroExact: "always",
	},
	Sub: {
		parameter: SseOperation.subtract,
		scalar: (a, b) => a.sub(b),
		packed: [Simd.f32x4Sub, Simd.f64x2Sub],
		zeroExact: "always",
	},
	Mul: {
		parameter: SseOperation.multiply,
		scalar: (a, b) => a.mul(b),
		packed: [Simd.f32x4Mul, Simd.f64x2Mul],
		zeroExact: "product",
	},
	Div: {
		parameter: SseOperation.divide,
		scalar: (a, b) => a.div(b),
		packed: [Simd.f32x4Div, Simd.f64x2Div],
		zeroExact: "quotient",
	},
	Sqrt: {
		parameter: SseOperation.squareRoot,
		scalar: (_a, b) => b.sqrt(),
		packed: [Simd.f32x4Sqrt, Simd.f64x2Sqrt],
		zeroExact: "always",
	},
};

function asFloat(bits: Value): Value {
	return bits.type === ValueType.i64 ? bits.asF64Bits() : bits.asF32Bits();
}

function bitsOf(value: Value): Value {
	return value.type === ValueType.f64 ? value.bitsOfF64() : value.bitsOfF32();
}

/** Leaves operands in State.exchange for a helper. */
export function giveOperands(o: Operation, size: number, first: Value, second?: Value): void {
	o.f.store(size, FIRST, first);
	if (second) o.f.store(size, FIRST, second, SECOND_OFFSET);
}

/** The result of a helper, from State.exchange. */
export function takeResult(o: Operation, size: 4 | 8 | 16): Value {
	return o.f.load(size === 16 ? v128 : size === 8 ? i64 : i32, size, FIRST);
}

/** `fast` gets a function that ends the row; when it does not, `slow` follows. */
export function fastOrSlow(o: Operation, fast: (finish: () => void) => void, slow: () => void): void {
	o.f.block((done) => {
		fast(() => o.f.br(done));
		slow();
	});
}

function scalarArithmetic(operation: Arithmetic, size: 4 | 8): (o: Operation) => void {
	const flags = operation.parameter | SseFlag.scalar | (size === 8 ? SseFlag.double : 0);
	const unary = operation.parameter === SseOperation.squareRoot;
	return (o) => {
		const { f } = o;
		const b = readScalar(o, 1, size);
		const a = f.let(readXmmPart(o, 0, size));
		fastOrSlow(
			o,
			(finish) => {
				const operandsFine = unary ? isNormalOrZero(b) : isNormalOrZero(a).and(isNormalOrZero(b));
				f.if(inexactIsQuiet(o).and(operandsFine), () => {
					const result = f.let(bitsOf(operation.scalar(asFloat(a), asFloat(b))));
					let zeroFine = isZero(result);
					if (operation.zeroExact === "product") zeroFine = isZero(a).or(isZero(b));
					else if (operation.zeroExact === "quotient") zeroFine = isZero(a).and(isZero(b).eqz());
					f.if(isNormal(result, 2).or(zeroFine), () => {
						writeXmmPart(o, 0, size, result);
						finish();
					});
				});
			},
			() => {
				giveOperands(o, size, a, b);
				o.helper("sse:arithmetic", flags);
				writeXmmPart(o, 0, size, takeResult(o, size));
			},
		);
	};
}

function packedArithmetic(operation: Arithmetic, isDouble: boolean): (o: Operation) => void {
	const flags = operation.parameter | (isDouble ? SseFlag.double : 0);
	const unary = operation.parameter === SseOperation.squareRoot;
	const opcode = operation.packed[isDouble ? 1 : 0];
	return (o) => {
		const { f } = o;
		const b = readVector(o, 1);
		const a = f.let(readXmm(o, 0));
		fastOrSlow(
			o,
			(finish) => {
				f.if(inexactIsQuiet(o), () => {
					const result = f.let(unary ? simd(opcode, b) : simd(opcode, a, b));
					let zeroFine = zeroLanes(result, isDouble);
					if (operation.zeroExact === "product")
						zeroFine = simd(Simd.or, zeroLanes(a, isDouble), zeroLanes(b, isDouble));
					else if (operation.zeroExact === "quotient")
						zeroFine = simd(Simd.andNot, zeroLanes(a, isDouble), zeroLanes(b, isDouble));
					const resultFine = simd(Simd.or, normalLanes(result, isDouble, 2), zeroFine);
					const second = normalOrZeroLanes(b, isDouble);
					const operandsFine = unary ? second : simd(Simd.and, normalOrZeroLanes(a, isDouble), second);
					f.if(allLanes(simd(Simd.and, operandsFine, resultFine)), () => {
						writeXmm(o, 0, result);
						finish();
					});
				});
			},
			() => slowPacked(o, a, b, "sse:arithmetic", flags),
		);
	};
}

function slowPacked(o: Operation, a: Value, b: Value, name: string, parameter: number): void {
	giveOperands(o, 16, a, b);
	o.helper(name, parameter);
	writeXmm(o, 0, takeResult(o, 16));
}

/**
 * MINSS, MAXSD, ...: the second operand unless the first is less (greater); of normal numbers and zeros without a
 * flag.
 */
function scalarExtreme(maximum: boolean, size: 4 | 8): (o: Operation) => void {
	const operation = maximum ? SseOperation.maximum : SseOperation.minimum;
	return (o) => {
		const { f } = o;
		const b = readScalar(o, 1, size);
		const a = f.let(readXmmPart(o, 0, size));
		fastOrSlow(
			o,
			(finish) =>
				f.if(isNormalOrZero(a).and(isNormalOrZero(b)), () => {
					const first = maximum ? asFloat(a).gt(asFloat(b)) : asFloat(a).lt(asFloat(b));
					writeXmmPart(o, 0, size, first.select(a, b));
					finish();
				}),
			() => {
				giveOperands(o, size, a, b);
				o.helper("sse:arithmetic", operation | SseFlag.scalar | (size === 8 ? SseFlag.double : 0));
				writeXmmPart(o, 0, size, takeResult(o, size));
			},
		);
	};
}

/** MINPS, MAXPD, ... */
function packedExtreme(maximum: boolean, isDouble: boolean): (o: Operation) => void {
	const operation = maximum ? SseOperation.maximum : SseOperation.minimum;
	const opcode = isDouble ? (maximum ? Simd.f64x2Pmax : Simd.f64x2Pmin) : maximum ? Simd.f32x4Pmax : Simd.f32x4Pmin;
	return (o) => {
		const { f } = o;
		const b = readVector(o, 1);
		const a = f.let(readXmm(o, 0));
		fastOrSlow(
			o,
			(finish) => {
				const fine = simd(Simd.and, normalOrZeroLanes(a, isDouble), normalOrZeroLanes(b, isDouble));
				f.if(allLanes(fine), () => {
					// "Pseudo-minimum" of (b, a): a < b ? a : b.
					writeXmm(o, 0, simd(opcode, b, a));
					finish();
				});
			},
			() => slowPacked(o, a, b, "sse:arithmetic", operation | (isDouble ? SseFlag.double : 0)),
		);
	};
}

/** An operation that only the helper does. */
function packedHelper(parameter: number): (o: Operation) => void {
	return (o) => {
		const b = readVector(o, 1);
		slowPacked(o, o.f.let(readXmm(o, 0)), b, "sse:arithmetic", parameter);
	};
}

/** COMISS, COMISD, UCOMISS, UCOMISD: ZF, PF, CF; OF, SF, AF become 0. */
function compareToFlags(size: 4 | 8, signaling: boolean): (o: Operation) => void {
	return (o) => {
		const { f } = o;
		const b = readScalar(o, 1, size);
		const a = f.let(readXmmPart(o, 0, size));
		fastOrSlow(
			o,
			(finish) =>
				f.if(isNormalOrZero(a).and(isNormalOrZero(b)), () => {
					const less = asFloat(a).lt(asFloat(b));
					setArithmeticFlags(o, less.or(asFloat(a).eq(asFloat(b)).shl(6)));
					finish();
				}),
			() => {
				giveOperands(o, size, a, b);
				o.helper("sse:compareToFlags", (size === 8 ? SseFlag.double : 0) | (signaling ? SseFlag.signaling : 0));
				setArithmeticFlags(o, takeResult(o, 4));
			},
		);
	};
}

/** CMPPS, CMPSD, ...: the predicate in the immediate's low bits (bits 7:3 are ignored by the legacy encodings). */
function compareToMask(size: 4 | 8, scalar: boolean): (o: Operation) => void {
	const flags = (size === 8 ? SseFlag.double : 0) | (scalar ? SseFlag.scalar : 0);
	const isDouble = size === 8;
	return (o) => {
		const { f } = o;
		const b = scalar ? readScalar(o, 1, size) : readVector(o, 1);
		const a = f.let(scalar ? readXmmPart(o, 0, size) : readXmm(o, 0));
		const predicate = f.let(o.immediate(1).and(7));
		fastOrSlow(
			o,
			(finish) => {
				if (scalar) return;
				const fine = simd(Simd.and, normalOrZeroLanes(a, isDouble), normalOrZeroLanes(b, isDouble));
				f.if(allLanes(fine), () => {
					const [equal, less, lessOrEqual] = isDouble
						? [Simd.f64x2Eq, Simd.f64x2Lt, Simd.f64x2Le]
						: [Simd.f32x4Eq, Simd.f32x4Lt, Simd.f32x4Le];
					const kind = f.let(predicate.and(3));
					// No lane is unordered here.
					const ordered = kind
						.eq(2)
						.select(simd(lessOrEqual!, a, b), kind.eq(3).select(zeroVector(), simd(equal!, a, b)));
					const mask = f.let(kind.eq(1).select(simd(less!, a, b), ordered));
					writeXmm(o, 0, predicate.and(4).select(simd(Simd.not, mask), mask));
					finish();
				});
			},
			() => {
				giveOperands(o, scalar ? size : 16, a, b);
				o.setState32(State.helperResult, predicate);
				o.helper("sse:compare", flags);
				if (scalar) writeXmmPart(o, 0, size, takeResult(o, size));
				else writeXmm(o, 0, takeResult(o, 16));
			},
		);
	};
}

export function defineArithmetic(table: InstructionTable): void {
	for (const [mnemonic, operation] of Object.entries(arithmetic)) {
		table.define(new RegExp(`^${mnemonic}ss_xmm_xmmm32$`), scalarArithmetic(operation, 4), options);
		table.define(new RegExp(`^${mnemonic}sd_xmm_xmmm64$`), scalarArithmetic(operation, 8), options);
		table.define(new RegExp(`^${mnemonic}ps_xmm_xmmm128$`), packedArithmetic(operation, false), options);
		table.define(new RegExp(`^${mnemonic}pd_xmm_xmmm128$`), packedArithmetic(operation, true), options);
	}
	for (const mnemonic of ["Min", "Max"]) {
		const maximum = mnemonic === "Max";
		table.define(new RegExp(`^${mnemonic}ss_xmm_xmmm32$`), scalarExtreme(maximum, 4), options);
		table.define(new RegExp(`^${mnemonic}sd_xmm_xmmm64$`), scalarExtreme(maximum, 8), options);
		table.define(new RegExp(`^${mnemonic}ps_xmm_xmmm128$`), packedExtreme(maximum, false), options);
		table.define(new RegExp(`^${mnemonic}pd_xmm_xmmm128$`), packedExtreme(maximum, true), options);
	}
	for (const [letter, flag] of [
		["s", 0],
		["d", SseFlag.double],
	] as const) {
		const define = (mnemonic: string, parameter: number) =>
			table.define(new RegExp(`^${mnemonic}p${letter}_xmm_xmmm128$`), packedHelper(parameter | flag), options);
		define("Addsub", SseOperation.add | SseFlag.alternate);
		define("Hadd", SseOperation.add | SseFlag.horizontal);
		define("Hsub", SseOperation.subtract | SseFlag.horizontal);
	}
	table.define(/^Comiss_xmm_xmmm32$/, compareToFlags(4, true), options);
	table.define(/^Comisd_xmm_xmmm64$/, compareToFlags(8, true), options);
	table.define(/^Ucomiss_xmm_xmmm32$/, compareToFlags(4, false), options);
	table.define(/^Ucomisd_xmm_xmmm64$/, compareToFlags(8, false), options);
	table.define(/^Cmpss_xmm_xmmm32_imm8$/, compareToMask(4, true), options);
	table.define(/^Cmpsd_xmm_xmmm64_imm8$/, compareToMask(8, true), options);
	table.define(/^Cmpps_xmm_xmmm128_imm8$/, compareToMask(4, false), options);
	table.define(/^Cmppd_xmm_xmmm128_imm8$/, compareToMask(8, false), options);
}
