// Reference: System V Application Binary Interface, chapter 4 "Object Files" and chapter 5 "Program Loading";
// gABI section "Section Compression" for SHF_COMPRESSED.
import { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import {
	ELFCOMPRESS_ZLIB,
	EM_386,
	EM_X86_64,
	ET_REL,
	NT_GNU_BUILD_ID,
	PF_X,
	PN_XNUM,
	PT_LOAD,
	PT_NOTE,
	SHF_ALLOC,
	SHF_COMPRESSED,
	SHF_EXECINSTR,
	SHN_XINDEX,
	SHT_NOBITS,
	SHT_NOTE,
	SHT_NULL,
} from "./elf-constants.ts";

/** Inflates a zlib stream (RFC 1950) to exactly `size` bytes; throws if it cannot. */
export type Inflate = (compressed: Uint8Array, size: number) => Uint8Array;

export interface ElfSection {
	readonly index: number;
	readonly name: string;
	readonly type: number;
	readonly flags: number;
	readonly address: bigint;
	readonly offset: number;
	readonly size: number;
	readonly link: number;
	readonly info: number;
	readonly entrySize: number;
}

export interface ElfSegment {
	readonly type: number;
	readonly flags: number;
	readonly offset: number;
	readonly virtualAddress: bigint;
	readonly physicalAddress: bigint;
	readonly fileSize: number;
	readonly memorySize: number;
}

/** The largest section that is inflated; beyond it a file is refused rather than memory exhausted. */
const largestInflatedSection = 0x7fffffff;

/** A little-endian ELF32 or ELF64 file for x86. Sections are read on demand; nothing is copied. */
export class ElfFile {
	readonly name: string;
	readonly bytes: Uint8Array;
	readonly is64: boolean;
	readonly machine: "i386" | "x86-64";
	/** Bytes in an address: 4 or 8. */
	readonly addressSize: 4 | 8;
	/** e_type: 1 relocatable, 2 executable, 3 shared or position-independent. */
	readonly type: number;
	readonly entry: bigint;
	readonly sections: readonly ElfSection[];
	readonly segments: readonly ElfSegment[];
	readonly #inflate: Inflate | undefined;
	readonly #data = new Map<number, Uint8Array>();
	readonly #byName = new Map<string, ElfSection>();

	/**
	 * Reads the headers of `bytes`. `name` is used in error sentences. Throws `SymbolError`: not an ELF file, not for
	 * x86, truncated, relocatable.
	 */
	constructor(bytes: Uint8Array, name: string, inflate?: Inflate) {
		this.name = name;
		this.bytes = bytes;
		this.#inflate = inflate;
		if (!(bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46)) {
			throw new SymbolError("not-elf", `${name} is not an ELF file: it does not begin with 7f 45 4c 46.`);
		}
		const reader = new ByteReader(bytes, name, 4);
		const fileClass = reader.u8();
		const encoding = reader.u8();
		if (fileClass !== 1 && fileClass !== 2) {
			throw new SymbolError("malformed", `${name} has the ELF class ${fileClass}, which is neither 32-bit nor 64-bit.`);
		}
		if (encoding !== 1) {
			throw new SymbolError("unsupported", `${name} is not a little-endian ELF file, so it is not for x86.`);
		}
		this.is64 = fileClass === 2;
		reader.offset = 16;
		this.type = reader.u16();
		const machine = reader.u16();
		if (machine !== EM_386 && machine !== EM_X86_64) {
			throw new SymbolError(
				"unsupported",
				`${name} is for ELF machine ${machine}; only i386 (3) and x86-64 (62) are read.`,
			);
		}
		if (this.type === ET_REL) {
			throw new SymbolError("unsupported", `${name} is a relocatable object file; link it and open the linked file.`);
		}
		this.machine = machine === EM_386 ? "i386" : "x86-64";
		this.addressSize = this.is64 ? 8 : 4;
		reader.u32();
		this.entry = this.#address(reader);
		const programOffset = this.#offset(reader);
		const sectionOffset = this.#offset(reader);
		reader.skip(6);
		const programEntrySize = reader.u16();
		let programCount = reader.u16();
		const sectionEntrySize = reader.u16();
		let sectionCount = reader.u16();
		let namesIndex = reader.u16();

		const sections: ElfSection[] = [];
		if (sectionOffset !== 0) {
			if (sectionEntrySize < (this.is64 ? 64 : 40)) {
				throw new SymbolError(
					"malformed",
					`${name} has section headers of ${sectionEntrySize} bytes, which is too small.`,
				);
			}
			const first = this.#section(reader, sectionOffset, 0);
			// Extended numbering: with 0xff00 sections or more, the true numbers are in section header 0.
			if (sectionCount === 0) sectionCount = first.raw.size;
			if (namesIndex === SHN_XINDEX) namesIndex = first.raw.link;
			if (programCount === PN_XNUM) programCount = first.raw.info;
			reader.offset = sectionOffset;
			reader.need(sectionCount * sectionEntrySize);
			const raw = [first];
			for (let i = 1; i < sectionCount; i++) raw.push(this.#section(reader, sectionOffset + i * sectionEntrySize, i));
			const names = raw[namesIndex];
			for (const { raw: section, nameOffset } of raw) {
				sections.push({ ...section, name: names ? this.#sectionName(names.raw, nameOffset) : "" });
			}
		}
		this.sections = sections;
		for (const section of sections) {
			if (section.type !== SHT_NULL && !this.#byName.has(section.name)) this.#byName.set(section.name, section);
		}

		const segments: ElfSegment[] = [];
		if (programOffset !== 0 && programCount > 0) {
			if (programEntrySize < (this.is64 ? 56 : 32)) {
				throw new SymbolError(
					"malformed",
					`${name} has program headers of ${programEntrySize} bytes, which is too small.`,
				);
			}
			for (let i = 0; i < programCount; i++) {
				reader.offset = programOffset + i * programEntrySize;
				segments.push(this.#segment(reader));
			}
		}
		this.segments = segments;
	}

	/** The first section of that name. */
	section(name: string): ElfSection | undefined {
		return this.#byName.get(name);
	}

	/** The contents of a section, inflated if need be; empty for one that has none in the file. */
	data(section: ElfSection): Uint8Array {
		const held = this.#data.get(section.index);
		if (held) return held;
		let bytes: Uint8Array;
		if (section.type === SHT_NOBITS || section.type === SHT_NULL) bytes = new Uint8Array(0);
		else {
			if (section.offset + section.size > this.bytes.length) {
				throw new SymbolError(
					"truncated",
					`${this.name} is truncated: section ${section.name} ends at offset 0x${(section.offset + section.size).toString(16)}, but the file at 0x${this.bytes.length.toString(16)}.`,
				);
			}
			bytes = this.bytes.subarray(section.offset, section.offset + section.size);
			if (section.flags & SHF_COMPRESSED) bytes = this.#inflateSection(section, bytes);
			else if (section.name.startsWith(".zdebug_")) bytes = this.#inflateGnuSection(section, bytes);
		}
		this.#data.set(section.index, bytes);
		return bytes;
	}

	/** The contents of a debug section by its usual name (".debug_info"), also if stored as ".zdebug_info"; else empty. */
	debugData(name: string): Uint8Array {
		const section = this.section(name) ?? this.section(name.replace(/^\.debug_/, ".zdebug_"));
		return section ? this.data(section) : new Uint8Array(0);
	}

	/** The GNU build-id in hexadecimal digits, if the file has one. */
	get buildId(): string | undefined {
		for (const section of this.sections) {
			if (section.type !== SHT_NOTE) continue;
			const found = this.#buildIdIn(this.data(section));
			if (found) return found;
		}
		for (const segment of this.segments) {
			if (segment.type !== PT_NOTE) continue;
			const found = this.#buildIdIn(this.bytes.subarray(segment.offset, segment.offset + segment.fileSize));
			if (found) return found;
		}
		return undefined;
	}

	/** Whether the address (as linked) lies in a section, or failing sections a segment, that holds code. */
	isCode(address: bigint): boolean {
		let any = false;
		for (const section of this.sections) {
			if ((section.flags & (SHF_ALLOC | SHF_EXECINSTR)) !== (SHF_ALLOC | SHF_EXECINSTR)) continue;
			any = true;
			if (address >= section.address && address < section.address + BigInt(section.size)) return true;
		}
		if (any) return false;
		return this.segments.some(
			(segment) =>
				segment.type === PT_LOAD &&
				(segment.flags & PF_X) !== 0 &&
				address >= segment.virtualAddress &&
				address < segment.virtualAddress + BigInt(segment.memorySize),
		);
	}

	#address(reader: ByteReader): bigint {
		return this.is64 ? reader.u64() : BigInt(reader.u32());
	}

	#offset(reader: ByteReader): number {
		return this.is64 ? reader.u64Number() : reader.u32();
	}

	#section(reader: ByteReader, offset: number, index: number): { raw: ElfSection; nameOffset: number } {
		reader.offset = offset;
		const nameOffset = reader.u32();
		const type = reader.u32();
		const flags = Number(BigInt.asUintN(32, this.#address(reader)));
		const address = this.#address(reader);
		const fileOffset = this.#offset(reader);
		const size = this.#offset(reader);
		const link = reader.u32();
		const info = reader.u32();
		this.#offset(reader);
		const entrySize = this.#offset(reader);
		return {
			raw: { index, name: "", type, flags, address, offset: fileOffset, size, link, info, entrySize },
			nameOffset,
		};
	}

	#sectionName(names: ElfSection, offset: number): string {
		if (names.type === SHT_NOBITS || names.type === SHT_NULL) return "";
		return new ByteReader(this.bytes, this.name, names.offset + offset, names.offset + names.size).cstring();
	}

	#segment(reader: ByteReader): ElfSegment {
		const type = reader.u32();
		if (this.is64) {
			const flags = reader.u32();
			const offset = reader.u64Number();
			const virtualAddress = reader.u64();
			const physicalAddress = reader.u64();
			return {
				type,
				flags,
				offset,
				virtualAddress,
				physicalAddress,
				fileSize: reader.u64Number(),
				memorySize: reader.u64Number(),
			};
		}
		const offset = reader.u32();
		const virtualAddress = BigInt(reader.u32());
		const physicalAddress = BigInt(reader.u32());
		const fileSize = reader.u32();
		const memorySize = reader.u32();
		return { type, flags: reader.u32(), offset, virtualAddress, physicalAddress, fileSize, memorySize };
	}

	#inflateSection(section: ElfSection, bytes: Uint8Array): Uint8Array {
		const reader = new ByteReader(bytes, `${this.name} section ${section.name}`);
		const type = reader.u32();
		if (this.is64) reader.u32();
		const size = this.#offset(reader);
		this.#offset(reader);
		if (type !== ELFCOMPRESS_ZLIB) {
			throw new SymbolError(
				"unsupported",
				`${this.name} section ${section.name} is compressed by method ${type}; only zlib is read, so decompress it with objcopy --decompress-debug-sections.`,
			);
		}
		return this.#callInflate(section, bytes.subarray(reader.offset), size);
	}

	/** The older GNU form: "ZLIB", the size as 8 bytes big-endian, then the stream. */
	#inflateGnuSection(section: ElfSection, bytes: Uint8Array): Uint8Array {
		if (bytes.length < 12) throw new SymbolError("truncated", `${this.name} section ${section.name} is truncated.`);
		let size = 0;
		for (let i = 4; i < 12; i++) size = size * 256 + bytes[i]!;
		return this.#callInflate(section, bytes.subarray(12), size);
	}

	#callInflate(section: ElfSection, bytes: Uint8Array, size: number): Uint8Array {
		const where = `${this.name} section ${section.name}`;
		if (!this.#inflate) {
			throw new SymbolError(
				"unsupported",
				`${where} is compressed and this host has no zlib; decompress it with objcopy --decompress-debug-sections.`,
			);
		}
		if (size > largestInflatedSection) throw new SymbolError("limit", `${where} claims to inflate to ${size} bytes.`);
		let inflated: Uint8Array;
		try {
			inflated = this.#inflate(bytes, size);
		} catch (error) {
			throw new SymbolError(
				"malformed",
				`${where} cannot be inflated: ${error instanceof Error ? error.message : error}.`,
			);
		}
		if (inflated.length !== size) {
			throw new SymbolError("malformed", `${where} inflates to ${inflated.length} bytes instead of ${size}.`);
		}
		return inflated;
	}

	#buildIdIn(notes: Uint8Array): string | undefined {
		const reader = new ByteReader(notes, `${this.name} notes`);
		while (reader.offset + 12 <= reader.end) {
			const nameSize = reader.u32();
			const descriptionSize = reader.u32();
			const type = reader.u32();
			const nameAt = reader.offset;
			const descriptionAt = nameAt + ((nameSize + 3) & ~3);
			if (nameSize > notes.length || descriptionSize > notes.length) return undefined;
			if (descriptionAt + descriptionSize > notes.length) return undefined;
			const isGnu =
				nameSize === 4 && notes[nameAt] === 0x47 && notes[nameAt + 1] === 0x4e && notes[nameAt + 2] === 0x55;
			if (isGnu && type === NT_GNU_BUILD_ID) {
				const id = notes.subarray(descriptionAt, descriptionAt + descriptionSize);
				return Array.from(id, (byte) => byte.toString(16).padStart(2, "0")).join("");
			}
			reader.offset = descriptionAt + ((descriptionSize + 3) & ~3);
		}
		return undefined;
	}
}
