// DAA DAS AAA AAS AAM AAD (SDM Vol. 2): 16- and 32-bit code only.

import type { Value } from "../emit/value.ts";
import { Aux, carryFlag, flagsOfLogic, setArithmeticFlags } from "../flags.ts";
import { Gpr, type Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";

function adjustFlag(o: Operation): Value {
	return o.state32(State.flagsAux).and(Aux.adjust).shrU(3);
}

/** SF, ZF and PF of a byte, with AF and CF (i32, 0 or 1) and OF 0 (undefined by the SDM). */
function flagsOfByte(o: Operation, byte: Value, adjust: Value, carry: Value): void {
	const sign = byte.and(0x80);
	const zero = byte.and(0xff).eqz().shl(6);
	const parity = byte.and(0xff).popcnt().and(1).xor(1).shl(2);
	setArithmeticFlags(o, carry.or(adjust.shl(4)).or(sign).or(zero).or(parity));
}

function decimalAdjust(o: Operation, subtract: boolean): void {
	const f = o.f;
	const old = f.let(o.gpr(Gpr.rax, 1));
	const oldCarry = f.let(carryFlag(o));
	const lowAdjust = f.let(old.and(15).gtU(9).or(adjustFlag(o)));
	const highAdjust = f.let(old.gtU(0x99).or(oldCarry));
	const correction = f.let(lowAdjust.mul(6).add(highAdjust.mul(0x60)));
	const result = f.let((subtract ? old.sub(correction) : old.add(correction)).and(0xff));
	// DAS: a borrow out of the first step is a carry as well.
	const carry = f.let(subtract ? highAdjust.or(lowAdjust.and(old.ltU(6))) : highAdjust);
	o.setGpr(Gpr.rax, 1, result);
	flagsOfByte(o, result, lowAdjust, carry);
}

function asciiAdjust(o: Operation, subtract: boolean): void {
	const f = o.f;
	const ax = f.let(o.gpr(Gpr.rax, 2));
	const adjust = f.let(ax.and(15).gtU(9).or(adjustFlag(o)));
	const change = adjust.mul(0x106);
	const result = f.let((subtract ? ax.sub(change) : ax.add(change)).and(0xff0f));
	o.setGpr(Gpr.rax, 2, result);
	flagsOfByte(o, f.let(result.and(0xff)), adjust, adjust);
}

export function defineDecimal(table: InstructionTable): void {
	table.define(/^Daa$/, (o) => decimalAdjust(o, false), { cold: true });
	table.define(/^Das$/, (o) => decimalAdjust(o, true), { cold: true });
	table.define(/^Aaa$/, (o) => asciiAdjust(o, false), { cold: true });
	table.define(/^Aas$/, (o) => asciiAdjust(o, true), { cold: true });
	table.define(
		/^Aam_imm8$/,
		(o) => {
			const base = o.f.let(o.immediate(1));
			o.f.if(base.eqz(), () => o.raise(0));
			const al = o.f.let(o.gpr(Gpr.rax, 1));
			const low = o.f.let(al.remU(base));
			o.setGpr(Gpr.rax, 2, al.divU(base).shl(8).or(low));
			flagsOfLogic(o, 1, low);
		},
		{ cold: true },
	);
	table.define(
		/^Aad_imm8$/,
		(o) => {
			const ax = o.f.let(o.gpr(Gpr.rax, 2));
			const low = o.f.let(
				ax
					.and(0xff)
					.add(ax.shrU(8).mul(o.immediate(1)))
					.and(0xff),
			);
			o.setGpr(Gpr.rax, 2, low);
			flagsOfLogic(o, 1, low);
		},
		{ cold: true },
	);
}
