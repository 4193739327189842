// Addition, subtraction, comparison, negation, exchange-and-add (SDM Vol. 2, ADD ADC SUB SBB CMP INC DEC NEG XADD CMPXCHG).

import { Value, ValueType } from "../emit/value.ts";
import { carryFlag, flagsOfAdd, flagsOfIncrement, flagsOfSubtract, setZero, zeroFlag } from "../flags.ts";
import { Gpr, type Operation, wordType } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

function add(o: Operation, withCarry: boolean): void {
	const size = o.size(0);
	o.modify(0, (old) => {
		const b = o.f.let(o.readAs(1, size));
		const sum = old.add(b);
		const result = o.f.let(withCarry ? sum.add(carryFlag(o).as(old.type)) : sum);
		flagsOfAdd(o, size, old, b, result, withCarry);
		return result;
	});
}

function subtract(o: Operation, withBorrow: boolean): void {
	const size = o.size(0);
	o.modify(0, (old) => {
		const b = o.f.let(o.readAs(1, size));
		const difference = old.sub(b);
		const result = o.f.let(withBorrow ? difference.sub(carryFlag(o).as(old.type)) : difference);
		flagsOfSubtract(o, size, old, b, result, withBorrow);
		return result;
	});
}

function compare(o: Operation): void {
	const size = o.size(0);
	const a = o.f.let(o.read(0));
	const b = o.f.let(o.readAs(1, size));
	flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
}

function increment(o: Operation, decrement: boolean): void {
	o.modify(0, (old) => {
		const result = o.f.let(decrement ? old.sub(1) : old.add(1));
		flagsOfIncrement(o, o.size(0), old, result, decrement);
		return result;
	});
}

function negate(o: Operation): void {
	o.modify(0, (old) => {
		const zero = old.type === ValueType.i64 ? Value.i64(0) : Value.i32(0);
		const result = o.f.let(old.neg());
		flagsOfSubtract(o, o.size(0), zero, old, result);
		return result;
	});
}

function exchangeAndAdd(o: Operation): void {
	const size = o.size(0);
	const before = o.f.variable(wordType(size));
	o.modify(0, (old) => {
		const b = o.f.let(o.read(1));
		const result = o.f.let(old.add(b));
		flagsOfAdd(o, size, old, b, result);
		o.f.set(before, old);
		// With one register as both operands the sum is what stays.
		if (!o.memoryForm) o.write(1, old);
		return result;
	});
	if (o.memoryForm) o.write(1, before.get);
}

function compareAndExchange(o: Operation): void {
	const size = o.size(0);
	const before = o.f.variable(wordType(size));
	const equal = o.f.variable(ValueType.i32);
	if (!o.memoryForm) {
		// Memory is written whatever the comparison says; a register that keeps its value keeps its upper half too.
		const accumulator = o.f.let(o.gpr(Gpr.rax, size));
		const old = o.f.let(o.read(0));
		flagsOfSubtract(o, size, accumulator, old, o.f.let(accumulator.sub(old)));
		o.f.if(
			zeroFlag(o),
			() => o.write(0, o.read(1)),
			() => o.setGpr(Gpr.rax, size, old),
		);
		return;
	}
	o.modify(0, (old) => {
		const accumulator = o.f.let(o.gpr(Gpr.rax, size));
		flagsOfSubtract(o, size, accumulator, old, o.f.let(accumulator.sub(old)));
		o.f.set(before, old);
		o.f.set(equal, zeroFlag(o));
		return equal.get.select(o.f.let(o.read(1)), old);
	});
	o.f.if(equal.get.eqz(), () => o.setGpr(Gpr.rax, size, before.get));
}

/** CMPXCHG8B: EDX:EAX with 64 bits of memory. Only ZF changes. */
function compareAndExchange8(o: Operation): void {
	const { i64 } = ValueType;
	const place = o.modifyPlace(8);
	const old = o.f.let(o.f.load(i64, 8, place.address));
	const half = (register: number) => o.gpr(register, 4).extendU();
	const expected = half(Gpr.rdx).shl(32).or(half(Gpr.rax));
	const replacement = o.f.let(half(Gpr.rcx).shl(32).or(half(Gpr.rbx)));
	const equal = o.f.let(old.eq(expected));
	o.f.store(8, place.address, equal.select(replacement, old));
	place.commit();
	o.f.if(equal.eqz(), () => {
		o.setGpr(Gpr.rax, 4, old.wrap());
		o.setGpr(Gpr.rdx, 4, old.shrU(32).wrap());
	});
	setZero(o, equal);
}

export function defineArithmetic(table: InstructionTable): void {
	table.define(/^Add_/, (o) => add(o, false));
	table.define(/^Adc_/, (o) => add(o, true));
	table.define(/^Sub_/, (o) => subtract(o, false));
	table.define(/^Sbb_/, (o) => subtract(o, true));
	table.define(/^Cmp_/, compare);
	table.define(/^Inc_/, (o) => increment(o, false));
	table.define(/^Dec_/, (o) => increment(o, true));
	table.define(/^Neg_/, negate);
	table.define(/^Xadd_/, exchangeAndAdd);
	table.define(/^Cmpxchg_rm/, compareAndExchange);
	table.define(/^Cmpxchg8b_m64$/, compareAndExchange8);
}
