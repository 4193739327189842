// Reference: DWARF 5 section 2.6.2 "Location Lists", section 7.29; DWARF 4 section 2.6.2.
import { SymbolError } from "../errors.ts";
import { DW_AT, DW_FORM } from "./constants.ts";
import type { Die } from "./die.ts";
import { evaluateLocation } from "./expression-machine.ts";
import { type Location, type LocationContext, optimizedOut } from "./location.ts";
import type { Unit } from "./unit.ts";

const DW_LLE = {
	end_of_list: 0,
	base_addressx: 1,
	startx_endx: 2,
	startx_length: 3,
	offset_pair: 4,
	default_location: 5,
	base_address: 6,
	start_end: 7,
	start_length: 8,
} as const;

/**
 * Where the object of an entry is at `pc` (as linked), by its attribute (DW_AT_location or DW_AT_frame_base).
 * Undefined when the entry has no such attribute; "unavailable" where its list does not cover the pc.
 */
export function locationOf(die: Die, attribute: number, pc: bigint, context: LocationContext): Location | undefined {
	const expression = locationExpression(die, attribute, pc);
	if (expression === undefined) return undefined;
	if (expression === "nowhere") return optimizedOut;
	const unit = die.unit;
	const { addressSize, offsetSize, version } = unit;
	return evaluateLocation(
		expression,
		{ addressSize, offsetSize, version, unit, what: unit.file.sections.fileName },
		context,
	);
}

/** The expression that holds at `pc`; "nowhere" if the location list has none there. */
export function locationExpression(die: Die, attribute: number, pc: bigint): Uint8Array | "nowhere" | undefined {
	const found = die.attribute(attribute);
	if (!found || typeof found.value === "string") return undefined;
	if (found.value instanceof Uint8Array) return found.value;
	const unit = die.unit;
	const value = Number(found.value);
	if (unit.version < 5) return fromLoc(unit, value, pc) ?? "nowhere";
	return fromLocLists(unit, found.form === DW_FORM.loclistx ? indexedList(unit, value) : value, pc) ?? "nowhere";
}

/** The frame base of a function entry in a frame, if it can be told. */
export function frameBaseOf(die: Die, pc: bigint, context: LocationContext): bigint | undefined {
	const location = locationOf(die, DW_AT.frame_base, pc, context);
	if (location?.kind === "memory") return location.address;
	// "The frame base is in this register" is written as DW_OP_reg: its contents are meant.
	if (location?.kind === "register") return context.readRegister(location.register);
	if (location?.kind === "value") return location.value;
	return undefined;
}

function indexedList(unit: Unit, index: number): number {
	const reader = unit.file.sections.reader(".debug_loclists");
	reader.offset = unit.bases.loclists + index * unit.offsetSize;
	return unit.bases.loclists + reader.sectionOffset(unit.offsetSize);
}

function fromLoc(unit: Unit, offset: number, pc: bigint): Uint8Array | undefined {
	const reader = unit.file.sections.reader(".debug_loc");
	const size = unit.addressSize;
	const allOnes = size === 8 ? 0xffffffffffffffffn : 0xffffffffn;
	let base = unit.lowPc;
	let at = offset;
	for (;;) {
		reader.offset = at;
		const start = reader.unsigned(size);
		const end = reader.unsigned(size);
		if (start === 0n && end === 0n) return undefined;
		if (start === allOnes) base = end;
		else {
			const expression = reader.take(reader.u16());
			if (pc >= ((base + start) & allOnes) && pc < ((base + end) & allOnes)) return expression;
		}
		at = reader.offset;
	}
}

function fromLocLists(unit: Unit, offset: number, pc: bigint): Uint8Array | undefined {
	const reader = unit.file.sections.reader(".debug_loclists");
	const size = unit.addressSize;
	let base = unit.lowPc;
	let at = offset;
	let fallback: Uint8Array | undefined;
	for (;;) {
		reader.offset = at;
		const kind = reader.u8();
		let start = 0n;
		let end = 0n;
		switch (kind) {
			case DW_LLE.end_of_list:
				return fallback;
			case DW_LLE.base_addressx:
				base = unit.indexedAddress(reader.uleb());
				at = reader.offset;
				continue;
			case DW_LLE.base_address:
				base = reader.unsigned(size);
				at = reader.offset;
				continue;
			case DW_LLE.startx_endx: {
				const first = reader.uleb();
				const second = reader.uleb();
				start = unit.indexedAddress(first);
				end = unit.indexedAddress(second);
				break;
			}
			case DW_LLE.startx_length:
				start = unit.indexedAddress(reader.uleb());
				end = start + reader.ulebBig();
				break;
			case DW_LLE.offset_pair:
				start = base + reader.ulebBig();
				end = base + reader.ulebBig();
				break;
			case DW_LLE.default_location:
				fallback = reader.take(reader.uleb());
				at = reader.offset;
				continue;
			case DW_LLE.start_end:
				start = reader.unsigned(size);
				end = reader.unsigned(size);
				break;
			case DW_LLE.start_length:
				start = reader.unsigned(size);
				end = start + reader.ulebBig();
				break;
			default:
				throw new SymbolError("malformed", `${reader.what} has a location list entry of the unknown kind ${kind}.`);
		}
		const expression = reader.take(reader.uleb());
		if (pc >= start && pc < end) return expression;
		at = reader.offset;
	}
}
