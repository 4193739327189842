// .xz streams: blocks of LZMA2 data, before it perhaps the x86 filter. Reference: The .xz File Format 1.1.0, §2 and §3.

import { undoBranchFilter } from "./branch-filter.ts";
import { damaged } from "./errors.ts";
import { LzmaDecoder } from "./lzma.ts";

const HEADER_BYTES = 12;
const [X86_FILTER, LZMA2_FILTER] = [0x04, 0x21] as const;
/** Bytes of the check behind a block, by its type (§2.1.1.2). */
const CHECK_BYTES = [0, 4, 4, 4, 8, 8, 8, 16, 16, 16, 32, 32, 32, 64, 64, 64];
const CHECK_CRC32 = 1;

/** Filters of a block, in the order of the encoder, and where its data begins. */
interface BlockHeader {
	readonly filters: readonly number[];
	readonly end: number;
}

/** @param size of the decompressed data. @throws {CompressionError} */
export function decodeXz(bytes: Uint8Array, size: number): Uint8Array {
	const output = new Uint8Array(size);
	const decoder = new LzmaDecoder(bytes, output);
	const check = bytes[7]! & 15;
	let at = HEADER_BYTES;
	// A size of 0 begins the index.
	while (bytes[at] !== 0) {
		const { filters, end } = blockHeader(bytes, at);
		const start = decoder.output;
		decoder.input = end;
		decoder.decodeChunks();
		const block = output.subarray(start, decoder.output);
		if (filters[0] === X86_FILTER) undoBranchFilter(block);
		at = decoder.input + ((end - decoder.input) & 3);
		if (check === CHECK_CRC32 && crc32(block) !== word(bytes, at)) damaged("a block's checksum is wrong");
		at += CHECK_BYTES[check]!;
	}
	if (decoder.output !== size) damaged(`${decoder.output} bytes in place of ${size}`);
	return output;
}

function word(bytes: Uint8Array, at: number): number {
	return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

function blockHeader(bytes: Uint8Array, start: number): BlockHeader {
	const first = bytes[start];
	if (first === undefined) damaged("the data ends early");
	const end = start + (first + 1) * 4;
	if (crc32(bytes.subarray(start, end - 4)) !== word(bytes, end - 4)) damaged("a block header's checksum is wrong");
	const flags = bytes[start + 1]!;
	let at = start + 2;
	const number = () => {
		let value = 0;
		for (let shift = 0; at < end && shift < 63; shift += 7) {
			const byte = bytes[at++]!;
			value += (byte & 0x7f) * 2 ** shift;
			if (byte < 0x80) break;
		}
		return value;
	};
	if (flags & 0x40) number();
	if (flags & 0x80) number();
	const filters: number[] = [];
	for (let i = 0; i <= (flags & 3); i++) {
		const filter = number();
		const properties = number();
		if (filter === X86_FILTER && properties !== 0) damaged("the x86 filter begins at an offset");
		at += properties;
		filters.push(filter);
	}
	const known =
		filters.at(-1) === LZMA2_FILTER && (filters.length === 1 || (filters.length === 2 && filters[0] === X86_FILTER));
	if (!known) damaged(`the filters ${filters.join(", ")} are not known`);
	return { filters, end };
}

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
	let value = byte;
	for (let i = 0; i < 8; i++) value = value & 1 ? (value >>> 1) ^ 0xedb8_8320 : value >>> 1;
	return value;
});

/** CRC-32 of IEEE 802.3 (§6). */
export function crc32(bytes: Uint8Array): number {
	let value = -1;
	for (const byte of bytes) value = (value >>> 8) ^ CRC_TABLE[(value ^ byte) & 0xff]!;
	return ~value >>> 0;
}
