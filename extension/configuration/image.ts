// Tells from its first bytes whether a file is something that the machine can boot, and how wide its code is.

import { isParavirtualKernel } from "../../emulator/machine/loaders/pvh.ts";

export interface GuestImage {
	/** "xen": a kernel that only a Xen-compatible hypervisor can start. */
	readonly format: "multiboot" | "multiboot2" | "elf" | "xen" | "bzImage";
	/** Bits of the code that it is made for; a boot loader may start it in a narrower mode. */
	readonly bits: 32 | 64;
}

/** Bytes that `recognizeImage` looks at: a Multiboot2 header lies in the first 32 KiB (Multiboot2 specification §3.1). */
export const imageHeaderLength = 32768;

const elfMagic = 0x464c457f;
const elfMachine386 = 3;
const elfMachineX86_64 = 62;
const programHeaderInterpreter = 3;

/** What the file is; undefined when it is nothing that boots (a user program, an object file, text). */
export function recognizeImage(bytes: Uint8Array): GuestImage | undefined {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (view.byteLength < 0x40) return undefined;
	if (view.getUint32(0, true) === elfMagic) return recognizeElf(view);
	return recognizeBzImage(view);
}

function recognizeElf(view: DataView): GuestImage | undefined {
	const type = view.getUint16(16, true);
	const machine = view.getUint16(18, true);
	// ET_EXEC or ET_DYN; an object file has no addresses to load to.
	if (type !== 2 && type !== 3) return undefined;
	if (machine !== elfMachine386 && machine !== elfMachineX86_64) return undefined;
	if (hasInterpreter(view)) return undefined;
	const bits = machine === elfMachineX86_64 ? 64 : 32;
	if (hasHeader(view, 0xe852_50d6, 32768, 8, 4)) return { format: "multiboot2", bits };
	if (hasHeader(view, 0x1bad_b002, 8192, 4, 3)) return { format: "multiboot", bits };
	const bytes = new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
	return { format: isParavirtualKernel(bytes) ? "xen" : "elf", bits };
}

/** A program that asks for a dynamic linker is a user program. */
function hasInterpreter(view: DataView): boolean {
	const wide = view.getUint8(4) === 2;
	const start = wide ? Number(view.getBigUint64(32, true)) : view.getUint32(28, true);
	const size = view.getUint16(wide ? 54 : 42, true);
	const count = view.getUint16(wide ? 56 : 44, true);
	for (let index = 0; index < count; index++) {
		const at = start + index * size;
		if (at + 4 > view.byteLength) return false;
		if (view.getUint32(at, true) === programHeaderInterpreter) return true;
	}
	return false;
}

/** A Multiboot header: its magic number at an aligned place, and fields of 32 bits that sum to 0. */
function hasHeader(view: DataView, magic: number, within: number, alignment: number, fields: number): boolean {
	const end = Math.min(view.byteLength, within) - fields * 4;
	for (let at = 0; at <= end; at += alignment) {
		if (view.getUint32(at, true) !== magic) continue;
		let sum = 0;
		for (let field = 0; field < fields; field++) sum = (sum + view.getUint32(at + field * 4, true)) >>> 0;
		if (sum === 0) return true;
	}
	return false;
}

/** Linux/x86 boot protocol, "The Real-Mode Kernel Header": boot flag at 0x1fe, "HdrS" at 0x202, xloadflags at 0x236. */
function recognizeBzImage(view: DataView): GuestImage | undefined {
	if (view.byteLength < 0x238 || view.getUint16(0x1fe, true) !== 0xaa55) return undefined;
	if (view.getUint32(0x202, true) !== 0x5372_6448) return undefined;
	// XLF_KERNEL_64, since protocol 2.12: the kernel has a 64-bit entry point.
	const wide = view.getUint16(0x206, true) >= 0x20c && (view.getUint16(0x236, true) & 1) !== 0;
	return { format: "bzImage", bits: wide ? 64 : 32 };
}
