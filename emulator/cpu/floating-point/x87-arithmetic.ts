// FADD, FSUB, FMUL, FDIV, FSQRT, comparisons and the bit operations (SDM Vol. 1 §8.3.5 to §8.3.6).

import { type Helper, Outcome } from "../../engine/helper.ts";
import { State } from "../../isa/state.ts";
import { ArithmeticForm, ArithmeticOperation, CompareFlag, StoreFlag } from "../../isa/x87/forms.ts";
import { Flag, finite, isNan, Kind, type Unpacked, zero } from "./binary-float.ts";
import {
	add,
	type Comparison,
	compare,
	comparisonFlags,
	divide,
	multiply,
	type Result,
	squareRoot,
} from "./extended.ts";
import { unpackDouble, unpackSingle } from "./interchange.ts";
import { Status, type X87Unit } from "./x87-unit.ts";

/** An integer as a value; integers never are denormal. */
export function fromInteger(value: bigint): Unpacked {
	if (value === 0n) return zero(false);
	return finite(value < 0n, value < 0n ? -value : value, 0);
}

/** The memory operand, which the row has left in State.exchange. */
function memoryOperand(unit: X87Unit, form: number): Unpacked {
	const { view } = unit;
	switch (form) {
		case ArithmeticForm.single:
			return unpackSingle(view.getInt32(State.exchange, true));
		case ArithmeticForm.double:
			return unpackDouble(view.getBigUint64(State.exchange, true));
		case ArithmeticForm.integer16:
			return fromInteger(BigInt(view.getInt16(State.exchange, true)));
		default:
			return fromInteger(BigInt(view.getInt32(State.exchange, true)));
	}
}

function operate(operation: number, a: Unpacked, b: Unpacked, control: number): Result {
	switch (operation) {
		case ArithmeticOperation.add:
			return add(a, b, false, control);
		case ArithmeticOperation.mul:
			return multiply(a, b, control);
		case ArithmeticOperation.sub:
			return add(a, b, true, control);
		case ArithmeticOperation.subr:
			return add(b, a, true, control);
		case ArithmeticOperation.div:
			return divide(a, b, control);
		default:
			return divide(b, a, control);
	}
}

function arithmetic(unit: X87Unit, record: number, parameter: number): void {
	const operation = parameter & 0xff;
	const form = parameter >> 8;
	const inMemory = form >= ArithmeticForm.single;
	if (operation === ArithmeticOperation.com || operation === ArithmeticOperation.comp) {
		const pops = operation === ArithmeticOperation.comp ? 1 : 0;
		compareWith(unit, inMemory ? memoryOperand(unit, form) : undefined, 0, false, pops);
		return;
	}
	const toTop = inMemory || form === ArithmeticForm.toTop;
	const destination = toTop ? 0 : unit.records.register(record, 0);
	const source = toTop && !inMemory ? unit.records.register(record, 1) : 0;
	let done: boolean;
	if (unit.isEmpty(destination) || (!inMemory && unit.isEmpty(source))) done = unit.underflow(destination);
	else {
		const a = unit.read(destination);
		const b = inMemory ? memoryOperand(unit, form) : unit.read(source);
		done = unit.finish(destination, operate(operation, a, b, unit.control));
	}
	if (done && form === ArithmeticForm.toRegisterPop) unit.pop();
}

const CONDITIONS: Readonly<Record<Comparison, number>> = {
	greater: 0,
	less: Status.c0,
	equal: Status.c3,
	unordered: Status.c0 | Status.c2 | Status.c3,
};

/**
 * Compares ST(0) with the operand (undefined: ST(index)) and sets C3, C2, C0; an unmasked exception keeps only the
 * pops back.
 */
function compareWith(unit: X87Unit, operand: Unpacked | undefined, index: number, quiet: boolean, pops: number): void {
	const { outcome, masked } = compareOperands(unit, operand, index, quiet);
	unit.setConditions(CONDITIONS[outcome]);
	for (let popped = 0; masked && popped < pops; popped++) unit.pop();
}

function compareOperands(
	unit: X87Unit,
	operand: Unpacked | undefined,
	index: number,
	quiet: boolean,
): { outcome: Comparison; masked: boolean } {
	if (unit.isEmpty(0) || (operand === undefined && unit.isEmpty(index)))
		return { outcome: "unordered", masked: unit.underflow(undefined) };
	const a = unit.read(0);
	const b = operand ?? unit.read(index);
	const flags = comparisonFlags(a, b, quiet);
	unit.raise(flags, false);
	return { outcome: compare(a, b), masked: (flags & ~unit.control & Flag.all) === 0 };
}

/** ZF, PF, CF as FCOMI sets them; OF, SF, AF become 0. The lazy form is that of isa/flags.ts. */
function setEflags(unit: X87Unit, outcome: Comparison): void {
	const { i32, i64 } = unit.host.physical;
	const isZero = outcome === "equal" || outcome === "unordered";
	const carry = outcome === "less" || outcome === "unordered";
	const parity = outcome === "unordered";
	i64[State.flagsResult >> 3] = isZero ? 0n : 1n;
	i32[State.flagsAux >> 2] = (carry ? 0xc0000000 | 0 : 0) | (parity === isZero ? 0 : 0x100);
}

function compareRow(unit: X87Unit, record: number, flags: number): void {
	const quiet = (flags & CompareFlag.quiet) !== 0;
	const pops = flags & CompareFlag.popTwice ? 2 : flags & CompareFlag.pop ? 1 : 0;
	if (flags & CompareFlag.withZero) {
		compareWith(unit, zero(false), 0, false, 0);
		return;
	}
	const index = flags & CompareFlag.popTwice ? 1 : unit.records.register(record, 1);
	if ((flags & CompareFlag.toEflags) === 0) {
		compareWith(unit, undefined, index, quiet, pops);
		return;
	}
	const { outcome, masked } = compareOperands(unit, undefined, index, quiet);
	setEflags(unit, outcome);
	for (let popped = 0; masked && popped < pops; popped++) unit.pop();
}

/** FXAM: C1 is the sign, C3 C2 C0 the class (SDM Vol. 2A FXAM). */
function examine(unit: X87Unit): void {
	const value = unit.read(0);
	let bits: number;
	if (unit.isEmpty(0)) bits = Status.c3 | Status.c0;
	else if (value.kind === Kind.unsupported) bits = 0;
	else if (isNan(value)) bits = Status.c0;
	else if (value.kind === Kind.infinity) bits = Status.c2 | Status.c0;
	else if (value.kind === Kind.zero) bits = Status.c3;
	else bits = value.denormal ? Status.c3 | Status.c2 : Status.c2;
	unit.raise(0, value.negative);
	unit.setConditions(bits);
}

function changeSign(unit: X87Unit, change: (high: number) => number): void {
	if (unit.isEmpty(0)) {
		unit.underflow(0);
		return;
	}
	unit.raise(0, false);
	const { high, low } = unit.bits(0);
	unit.writeBits(0, { high: change(high), low });
}

/** An instruction on ST(0) alone. */
export function unary(unit: X87Unit, operation: (value: Unpacked, control: number) => Result): void {
	if (unit.isEmpty(0)) unit.underflow(0);
	else unit.finish(0, operation(unit.read(0), unit.control));
}

/** A helper of a non-control instruction, which leaves its address behind. */
export function instruction(unit: X87Unit, action: (record: number, parameter: number) => void): Helper {
	return (record, parameter) => {
		unit.recordInstruction(record);
		action(record, parameter);
		return Outcome.next;
	};
}

export function arithmeticHelpers(unit: X87Unit): Record<string, Helper> {
	return {
		"x87:arithmetic": instruction(unit, (record, parameter) => arithmetic(unit, record, parameter)),
		"x87:compare": instruction(unit, (record, flags) => compareRow(unit, record, flags)),
		"x87:fxam": instruction(unit, () => examine(unit)),
		"x87:fchs": instruction(unit, () => changeSign(unit, (high) => high ^ 0x8000)),
		"x87:fabs": instruction(unit, () => changeSign(unit, (high) => high & 0x7fff)),
		"x87:fsqrt": instruction(unit, () => unary(unit, squareRoot)),
		"x87:rotate": instruction(unit, (_record, step) => {
			unit.raise(0, false);
			unit.top = unit.top + step;
		}),
		"x87:ffree": instruction(unit, (record, flags) => {
			unit.raise(0, false);
			unit.free(unit.records.register(record, 0));
			if (flags & StoreFlag.pop) unit.pop();
		}),
	};
}
