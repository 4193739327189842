// Reference: C11 section 6.7.7 "Type names".
import { EvaluationError } from "../errors.ts";
import { type CType, voidType } from "../types/c-type.ts";
import type { Parser, ParserEnvironment } from "./parser.ts";

const keywords = new Set([
	"void",
	"char",
	"short",
	"int",
	"long",
	"float",
	"double",
	"signed",
	"unsigned",
	"_Bool",
	"__int128",
	"struct",
	"union",
	"enum",
	"const",
	"volatile",
	"restrict",
	"_Atomic",
]);
const qualifiers = new Set(["const", "volatile", "restrict", "_Atomic"]);
const declaratorLimit = 32;

/** Parses the type names of casts and sizeof, resolving them at once. */
export class TypeNameParser {
	readonly #parser: Parser;
	readonly #environment: ParserEnvironment;
	#nesting = 0;

	constructor(parser: Parser, environment: ParserEnvironment) {
		this.#parser = parser;
		this.#environment = environment;
	}

	isKeyword(name: string): boolean {
		return keywords.has(name);
	}

	/** Whether a type name begins at the token so far ahead. A variable hides a type of its name. */
	startsType(distance: number): boolean {
		const token = this.#parser.peek(distance);
		if (token.kind !== "name") return false;
		if (keywords.has(token.text)) return true;
		if (token.text === "sizeof" || token.hasColon) return false;
		// A type in parentheses is followed by ")", "*" or "[", anything else is no cast.
		const after = this.#parser.peek(distance + 1);
		const mayBeType =
			(after.kind === "operator" && [")", "*", "[", "("].includes(after.text)) ||
			(after.kind === "name" && qualifiers.has(after.text));
		if (!mayBeType) return false;
		// A variable or register of that name comes first; it is also found faster than a type.
		if (this.#environment.lookupVariable(token.text) || this.#environment.lookupRegister(token.text)) return false;
		return this.#typedef(token.text) !== undefined;
	}

	/** The type name at the next token. */
	typeName(): CType {
		if (++this.#nesting > declaratorLimit) {
			throw new EvaluationError("The type is nested too deeply", this.#parser.peek().at);
		}
		const type = this.#declarator(this.#specifiers(), 0);
		this.#nesting--;
		return type;
	}

	#typedef(name: string): CType | undefined {
		return this.#environment.lookupType("typedef", name);
	}

	#specifiers(): CType {
		const parser = this.#parser;
		const words: string[] = [];
		const found: ("const" | "volatile" | "restrict" | "_Atomic")[] = [];
		let type: CType | undefined;
		const start = parser.peek().at;
		for (;;) {
			const token = parser.peek();
			if (token.kind !== "name") break;
			if (qualifiers.has(token.text)) {
				parser.advance();
				found.push(token.text as "const");
			} else if (token.text === "struct" || token.text === "union" || token.text === "enum") {
				if (type || words.length > 0) break;
				parser.advance();
				const tag = parser.advance();
				if (tag.kind !== "name") throw new EvaluationError(`A name is expected after "${token.text}"`, tag.at);
				type = this.#environment.lookupType(token.text, tag.text);
				if (!type) throw new EvaluationError(`There is no type "${token.text} ${tag.text}"`, tag.at);
			} else if (token.text === "void") {
				if (type || words.length > 0) break;
				parser.advance();
				type = voidType;
			} else if (keywords.has(token.text)) {
				if (type) break;
				parser.advance();
				words.push(token.text);
			} else {
				if (type || words.length > 0) break;
				type = this.#typedef(token.text);
				if (!type) throw new EvaluationError(`There is no type "${token.text}"`, token.at);
				parser.advance();
			}
		}
		if (words.length > 0) {
			type = this.#environment.types.bySpecifiers(words);
			if (!type) throw new EvaluationError(`"${words.join(" ")}" is not a type`, start);
		}
		if (!type) throw new EvaluationError("A type is expected here", start);
		return found.reduce<CType>((target, qualifier) => ({ kind: "qualified", qualifier, target }), type);
	}

	/** An abstract declarator: stars, an optional inner declarator in parentheses, array and function suffixes. */
	#declarator(base: CType, depth: number): CType {
		const parser = this.#parser;
		if (depth > declaratorLimit) throw new EvaluationError("The type is nested too deeply", parser.peek().at);
		let type = base;
		for (let stars = 0; parser.accept("*"); stars++) {
			if (stars > declaratorLimit) throw new EvaluationError("The type is nested too deeply", parser.peek().at);
			type = this.#environment.types.pointerTo(type);
			for (let token = parser.peek(); token.kind === "name" && qualifiers.has(token.text); token = parser.peek()) {
				parser.advance();
				type = { kind: "qualified", qualifier: token.text as "const", target: type };
			}
		}
		if (
			parser.isOperator("(") &&
			(parser.isOperator("*", 1) || parser.isOperator("(", 1) || parser.isOperator("[", 1))
		) {
			parser.advance();
			// The inner declarator applies to what the suffixes make of the type, which stand after it.
			const hole: { target: CType } = { target: voidType };
			const inner = this.#declarator(
				{
					kind: "typedef",
					name: "",
					get target() {
						return hole.target;
					},
				},
				depth + 1,
			);
			parser.expect(")");
			hole.target = this.#suffixes(type, depth);
			return replaceHole(inner, hole.target);
		}
		return this.#suffixes(type, depth);
	}

	#suffixes(base: CType, depth: number): CType {
		const parser = this.#parser;
		if (depth > declaratorLimit) throw new EvaluationError("The type is nested too deeply", parser.peek().at);
		if (parser.accept("[")) {
			let count: number | undefined;
			const token = parser.peek();
			if (token.kind === "integer") {
				parser.advance();
				if (token.value > 0x7fffffffn) throw new EvaluationError("The array is too large", token.at);
				count = Number(token.value);
			}
			parser.expect("]");
			return { kind: "array", element: this.#suffixes(base, depth + 1), count };
		}
		if (parser.accept("(")) {
			const parameters: CType[] = [];
			let isVariadic = false;
			while (!parser.isOperator(")")) {
				if (parser.accept("...")) isVariadic = true;
				else parameters.push(this.typeName());
				if (!parser.accept(",")) break;
			}
			parser.expect(")");
			const isVoid = parameters.length === 1 && parameters[0]!.kind === "void";
			return {
				kind: "function",
				result: this.#suffixes(base, depth + 1),
				parameters: isVoid ? [] : parameters,
				isVariadic,
				isPrototyped: parameters.length > 0,
			};
		}
		return base;
	}
}

/** Rebuilds an inner declarator with the real type in place of the nameless one it was parsed with. */
function replaceHole(type: CType, filling: CType): CType {
	switch (type.kind) {
		case "typedef":
			return type.name === "" ? filling : type;
		case "pointer":
			return { kind: "pointer", size: type.size, symbol: type.symbol, target: replaceHole(type.target, filling) };
		case "qualified":
			return { kind: "qualified", qualifier: type.qualifier, target: replaceHole(type.target, filling) };
		case "array":
			return { kind: "array", count: type.count, element: replaceHole(type.element, filling) };
		case "function":
			return { ...type, result: replaceHole(type.result, filling) };
		default:
			return type;
	}
}
