// FADD, FSUB, FMUL, FDIV and the comparisons (SDM Vol. 1 §8.3.5, §8.3.6).

import { Value } from "../emit/value.ts";
import { Aux } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { ArithmeticForm, ArithmeticOperation, CompareFlag } from "./forms.ts";
import { type OperationName, registerArithmetic } from "./routines/arithmetic.ts";
import { compareInteger, compareRegister, compareToFlags } from "./routines/comparison.ts";
import { Status } from "./routines/words.ts";
import {
	fast,
	type HelperCall,
	memoryFormats,
	memoryRow,
	NOTHING,
	options,
	registerRow,
	remember,
	wait,
} from "./rows.ts";

export function defineArithmetic(table: InstructionTable): void {
	const formats = [
		["F", "m32fp", "single"],
		["F", "m64fp", "double"],
		["Fi", "m16int", "integer16"],
		["Fi", "m32int", "integer32"],
	] as const;
	for (const [name, operation] of Object.entries(ArithmeticOperation)) {
		const define = (pattern: string, emit: (o: Operation) => void) =>
			table.define(new RegExp(`^${pattern}$`), emit, options);
		const helper = (form: number): HelperCall => ["x87:arithmetic", operation | (form << 8)];
		const isComparison = name === "com" || name === "comp";
		for (const [prefix, operand, format] of formats) {
			const call = helper(ArithmeticForm[format]);
			const row = isComparison
				? memoryRow(call, format, memoryFormats[format].compare, Value.i32(name === "comp" ? 1 : 0))
				: memoryRow(call, format, memoryFormats[format].arithmetic[name as OperationName]);
			define(`${prefix}${name}_${operand}`, row);
		}
		if (isComparison) continue;
		const onRegisters = (form: number, pops: number) => {
			const toTop = form === ArithmeticForm.toTop;
			return registerRow(helper(form), registerArithmetic[name as OperationName], (o) => [
				toTop ? NOTHING : o.registerNumber(0),
				toTop ? o.registerNumber(1) : NOTHING,
				Value.i32(pops),
			]);
		};
		define(`F${name}_st0_sti`, onRegisters(ArithmeticForm.toTop, 0));
		define(`F${name}_sti_st0`, onRegisters(ArithmeticForm.toRegister, 0));
		define(`F${name}p_sti_st0`, onRegisters(ArithmeticForm.toRegisterPop, 1));
	}
}

export function defineCompare(table: InstructionTable): void {
	const { quiet, pop, popTwice, toEflags, withZero } = CompareFlag;
	const define = (pattern: RegExp, flags: number) => {
		const pops = Value.i32(flags & popTwice ? 2 : flags & pop ? 1 : 0);
		const helper = ["x87:compare", flags] as const;
		const index = (o: Operation) => (flags & popTwice ? Value.i32(1) : o.registerNumber(1));
		if (flags & toEflags)
			table.define(
				pattern,
				(o) => {
					wait(o);
					const [found] = fast(o, compareToFlags, [index(o), pops], helper) as [Value];
					remember(o, false);
					flagsOfComparison(o, found.and(Status.c0), found.and(Status.c3));
				},
				options,
			);
		else
			table.define(
				pattern,
				registerRow(helper, compareRegister, (o) => [index(o), pops]),
				options,
			);
	};
	define(/^Fcom_st0_sti(_DCD0)?$/, 0);
	define(/^Fcomp_st0_sti(_DCD8|_DED0)?$/, pop);
	define(/^Fcompp$/, popTwice);
	define(/^Fucom_st0_sti$/, quiet);
	define(/^Fucomp_st0_sti$/, quiet | pop);
	define(/^Fucompp$/, quiet | popTwice);
	define(/^Fcomi_st0_sti$/, toEflags);
	define(/^Fcomip_st0_sti$/, toEflags | pop);
	define(/^Fucomi_st0_sti$/, quiet | toEflags);
	define(/^Fucomip_st0_sti$/, quiet | toEflags | pop);
	const withNothing = () => [Value.i64(0), NOTHING];
	table.define(/^Ftst$/, registerRow(["x87:compare", withZero], compareInteger, withNothing), options);
}

/** ZF and CF as FCOMI sets them of ordered operands; the others become 0 (isa/flags.ts). */
function flagsOfComparison(o: Operation, less: Value, equal: Value): void {
	const isEqual = o.f.let(equal.ne(0));
	const carry = less.select(Value.i32(Aux.carry | Aux.partialOverflow), NOTHING);
	// The result 0 has even parity.
	o.setFlags(isEqual.eqz().extendU(), carry.or(isEqual.shl(Aux.parityShift)));
}
