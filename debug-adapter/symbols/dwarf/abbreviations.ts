// Reference: DWARF 5 section 7.5.3 "Abbreviations Tables".
import type { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import { DW_AT, DW_FORM } from "./constants.ts";

/** The shape of a debugging information entry: its tag and the attributes that follow, in order. */
export interface Abbreviation {
	readonly code: number;
	readonly tag: number;
	readonly hasChildren: boolean;
	readonly names: readonly number[];
	readonly forms: readonly number[];
	/** For DW_FORM_implicit_const, by attribute position. */
	readonly implicitConstants: readonly bigint[];
	/** Bytes before each attribute if that is fixed, else -1. */
	readonly offsets: readonly number[];
	/** Bytes of all attributes together if that is fixed, else -1. */
	readonly fixedSize: number;
	/** Bytes before a DW_AT_sibling of form ref4, which is how compilers write it; else -1. */
	readonly siblingOffset: number;
}

export type AbbreviationTable = ReadonlyMap<number, Abbreviation>;

/** What the size of some forms depends on. */
export interface FormSizes {
	readonly version: number;
	readonly addressSize: number;
	readonly offsetSize: number;
}

/** Bytes of a form, or -1 if that depends on its contents. */
export function formSize(form: number, unit: FormSizes): number {
	switch (form) {
		case DW_FORM.flag_present:
		case DW_FORM.implicit_const:
			return 0;
		case DW_FORM.data1:
		case DW_FORM.ref1:
		case DW_FORM.flag:
		case DW_FORM.strx1:
		case DW_FORM.addrx1:
			return 1;
		case DW_FORM.data2:
		case DW_FORM.ref2:
		case DW_FORM.strx2:
		case DW_FORM.addrx2:
			return 2;
		case DW_FORM.strx3:
		case DW_FORM.addrx3:
			return 3;
		case DW_FORM.data4:
		case DW_FORM.ref4:
		case DW_FORM.strx4:
		case DW_FORM.addrx4:
		case DW_FORM.ref_sup4:
			return 4;
		case DW_FORM.data8:
		case DW_FORM.ref8:
		case DW_FORM.ref_sig8:
		case DW_FORM.ref_sup8:
			return 8;
		case DW_FORM.data16:
			return 16;
		case DW_FORM.addr:
			return unit.addressSize;
		case DW_FORM.ref_addr:
			// DWARF 2 had it of the size of an address.
			return unit.version === 2 ? unit.addressSize : unit.offsetSize;
		case DW_FORM.sec_offset:
		case DW_FORM.strp:
		case DW_FORM.line_strp:
		case DW_FORM.strp_sup:
		case DW_FORM.GNU_ref_alt:
		case DW_FORM.GNU_strp_alt:
			return unit.offsetSize;
		default:
			return -1;
	}
}

/** Reads one abbreviation table. Throws `SymbolError` when it is truncated or repeats a code. */
export function readAbbreviations(section: ByteReader, offset: number, unit: FormSizes): AbbreviationTable {
	const table = new Map<number, Abbreviation>();
	section.offset = offset;
	for (;;) {
		const code = section.uleb();
		if (code === 0) return table;
		const tag = section.uleb();
		const hasChildren = section.u8() !== 0;
		const names: number[] = [];
		const forms: number[] = [];
		const implicitConstants: bigint[] = [];
		const offsets: number[] = [];
		let fixedSize = 0;
		let siblingOffset = -1;
		for (;;) {
			const name = section.uleb();
			const form = section.uleb();
			if (form === DW_FORM.implicit_const) implicitConstants[names.length] = section.slebBig();
			if (name === 0 && form === 0) break;
			names.push(name);
			forms.push(form);
			offsets.push(fixedSize);
			if (name === DW_AT.sibling && form === DW_FORM.ref4) siblingOffset = fixedSize;
			const size = formSize(form, unit);
			fixedSize = size < 0 || fixedSize < 0 ? -1 : fixedSize + size;
		}
		if (table.has(code)) {
			throw new SymbolError("malformed", `${section.what} defines abbreviation ${code} twice in one table.`);
		}
		table.set(code, { code, tag, hasChildren, names, forms, implicitConstants, offsets, fixedSize, siblingOffset });
	}
}
