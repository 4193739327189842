// What a loader leaves behind: bytes in guest-physical memory and the processor's state at the first instruction.

import { MachineError } from "../virtual-machine.ts";

/** Guest-physical memory as a loader sees it. */
export interface LoadTarget {
	/** Bytes of RAM from address 0. */
	readonly size: number;
	/** How many processors the tables tell of; one when left out. */
	readonly processors?: number | undefined;
	/** Stores bytes; the loader has checked that they lie inside the RAM. */
	write(address: number, bytes: Uint8Array): void;
}

/** The state that boot protocols for 32-bit protected mode ask for: flat segments, paging off, interrupts off. */
export interface BootState {
	readonly instructionPointer: number;
	/** EAX, EBX, ESI and so on by name; the others are 0. */
	readonly registers: Readonly<Partial<Record<"eax" | "ebx" | "ecx" | "edx" | "esi" | "edi" | "ebp" | "esp", number>>>;
	readonly codeSelector: number;
	readonly dataSelector: number;
	/** A descriptor table that lies in memory, when the protocol asks for one. */
	readonly gdt: { readonly base: number; readonly limit: number } | undefined;
	/** Protocol, for messages and views: "multiboot 1". */
	readonly protocol: string;
}

/** A range of the memory map that loaders hand to kernels. Types as in the BIOS's INT 15h AX=E820h: 1 RAM, 2 reserved. */
export interface MemoryRange {
	readonly base: number;
	readonly length: number;
	readonly type: 1 | 2;
}

/** The memory map of a PC with `size` bytes of RAM: 640 KiB less the EBDA, the BIOS area, and the rest. */
export function memoryMap(size: number): MemoryRange[] {
	return [
		{ base: 0, length: 0x9fc00, type: 1 },
		{ base: 0x9fc00, length: 0x400, type: 2 },
		{ base: 0xf0000, length: 0x10000, type: 2 },
		{ base: 0x100000, length: size - 0x100000, type: 1 },
	];
}

/**
 * What kernels read of the BIOS data area: the segment of the EBDA (40:0E) and the KBytes of base memory below it (40:13); the first
 * byte of the EBDA is its size in KBytes. A boot loader's kernel finds them as firmware has left them.
 */
export function placeBiosData(target: LoadTarget): void {
	target.write(0x40e, Uint8Array.of(0xc0, 0x9f));
	target.write(0x413, Uint8Array.of(639 & 0xff, 639 >> 8));
	target.write(0x9fc00, Uint8Array.of(1));
}

/** Little-endian 32-bit words as bytes. */
export function words(...values: readonly number[]): Uint8Array {
	const bytes = new Uint8Array(values.length * 4);
	const view = new DataView(bytes.buffer);
	for (const [index, value] of values.entries()) view.setUint32(index * 4, value >>> 0, true);
	return bytes;
}

/** Text with a terminating zero. */
export function zeroTerminated(text: string): Uint8Array {
	const encoded = new TextEncoder().encode(text);
	const bytes = new Uint8Array(encoded.length + 1);
	bytes.set(encoded);
	return bytes;
}

/** Stores bytes after checking that they lie in RAM. @throws {MachineError} */
export function place(target: LoadTarget, address: number, bytes: Uint8Array, what: string): void {
	if (address < 0 || address + bytes.length > target.size) {
		throw new MachineError(
			`${what} needs memory from 0x${address.toString(16)} to 0x${(address + bytes.length).toString(16)}, but the machine has 0x${target.size.toString(16)} bytes: give it more with "memory".`,
		);
	}
	target.write(address, bytes);
}

/**
 * The screen as both multiboot protocols describe it: address (64 bits), pitch, width, height (32 bits each), bits for a character and
 * its attribute, type 2 for EGA text. The adapter is in its text mode, whatever mode an image prefers.
 */
export const TEXT_SCREEN: Uint8Array = Uint8Array.from([...words(0xb8000, 0, 160, 80, 25), 16, 2, 0, 0]);
