// The x87 floating-point instructions (SDM Vol. 1 Chapter 8). What is frequent and goes well with its exceptions masked is done in
// routines of generated code, bit for bit as the helpers do it; everything else is done by those: exact 80-bit arithmetic in TypeScript
// (cpu/floating-point), named "x87:...".

import type { Routine } from "../emit/routine.ts";
import { Value, ValueType } from "../emit/value.ts";
import { Aux, condition } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { requireAlignment } from "../sse/operands.ts";
import { Segment, SegmentSlot, State, segmentSlot } from "../state.ts";
import {
	doubleArithmetic,
	integerArithmetic,
	type OperationName,
	registerArithmetic,
	singleArithmetic,
	squareRoot,
} from "./arithmetic.ts";
import { constants } from "./constants.ts";
import { roundToInteger, toDouble, toInteger, toSingle } from "./conversion.ts";
import { ArithmeticForm, ArithmeticOperation, CompareFlag, DataFormat, ImageFlag, StoreFlag } from "./forms.ts";
import {
	changeSign,
	compareDouble,
	compareInteger,
	compareRegister,
	compareSingle,
	compareToFlags,
	conditionalCopy,
	copyTop,
	examine,
	exchange,
	freeAndRotate,
	NO_REGISTER,
	push,
	pushDouble,
	pushInteger,
	pushRegister,
	pushSingle,
	topAsItIs,
} from "./stack.ts";
import {
	Control,
	INTEGER_BIT,
	popTags,
	SIGN,
	Status,
	statusAfter,
	statusWord,
	storeStatus,
	unmasked,
} from "./words.ts";

const { i32, i64 } = ValueType;
const options = { unit: "x87", cold: true } as const;
const XSAVE_OPTIONS = { cold: true } as const;
const ERROR_SUMMARY = 0x80;
const NOTHING = Value.i32(0);

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
		if (size !== 0) loadSource(o, size).expose();
		o.helper(name, parameter);
	};
}

/** A memory operand that is a source. */
interface Source {
	/** i64 when it is of 8 or 10 bytes: its first 8; else i32, zero-extended. */
	readonly low: Value;
	/** Of 10 bytes: the last two. */
	readonly high: Value;
	/** Puts it where helpers expect it, in State.exchange. */
	expose(): void;
}

function loadSource(o: Operation, size: number): Source {
	const { f } = o;
	const place = o.readPlace(size);
	const scratch = Value.i32(State.exchange);
	const first = Math.min(size, 8);
	const low = f.let(f.load(first === 8 ? i64 : i32, first, place.address));
	const high = size === 10 ? f.let(f.load(i32, 2, place.address, 8)) : NOTHING;
	return {
		low,
		high,
		expose: () => {
			f.store(first, scratch, low);
			if (size === 10) f.store(2, scratch, high, 8);
		},
	};
}

/** What the helper of an instruction is told. */
type HelperCall = readonly [name: string, parameter: number];

/**
 * Calls a routine; when that does nothing, the helper does the whole instruction.
 * @param source its memory operand
 */
function fast(
	o: Operation,
	routine: Routine,
	args: readonly Value[],
	[name, parameter]: HelperCall,
	source?: Pick<Source, "expose">,
): readonly Value[] {
	return o.call(routine, args, () => {
		source?.expose();
		o.helperInstead(name, parameter);
	});
}

/** Remembers the instruction and its memory operand (SDM Vol. 1 §8.1.8); not for control instructions. */
function remember(o: Operation, inMemory: boolean): void {
	o.setState64(State.x87InstructionPointer, o.thisInstruction());
	o.setState32(State.x87InstructionSelector, o.state32(segmentSlot(Segment.cs) + SegmentSlot.selector));
	if (!inMemory) return;
	o.setState64(State.x87DataPointer, o.effectiveAddress());
	o.setState32(State.x87DataSelector, o.f.load(i32, 4, o.segment(), SegmentSlot.selector));
}

/**
 * A waiting instruction without a memory operand. The routine does nothing while an exception is pending, so that it is looked for only
 * then.
 */
function registerRow(
	helper: HelperCall,
	routine: Routine,
	args: (o: Operation) => readonly Value[],
): (o: Operation) => void {
	return (o) => {
		fast(o, routine, args(o), helper, { expose: () => wait(o) });
		remember(o, false);
	};
}

/** The memory operands of arithmetic and loads, the routines that take them, and how their bits are had. */
const memoryFormats = {
	single: {
		...{ size: 4, bits: (low: Value) => low.extendU() },
		...{ arithmetic: singleArithmetic, compare: compareSingle, push: pushSingle },
	},
	double: {
		...{ size: 8, bits: (low: Value) => low },
		...{ arithmetic: doubleArithmetic, compare: compareDouble, push: pushDouble },
	},
	integer16: {
		...{ size: 2, bits: (low: Value) => low.extend16S().extendS() },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
	integer32: {
		...{ size: 4, bits: (low: Value) => low.extendS() },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
	integer64: {
		...{ size: 8, bits: (low: Value) => low },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
} as const;
type MemoryFormat = keyof typeof memoryFormats;

/** A waiting instruction with a source in memory, of which the routine gets the bits, and then the other arguments. */
function memoryRow(
	helper: HelperCall,
	format: MemoryFormat,
	routine: Routine,
	...rest: readonly Value[]
): (o: Operation) => void {
	const { size, bits } = memoryFormats[format];
	return (o) => {
		wait(o);
		const source = loadSource(o, size);
		fast(o, routine, [bits(source.low), ...rest], helper, source);
		remember(o, true);
	};
}

function defineArithmetic(table: InstructionTable): void {
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

function defineCompare(table: InstructionTable): void {
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

function defineLoads(table: InstructionTable): void {
	const load = (pattern: RegExp, format: MemoryFormat) =>
		table.define(pattern, memoryRow(["x87:load", DataFormat[format]], format, memoryFormats[format].push), options);
	load(/^Fld_m32fp$/, "single");
	load(/^Fld_m64fp$/, "double");
	load(/^Fild_m16int$/, "integer16");
	load(/^Fild_m32int$/, "integer32");
	load(/^Fild_m64int$/, "integer64");
	table.define(/^Fbld_m80bcd$/, helperRow("x87:load", DataFormat.decimal, 10), options);
	table.define(
		/^Fld_m80fp$/,
		(o) => {
			wait(o);
			const source = loadSource(o, 10);
			fast(o, push, [source.low, source.high], ["x87:load", DataFormat.extended], source);
			remember(o, true);
		},
		options,
	);
	const index = (o: Operation) => [o.registerNumber(0)];
	table.define(/^Fld_sti$/, registerRow(["x87:load", DataFormat.register], pushRegister, index), options);
	for (const [number, { mnemonic, low, exponent }] of constants.entries()) {
		const isExact = low === 0n || low === INTEGER_BIT;
		table.define(
			new RegExp(`^${mnemonic}$`),
			(o) => {
				wait(o);
				// Rounded otherwise than to nearest, these are the helper's (SDM Vol. 1 §8.3.8).
				const nearest = o.state32(State.x87Control).and(Control.rounding).eqz();
				const high = isExact ? Value.i32(exponent) : nearest.select(Value.i32(exponent), Value.i32(-1));
				fast(o, push, [Value.i64(low), high], ["x87:constant", number]);
				remember(o, false);
			},
			options,
		);
	}
}

/** FST, FIST and so on to memory: the value is made first, then written, and only then has the instruction happened. */
function storeRow(
	parameter: number,
	size: number,
	routine: Routine,
	...args: readonly Value[]
): (o: Operation) => void {
	return (o) => {
		const { f } = o;
		wait(o);
		const [value, flags] = fast(o, routine, args, ["x87:store", parameter]) as [Value, Value];
		const place = o.writePlace(size);
		f.store(size, place.address, value);
		place.commit();
		finishStore(o, flags, parameter);
	};
}

function finishStore(o: Operation, flags: Value, parameter: number): void {
	remember(o, true);
	const pops = Value.i32(parameter & StoreFlag.pop ? 1 : 0);
	const status = statusWord(o.f);
	storeStatus(o.f, statusAfter(status, flags, pops));
	popTags(o.f, status, pops);
}

function defineStores(table: InstructionTable): void {
	const { pop, truncate } = StoreFlag;
	const helper = (pattern: RegExp, parameter: number) =>
		table.define(pattern, helperRow("x87:store", parameter), options);
	for (const [suffix, flag] of [
		["", 0],
		["p", pop],
	] as const) {
		const define = (pattern: string, row: (o: Operation) => void) => table.define(new RegExp(pattern), row, options);
		define(`^Fst${suffix}_m32fp$`, storeRow(DataFormat.single | flag, 4, toSingle));
		define(`^Fst${suffix}_m64fp$`, storeRow(DataFormat.double | flag, 8, toDouble));
	}
	const integer = (pattern: RegExp, format: "integer16" | "integer32" | "integer64", flags: number) => {
		const { size } = memoryFormats[format];
		const largest = Value.i64((1n << BigInt(size * 8 - 1)) - 1n);
		const rounding = Value.i32(flags & truncate ? Control.rounding : 0);
		table.define(pattern, storeRow(DataFormat[format] | flags, size, toInteger, largest, rounding), options);
	};
	integer(/^Fist_m16int$/, "integer16", 0);
	integer(/^Fistp_m16int$/, "integer16", pop);
	integer(/^Fisttp_m16int$/, "integer16", pop | truncate);
	integer(/^Fist_m32int$/, "integer32", 0);
	integer(/^Fistp_m32int$/, "integer32", pop);
	integer(/^Fisttp_m32int$/, "integer32", pop | truncate);
	integer(/^Fistp_m64int$/, "integer64", pop);
	integer(/^Fisttp_m64int$/, "integer64", pop | truncate);
	helper(/^Fbstp_m80bcd$/, DataFormat.decimal | pop);
	table.define(
		/^Fstp_m80fp$/,
		(o) => {
			const { f } = o;
			wait(o);
			const parameter = DataFormat.extended | pop;
			const [low, high] = fast(o, topAsItIs, [], ["x87:store", parameter]) as [Value, Value];
			const place = o.writePlace(10);
			f.store(8, place.address, low);
			f.store(2, place.address, high, 8);
			place.commit();
			finishStore(o, NOTHING, parameter);
		},
		options,
	);
	const toRegister = (pattern: RegExp, flags: number) => {
		const pops = Value.i32(flags & pop ? 1 : 0);
		const args = (o: Operation) => [o.registerNumber(0), pops];
		table.define(pattern, registerRow(["x87:store", DataFormat.register | flags], copyTop, args), options);
	};
	toRegister(/^Fst_sti$/, 0);
	toRegister(/^Fstp_sti(_DFD0|_DFD8)?$/, pop);
	toRegister(/^Fstpnce_sti$/, pop | StoreFlag.emptyAllowed);
}

function defineMoves(table: InstructionTable): void {
	const other = (o: Operation) => [o.registerNumber(1)];
	table.define(/^Fxch_st0_sti(_DDC8|_DFC8)?$/, registerRow(["x87:fxch", 0], exchange, other), options);
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
				const holds = o.f.let(condition(o, code));
				o.call(conditionalCopy, [holds, o.registerNumber(1)], () =>
					o.f.if(
						holds,
						() => o.helperInstead("x87:fcmov", 1),
						() => o.helperInstead("x87:fcmov", 0),
					),
				);
				remember(o, false);
			},
			options,
		);
	const row = (pattern: RegExp, helper: HelperCall, routine: Routine, ...args: readonly Value[]) =>
		table.define(
			pattern,
			registerRow(helper, routine, () => args),
			options,
		);
	row(/^Fchs$/, ["x87:fchs", 0], changeSign, Value.i32(-1), Value.i32(SIGN));
	row(/^Fabs$/, ["x87:fabs", 0], changeSign, Value.i32(~SIGN), NOTHING);
	row(/^Fxam$/, ["x87:fxam", 0], examine);
	row(/^Fsqrt$/, ["x87:fsqrt", 0], squareRoot);
	row(/^Frndint$/, ["x87:frndint", 0], roundToInteger);
	const none = Value.i32(NO_REGISTER);
	row(/^Fincstp$/, ["x87:rotate", 1], freeAndRotate, none, Value.i32(1), NOTHING);
	row(/^Fdecstp$/, ["x87:rotate", -1], freeAndRotate, none, Value.i32(-1), NOTHING);
	const free = (pattern: RegExp, flags: number) => {
		const pops = Value.i32(flags & StoreFlag.pop ? 1 : 0);
		const args = (o: Operation) => [o.registerNumber(0), NOTHING, pops];
		table.define(pattern, registerRow(["x87:ffree", flags], freeAndRotate, args), options);
	};
	free(/^Ffree_sti$/, 0);
	free(/^Ffreep_sti$/, StoreFlag.pop);
}

function defineOther(table: InstructionTable): void {
	for (const mnemonic of [
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
	table.define(
		/^Fldcw_m2byte$/,
		(o) => {
			wait(o);
			const source = loadSource(o, 2);
			// Bits 12:8 and the masks can be set, and bit 6 is 1 (SDM Vol. 1 §8.1.5).
			const control = o.f.let(source.low.and(0x1f3f).or(0x40));
			o.f.if(unmasked(o.state32(State.x87Status), control), () => {
				source.expose();
				o.helperInstead("x87:fldcw", 0);
			});
			o.setState32(State.x87Control, control);
		},
		options,
	);
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
	defineLoads(table);
	defineStores(table);
	defineMoves(table);
	defineOther(table);
	defineControl(table);
}
