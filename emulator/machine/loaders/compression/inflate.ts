// gzip members: deflate behind a header. References: RFC 1951 (deflate), RFC 1952 (gzip).

import { damaged } from "./errors.ts";
import { crc32 } from "./xz.ts";

const LENGTH_BASE = [
	3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227, 258,
];
const LENGTH_EXTRA = [0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0];
const CODE_LENGTH_ORDER = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
const LONGEST_CODE = 15;
const END_OF_BLOCK = 256;
/** Parts of a gzip header that are there on demand (RFC 1952 §2.3.1). */
const [HEADER_CRC, EXTRA, NAME, COMMENT] = [2, 4, 8, 16] as const;

/** A canonical code: how many codes each length has, and the symbols in their order. */
interface HuffmanCode {
	readonly counts: Uint16Array;
	readonly symbols: Uint16Array;
}

function makeCode(lengths: readonly number[]): HuffmanCode {
	const counts = new Uint16Array(LONGEST_CODE + 1);
	for (const length of lengths) counts[length]!++;
	counts[0] = 0;
	const next = new Uint16Array(LONGEST_CODE + 2);
	for (let length = 1; length <= LONGEST_CODE; length++) next[length + 1] = next[length]! + counts[length]!;
	const symbols = new Uint16Array(lengths.length);
	lengths.forEach((length, symbol) => {
		if (length > 0) symbols[next[length]!++] = symbol;
	});
	return { counts, symbols };
}

const FIXED_LITERALS = makeCode(Array.from({ length: 288 }, (_, i) => (i < 144 ? 8 : i < 256 ? 9 : i < 280 ? 7 : 8)));
const FIXED_DISTANCES = makeCode(new Array(30).fill(5));

class Inflater {
	private buffer = 0;
	private available = 0;
	private written = 0;

	constructor(
		private readonly from: Uint8Array,
		private input: number,
		private readonly to: Uint8Array,
	) {}

	private bits(count: number): number {
		while (this.available < count) {
			if (this.input >= this.from.length) damaged("the data ends early");
			this.buffer |= this.from[this.input++]! << this.available;
			this.available += 8;
		}
		const value = this.buffer & ((1 << count) - 1);
		this.buffer >>>= count;
		this.available -= count;
		return value;
	}

	private symbol({ counts, symbols }: HuffmanCode): number {
		let code = 0;
		let first = 0;
		let index = 0;
		for (let length = 1; length <= LONGEST_CODE; length++) {
			code |= this.bits(1);
			const count = counts[length]!;
			if (code - first < count) return symbols[index + code - first]!;
			index += count;
			first = (first + count) << 1;
			code <<= 1;
		}
		return damaged("a code that no symbol has");
	}

	/** @returns how many bytes were written, and where the input goes on. */
	run(): { readonly written: number; readonly input: number } {
		for (let last = 0; last === 0; ) {
			last = this.bits(1);
			const type = this.bits(2);
			if (type === 0) this.stored();
			else if (type === 1) this.block(FIXED_LITERALS, FIXED_DISTANCES);
			else if (type === 2) this.block(...this.codes());
			else damaged("a block of an unknown type");
		}
		return { written: this.written, input: this.input - (this.available >> 3) };
	}

	private stored(): void {
		// Whole bytes that are in the buffer already belong to what follows.
		this.input -= this.available >> 3;
		this.buffer = this.available = 0;
		const { from, to, input } = this;
		const length = from[input]! | (from[input + 1]! << 8);
		this.input = input + 4 + length;
		if (this.input > from.length || this.written + length > to.length) damaged("a stored block is too long");
		to.set(from.subarray(input + 4, this.input), this.written);
		this.written += length;
	}

	private codes(): [HuffmanCode, HuffmanCode] {
		const literals = this.bits(5) + 257;
		const distances = this.bits(5) + 1;
		const lengths = new Array<number>(19).fill(0);
		const present = this.bits(4) + 4;
		for (let i = 0; i < present; i++) lengths[CODE_LENGTH_ORDER[i]!] = this.bits(3);
		const code = makeCode(lengths);
		const all: number[] = [];
		while (all.length < literals + distances) {
			const symbol = this.symbol(code);
			if (symbol < 16) all.push(symbol);
			else {
				if (symbol === 16 && all.length === 0) damaged("a repetition of nothing");
				const value = symbol === 16 ? all.at(-1)! : 0;
				const times = symbol === 16 ? 3 + this.bits(2) : symbol === 17 ? 3 + this.bits(3) : 11 + this.bits(7);
				for (let i = 0; i < times; i++) all.push(value);
			}
		}
		return [makeCode(all.slice(0, literals)), makeCode(all.slice(literals, literals + distances))];
	}

	private block(literals: HuffmanCode, distances: HuffmanCode): void {
		const { to } = this;
		for (;;) {
			const symbol = this.symbol(literals);
			if (symbol === END_OF_BLOCK) return;
			if (symbol < END_OF_BLOCK) {
				if (this.written >= to.length) damaged("more data than announced");
				to[this.written++] = symbol;
				continue;
			}
			const base = LENGTH_BASE[symbol - 257];
			if (base === undefined) damaged("a length that there is not");
			const length = base + this.bits(LENGTH_EXTRA[symbol - 257]!);
			const slot = this.symbol(distances);
			const extra = slot < 4 ? 0 : (slot >> 1) - 1;
			const distance = (slot < 4 ? slot : (2 | (slot & 1)) << extra) + this.bits(extra) + 1;
			const source = this.written - distance;
			if (source < 0) damaged("a match reaches before the beginning");
			if (this.written + length > to.length) damaged("more data than announced");
			for (let i = 0; i < length; i++) to[this.written + i] = to[source + i]!;
			this.written += length;
		}
	}
}

/** @param size of the decompressed data. @throws {CompressionError} */
export function decodeGzip(bytes: Uint8Array, size: number): Uint8Array {
	const flags = bytes[3]!;
	let at = 10;
	if (flags & EXTRA) at += 2 + (bytes[at]! | (bytes[at + 1]! << 8));
	for (const part of [NAME, COMMENT]) if (flags & part) at = bytes.indexOf(0, at) + 1;
	if (flags & HEADER_CRC) at += 2;
	const output = new Uint8Array(size);
	const { written, input } = new Inflater(bytes, at, output).run();
	if (written !== size) damaged(`${written} bytes in place of ${size}`);
	const sum = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (input + 8 > bytes.length || sum.getUint32(input, true) !== crc32(output)) damaged("the checksum is wrong");
	return output;
}
