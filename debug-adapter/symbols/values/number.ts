// Reference: C11 section 6.3.1 "Arithmetic operands"; IEEE 754; SDM Vol. 1 section 4.2.2 for the 80-bit format.
import type { ValueMemory } from "../expression/environment.ts";
import { type CType, strip } from "../types/c-type.ts";
import { bytesToInteger, type CValue, integerBytes, isSignedType, readValue } from "./value.ts";

/** A scalar as it is computed with. */
export type Scalar =
	| { readonly kind: "integer"; readonly value: bigint }
	| { readonly kind: "float"; readonly value: number };

/** Whether values of the type are numbers, pointers or the like. */
export function isScalar(type: CType): boolean {
	const kind = strip(type).kind;
	return kind === "base" || kind === "pointer" || kind === "enum";
}

export function isFloat(type: CType): boolean {
	const bare = strip(type);
	return bare.kind === "base" && bare.encoding === "float";
}

/** The number that a scalar value holds, or a phrase that says why it cannot be read. */
export function readScalar(value: CValue, memory: ValueMemory): Scalar | { readonly reason: string } {
	const read = readValue(value, memory);
	if ("reason" in read) return read;
	return decodeScalar(value.type, read.bytes);
}

/** The number that the bytes of a scalar type mean. */
export function decodeScalar(type: CType, bytes: Uint8Array): Scalar {
	if (isFloat(type)) return { kind: "float", value: decodeFloat(bytes) };
	const raw = bytesToInteger(bytes);
	return { kind: "integer", value: isSignedType(type) ? BigInt.asIntN(bytes.length * 8, raw) : raw };
}

/** The bytes of a number in a scalar type of `size` bytes, converted as C does. */
export function encodeScalar(scalar: Scalar, type: CType, size: number): Uint8Array {
	if (isFloat(type)) return encodeFloat(Number(scalar.value), size);
	const bare = strip(type);
	if (bare.kind === "base" && bare.encoding === "boolean") {
		return integerBytes(
			scalar.kind === "integer" ? (scalar.value !== 0n ? 1n : 0n) : scalar.value !== 0 ? 1n : 0n,
			size,
		);
	}
	return integerBytes(toInteger(scalar), size);
}

/** Truncates toward zero; what is not finite becomes 0, as no C value of it is defined. */
export function toInteger(scalar: Scalar): bigint {
	if (scalar.kind === "integer") return scalar.value;
	return Number.isFinite(scalar.value) ? BigInt(Math.trunc(scalar.value)) : 0n;
}

export function isTrue(scalar: Scalar): boolean {
	return scalar.kind === "integer" ? scalar.value !== 0n : scalar.value !== 0;
}

function decodeFloat(bytes: Uint8Array): number {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (bytes.length === 4) return view.getFloat32(0, true);
	if (bytes.length === 8) return view.getFloat64(0, true);
	if (bytes.length < 10) return Number.NaN;
	// Extended precision: 64-bit significand with an explicit integer bit, 15-bit exponent, sign.
	const significand = view.getBigUint64(0, true);
	const top = view.getUint16(8, true);
	const sign = top & 0x8000 ? -1 : 1;
	const exponent = top & 0x7fff;
	if (exponent === 0x7fff) return BigInt.asUintN(63, significand) === 0n ? sign * Number.POSITIVE_INFINITY : Number.NaN;
	const scale = exponent - 16383 - 63;
	// In two steps, as 2^scale alone may fall out of the range of a double.
	const half = Math.trunc(scale / 2);
	return sign * Number(significand) * 2 ** half * 2 ** (scale - half);
}

function encodeFloat(value: number, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	const view = new DataView(bytes.buffer);
	if (size === 4) view.setFloat32(0, value, true);
	else if (size === 8) view.setFloat64(0, value, true);
	else if (size >= 10) {
		const double = new DataView(new ArrayBuffer(8));
		double.setFloat64(0, value);
		const raw = double.getBigUint64(0);
		const sign = Number(raw >> 63n) << 15;
		const exponent = Number((raw >> 52n) & 0x7ffn);
		const fraction = raw & 0xfffffffffffffn;
		let significand = fraction << 11n;
		let biased = 0;
		if (exponent === 0x7ff) {
			biased = 0x7fff;
			significand |= 1n << 63n;
		} else if (exponent !== 0) {
			biased = exponent - 1023 + 16383;
			significand |= 1n << 63n;
		} else if (fraction !== 0n) {
			// A double's denormal is a normal number here.
			const shift = 64 - fraction.toString(2).length;
			significand = fraction << BigInt(shift);
			biased = -1074 + 63 - shift + 16383;
		}
		view.setBigUint64(0, significand, true);
		view.setUint16(8, sign | biased, true);
	}
	return bytes;
}
