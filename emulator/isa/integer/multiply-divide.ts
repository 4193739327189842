// MUL, IMUL, DIV, IDIV (SDM Vol. 2). After a multiplication SF, ZF, AF and PF are undefined; after a division all flags are.

import { Value, ValueType } from "../emit/value.ts";
import { flagsOfResult, signExtend } from "../flags.ts";
import { Gpr, type Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { State } from "../state.ts";

const { i64 } = ValueType;
const DIVIDE_ERROR = 0;

/** i64: the high half of the unsigned 128-bit product. */
function multiplyHighUnsigned(o: Operation, a: Value, b: Value): Value {
	const low = (value: Value) => value.and(Value.i64(0xffffffffn));
	const al = o.f.let(low(a));
	const ah = o.f.let(a.shrU(32));
	const bl = o.f.let(low(b));
	const bh = o.f.let(b.shrU(32));
	const middle = o.f.let(ah.mul(bl).add(al.mul(bl).shrU(32)));
	const other = o.f.let(al.mul(bh).add(low(middle)));
	return o.f.let(ah.mul(bh).add(middle.shrU(32)).add(other.shrU(32)));
}

function multiplyHighSigned(o: Operation, a: Value, b: Value): Value {
	const high = multiplyHighUnsigned(o, a, b);
	return o.f.let(high.sub(a.shrS(63).and(b)).sub(b.shrS(63).and(a)));
}

/** One-operand forms: rDX:rAX = rAX * source (AX = AL * source). */
function multiply(o: Operation, signed: boolean): void {
	const size = o.size(0);
	const source = o.f.let(o.read(0));
	const accumulator = o.f.let(o.gpr(Gpr.rax, size));
	if (size === 8) {
		const low = o.f.let(accumulator.mul(source));
		const high = signed ? multiplyHighSigned(o, accumulator, source) : multiplyHighUnsigned(o, accumulator, source);
		o.setGpr(Gpr.rax, 8, low);
		o.setGpr(Gpr.rdx, 8, high);
		const overflow = o.f.let(signed ? high.ne(low.shrS(63)) : high.eqz().eqz());
		flagsOfResult(o, size, low, overflow, overflow);
		return;
	}
	const widen = (value: Value) => (signed ? signExtend(value, size) : value.extendU());
	const product = o.f.let(widen(accumulator).mul(widen(source)));
	const low = o.f.let(product.wrap());
	if (size === 1) o.setGpr(Gpr.rax, 2, low);
	else {
		o.setGpr(Gpr.rax, size, low);
		o.setGpr(Gpr.rdx, size, product.shrU(size * 8).wrap());
	}
	const fits = signed
		? signExtend(low, size)
		: size === 4
			? low.extendU()
			: low.and(size === 1 ? 0xff : 0xffff).extendU();
	const overflow = o.f.let(product.ne(fits));
	flagsOfResult(o, size, low, overflow, overflow);
}

/** Two- and three-operand IMUL: the destination gets the low half. */
function multiplyTo(o: Operation): void {
	const size = o.size(0);
	const a = o.f.let(o.read(o.operands.length === 3 ? 1 : 0));
	const b = o.f.let(o.operands.length === 3 ? o.immediate(size) : o.read(1));
	if (size === 8) {
		const low = o.f.let(a.mul(b));
		const overflow = o.f.let(multiplyHighSigned(o, a, b).ne(low.shrS(63)));
		o.write(0, low);
		flagsOfResult(o, size, low, overflow, overflow);
		return;
	}
	const product = o.f.let(signExtend(a, size).mul(signExtend(b, size)));
	const low = o.f.let(product.wrap());
	const overflow = o.f.let(product.ne(signExtend(low, size)));
	o.write(0, low);
	flagsOfResult(o, size, low, overflow, overflow);
}

function divide(o: Operation, signed: boolean): void {
	const size = o.size(0);
	const divisor = o.f.let(o.read(0));
	if (size === 8) {
		divide64(o, divisor, signed);
		return;
	}
	o.f.if(divisor.eqz(), () => o.raise(DIVIDE_ERROR));
	const low = size === 1 ? o.gpr(Gpr.rax, 2) : o.gpr(Gpr.rax, size);
	let dividend: Value;
	if (size === 4) dividend = o.gpr(Gpr.rdx, 4).extendU().shl(32).or(low.extendU());
	else if (size === 2) dividend = o.gpr(Gpr.rdx, 2).shl(16).or(low).as(i64);
	else dividend = low.extendU();
	if (signed && size < 4) dividend = size === 2 ? dividend.extend32S() : dividend.extend16S();
	const wide = o.f.let(dividend);
	const by = o.f.let(signed ? signExtend(divisor, size) : divisor.extendU());
	// WebAssembly traps on the one quotient that does not fit an i64; it is a divide error at every size.
	if (signed && size === 4)
		o.f.if(wide.eq(Value.i64(-0x8000000000000000n)).and(by.eq(Value.i64(-1))), () => o.raise(DIVIDE_ERROR));
	const quotient = o.f.let(signed ? wide.divS(by) : wide.divU(by));
	const remainder = o.f.let(signed ? wide.remS(by) : wide.remU(by));
	const fits = signed ? quotient.eq(signExtend(quotient.wrap(), size)) : quotient.shrU(size * 8).eqz();
	o.f.if(fits.eqz(), () => o.raise(DIVIDE_ERROR));
	if (size === 1) o.setGpr(Gpr.rax, 2, quotient.wrap().and(0xff).or(remainder.wrap().and(0xff).shl(8)));
	else {
		o.setGpr(Gpr.rax, size, quotient.wrap());
		o.setGpr(Gpr.rdx, size, remainder.wrap());
	}
}

/** 128 by 64 bits. The usual case, a dividend that fits 64 bits, is done here; the rest by the helper "divide128". */
function divide64(o: Operation, divisor: Value, signed: boolean): void {
	const low = o.f.let(o.gpr(Gpr.rax, 8));
	const high = o.f.let(o.gpr(Gpr.rdx, 8));
	const small = signed
		? high.eq(low.shrS(63)).and(divisor.add(1).gtU(Value.i64(1)))
		: high.eqz().and(divisor.eqz().eqz());
	o.f.if(
		small,
		() => {
			const quotient = o.f.let(signed ? low.divS(divisor) : low.divU(divisor));
			const remainder = o.f.let(signed ? low.remS(divisor) : low.remU(divisor));
			o.setGpr(Gpr.rax, 8, quotient);
			o.setGpr(Gpr.rdx, 8, remainder);
		},
		() => {
			o.setState64(State.helperResult, divisor);
			o.helper("divide128", signed ? 1 : 0);
		},
	);
}

export function defineMultiplyDivide(table: InstructionTable): void {
	table.define(/^Mul_/, (o) => multiply(o, false), { cold: true });
	table.define(/^Imul_rm\d+$/, (o) => multiply(o, true), { cold: true });
	table.define(/^Imul_r\d+_rm\d+(_imm\d+)?$/, multiplyTo);
	table.define(/^Div_/, (o) => divide(o, false), { cold: true });
	table.define(/^Idiv_/, (o) => divide(o, true), { cold: true });
}
