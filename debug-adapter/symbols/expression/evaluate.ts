import { EvaluationError } from "../errors.ts";
import { strip } from "../types/c-type.ts";
import { bytesToInteger, type CValue, readValue } from "../values/value.ts";
import type { EvaluationEnvironment } from "./environment.ts";
import { evaluateExpression } from "./evaluator.ts";
import { parseExpression } from "./parser.ts";
import type { ParsedExpression, ValueFormat } from "./syntax.ts";

export { isTrueValue } from "./evaluator.ts";

/** A value and how the expression asks for it to be shown. */
export interface EvaluatedExpression {
	readonly value: CValue;
	readonly format: ValueFormat | undefined;
}

/** Parses and evaluates an expression. Throws `EvaluationError`, one sentence with the position. */
export function evaluate(text: string, environment: EvaluationEnvironment): EvaluatedExpression {
	return evaluateParsed(parseExpression(text, environment), environment);
}

/** Evaluates an expression that was parsed before, as a breakpoint's condition. */
export function evaluateParsed(parsed: ParsedExpression, environment: EvaluationEnvironment): EvaluatedExpression {
	const value = evaluateExpression(parsed.expression, environment);
	if (parsed.count === undefined) return { value, format: parsed.format };
	return { value: asArray(value, parsed.count, environment, parsed.expression.at), format: parsed.format };
}

/** The suffix ",N": N elements from where a pointer points or an array or object begins. */
function asArray(value: CValue, count: number, environment: EvaluationEnvironment, at: number): CValue {
	const type = strip(value.type);
	if (type.kind === "array") return { ...value, type: { kind: "array", element: type.element, count } };
	if (type.kind === "pointer" || value.isAddress) {
		const read = readValue(value, environment);
		if ("reason" in read) throw new EvaluationError(`The elements cannot be shown: ${read.reason}`, at);
		const isTyped = type.kind === "pointer" && strip(type.target).kind !== "void";
		const element = isTyped ? type.target : environment.types.get("unsigned char");
		return {
			type: { kind: "array", element, count },
			storage: { kind: "memory", space: value.space, address: bytesToInteger(read.bytes) },
			space: value.space,
		};
	}
	if (value.storage.kind === "memory" && !value.bits)
		return { ...value, type: { kind: "array", element: value.type, count } };
	throw new EvaluationError("A number of elements needs an array, a pointer or an object in memory", at);
}
