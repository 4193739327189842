// Builds native-oracle.c with the C compiler of this machine and runs cases through it.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, renameSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { ensureDebianPackages } from "../tools/debian-packages.ts";
import { Case, Result } from "./records.ts";

const here = dirname(fileURLToPath(import.meta.url));
const cache = resolve(here, "../../.cache/oracle");
const COMPILER_FLAGS = [
	"-O2",
	"-Wall",
	"-Wextra",
	"-ffreestanding",
	"-fno-stack-protector",
	"-fno-tree-loop-distribute-patterns",
	"-mgeneral-regs-only",
	"-fPIE",
	"-static-pie",
	"-nostdlib",
];

/** The program, built; or one sentence that says why it cannot be had here. */
export function nativeOracle(): { readonly path: string } | { readonly reason: string } {
	if (process.platform !== "linux" || process.arch !== "x64")
		return {
			reason: `the real processor is asked on x86-64 Linux only, this is ${process.platform} on ${process.arch}`,
		};
	const source = readFileSync(join(here, "native-oracle.c"));
	const digest = createHash("sha256").update(source).update(COMPILER_FLAGS.join(" ")).digest("hex").slice(0, 16);
	const path = join(cache, `native-oracle-${digest}`);
	if (existsSync(path)) return usable(path);
	if (spawnSync("gcc", ["--version"]).status !== 0) {
		const obstacle = ensureDebianPackages(["gcc", "libc6-dev"]);
		if (obstacle) return { reason: `gcc: ${obstacle}` };
	}
	mkdirSync(cache, { recursive: true });
	const fresh = `${path}.${process.pid}`;
	const done = spawnSync("gcc", [...COMPILER_FLAGS, "-o", fresh, join(here, "native-oracle.c")], { encoding: "utf8" });
	if (done.status !== 0) return { reason: `gcc cannot build native-oracle.c: ${done.stderr || done.error?.message}` };
	renameSync(fresh, path);
	return usable(path);
}

/** Exit statuses of native-oracle.c when its set-up is refused. */
const refusals: Readonly<Record<number, string>> = {
	71: "cannot map its windows below 4 GiB",
	72: "may not make 16-bit segments (modify_ldt)",
	75: "cannot install its signal handlers",
};

/** The program, when it can do its set-up here. */
function usable(path: string): { readonly path: string } | { readonly reason: string } {
	const { status, signal } = spawnSync(path, [], { input: "" });
	if (status === 0) return { path };
	const obstacle = refusals[status ?? 0] ?? `ended with ${signal ?? `status ${status}`}`;
	return { reason: `the native program of the comparison ${obstacle}` };
}

/**
 * Runs `count` cases (records of Case.size bytes).
 * @returns as many records of Result.size bytes; fewer when a case ended the program: the first one missing, or one of the
 * 63 after it, is to blame.
 * @throws {Error} when the program could not be started.
 */
export function runNative(path: string, cases: Uint8Array, count: number): { results: Uint8Array; ended: number } {
	const done = spawnSync(path, [], {
		input: cases.subarray(0, count * Case.size),
		maxBuffer: count * Result.size + 4096,
		timeout: 120_000,
	});
	if (done.error) throw done.error;
	// A copy, so that the records are aligned.
	return { results: new Uint8Array(done.stdout), ended: Math.floor(done.stdout.length / Result.size) };
}
