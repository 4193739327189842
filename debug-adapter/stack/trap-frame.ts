// What the processor pushes when it delivers an interrupt or exception: SDM Vol. 3A §6.12.1 (32-bit) and §6.14.2 (64-bit).
import type { Processor } from "../../emulator/machine/virtual-machine.ts";

/** How far up the stack a trap frame is looked for when no frame pointer bounds the search, in bytes. */
const FARTHEST = 1024;
/** A frame pointer farther away than this does not bound the search. */
const FARTHEST_FRAME_POINTER = 65_536n;
/** EFLAGS bits that are always zero: 3, 5, 15 and 22 to 63. Bit 1 is always one (SDM Vol. 1 §3.4.3). */
const RESERVED_FLAGS = ~0x3f_7fd7n & ((1n << 64n) - 1n);

export interface TrapFrame {
	readonly instructionPointer: bigint;
	readonly codeSelector: bigint;
	/** The interrupted stack pointer. */
	readonly stackPointer: bigint;
	/** Where on the handler's stack it lies. */
	readonly address: bigint;
}

/**
 * The lowest trap frame on the stack of an interrupt's entry code, from `stackPointer` up. Entry code is written in
 * assembly, saves what it likes below the trap frame, and often has no call frame information; the words that the
 * processor pushed are told by what they must be: an address of code, a code selector that is in use, and flags.
 */
export function findTrapFrame(
	processor: Processor,
	stackPointer: bigint,
	framePointer: bigint | undefined,
	isCode: (address: bigint) => boolean,
): TrapFrame | undefined {
	const is64 = processor.codeSize() === 64;
	const size = is64 ? 8 : 4;
	const end =
		framePointer !== undefined &&
		framePointer > stackPointer &&
		framePointer - stackPointer <= FARTHEST_FRAME_POINTER &&
		framePointer - stackPointer < BigInt(FARTHEST)
			? Number(framePointer - stackPointer)
			: FARTHEST;
	const bytes = processor.readMemory({ space: "lin", value: stackPointer }, end + size * 5);
	if (!bytes) return undefined;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const word = (offset: number): bigint | undefined => {
		if (offset + size > bytes.length) return undefined;
		return is64 ? view.getBigUint64(offset, true) : BigInt(view.getUint32(offset, true));
	};
	const level = processor.register("cs") ?? 0n;
	for (let offset = 0; offset <= end; offset += size) {
		const [pointer, selector, flags] = [word(offset), word(offset + size), word(offset + size * 2)];
		if (pointer === undefined || selector === undefined || flags === undefined) return undefined;
		if (!isPlausible(selector, flags, level)) continue;
		const isFromOuterRing = (selector & 3n) > (level & 3n);
		// User code may have no symbols; what the kernel was doing must be known code.
		if (!isCode(pointer) && !(isFromOuterRing && processor.readMemory({ space: "lin", value: pointer }, 1))) continue;
		const address = stackPointer + BigInt(offset);
		if (!is64 && !isFromOuterRing)
			return { instructionPointer: pointer, codeSelector: selector, stackPointer: address + 12n, address };
		const [outerStack, outerSelector] = [word(offset + size * 3), word(offset + size * 4)];
		if (outerStack === undefined || outerSelector === undefined) continue;
		if (outerSelector > 0xffffn || (isFromOuterRing && (outerSelector & 3n) !== (selector & 3n))) continue;
		return { instructionPointer: pointer, codeSelector: selector, stackPointer: outerStack, address };
	}
	return undefined;
}

function isPlausible(selector: bigint, flags: bigint, current: bigint): boolean {
	if (selector > 0xffffn || selector >> 3n === 0n) return false;
	if ((flags & 2n) === 0n || (flags & RESERVED_FLAGS) !== 0n) return false;
	// The interrupted code ran at the current level in the same segment, or at an outer level.
	return selector === current || (selector & 3n) > (current & 3n);
}
