// Direct boot of kernels that carry the note XEN_ELFNOTE_PHYS32_ENTRY, Linux and the BSDs among them.
// Reference: Xen, docs/misc/pvh.pandoc and xen/include/public/arch-x86/hvm/start_info.h.

import { ROOT_POINTER } from "../acpi/direct-boot.ts";
import type { NamedFile } from "../virtual-machine.ts";
import { type BootState, type LoadTarget, memoryMap, place, words, zeroTerminated } from "./boot-state.ts";
import { loadElf, parseElf } from "./elf-image.ts";
import { elfNotes } from "./elf-notes.ts";
import type { BootModules } from "./multiboot1.ts";

/** elfnote.h: entry and hypervisor version of a paravirtual kernel, and the entry that a bare machine can use. */
const XEN_ENTRY = 1;
const XEN_VERSION = 5;
const PHYS32_ENTRY = 18;
const START_INFO_MAGIC = 0x336ec578;
const START_INFO_VERSION = 1;

/** The physical address at which the kernel wants to be entered; undefined when it carries no such note. */
export function pvhEntry(bytes: Uint8Array): number | undefined {
	const note = elfNotes(bytes).find(({ name, type }) => name === "Xen" && type === PHYS32_ENTRY);
	if (note === undefined || note.description.length < 4) return undefined;
	return new DataView(note.description.buffer, note.description.byteOffset).getUint32(0, true);
}

/** Whether the file is a kernel that only a Xen-compatible hypervisor can start. */
export function isParavirtualKernel(bytes: Uint8Array): boolean {
	const types = elfNotes(bytes).flatMap(({ name, type }) => (name === "Xen" ? [type] : []));
	return (types.includes(XEN_ENTRY) || types.includes(XEN_VERSION)) && !types.includes(PHYS32_ENTRY);
}

/** @throws {MachineError} when the image does not fit. */
export function loadPvh(image: NamedFile, entry: number, modules: BootModules, target: LoadTarget): BootState {
	let free = loadElf(image.name, parseElf(image.name, image.bytes), target);
	const reserve = (content: Uint8Array, alignment: number, what: string): number => {
		const address = Math.ceil(free / alignment) * alignment;
		place(target, address, content, what);
		free = address + content.length;
		return address;
	};
	const commandLine = reserve(zeroTerminated(modules.append ?? ""), 8, "The command line");
	const { initrd } = modules;
	const module = initrd && reserve(initrd.bytes, 4096, `The module ${initrd.name}`);
	const moduleList =
		module === undefined ? 0 : reserve(words(module, 0, initrd!.bytes.length, 0, 0, 0, 0, 0), 8, "The module list");
	const ranges = memoryMap(target.size);
	const map = reserve(
		words(...ranges.flatMap(({ base, length, type }) => [base, 0, length, 0, type, 0])),
		8,
		"The memory map",
	);
	const information = words(
		...[START_INFO_MAGIC, START_INFO_VERSION, 0, module === undefined ? 0 : 1],
		...[moduleList, 0, commandLine, 0],
		...[ROOT_POINTER, 0, map, 0, ranges.length, 0],
	);
	return {
		instructionPointer: entry,
		registers: { ebx: reserve(information, 8, "The start information") },
		codeSelector: 0x08,
		dataSelector: 0x10,
		gdt: undefined,
		protocol: "PVH",
	};
}
