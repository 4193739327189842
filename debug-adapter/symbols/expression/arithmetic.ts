// Reference: C11 sections 6.3.1.1 "Boolean, characters, and integers", 6.3.1.8 "Usual arithmetic conversions".
import { EvaluationError } from "../errors.ts";
import type { BuiltinTypes } from "../types/builtin-types.ts";
import { type CType, sizeOf, strip } from "../types/c-type.ts";
import { isFloat, isTrue, type Scalar } from "../values/number.ts";
import { isSignedType } from "../values/value.ts";
import type { BinaryOperator } from "./syntax.ts";

/** A number and the C type that it is computed in. */
export interface TypedScalar {
	readonly scalar: Scalar;
	readonly type: CType;
}

/** Integer promotion: narrower types, enumerations and bit-fields become int, or unsigned int if int cannot hold them. */
export function promote(type: CType, types: BuiltinTypes): CType {
	const bare = strip(type);
	if (isFloat(bare)) return bare;
	const size = sizeOf(bare) ?? 4;
	if (size < 4 || (bare.kind === "base" && bare.encoding === "boolean")) return types.get("int");
	if (bare.kind === "enum")
		return size > 4 ? wide(size, bare.isSigned, types) : types.get(bare.isSigned ? "int" : "unsigned int");
	return bare;
}

/** The common type of two operands. */
export function commonType(left: CType, right: CType, types: BuiltinTypes): CType {
	const a = promote(left, types);
	const b = promote(right, types);
	const sizeA = sizeOf(a) ?? 4;
	const sizeB = sizeOf(b) ?? 4;
	if (isFloat(a) && isFloat(b)) return sizeA >= sizeB ? a : b;
	if (isFloat(a)) return a;
	if (isFloat(b)) return b;
	if (sizeA !== sizeB) return sizeA > sizeB ? a : b;
	return isSignedType(a) ? b : a;
}

function wide(size: number, isSigned: boolean, types: BuiltinTypes): CType {
	const name = size > 8 ? "__int128" : types.addressSize === 8 ? "long" : "long long";
	return types.get(isSigned ? name : `unsigned ${name}`);
}

/** The value as an object of the type would hold it. */
export function wrap(value: bigint, type: CType): bigint {
	const bits = (sizeOf(type) ?? 8) * 8;
	return isSignedType(type) ? BigInt.asIntN(bits, value) : BigInt.asUintN(bits, value);
}

/** Converts a number to a type, as an assignment does. */
export function convert(scalar: Scalar, type: CType): Scalar {
	if (isFloat(type)) {
		const value = Number(scalar.value);
		return { kind: "float", value: sizeOf(type) === 4 ? Math.fround(value) : value };
	}
	const bare = strip(type);
	if (bare.kind === "base" && bare.encoding === "boolean") return { kind: "integer", value: isTrue(scalar) ? 1n : 0n };
	if (scalar.kind === "float") {
		const whole = Number.isFinite(scalar.value) ? BigInt(Math.trunc(scalar.value)) : 0n;
		return { kind: "integer", value: wrap(whole, type) };
	}
	return { kind: "integer", value: wrap(scalar.value, type) };
}

/** An arithmetic, bitwise, shift or comparison operation on numbers. `at` is the operator's position. */
export function binary(
	operator: Exclude<BinaryOperator, "&&" | "||">,
	left: TypedScalar,
	right: TypedScalar,
	types: BuiltinTypes,
	at: number,
): TypedScalar {
	if (operator === "<<" || operator === ">>") return shift(operator, left, right, types, at);
	const type = commonType(left.type, right.type, types);
	const a = convert(left.scalar, type);
	const b = convert(right.scalar, type);
	const truth = (value: boolean): TypedScalar => ({
		scalar: { kind: "integer", value: value ? 1n : 0n },
		type: types.get("int"),
	});
	switch (operator) {
		case "<":
			return truth(a.value < b.value);
		case ">":
			return truth(a.value > b.value);
		case "<=":
			return truth(a.value <= b.value);
		case ">=":
			return truth(a.value >= b.value);
		case "==":
			return truth(a.value === b.value);
		case "!=":
			return truth(a.value !== b.value);
	}
	if (a.kind === "float" || b.kind === "float") {
		const x = Number(a.value);
		const y = Number(b.value);
		const results: Record<string, number> = { "+": x + y, "-": x - y, "*": x * y, "/": x / y };
		const result = results[operator];
		if (result === undefined) throw new EvaluationError(`"${operator}" needs integers on both sides`, at);
		return { scalar: convert({ kind: "float", value: result }, type), type };
	}
	if ((operator === "/" || operator === "%") && b.value === 0n) throw new EvaluationError("Division by zero", at);
	const results: Record<typeof operator, () => bigint> = {
		"+": () => a.value + b.value,
		"-": () => a.value - b.value,
		"*": () => a.value * b.value,
		"/": () => a.value / b.value,
		"%": () => a.value % b.value,
		"&": () => a.value & b.value,
		"|": () => a.value | b.value,
		"^": () => a.value ^ b.value,
	};
	return { scalar: { kind: "integer", value: wrap(results[operator](), type) }, type };
}

/** A shift takes the type of its left operand; a count that C leaves undefined is refused. */
function shift(
	operator: "<<" | ">>",
	left: TypedScalar,
	right: TypedScalar,
	types: BuiltinTypes,
	at: number,
): TypedScalar {
	const type = promote(left.type, types);
	if (left.scalar.kind === "float" || right.scalar.kind === "float") {
		throw new EvaluationError(`"${operator}" needs integers on both sides`, at);
	}
	const bits = BigInt((sizeOf(type) ?? 4) * 8);
	const count = right.scalar.value;
	if (count < 0n || count >= bits)
		throw new EvaluationError(`A value of ${bits} bits cannot be shifted by ${count}`, at);
	const value = wrap(left.scalar.value, type);
	return { scalar: { kind: "integer", value: wrap(operator === "<<" ? value << count : value >> count, type) }, type };
}
