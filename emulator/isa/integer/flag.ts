// Flag instructions that need no privilege: CLC STC CMC CLD STD LAHF SAHF SALC (SDM Vol. 2).

import { Value } from "../emit/value.ts";
import { arithmeticFlags, carryFlag, Eflags, overflowFlag, setArithmeticFlags, setCarry } from "../flags.ts";
import { Gpr } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";

export function defineFlag(table: InstructionTable): void {
	table.define(/^Clc$/, (o) => setCarry(o, Value.i32(0)));
	table.define(/^Stc$/, (o) => setCarry(o, Value.i32(1)));
	table.define(/^Cmc$/, (o) => setCarry(o, carryFlag(o).xor(1)));
	table.define(/^Cld$/, (o) => o.setState32(State.flagsRest, o.state32(State.flagsRest).and(~Eflags.df)));
	table.define(/^Std$/, (o) => o.setState32(State.flagsRest, o.state32(State.flagsRest).or(Eflags.df)));
	table.define(/^Lahf$/, (o) => {
		const high = o.f.let(arithmeticFlags(o).and(0xd5).or(2));
		o.setGpr(Gpr.rax, 2, o.gpr(Gpr.rax, 1).or(high.shl(8)));
	});
	table.define(/^Sahf$/, (o) => {
		const high = o.gpr(Gpr.rax, 2).shrU(8);
		setArithmeticFlags(o, high.and(0xd5).or(overflowFlag(o).shl(11)));
	});
	table.define(/^Salc$/, (o) => o.setGpr(Gpr.rax, 1, carryFlag(o).neg()));
}
