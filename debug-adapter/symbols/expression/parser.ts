// Reference: C11 section 6.5 "Expressions". A Pratt parser: each operator has a binding power.
import { EvaluationError } from "../errors.ts";
import type { CType } from "../types/c-type.ts";
import { type AddressSpace, addressSpaces, type EvaluationEnvironment } from "./environment.ts";
import type { BinaryOperator, Expression, ParsedExpression, UnaryOperator, ValueFormat } from "./syntax.ts";
import { type Token, tokenize } from "./tokens.ts";
import { TypeNameParser } from "./type-name-parser.ts";

/** The names that parsing asks for: whether a name is a type decides what "(a)*b" means. */
export type ParserEnvironment = Pick<
	EvaluationEnvironment,
	"lookupType" | "lookupVariable" | "lookupRegister" | "types"
>;

const bindingPowers: Record<string, number> = {
	"*": 12,
	"/": 12,
	"%": 12,
	"+": 11,
	"-": 11,
	"<<": 10,
	">>": 10,
	"<": 9,
	">": 9,
	"<=": 9,
	">=": 9,
	"==": 8,
	"!=": 8,
	"&": 7,
	"^": 6,
	"|": 5,
	"&&": 4,
	"||": 3,
	"?": 2,
	"=": 1,
	"+=": 1,
	"-=": 1,
	"*=": 1,
	"/=": 1,
	"%=": 1,
	"&=": 1,
	"|=": 1,
	"^=": 1,
	"<<=": 1,
	">>=": 1,
};

const depthLimit = 200;

/**
 * Parses a C expression with an optional format suffix. The result can be evaluated many times, in any environment
 * with the same types. Throws `EvaluationError`.
 */
export function parseExpression(text: string, environment: ParserEnvironment): ParsedExpression {
	return new Parser(text, environment).parse();
}

export class Parser {
	readonly #text: string;
	readonly #tokens: readonly Token[];
	readonly #environment: ParserEnvironment;
	readonly #types: TypeNameParser;
	#next = 0;
	#depth = 0;
	/** How many "?" wait for their ":", where "name:" is no address-space prefix. */
	#openConditionals = 0;

	constructor(text: string, environment: ParserEnvironment) {
		this.#text = text;
		this.#tokens = tokenize(text);
		this.#environment = environment;
		this.#types = new TypeNameParser(this, environment);
	}

	parse(): ParsedExpression {
		if (this.peek().kind === "end") throw new EvaluationError("The expression is empty", 0);
		const expression = this.expression(0);
		let format: ValueFormat | undefined;
		let count: number | undefined;
		const after = this.peek();
		if (after.kind === "operator" && after.text === ",") {
			({ format, count } = formatSuffix(this.#text.slice(after.at + 1).trim(), after.at));
		} else if (after.kind !== "end") throw this.unexpected(after);
		return { text: this.#text, expression, format, count };
	}

	peek(distance = 0): Token {
		return this.#tokens[Math.min(this.#next + distance, this.#tokens.length - 1)]!;
	}

	advance(): Token {
		const token = this.peek();
		if (token.kind !== "end") this.#next++;
		return token;
	}

	isOperator(text: string, distance = 0): boolean {
		const token = this.peek(distance);
		return token.kind === "operator" && token.text === text;
	}

	/** Takes the operator if it is next. */
	accept(text: string): boolean {
		if (!this.isOperator(text)) return false;
		this.#next++;
		return true;
	}

	expect(text: string): void {
		if (this.accept(text)) return;
		const token = this.peek();
		if (token.kind === "bad") throw token.error;
		throw new EvaluationError(`"${text}" is expected here instead of ${describe(token)}`, token.at);
	}

	unexpected(token: Token): EvaluationError {
		if (token.kind === "bad") return token.error;
		if (token.kind === "end") return new EvaluationError("The expression ends where a value is expected", token.at);
		if (token.kind === "operator" && token.text === "(") {
			return new EvaluationError("Functions of the guest cannot be called from an expression", token.at);
		}
		return new EvaluationError(`${describe(token)} is not expected here`, token.at);
	}

	expression(minimum: number): Expression {
		if (++this.#depth > depthLimit) throw new EvaluationError("The expression is nested too deeply", this.peek().at);
		let left = this.#unary();
		for (;;) {
			const token = this.peek();
			if (token.kind !== "operator") break;
			const power = bindingPowers[token.text];
			if (power === undefined || power < minimum) break;
			this.#next++;
			if (token.text === "?") {
				this.#openConditionals++;
				const yes = this.expression(0);
				this.#openConditionals--;
				this.expect(":");
				left = { kind: "conditional", test: left, yes, no: this.expression(power), at: token.at };
			} else if (power === 1) {
				const operator = token.text === "=" ? undefined : (token.text.slice(0, -1) as BinaryOperator);
				left = { kind: "assign", operator, target: left, value: this.expression(power), at: token.at };
			} else {
				const operator = token.text as BinaryOperator;
				left = { kind: "binary", operator, left, right: this.expression(power + 1), at: token.at };
			}
		}
		this.#depth--;
		return left;
	}

	#unary(): Expression {
		if (++this.#depth > depthLimit) throw new EvaluationError("The expression is nested too deeply", this.peek().at);
		const result = this.#unaryInner();
		this.#depth--;
		return result;
	}

	#unaryInner(): Expression {
		const token = this.peek();
		if (token.kind === "operator") {
			switch (token.text) {
				case "+":
				case "-":
				case "~":
				case "!":
				case "*":
				case "&":
					this.#next++;
					return { kind: "unary", operator: token.text as UnaryOperator, operand: this.#unary(), at: token.at };
				case "++":
				case "--":
					throw new EvaluationError(`"${token.text}" is not supported; write "x ${token.text[0]}= 1"`, token.at);
				case "(":
					if (this.#types.startsType(1)) {
						this.#next++;
						const type = this.#types.typeName();
						this.expect(")");
						return { kind: "cast", type, operand: this.#unary(), at: token.at };
					}
			}
		}
		if (token.kind === "name" && token.text === "sizeof") {
			this.#next++;
			if (this.isOperator("(") && this.#types.startsType(1)) {
				this.#next++;
				const type: CType = this.#types.typeName();
				this.expect(")");
				return { kind: "sizeof-type", type, at: token.at };
			}
			return { kind: "sizeof", operand: this.#unary(), at: token.at };
		}
		if (token.kind === "name" && token.hasColon) {
			if ((addressSpaces as readonly string[]).includes(token.text)) {
				this.#next += 2;
				return { kind: "space", space: token.text as AddressSpace, operand: this.#unary(), at: token.at };
			}
			if (this.#openConditionals === 0) {
				throw new EvaluationError(
					`"${token.text}:" is not an address space; the address spaces are ${addressSpaces.map((space) => `${space}:`).join(", ")}`,
					token.at,
				);
			}
		}
		return this.#postfix(this.#primary());
	}

	#primary(): Expression {
		const token = this.advance();
		switch (token.kind) {
			case "integer":
			case "float":
			case "character":
			case "register":
				return token.kind === "register" ? { kind: "register", name: token.text, at: token.at } : token;
			case "string": {
				const bytes = [...token.bytes];
				for (let more = this.peek(); more.kind === "string"; more = this.peek()) {
					bytes.push(...more.bytes);
					this.#next++;
				}
				return { kind: "string", bytes, at: token.at };
			}
			case "name":
				if (this.#types.isKeyword(token.text)) {
					throw new EvaluationError(`"${token.text}" is a type; a cast is written in parentheses`, token.at);
				}
				return { kind: "name", name: token.text, at: token.at };
			case "operator":
				if (token.text === "(") {
					const conditionals = this.#openConditionals;
					this.#openConditionals = 0;
					const inner = this.expression(0);
					this.#openConditionals = conditionals;
					this.expect(")");
					return inner;
				}
		}
		throw token.kind === "operator" && token.text === "("
			? new EvaluationError('"(" is not expected here', token.at)
			: this.unexpected(token);
	}

	#postfix(start: Expression): Expression {
		let object = start;
		for (let links = 0; ; links++) {
			// Each link nests one level deeper in the tree.
			if (links > depthLimit) throw new EvaluationError("The expression is nested too deeply", this.peek().at);
			const token = this.peek();
			if (token.kind !== "operator") return object;
			if (token.text === "." || token.text === "->") {
				this.#next++;
				const name = this.advance();
				if (name.kind !== "name") throw new EvaluationError(`A member name is expected after "${token.text}"`, name.at);
				object = { kind: "member", object, name: name.text, isArrow: token.text === "->", at: name.at };
			} else if (token.text === "[") {
				this.#next++;
				const conditionals = this.#openConditionals;
				this.#openConditionals = 0;
				const index = this.expression(0);
				this.#openConditionals = conditionals;
				this.expect("]");
				object = { kind: "index", object, index, at: token.at };
			} else if (token.text === "++" || token.text === "--") {
				throw new EvaluationError(`"${token.text}" is not supported; write "x ${token.text[0]}= 1"`, token.at);
			} else return object;
		}
	}

	get environment(): ParserEnvironment {
		return this.#environment;
	}
}

/** "x", "d", "b", "c", "s", "o", "h" (as x), a count, or a count and a letter. */
function formatSuffix(text: string, at: number): { format: ValueFormat | undefined; count: number | undefined } {
	const match = /^([0-9]{1,7})?\s*,?\s*([xdobcsh])?$/.exec(text);
	if (!match || text === "") {
		throw new EvaluationError(
			`",${text}" is not a format; the formats are ,x ,d ,o ,b ,c ,s and ,N for N elements`,
			at,
		);
	}
	const count = match[1] === undefined ? undefined : Number(match[1]);
	if (count === 0) throw new EvaluationError("At least one element has to be asked for", at);
	return { format: (match[2] === "h" ? "x" : match[2]) as ValueFormat | undefined, count };
}

function describe(token: Token): string {
	switch (token.kind) {
		case "end":
		case "bad":
			return "the end";
		case "operator":
		case "name":
			return `"${token.text}"`;
		case "register":
			return `"$${token.text}"`;
		case "integer":
		case "float":
			return `the number ${token.value}`;
		case "character":
			return "a character";
		case "string":
			return "a string";
	}
}
