// The comparisons (SDM Vol. 1 §8.3.6).

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { type Conversion, fromDouble, fromInteger, fromSingle } from "./conversion.ts";
import { denormalFlag } from "./rounding.ts";
import { readyStatus, requireValid, stackRoutine } from "./stack.ts";
import {
	DONE,
	EXPONENT,
	NOT_DONE,
	popTags,
	readRegister,
	registerNumber,
	Status,
	statusAfter,
	statusWord,
	storeStatus,
	tagWord,
} from "./words.ts";

const { i32, i64 } = ValueType;

/** (aLow, aHigh, bLow, bHigh) → C3 and C0, and DE, as bits of the status word; negative when the comparison is the helper's. */
const compareValues: Routine = {
	name: "x87.compareValues",
	parameters: [i64, i32, i64, i32],
	results: [i32],
	changesState: false,
	emit(f) {
		const [aLow, aHigh, bLow, bHigh] = [0, 1, 2, 3].map((index) => f.parameter(index).get) as [
			Value,
			Value,
			Value,
			Value,
		];
		const aExponent = f.let(aHigh.and(EXPONENT));
		const bExponent = f.let(bHigh.and(EXPONENT));
		// Denormal, unsupported, NaN.
		const isHelpers = (exponent: Value, low: Value) => {
			const nan = exponent.eq(EXPONENT).and(low.shl(1).ne(0));
			return exponent.eqz().select(low.ne(0), low.geS(0).or(nan));
		};
		f.if(isHelpers(aExponent, aLow).or(isHelpers(bExponent, bLow)), () => f.return(Value.i32(-1)));
		const flags = f.let(denormalFlag(aHigh, bHigh));
		f.if(aLow.or(bLow).eqz(), () => f.return(flags.or(Status.c3)));
		const negative = f.let(aHigh.shrU(15).and(1));
		const c0 = (isLess: Value) => flags.or(isLess.shl(8));
		f.if(negative.ne(bHigh.shrU(15).and(1)), () => f.return(c0(negative)));
		const sameExponent = f.let(aExponent.eq(bExponent));
		f.if(sameExponent.and(aLow.eq(bLow)), () => f.return(flags.or(Status.c3)));
		const less = sameExponent.select(aLow.ltU(bLow), aExponent.ltU(bExponent));
		f.return(c0(less.xor(negative)));
	},
};

/** Of a comparison: takes C0, C2, C3 as given, or leaves them. */
function finishComparison(f: FunctionBuilder, found: Value, kept: number, pops: Value): void {
	f.if(found.ltS(0), () => f.return(NOT_DONE));
	const flags = found.and(kept | Status.denormal);
	const status = readyStatus(f, flags);
	storeStatus(f, statusAfter(status.and(~kept), flags, pops));
	popTags(f, status, pops);
}

const CONDITIONS = Status.c0 | Status.c2 | Status.c3;

/** (index, pops): FCOM, FUCOM and so on. */
export const compareRegister = stackRoutine("compareRegister", [i32, i32], (f, link) => {
	const status = statusWord(f);
	const top = f.let(registerNumber(status, 0));
	const other = f.let(registerNumber(status, f.parameter(0).get));
	requireValid(f, tagWord(f), top, other);
	const a = readRegister(f, top);
	const b = readRegister(f, other);
	const found = f.let(f.call(link(compareValues), [a.low, a.high, b.low, b.high]));
	finishComparison(f, found, CONDITIONS, f.parameter(1).get);
	f.return(DONE);
});

/** (index, pops): FCOMI and so on: gives C3 and C0 as the comparison has them; those of the status word stay. */
export const compareToFlags = stackRoutine("compareToFlags", [i32, i32], (f, link) => {
	const status = statusWord(f);
	const top = f.let(registerNumber(status, 0));
	const other = f.let(registerNumber(status, f.parameter(0).get));
	requireValid(f, tagWord(f), top, other);
	const a = readRegister(f, top);
	const b = readRegister(f, other);
	const found = f.let(f.call(link(compareValues), [a.low, a.high, b.low, b.high]));
	finishComparison(f, found, 0, f.parameter(1).get);
	f.return(found.and(CONDITIONS));
});

function compareWith(name: string, convert: Conversion): Routine {
	return stackRoutine(`compare.${name}`, [i64, i32], (f, link) => {
		const top = f.let(registerNumber(statusWord(f), 0));
		requireValid(f, tagWord(f), top);
		const a = readRegister(f, top);
		const b = convert(f, f.parameter(0).get);
		const found = f.let(f.call(link(compareValues), [a.low, a.high, b.low, b.high]));
		finishComparison(f, found, CONDITIONS, f.parameter(1).get);
		f.return(DONE);
	});
}

/** (bits, pops): compares ST(0) with a value from memory. */
export const compareSingle = compareWith("single", fromSingle);
export const compareDouble = compareWith("double", fromDouble);
export const compareInteger = compareWith("integer", fromInteger);
