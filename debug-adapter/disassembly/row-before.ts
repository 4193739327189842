import type { CodeReader } from "./code-reader.ts";
import { LONGEST_INSTRUCTION } from "./decoder.ts";

/** Bytes before an address from which decoding is tried when no known start is near. x86 code finds its rhythm within a few instructions. */
const WINDOW = 96;
/** A known start farther away than this is not used. */
const FARTHEST_START = 4096n;

/** The greatest known instruction start that is less than the address: a function, a source line, a translation unit. */
export type StartBefore = (address: bigint) => bigint | undefined;

/**
 * Where the disassembly row before the one at `address` starts. x86 code cannot be decoded backwards, so the choice is
 * made by decoding forward: from the nearest known start if that reaches the address exactly, else from every byte of a
 * window before it, and the instruction wins that most of those runs end with. The answer depends on nothing but the
 * address and the memory, so blocks of rows asked for one by one join as if they had been asked for at once. It is
 * `address - 1`, a row of one data byte, when no instruction ends there.
 */
export function rowBefore(code: CodeReader, address: bigint, startBefore: StartBefore): bigint {
	if (address <= 0n || address > code.end || !code.isReadable(address - 1n)) return address - 1n;
	const start = startBefore(address);
	if (start !== undefined && start < address && address - start <= FARTHEST_START) {
		const last = lastOfRun(code, start, address);
		if (last !== undefined) return last;
	}
	return mostVoted(code, address) ?? address - 1n;
}

/** The last instruction of the run of valid instructions from `start` that ends exactly at `end`. */
function lastOfRun(code: CodeReader, start: bigint, end: bigint): bigint | undefined {
	let at = start;
	while (at < end) {
		const instruction = code.instruction(at);
		const next = at + BigInt(instruction.length);
		if (!instruction.valid || next > end) return undefined;
		if (next === end) return at;
		at = next;
	}
	return undefined;
}

function mostVoted(code: CodeReader, address: bigint): bigint | undefined {
	// votes[k]: starts in the window whose run of valid instructions goes through address - k.
	const votes = new Array<number>(WINDOW + 1).fill(1);
	for (let distance = WINDOW; distance >= 1; distance--) {
		const at = address - BigInt(distance);
		if (at < 0n) continue;
		const instruction = code.instruction(at);
		if (!instruction.valid || instruction.length > distance) continue;
		votes[distance - instruction.length]! += votes[distance]!;
	}
	let best: bigint | undefined;
	let most = 0;
	for (let distance = 1; distance <= LONGEST_INSTRUCTION; distance++) {
		const at = address - BigInt(distance);
		if (at < 0n) break;
		const instruction = code.instruction(at);
		if (instruction.valid && instruction.length === distance && votes[distance]! > most) {
			most = votes[distance]!;
			best = at;
		}
	}
	return best;
}
