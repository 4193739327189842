// A terminal takes a bare line feed as "one line down, same column"; guests that send just that mean a new line.

/**
 * The text with a carriage return before each line feed that has none.
 * @param previous the character that came before the text, as a guest may send the two apart
 */
export function withCarriageReturns(text: string, previous: string): string {
	return text.replace(/\n/g, (_, offset: number) =>
		(offset === 0 ? previous : text[offset - 1]) === "\r" ? "\n" : "\r\n",
	);
}
