// The double extended-precision format and the x87 arithmetic on it (SDM Vol. 1 §4.2.2, §8.1.5, §8.3.5, §8.5). Pure
// functions: operands and a control word in, result and exception flags out.

import {
	bitLength,
	defaultNan,
	double,
	extended,
	Flag,
	type Format,
	finite,
	infinity,
	isNan,
	Kind,
	quieted,
	type Rounded,
	round,
	single,
	type Unpacked,
	zero,
} from "./binary-float.ts";
import { addExact, divideExact, type Exact, multiplyExact, squareRootExact } from "./exact-arithmetic.ts";

/** The 80 bits of an x87 data register. */
export interface Extended {
	/** Sign (bit 15) and biased exponent. */
	readonly high: number;
	/** The significand with its integer bit, unsigned 64 bits. */
	readonly low: bigint;
}

const INTEGER_BIT = 1n << 63n;
const QUIET_BIT = 1n << 62n;
const BIAS = 16383;
/** Exponent of the last bit of a number with biased exponent 1. */
const LEAST_EXPONENT = 1 - BIAS - 63;
/**
 * What the exponent of an overflowed or underflowed result is changed by for an unmasked exception (SDM Vol. 1
 * §8.5.4, §8.5.5).
 */
const WRAP = 24576;

export function unpackExtended(value: Extended): Unpacked {
	const negative = (value.high & 0x8000) !== 0;
	const field = value.high & 0x7fff;
	const significand = value.low;
	const hasInteger = (significand & INTEGER_BIT) !== 0n;
	if (field === 0) {
		if (significand === 0n) return zero(negative);
		return finite(negative, significand, LEAST_EXPONENT, true);
	}
	// Pseudo-NaNs, pseudo-infinities and unnormals (SDM Vol. 1 §8.2.2, Table 8-3).
	if (!hasInteger) return { kind: Kind.unsupported, negative, exponent: 0, significand, denormal: false };
	if (field !== 0x7fff) return finite(negative, significand, LEAST_EXPONENT + field - 1);
	if (significand === INTEGER_BIT) return infinity(negative);
	const kind = significand & QUIET_BIT ? Kind.quietNan : Kind.signalingNan;
	return { kind, negative, exponent: 0, significand, denormal: false };
}

/** The bits of a value that fits. */
export function packExtended(value: Unpacked): Extended {
	const sign = value.negative ? 0x8000 : 0;
	switch (value.kind) {
		case Kind.zero:
			return { high: sign, low: 0n };
		case Kind.infinity:
			return { high: sign | 0x7fff, low: INTEGER_BIT };
		case Kind.finite: {
			const leading = value.exponent + bitLength(value.significand) - 1;
			const exponent = Math.max(leading, 1 - BIAS) - 63;
			const shift = exponent - value.exponent;
			const low = shift > 0 ? value.significand >> BigInt(shift) : value.significand << BigInt(-shift);
			return { high: sign | (leading < 1 - BIAS ? 0 : leading + BIAS), low };
		}
		default:
			return { high: sign | 0x7fff, low: value.significand };
	}
}

export const indefinite: Extended = packExtended(defaultNan);

/** What an operation leaves: the value for the destination, if it is to be written, and the flags it raised. */
export interface Result {
	/** undefined: an unmasked exception leaves the destination as it was. */
	readonly value: Unpacked | undefined;
	readonly flags: number;
	/** C1: rounded away from zero. */
	readonly up: boolean;
	/** The rounded result is tiny (Rounded.tiny). */
	readonly tiny?: boolean;
}

/** Fields of the control word (SDM Vol. 1 §8.1.5): masks in bits 5:0, precision 9:8, rounding 11:10. */
export function precisionFormat(control: number): Format {
	const bits = (control >> 8) & 3;
	const precision = bits === 0 ? single.precision : bits === 2 ? double.precision : extended.precision;
	return { ...extended, precision };
}

export function roundingOf(control: number): number {
	return (control >> 10) & 3;
}

/** The invalid-operation response: the indefinite, or nothing when unmasked. */
export function invalid(control: number, flags: number = Flag.invalid): Result {
	return { value: control & Flag.invalid ? defaultNan : undefined, flags, up: false };
}

/** A value that no rounding touches, with the flags of the operands. */
export function exactResult(value: Unpacked, flags: number, control: number): Result {
	return { value: flags & ~control & Flag.all ? undefined : value, flags, up: false };
}

/** The NaN that an operation on NaNs returns (SDM Vol. 1 Table 4-7, x87 rows). At least one operand is a NaN. */
function chooseNan(a: Unpacked, b: Unpacked): Unpacked {
	if (!isNan(b)) return quieted(a);
	if (!isNan(a)) return quieted(b);
	if (a.kind === Kind.signalingNan && b.kind === Kind.quietNan) return b;
	if (b.kind === Kind.signalingNan && a.kind === Kind.quietNan) return a;
	if (a.significand !== b.significand) return quieted(a.significand > b.significand ? a : b);
	return quieted(a.negative ? b : a);
}

/** Handles unsupported formats and NaNs; undefined when there are none. */
export function nanResult(a: Unpacked, b: Unpacked, control: number): Result | undefined {
	if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) return invalid(control);
	if (!isNan(a) && !isNan(b)) return undefined;
	const flags = a.kind === Kind.signalingNan || b.kind === Kind.signalingNan ? Flag.invalid : 0;
	return exactResult(chooseNan(a, b), flags, control);
}

export function denormalFlag(a: Unpacked, b: Unpacked = a): number {
	return a.denormal || b.denormal ? Flag.denormal : 0;
}

/** Rounds to the precision of the control word, with the responses for a register destination. */
export function roundResult(exact: Exact, control: number, flags: number, format = precisionFormat(control)): Result {
	if (flags & ~control & Flag.all) return { value: undefined, flags, up: false };
	const rounded = round(exact.negative, exact.significand, exact.exponent, format, roundingOf(control));
	return finishRegister(rounded, control, flags);
}

/** The masked or unmasked response to overflow and underflow for a result that goes to a register. */
function finishRegister(rounded: Rounded, control: number, flags: number): Result {
	const wrapped = rounded.flags & Flag.overflow ? -WRAP : WRAP;
	const overflowed = (rounded.flags & Flag.overflow) !== 0 && (control & Flag.overflow) === 0;
	const underflowed = rounded.tiny && (control & Flag.underflow) === 0;
	if (!overflowed && !underflowed)
		return { value: rounded.value, flags: flags | rounded.flags, up: rounded.up, tiny: rounded.tiny };
	const { unbounded } = rounded;
	const value = { ...unbounded, exponent: unbounded.exponent + wrapped };
	const kind = overflowed ? Flag.overflow : Flag.underflow;
	const leading = value.exponent + bitLength(value.significand) - 1;
	// FSCALE can go so far that the changed exponent does not fit either (SDM Vol. 1 §8.5.4, §8.5.5).
	if (overflowed ? leading > extended.maxExponent : leading < extended.minExponent) {
		const beyond = overflowed ? infinity(value.negative) : zero(value.negative);
		return { value: beyond, flags: flags | kind | Flag.inexact, up: overflowed };
	}
	return {
		value,
		flags: flags | kind | (rounded.unboundedInexact ? Flag.inexact : 0),
		up: rounded.unboundedUp,
	};
}

/** a + b or a - b. */
export function add(
	a: Unpacked,
	b: Unpacked,
	subtract: boolean,
	control: number,
	format: Format = precisionFormat(control),
): Result {
	const nan = nanResult(a, b, control);
	if (nan) return nan;
	const bNegative = b.negative !== subtract;
	if (a.kind === Kind.infinity && b.kind === Kind.infinity && a.negative !== bNegative) return invalid(control);
	const flags = denormalFlag(a, b);
	if (a.kind === Kind.infinity) return exactResult(infinity(a.negative), flags, control);
	if (b.kind === Kind.infinity) return exactResult(infinity(bNegative), flags, control);
	const down = roundingOf(control) === 1;
	if (a.kind === Kind.zero && b.kind === Kind.zero)
		return exactResult(zero(a.negative === bNegative ? a.negative : down), flags, control);
	const exact =
		a.kind === Kind.zero ? { ...b, negative: bNegative } : b.kind === Kind.zero ? a : addExact(a, b, subtract);
	if (exact.significand === 0n) return exactResult(zero(down), flags, control);
	return roundResult(exact, control, flags, format);
}

export function multiply(a: Unpacked, b: Unpacked, control: number, format: Format = precisionFormat(control)): Result {
	const nan = nanResult(a, b, control);
	if (nan) return nan;
	const negative = a.negative !== b.negative;
	const infinite = a.kind === Kind.infinity || b.kind === Kind.infinity;
	const zeros = a.kind === Kind.zero || b.kind === Kind.zero;
	if (infinite && zeros) return invalid(control);
	const flags = denormalFlag(a, b);
	if (infinite) return exactResult(infinity(negative), flags, control);
	if (zeros) return exactResult(zero(negative), flags, control);
	return roundResult(multiplyExact(a, b), control, flags, format);
}

export function divide(a: Unpacked, b: Unpacked, control: number, format: Format = precisionFormat(control)): Result {
	const nan = nanResult(a, b, control);
	if (nan) return nan;
	const negative = a.negative !== b.negative;
	if (a.kind === b.kind && (a.kind === Kind.zero || a.kind === Kind.infinity)) return invalid(control);
	const flags = denormalFlag(a, b);
	if (a.kind === Kind.infinity) return exactResult(infinity(negative), flags, control);
	if (b.kind === Kind.infinity) return exactResult(zero(negative), flags, control);
	// The division by zero comes before the denormal operand (SDM Vol. 1 §4.9.2).
	if (b.kind === Kind.zero) return exactResult(infinity(negative), Flag.zeroDivide, control);
	if (a.kind === Kind.zero) return exactResult(zero(negative), flags, control);
	return roundResult(divideExact(a, b), control, flags, format);
}

export function squareRoot(a: Unpacked, control: number, format: Format = precisionFormat(control)): Result {
	const nan = nanResult(a, a, control);
	if (nan) return nan;
	if (a.kind === Kind.zero) return exactResult(a, 0, control);
	if (a.negative) return invalid(control);
	if (a.kind === Kind.infinity) return exactResult(a, 0, control);
	return roundResult(squareRootExact(a), control, denormalFlag(a), format);
}

export type Comparison = "less" | "equal" | "greater" | "unordered";

/** Compares; a NaN or unsupported operand is unordered. */
export function compare(a: Unpacked, b: Unpacked): Comparison {
	if (isNan(a) || isNan(b) || a.kind === Kind.unsupported || b.kind === Kind.unsupported) return "unordered";
	const order = (x: Unpacked): number => (x.kind === Kind.zero ? 0 : x.negative ? -1 : 1);
	if (order(a) !== order(b)) return order(a) < order(b) ? "less" : "greater";
	if (order(a) === 0) return "equal";
	let magnitude: number;
	if (a.kind === Kind.infinity || b.kind === Kind.infinity)
		magnitude = (a.kind === Kind.infinity ? 1 : 0) - (b.kind === Kind.infinity ? 1 : 0);
	else {
		const aTop = a.exponent + bitLength(a.significand);
		const bTop = b.exponent + bitLength(b.significand);
		if (aTop !== bTop) magnitude = aTop - bTop;
		else {
			const common = Math.min(a.exponent, b.exponent);
			const x = a.significand << BigInt(a.exponent - common);
			const y = b.significand << BigInt(b.exponent - common);
			magnitude = x < y ? -1 : x > y ? 1 : 0;
		}
	}
	if (magnitude === 0) return "equal";
	return magnitude < 0 !== a.negative ? "less" : "greater";
}

/** The flags of a comparison: quiet comparisons accept quiet NaNs. */
export function comparisonFlags(a: Unpacked, b: Unpacked, quiet: boolean): number {
	if (a.kind === Kind.unsupported || b.kind === Kind.unsupported) return Flag.invalid;
	if (a.kind === Kind.signalingNan || b.kind === Kind.signalingNan) return Flag.invalid;
	if (isNan(a) || isNan(b)) return quiet ? 0 : Flag.invalid;
	return denormalFlag(a, b);
}
