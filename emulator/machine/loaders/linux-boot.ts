// Direct boot of a Linux bzImage by its 32-bit boot protocol.
// Reference: Linux, Documentation/arch/x86/boot.rst ("THE LINUX/x86 BOOT PROTOCOL", "32-bit BOOT PROTOCOL") and zero-page.rst.

import { ROOT_POINTER } from "../acpi/direct-boot.ts";
import { MachineError, type NamedFile } from "../virtual-machine.ts";
import { type BootState, type LoadTarget, memoryMap, place, words, zeroTerminated } from "./boot-state.ts";
import type { BootModules } from "./multiboot1.ts";

const HEADER_START = 0x1f1;
const MAGIC_OFFSET = 0x202;
const MAGIC = 0x53726448; // "HdrS"
const OLDEST_PROTOCOL = 0x0202;

const BOOT_PARAMETERS = 0x90000;
const GDT = 0x8f000;
const COMMAND_LINE = 0x91000;
const COMMAND_LINE_LIMIT = 2048;
const KERNEL = 0x100000;

/** Offsets in the zero page. */
const ACPI_ROOT_POINTER = 0x070;
const E820_COUNT = 0x1e8;
const E820_TABLE = 0x2d0;
const LOADER_TYPE = 0x210;
const LOAD_FLAGS = 0x211;
const CODE32_START = 0x214;
const RAMDISK_IMAGE = 0x218;
const RAMDISK_SIZE = 0x21c;
const HEAP_END = 0x224;
const COMMAND_LINE_POINTER = 0x228;
const INITRD_MAX = 0x22c;

const LOADED_HIGH = 1;
const CAN_USE_HEAP = 0x80;
const UNKNOWN_LOADER = 0xff;

/** __BOOT_CS and __BOOT_DS: flat 4-GiB segments at these selectors. */
const BOOT_CS = 0x10;
const BOOT_DS = 0x18;

export function isBzImage(bytes: Uint8Array): boolean {
	if (bytes.length < 0x230) return false;
	return new DataView(bytes.buffer, bytes.byteOffset).getUint32(MAGIC_OFFSET, true) === MAGIC;
}

/** The real-mode setup part and the protected-mode kernel. @throws {MachineError} when the file ends before its header says. */
export function splitBzImage({ name, bytes }: NamedFile): { readonly setup: Uint8Array; readonly kernel: Uint8Array } {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const setupSectors = view.getUint8(HEADER_START) || 4;
	const kernelOffset = (setupSectors + 1) * 512;
	const systemSize = view.getUint32(0x1f4, true) * 16;
	if (kernelOffset >= bytes.length || kernelOffset + systemSize > bytes.length + 15) {
		throw new MachineError(`${name} is a truncated bzImage (${bytes.length} bytes): copy it again.`);
	}
	return { setup: bytes.subarray(0, kernelOffset), kernel: bytes.subarray(kernelOffset) };
}

/** @throws {MachineError} when the kernel is too old, cut off or does not fit. */
export function loadLinux(image: NamedFile, modules: BootModules, target: LoadTarget): BootState {
	const { name, bytes } = image;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const version = view.getUint16(0x206, true);
	if (version < OLDEST_PROTOCOL)
		throw new MachineError(
			`${name} speaks boot protocol ${(version >> 8).toString()}.${version & 0xff}; 2.2 is the oldest that can be booted directly.`,
		);
	if ((view.getUint8(LOAD_FLAGS) & LOADED_HIGH) === 0)
		throw new MachineError(`${name} is a zImage; only bzImage kernels can be booted directly.`);
	const { kernel } = splitBzImage(image);
	if (view.getUint32(CODE32_START, true) === 0)
		throw new MachineError(
			`${name} has no 32-bit entry: it starts in real mode with a BIOS, so put it on a disk or disc and start that with a firmware.`,
		);
	place(target, KERNEL, kernel, name);

	const parameters = new Uint8Array(4096);
	const headerEnd = 0x202 + view.getUint8(0x201);
	parameters.set(bytes.subarray(HEADER_START, Math.min(headerEnd, 0x290)), HEADER_START);
	const zero = new DataView(parameters.buffer);
	zero.setBigUint64(ACPI_ROOT_POINTER, BigInt(ROOT_POINTER), true);
	zero.setUint8(LOADER_TYPE, UNKNOWN_LOADER);
	zero.setUint8(LOAD_FLAGS, zero.getUint8(LOAD_FLAGS) | CAN_USE_HEAP);
	zero.setUint16(HEAP_END, 0xfe00, true);
	zero.setUint32(CODE32_START, KERNEL, true);
	const text = zeroTerminated(modules.append ?? "");
	const limit = version >= 0x0206 ? view.getUint32(0x238, true) + 1 : 256;
	if (text.length > Math.min(limit, COMMAND_LINE_LIMIT)) {
		throw new MachineError(
			`The kernel command line has ${text.length - 1} characters; ${name} takes ${Math.min(limit, COMMAND_LINE_LIMIT) - 1}.`,
		);
	}
	place(target, COMMAND_LINE, text, "The kernel command line");
	zero.setUint32(COMMAND_LINE_POINTER, COMMAND_LINE, true);
	if (modules.initrd) {
		const highest = version >= 0x0203 ? view.getUint32(INITRD_MAX, true) : 0x37ffffff;
		const top = Math.min(target.size, highest + 1);
		const address = (top - modules.initrd.bytes.length) & ~0xfff;
		const initSize = version >= 0x020a ? view.getUint32(0x260, true) : bytes.length * 4;
		if (address < KERNEL + initSize) {
			throw new MachineError(
				`${modules.initrd.name} (${modules.initrd.bytes.length} bytes) does not fit beside ${name} in 0x${target.size.toString(16)} bytes: give the machine more with "memory".`,
			);
		}
		place(target, address, modules.initrd.bytes, modules.initrd.name);
		zero.setUint32(RAMDISK_IMAGE, address, true);
		zero.setUint32(RAMDISK_SIZE, modules.initrd.bytes.length, true);
	}
	const ranges = memoryMap(target.size);
	zero.setUint8(E820_COUNT, ranges.length);
	ranges.forEach((range, index) => {
		const at = E820_TABLE + index * 20;
		zero.setBigUint64(at, BigInt(range.base), true);
		zero.setBigUint64(at + 8, BigInt(range.length), true);
		zero.setUint32(at + 16, range.type, true);
	});
	place(target, BOOT_PARAMETERS, parameters, "The boot parameters");
	// Null, unused, flat code (0x00cf9b00_0000ffff), flat data (0x00cf9300_0000ffff).
	place(target, GDT, words(0, 0, 0, 0, 0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300), "The boot GDT");
	return {
		instructionPointer: KERNEL,
		registers: { esi: BOOT_PARAMETERS, esp: BOOT_PARAMETERS },
		codeSelector: BOOT_CS,
		dataSelector: BOOT_DS,
		gdt: { base: GDT, limit: 31 },
		protocol: "Linux 32-bit boot protocol",
	};
}
