// The arithmetic flags in lazy form. An instruction stores its result and, in one word, the carries that went through the
// adder; each flag is then a few bit operations when somebody asks. The method is the one of carry-out vectors: bit n of
// the vector is the carry (borrow) out of bit n.
//
//   State.flagsResult (i64)  the result, sign-extended
//   State.flagsAux (i32)     bit 31: CF; bit 30: CF xor OF; bits 15:8: xor-ed into the low byte of the result for PF;
//                            bit 3: AF; bit 0: xor-ed into the sign of the result for SF
//
// ZF = (flagsResult == 0); SF = sign(flagsResult) xor aux.0; PF = even parity of (low byte xor aux.15:8);
// CF = aux.31; OF = aux.31 xor aux.30; AF = aux.3.

import { Value, ValueType } from "./emit/value.ts";
import type { Operation } from "./operation.ts";
import { State } from "./state.ts";

export const Aux = { carry: 0x80000000 | 0, partialOverflow: 0x40000000, adjust: 8, parityShift: 8, sign: 1 } as const;

/** Numbers of the conditions that are flags by themselves. */
const Condition = { b: 2, e: 4, s: 8 } as const;

/** EFLAGS bits (SDM Vol. 1 §3.4.3). */
export const Eflags = {
	cf: 1,
	pf: 4,
	af: 0x10,
	zf: 0x40,
	sf: 0x80,
	tf: 0x100,
	if: 0x200,
	df: 0x400,
	of: 0x800,
} as const;

/** The result of an operation of `size` bytes, sign-extended to i64. */
export function signExtend(value: Value, size: number): Value {
	if (size === 8) return value;
	if (size === 4) return value.extendS();
	return (size === 2 ? value.extend16S() : value.extend8S()).extendS();
}

/** Moves a carry-out vector of `size` bytes so that the carry of its top bit is bit 31, keeping the carry out of bit 3. */
function auxOfCarries(carries: Value, size: number): Value {
	const mask = Aux.carry | Aux.partialOverflow | Aux.adjust;
	if (size === 4) return carries.and(mask);
	if (size === 8)
		return carries
			.shrU(32)
			.wrap()
			.and(Aux.carry | Aux.partialOverflow)
			.or(carries.wrap().and(Aux.adjust));
	return carries
		.shl(size === 2 ? 16 : 24)
		.and(Aux.carry | Aux.partialOverflow)
		.or(carries.and(Aux.adjust));
}

function store(o: Operation, result: Value, aux: Value, size: number): void {
	o.setFlags(signExtend(result, size), aux);
}

/** flagsAux after a + b (+ carry) = result; the carry-out vector is kept by `keep`. */
export function auxOfAdd(size: number, a: Value, b: Value, result: Value, keep: (value: Value) => Value): Value {
	return auxOfCarries(keep(a.and(b).or(a.or(b).and(result.not()))), size);
}

/** flagsAux after a - b (- borrow) = result. */
export function auxOfSubtract(size: number, a: Value, b: Value, result: Value, keep: (value: Value) => Value): Value {
	return auxOfCarries(keep(a.not().and(b).or(a.not().or(b).and(result))), size);
}

/** Flags of a + b (+ carry) = result. All are usable many times. */
export function flagsOfAdd(o: Operation, size: number, a: Value, b: Value, result: Value, withCarry = false): void {
	if (o.deferFlags(withCarry ? "addWithCarry" : "add", size, result, a, b)) return;
	store(
		o,
		result,
		auxOfAdd(size, a, b, result, (value) => o.f.let(value)),
		size,
	);
}

/** Flags of a - b (- borrow) = result. a and b are zero-extended. */
export function flagsOfSubtract(
	o: Operation,
	size: number,
	a: Value,
	b: Value,
	result: Value,
	withBorrow = false,
): void {
	if (o.deferFlags(withBorrow ? "subtractWithBorrow" : "subtract", size, result, a, b)) return;
	store(
		o,
		result,
		auxOfSubtract(size, a, b, result, (value) => o.f.let(value)),
		size,
	);
}

/** Flags of AND, OR, XOR, TEST: CF, OF and (undefined by the SDM, cleared here as processors do) AF are 0. */
export function flagsOfLogic(o: Operation, size: number, result: Value): void {
	if (o.deferFlags("logic", size, result)) return;
	store(o, result, Value.i32(0), size);
}

/** INC and DEC: as an addition or subtraction of 1, but CF stays. */
export function flagsOfIncrement(o: Operation, size: number, old: Value, result: Value, decrement: boolean): void {
	const one = old.type === ValueType.i64 ? Value.i64(1) : Value.i32(1);
	const carries = o.f.let(
		decrement ? old.not().and(one).or(old.not().or(one).and(result)) : old.and(one).or(old.or(one).and(result.not())),
	);
	const fresh = o.f.let(auxOfCarries(carries, size));
	// Keep CF; bit 30 is CF xor OF, so it changes with the CF that is put in.
	const carryChange = o.f.let(carryFlag(o).shl(31).xor(fresh).and(Aux.carry));
	store(o, result, fresh.xor(carryChange).xor(carryChange.shrU(1)), size);
}

/** Sets CF and OF from i32 values that are 0 or 1 and the rest from the result; AF becomes 0. */
export function flagsOfResult(o: Operation, size: number, result: Value, carry: Value, overflow: Value): void {
	const c = o.f.let(carry);
	store(o, result, c.shl(31).or(c.xor(overflow).shl(30)), size);
}

/** Changes CF and OF (i32, 0 or 1) and keeps the other flags. */
export function setCarryOverflow(o: Operation, carry: Value, overflow: Value): void {
	const c = o.f.let(carry);
	o.setState32(State.flagsAux, o.state32(State.flagsAux).and(0x3fffffff).or(c.shl(31)).or(c.xor(overflow).shl(30)));
}

/** Changes CF (i32, 0 or 1) and keeps the other flags. */
export function setCarry(o: Operation, carry: Value): void {
	const overflow = o.f.let(overflowFlag(o));
	setCarryOverflow(o, carry, overflow);
}

/** Changes ZF and keeps the other flags; `zero` is i32, 0 or 1. */
export function setZero(o: Operation, zero: Value): void {
	const sign = o.f.let(signFlag(o));
	const parity = o.f.let(parityFlag(o));
	// A zero result has SF 0 and PF 1, a result of 1 has SF 0 and PF 0; the corrections make up the difference.
	const z = o.f.let(zero);
	o.setState64(State.flagsResult, z.eqz().extendU());
	const parityDelta = parity.xor(z);
	o.setState32(
		State.flagsAux,
		o
			.state32(State.flagsAux)
			.and(0xc0000008 | 0)
			.or(sign)
			.or(parityDelta.shl(Aux.parityShift)),
	);
}

/** Sets SF, ZF, PF, CF, OF, AF from EFLAGS bits at their places in `bits` (i32). */
export function setArithmeticFlags(o: Operation, bits: Value): void {
	const b = o.f.let(bits);
	const zero = o.f.let(b.shrU(6).and(1));
	o.setState64(State.flagsResult, zero.xor(1).extendU());
	const carry = o.f.let(b.and(1));
	const aux = carry
		.shl(31)
		.or(carry.xor(b.shrU(11).and(1)).shl(30))
		.or(b.and(Eflags.af).shrU(1))
		.or(b.shrU(7).and(1))
		.or(b.shrU(2).and(1).xor(zero).shl(Aux.parityShift));
	o.setState32(State.flagsAux, aux);
}

/** i32: SF, ZF, AF, PF, CF, OF at their places in EFLAGS. */
export function arithmeticFlags(o: Operation): Value {
	return carryFlag(o)
		.or(parityFlag(o).shl(2))
		.or(o.state32(State.flagsAux).and(Aux.adjust).shl(1))
		.or(zeroFlag(o).shl(6))
		.or(signFlag(o).shl(7))
		.or(overflowFlag(o).shl(11));
}

// Each of these is an i32 that is 0 or 1.

export function carryFlag(o: Operation): Value {
	return o.knownCondition(Condition.b) ?? o.state32(State.flagsAux).shrU(31);
}

export function zeroFlag(o: Operation): Value {
	return o.knownCondition(Condition.e) ?? o.state64(State.flagsResult).eqz();
}

export function signFlag(o: Operation): Value {
	const known = o.knownCondition(Condition.s);
	if (known) return known;
	return o.state64(State.flagsResult).shrU(63).wrap().xor(o.state32(State.flagsAux).and(1));
}

export function overflowFlag(o: Operation): Value {
	const aux = o.f.let(o.state32(State.flagsAux));
	return aux.xor(aux.shl(1)).shrU(31);
}

export function parityFlag(o: Operation): Value {
	const byte = o.state64(State.flagsResult).wrap().xor(o.state32(State.flagsAux).shrU(Aux.parityShift)).and(0xff);
	return byte.popcnt().and(1).xor(1);
}

/** i32, 0 or nonzero: the condition with the encoding's number 0..15 (O NO B AE E NE BE A S NS P NP L GE LE G; SDM Vol. 1 Appendix B). */
export function condition(o: Operation, code: number): Value {
	const known = o.knownCondition(code & ~1);
	if (known) return code & 1 ? known.eqz() : known;
	let value: Value;
	switch (code >> 1) {
		case 0:
			value = overflowFlag(o);
			break;
		case 1:
			value = carryFlag(o);
			break;
		case 2:
			value = zeroFlag(o);
			break;
		case 3:
			value = carryFlag(o).or(zeroFlag(o));
			break;
		case 4:
			value = signFlag(o);
			break;
		case 5:
			value = parityFlag(o);
			break;
		case 6:
			value = signFlag(o).xor(overflowFlag(o));
			break;
		default:
			value = signFlag(o).xor(overflowFlag(o)).or(zeroFlag(o));
	}
	return code & 1 ? value.eqz() : value;
}

/** Condition number by the letters of the mnemonic. */
export const conditionNumber: Readonly<Record<string, number>> = {
	o: 0,
	no: 1,
	b: 2,
	ae: 3,
	e: 4,
	ne: 5,
	be: 6,
	a: 7,
	s: 8,
	ns: 9,
	p: 10,
	np: 11,
	l: 12,
	ge: 13,
	le: 14,
	g: 15,
};
