// Loads, stores, constants, and what changes single registers (SDM Vol. 1 §8.3.3, §8.3.4, §8.3.5).

import type { Routine } from "../emit/routine.ts";
import { Value } from "../emit/value.ts";
import { condition } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";
import { constants } from "./constants.ts";
import { DataFormat, StoreFlag } from "./forms.ts";
import { roundToInteger, toDouble, toInteger, toSingle } from "./routines/conversion.ts";
import { squareRoot } from "./routines/square-root.ts";
import {
	changeSign,
	conditionalCopy,
	copyTop,
	examine,
	exchange,
	freeAndRotate,
	NO_REGISTER,
	push,
	pushRegister,
	topAsItIs,
} from "./routines/stack.ts";
import { Control, INTEGER_BIT, popTags, SIGN, statusAfter, statusWord, storeStatus } from "./routines/words.ts";
import {
	fast,
	type HelperCall,
	helperRow,
	loadSource,
	type MemoryFormat,
	memoryFormats,
	memoryRow,
	NOTHING,
	options,
	registerRow,
	remember,
	wait,
} from "./rows.ts";

export function defineLoads(table: InstructionTable): void {
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

export function defineStores(table: InstructionTable): void {
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

export function defineMoves(table: InstructionTable): void {
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
