// Expressions of generated code. A Value is a tree that is written out where a statement consumes it; use
// FunctionBuilder.let() for one that is needed twice or has to be evaluated before a later store.

import type { CodeWriter } from "./code-writer.ts";

export const ValueType = { i32: 0x7f, i64: 0x7e, f32: 0x7d, f64: 0x7c, v128: 0x7b } as const;
export type ValueType = (typeof ValueType)[keyof typeof ValueType];

const typeName = new Map<number, string>(Object.entries(ValueType).map(([name, code]) => [code, name]));

export type Operand = Value | number | bigint;

/** Opcodes of an operation for i32, i64, f32, f64; 0 = does not exist. */
type Opcodes = readonly [number, number, number, number];

function opcodeFor(type: ValueType, opcodes: Opcodes, what: string): number {
	const index =
		type === ValueType.i32
			? 0
			: type === ValueType.i64
				? 1
				: type === ValueType.f32
					? 2
					: type === ValueType.f64
						? 3
						: -1;
	const opcode = opcodes[index as 0 | 1 | 2 | 3] ?? 0;
	if (opcode === 0) throw new Error(`${what} is not an operation on ${typeName.get(type)}`);
	return opcode;
}

export class Value {
	constructor(
		readonly type: ValueType,
		/** Writes the code that leaves the value on the stack. */
		readonly write: (out: CodeWriter) => void,
		/** The value when it is a constant integer. */
		readonly constant?: bigint,
		/** Of an i64: its low 32 bits as an i32, where they are had more cheaply than by cutting it. */
		readonly low?: Value,
		/** Of an i64: it is `low`, zero-extended. */
		readonly isZeroExtended = false,
	) {}

	static i32(value: number | bigint): Value {
		const number = Number(BigInt.asIntN(32, BigInt(value)));
		return new Value(
			ValueType.i32,
			(out) => {
				out.byte(0x41);
				out.signed(number);
			},
			BigInt(number),
		);
	}

	/** An i64 whose low half can be had more cheaply than by cutting it. */
	static withLow(value: Value, low: Value, isZeroExtended = false): Value {
		return new Value(value.type, value.write, value.constant, low, isZeroExtended);
	}

	private static constantOf(type: ValueType, value: bigint): Value {
		return type === ValueType.i64 ? Value.i64(value) : Value.i32(value);
	}

	static i64(value: number | bigint): Value {
		const wide = BigInt.asIntN(64, BigInt(value));
		return new Value(
			ValueType.i64,
			(out) => {
				out.byte(0x42);
				out.signed(wide);
			},
			wide,
			Value.i32(wide),
			wide >= 0n && wide <= 0xffffffffn,
		);
	}

	/** Lifts a plain number to a constant of this value's type. */
	private lift(other: Operand): Value {
		if (other instanceof Value) return other;
		if (this.type === ValueType.i32) return Value.i32(other);
		if (this.type === ValueType.i64) return Value.i64(other);
		throw new Error(`A plain number cannot stand for a ${typeName.get(this.type)}`);
	}

	private binary(other: Operand, opcodes: Opcodes, what: string, result?: ValueType): Value {
		const right = this.lift(other);
		if (right.type !== this.type)
			throw new Error(`${what}: ${typeName.get(this.type)} and ${typeName.get(right.type)} do not go together`);
		const opcode = opcodeFor(this.type, opcodes, what);
		return new Value(result ?? this.type, (out) => {
			this.write(out);
			right.write(out);
			out.byte(opcode);
		});
	}

	private unary(opcodes: Opcodes, what: string, result?: ValueType): Value {
		const opcode = opcodeFor(this.type, opcodes, what);
		return new Value(result ?? this.type, (out) => {
			this.write(out);
			out.byte(opcode);
		});
	}

	private conversion(from: ValueType, to: ValueType, opcode: number, what: string): Value {
		if (this.type !== from) throw new Error(`${what} takes ${typeName.get(from)}, not ${typeName.get(this.type)}`);
		return new Value(to, (out) => {
			this.write(out);
			out.byte(opcode);
		});
	}

	/** A binary operation on integers, done now when both operands are constants; its low half is the operation on the low halves. */
	private foldable(
		other: Operand,
		opcodes: Opcodes,
		what: string,
		fold: (a: bigint, b: bigint) => bigint,
		onLow: ((a: Value, b: Value) => Value) | undefined,
		neutral?: bigint,
	): Value {
		const right = this.lift(other);
		if (right.type === this.type && right.constant !== undefined) {
			if (this.constant !== undefined) return Value.constantOf(this.type, fold(this.constant, right.constant));
			if (right.constant === neutral) return this;
		}
		const value = this.binary(right, opcodes, what);
		if (!onLow || this.type !== ValueType.i64 || !this.low || !right.low) return value;
		return Value.withLow(value, onLow(this.low, right.low));
	}

	add(other: Operand): Value {
		return this.foldable(
			other,
			[0x6a, 0x7c, 0x92, 0xa0],
			"add",
			(a, b) => a + b,
			(a, b) => a.add(b),
			0n,
		);
	}

	sub(other: Operand): Value {
		return this.foldable(
			other,
			[0x6b, 0x7d, 0x93, 0xa1],
			"sub",
			(a, b) => a - b,
			(a, b) => a.sub(b),
			0n,
		);
	}

	mul(other: Operand): Value {
		return this.binary(other, [0x6c, 0x7e, 0x94, 0xa2], "mul");
	}

	divS(other: Operand): Value {
		return this.binary(other, [0x6d, 0x7f, 0, 0], "divS");
	}

	divU(other: Operand): Value {
		return this.binary(other, [0x6e, 0x80, 0, 0], "divU");
	}

	div(other: Operand): Value {
		return this.binary(other, [0, 0, 0x95, 0xa3], "div");
	}

	remS(other: Operand): Value {
		return this.binary(other, [0x6f, 0x81, 0, 0], "remS");
	}

	remU(other: Operand): Value {
		return this.binary(other, [0x70, 0x82, 0, 0], "remU");
	}

	and(other: Operand): Value {
		const value = this.foldable(
			other,
			[0x71, 0x83, 0, 0],
			"and",
			(a, b) => a & b,
			(a, b) => a.and(b),
			-1n,
		);
		// Cut by a mask of at most 32 bits, an i64 is its low half.
		const right = this.lift(other);
		if (value.type === ValueType.i64 && value.constant === undefined && value.low && right.isZeroExtended)
			return value.low.extendU();
		return value;
	}

	or(other: Operand): Value {
		return this.foldable(
			other,
			[0x72, 0x84, 0, 0],
			"or",
			(a, b) => a | b,
			(a, b) => a.or(b),
			0n,
		);
	}

	xor(other: Operand): Value {
		return this.foldable(
			other,
			[0x73, 0x85, 0, 0],
			"xor",
			(a, b) => a ^ b,
			(a, b) => a.xor(b),
			0n,
		);
	}

	shl(other: Operand): Value {
		const bits = this.type === ValueType.i64 ? 63n : 31n;
		return this.foldable(other, [0x74, 0x86, 0, 0], "shl", (a, b) => a << (b & bits), undefined, 0n);
	}

	shrS(other: Operand): Value {
		return this.binary(other, [0x75, 0x87, 0, 0], "shrS");
	}

	shrU(other: Operand): Value {
		const width = this.type === ValueType.i64 ? 64 : 32;
		const fold = (a: bigint, b: bigint) => BigInt.asUintN(width, a) >> (b & BigInt(width - 1));
		return this.foldable(other, [0x76, 0x88, 0, 0], "shrU", fold, undefined, 0n);
	}

	rotl(other: Operand): Value {
		return this.binary(other, [0x77, 0x89, 0, 0], "rotl");
	}

	rotr(other: Operand): Value {
		return this.binary(other, [0x78, 0x8a, 0, 0], "rotr");
	}

	eq(other: Operand): Value {
		const right = this.lift(other);
		if (this.constant !== undefined && right.constant !== undefined)
			return Value.i32(this.constant === right.constant ? 1 : 0);
		return this.binary(other, [0x46, 0x51, 0x5b, 0x61], "eq", ValueType.i32);
	}

	ne(other: Operand): Value {
		return this.binary(other, [0x47, 0x52, 0x5c, 0x62], "ne", ValueType.i32);
	}

	ltS(other: Operand): Value {
		return this.binary(other, [0x48, 0x53, 0, 0], "ltS", ValueType.i32);
	}

	ltU(other: Operand): Value {
		return this.binary(other, [0x49, 0x54, 0, 0], "ltU", ValueType.i32);
	}

	gtS(other: Operand): Value {
		return this.binary(other, [0x4a, 0x55, 0, 0], "gtS", ValueType.i32);
	}

	gtU(other: Operand): Value {
		return this.binary(other, [0x4b, 0x56, 0, 0], "gtU", ValueType.i32);
	}

	leS(other: Operand): Value {
		return this.binary(other, [0x4c, 0x57, 0, 0], "leS", ValueType.i32);
	}

	leU(other: Operand): Value {
		return this.binary(other, [0x4d, 0x58, 0, 0], "leU", ValueType.i32);
	}

	geS(other: Operand): Value {
		return this.binary(other, [0x4e, 0x59, 0, 0], "geS", ValueType.i32);
	}

	geU(other: Operand): Value {
		return this.binary(other, [0x4f, 0x5a, 0, 0], "geU", ValueType.i32);
	}

	/** Floating-point comparisons: false when an operand is a NaN. */
	lt(other: Operand): Value {
		return this.binary(other, [0, 0, 0x5d, 0x63], "lt", ValueType.i32);
	}

	gt(other: Operand): Value {
		return this.binary(other, [0, 0, 0x5e, 0x64], "gt", ValueType.i32);
	}

	le(other: Operand): Value {
		return this.binary(other, [0, 0, 0x5f, 0x65], "le", ValueType.i32);
	}

	ge(other: Operand): Value {
		return this.binary(other, [0, 0, 0x60, 0x66], "ge", ValueType.i32);
	}

	sqrt(): Value {
		return this.unary([0, 0, 0x91, 0x9f], "sqrt");
	}

	eqz(): Value {
		if (this.constant !== undefined) return Value.i32(this.constant === 0n ? 1 : 0);
		return this.unary([0x45, 0x50, 0, 0], "eqz", ValueType.i32);
	}

	clz(): Value {
		return this.unary([0x67, 0x79, 0, 0], "clz");
	}

	ctz(): Value {
		return this.unary([0x68, 0x7a, 0, 0], "ctz");
	}

	popcnt(): Value {
		return this.unary([0x69, 0x7b, 0, 0], "popcnt");
	}

	/** Sign-extends the low 8, 16 or 32 bits within the type. */
	extend8S(): Value {
		return this.unary([0xc0, 0xc2, 0, 0], "extend8S");
	}

	extend16S(): Value {
		return this.unary([0xc1, 0xc3, 0, 0], "extend16S");
	}

	extend32S(): Value {
		return this.unary([0, 0xc4, 0, 0], "extend32S");
	}

	not(): Value {
		return this.xor(-1);
	}

	neg(): Value {
		return this.lift(0).sub(this);
	}

	/** i64 → i32, low half. */
	wrap(): Value {
		if (this.low) return this.low;
		return this.conversion(ValueType.i64, ValueType.i32, 0xa7, "wrap");
	}

	/** i32 → i64. */
	extendS(): Value {
		if (this.constant !== undefined) return Value.i64(this.constant);
		return Value.withLow(this.conversion(ValueType.i32, ValueType.i64, 0xac, "extendS"), this);
	}

	extendU(): Value {
		if (this.constant !== undefined) return Value.i64(BigInt.asUintN(32, this.constant));
		return Value.withLow(this.conversion(ValueType.i32, ValueType.i64, 0xad, "extendU"), this, true);
	}

	/** The value as i64: itself, or zero-extended. */
	toI64U(): Value {
		return this.type === ValueType.i64 ? this : this.extendU();
	}

	/** The value as i32: itself, or its low half. */
	toI32(): Value {
		return this.type === ValueType.i32 ? this : this.wrap();
	}

	/** The value in the given integer type, zero-extended or cut. */
	as(type: ValueType): Value {
		return type === ValueType.i64 ? this.toI64U() : this.toI32();
	}

	promote(): Value {
		return this.conversion(ValueType.f32, ValueType.f64, 0xbb, "promote");
	}

	demote(): Value {
		return this.conversion(ValueType.f64, ValueType.f32, 0xb6, "demote");
	}

	asF32Bits(): Value {
		return this.conversion(ValueType.i32, ValueType.f32, 0xbe, "asF32Bits");
	}

	asF64Bits(): Value {
		return this.conversion(ValueType.i64, ValueType.f64, 0xbf, "asF64Bits");
	}

	bitsOfF32(): Value {
		return this.conversion(ValueType.f32, ValueType.i32, 0xbc, "bitsOfF32");
	}

	bitsOfF64(): Value {
		return this.conversion(ValueType.f64, ValueType.i64, 0xbd, "bitsOfF64");
	}

	/** Any one-byte conversion or unary operation by opcode (WebAssembly core specification §5.4). */
	operation(opcode: number, result: ValueType): Value {
		return new Value(result, (out) => {
			this.write(out);
			out.byte(opcode);
		});
	}

	/** `this` (i32 condition) ? whenTrue : whenFalse; both are evaluated. */
	select(whenTrue: Value, whenFalse: Value): Value {
		if (this.type !== ValueType.i32 || whenTrue.type !== whenFalse.type)
			throw new Error("select: an i32 condition and two values of one type");
		return new Value(whenTrue.type, (out) => {
			whenTrue.write(out);
			whenFalse.write(out);
			this.write(out);
			if (whenTrue.type === ValueType.v128) out.bytes([0x1c, 1, ValueType.v128]);
			else out.byte(0x1b);
		});
	}

	/** SIMD operation (prefix 0xfd) on this value and more operands; immediate bytes follow the opcode (lanes of a shuffle, lane numbers). */
	simd(opcode: number, result: ValueType, others: readonly Value[] = [], immediates: readonly number[] = []): Value {
		return new Value(result, (out) => {
			this.write(out);
			for (const other of others) other.write(out);
			out.byte(0xfd);
			out.unsigned(opcode);
			out.bytes(immediates);
		});
	}
}
