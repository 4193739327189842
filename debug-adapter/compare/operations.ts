// Operations that a guest marks by calling two functions. The marker is a symbol: breakpoints stop the machine at the two functions, which
// do nothing, so that it costs the guest the same few instructions under every technique and leaves it under none (docs/decisions/0011).

import type { NamedFile, Processor } from "../../emulator/machine/virtual-machine.ts";
import { SymbolError, SymbolFile } from "../symbols/index.ts";

/** `void hyperscope_operation_begin(const char *name, unsigned repetitions)` and `void hyperscope_operation_end(void)`. */
const BEGIN = "hyperscope_operation_begin";
const END = "hyperscope_operation_end";

export interface Markers {
	/** Guest-linear addresses of the first instructions. */
	readonly begin: bigint;
	readonly end: bigint;
}

/** The markers of an image; undefined when it has none. */
export function findMarkers(image: NamedFile | undefined): Markers | undefined {
	if (!image) return undefined;
	try {
		const { symbols } = SymbolFile.open(image.bytes, { name: image.name });
		const [begin] = symbols.named(BEGIN);
		const [end] = symbols.named(END);
		return begin && end ? { begin: begin.address, end: end.address } : undefined;
	} catch (error) {
		if (error instanceof SymbolError) return undefined;
		throw error;
	}
}

/** Bytes of a name that are shown. */
const LONGEST_NAME = 60;
const MOST_REPETITIONS = 0xffff_ffff;

function readNumber(processor: Processor, address: bigint): number {
	const bytes = processor.readMemory({ space: "lin", value: address }, 4);
	return bytes?.length === 4 ? new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true) : 0;
}

function readText(processor: Processor, address: bigint): string {
	const bytes = processor.readMemory({ space: "lin", value: address }, LONGEST_NAME) ?? new Uint8Array();
	const end = bytes.indexOf(0);
	const text = String.fromCharCode(...bytes.subarray(0, end < 0 ? bytes.length : end));
	return text.replace(/[^\x20-\x7e]/g, "?") || "(no name)";
}

/**
 * The arguments at the first instruction of hyperscope_operation_begin: those of a C function, in registers in 64-bit code and on the stack
 * in 32-bit code (System V ABI, AMD64 §3.2.3, i386 §2.2.3).
 */
export function readOperation(processor: Processor): { name: string; repetitions: number } {
	const register = (name: string) => processor.register(name) ?? 0n;
	if (processor.codeSize() === 64) {
		const repetitions = Number(register("rsi") & BigInt(MOST_REPETITIONS));
		return { name: readText(processor, register("rdi")), repetitions: Math.max(1, repetitions) };
	}
	const stack = register("esp");
	const name = readText(processor, BigInt(readNumber(processor, stack + 4n)));
	return { name, repetitions: Math.max(1, readNumber(processor, stack + 8n)) };
}
