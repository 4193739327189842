// Near jumps, calls and returns, loops (SDM Vol. 2). A target beyond the CS limit, or not canonical, is a fault of the branch.

import { Value } from "../emit/value.ts";
import { condition, conditionNumber, zeroFlag } from "../flags.ts";
import { Gpr, type OperandSize, type Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { sizeOfSuffix } from "./stack.ts";

/** Operand size of a relative branch by the name of its Code: Je_rel8_32, Call_rel16, Jmp_rel32_64, Loop_rel8_16_CX. */
function branchSize(name: string): OperandSize {
	const bits = /_rel(?:8|32)_(16|32|64)/.exec(name)?.[1] ?? "16";
	return (Number(bits) / 8) as OperandSize;
}

/** LOOP and JCXZ count in CX, ECX or RCX; the name ends with it, or begins with it for JCXZ. */
function counterShift(name: string): number {
	if (/(_RCX$|^Jrcxz)/.test(name)) return 0;
	return /(_ECX$|^Jecxz)/.test(name) ? 32 : 48;
}

function counter(o: Operation, shift: number): Value {
	return o.gpr(Gpr.rcx, 8).and(Value.i64(shift === 0 ? -1n : shift === 32 ? 0xffffffffn : 0xffffn));
}

function loop(o: Operation, name: string): void {
	const shift = counterShift(name);
	const mask = Value.i64(shift === 0 ? -1n : shift === 32 ? 0xffffffffn : 0xffffn);
	const next = o.f.let(counter(o, shift).sub(1).and(mask));
	let go = next.eqz().eqz();
	if (name.startsWith("Loope")) go = go.and(zeroFlag(o));
	if (name.startsWith("Loopne")) go = go.and(zeroFlag(o).eqz());
	const store = () => {
		if (shift === 0) o.setGpr(Gpr.rcx, 8, next);
		else o.setGpr(Gpr.rcx, shift === 32 ? 4 : 2, next.wrap());
	};
	o.f.if(
		go,
		() => {
			o.checkRelativeTarget(branchSize(name));
			store();
			o.jumpRelative(branchSize(name));
		},
		store,
	);
}

/** A conditional branch that is taken. */
function take(o: Operation, name: string): void {
	o.checkRelativeTarget(branchSize(name));
	o.jumpRelative(branchSize(name));
}

function returnNear(o: Operation, size: OperandSize, withImmediate: boolean): void {
	const target = o.f.let(o.peekStack(size).toI64U());
	o.checkTarget(target, size);
	o.releaseStack(withImmediate ? o.immediate64().and(Value.i64(0xffff)).add(size) : size);
	o.jumpTo(target, size);
}

export function defineControlTransfer(table: InstructionTable): void {
	const transfer = { endsBlock: true };
	for (const [letters, code] of Object.entries(conditionNumber)) {
		table.define(new RegExp(`^J${letters}_rel`), (o, name) => {
			o.f.if(condition(o, code), () => take(o, name));
		});
	}
	table.define(/^(Loop|Loope|Loopne)_rel8/, loop);
	table.define(/^J(cxz|ecxz|rcxz)_rel8/, (o, name) => {
		o.f.if(counter(o, counterShift(name)).eqz(), () => take(o, name));
	});
	table.define(/^Jmp_rel/, take, transfer);
	table.define(
		/^Call_rel/,
		(o, name) => {
			const size = branchSize(name);
			o.checkRelativeTarget(size);
			const next = o.nextInstruction();
			o.push(size, size === 8 ? next : next.wrap());
			o.jumpRelative(size);
		},
		transfer,
	);
	table.define(
		/^Jmp_rm\d+$/,
		(o) => {
			const target = o.f.let(o.read(0).toI64U());
			o.checkTarget(target, o.size(0));
			o.jumpTo(target, o.size(0));
		},
		transfer,
	);
	table.define(
		/^Call_rm\d+$/,
		(o) => {
			const size = o.size(0);
			const target = o.f.let(o.read(0).toI64U());
			o.checkTarget(target, size);
			const next = o.nextInstruction();
			o.push(size, size === 8 ? next : next.wrap());
			o.jumpTo(target, size);
		},
		transfer,
	);
	table.define(/^Retn[wdq]$/, (o, name) => returnNear(o, sizeOfSuffix(name, "Retn"), false), transfer);
	table.define(/^Retn[wdq]_imm16$/, (o, name) => returnNear(o, sizeOfSuffix(name, "Retn"), true), transfer);
}
