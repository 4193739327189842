// Reference: Multiboot2 Specification 2.0. The header is an 8-byte aligned structure in the first 32768 bytes of the image.

import { PROCESSOR_SIGNATURE } from "../../cpu/processor-state.ts";
import { ROOT_BYTES_1 } from "../acpi/table-set.ts";
import { MachineError, type NamedFile } from "../virtual-machine.ts";
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
import { type BootModules, multibootModules } from "./multiboot1.ts";
import { placeMultiprocessorTable } from "./multiprocessor-table.ts";

const HEADER_MAGIC = 0xe85250d6;
const BOOTLOADER_MAGIC = 0x36d76289;
const SEARCH = 32768;
/** Tags of the header with the size that each has at least. Those for EFI say how to be started there, which this is not. */
const HEADER_TAG = {
	end: 0,
	informationRequest: 1,
	address: 2,
	entryAddress: 3,
	consoleFlags: 4,
	framebuffer: 5,
	moduleAlignment: 6,
	efiBootServices: 7,
	efi32Entry: 8,
	efi64Entry: 9,
	relocatable: 10,
} as const;
const HEADER_TAG_SIZE: Readonly<Record<number, number>> = {
	[HEADER_TAG.address]: 24,
	[HEADER_TAG.entryAddress]: 12,
};
const ARCHITECTURE_I386 = 0;
const OPTIONAL = 1;
const TAG = {
	end: 0,
	commandLine: 1,
	loaderName: 2,
	module: 3,
	basicMemory: 4,
	memoryMap: 6,
	framebuffer: 8,
	acpiOld: 14,
	acpiNew: 15,
	loadBase: 21,
} as const;
/** Information that the specification knows; a loader leaves out what the machine does not have. */
const LAST_INFORMATION_TAG = 21;

/** Offset of the header, or -1. */
export function findMultiboot2(bytes: Uint8Array): number {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = 0; at + 16 <= Math.min(SEARCH, bytes.length); at += 8) {
		if (view.getUint32(at, true) !== HEADER_MAGIC) continue;
		const sum =
			HEADER_MAGIC + view.getUint32(at + 4, true) + view.getUint32(at + 8, true) + view.getUint32(at + 12, true);
		if (sum % 0x1_0000_0000 === 0) return at;
	}
	return -1;
}

function tag(type: number, content: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(Math.ceil((8 + content.length) / 8) * 8);
	bytes.set(words(type, 8 + content.length));
	bytes.set(content, 8);
	return bytes;
}

function join(...parts: readonly Uint8Array[]): Uint8Array {
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

/** @throws {MachineError} when the image asks for what is not there or does not fit. */
export function loadMultiboot2(
	image: NamedFile,
	header: number,
	modules: BootModules,
	target: LoadTarget,
	rootPointer: Uint8Array,
): BootState {
	const { name, bytes } = image;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const headerEnd = header + view.getUint32(header + 8, true);
	if (headerEnd > bytes.length) throw new MachineError(`${name} ends inside its multiboot 2 header.`);
	if (view.getUint32(header + 4, true) !== ARCHITECTURE_I386)
		throw new MachineError(`${name} has a multiboot 2 header for another architecture than x86.`);
	let entry: number | undefined;
	let relocatable = false;
	let addresses: number[] | undefined;
	for (let at = header + 16; at + 8 <= headerEnd; ) {
		const type = view.getUint16(at, true);
		const size = view.getUint32(at + 4, true);
		if (size < 8 || at + size > headerEnd)
			throw new MachineError(`${name} has a multiboot 2 header tag that runs out of the header.`);
		if (size < (HEADER_TAG_SIZE[type] ?? 0))
			throw new MachineError(`${name} has a multiboot 2 header tag ${type} that is too short.`);
		if (type === HEADER_TAG.end) break;
		if (type === HEADER_TAG.relocatable) relocatable = true;
		if (type === HEADER_TAG.informationRequest) {
			const wanted = Array.from({ length: (size - 8) >> 2 }, (_, i) => view.getUint32(at + 8 + 4 * i, true));
			const unknown = wanted.find((one) => one > LAST_INFORMATION_TAG);
			if (unknown !== undefined && !(view.getUint16(at + 2, true) & OPTIONAL))
				throw new MachineError(`${name} requires multiboot 2 information ${unknown}, which this loader does not have.`);
		}
		if (type === HEADER_TAG.address) addresses = [8, 12, 16, 20].map((offset) => view.getUint32(at + offset, true));
		else if (type === HEADER_TAG.entryAddress) entry = view.getUint32(at + 8, true);
		else if (!(Object.values(HEADER_TAG) as number[]).includes(type) && !(view.getUint16(at + 2, true) & OPTIONAL)) {
			throw new MachineError(`${name} requires multiboot 2 header tag ${type}, which this loader does not have.`);
		}
		at += Math.ceil(size / 8) * 8;
	}
	let base: number;
	let end: number;
	if (addresses) {
		const [headerAddress, loadAddress, loadEnd, bssEnd] = addresses as [number, number, number, number];
		const start = loadAddress === 0xffffffff ? 0 : header - (headerAddress - loadAddress);
		base = loadAddress === 0xffffffff ? headerAddress - header : loadAddress;
		const length = loadEnd === 0 ? bytes.length - start : loadEnd - base;
		if (start < 0 || length < 0 || start + length > bytes.length || entry === undefined) {
			throw new MachineError(`${name} has a multiboot 2 address tag that does not fit the file, or no entry address.`);
		}
		const content = new Uint8Array(Math.max(length, bssEnd === 0 ? 0 : Math.min(bssEnd - base, target.size)));
		content.set(bytes.subarray(start, start + length));
		place(target, base, content, name);
		end = base + content.length;
	} else if (isElf(bytes)) {
		const elf = parseElf(name, bytes);
		end = loadElf(name, elf, target);
		entry ??= physicalEntry(name, elf);
		base = Math.min(...elf.segments.map(({ physicalAddress }) => physicalAddress));
	} else
		throw new MachineError(
			`${name} has a multiboot 2 header but is neither ELF nor does the header give load addresses.`,
		);

	let free = (end + 0xfff) & ~0xfff;
	placeBiosData(target);
	placeMultiprocessorTable(target, PROCESSOR_SIGNATURE);
	const tags: Uint8Array[] = [
		tag(TAG.commandLine, zeroTerminated([name, modules.append].filter(Boolean).join(" "))),
		tag(TAG.loaderName, zeroTerminated("Hyperscope")),
		tag(TAG.basicMemory, words(639, (target.size - 0x100000) >>> 10)),
		tag(
			TAG.memoryMap,
			join(
				words(24, 0),
				...memoryMap(target.size).map((range) => words(range.base, 0, range.length, 0, range.type, 0)),
			),
		),
	];
	tags.push(tag(TAG.framebuffer, TEXT_SCREEN));
	tags.push(tag(TAG.acpiOld, rootPointer.subarray(0, ROOT_BYTES_1)), tag(TAG.acpiNew, rootPointer));
	// It is loaded where it was linked: nothing else lies there.
	if (relocatable) tags.push(tag(TAG.loadBase, words(base)));
	for (const { name: moduleName, bytes: content, commandLine } of multibootModules(modules)) {
		place(target, free, content, `The module ${moduleName}`);
		tags.push(tag(TAG.module, join(words(free, free + content.length), zeroTerminated(commandLine))));
		free = (free + content.length + 0xfff) & ~0xfff;
	}
	const body = join(...tags, tag(TAG.end, new Uint8Array(0)));
	const structure = free;
	place(target, structure, join(words(8 + body.length, 0), body), "The multiboot 2 information");
	return {
		instructionPointer: entry,
		registers: { eax: BOOTLOADER_MAGIC, ebx: structure },
		codeSelector: 0x08,
		dataSelector: 0x10,
		gdt: undefined,
		protocol: "multiboot 2",
	};
}
