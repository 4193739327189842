import type { EvaluationEnvironment } from "../expression/environment.ts";
import { completed, memberValue } from "../expression/evaluator.ts";
import { sizeOf, typeName } from "../types/c-type.ts";
import { bytesToInteger, type CValue, partOf, readValue } from "./value.ts";

/** A part of a value, with an expression that gives it again. */
export interface ChildValue {
	readonly name: string;
	readonly value: CValue;
	/** To be evaluated in the same frame; undefined when the parent has none. */
	readonly evaluateName: string | undefined;
}

/** The most elements that one request may have. */
const pageLimit = 10_000;

/**
 * The parts of a value: members of a record, elements `start` to `start + count` of an array, or what a pointer points
 * to (a record's members at once, anything else as one child "*name"). `expression` is what the value was got by.
 */
export function childrenOf(
	value: CValue,
	expression: string | undefined,
	environment: EvaluationEnvironment,
	start = 0,
	count = 1000,
): ChildValue[] {
	const type = completed(value.type, environment);
	switch (type.kind) {
		case "struct":
		case "union": {
			const target = expression === undefined ? undefined : wrap(expression);
			return type.members.map((member) => ({
				name: member.name ?? `{${completed(member.type, environment).kind}}`,
				value: memberValue(value, member),
				// Members of an anonymous member are named as if they were the outer record's.
				evaluateName:
					target === undefined ? undefined : member.name === undefined ? expression : `${target}.${member.name}`,
			}));
		}
		case "array": {
			const size = sizeOf(completed(type.element, environment));
			if (size === undefined || type.count === undefined) return [];
			const end = Math.min(type.count, start + Math.min(count, pageLimit));
			const children: ChildValue[] = [];
			for (let i = Math.max(0, start); i < end; i++) {
				children.push({
					name: `[${i}]`,
					value: partOf(value, i * size, type.element),
					evaluateName: expression === undefined ? undefined : `${wrap(expression)}[${i}]`,
				});
			}
			return children;
		}
		case "pointer": {
			const read = readValue(value, environment);
			if ("reason" in read) return [];
			const address = bytesToInteger(read.bytes);
			const target: CValue = {
				type: type.target,
				storage: { kind: "memory", space: value.space, address },
				space: value.space,
			};
			const kind = completed(type.target, environment).kind;
			if (address === 0n || kind === "void" || kind === "function") return [];
			const evaluateName = expression === undefined ? undefined : `*${wrap(expression)}`;
			if (kind === "struct" || kind === "union") return childrenOf(target, evaluateName, environment, start, count);
			return [{ name: evaluateName ?? typeName(type.target), value: target, evaluateName }];
		}
		default:
			return [];
	}
}

/** The expression in parentheses unless it binds as tightly as a member access does. */
function wrap(expression: string): string {
	return /^[A-Za-z_$][\w$]*(?:(?:\.|->)[A-Za-z_]\w*|\[\d+\])*$/.test(expression) ? expression : `(${expression})`;
}
