// What a kernel says of itself as a paravirtual guest: notes named "Xen" (elfnote.h), or the older section __xen_guest.

import { compressionOf } from "../../machine/loaders/compression/decompress.ts";
import { CompressionError, damaged } from "../../machine/loaders/compression/errors.ts";
import { type ElfImage, isElf, parseElf } from "../../machine/loaders/elf-image.ts";
import { elfNotes } from "../../machine/loaders/elf-notes.ts";
import { isBzImage } from "../../machine/loaders/linux-boot.ts";
import { MachineError, type NamedFile } from "../../machine/virtual-machine.ts";
import { ElfNoteType } from "./xen-abi.ts";

export interface PvImage {
	readonly name: string;
	readonly elf: ElfImage;
	readonly wide: boolean;
	/** Linear address of the first instruction. */
	readonly entry: bigint;
	/** Linear address of pseudo-physical page 0. */
	readonly virtualBase: bigint;
	/** What the physical addresses in the file count from. */
	readonly physicalOffset: bigint;
	/** Where the hypercall page goes; undefined: the kernel asks for none. */
	readonly hypercallPage: bigint | undefined;
	/** Where the list of machine frames is mapped; undefined: behind the kernel. */
	readonly initialP2m: bigint | undefined;
	/** The initial RAM disk need not be mapped: it is told by its page number. */
	readonly modStartPfn: boolean;
	readonly guestOs: string;
}

/** Offsets in a bzImage's header (Linux, Documentation/arch/x86/boot.rst, protocol 2.08). */
const SETUP_SECTORS = 0x1f1;
const PROTOCOL = 0x206;
const PAYLOAD_OFFSET = 0x248;
const PAYLOAD_LENGTH = 0x24c;
const WITH_PAYLOAD = 0x208;
const OTHERS = 'run it with the technique "none" or "hvm", or "bt" if it is a 32-bit kernel';

/** A kernel larger than this is none. */
const MOST_KERNEL_BYTES = 1 << 29;

/** The kernel inside a bzImage, as a toolstack takes it out. @throws {MachineError} when it cannot be had. */
function kernelOf({ name, bytes }: NamedFile): Uint8Array {
	if (!isBzImage(bytes)) return bytes;
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const start = ((bytes[SETUP_SECTORS] || 4) + 1) * 512 + view.getUint32(PAYLOAD_OFFSET, true);
	const length = view.getUint32(PAYLOAD_LENGTH, true);
	if (view.getUint16(PROTOCOL, true) < WITH_PAYLOAD || length === 0 || start + length > bytes.length)
		throw new MachineError(
			`${name} does not say where the kernel in it lies, so that "pv" cannot start it: give the vmlinux itself.`,
		);
	const payload = bytes.subarray(start, start + length);
	if (isElf(payload)) return payload;
	const compression = compressionOf(payload);
	if (!compression?.decode)
		throw new MachineError(
			`The kernel in ${name} is compressed${compression ? ` with ${compression.name}` : ""}, which "pv" cannot undo: take the vmlinux out of it (Linux: scripts/extract-vmlinux) and start that.`,
		);
	// The payload's last four bytes are the kernel's size (boot.rst, payload_length).
	const size = view.getUint32(start + length - 4, true);
	try {
		if (size > MOST_KERNEL_BYTES) damaged(`it claims to have ${size} bytes`);
		return compression.decode(payload, size);
	} catch (error) {
		if (!(error instanceof CompressionError)) throw error;
		throw new MachineError(
			`The kernel in ${name} cannot be decompressed (${compression.name}): ${error.message}. Take another copy of the file.`,
		);
	}
}

type Setting = bigint | string;

function settingsOfNotes(bytes: Uint8Array): Map<number, Setting> {
	const settings = new Map<number, Setting>();
	for (const { name, type, description } of elfNotes(bytes)) {
		if (name !== "Xen") continue;
		const view = new DataView(description.buffer, description.byteOffset, description.byteLength);
		const text = [ElfNoteType.xenVersion, ElfNoteType.guestOs, ElfNoteType.paeMode].includes(type as 5 | 6 | 9);
		if (text) settings.set(type, new TextDecoder("latin1").decode(description).replace(/\0.*$/s, ""));
		else if (description.length === 8) settings.set(type, view.getBigUint64(0, true));
		else if (description.length === 4) settings.set(type, BigInt(view.getUint32(0, true)));
	}
	return settings;
}

/** The words of __xen_guest by note number (xen/common/libelf/libelf-dominfo.c, elf_xen_parse_guest_info). */
const GUEST_WORDS: Readonly<Record<string, number>> = {
	VIRT_ENTRY: ElfNoteType.entry,
	VIRT_BASE: ElfNoteType.virtualBase,
	ELF_PADDR_OFFSET: ElfNoteType.physicalOffset,
	XEN_VER: ElfNoteType.xenVersion,
	GUEST_OS: ElfNoteType.guestOs,
	PAE: ElfNoteType.paeMode,
};

function sectionText(bytes: Uint8Array, wide: boolean): string | undefined {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const word = (at: number) => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true));
	const table = word(wide ? 40 : 32);
	const entrySize = view.getUint16(wide ? 58 : 46, true);
	const count = view.getUint16(wide ? 60 : 48, true);
	const names = view.getUint16(wide ? 62 : 50, true);
	const header = (index: number) => table + index * entrySize;
	const place = (index: number): readonly [number, number] | undefined => {
		const at = header(index);
		if (index >= count || at + (wide ? 64 : 40) > bytes.length) return undefined;
		const start = word(at + (wide ? 24 : 16));
		const length = word(at + (wide ? 32 : 20));
		return start + length <= bytes.length ? [start, length] : undefined;
	};
	const strings = place(names);
	if (strings === undefined) return undefined;
	const latin1 = new TextDecoder("latin1");
	for (let index = 0; index < count; index++) {
		const found = place(index);
		if (found === undefined) continue;
		const start = strings[0] + view.getUint32(header(index), true);
		const name = latin1.decode(bytes.subarray(start, start + 16)).replace(/\0.*$/s, "");
		if (name === "__xen_guest")
			return latin1.decode(bytes.subarray(found[0], found[0] + found[1])).replace(/\0.*$/s, "");
	}
	return undefined;
}

function settingsOfText(text: string, base: Map<number, Setting>): void {
	for (const item of text.split(",")) {
		const [key, value = ""] = item.split("=", 2);
		const type = GUEST_WORDS[key!];
		if (key === "HYPERCALL_PAGE" && /^0x[0-9a-f]+$/i.test(value)) {
			const page = BigInt(value);
			const virtual = base.get(ElfNoteType.virtualBase);
			base.set(ElfNoteType.hypercallPage, typeof virtual === "bigint" ? virtual + page * 4096n : page * 4096n);
		} else if (type !== undefined) base.set(type, /^0x[0-9a-f]+$/i.test(value) ? BigInt(value) : value);
	}
}

/** @throws {MachineError} with one sentence when the image is no kernel that can run as a paravirtual guest. */
export function parsePvImage(file: NamedFile): PvImage {
	const { name } = file;
	const bytes = kernelOf(file);
	if (!isElf(bytes))
		throw new MachineError(`${name} is not an ELF kernel, which is what a paravirtual guest has to be: ${OTHERS}.`);
	const elf = parseElf(name, bytes);
	const wide = elf.bits === 64;
	const settings = settingsOfNotes(bytes);
	if (settings.size === 0) {
		const text = sectionText(bytes, wide);
		if (text !== undefined) settingsOfText(text, settings);
	}
	const number = (type: number): bigint | undefined => {
		const value = settings.get(type);
		return typeof value === "bigint" ? value : undefined;
	};
	const version = settings.get(ElfNoteType.xenVersion);
	const entry = number(ElfNoteType.entry);
	if (settings.size === 0 || (entry === undefined && version === undefined))
		throw new MachineError(
			`${name} carries no Xen ELF notes (XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_XEN_VERSION) and no section __xen_guest, so that it is no paravirtual kernel: ${OTHERS}.`,
		);
	if (version !== undefined && version !== "xen-3.0")
		throw new MachineError(`${name} was made for the interface "${String(version)}"; this hypervisor has "xen-3.0".`);
	const pae = settings.get(ElfNoteType.paeMode);
	if (!wide && (typeof pae !== "string" || !/^(yes|bimodal)/.test(pae)))
		throw new MachineError(
			`${name} is a 32-bit kernel without PAE (XEN_ELFNOTE_PAE_MODE says ${pae === undefined ? "nothing" : `"${String(pae)}"`}), and "pv" runs 32-bit guests with PAE only: build it with PAE, or ${OTHERS}.`,
		);
	const virtualBase = number(ElfNoteType.virtualBase) ?? 0n;
	return {
		name,
		elf,
		wide,
		entry: entry ?? elf.entry,
		virtualBase,
		physicalOffset: number(ElfNoteType.physicalOffset) ?? 0n,
		hypercallPage: number(ElfNoteType.hypercallPage),
		initialP2m: wide ? number(ElfNoteType.initialP2m) : undefined,
		modStartPfn: (number(ElfNoteType.modStartPfn) ?? 0n) !== 0n,
		guestOs: String(settings.get(ElfNoteType.guestOs) ?? "unknown"),
	};
}
