// Reference: Multiboot Specification 0.6.96. The header is a 4-byte aligned structure in the first 8192 bytes of the image.

import { PROCESSOR_SIGNATURE } from "../../cpu/processor-state.ts";
import { type BootModule, MachineError, type NamedFile } from "../virtual-machine.ts";
import {
	type BootState,
	type LoadTarget,
	memoryMap,
	place,
	placeBiosData,
	TEXT_SCREEN,
	words,
	zeroTerminated,
} from "./boot-state.ts";
import { isElf, loadElf, parseElf, physicalEntry } from "./elf-image.ts";
import { placeMultiprocessorTable } from "./multiprocessor-table.ts";

const HEADER_MAGIC = 0x1badb002;
const BOOTLOADER_MAGIC = 0x2badb002;
const SEARCH = 8192;

const FLAG_ADDRESSES = 1 << 16;
/** Flags 15:0 are requirements; those known here: page-aligned modules, memory information, video mode. */
const KNOWN_REQUIREMENTS = 7;

const INFO_MEMORY = 1 << 0;
const INFO_COMMAND_LINE = 1 << 2;
const INFO_MODULES = 1 << 3;
const INFO_MEMORY_MAP = 1 << 6;
const INFO_LOADER_NAME = 1 << 9;
const INFO_FRAMEBUFFER = 1 << 12;

/** Offset of the header, or -1. */
export function findMultiboot1(bytes: Uint8Array): number {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = 0; at + 12 <= Math.min(SEARCH, bytes.length); at += 4) {
		if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
		if ((HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true)) >>> 0 === 0) return at;
	}
	return -1;
}

/** Loads by the header's addresses ("a.out kludge"): for images that are not ELF, or whose ELF part must not be used. */
function loadByAddresses(
	name: string,
	bytes: Uint8Array,
	header: number,
	target: LoadTarget,
): { entry: number; end: number } {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	if (header + 32 > bytes.length) throw new MachineError(`${name} ends inside its multiboot header.`);
	const [headerAddress, loadAddress, loadEnd, bssEnd, entry] = [12, 16, 20, 24, 28].map((offset) =>
		view.getUint32(header + offset, true),
	) as [number, number, number, number, number];
	const start = header - (headerAddress - loadAddress);
	const length = loadEnd === 0 ? bytes.length - start : loadEnd - loadAddress;
	if (start < 0 || length < 0 || start + length > bytes.length)
		throw new MachineError(`${name} has a multiboot header whose addresses do not fit the file.`);
	const whole = Math.max(length, bssEnd === 0 ? 0 : bssEnd - loadAddress);
	if (loadAddress + whole > target.size) {
		throw new MachineError(
			`${name} needs memory up to 0x${(loadAddress + whole).toString(16)}, but the machine has 0x${target.size.toString(16)} bytes: give it more with "memory".`,
		);
	}
	const image = new Uint8Array(whole);
	image.set(bytes.subarray(start, start + length));
	place(target, loadAddress, image, name);
	return { entry, end: loadAddress + whole };
}

export interface BootModules {
	readonly initrd?: NamedFile | undefined;
	readonly modules?: readonly BootModule[] | undefined;
	readonly append?: string | undefined;
}

/** The modules of a multiboot image in their order: the initrd is the last. */
export function multibootModules({ modules = [], initrd }: BootModules): readonly BootModule[] {
	return initrd ? [...modules, { ...initrd, commandLine: initrd.name }] : modules;
}

/** @throws {MachineError} when the image asks for what is not there or does not fit. */
export function loadMultiboot1(image: NamedFile, header: number, modules: BootModules, target: LoadTarget): BootState {
	const { name, bytes } = image;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const flags = view.getUint32(header + 4, true);
	const unknown = flags & 0xffff & ~KNOWN_REQUIREMENTS;
	if (unknown !== 0)
		throw new MachineError(
			`${name} requires multiboot features 0x${unknown.toString(16)} that this loader does not have.`,
		);
	let entry: number;
	let end: number;
	if (flags & FLAG_ADDRESSES) ({ entry, end } = loadByAddresses(name, bytes, header, target));
	else if (isElf(bytes)) {
		const elf = parseElf(name, bytes);
		end = loadElf(name, elf, target);
		entry = physicalEntry(name, elf);
	} else
		throw new MachineError(
			`${name} has a multiboot header but is neither ELF nor does the header give load addresses.`,
		);

	let free = (end + 0xfff) & ~0xfff;
	placeBiosData(target);
	placeMultiprocessorTable(target, PROCESSOR_SIGNATURE);
	const reserve = (content: Uint8Array, alignment: number, what: string): number => {
		const address = Math.ceil(free / alignment) * alignment;
		place(target, address, content, what);
		free = address + content.length;
		return address;
	};
	const commandLine = reserve(zeroTerminated([name, modules.append].filter(Boolean).join(" ")), 4, "The command line");
	const loaderName = reserve(zeroTerminated("Hyperscope"), 4, "The loader's name");
	const entries = multibootModules(modules).map((module) => {
		const text = reserve(zeroTerminated(module.commandLine), 4, "A module's command line");
		const start = reserve(module.bytes, 4096, `The module ${module.name}`);
		return [start, start + module.bytes.length, text, 0];
	});
	const moduleTable = entries.length > 0 ? reserve(words(...entries.flat()), 4, "The module table") : 0;
	// Each entry of the map: size of the rest (20), base and length as 64 bits, type.
	const ranges = memoryMap(target.size);
	const map = reserve(
		words(...ranges.flatMap((range) => [20, range.base, 0, range.length, 0, range.type])),
		4,
		"The memory map",
	);
	const information = new Array<number>(29).fill(0);
	information[0] =
		INFO_MEMORY | INFO_COMMAND_LINE | INFO_MEMORY_MAP | INFO_LOADER_NAME | (moduleTable ? INFO_MODULES : 0);
	information[1] = 639;
	information[2] = (target.size - 0x100000) >>> 10;
	information[4] = commandLine;
	information[5] = entries.length;
	information[6] = moduleTable;
	information[11] = ranges.length * 24;
	information[12] = map;
	information[16] = loaderName;
	information[0] |= INFO_FRAMEBUFFER;
	information.splice(22, 6, ...new Uint32Array(TEXT_SCREEN.slice().buffer));
	const structure = reserve(words(...information), 4, "The multiboot information");
	return {
		instructionPointer: entry,
		registers: { eax: BOOTLOADER_MAGIC, ebx: structure },
		codeSelector: 0x08,
		dataSelector: 0x10,
		gdt: undefined,
		protocol: "multiboot 1",
	};
}
