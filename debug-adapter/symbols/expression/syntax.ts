import type { CType } from "../types/c-type.ts";
import type { AddressSpace } from "./environment.ts";

export type UnaryOperator = "+" | "-" | "~" | "!" | "*" | "&";

export type BinaryOperator =
	| "*"
	| "/"
	| "%"
	| "+"
	| "-"
	| "<<"
	| ">>"
	| "<"
	| ">"
	| "<="
	| ">="
	| "=="
	| "!="
	| "&"
	| "^"
	| "|"
	| "&&"
	| "||";

/** A parsed expression. `at` is the position of the token that errors speak of. */
export type Expression =
	| {
			readonly kind: "integer";
			readonly value: bigint;
			readonly suffix: string;
			readonly isDecimal: boolean;
			readonly at: number;
	  }
	| { readonly kind: "float"; readonly value: number; readonly isSingle: boolean; readonly at: number }
	| { readonly kind: "character"; readonly value: number; readonly at: number }
	| { readonly kind: "string"; readonly bytes: readonly number[]; readonly at: number }
	| { readonly kind: "name"; readonly name: string; readonly at: number }
	| { readonly kind: "register"; readonly name: string; readonly at: number }
	| {
			readonly kind: "member";
			readonly object: Expression;
			readonly name: string;
			readonly isArrow: boolean;
			readonly at: number;
	  }
	| { readonly kind: "index"; readonly object: Expression; readonly index: Expression; readonly at: number }
	| { readonly kind: "unary"; readonly operator: UnaryOperator; readonly operand: Expression; readonly at: number }
	| { readonly kind: "cast"; readonly type: CType; readonly operand: Expression; readonly at: number }
	| { readonly kind: "sizeof-type"; readonly type: CType; readonly at: number }
	| { readonly kind: "sizeof"; readonly operand: Expression; readonly at: number }
	| { readonly kind: "space"; readonly space: AddressSpace; readonly operand: Expression; readonly at: number }
	| {
			readonly kind: "binary";
			readonly operator: BinaryOperator;
			readonly left: Expression;
			readonly right: Expression;
			readonly at: number;
	  }
	| {
			readonly kind: "conditional";
			readonly test: Expression;
			readonly yes: Expression;
			readonly no: Expression;
			readonly at: number;
	  }
	/** `operator` is that of a compound assignment, undefined for "=". */
	| {
			readonly kind: "assign";
			readonly operator: BinaryOperator | undefined;
			readonly target: Expression;
			readonly value: Expression;
			readonly at: number;
	  };

/** How a result is to be shown: hexadecimal, decimal, octal, binary, character, string. */
export type ValueFormat = "x" | "d" | "o" | "b" | "c" | "s";

/** An expression as the user typed it, with the suffix ",x" or ",10". */
export interface ParsedExpression {
	readonly text: string;
	readonly expression: Expression;
	readonly format: ValueFormat | undefined;
	/** How many elements to show, beginning with the one that the value is or points to. */
	readonly count: number | undefined;
}
