// What only helpers do, and the control instructions (SDM Vol. 1 §8.3.7 to §8.3.11).

import type { Routine } from "../emit/routine.ts";
import { Value } from "../emit/value.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable, RowOptions } from "../row.ts";
import { requireAlignment } from "../sse/operands.ts";
import { State } from "../state.ts";
import { ImageFlag } from "./forms.ts";
import { FXSAVE_BYTES, fxrstor, fxsave, XSAVE_BYTES, xrstor, xsave } from "./routines/image.ts";
import { unmasked } from "./routines/words.ts";
import { type HelperCall, helperRow, loadSource, options, wait } from "./rows.ts";

const XSAVE_OPTIONS = { cold: true } as const;

export function defineOther(table: InstructionTable): void {
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

export function defineControl(table: InstructionTable): void {
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
		const wide = Value.i32(flag === 0 ? 0 : 1);
		const define = (name: string, row: (o: Operation) => void, rowOptions: RowOptions) =>
			table.define(new RegExp(`^${name}${suffix}_m(512byte|em)$`), row, rowOptions);
		const aligned = (row: (o: Operation) => void) => (o: Operation) => {
			requireAlignment(o);
			row(o);
		};
		define("Fxsave", aligned(imageRow(["x87:fxsave", flag], "write", FXSAVE_BYTES, fxsave, wide)), options);
		define("Fxrstor", aligned(imageRow(["x87:fxrstor", flag], "read", FXSAVE_BYTES, fxrstor, wide)), options);
		// These check CR4.OSXSAVE and CR0.TS themselves; CR0.EM does not stop them (SDM Vol. 1 §13.5.1).
		const plain = Value.i32(0);
		const optimized = Value.i32(1);
		define("Xsave", imageRow(["x87:xsave", flag], "write", XSAVE_BYTES, xsave, wide, plain), XSAVE_OPTIONS);
		define("Xsaveopt", imageRow(["x87:xsaveopt", flag], "write", XSAVE_BYTES, xsave, wide, optimized), XSAVE_OPTIONS);
		define("Xrstor", imageRow(["x87:xrstor", flag], "read", XSAVE_BYTES, xrstor, wide), XSAVE_OPTIONS);
	}
}

/** An image of so many bytes: the routine's when they lie in one page that is at hand. */
function imageRow(
	[name, parameter]: HelperCall,
	access: "read" | "write",
	size: number,
	routine: Routine,
	...rest: readonly Value[]
): (o: Operation) => void {
	return (o) => {
		const instead = () => o.helperInstead(name, parameter);
		const at = o.directPlace(access, size, instead);
		o.call(routine, [at, ...rest], instead);
	};
}

function storeWord(o: Operation, value: Value): void {
	const place = o.writePlace(2);
	o.f.store(2, place.address, value);
	place.commit();
}
