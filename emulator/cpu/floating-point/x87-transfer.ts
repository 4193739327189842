// Loads, stores, exchanges and constants (SDM Vol. 1 §8.3.3, §8.3.4).

import { type Helper, Outcome } from "../../engine/helper.ts";
import { State } from "../../isa/state.ts";
import { DataFormat, StoreFlag } from "../../isa/x87/forms.ts";
import {
	defaultNan,
	double,
	extended,
	Flag,
	type Format,
	finite,
	isNan,
	Kind,
	quieted,
	Rounding,
	round,
	roundToInteger,
	single,
	type Unpacked,
	zero,
} from "./binary-float.ts";
import { constantValue } from "./elementary-functions.ts";
import { type Extended, indefinite, packExtended, roundingOf } from "./extended.ts";
import { packDouble, packSingle, unpackDouble, unpackSingle } from "./interchange.ts";
import { fromInteger, instruction } from "./x87-arithmetic.ts";
import type { X87Unit } from "./x87-unit.ts";

/** The largest packed decimal: 18 digits. */
const DECIMAL_LIMIT = 10n ** 18n;

function decimal(unit: X87Unit): Unpacked {
	let value = 0n;
	for (let at = 8; at >= 0; at--) {
		const byte = unit.u8[State.exchange + at]!;
		value = value * 100n + BigInt((byte >> 4) * 10 + (byte & 15));
	}
	const negative = (unit.u8[State.exchange + 9]! & 0x80) !== 0;
	return value === 0n ? zero(negative) : finite(negative, value, 0);
}

function load(unit: X87Unit, record: number, format: number): void {
	const { view } = unit;
	switch (format) {
		case DataFormat.register: {
			const index = unit.records.register(record, 0);
			if (unit.isEmpty(index)) {
				if (unit.underflow(undefined)) {
					unit.top = unit.top - 1;
					unit.writeBits(0, indefinite);
				}
			} else unit.pushBits(unit.bits(index));
			return;
		}
		case DataFormat.extended:
			unit.pushBits({ high: view.getUint16(State.exchange + 8, true), low: view.getBigUint64(State.exchange, true) });
			return;
		case DataFormat.single:
			loadReal(unit, unpackSingle(view.getInt32(State.exchange, true)));
			return;
		case DataFormat.double:
			loadReal(unit, unpackDouble(view.getBigUint64(State.exchange, true)));
			return;
		case DataFormat.integer16:
			unit.pushBits(packExtended(fromInteger(BigInt(view.getInt16(State.exchange, true)))));
			return;
		case DataFormat.integer32:
			unit.pushBits(packExtended(fromInteger(BigInt(view.getInt32(State.exchange, true)))));
			return;
		case DataFormat.integer64:
			unit.pushBits(packExtended(fromInteger(view.getBigInt64(State.exchange, true))));
			return;
		default:
			unit.pushBits(packExtended(decimal(unit)));
	}
}

function loadReal(unit: X87Unit, value: Unpacked): void {
	const flags = value.kind === Kind.signalingNan ? Flag.invalid : value.denormal ? Flag.denormal : 0;
	unit.pushBits(packExtended(isNan(value) ? quieted(value) : value), flags);
}

/** What a store makes of a value: the bytes, or undefined when an unmasked exception keeps the destination. */
interface Stored {
	readonly bytes: Uint8Array | undefined;
	readonly flags: number;
	readonly up: boolean;
}

function littleEndian(value: bigint, size: number): Uint8Array {
	const bytes = new Uint8Array(size);
	for (let at = 0; at < size; at++) bytes[at] = Number((value >> BigInt(at * 8)) & 0xffn);
	return bytes;
}

function realBytes(value: Unpacked, format: Format): Uint8Array {
	return format === single ? littleEndian(BigInt(packSingle(value) >>> 0), 4) : littleEndian(packDouble(value), 8);
}

/**
 * FST to single or double precision: overflow and underflow that are not masked store nothing (SDM Vol. 1 §8.5.4,
 * §8.5.5).
 */
function convertReal(value: Unpacked, format: Format, control: number): Stored {
	if (value.kind === Kind.unsupported || value.kind === Kind.signalingNan) {
		const nan = value.kind === Kind.unsupported ? defaultNan : quieted(value);
		const bytes = control & Flag.invalid ? realBytes(nan, format) : undefined;
		return { bytes, flags: Flag.invalid, up: false };
	}
	if (value.kind !== Kind.finite) return { bytes: realBytes(value, format), flags: 0, up: false };
	const rounded = round(value.negative, value.significand, value.exponent, format, roundingOf(control));
	if (rounded.flags & Flag.overflow && (control & Flag.overflow) === 0)
		return { bytes: undefined, flags: Flag.overflow, up: false };
	if (rounded.tiny && (control & Flag.underflow) === 0) return { bytes: undefined, flags: Flag.underflow, up: false };
	return { bytes: realBytes(rounded.value, format), flags: rounded.flags, up: rounded.up };
}

/** FIST, FISTTP: beyond the format the integer indefinite, the most negative integer (SDM Vol. 1 Table 4-1). */
function convertInteger(value: Unpacked, size: number, control: number, truncate: boolean): Stored {
	const least = -(1n << BigInt(size * 8 - 1));
	const bad = (): Stored => ({
		bytes: control & Flag.invalid ? littleEndian(BigInt.asUintN(size * 8, least), size) : undefined,
		flags: Flag.invalid,
		up: false,
	});
	if (value.kind === Kind.zero) return { bytes: new Uint8Array(size), flags: 0, up: false };
	if (value.kind !== Kind.finite || value.exponent > 64) return bad();
	const { integer, inexact, up } = roundToInteger(value, truncate ? Rounding.zero : roundingOf(control));
	const signed = value.negative ? -integer : integer;
	if (signed < least || signed >= -least) return bad();
	return { bytes: littleEndian(BigInt.asUintN(size * 8, signed), size), flags: inexact ? Flag.inexact : 0, up };
}

/** The packed decimal indefinite (SDM Vol. 1 Table 4-4). */
const DECIMAL_INDEFINITE = 0xffffc000000000000000n;

function convertDecimal(value: Unpacked, control: number): Stored {
	const bad = (): Stored => ({
		bytes: control & Flag.invalid ? littleEndian(DECIMAL_INDEFINITE, 10) : undefined,
		flags: Flag.invalid,
		up: false,
	});
	const sign = value.negative ? 1n << 79n : 0n;
	if (value.kind === Kind.zero) return { bytes: littleEndian(sign, 10), flags: 0, up: false };
	if (value.kind !== Kind.finite || value.exponent > 64) return bad();
	const { integer, inexact, up } = roundToInteger(value, roundingOf(control));
	if (integer >= DECIMAL_LIMIT) return bad();
	const packed = BigInt(`0x${integer.toString()}`);
	return { bytes: littleEndian(sign | packed, 10), flags: inexact ? Flag.inexact : 0, up };
}

const INTEGER_SIZES: Readonly<Record<number, number>> = {
	[DataFormat.integer16]: 2,
	[DataFormat.integer32]: 4,
	[DataFormat.integer64]: 8,
};

function extendedBytes(value: Extended): Uint8Array {
	return littleEndian((BigInt(value.high) << 64n) | value.low, 10);
}

function convert(unit: X87Unit, format: number, truncate: boolean): Stored {
	const { control } = unit;
	const empty = unit.isEmpty(0);
	const value = empty ? defaultNan : unit.read(0);
	let stored: Stored;
	if (format === DataFormat.single) stored = convertReal(value, single, control);
	else if (format === DataFormat.double) stored = convertReal(value, double, control);
	else if (format === DataFormat.extended)
		stored = { bytes: extendedBytes(empty ? indefinite : unit.bits(0)), flags: 0, up: false };
	else if (format === DataFormat.decimal) stored = convertDecimal(value, control);
	else stored = convertInteger(value, INTEGER_SIZES[format]!, control, truncate);
	if (!empty) return stored;
	return {
		bytes: control & Flag.invalid ? stored.bytes : undefined,
		flags: Flag.invalid | Flag.stackFault,
		up: false,
	};
}

function store(unit: X87Unit, record: number, parameter: number): void {
	const format = parameter & 15;
	const pops = (parameter & StoreFlag.pop) !== 0;
	if (format === DataFormat.register) {
		unit.recordInstruction(record);
		const index = unit.records.register(record, 0);
		let done = true;
		if (unit.isEmpty(0) && parameter & StoreFlag.emptyAllowed) unit.raise(0, false);
		else if (unit.isEmpty(0)) done = unit.underflow(index);
		else {
			unit.raise(0, false);
			unit.writeBits(index, unit.bits(0));
		}
		if (done && pops) unit.pop();
		return;
	}
	const { bytes, flags, up } = convert(unit, format, (parameter & StoreFlag.truncate) !== 0);
	// The write can fault, and then nothing may have changed.
	if (bytes) unit.writeMemory(record, bytes);
	unit.recordInstruction(record);
	unit.raise(flags, up);
	if (bytes && pops) unit.pop();
}

function exchange(unit: X87Unit, record: number): void {
	const index = unit.records.register(record, 1);
	const topEmpty = unit.isEmpty(0);
	const otherEmpty = unit.isEmpty(index);
	if (topEmpty || otherEmpty) {
		if (!unit.underflow(undefined)) return;
	} else unit.raise(0, false);
	const top = topEmpty ? indefinite : unit.bits(0);
	const other = otherEmpty ? indefinite : unit.bits(index);
	unit.writeBits(0, other);
	unit.writeBits(index, top);
}

function conditionalMove(unit: X87Unit, record: number, condition: number): void {
	const index = unit.records.register(record, 1);
	if (unit.isEmpty(0) || unit.isEmpty(index)) unit.underflow(0);
	else if (condition) unit.writeBits(0, unit.bits(index));
}

/** FLDPI and the like: rounded by the rounding control to 64 bits, whatever the precision control (SDM Vol. 1 §8.3.8). */
function loadConstant(unit: X87Unit, index: number): void {
	const value = constantValue(index);
	if (value.kind !== Kind.finite) {
		unit.pushBits(packExtended(value));
		return;
	}
	const rounding = roundingOf(unit.control);
	unit.pushBits(packExtended(round(false, value.significand, value.exponent, extended, rounding).value));
}

export function transferHelpers(unit: X87Unit): Record<string, Helper> {
	return {
		"x87:load": instruction(unit, (record, format) => load(unit, record, format)),
		"x87:store": (record, parameter) => {
			store(unit, record, parameter);
			return Outcome.next;
		},
		"x87:fxch": instruction(unit, (record) => exchange(unit, record)),
		"x87:fcmov": instruction(unit, (record, condition) => conditionalMove(unit, record, condition)),
		"x87:constant": instruction(unit, (_record, index) => loadConstant(unit, index)),
	};
}
