// Integer arithmetic with flags, for the instructions that the VMM executes itself. Values are unsigned numbers of 1, 2 or 4
// bytes (SDM Vol. 2, "Operation" and "Flags Affected" of each instruction).

export const Flag = { cf: 1, pf: 4, af: 0x10, zf: 0x40, sf: 0x80, df: 0x400, of: 0x800 } as const;
export const ARITHMETIC_FLAGS = 0x8d5;

export interface Result {
	readonly value: number;
	/** The arithmetic flags. */
	readonly flags: number;
}

function mask(size: number): number {
	return size === 4 ? 0xffffffff : size === 2 ? 0xffff : 0xff;
}

function signBit(size: number): number {
	return size === 4 ? 0x80000000 : size === 2 ? 0x8000 : 0x80;
}

function parity(value: number): number {
	let bits = value & 0xff;
	bits ^= bits >> 4;
	bits ^= bits >> 2;
	bits ^= bits >> 1;
	return bits & 1 ? 0 : Flag.pf;
}

/** PF, ZF and SF of a value. */
function flagsOf(value: number, size: number): number {
	return parity(value) | (value === 0 ? Flag.zf : 0) | (value & signBit(size) ? Flag.sf : 0);
}

export function add(a: number, b: number, carry: number, size: number): Result {
	const sum = a + b + carry;
	const value = size === 4 ? sum >>> 0 : sum & mask(size);
	let flags = flagsOf(value, size);
	if (sum > mask(size)) flags |= Flag.cf;
	if ((a ^ b ^ value) & 0x10) flags |= Flag.af;
	if ((a ^ value) & (b ^ value) & signBit(size)) flags |= Flag.of;
	return { value, flags };
}

export function subtract(a: number, b: number, borrow: number, size: number): Result {
	const difference = a - b - borrow;
	const value = size === 4 ? difference >>> 0 : difference & mask(size);
	let flags = flagsOf(value, size);
	if (difference < 0) flags |= Flag.cf;
	if ((a ^ b ^ value) & 0x10) flags |= Flag.af;
	if ((a ^ b) & (a ^ value) & signBit(size)) flags |= Flag.of;
	return { value, flags };
}

/** AND, OR, XOR, TEST: CF and OF are cleared; AF, undefined, too. */
export function logic(value: number, size: number): Result {
	const unsigned = (value & mask(size)) >>> 0;
	return { value: unsigned, flags: flagsOf(unsigned, size) };
}

/** The eight operations of opcodes 00..3F and 80..83 by number: ADD OR ADC SBB AND SUB XOR CMP. CMP gives the difference; the caller does not store it. */
export function group1(operation: number, a: number, b: number, carry: number, size: number): Result {
	switch (operation) {
		case 0:
			return add(a, b, 0, size);
		case 1:
			return logic(a | b, size);
		case 2:
			return add(a, b, carry, size);
		case 3:
			return subtract(a, b, carry, size);
		case 4:
			return logic(a & b, size);
		case 6:
			return logic(a ^ b, size);
		default:
			return subtract(a, b, 0, size);
	}
}

/** Rotates and shifts of opcodes C0, C1, D0..D3 by number: ROL ROR RCL RCR SHL SHR SAL SAR. `before` are the flags before. */
export function group2(operation: number, a: number, amount: number, before: number, size: number): Result {
	const bits = size * 8;
	let count = amount & 0x1f;
	if (count === 0) return { value: a, flags: before & ARITHMETIC_FLAGS };
	const top = signBit(size);
	let value = a;
	let carry = before & Flag.cf;
	const single = count === 1;
	if (operation < 2) count = count % bits === 0 ? bits : count % bits;
	else if (operation < 4) count %= bits + 1;
	const originalTop = (a & top) !== 0;
	for (let step = 0; step < count; step++) {
		const high = (value & top) !== 0 ? 1 : 0;
		const low = value & 1;
		switch (operation) {
			case 0:
				value = ((value << 1) | high) & mask(size);
				carry = high;
				break;
			case 1:
				value = (value >>> 1) | (low ? top : 0);
				carry = low;
				break;
			case 2:
				value = ((value << 1) | carry) & mask(size);
				carry = high;
				break;
			case 3:
				value = (value >>> 1) | (carry ? top : 0);
				carry = low;
				break;
			case 5:
				value >>>= 1;
				carry = low;
				break;
			case 7:
				value = (value >>> 1) | (high ? top : 0);
				carry = low;
				break;
			default:
				value = (value << 1) & mask(size);
				carry = high;
		}
		value >>>= 0;
	}
	const resultTop = (value & top) !== 0;
	let overflow = before & Flag.of;
	if (single) {
		const set =
			operation === 0 || operation === 2 || operation === 4 || operation === 6
				? resultTop !== (carry !== 0)
				: operation === 1 || operation === 3
					? resultTop !== ((value & (top >>> 1)) !== 0)
					: operation === 5
						? originalTop
						: false;
		overflow = set ? Flag.of : 0;
	}
	if (operation < 4) return { value, flags: (before & (ARITHMETIC_FLAGS & ~(Flag.cf | Flag.of))) | carry | overflow };
	return { value, flags: flagsOf(value, size) | carry | overflow };
}

/** The condition of Jcc, SETcc and CMOVcc by number (SDM Vol. 1, Appendix B). */
export function condition(code: number, flags: number): boolean {
	const sf = (flags & Flag.sf) !== 0;
	const of = (flags & Flag.of) !== 0;
	const zf = (flags & Flag.zf) !== 0;
	const base = [
		of,
		(flags & Flag.cf) !== 0,
		zf,
		(flags & Flag.cf) !== 0 || zf,
		sf,
		(flags & Flag.pf) !== 0,
		sf !== of,
		zf || sf !== of,
	][code >> 1]!;
	return (code & 1) !== 0 ? !base : base;
}
