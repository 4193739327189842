// Reference: DWARF 5 section 7.5.5 "Classes and Forms".
import type { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import { type FormSizes, formSize } from "./abbreviations.ts";
import { DW_FORM } from "./constants.ts";

/**
 * An attribute value as it stands in the entry: a number for offsets, indices, flags and constants up to 32 bits, a
 * bigint for addresses and longer constants, bytes for blocks, a string for an inline string.
 */
export interface AttributeValue {
	readonly form: number;
	readonly value: number | bigint | string | Uint8Array;
}

/** Reads one value of `form` at the reader's offset. */
export function readForm(
	reader: ByteReader,
	form: number,
	unit: FormSizes,
	implicit: bigint | undefined,
): AttributeValue {
	switch (form) {
		case DW_FORM.addr:
			return { form, value: reader.unsigned(unit.addressSize) };
		case DW_FORM.data1:
		case DW_FORM.ref1:
		case DW_FORM.flag:
		case DW_FORM.strx1:
		case DW_FORM.addrx1:
			return { form, value: reader.u8() };
		case DW_FORM.data2:
		case DW_FORM.ref2:
		case DW_FORM.strx2:
		case DW_FORM.addrx2:
			return { form, value: reader.u16() };
		case DW_FORM.strx3:
		case DW_FORM.addrx3:
			return { form, value: reader.u24() };
		case DW_FORM.data4:
		case DW_FORM.ref4:
		case DW_FORM.strx4:
		case DW_FORM.addrx4:
		case DW_FORM.ref_sup4:
			return { form, value: reader.u32() };
		case DW_FORM.data8:
		case DW_FORM.ref_sig8:
			return { form, value: reader.u64() };
		case DW_FORM.ref8:
		case DW_FORM.ref_sup8:
			return { form, value: reader.u64Number() };
		case DW_FORM.data16:
			return { form, value: reader.take(16) };
		case DW_FORM.sdata:
			return { form, value: reader.slebBig() };
		case DW_FORM.udata:
			return { form, value: reader.ulebBig() };
		case DW_FORM.ref_udata:
		case DW_FORM.strx:
		case DW_FORM.addrx:
		case DW_FORM.loclistx:
		case DW_FORM.rnglistx:
			return { form, value: reader.uleb() };
		case DW_FORM.string:
			return { form, value: reader.cstring() };
		case DW_FORM.strp:
		case DW_FORM.line_strp:
		case DW_FORM.sec_offset:
		case DW_FORM.strp_sup:
		case DW_FORM.GNU_ref_alt:
		case DW_FORM.GNU_strp_alt:
			return { form, value: reader.sectionOffset(unit.offsetSize) };
		case DW_FORM.ref_addr:
			return { form, value: reader.sectionOffset(formSize(form, unit)) };
		case DW_FORM.block1:
			return { form, value: reader.take(reader.u8()) };
		case DW_FORM.block2:
			return { form, value: reader.take(reader.u16()) };
		case DW_FORM.block4:
			return { form, value: reader.take(reader.u32()) };
		case DW_FORM.block:
		case DW_FORM.exprloc:
			return { form, value: reader.take(reader.uleb()) };
		case DW_FORM.flag_present:
			return { form, value: 1 };
		case DW_FORM.implicit_const:
			return { form, value: implicit ?? 0n };
		case DW_FORM.indirect: {
			const actual = reader.uleb();
			if (actual === DW_FORM.indirect || actual === DW_FORM.implicit_const) throw unknownForm(reader, actual);
			return readForm(reader, actual, unit, undefined);
		}
		default:
			throw unknownForm(reader, form);
	}
}

/** Moves the reader past one value of `form`. */
export function skipForm(reader: ByteReader, form: number, unit: FormSizes): void {
	const size = formSize(form, unit);
	if (size >= 0) {
		reader.skip(size);
		return;
	}
	switch (form) {
		case DW_FORM.sdata:
		case DW_FORM.udata:
		case DW_FORM.ref_udata:
		case DW_FORM.strx:
		case DW_FORM.addrx:
		case DW_FORM.loclistx:
		case DW_FORM.rnglistx:
			reader.skipLeb();
			return;
		case DW_FORM.string:
			reader.skipCstring();
			return;
		default:
			readForm(reader, form, unit, undefined);
	}
}

function unknownForm(reader: ByteReader, form: number): SymbolError {
	return new SymbolError(
		"malformed",
		`${reader.what} uses the attribute form 0x${form.toString(16)}, which is unknown.`,
	);
}
