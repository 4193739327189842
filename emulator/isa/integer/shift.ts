// Shifts and rotates (SDM Vol. 2, SAL/SAR/SHL/SHR, RCL/RCR/ROL/ROR, SHLD, SHRD). A count of zero changes no flag. OF is
// defined for counts of 1 only; for the others these formulas give what processors show.

import { Value, ValueType } from "../emit/value.ts";
import { carryFlag, flagsOfResult, setCarryOverflow, signExtend } from "../flags.ts";
import type { Operation } from "../operation.ts";
import type { InstructionTable } from "../row.ts";

const { i32, i64 } = ValueType;

/** i64: the count, masked to 5 bits, or 6 for 64-bit operands. */
function maskedCount(o: Operation, operand: number, size: number): Value {
	return o.f.let(
		o
			.read(operand)
			.toI32()
			.and(size === 8 ? 63 : 31)
			.extendU(),
	);
}

/** The bit of `value` (i64) at a position (i64 or plain), as i32. */
function bit(value: Value, position: Value | number): Value {
	return value.shrU(position).and(Value.i64(1)).wrap();
}

type Shift = (
	wide: Value,
	count: Value,
	bits: number,
) => { result: Value; carry: Value; overflow: (result: Value, carry: Value) => Value };

/** `wide` is the old value zero-extended to i64. Carry formulas hold for counts of at least 1. */
const shifts: Record<string, Shift> = {
	shl: (wide, count, bits) => ({
		result: wide.shl(count),
		carry: bits === 64 ? bit(wide, Value.i64(64).sub(count)) : bit(wide.shl(count), bits),
		overflow: (result, carry) => bit(result, bits - 1).xor(carry),
	}),
	shr: (wide, count, bits) => ({
		result: wide.shrU(count),
		carry: bit(wide, count.sub(1)),
		overflow: () => bit(wide, bits - 1),
	}),
	sar: (wide, count, bits) => {
		const extended = bits === 64 ? wide : signExtend(wide.wrap(), bits / 8);
		return { result: extended.shrS(count), carry: bit(extended.shrS(count.sub(1)), 0), overflow: () => Value.i32(0) };
	},
};

function shift(o: Operation, kind: Shift): void {
	const size = o.size(0);
	const count = maskedCount(o, 1, size);
	o.modify(0, (old) => {
		const wide = o.f.let(old.toI64U());
		const { result, carry, overflow } = kind(wide, count, size * 8);
		const kept = o.f.let(result);
		o.f.if(count.eqz().eqz(), () => {
			const carried = o.f.let(carry);
			const word = size === 8 ? kept : kept.wrap();
			flagsOfResult(o, size, word, carried, o.f.let(overflow(kept, carried)));
		});
		return size === 8 ? kept : kept.wrap();
	});
}

function rotate(o: Operation, left: boolean): void {
	const size = o.size(0);
	const bits = size * 8;
	const count = maskedCount(o, 1, size);
	o.modify(0, (old) => {
		let result: Value;
		if (size === 8) result = left ? old.rotl(count) : old.rotr(count);
		else if (size === 4) result = left ? old.rotl(count.wrap()) : old.rotr(count.wrap());
		else {
			const by = o.f.let(count.wrap().and(bits - 1));
			const back = Value.i32(bits).sub(by);
			result = left ? old.shl(by).or(old.shrU(back)) : old.shrU(by).or(old.shl(back));
		}
		const kept = o.f.let(result);
		o.f.if(count.eqz().eqz(), () => {
			const wide = o.f.let(kept.toI64U());
			const top = bit(wide, bits - 1);
			if (left) {
				const carry = o.f.let(bit(wide, 0));
				setCarryOverflow(o, carry, top.xor(carry));
			} else {
				const carry = o.f.let(top);
				setCarryOverflow(o, carry, carry.xor(bit(wide, bits - 2)));
			}
		});
		return kept;
	});
}

/** RCL and RCR rotate size * 8 + 1 bits, CF being the highest. */
function rotateThroughCarry(o: Operation, left: boolean): void {
	const size = o.size(0);
	const bits = size * 8;
	const masked = maskedCount(o, 1, size);
	const count = size >= 4 ? masked : o.f.let(masked.remU(bits + 1));
	o.modify(0, (old) => {
		const wide = o.f.let(old.toI64U());
		const result = o.f.variable(i64);
		o.f.set(result, wide);
		o.f.if(count.eqz().eqz(), () => {
			const carryIn = o.f.let(carryFlag(o).extendU());
			const carry = o.f.variable(i32);
			if (left) {
				// The bits that come back in from the right: those above bit (bits - count), one place lower because CF is between.
				const returned = wide.shrU(1).shrU(Value.i64(bits).sub(count));
				o.f.set(carry, bit(wide, Value.i64(bits).sub(count)));
				o.f.set(
					result,
					wide
						.shl(count)
						.or(carryIn.shl(count.sub(1)))
						.or(returned),
				);
			} else {
				const returned = wide.shl(1).shl(Value.i64(bits).sub(count));
				o.f.set(carry, bit(wide, count.sub(1)));
				o.f.set(
					result,
					wide
						.shrU(count)
						.or(carryIn.shl(Value.i64(bits).sub(count)))
						.or(returned),
				);
			}
			const top = bit(result.get, bits - 1);
			setCarryOverflow(o, carry.get, o.f.let(left ? top.xor(carry.get) : top.xor(bit(result.get, bits - 2))));
		});
		return size === 8 ? result.get : result.get.wrap();
	});
}

/**
 * SHLD and SHRD. For 16-bit operands and counts above 16 the result is undefined; it comes out of destination, source and
 * destination in a row, as on Intel's processors.
 */
function doubleShift(o: Operation, left: boolean): void {
	const size = o.size(0);
	const bits = size * 8;
	const count = maskedCount(o, 2, size);
	o.modify(0, (old) => {
		const a = o.f.let(old.toI64U());
		const b = o.f.let(o.read(1).toI64U());
		const result = o.f.variable(i64);
		o.f.set(result, a);
		o.f.if(count.eqz().eqz(), () => {
			const back = o.f.let(Value.i64(bits).sub(count));
			let carry: Value;
			if (size === 2) {
				const row = o.f.let(a.or(b.shl(16)).or(a.shl(32)));
				carry = o.f.let(left ? bit(row, Value.i64(48).sub(count)) : bit(row, count.sub(1)));
				o.f.set(result, row.shrU(left ? Value.i64(32).sub(count) : count));
			} else {
				carry = o.f.let(left ? bit(a, back) : bit(a, count.sub(1)));
				o.f.set(result, left ? a.shl(count).or(b.shrU(back)) : a.shrU(count).or(b.shl(back)));
			}
			const word = o.f.let(size === 8 ? result.get : result.get.wrap());
			flagsOfResult(o, size, word, carry, o.f.let(bit(a.xor(result.get), bits - 1)));
		});
		return size === 8 ? result.get : result.get.wrap();
	});
}

export function defineShift(table: InstructionTable): void {
	table.define(/^(Shl|Sal)_/, (o) => shift(o, shifts.shl!));
	table.define(/^Shr_/, (o) => shift(o, shifts.shr!));
	table.define(/^Sar_/, (o) => shift(o, shifts.sar!));
	table.define(/^Rol_/, (o) => rotate(o, true));
	table.define(/^Ror_/, (o) => rotate(o, false));
	table.define(/^Rcl_/, (o) => rotateThroughCarry(o, true), { cold: true });
	table.define(/^Rcr_/, (o) => rotateThroughCarry(o, false), { cold: true });
	table.define(/^Shld_/, (o) => doubleShift(o, true), { cold: true });
	table.define(/^Shrd_/, (o) => doubleShift(o, false), { cold: true });
}
