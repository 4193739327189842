// FRNDINT, FSCALE, FXTRACT, FPREM and FPREM1 (SDM Vol. 1 §8.3.5, Vol. 2A).

import type { Helper } from "../../engine/helper.ts";
import {
	bitLength,
	defaultNan,
	extended,
	Flag,
	finite,
	infinity,
	Kind,
	roundToInteger,
	type Unpacked,
	zero,
} from "./binary-float.ts";
import {
	denormalFlag,
	exactResult,
	indefinite,
	invalid,
	nanResult,
	type Result,
	roundingOf,
	roundResult,
} from "./extended.ts";
import { fromInteger, instruction, unary } from "./x87-arithmetic.ts";
import { Status, type X87Unit } from "./x87-unit.ts";

function roundInteger(value: Unpacked, control: number): Result {
	const nan = nanResult(value, value, control);
	if (nan) return nan;
	if (value.kind !== Kind.finite || value.exponent >= 0) return exactResult(value, denormalFlag(value), control);
	const { integer, inexact, up } = roundToInteger(value, roundingOf(control));
	const flags = denormalFlag(value);
	if (flags & ~control) return { value: undefined, flags, up: false };
	const rounded = integer === 0n ? zero(value.negative) : finite(value.negative, integer, 0);
	return { value: rounded, flags: flags | (inexact ? Flag.inexact : 0), up };
}

/** Beyond this every finite number overflows or underflows, however it is scaled. */
const SCALE_LIMIT = 0x10000;

/** value × 2^(scale rounded toward zero). */
function scale(value: Unpacked, by: Unpacked, control: number): Result {
	const nan = nanResult(value, by, control);
	if (nan) return nan;
	const flags = denormalFlag(value, by);
	if (by.kind === Kind.infinity) {
		if (by.negative ? value.kind === Kind.infinity : value.kind === Kind.zero) return invalid(control);
		return exactResult(by.negative ? zero(value.negative) : infinity(value.negative), flags, control);
	}
	if (value.kind !== Kind.finite) return exactResult(value, flags, control);
	let count: number;
	if (by.kind === Kind.zero) count = 0;
	else if (by.exponent + bitLength(by.significand) > 20) count = SCALE_LIMIT;
	else count = Math.min(SCALE_LIMIT, Number(roundToInteger(by, 3).integer));
	const exponent = value.exponent + (by.negative ? -count : count);
	return roundResult({ negative: value.negative, significand: value.significand, exponent }, control, flags, extended);
}

/** On a full stack both ST(0) and the pushed register become the indefinite. @returns true when there is room. */
export function roomToPush(unit: X87Unit): boolean {
	if (unit.isEmpty(7)) return true;
	unit.raise(Flag.invalid | Flag.stackFault, true);
	if (unit.control & Flag.invalid) {
		unit.writeBits(0, indefinite);
		unit.top = unit.top - 1;
		unit.writeBits(0, indefinite);
	}
	return false;
}

/** FXTRACT: ST(0) becomes the exponent, then the significand is pushed. */
function extract(unit: X87Unit): void {
	if (unit.isEmpty(0)) {
		if (unit.underflow(0)) {
			unit.top = unit.top - 1;
			unit.write(0, defaultNan);
		}
		return;
	}
	if (!roomToPush(unit)) return;
	const value = unit.read(0);
	const { control } = unit;
	const nan = nanResult(value, value, control);
	let exponent: Unpacked;
	let significand: Unpacked = value;
	let flags: number = denormalFlag(value);
	if (nan) {
		unit.raise(nan.flags, false);
		if (!nan.value) return;
		exponent = significand = nan.value;
		flags = 0;
	} else if (value.kind === Kind.zero) {
		flags |= Flag.zeroDivide;
		exponent = infinity(true);
	} else if (value.kind === Kind.infinity) exponent = infinity(false);
	else {
		const leading = value.exponent + bitLength(value.significand) - 1;
		exponent = fromInteger(BigInt(leading));
		significand = { ...value, exponent: value.exponent - leading };
	}
	if (!nan) unit.raise(flags, false);
	if (flags & ~control & Flag.all) return;
	unit.write(0, exponent);
	unit.top = unit.top - 1;
	unit.write(0, significand);
}

/** FPREM (quotient rounded toward zero) and FPREM1 (to nearest). */
function remainder(unit: X87Unit, nearest: boolean): void {
	if (unit.isEmpty(0) || unit.isEmpty(1)) {
		unit.underflow(0);
		unit.status &= ~Status.c2;
		return;
	}
	const a = unit.read(0);
	const b = unit.read(1);
	const { control } = unit;
	let result = nanResult(a, b, control);
	if (!result && (a.kind === Kind.infinity || b.kind === Kind.zero)) result = invalid(control);
	const defined = result === undefined;
	let quotient = 0n;
	let partial = false;
	if (!result) {
		const flags = denormalFlag(a, b);
		if (a.kind === Kind.zero || b.kind === Kind.infinity) {
			result = a.kind === Kind.finite ? roundResult(a, control, flags, extended) : exactResult(a, flags, control);
		} else {
			const reduced = reduce(a, b, nearest);
			({ quotient, partial } = reduced);
			result =
				reduced.significand === 0n
					? exactResult(zero(a.negative), flags, control)
					: roundResult(reduced, control, flags, extended);
		}
	}
	const written = unit.finish(0, result);
	if (!written || !defined) {
		// No quotient: C0 and C3 stay, as processors do it (the SDM leaves them undefined).
		unit.status &= ~Status.c2;
		return;
	}
	const bit = (position: bigint, status: number) => ((quotient >> position) & 1n ? status : 0);
	unit.status &= ~Status.c1;
	unit.setConditions(partial ? Status.c2 : bit(2n, Status.c0) | bit(1n, Status.c3));
	if (!partial) unit.status |= bit(0n, Status.c1);
}

interface Reduced {
	readonly negative: boolean;
	readonly significand: bigint;
	readonly exponent: number;
	readonly quotient: bigint;
	readonly partial: boolean;
}

function reduce(a: Unpacked, b: Unpacked, nearest: boolean): Reduced {
	const difference = a.exponent + bitLength(a.significand) - (b.exponent + bitLength(b.significand));
	if (difference < -1)
		return { negative: a.negative, significand: a.significand, exponent: a.exponent, quotient: 0n, partial: false };
	if (difference >= 64) {
		// A step reduces the exponent by 32 to 63; which is the processor's choice (SDM Vol. 2A FPREM).
		const step = 32 + (difference % 32);
		const exponent = b.exponent + difference - step;
		const common = Math.min(a.exponent, exponent);
		const dividend = a.significand << BigInt(a.exponent - common);
		const divisor = b.significand << BigInt(exponent - common);
		return {
			negative: a.negative,
			significand: dividend % divisor,
			exponent: common,
			quotient: 0n,
			partial: true,
		};
	}
	const common = Math.min(a.exponent, b.exponent);
	const dividend = a.significand << BigInt(a.exponent - common);
	const divisor = b.significand << BigInt(b.exponent - common);
	let quotient = dividend / divisor;
	let rest = dividend - quotient * divisor;
	let negative = a.negative;
	if (nearest && (2n * rest > divisor || (2n * rest === divisor && (quotient & 1n) === 1n))) {
		quotient++;
		rest = divisor - rest;
		negative = !negative;
	}
	return { negative, significand: rest, exponent: common, quotient, partial: false };
}

export function scalingHelpers(unit: X87Unit): Record<string, Helper> {
	return {
		"x87:frndint": instruction(unit, () => unary(unit, roundInteger)),
		"x87:fscale": instruction(unit, () => {
			if (unit.isEmpty(0) || unit.isEmpty(1)) unit.underflow(0);
			else unit.finish(0, scale(unit.read(0), unit.read(1), unit.control));
		}),
		"x87:fxtract": instruction(unit, () => extract(unit)),
		"x87:fprem": instruction(unit, () => remainder(unit, false)),
		"x87:fprem1": instruction(unit, () => remainder(unit, true)),
	};
}
