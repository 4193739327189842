// The x87 floating-point instructions (SDM Vol. 1 Chapter 8). Control words and flags are handled in generated code; the
// arithmetic is exact 80-bit arithmetic in TypeScript helpers (cpu/floating-point), named "x87:...".

import { Value, ValueType } from "../emit/value.ts";
import { condition } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { requireAlignment } from "../sse/operands.ts";
import { State } from "../state.ts";
import {
	ArithmeticForm,
	ArithmeticOperation,
	CompareFlag,
	constantMnemonics,
	DataFormat,
	ImageFlag,
	StoreFlag,
} from "./forms.ts";

const { i32, i64 } = ValueType;
const options = { unit: "x87", cold: true } as const;
const XSAVE_OPTIONS = { cold: true } as const;
const ERROR_SUMMARY = 0x80;

/** A waiting instruction: a pending exception comes first (SDM Vol. 1 §8.6). */
function wait(o: Operation): void {
	o.f.if(o.state32(State.x87Status).and(ERROR_SUMMARY), () => o.helper("x87:pending"));
}

/**
 * A waiting instruction that a helper does; its memory operand of `size` bytes, when it is a source, lies in
 * State.exchange.
 */
function helperRow(name: string, parameter = 0, size = 0): (o: Operation) => void {
	return (o) => {
		wait(o);
		if (size !== 0) loadSource(o, size);
		o.helper(name, parameter);
	};
}

function loadSource(o: Operation, size: number): void {
	const { f } = o;
	const place = o.readPlace(size);
	const scratch = Value.i32(State.exchange);
	if (size === 10) {
		const low = f.let(f.load(i64, 8, place.address));
		const high = f.let(f.load(i32, 2, place.address, 8));
		f.store(8, scratch, low);
		f.store(2, scratch, high, 8);
	} else f.store(size, scratch, f.load(size === 8 ? i64 : i32, size, place.address));
}

function defineArithmetic(table: InstructionTable): void {
	const form = (operation: number, kind: number) => operation | (kind << 8);
	for (const [name, operation] of Object.entries(ArithmeticOperation)) {
		const define = (pattern: string, kind: number, size = 0) =>
			table.define(new RegExp(`^${pattern}$`), helperRow("x87:arithmetic", form(operation, kind), size), options);
		define(`F${name}_m32fp`, ArithmeticForm.single, 4);
		define(`F${name}_m64fp`, ArithmeticForm.double, 8);
		define(`Fi${name}_m16int`, ArithmeticForm.integer16, 2);
		define(`Fi${name}_m32int`, ArithmeticForm.integer32, 4);
		if (name === "com" || name === "comp") continue;
		define(`F${name}_st0_sti`, ArithmeticForm.toTop);
		define(`F${name}_sti_st0`, ArithmeticForm.toRegister);
		define(`F${name}p_sti_st0`, ArithmeticForm.toRegisterPop);
	}
}

function defineCompare(table: InstructionTable): void {
	const { quiet, pop, popTwice, toEflags, withZero } = CompareFlag;
	const define = (pattern: RegExp, flags: number) => table.define(pattern, helperRow("x87:compare", flags), options);
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
	define(/^Ftst$/, withZero);
}

function defineTransfer(table: InstructionTable): void {
	const load = (pattern: RegExp, format: number, size: number) =>
		table.define(pattern, helperRow("x87:load", format, size), options);
	load(/^Fld_m32fp$/, DataFormat.single, 4);
	load(/^Fld_m64fp$/, DataFormat.double, 8);
	load(/^Fld_m80fp$/, DataFormat.extended, 10);
	load(/^Fild_m16int$/, DataFormat.integer16, 2);
	load(/^Fild_m32int$/, DataFormat.integer32, 4);
	load(/^Fild_m64int$/, DataFormat.integer64, 8);
	load(/^Fbld_m80bcd$/, DataFormat.decimal, 10);
	load(/^Fld_sti$/, DataFormat.register, 0);

	const store = (pattern: RegExp, parameter: number) =>
		table.define(pattern, helperRow("x87:store", parameter), options);
	const { pop, truncate } = StoreFlag;
	store(/^Fst_m32fp$/, DataFormat.single);
	store(/^Fstp_m32fp$/, DataFormat.single | pop);
	store(/^Fst_m64fp$/, DataFormat.double);
	store(/^Fstp_m64fp$/, DataFormat.double | pop);
	store(/^Fstp_m80fp$/, DataFormat.extended | pop);
	store(/^Fist_m16int$/, DataFormat.integer16);
	store(/^Fistp_m16int$/, DataFormat.integer16 | pop);
	store(/^Fisttp_m16int$/, DataFormat.integer16 | pop | truncate);
	store(/^Fist_m32int$/, DataFormat.integer32);
	store(/^Fistp_m32int$/, DataFormat.integer32 | pop);
	store(/^Fisttp_m32int$/, DataFormat.integer32 | pop | truncate);
	store(/^Fistp_m64int$/, DataFormat.integer64 | pop);
	store(/^Fisttp_m64int$/, DataFormat.integer64 | pop | truncate);
	store(/^Fbstp_m80bcd$/, DataFormat.decimal | pop);
	store(/^Fst_sti$/, DataFormat.register);
	store(/^Fstp_sti(_DFD0|_DFD8)?$/, DataFormat.register | pop);
	store(/^Fstpnce_sti$/, DataFormat.register | pop | StoreFlag.emptyAllowed);

	for (const [index, mnemonic] of constantMnemonics.entries())
		table.define(new RegExp(`^${mnemonic}$`), helperRow("x87:constant", index), options);
	table.define(/^Fxch_st0_sti(_DDC8|_DFC8)?$/, helperRow("x87:fxch"), options);
	for (const [mnemonic, code] of [
		["b", 2],
		["e", 4],
		["be", 6],
		["u", 10],
		["nb", 3],
		["ne", 5],
		["nbe", 7],
		["nu", 11],
	] as const)
		table.define(
			new RegExp(`^Fcmov${mnemonic}_st0_sti$`),
			(o) => {
				wait(o);
				o.f.if(
					condition(o, code),
					() => o.helper("x87:fcmov", 1),
					() => o.helper("x87:fcmov", 0),
				);
			},
			options,
		);
}

function defineOther(table: InstructionTable): void {
	for (const mnemonic of [
		"fchs",
		"fabs",
		"fxam",
		"fsqrt",
		"frndint",
		"fscale",
		"fxtract",
		"fprem",
		"fprem1",
		"f2xm1",
		"fyl2x",
		"fyl2xp1",
		"fptan",
		"fpatan",
		"fsin",
		"fcos",
		"fsincos",
	])
		table.define(new RegExp(`^${mnemonic}$`, "i"), helperRow(`x87:${mnemonic}`), options);
	table.define(/^Fincstp$/, helperRow("x87:rotate", 1), options);
	table.define(/^Fdecstp$/, helperRow("x87:rotate", -1), options);
	table.define(/^Ffree_sti$/, helperRow("x87:ffree", 0), options);
	table.define(/^Ffreep_sti$/, helperRow("x87:ffree", StoreFlag.pop), options);
	table.define(/^Fnop$/, wait, options);
}

function defineControl(table: InstructionTable): void {
	// No-operations since the 80387 (FENI, FDISI: 8087; FSETPM: 80287; SDM Vol. 3B §23.18).
	table.define(/^(Fneni|Fndisi|Fnsetpm|Frstpm)$/, () => {}, options);
	table.define(
		/^Wait$/,
		(o) => {
			// CR0.MP and CR0.TS (SDM Vol. 3A Table 2-2).
			o.f.if(o.state32(State.cr0).and(0xa).eq(0xa), () => o.helper("deviceNotAvailable", 3));
			wait(o);
		},
		{ cold: true },
	);
	table.define(
		/^Fninit$/,
		(o) => {
			o.setState32(State.x87Control, Value.i32(0x37f));
			for (const word of [State.x87Status, State.x87Tag, State.x87Opcode]) o.setState32(word, Value.i32(0));
			o.setState64(State.x87InstructionPointer, Value.i64(0));
			o.setState64(State.x87DataPointer, Value.i64(0));
			o.setState64(State.x87InstructionSelector, Value.i64(0));
		},
		options,
	);
	table.define(/^Fnclex$/, (o) => o.setState32(State.x87Status, o.state32(State.x87Status).and(0x7f00)), options);
	table.define(
		/^Fnstsw_(AX|m2byte)$/,
		(o, name) => {
			if (name === "Fnstsw_AX") o.setGpr(0, 2, o.state32(State.x87Status));
			else storeWord(o, o.state32(State.x87Status));
		},
		options,
	);
	table.define(/^Fnstcw_m2byte$/, (o) => storeWord(o, o.state32(State.x87Control)), options);
	table.define(/^Fldcw_m2byte$/, helperRow("x87:fldcw", 0, 2), options);
	table.define(/^Fnstenv_m14byte$/, (o) => o.helper("x87:saveImage", 0), options);
	table.define(/^Fnstenv_m28byte$/, (o) => o.helper("x87:saveImage", ImageFlag.wide), options);
	table.define(/^Fnsave_m94byte$/, (o) => o.helper("x87:saveImage", ImageFlag.registers), options);
	table.define(/^Fnsave_m108byte$/, (o) => o.helper("x87:saveImage", ImageFlag.registers | ImageFlag.wide), options);
	table.define(/^Fldenv_m14byte$/, helperRow("x87:restoreImage", 0), options);
	table.define(/^Fldenv_m28byte$/, helperRow("x87:restoreImage", ImageFlag.wide), options);
	table.define(/^Frstor_m94byte$/, helperRow("x87:restoreImage", ImageFlag.registers), options);
	table.define(/^Frstor_m108byte$/, helperRow("x87:restoreImage", ImageFlag.registers | ImageFlag.wide), options);
	for (const [suffix, flag] of [
		["", 0],
		["64", ImageFlag.rexW],
	] as const) {
		table.define(new RegExp(`^Fxsave${suffix}_m512byte$`), fastImage("x87:fxsave", flag), options);
		table.define(new RegExp(`^Fxrstor${suffix}_m512byte$`), fastImage("x87:fxrstor", flag), options);
		// These check CR4.OSXSAVE and CR0.TS themselves; CR0.EM does not stop them (SDM Vol. 1 §13.5.1).
		for (const name of ["Xsave", "Xsaveopt", "Xrstor"])
			table.define(
				new RegExp(`^${name}${suffix}_mem$`),
				(o) => o.helper(`x87:${name.toLowerCase()}`, flag),
				XSAVE_OPTIONS,
			);
	}
}

/** FXSAVE, FXRSTOR: the image is aligned to 16 bytes, else #GP(0). */
function fastImage(name: string, parameter: number): (o: Operation) => void {
	return (o) => {
		requireAlignment(o);
		o.helper(name, parameter);
	};
}

function storeWord(o: Operation, value: Value): void {
	const place = o.writePlace(2);
	o.f.store(2, place.address, value);
	place.commit();
}

export function defineX87(table: InstructionTable): void {
	defineArithmetic(table);
	defineCompare(table);
	defineTransfer(table);
	defineOther(table);
	defineControl(table);
}
