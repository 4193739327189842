// Tiny guests for tests: machine code in 32-bit protected mode from 1 MByte on, started as an ELF image is.

import { HvmMachine } from "../../emulator/vmm/vtx/hvm-machine.ts";

/** Where the code begins. */
export const CODE = 0x100000;

/** An ELF image with one segment at CODE. */
export function elfImage(code: readonly number[] | Uint8Array): Uint8Array {
	const header = 0x54;
	const bytes = new Uint8Array(header + code.length);
	const view = new DataView(bytes.buffer);
	bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
	const half = (at: number, value: number) => view.setUint16(at, value, true);
	const word = (at: number, value: number) => view.setUint32(at, value, true);
	half(0x10, 2);
	half(0x12, 3);
	word(0x14, 1);
	word(0x18, CODE);
	word(0x1c, 0x34);
	half(0x28, 0x34);
	half(0x2a, 0x20);
	half(0x2c, 1);
	for (const [index, value] of [1, header, CODE, CODE, code.length, code.length, 7, 1].entries())
		word(0x34 + index * 4, value);
	bytes.set(code, header);
	return bytes;
}

export function guestMachine(code: readonly number[] | Uint8Array, mmu: "ept" | "shadow" = "ept"): HvmMachine {
	return new HvmMachine({ vmm: "hvm", mmu, memory: 4 << 20, image: { name: "guest", bytes: elfImage(code) } });
}

/** A little-endian 32-bit word as bytes. */
export function dword(value: number): number[] {
	return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
}
