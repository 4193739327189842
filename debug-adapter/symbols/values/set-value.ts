import { EvaluationError } from "../errors.ts";
import { convert } from "../expression/arithmetic.ts";
import type { EvaluationEnvironment } from "../expression/environment.ts";
import { completed, evaluateExpression } from "../expression/evaluator.ts";
import { parseExpression } from "../expression/parser.ts";
import { typeName } from "../types/c-type.ts";
import { assignScalar, fitsInto, writeStorage } from "./assign.ts";
import { isFloat, isScalar, readScalar, type Scalar } from "./number.ts";
import { type CValue, readStorage } from "./value.ts";

/**
 * Sets a variable from what the user typed: an expression, the name of one of its enumeration constants, true or
 * false, or for an array of characters a string. The text itself may not assign. Throws `EvaluationError` when it
 * cannot be parsed, does not fit, or the place cannot be written; nothing is changed then.
 */
export function setValue(target: CValue, text: string, environment: EvaluationEnvironment): void {
	const type = completed(target.type, environment);
	const reading: EvaluationEnvironment = { ...delegate(environment), sideEffects: false };
	if (type.kind === "array") {
		setText(target, type.count, text, reading, environment);
		return;
	}
	if (!isScalar(type))
		throw new EvaluationError(`A value of type "${typeName(target.type)}" cannot be set as a whole`, 0);
	let scalar: Scalar | undefined;
	const word = text.trim();
	if (type.kind === "enum") {
		const constant = type.enumerators.find((enumerator) => enumerator.name === word);
		if (constant) scalar = { kind: "integer", value: constant.value };
	}
	if (type.kind === "base" && type.encoding === "boolean" && (word === "true" || word === "false")) {
		scalar = { kind: "integer", value: word === "true" ? 1n : 0n };
	}
	scalar ??= evaluateScalar(text, reading);
	if (!isFloat(type) && !(type.kind === "base" && type.encoding === "boolean")) {
		if (scalar.kind === "float" && !Number.isInteger(scalar.value)) {
			throw new EvaluationError(`${scalar.value} is not an integer`, 0);
		}
		const whole = BigInt(scalar.value);
		if (!fitsInto(whole, type, target.bits?.size)) {
			const where = target.bits ? `a bit-field of ${target.bits.size} bits` : `"${typeName(target.type)}"`;
			throw new EvaluationError(`${whole} does not fit into ${where}`, 0);
		}
	}
	const problem = assignScalar(target, convert(scalar, type), environment);
	if (problem) throw new EvaluationError(`The value was not set: ${problem}`, 0);
}

function evaluateScalar(text: string, environment: EvaluationEnvironment): Scalar {
	const { expression } = parseExpression(text, environment);
	const value = evaluateExpression(expression, environment);
	if (value.storage.kind === "memory" && completed(value.type, environment).kind === "function") {
		return { kind: "integer", value: value.storage.address };
	}
	if (!isScalar(value.type)) {
		if (completed(value.type, environment).kind === "array" && value.storage.kind === "memory") {
			return { kind: "integer", value: value.storage.address };
		}
		throw new EvaluationError(`A value of type "${typeName(value.type)}" is not a number`, expression.at);
	}
	const scalar = readScalar(value, environment);
	if ("reason" in scalar) throw new EvaluationError(scalar.reason, expression.at);
	return scalar;
}

function setText(
	target: CValue,
	count: number | undefined,
	text: string,
	reading: EvaluationEnvironment,
	environment: EvaluationEnvironment,
): void {
	const { expression } = parseExpression(text, reading);
	if (expression.kind !== "string") {
		throw new EvaluationError('An array is set element by element, or with a string such as "text"', 0);
	}
	// The zero byte at the end is left out where there is no room for it, as C does.
	const length = count === undefined ? expression.bytes.length + 1 : Math.min(count, expression.bytes.length + 1);
	if (expression.bytes.length > length) {
		throw new EvaluationError(
			`The text has ${expression.bytes.length} bytes, but the array only ${count}`,
			expression.at,
		);
	}
	const bytes = new Uint8Array(length);
	bytes.set(expression.bytes);
	const old = readStorage(target.storage, length, environment);
	if ("reason" in old) throw new EvaluationError(`The value was not set: ${old.reason}`, 0);
	const problem = writeStorage(target.storage, bytes, environment);
	if (problem) throw new EvaluationError(`The value was not set: ${problem}`, 0);
}

/** An environment that asks another, so that one property of it can be replaced. */
export function delegate(environment: EvaluationEnvironment): EvaluationEnvironment {
	return {
		types: environment.types,
		sideEffects: environment.sideEffects,
		lookupVariable: (name) => environment.lookupVariable(name),
		lookupConstant: (name) => environment.lookupConstant(name),
		lookupType: (kind, name) => environment.lookupType(kind, name),
		lookupRegister: (name) => environment.lookupRegister(name),
		lookupSymbol: (name) => environment.lookupSymbol(name),
		symbolize: (address) => environment.symbolize?.(address),
		completeType: (type) => environment.completeType?.(type) ?? type,
		readMemory: (space, address, length) => environment.readMemory(space, address, length),
		writeMemory: (space, address, bytes) => environment.writeMemory?.(space, address, bytes) ?? false,
		writeRegister: (id, value) => environment.writeRegister?.(id, value) ?? false,
	};
}
