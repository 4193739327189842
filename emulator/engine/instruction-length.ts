// Instructions of more than 15 bytes, which only superfluous prefixes make: #GP and not #UD (SDM Vol. 3A §6.15, Interrupt 13).

import { Code, Decoder, DecoderOptions } from "iced-x86";

export const LONGEST_INSTRUCTION = 15;

const LOCK_AND_SEGMENTS = new Set([0xf0, 0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65]);
const SIZES_AND_REPEATS = new Set([0x66, 0x67, 0xf2, 0xf3]);
const isRex = (byte: number, bits: number) => bits === 64 && (byte & 0xf0) === 0x40;
const isPrefix = (byte: number) => LOCK_AND_SEGMENTS.has(byte) || SIZES_AND_REPEATS.has(byte);

/** Whether the bytes, which are no instruction for a decoder that stops after 15 of them, would be one with fewer prefixes. */
export function isTooLong(bits: number, bytes: Uint8Array): boolean {
	const kept = new Map<number, number>();
	let prefixes = 0;
	for (; prefixes < LONGEST_INSTRUCTION; prefixes++) {
		const byte = bytes[prefixes] ?? 0;
		// A REX prefix that another prefix follows is void (SDM Vol. 2A §2.2.1).
		if (isRex(byte, bits) && isPrefix(bytes[prefixes + 1] ?? 0)) continue;
		if (!isPrefix(byte)) break;
		// What decides about the length: the sizes, and which of F2H and F3H comes last.
		if (SIZES_AND_REPEATS.has(byte)) kept.set(byte === 0xf2 ? 0xf3 : byte, byte);
	}
	if (prefixes >= LONGEST_INSTRUCTION) return true;
	// Without the prefixes that choose among the instructions of one opcode, for opcodes that exist only with one of them.
	const sizes = new Map([...kept].filter(([kind]) => kind === 0x67));
	return [kept, sizes].some((prefix) => {
		const length = coreLength(bits, [...prefix.values()], bytes.subarray(prefixes, LONGEST_INSTRUCTION));
		return length > 0 && prefixes + length > LONGEST_INSTRUCTION;
	});
}

/** Bytes of the instruction after these prefixes; 0 when there is none. */
function coreLength(bits: number, prefixes: readonly number[], bytes: Uint8Array): number {
	const padded = new Uint8Array(2 * LONGEST_INSTRUCTION);
	padded.set(prefixes);
	padded.set(bytes, prefixes.length);
	const decoder = new Decoder(bits, padded, DecoderOptions.ForceReservedNop);
	const instruction = decoder.decode();
	const { code, length } = instruction;
	instruction.free();
	decoder.free();
	return code === Code.INVALID ? 0 : length - prefixes.length;
}
