// Reference: DWARF 5 section 7.5.1 "Unit Headers"; sections 2.5 and 2.17 for what the attributes mean.
import type { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import type { AbbreviationTable, FormSizes } from "./abbreviations.ts";
import { DW_AT, DW_FORM, DW_UT } from "./constants.ts";
import { Die } from "./die.ts";
import type { DwarfFile } from "./dwarf-file.ts";
import { skipForm } from "./form.ts";

/** Section names that hold entries. */
export type InfoSection = ".debug_info" | ".debug_types";

/** One unit of .debug_info or .debug_types: its header, and access to its entries. */
export class Unit implements FormSizes {
	readonly file: DwarfFile;
	readonly index: number;
	readonly section: InfoSection;
	/** Section offset of the header. */
	readonly offset: number;
	/** Section offset of the first entry. */
	readonly firstDie: number;
	/** Section offset just after the unit. */
	readonly end: number;
	readonly version: number;
	readonly addressSize: number;
	readonly offsetSize: 4 | 8;
	readonly unitType: number;
	readonly abbreviationOffset: number;
	/** For a type unit. */
	readonly typeSignature: bigint | undefined;
	/** For a type unit: section offset of the type's entry. */
	readonly typeDie: number;
	/** The shared cursor over the unit's section: set its offset before each use. */
	readonly reader: ByteReader;
	#root: Die | undefined;
	#bases: { str: number; addr: number; rnglists: number; loclists: number } | undefined;

	/** Reads the header at the reader's offset. */
	constructor(file: DwarfFile, index: number, section: InfoSection, reader: ByteReader) {
		this.file = file;
		this.index = index;
		this.section = section;
		this.reader = reader;
		this.offset = reader.offset;
		let length = reader.u32();
		let offsetSize: 4 | 8 = 4;
		if (length === 0xffffffff) {
			length = reader.u64Number();
			offsetSize = 8;
		} else if (length >= 0xfffffff0) {
			throw new SymbolError("malformed", `${reader.what} has a unit of the reserved length 0x${length.toString(16)}.`);
		}
		reader.need(length);
		this.offsetSize = offsetSize;
		this.end = reader.offset + length;
		this.version = reader.u16();
		if (this.version < 2 || this.version > 5) {
			throw new SymbolError(
				"unsupported",
				`${reader.what} has a unit of DWARF version ${this.version}; 2 to 5 are read.`,
			);
		}
		if (this.version >= 5) {
			this.unitType = reader.u8();
			this.addressSize = reader.u8();
			this.abbreviationOffset = reader.sectionOffset(offsetSize);
			if (this.unitType === DW_UT.skeleton || this.unitType === DW_UT.split_compile) reader.u64();
		} else {
			this.unitType = section === ".debug_types" ? DW_UT.type : DW_UT.compile;
			this.abbreviationOffset = reader.sectionOffset(offsetSize);
			this.addressSize = reader.u8();
		}
		if (this.addressSize !== 4 && this.addressSize !== 8) {
			throw new SymbolError("malformed", `${reader.what} has a unit with addresses of ${this.addressSize} bytes.`);
		}
		this.typeDie = 0;
		if (this.unitType === DW_UT.type || this.unitType === DW_UT.split_type) {
			this.typeSignature = reader.u64();
			this.typeDie = this.offset + reader.sectionOffset(offsetSize);
		}
		this.firstDie = reader.offset;
	}

	get isTypeUnit(): boolean {
		return this.typeSignature !== undefined;
	}

	get abbreviations(): AbbreviationTable {
		return this.file.abbreviations(this);
	}

	/** The unit's own entry. */
	get root(): Die {
		this.#root ??= this.dieAt(this.firstDie);
		return this.#root;
	}

	get name(): string {
		return this.root.string(DW_AT.name) ?? "";
	}

	get compilationDirectory(): string {
		return this.root.string(DW_AT.comp_dir) ?? "";
	}

	/** The base address of the unit's range and location lists. */
	get lowPc(): bigint {
		return this.root.address(DW_AT.low_pc) ?? 0n;
	}

	/** Section bases from the unit's entry, DWARF 5 section 3.1.1; the default is just after the section's header. */
	get bases(): { str: number; addr: number; rnglists: number; loclists: number } {
		if (!this.#bases) {
			// Set first: reading the root's own strings must not come back here for ever.
			const header = this.offsetSize === 8 ? 8 : 0;
			this.#bases = { str: 8 + header, addr: 8 + header, rnglists: 12 + header, loclists: 12 + header };
			const root = this.root;
			this.#bases = {
				str: root.number(DW_AT.str_offsets_base) ?? this.#bases.str,
				addr: root.number(DW_AT.addr_base) ?? this.#bases.addr,
				rnglists: root.number(DW_AT.rnglists_base) ?? this.#bases.rnglists,
				loclists: root.number(DW_AT.loclists_base) ?? this.#bases.loclists,
			};
		}
		return this.#bases;
	}

	/** The entry at a section offset. Throws `SymbolError` when there is none. */
	dieAt(offset: number): Die {
		const die = offset >= this.firstDie && offset < this.end ? this.#read(offset) : undefined;
		if (!die) {
			throw new SymbolError(
				"malformed",
				`${this.reader.what} refers to an entry at offset 0x${offset.toString(16)}, where there is none.`,
			);
		}
		return die;
	}

	/** The children of an entry, in order. Always moves forward, so it ends on any input. */
	*children(parent: Die): Generator<Die> {
		if (!parent.abbreviation.hasChildren) return;
		let at = this.#afterAttributes(parent);
		while (at < this.end) {
			const die = this.#read(at);
			if (!die) return;
			yield die;
			at = this.#next(die);
		}
	}

	/** Section offset of the entry after `die` and all below it. */
	#next(die: Die): number {
		if (die.abbreviation.hasChildren) {
			const at = die.abbreviation.siblingOffset;
			let sibling: number | undefined;
			if (at >= 0) {
				const reader = this.reader;
				reader.offset = die.attributesOffset + at;
				sibling = this.offset + reader.u32();
			} else sibling = die.reference(DW_AT.sibling);
			if (sibling !== undefined && sibling > die.offset && sibling <= this.end) return sibling;
		}
		let depth = 0;
		let current: Die | undefined = die;
		let at = die.offset;
		do {
			if (current) {
				at = this.#afterAttributes(current);
				if (current.abbreviation.hasChildren) depth++;
			} else {
				at = this.reader.offset;
				depth--;
			}
			if (depth === 0 || at >= this.end) return at;
			current = this.#read(at);
		} while (depth > 0);
		return at;
	}

	/** The entry at `offset`, or undefined for the null entry that ends a list (the reader then stands after it). */
	#read(offset: number): Die | undefined {
		const reader = this.reader;
		reader.offset = offset;
		const code = reader.uleb();
		if (code === 0) return undefined;
		const abbreviation = this.abbreviations.get(code);
		if (!abbreviation) {
			throw new SymbolError(
				"malformed",
				`${reader.what} uses abbreviation ${code} at offset 0x${offset.toString(16)}, which is not defined.`,
			);
		}
		return new Die(this, offset, abbreviation, reader.offset);
	}

	#afterAttributes(die: Die): number {
		const { fixedSize, forms } = die.abbreviation;
		if (fixedSize >= 0) return die.attributesOffset + fixedSize;
		const reader = this.reader;
		reader.offset = die.attributesOffset;
		for (const form of forms) skipForm(reader, form, this);
		return reader.offset;
	}

	/** The string that a form and value name, or undefined if it lies in another file. */
	stringOf(form: number, value: number | bigint | string | Uint8Array): string | undefined {
		const sections = this.file.sections;
		switch (form) {
			case DW_FORM.string:
				return value as string;
			case DW_FORM.strp:
				return sections.string(".debug_str", value as number);
			case DW_FORM.line_strp:
				return sections.string(".debug_line_str", value as number);
			case DW_FORM.strx:
			case DW_FORM.strx1:
			case DW_FORM.strx2:
			case DW_FORM.strx3:
			case DW_FORM.strx4: {
				const reader = sections.reader(".debug_str_offsets");
				reader.offset = this.bases.str + (value as number) * this.offsetSize;
				return sections.string(".debug_str", reader.sectionOffset(this.offsetSize));
			}
			default:
				return undefined;
		}
	}

	/** An address of .debug_addr by index. */
	indexedAddress(index: number): bigint {
		const reader = this.file.sections.reader(".debug_addr");
		reader.offset = this.bases.addr + index * this.addressSize;
		return reader.unsigned(this.addressSize);
	}
}
