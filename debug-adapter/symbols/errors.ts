/** What is wrong with a symbol file, for callers that treat the cases differently. */
export type SymbolErrorKind = "not-elf" | "truncated" | "malformed" | "unsupported" | "limit";

/** A symbol file that cannot be used, or not for this question. `message` is one sentence for the user. */
export class SymbolError extends Error {
	readonly kind: SymbolErrorKind;

	constructor(kind: SymbolErrorKind, message: string) {
		super(message);
		this.name = "SymbolError";
		this.kind = kind;
	}
}

/**
 * An expression that cannot be parsed or evaluated. `message` is one sentence that ends in the position;
 * `position` counts UTF-16 units from 0 into the expression.
 */
export class EvaluationError extends Error {
	readonly position: number;
	/** The sentence without the position, for a caller that marks the position itself. */
	readonly sentence: string;

	constructor(sentence: string, position: number) {
		super(`${sentence} (at column ${position + 1})`);
		this.name = "EvaluationError";
		this.sentence = sentence;
		this.position = position;
	}
}
