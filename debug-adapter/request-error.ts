/** A refusal of a request: one sentence for the person at the editor (what, where, what to do). */
export class RequestError extends Error {}

/** The sentence of whatever was thrown. */
export function sentenceOf(thrown: unknown): string {
	return thrown instanceof Error ? thrown.message : String(thrown);
}
