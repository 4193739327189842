// Binary floating-point values taken apart, and their rounding into a format (SDM Vol. 1 §4.8, IEEE Std 754).
// Everything that the x87 and SSE units share. Pure functions; significands are BigInt, so that intermediate results
// are exact.

/** Exception flags, at their places in the x87 status word and in MXCSR (SDM Vol. 1 §4.9.1). */
export const Flag = {
	invalid: 1,
	denormal: 2,
	zeroDivide: 4,
	overflow: 8,
	underflow: 16,
	inexact: 32,
	all: 0x3f,
	/** x87 only. */
	stackFault: 0x40,
} as const;

/** The rounding-control field (SDM Vol. 1 Table 4-8). */
export const Rounding = { nearest: 0, down: 1, up: 2, zero: 3 } as const;

export interface Format {
	/** Bits of the significand with the integer bit. */
	readonly precision: number;
	/** Exponent of the smallest normal number. */
	readonly minExponent: number;
	readonly maxExponent: number;
}

/** SDM Vol. 1 Table 4-3. */
export const single: Format = { precision: 24, minExponent: -126, maxExponent: 127 };
export const double: Format = { precision: 53, minExponent: -1022, maxExponent: 1023 };
export const extended: Format = { precision: 64, minExponent: -16382, maxExponent: 16383 };

export const Kind = { zero: 0, finite: 1, infinity: 2, quietNan: 3, signalingNan: 4, unsupported: 5 } as const;
export type Kind = (typeof Kind)[keyof typeof Kind];

/** A value taken apart. */
export interface Unpacked {
	readonly kind: Kind;
	readonly negative: boolean;
	/** A finite number is significand × 2^exponent. */
	readonly exponent: number;
	/** Finite: positive. NaN: the 64-bit significand of the double extended format, integer bit included. */
	readonly significand: bigint;
	/** It was a denormal (or pseudo-denormal) in the format that it came from. */
	readonly denormal: boolean;
}

export function isNan(value: Unpacked): boolean {
	return value.kind === Kind.quietNan || value.kind === Kind.signalingNan;
}

export function zero(negative: boolean): Unpacked {
	return { kind: Kind.zero, negative, exponent: 0, significand: 0n, denormal: false };
}

export function infinity(negative: boolean): Unpacked {
	return { kind: Kind.infinity, negative, exponent: 0, significand: 0n, denormal: false };
}

export function finite(negative: boolean, significand: bigint, exponent: number, denormal = false): Unpacked {
	return { kind: Kind.finite, negative, exponent, significand, denormal };
}

/** The QNaN floating-point indefinite (SDM Vol. 1 Table 4-3). */
export const defaultNan: Unpacked = {
	kind: Kind.quietNan,
	negative: true,
	exponent: 0,
	significand: 0xc000000000000000n,
	denormal: false,
};

/** The NaN with its quiet bit set. */
export function quieted(value: Unpacked): Unpacked {
	return { ...value, kind: Kind.quietNan, significand: value.significand | 0x4000000000000000n };
}

/** Number of bits up to the highest 1. */
export function bitLength(value: bigint): number {
	let length = 0;
	let rest = value;
	while (rest > 0xffffffffffffffffn) {
		const more = rest > 1n << 512n ? 448 : 64;
		rest >>= BigInt(more);
		length += more;
	}
	const high = Number(rest >> 32n);
	if (high !== 0) return length + 64 - Math.clz32(high);
	return length + 32 - Math.clz32(Number(rest));
}

/** `value` divided by 2^`shift` with a last bit that says whether 1s were lost. */
export function shiftRightJamming(value: bigint, shift: number): bigint {
	if (shift <= 0) return value << BigInt(-shift);
	const count = BigInt(shift);
	const result = value >> count;
	return result << count === value ? result : result | 1n;
}

interface Shortened {
	readonly significand: bigint;
	readonly inexact: boolean;
	/** The magnitude was made larger. */
	readonly up: boolean;
}

/** Drops the low `shift` bits, rounding. */
function shorten(negative: boolean, significand: bigint, shift: number, rounding: number): Shortened {
	if (shift <= 0) return { significand: significand << BigInt(-shift), inexact: false, up: false };
	const count = BigInt(shift);
	const kept = significand >> count;
	const rest = significand - (kept << count);
	if (rest === 0n) return { significand: kept, inexact: false, up: false };
	let up: boolean;
	if (rounding === Rounding.nearest) {
		const half = 1n << (count - 1n);
		up = rest > half || (rest === half && (kept & 1n) === 1n);
	} else up = rounding === (negative ? Rounding.down : Rounding.up);
	return { significand: up ? kept + 1n : kept, inexact: true, up };
}

export interface Rounded {
	readonly value: Unpacked;
	/** Overflow, underflow and inexact as the masked responses report them (SDM Vol. 1 §4.9.1.4 to §4.9.1.6). */
	readonly flags: number;
	/** The result is larger in magnitude than the exact value (condition code C1). */
	readonly up: boolean;
	/** Tiny after rounding with unbounded exponent, whether or not the result is exact. */
	readonly tiny: boolean;
	/** The result rounded with unbounded exponent range: what the unmasked responses deliver. */
	readonly unbounded: Unpacked;
	readonly unboundedInexact: boolean;
	readonly unboundedUp: boolean;
}

/**
 * Rounds significand × 2^exponent (significand positive, exact or with a jammed last bit and at least two bits more
 * than the precision) into the format; the masked responses to overflow and underflow.
 */
export function round(
	negative: boolean,
	significand: bigint,
	exponent: number,
	format: Format,
	rounding: number,
): Rounded {
	const { precision, minExponent, maxExponent } = format;
	const length = bitLength(significand);
	const first = shorten(negative, significand, length - precision, rounding);
	const firstExponent = exponent + length - precision;
	const unbounded = finite(negative, first.significand, firstExponent);
	const leading = firstExponent + bitLength(first.significand) - 1;
	const wide = { unbounded, unboundedInexact: first.inexact, unboundedUp: first.up };
	if (leading > maxExponent) {
		const toInfinity = rounding === Rounding.nearest || rounding === (negative ? Rounding.down : Rounding.up);
		const largest = finite(negative, (1n << BigInt(precision)) - 1n, maxExponent - precision + 1);
		const value = toInfinity ? infinity(negative) : largest;
		return { value, flags: Flag.overflow | Flag.inexact, up: toInfinity, tiny: false, ...wide };
	}
	if (leading >= minExponent)
		return { value: unbounded, flags: first.inexact ? Flag.inexact : 0, up: first.up, tiny: false, ...wide };
	const leastExponent = minExponent - precision + 1;
	const second = shorten(negative, significand, leastExponent - exponent, rounding);
	const value = second.significand === 0n ? zero(negative) : finite(negative, second.significand, leastExponent);
	const flags = second.inexact ? Flag.underflow | Flag.inexact : 0;
	return { value, flags, up: second.up, tiny: true, ...wide };
}

/** Rounds a finite value to an integer; `up` as in Rounded. */
export function roundToInteger(value: Unpacked, rounding: number): { integer: bigint; inexact: boolean; up: boolean } {
	const { negative, significand, exponent } = value;
	// Far below one half everything rounds alike; the shift stays small.
	const bounded = Math.max(exponent, -bitLength(significand) - 2);
	const { significand: integer, inexact, up } = shorten(negative, significand, -bounded, rounding);
	return { integer, inexact, up };
}
