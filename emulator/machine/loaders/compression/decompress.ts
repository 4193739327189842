// What kernels are compressed with, by the first bytes (Linux, lib/decompress.c), and undoing it.

import { decompress as decodeZstandard } from "fzstd";
import { CompressionError } from "./errors.ts";
import { decodeGzip } from "./inflate.ts";
import { decodeLz4 } from "./lz4.ts";
import { decodeLzma } from "./lzma.ts";
import { decodeXz } from "./xz.ts";

/** The payload of a kernel, whose last four bytes are `size`, that of the kernel. @throws {CompressionError} when the data is damaged. */
type Decoder = (bytes: Uint8Array, size: number) => Uint8Array;

export interface Compression {
	readonly name: string;
	/** Undefined: known by name only. */
	readonly decode: Decoder | undefined;
}

const COMPRESSIONS: readonly (Compression & { readonly magic: readonly number[] })[] = [
	{ name: "gzip", magic: [0x1f, 0x8b], decode: decodeGzip },
	{ name: "xz", magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], decode: decodeXz },
	{ name: "zstd", magic: [0x28, 0xb5, 0x2f, 0xfd], decode: zstandard },
	{ name: "lz4", magic: [0x02, 0x21, 0x4c, 0x18], decode: decodeLz4 },
	{ name: "lzma", magic: [0x5d, 0x00, 0x00], decode: decodeLzma },
	{ name: "bzip2", magic: [0x42, 0x5a, 0x68], decode: undefined },
	{ name: "lzo", magic: [0x89, 0x4c, 0x5a, 0x4f], decode: undefined },
];

export function compressionOf(bytes: Uint8Array): Compression | undefined {
	return COMPRESSIONS.find(({ magic }) => magic.every((byte, index) => bytes[index] === byte));
}

const SIZE_BYTES = 4;

function zstandard(bytes: Uint8Array, size: number): Uint8Array {
	let written: Uint8Array;
	try {
		written = decodeZstandard(bytes.subarray(0, -SIZE_BYTES), new Uint8Array(size));
	} catch (error) {
		throw new CompressionError(error instanceof Error ? error.message : String(error));
	}
	if (written.length !== size) throw new CompressionError(`${written.length} bytes in place of ${size}`);
	return written;
}
