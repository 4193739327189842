// LZ4's legacy frames, as Linux compresses its kernels. Reference: LZ4 Frame Format Description 1.6.1, "Legacy frame";
// LZ4 Block Format Description.

import { damaged } from "./errors.ts";

const MAGIC = 0x184c_2102;
/** A block decompresses to this at most. */
const BLOCK_BYTES = 8 << 20;

/** @param size of the decompressed data. @throws {CompressionError} */
export function decodeLz4(bytes: Uint8Array, size: number): Uint8Array {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const output = new Uint8Array(size);
	let written = 0;
	for (let at = 0; at + 4 <= bytes.length && written < size; ) {
		const length = view.getUint32(at, true);
		at += 4;
		if (length === MAGIC) continue;
		if (at + length > bytes.length) damaged("a block is too long");
		written = block(bytes.subarray(at, at + length), output, written);
		at += length;
	}
	if (written !== size) damaged(`${written} bytes in place of ${size}`);
	return output;
}

/** Decompresses one block behind what is written; returns how much is written then. */
function block(from: Uint8Array, to: Uint8Array, start: number): number {
	const end = Math.min(to.length, start + BLOCK_BYTES);
	let written = start;
	let at = 0;
	const long = (nibble: number) => {
		let value = nibble;
		if (nibble !== 15) return value;
		for (let byte = 255; byte === 255; value += byte) {
			if (at >= from.length) damaged("a block ends early");
			byte = from[at++]!;
		}
		return value;
	};
	while (at < from.length) {
		const token = from[at++]!;
		const literals = long(token >> 4);
		if (at + literals > from.length || written + literals > end) damaged("literals are too long");
		to.set(from.subarray(at, at + literals), written);
		at += literals;
		written += literals;
		// The last sequence has no match.
		if (at === from.length) break;
		const distance = from[at]! | (from[at + 1]! << 8);
		at += 2;
		const length = long(token & 15) + 4;
		const source = written - distance;
		if (distance === 0 || source < start || written + length > end) damaged("a match reaches outside of its block");
		for (let i = 0; i < length; i++) to[written + i] = to[source + i]!;
		written += length;
	}
	return written;
}
