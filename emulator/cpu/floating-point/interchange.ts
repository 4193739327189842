// The memory formats: single and double precision as their bits (SDM Vol. 1 §4.2.2, Table 4-2).

import {
	bitLength,
	double,
	type Format,
	finite,
	infinity,
	isNan,
	Kind,
	single,
	type Unpacked,
	zero,
} from "./binary-float.ts";

function unpackBits(bits: bigint, format: Format, fractionBits: bigint, exponentBits: bigint): Unpacked {
	const negative = ((bits >> (fractionBits + exponentBits)) & 1n) === 1n;
	const field = Number((bits >> fractionBits) & ((1n << exponentBits) - 1n));
	const fraction = bits & ((1n << fractionBits) - 1n);
	if (field === 2 * format.maxExponent + 1) {
		if (fraction === 0n) return infinity(negative);
		const significand = (1n << 63n) | (fraction << (63n - fractionBits));
		const kind = significand & (1n << 62n) ? Kind.quietNan : Kind.signalingNan;
		return { kind, negative, exponent: 0, significand, denormal: false };
	}
	const leastExponent = format.minExponent - format.precision + 1;
	if (field === 0) return fraction === 0n ? zero(negative) : finite(negative, fraction, leastExponent, true);
	return finite(negative, fraction | (1n << fractionBits), leastExponent + field - 1);
}

function packBits(value: Unpacked, format: Format, fractionBits: bigint, exponentBits: bigint): bigint {
	const sign = value.negative ? 1n << (fractionBits + exponentBits) : 0n;
	const largest = (1n << exponentBits) - 1n;
	if (value.kind === Kind.zero) return sign;
	if (value.kind === Kind.infinity) return sign | (largest << fractionBits);
	if (isNan(value)) {
		const fraction = (value.significand & 0x7fffffffffffffffn) >> (63n - fractionBits);
		return sign | (largest << fractionBits) | fraction;
	}
	const leading = value.exponent + bitLength(value.significand) - 1;
	const leastExponent = Math.max(leading, format.minExponent) - format.precision + 1;
	const shift = leastExponent - value.exponent;
	const significand = shift > 0 ? value.significand >> BigInt(shift) : value.significand << BigInt(-shift);
	if (leading < format.minExponent) return sign | significand;
	const field = BigInt(leading - format.minExponent + 1);
	return sign | (field << fractionBits) | (significand & ((1n << fractionBits) - 1n));
}

export function unpackSingle(bits: number): Unpacked {
	return unpackBits(BigInt(bits >>> 0), single, 23n, 8n);
}

/** The bits of a value that fits (one that round() made, a NaN, ...). */
export function packSingle(value: Unpacked): number {
	return Number(packBits(value, single, 23n, 8n)) | 0;
}

export function unpackDouble(bits: bigint): Unpacked {
	return unpackBits(BigInt.asUintN(64, bits), double, 52n, 11n);
}

export function packDouble(value: Unpacked): bigint {
	return packBits(value, double, 52n, 11n);
}
