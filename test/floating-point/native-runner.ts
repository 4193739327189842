// The processor of this machine as the reference: compiles native-runner.c once and runs batches of single
// instructions on it.

import { spawnSync } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { DATA_BYTES, type InstructionState } from "./bare-machine.ts";

const STATE_BYTES = 512 + 32 + 8 + 8 + DATA_BYTES;
const REQUEST_BYTES = 16 + STATE_BYTES;
/** struct request is a multiple of 8 bytes; the reply is padded to the alignment of its type, not of the object. */
const REPLY_BYTES = STATE_BYTES;

export interface Case {
	readonly code: Uint8Array;
	readonly before: InstructionState;
}

let program: string | undefined;

/** Why the processor of this machine cannot be asked; undefined when it can. */
export function whyNoNativeProcessor(): string | undefined {
	if (process.arch !== "x64" || process.platform !== "linux") return "the reference is an x86-64 processor under Linux";
	if (spawnSync("gcc", ["--version"]).status !== 0) return "gcc is not installed";
	return undefined;
}

function build(): string {
	if (program) return program;
	const output = join(mkdtempSync(join(tmpdir(), "native-runner-")), "native-runner");
	const source = join(dirname(fileURLToPath(import.meta.url)), "native-runner.c");
	const made = spawnSync("gcc", ["-O1", "-mno-red-zone", "-o", output, source], { encoding: "utf8" });
	if (made.status !== 0) throw new Error(`gcc: ${made.stderr}`);
	program = output;
	return output;
}

/** Runs every case on the processor of this machine. */
export function runNative(cases: readonly Case[]): InstructionState[] {
	const input = new Uint8Array(cases.length * REQUEST_BYTES);
	const view = new DataView(input.buffer);
	for (const [index, { code, before }] of cases.entries()) {
		const at = index * REQUEST_BYTES;
		input.fill(0x90, at, at + 16);
		input.set(code, at);
		input.set(before.fx, at + 16);
		for (let n = 0; n < 4; n++) view.setBigUint64(at + 528 + n * 8, before.gpr[n]!, true);
		input.set(before.data, at + 16 + 560);
	}
	const ran = spawnSync(build(), [], { input, maxBuffer: 1 << 30 });
	if (ran.status !== 0 || ran.stdout.length !== cases.length * REPLY_BYTES)
		throw new Error(`native-runner ended with ${ran.status ?? ran.signal} after ${ran.stdout.length} bytes`);
	const output = new Uint8Array(ran.stdout);
	const outputView = new DataView(output.buffer);
	return cases.map((_case, index) => {
		const at = index * REPLY_BYTES;
		const gpr = new BigUint64Array(4);
		for (let n = 0; n < 4; n++) gpr[n] = outputView.getBigUint64(at + 512 + n * 8, true);
		return {
			fx: output.slice(at, at + 512),
			gpr,
			flags: outputView.getBigUint64(at + 544, true),
			vector: Number(BigInt.asIntN(32, outputView.getBigUint64(at + 552, true))),
			data: output.slice(at + 560, at + 560 + DATA_BYTES),
		};
	});
}
