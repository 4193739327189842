// Tells what an image is and loads it.

import { placeAcpiTables } from "../acpi/direct-boot.ts";
import type { AcpiPlatform } from "../acpi/platform.ts";
import { MachineError, type NamedFile } from "../virtual-machine.ts";
import type { BootState, LoadTarget } from "./boot-state.ts";
import { isElf, loadElf, parseElf, physicalEntry } from "./elf-image.ts";
import { isBzImage, loadLinux } from "./linux-boot.ts";
import { type BootModules, findMultiboot1, loadMultiboot1 } from "./multiboot1.ts";
import { findMultiboot2, loadMultiboot2 } from "./multiboot2.ts";
import { isParavirtualKernel, loadPvh, pvhEntry } from "./pvh.ts";

/**
 * Before the image come the ACPI tables: what it loads over them is its own.
 * @throws {MachineError} with one sentence when the file is no image that can be started, or does not fit.
 */
export function loadImage(
	image: NamedFile,
	modules: BootModules,
	target: LoadTarget,
	platform: AcpiPlatform,
): BootState {
	const { name, bytes } = image;
	if (bytes.length === 0) throw new MachineError(`${name} is empty.`);
	const multiboot = findMultiboot1(bytes) >= 0 || findMultiboot2(bytes) >= 0;
	if (modules.modules?.length && (isBzImage(bytes) || !multiboot))
		throw new MachineError(`${name} is no multiboot image, so it takes no modules: start it without them.`);
	const rootPointer = placeAcpiTables(target, platform);
	if (isBzImage(bytes)) return loadLinux(image, modules, target);
	const multiboot1 = findMultiboot1(bytes);
	if (multiboot1 >= 0) return loadMultiboot1(image, multiboot1, modules, target);
	const multiboot2 = findMultiboot2(bytes);
	if (multiboot2 >= 0) return loadMultiboot2(image, multiboot2, modules, target, rootPointer);
	if (isElf(bytes)) {
		const elf = parseElf(name, bytes);
		const entry = pvhEntry(bytes);
		if (entry !== undefined) return loadPvh(image, entry, modules, target);
		if (isParavirtualKernel(bytes))
			throw new MachineError(
				`${name} is a paravirtual kernel, which only a Xen-compatible hypervisor can start: choose the technique "pv".`,
			);
		if (elf.bits === 64) {
			throw new MachineError(
				`${name} is a 64-bit ELF file without a multiboot header or PVH note, so it does not say how it wants to be started: add a multiboot 2 header.`,
			);
		}
		if (modules.initrd)
			throw new MachineError(
				`${name} is plain ELF and cannot be told of the module ${modules.initrd.name}: leave "initrd" out, or give the kernel a multiboot header.`,
			);
		loadElf(name, elf, target);
		return {
			instructionPointer: physicalEntry(name, elf),
			registers: {},
			codeSelector: 0x08,
			dataSelector: 0x10,
			gdt: undefined,
			protocol: "ELF entry in 32-bit protected mode",
		};
	}
	throw new MachineError(
		`${name} is not an image that can be started: no bzImage, no multiboot header in its first 32 KiB, not ELF.`,
	);
}
