// What moves values onto the stack and between the data registers (SDM Vol. 1 §8.1.2, §8.3.3, §8.3.4).

import type { FunctionBuilder } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { type Conversion, fromDouble, fromInteger, fromSingle } from "./conversion.ts";
import { denormalFlag } from "./rounding.ts";
import {
	controlWord,
	DONE,
	EXPONENT,
	INTEGER_BIT,
	NOT_DONE,
	type Parts,
	popTags,
	readRegister,
	registerNumber,
	SIGN,
	Status,
	statusAfter,
	statusWord,
	storeStatus,
	storeTags,
	tagWord,
	unmasked,
	writeRegister,
} from "./words.ts";

const { i32, i64 } = ValueType;
const NOTHING = Value.i32(0);

/** A routine that tells only whether it has done its work. */
export function stackRoutine(name: string, parameters: Routine["parameters"], emit: Routine["emit"]): Routine {
	return { name: `x87.${name}`, parameters, results: [i32], changesState: true, emit };
}

/** The status word; returns from the routine when an exception is or would be pending. */
export function readyStatus(f: FunctionBuilder, flags: Value = NOTHING): Value {
	const status = statusWord(f);
	f.if(unmasked(status.or(flags), controlWord(f)), () => f.return(NOT_DONE));
	return status;
}

/** Returns from the routine unless these physical registers hold values. */
export function requireValid(f: FunctionBuilder, tags: Value, ...registers: readonly Value[]): void {
	const valid = registers.map((register) => tags.shrU(register)).reduce((a, b) => a.and(b));
	f.if(valid.and(1).eqz(), () => f.return(NOT_DONE));
}

/** Pushes a value, of which `high` is negative when it is the helper's, and returns from the routine. */
function pushAndReturn(f: FunctionBuilder, { low, high }: Parts): void {
	f.if(high.ltS(0), () => f.return(NOT_DONE));
	const flags = f.let(denormalFlag(high));
	const status = readyStatus(f, flags);
	const tags = tagWord(f);
	const register = f.let(registerNumber(status, 7));
	f.if(tags.shrU(register).and(1), () => f.return(NOT_DONE));
	writeRegister(f, register, low, high);
	storeTags(f, tags.or(Value.i32(1).shl(register)));
	storeStatus(f, statusAfter(status, flags, Value.i32(7)));
	f.return(DONE);
}

/** (low, high): pushes a value. */
export const push = stackRoutine("push", [i64, i32], (f) =>
	pushAndReturn(f, { low: f.parameter(0).get, high: f.parameter(1).get }),
);

/** (bits): pushes a value from memory. */
const pushFrom = (format: string, convert: Conversion) =>
	stackRoutine(`push.${format}`, [i64], (f) => pushAndReturn(f, convert(f, f.parameter(0).get)));

export const pushSingle = pushFrom("single", fromSingle);
export const pushDouble = pushFrom("double", fromDouble);
export const pushInteger = pushFrom("integer", fromInteger);

/** (index): pushes ST(index). */
export const pushRegister = stackRoutine("pushRegister", [i32], (f) => {
	const register = f.let(registerNumber(statusWord(f), f.parameter(0).get));
	requireValid(f, tagWord(f), register);
	pushAndReturn(f, readRegister(f, register));
});

/** (index, pops): copies ST(0) to ST(index). */
export const copyTop = stackRoutine("copyTop", [i32, i32], (f) => {
	const status = readyStatus(f);
	const tags = tagWord(f);
	const top = f.let(registerNumber(status, 0));
	requireValid(f, tags, top);
	const { low, high } = readRegister(f, top);
	const destination = f.let(registerNumber(status, f.parameter(0).get));
	const pops = f.parameter(1).get;
	writeRegister(f, destination, low, high);
	storeTags(f, tags.or(Value.i32(1).shl(destination)).and(pops.shl(top).not()));
	storeStatus(f, statusAfter(status, NOTHING, pops));
	f.return(DONE);
});

/** () → low, high: ST(0) as it lies there, for FSTP to memory; `high` is negative when that is the helper's. */
export const topAsItIs: Routine = {
	name: "x87.topAsItIs",
	parameters: [],
	results: [i64, i32],
	changesState: false,
	emit(f) {
		const status = statusWord(f);
		const top = f.let(registerNumber(status, 0));
		const valid = tagWord(f).shrU(top).and(1);
		f.if(valid.eqz().or(unmasked(status, controlWord(f))), () => f.returnAll([Value.i64(0), Value.i32(-1)]));
		const { low, high } = readRegister(f, top);
		f.returnAll([low, high]);
	},
};

/** (index): exchanges ST(0) and ST(index). */
export const exchange = stackRoutine("exchange", [i32], (f) => {
	const status = readyStatus(f);
	const top = f.let(registerNumber(status, 0));
	const other = f.let(registerNumber(status, f.parameter(0).get));
	requireValid(f, tagWord(f), top, other);
	const a = readRegister(f, top);
	const b = readRegister(f, other);
	writeRegister(f, top, b.low, b.high);
	writeRegister(f, other, a.low, a.high);
	storeStatus(f, status.and(~Status.c1));
	f.return(DONE);
});

/** (condition, index): copies ST(index) to ST(0) when the condition holds. */
export const conditionalCopy = stackRoutine("conditionalCopy", [i32, i32], (f) => {
	const status = readyStatus(f);
	const top = f.let(registerNumber(status, 0));
	const other = f.let(registerNumber(status, f.parameter(1).get));
	requireValid(f, tagWord(f), top, other);
	f.if(f.parameter(0).get, () => {
		const { low, high } = readRegister(f, other);
		writeRegister(f, top, low, high);
	});
	f.return(DONE);
});

/** (kept, changed): FABS and FCHS: sign and exponent of ST(0) are masked and then xor-ed. */
export const changeSign = stackRoutine("changeSign", [i32, i32], (f) => {
	const status = readyStatus(f);
	const top = f.let(registerNumber(status, 0));
	requireValid(f, tagWord(f), top);
	const { low, high } = readRegister(f, top);
	writeRegister(f, top, low, high.and(f.parameter(0).get).xor(f.parameter(1).get));
	storeStatus(f, status.and(~Status.c1));
	f.return(DONE);
});

/** In freeAndRotate. */
export const NO_REGISTER = 8;

/** (index, step, pops): frees ST(index), unless that is NO_REGISTER, adds to TOP and pops: FFREE, FINCSTP, FDECSTP. */
export const freeAndRotate = stackRoutine("freeAndRotate", [i32, i32, i32], (f) => {
	const status = readyStatus(f);
	const index = f.parameter(0).get;
	const pops = f.parameter(2).get;
	f.if(index.ltU(NO_REGISTER), () => {
		const register = f.let(registerNumber(status, index));
		storeTags(f, tagWord(f).and(Value.i32(1).shl(register).not()));
	});
	popTags(f, status, pops);
	storeStatus(f, statusAfter(status, NOTHING, f.parameter(1).get.add(pops)));
	f.return(DONE);
});

/** FXAM. */
export const examine = stackRoutine("examine", [], (f) => {
	const status = readyStatus(f);
	const top = f.let(registerNumber(status, 0));
	const { low, high } = readRegister(f, top);
	const exponent = f.let(high.and(EXPONENT));
	const { c0, c1, c2, c3 } = Status;
	const found = f.variable(i32);
	const found32 = (bits: number) => () => f.set(found, Value.i32(bits));
	f.if(tagWord(f).shrU(top).and(1).eqz(), found32(c3 | c0), () =>
		f.if(
			exponent.eqz(),
			() => f.set(found, low.eqz().select(Value.i32(c3), Value.i32(c3 | c2))),
			() =>
				f.if(
					low.geS(0),
					// Unsupported.
					found32(0),
					() =>
						f.if(exponent.ne(EXPONENT), found32(c2), () =>
							f.set(found, low.eq(Value.i64(INTEGER_BIT)).select(Value.i32(c2 | c0), Value.i32(c0))),
						),
				),
		),
	);
	const conditions = found.get.or(high.and(SIGN).ne(0).select(Value.i32(c1), NOTHING));
	storeStatus(f, status.and(~(c0 | c1 | c2 | c3)).or(conditions));
	f.return(DONE);
});
