// What the rows of arithmetic call: operands from the stack or from memory, and one of the operations.

import type { FunctionBuilder, FunctionReference } from "../../emit/function-builder.ts";
import type { Routine } from "../../emit/routine.ts";
import { Value, ValueType } from "../../emit/value.ts";
import { type Conversion, fromDouble, fromInteger, fromSingle } from "./conversion.ts";
import { add, divide, multiply } from "./operations.ts";
import { NOT_DONE, type Parts, readRegister, registerNumber, SIGN, statusWord, tagWord } from "./words.ts";

const { i32, i64 } = ValueType;

/** Which of two operands changes its sign before an addition. */
export interface AddSigns {
	readonly a: number;
	readonly b: number;
}

type Operate = (
	f: FunctionBuilder,
	a: Parts,
	b: Parts,
	register: Value,
	pops: Value,
	link: (r: Routine) => FunctionReference,
) => void;

function addWith(signs: AddSigns): Operate {
	return (f, a, b, register, pops, link) =>
		f.return(f.call(link(add), [register, a.low, a.high.xor(signs.a), b.low, b.high.xor(signs.b), pops]));
}

function both(routine: Routine, reversed = false): Operate {
	return (f, a, b, register, pops, link) => {
		const [x, y] = reversed ? [b, a] : [a, b];
		f.return(f.call(link(routine), [register, x.low, x.high, y.low, y.high, pops]));
	};
}

/** By the names of ArithmeticOperation: the destination is the first operand. */
const operations = {
	add: addWith({ a: 0, b: 0 }),
	mul: both(multiply),
	sub: addWith({ a: 0, b: SIGN }),
	subr: addWith({ a: SIGN, b: 0 }),
	div: both(divide),
	divr: both(divide, true),
} as const satisfies Record<string, Operate>;

export type OperationName = keyof typeof operations;

/** ST(i) op ST(j), into ST(i): (i, j, pops). */
function onRegisters(name: OperationName): Routine {
	return {
		name: `x87.${name}.registers`,
		parameters: [i32, i32, i32],
		results: [i32],
		changesState: true,
		emit(f, link) {
			const status = statusWord(f);
			const tags = tagWord(f);
			const destination = f.let(registerNumber(status, f.parameter(0).get));
			const source = f.let(registerNumber(status, f.parameter(1).get));
			const valid = tags.shrU(destination).and(tags.shrU(source)).and(1);
			f.if(valid.eqz(), () => f.return(NOT_DONE));
			const a = readRegister(f, destination);
			const b = readRegister(f, source);
			operations[name](f, a, b, destination, f.parameter(2).get, link);
		},
	};
}

/** ST(0) op a value from memory, into ST(0): (bits). */
function withMemory(name: OperationName, format: string, convert: Conversion): Routine {
	return {
		name: `x87.${name}.${format}`,
		parameters: [i64],
		results: [i32],
		changesState: true,
		emit(f, link) {
			const destination = f.let(registerNumber(statusWord(f), 0));
			f.if(tagWord(f).shrU(destination).and(1).eqz(), () => f.return(NOT_DONE));
			const a = readRegister(f, destination);
			const b = convert(f, f.parameter(0).get);
			operations[name](f, a, b, destination, Value.i32(0), link);
		},
	};
}

function forEachOperation<T>(make: (name: OperationName) => T): Record<OperationName, T> {
	return Object.fromEntries((Object.keys(operations) as OperationName[]).map((name) => [name, make(name)])) as Record<
		OperationName,
		T
	>;
}

export const registerArithmetic = forEachOperation(onRegisters);
export const singleArithmetic = forEachOperation((name) => withMemory(name, "single", fromSingle));
export const doubleArithmetic = forEachOperation((name) => withMemory(name, "double", fromDouble));
export const integerArithmetic = forEachOperation((name) => withMemory(name, "integer", fromInteger));
