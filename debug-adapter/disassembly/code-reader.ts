import type { AddressSpace, Processor } from "../../emulator/machine/virtual-machine.ts";
import { type CodeSize, type DecodedInstruction, decodeInstruction, LONGEST_INSTRUCTION } from "./decoder.ts";

const CHUNK = 256n;

/** Code bytes of one address space with the instructions that start at each, read once for one request. */
export class CodeReader {
	private readonly chunks = new Map<bigint, Uint8Array>();
	private readonly decoded = new Map<bigint, DecodedInstruction>();
	/** The first address above the space that the code can reach. */
	readonly end: bigint;

	constructor(
		private readonly read: (address: bigint, length: number) => Uint8Array | undefined,
		readonly codeSize: CodeSize,
		/** Base of the code segment: relative branches wrap within it. */
		readonly segmentBase = 0n,
	) {
		this.end = codeSize === 64 ? 1n << 64n : 1n << 32n;
	}

	/** Code as the processor runs it now: with the code size and the base of its CS. */
	static of(processor: Processor, space: AddressSpace = "lin"): CodeReader {
		const base = BigInt.asUintN(64, processor.linearInstructionPointer() - processor.instructionPointer());
		return new CodeReader(
			(value, length) => processor.readMemory({ space, value }, length),
			processor.codeSize(),
			space === "lin" ? base : 0n,
		);
	}

	/** The readable bytes of a chunk from its start; chunks do not cross a page, so a page that is missing hides no other. */
	private chunk(start: bigint): Uint8Array {
		let bytes = this.chunks.get(start);
		if (!bytes) {
			bytes = this.read(start, Number(CHUNK)) ?? new Uint8Array(0);
			this.chunks.set(start, bytes);
		}
		return bytes;
	}

	isReadable(address: bigint): boolean {
		return this.bytes(address, 1).length === 1;
	}

	/** The bytes from the address on, fewer when one cannot be read. */
	bytes(address: bigint, length: number): Uint8Array {
		const bytes = new Uint8Array(length);
		let count = 0;
		while (count < length) {
			const at = address + BigInt(count);
			if (at < 0n || at >= this.end) break;
			const start = at - (at % CHUNK);
			const offset = Number(at - start);
			const part = this.chunk(start).subarray(offset, offset + length - count);
			if (part.length === 0) break;
			bytes.set(part, count);
			count += part.length;
		}
		return bytes.subarray(0, count);
	}

	/** The instruction at the address; one byte long and not valid where there is none. */
	instruction(address: bigint): DecodedInstruction {
		let instruction = this.decoded.get(address);
		if (!instruction) {
			instruction = decodeInstruction(
				this.bytes(address, LONGEST_INSTRUCTION),
				address - this.segmentBase,
				this.codeSize,
			);
			this.decoded.set(address, instruction);
		}
		return instruction;
	}

	/** The linear address that a relative branch at the address goes to. */
	target(address: bigint): bigint | undefined {
		const { target } = this.instruction(address);
		return target === undefined ? undefined : BigInt.asUintN(64, target + this.segmentBase);
	}
}
