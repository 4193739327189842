// Reference: DWARF 5 chapter 2 "General Description", section 7.5.5 "Classes and Forms".
import type { Abbreviation } from "./abbreviations.ts";
import { DW_AT, DW_FORM } from "./constants.ts";
import { type AttributeValue, readForm, skipForm } from "./form.ts";
import type { Unit } from "./unit.ts";

/** How many abstract_origin / specification links are followed; real files have two at most. */
const originLimit = 16;

/** A debugging information entry. Attributes are read from the file each time; nothing is kept. */
export class Die {
	readonly unit: Unit;
	/** Section offset. */
	readonly offset: number;
	readonly abbreviation: Abbreviation;
	readonly attributesOffset: number;

	constructor(unit: Unit, offset: number, abbreviation: Abbreviation, attributesOffset: number) {
		this.unit = unit;
		this.offset = offset;
		this.abbreviation = abbreviation;
		this.attributesOffset = attributesOffset;
	}

	get tag(): number {
		return this.abbreviation.tag;
	}

	has(attribute: number): boolean {
		return this.abbreviation.names.includes(attribute);
	}

	/** The attribute as it stands in this entry. */
	attribute(attribute: number): AttributeValue | undefined {
		const { names, forms, offsets, implicitConstants } = this.abbreviation;
		const position = names.indexOf(attribute);
		if (position < 0) return undefined;
		const reader = this.unit.reader;
		const known = offsets[position]!;
		reader.offset = this.attributesOffset + Math.max(known, 0);
		if (known < 0) for (let i = 0; i < position; i++) skipForm(reader, forms[i]!, this.unit);
		return readForm(reader, forms[position]!, this.unit, implicitConstants[position]);
	}

	/** A constant, index or offset as a number; undefined when absent, negative or of another class. */
	number(attribute: number): number | undefined {
		const found = this.attribute(attribute);
		if (!found) return undefined;
		const value = typeof found.value === "bigint" && found.form !== DW_FORM.addr ? Number(found.value) : found.value;
		return typeof value === "number" && value >= 0 ? value : undefined;
	}

	/** A constant with its sign as the form has it; the width of data1 to data8 is given for a caller that extends. */
	constant(attribute: number): { value: bigint; bits: number } | undefined {
		const found = this.attribute(attribute);
		if (!found) return undefined;
		if (typeof found.value === "bigint") return { value: found.value, bits: found.form === DW_FORM.data8 ? 64 : 0 };
		if (typeof found.value !== "number") return undefined;
		switch (found.form) {
			case DW_FORM.data1:
				return { value: BigInt(found.value), bits: 8 };
			case DW_FORM.data2:
				return { value: BigInt(found.value), bits: 16 };
			case DW_FORM.data4:
				return { value: BigInt(found.value), bits: 32 };
			default:
				return undefined;
		}
	}

	flag(attribute: number): boolean {
		const value = this.attribute(attribute)?.value;
		return value !== undefined && value !== 0 && value !== 0n;
	}

	string(attribute: number): string | undefined {
		const found = this.attribute(attribute);
		return found && this.unit.stringOf(found.form, found.value);
	}

	/** An address, also one given by an index into .debug_addr. */
	address(attribute: number): bigint | undefined {
		const found = this.attribute(attribute);
		if (!found) return undefined;
		switch (found.form) {
			case DW_FORM.addr:
				return found.value as bigint;
			case DW_FORM.addrx:
			case DW_FORM.addrx1:
			case DW_FORM.addrx2:
			case DW_FORM.addrx3:
			case DW_FORM.addrx4:
				return this.unit.indexedAddress(found.value as number);
			default:
				return undefined;
		}
	}

	/** A block or location expression. */
	block(attribute: number): Uint8Array | undefined {
		const value = this.attribute(attribute)?.value;
		return value instanceof Uint8Array ? value : undefined;
	}

	/** Section offset of the entry that a reference within the same unit, or by ref_addr, names. */
	reference(attribute: number): number | undefined {
		const found = this.attribute(attribute);
		if (!found) return undefined;
		switch (found.form) {
			case DW_FORM.ref1:
			case DW_FORM.ref2:
			case DW_FORM.ref4:
			case DW_FORM.ref8:
			case DW_FORM.ref_udata:
				return this.unit.offset + (found.value as number);
			case DW_FORM.ref_addr:
				return found.value as number;
			default:
				return undefined;
		}
	}

	/** The entry that a reference names; undefined when absent or when it lies in another file. */
	refersTo(attribute: number): Die | undefined {
		const found = this.attribute(attribute);
		if (!found) return undefined;
		const file = this.unit.file;
		switch (found.form) {
			case DW_FORM.ref_sig8:
				return file.typeBySignature(found.value as bigint);
			case DW_FORM.ref_addr:
				return file.dieAt(".debug_info", found.value as number);
			default: {
				const offset = this.reference(attribute);
				return offset === undefined ? undefined : this.unit.dieAt(offset);
			}
		}
	}

	/** This entry and those it completes: abstract origins and specifications, nearest first. */
	*origins(): Generator<Die> {
		let die: Die | undefined = this;
		for (let i = 0; die && i < originLimit; i++) {
			yield die;
			die = die.refersTo(DW_AT.abstract_origin) ?? die.refersTo(DW_AT.specification);
		}
	}

	/** The entry itself or the first origin of it that has the attribute. */
	withAttribute(attribute: number): Die | undefined {
		for (const die of this.origins()) if (die.has(attribute)) return die;
		return undefined;
	}

	/** The name, from here or from an origin. */
	get name(): string | undefined {
		return this.withAttribute(DW_AT.name)?.string(DW_AT.name);
	}

	children(): Generator<Die> {
		return this.unit.children(this);
	}
}
