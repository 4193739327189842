// Reference: C11 section 6.4 "Lexical elements".
import { EvaluationError } from "../errors.ts";

export type Token =
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
	/** `hasColon`: a ":" follows at once, as after an address-space prefix. */
	| { readonly kind: "name"; readonly text: string; readonly hasColon: boolean; readonly at: number }
	| { readonly kind: "register"; readonly text: string; readonly at: number }
	| { readonly kind: "operator"; readonly text: string; readonly at: number }
	/** What is no token: an error only if it is not part of a format suffix such as "5x". */
	| { readonly kind: "bad"; readonly error: EvaluationError; readonly at: number }
	| { readonly kind: "end"; readonly at: number };

/** Longest first, so that the longest match is found first. */
const operators = [
	"<<=",
	">>=",
	"...",
	"->",
	"++",
	"--",
	"<<",
	">>",
	"<=",
	">=",
	"==",
	"!=",
	"&&",
	"||",
	"+=",
	"-=",
	"*=",
	"/=",
	"%=",
	"&=",
	"|=",
	"^=",
	"+",
	"-",
	"*",
	"/",
	"%",
	"&",
	"|",
	"^",
	"~",
	"!",
	"<",
	">",
	"=",
	"?",
	":",
	".",
	",",
	"(",
	")",
	"[",
	"]",
	"{",
	"}",
	";",
];

const escapes: Record<string, number> = {
	n: 10,
	t: 9,
	r: 13,
	"0": 0,
	a: 7,
	b: 8,
	f: 12,
	v: 11,
	e: 27,
	"\\": 92,
	"'": 39,
	'"': 34,
	"?": 63,
};

const lengthLimit = 10_000;

/** Cuts an expression into tokens. Throws `EvaluationError` at what is no token. */
export function tokenize(text: string): Token[] {
	if (text.length > lengthLimit)
		throw new EvaluationError(`The expression is longer than ${lengthLimit} characters`, 0);
	const tokens: Token[] = [];
	let at = 0;
	while (at < text.length) {
		const rest = text.slice(at, at + 512);
		const space = /^\s+/.exec(rest);
		if (space) {
			at += space[0].length;
			continue;
		}
		const start = at;
		const number = /^(?:0[xX][0-9a-fA-F]|[0-9]|\.[0-9])(?:[eEpP][+-](?=[0-9])|[0-9a-zA-Z_.])*/.exec(rest);
		if (number) {
			// "0xe+1" is a sum: only a decimal number has an exponent with a sign after "e".
			let word = number[0];
			if (/^0[xX]/.test(word)) word = /^0[xX][0-9a-zA-Z_]*/.exec(rest)![0];
			tokens.push(numberToken(word, start));
			at += word.length;
			continue;
		}
		const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(rest);
		if (name) {
			at += name[0].length;
			tokens.push({ kind: "name", text: name[0], hasColon: text[at] === ":" && text[at + 1] !== ":", at: start });
			continue;
		}
		const register = /^\$[A-Za-z_][A-Za-z0-9_]*/.exec(rest);
		if (register) {
			tokens.push({ kind: "register", text: register[0].slice(1).toLowerCase(), at: start });
			at += register[0].length;
			continue;
		}
		if (text[at] === "'" || text[at] === '"') {
			const quote = text[at]!;
			const { bytes, end } = quoted(text, at + 1, quote);
			at = end;
			if (quote === '"') tokens.push({ kind: "string", bytes, at: start });
			else if (bytes.length === 1) tokens.push({ kind: "character", value: bytes[0]!, at: start });
			else throw new EvaluationError("A character constant holds exactly one character", start);
			continue;
		}
		const operator = operators.find((candidate) => rest.startsWith(candidate));
		if (!operator)
			throw new EvaluationError(`"${String.fromCodePoint(text.codePointAt(at)!)}" has no meaning here`, at);
		tokens.push({ kind: "operator", text: operator, at: start });
		at += operator.length;
	}
	tokens.push({ kind: "end", at: text.length });
	return tokens;
}

function numberToken(word: string, at: number): Token {
	const integer = /^(0[xX][0-9a-fA-F]+|0[bB][01]+|[0-9]+)([uUlL]*)$/.exec(word);
	if (integer) {
		const digits = integer[1]!;
		const suffix = integer[2]!.toLowerCase();
		if (!/^(u?l{0,2}|l{1,2}u)$/.test(suffix)) return bad(`"${word}" is not a number`, at);
		const isOctal = /^0[0-9]+$/.test(digits);
		if (isOctal && /[89]/.test(digits)) return bad(`"${word}" is not an octal number`, at);
		const value = BigInt(isOctal ? `0o${digits.slice(1)}` : digits);
		if (value >= 1n << 64n) return bad(`"${word}" does not fit into 64 bits`, at);
		return { kind: "integer", value, suffix, isDecimal: /^[1-9]/.test(digits), at };
	}
	const float = /^([0-9]*\.?[0-9]*(?:[eE][+-]?[0-9]+)?)([fFlL]?)$/.exec(word);
	if (float && /[0-9]/.test(float[1]!)) {
		return { kind: "float", value: Number(float[1]), isSingle: /f/i.test(float[2]!), at };
	}
	return bad(`"${word}" is not a number`, at);
}

function bad(sentence: string, at: number): Token {
	return { kind: "bad", error: new EvaluationError(sentence, at), at };
}

/** The bytes between quotes, in UTF-8; `end` is after the closing quote. */
function quoted(text: string, start: number, quote: string): { bytes: number[]; end: number } {
	const bytes: number[] = [];
	let at = start;
	for (;;) {
		const character = text[at];
		if (character === undefined) throw new EvaluationError(`The closing ${quote} is missing`, start - 1);
		if (character === quote) return { bytes, end: at + 1 };
		if (character !== "\\") {
			const whole = String.fromCodePoint(text.codePointAt(at)!);
			bytes.push(...new TextEncoder().encode(whole));
			at += whole.length;
			continue;
		}
		const code = /^(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3}))/.exec(text.slice(at + 1, at + 4));
		if (code) {
			bytes.push((code[1] ? Number.parseInt(code[1], 16) : Number.parseInt(code[2]!, 8)) & 0xff);
			at += 1 + code[0].length;
			continue;
		}
		const escaped = escapes[text[at + 1] ?? ""];
		if (escaped === undefined) throw new EvaluationError(`"\\${text[at + 1] ?? ""}" is not an escape sequence`, at);
		bytes.push(escaped);
		at += 2;
	}
}
