// Reference: DWARF 5 section 2.17.3 "Non-Contiguous Address Ranges", section 7.25; DWARF 4 section 2.17.3.
import { SymbolError } from "../errors.ts";
import { DW_AT, DW_FORM } from "./constants.ts";
import type { Die } from "./die.ts";
import type { Unit } from "./unit.ts";

/** Addresses as linked: `start` belongs to it, `end` does not. */
export interface AddressRange {
	readonly start: bigint;
	readonly end: bigint;
}

const DW_RLE = {
	end_of_list: 0,
	base_addressx: 1,
	startx_endx: 2,
	startx_length: 3,
	offset_pair: 4,
	base_address: 5,
	start_end: 6,
	start_length: 7,
} as const;

/** The addresses that an entry covers: from low_pc and high_pc, or from its range list; empty if it has none. */
export function rangesOf(die: Die): AddressRange[] {
	const ranges = die.attribute(DW_AT.ranges);
	if (ranges && typeof ranges.value !== "string" && !(ranges.value instanceof Uint8Array)) {
		const unit = die.unit;
		const value = Number(ranges.value);
		if (unit.version < 5) return readRanges(unit, value);
		return readRangeList(unit, ranges.form === DW_FORM.rnglistx ? indexedList(unit, value) : value);
	}
	const start = die.address(DW_AT.low_pc);
	if (start === undefined) return [];
	const high = die.attribute(DW_AT.high_pc);
	if (!high) return [];
	// As an address it is the end; as a constant the length.
	const length = die.constant(DW_AT.high_pc);
	const isAddress = high.form === DW_FORM.addr || length === undefined;
	const end = isAddress ? die.address(DW_AT.high_pc) : start + length.value;
	return end !== undefined && end > start ? [{ start, end }] : [];
}

function indexedList(unit: Unit, index: number): number {
	const reader = unit.file.sections.reader(".debug_rnglists");
	reader.offset = unit.bases.rnglists + index * unit.offsetSize;
	return unit.bases.rnglists + reader.sectionOffset(unit.offsetSize);
}

/** .debug_ranges, DWARF 2 to 4: pairs relative to a base; a pair that begins with all ones sets the base. */
function readRanges(unit: Unit, offset: number): AddressRange[] {
	const reader = unit.file.sections.reader(".debug_ranges");
	const size = unit.addressSize;
	const allOnes = size === 8 ? 0xffffffffffffffffn : 0xffffffffn;
	const mask = allOnes;
	let base = unit.lowPc;
	let at = offset;
	const found: AddressRange[] = [];
	for (;;) {
		reader.offset = at;
		const first = reader.unsigned(size);
		const second = reader.unsigned(size);
		at = reader.offset;
		if (first === 0n && second === 0n) return found;
		if (first === allOnes) base = second;
		else if (second > first) found.push({ start: (base + first) & mask, end: (base + second) & mask });
	}
}

/** .debug_rnglists, DWARF 5. */
function readRangeList(unit: Unit, offset: number): AddressRange[] {
	const reader = unit.file.sections.reader(".debug_rnglists");
	const size = unit.addressSize;
	let base = unit.lowPc;
	let at = offset;
	const found: AddressRange[] = [];
	for (;;) {
		reader.offset = at;
		const kind = reader.u8();
		let start = 0n;
		let end = 0n;
		switch (kind) {
			case DW_RLE.end_of_list:
				return found;
			case DW_RLE.base_addressx:
				base = unit.indexedAddress(reader.uleb());
				break;
			case DW_RLE.startx_endx: {
				const first = reader.uleb();
				const second = reader.uleb();
				start = unit.indexedAddress(first);
				end = unit.indexedAddress(second);
				break;
			}
			case DW_RLE.startx_length: {
				start = unit.indexedAddress(reader.uleb());
				end = start + reader.ulebBig();
				break;
			}
			case DW_RLE.offset_pair:
				start = base + reader.ulebBig();
				end = base + reader.ulebBig();
				break;
			case DW_RLE.base_address:
				base = reader.unsigned(size);
				break;
			case DW_RLE.start_end:
				start = reader.unsigned(size);
				end = reader.unsigned(size);
				break;
			case DW_RLE.start_length:
				start = reader.unsigned(size);
				end = start + reader.ulebBig();
				break;
			default:
				throw new SymbolError("malformed", `${reader.what} has a range list entry of the unknown kind ${kind}.`);
		}
		at = reader.offset;
		if (end > start) found.push({ start, end });
	}
}

/** Whether one of the ranges holds the address. */
export function rangesHold(ranges: readonly AddressRange[], address: bigint): boolean {
	for (const range of ranges) if (address >= range.start && address < range.end) return true;
	return false;
}
