import { SymbolError } from "./errors.ts";

const utf8 = new TextDecoder("utf-8");

/** Decodes bytes as text: ASCII by the short way, all else as UTF-8 with replacement characters. */
export function decodeText(bytes: Uint8Array, start: number, end: number): string {
	if (end - start > 256) return utf8.decode(bytes.subarray(start, end));
	let text = "";
	for (let i = start; i < end; i++) {
		const byte = bytes[i]!;
		if (byte >= 0x80) return utf8.decode(bytes.subarray(start, end));
		text += String.fromCharCode(byte);
	}
	return text;
}

/**
 * A little-endian cursor over bytes. Every read is checked against the end; a read beyond it throws a `SymbolError`
 * of kind "truncated" that names `what`. `offset` may be set freely.
 */
export class ByteReader {
	readonly bytes: Uint8Array;
	readonly view: DataView;
	readonly what: string;
	offset: number;
	end: number;

	constructor(bytes: Uint8Array, what: string, offset = 0, end = bytes.length) {
		this.bytes = bytes;
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
		this.what = what;
		this.offset = offset;
		this.end = Math.min(end, bytes.length);
	}

	/** Throws unless `count` more bytes are there. */
	need(count: number): void {
		if (!(count >= 0 && this.offset >= 0 && this.offset + count <= this.end)) {
			throw new SymbolError(
				"truncated",
				`${this.what} is truncated: it ends at offset 0x${this.end.toString(16)}, inside an item at offset 0x${this.offset.toString(16)}.`,
			);
		}
	}

	u8(): number {
		this.need(1);
		return this.bytes[this.offset++]!;
	}

	s8(): number {
		return (this.u8() << 24) >> 24;
	}

	u16(): number {
		this.need(2);
		const value = this.view.getUint16(this.offset, true);
		this.offset += 2;
		return value;
	}

	u24(): number {
		const low = this.u16();
		return low | (this.u8() << 16);
	}

	u32(): number {
		this.need(4);
		const value = this.view.getUint32(this.offset, true);
		this.offset += 4;
		return value;
	}

	u64(): bigint {
		this.need(8);
		const value = this.view.getBigUint64(this.offset, true);
		this.offset += 8;
		return value;
	}

	/** An unsigned value of 1, 2, 4 or 8 bytes. */
	unsigned(size: number): bigint {
		if (size === 8) return this.u64();
		if (size === 4) return BigInt(this.u32());
		if (size === 2) return BigInt(this.u16());
		if (size === 1) return BigInt(this.u8());
		throw new SymbolError("malformed", `${this.what} holds an integer of ${size} bytes, which cannot be.`);
	}

	/** A 64-bit offset or length as a number; beyond 2^53 it is malformed, as no file is that long. */
	u64Number(): number {
		const value = this.u64();
		if (value > 0x1fffffffffffffn) {
			throw new SymbolError("malformed", `${this.what} holds the offset 0x${value.toString(16)}, which no file has.`);
		}
		return Number(value);
	}

	/** A section offset: 4 bytes in 32-bit DWARF, 8 in 64-bit DWARF. */
	sectionOffset(size: number): number {
		return size === 8 ? this.u64Number() : this.u32();
	}

	/** Unsigned LEB128 as a number; above 2^53 the low bits are lost (every user of it checks a bound). */
	uleb(): number {
		let byte = this.u8();
		if (byte < 0x80) return byte;
		let value = byte & 0x7f;
		let scale = 128;
		do {
			byte = this.u8();
			value += (byte & 0x7f) * scale;
			scale *= 128;
		} while (byte >= 0x80);
		return value;
	}

	/** Unsigned LEB128 modulo 2^64. */
	ulebBig(): bigint {
		const start = this.offset;
		const short = this.uleb();
		if (this.offset - start <= 7) return BigInt(short);
		const end = this.offset;
		let value = 0n;
		for (let i = start, shift = 0n; i < end && shift < 64n; i++, shift += 7n) {
			value |= BigInt(this.bytes[i]! & 0x7f) << shift;
		}
		return BigInt.asUintN(64, value);
	}

	/** Signed LEB128 as a number. */
	sleb(): number {
		return Number(this.slebBig());
	}

	/** Signed LEB128 modulo 2^64, sign-extended. */
	slebBig(): bigint {
		const start = this.offset;
		let byte = this.u8();
		if (byte < 0x80) return BigInt((byte << 25) >> 25);
		while (byte >= 0x80) byte = this.u8();
		const end = this.offset;
		let value = 0n;
		let shift = 0n;
		for (let i = start; i < end && shift < 70n; i++, shift += 7n) value |= BigInt(this.bytes[i]! & 0x7f) << shift;
		if (shift < 64n) return BigInt.asIntN(Number(shift), value);
		return BigInt.asIntN(64, value);
	}

	skipLeb(): void {
		while (this.u8() >= 0x80);
	}

	/** A string that ends in a zero byte. */
	cstring(): string {
		const start = this.offset;
		this.skipCstring();
		return decodeText(this.bytes, start, this.offset - 1);
	}

	skipCstring(): void {
		const zero = this.bytes.indexOf(0, this.offset);
		if (zero < 0 || zero >= this.end) {
			throw new SymbolError(
				"truncated",
				`${this.what} is truncated: the string at offset 0x${this.offset.toString(16)} has no end.`,
			);
		}
		this.offset = zero + 1;
	}

	/** A view of the next `count` bytes, not a copy. */
	take(count: number): Uint8Array {
		this.need(count);
		const part = this.bytes.subarray(this.offset, this.offset + count);
		this.offset += count;
		return part;
	}

	skip(count: number): void {
		this.need(count);
		this.offset += count;
	}
}
