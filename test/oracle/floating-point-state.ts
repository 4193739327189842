// Random x87, MMX and SSE state: numbers of every class, rounding and masks, a stack that is partly empty.

import type { Random } from "./random.ts";
import { Case, type CaseRecord, FXSAVE_SIZE, Fxsave } from "./records.ts";

/** A number in a binary interchange format: sign, `exponentBits` bits of biased exponent, `fractionBits` bits of fraction. */
function number(random: Random, exponentBits: number, fractionBits: number): bigint {
	const highest = (1 << exponentBits) - 1;
	const bias = highest >> 1;
	const fractionMask = (1n << BigInt(fractionBits)) - 1n;
	let exponent: number;
	let fraction = random.bits64() & fractionMask;
	// Few bits in the fraction make exact results, and ties in rounding.
	if (random.chance(40)) fraction &= fractionMask << BigInt(random.below(fractionBits));
	fraction &= fractionMask;
	switch (random.below(10)) {
		case 0:
			// Zero, or denormal.
			exponent = 0;
			if (random.chance(50)) fraction = 0n;
			break;
		case 1:
			// Infinity, quiet and signalling NaN.
			exponent = highest;
			if (random.chance(40)) fraction = 0n;
			else if (random.chance(50)) fraction |= 1n << BigInt(fractionBits - 1);
			break;
		case 2:
			exponent = random.pick([1, 2, highest - 1, highest - 2]);
			break;
		case 3:
		case 4:
		case 5:
		case 6:
			exponent = bias + random.below(80) - 40;
			break;
		case 7:
			exponent = bias;
			if (random.chance(50)) fraction = 0n;
			break;
		case 8:
			exponent = bias + random.pick([14, 15, 16, 30, 31, 32, 62, 63, 64]);
			if (random.chance(50)) fraction = random.chance(50) ? 0n : fractionMask;
			break;
		default:
			exponent = random.below(highest + 1);
	}
	exponent = Math.min(Math.max(exponent, 0), highest);
	const sign = BigInt(random.below(2));
	return (((sign << BigInt(exponentBits)) | BigInt(exponent)) << BigInt(fractionBits)) | fraction;
}

const single = (random: Random) => number(random, 8, 23);
const double = (random: Random) => number(random, 11, 52);

/** Double extended precision: with its explicit integer bit, now and then one that no operation makes (SDM Vol. 1 §8.2.2). */
function extended(random: Random): bigint {
	const value = number(random, 15, 63);
	const fraction = value & ((1n << 63n) - 1n);
	const high = value >> 63n;
	let integer = (high & 0x7fffn) === 0n ? 0n : 1n;
	if (random.chance(3)) integer ^= 1n;
	return (high << 64n) | (integer << 63n) | fraction;
}

/** Fills bytes with numbers of `size` bytes (4, 8 or 10); other sizes with a mix of them and random bits. */
export function fillWithNumbers(random: Random, bytes: Uint8Array, size: number): void {
	const format = size === 4 || size === 8 || size === 10 ? size : random.pick([4, 8, 4, 8, 1]);
	for (let at = 0; at < bytes.length; at += format === 10 ? 16 : 8) {
		let value: bigint;
		if (format === 4) value = (single(random) << 32n) | single(random);
		else if (format === 8) value = double(random);
		else if (format === 10) value = extended(random);
		else value = random.operand();
		for (let n = at; n < Math.min(at + (format === 10 ? 10 : 8), bytes.length); n++) {
			bytes[n] = Number(value & 0xffn);
			value >>= 8n;
		}
	}
}

/** Sets the FXSAVE image of a case. */
export function randomFloatingPoint(random: Random, one: CaseRecord): void {
	const image = one.bytes.subarray(Case.fxsave, Case.fxsave + FXSAVE_SIZE);
	const view = new DataView(image.buffer, image.byteOffset, FXSAVE_SIZE);
	// Rounding in every direction, precision 24, 53 or 64 bits (01B is reserved), exceptions mostly masked.
	const masks = random.chance(80) ? 0x3f : random.below(64);
	const precision = random.chance(60) ? 3 : random.pick([0, 2, 3]);
	const rounding = random.chance(50) ? 0 : random.below(4);
	const control = (rounding << 10) | (precision << 8) | 0x40 | masks;
	let status = (random.below(8) << 11) | (random.bits32() & 0x4700);
	if (random.chance(30)) status |= random.below(128);
	// A pending unmasked exception is summarized in ES, of which B is a copy (SDM Vol. 1 §8.1.3).
	if (random.chance(90)) status &= ~0x3f | masks;
	if (status & ~masks & 0x3f) status |= 0x8080;
	view.setUint16(Fxsave.control, control, true);
	view.setUint16(Fxsave.status, status, true);
	view.setUint8(Fxsave.tag, random.chance(70) ? 0xff : random.chance(30) ? 0 : random.below(256));
	let mxcsr = random.chance(85) ? 0x1f80 : random.below(64) << 7;
	if (random.chance(30)) mxcsr |= random.below(64);
	if (random.chance(50)) mxcsr |= random.below(4) << 13;
	if (random.chance(15)) mxcsr |= 0x8000;
	if (random.chance(15)) mxcsr |= 0x40;
	view.setUint32(Fxsave.mxcsr, mxcsr, true);
	for (let n = 0; n < 8; n++) {
		const at = Fxsave.st + n * 16;
		if (random.chance(85)) fillWithNumbers(random, image.subarray(at, at + 10), 10);
		else {
			view.setBigUint64(at, random.operand(), true);
			view.setUint16(at + 8, 0xffff, true);
		}
	}
	for (let n = 0; n < (one.bits === 64 ? 16 : 8); n++)
		fillWithNumbers(random, image.subarray(Fxsave.xmm + n * 16, Fxsave.xmm + n * 16 + 16), 0);
}
