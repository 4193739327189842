// The ELF kernel inside a bzImage, taken out with the system's decompressors as Linux's scripts/extract-vmlinux does, once.

import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { ensureDebianPackages } from "./debian-packages.ts";

interface Decompressor {
	readonly magic: readonly number[];
	readonly command: string;
	readonly words: readonly string[];
	/** The Debian package that has it. */
	readonly package: string;
}

const DECOMPRESSORS: readonly Decompressor[] = [
	{ magic: [0xfd, 0x37, 0x7a, 0x58, 0x5a], command: "xz", words: ["-dc", "--single-stream"], package: "xz-utils" },
	{ magic: [0x28, 0xb5, 0x2f, 0xfd], command: "zstd", words: ["-dc"], package: "zstd" },
	{ magic: [0x1f, 0x8b], command: "gzip", words: ["-dc"], package: "gzip" },
];

/** The vmlinux beside a kernel. `missing` says why it cannot be had. */
export function vmlinuxOf(kernel: string): { readonly path: string } | { readonly missing: string } {
	const path = `${kernel}.vmlinux`;
	if (existsSync(path)) return { path };
	const bytes = readFileSync(kernel);
	const start = ((bytes[0x1f1] || 4) + 1) * 512 + bytes.readUInt32LE(0x248);
	const payload = bytes.subarray(start, start + bytes.readUInt32LE(0x24c));
	const known = DECOMPRESSORS.find(({ magic }) => magic.every((byte, index) => payload[index] === byte));
	if (known === undefined) return { missing: "the kernel is compressed in a way that the tests do not know" };
	const { command, words } = known;
	const obstacle = ensureDebianPackages([known.package]);
	if (obstacle !== undefined) return { missing: obstacle };
	const done = spawnSync(command, words, { input: payload, maxBuffer: 1 << 28 });
	// The payload ends with its size, which the decompressors take for rubbish behind the stream: what counts is the result.
	if (done.error || done.stdout.length === 0 || done.stdout.readUInt32BE(0) !== 0x7f454c46)
		return {
			missing: `${command} cannot decompress the kernel: ${done.error?.message ?? done.stderr.toString().trim()}`,
		};
	writeFileSync(path, done.stdout);
	return { path };
}
