export interface FoundExpression {
	/** Columns in the line; `end` is exclusive. */
	readonly start: number;
	readonly end: number;
	readonly expression: string;
}

/**
 * The name under a column of a line of assembly, as the debugger evaluates it: "%eax" is the register eax, "$counter" the
 * symbol counter. Undefined over mnemonics, directives, numbers, comments and local labels ("1f").
 */
export function assemblyExpression(line: string, column: number): FoundExpression | undefined {
	const comment = line.search(/#|\/\/|\/\*/);
	for (const match of line.matchAll(/([%$]?)([A-Za-z_][\w$]*)/g)) {
		const start = match.index;
		const end = start + match[0].length;
		if (column < start || column > end) continue;
		if (comment >= 0 && start > comment) return undefined;
		const before = line.slice(0, start);
		// The first word of a line (after its label) is the mnemonic; ".word" is a directive; "0x1f" and "1f" are numbers.
		const isMnemonic = match[1] === "" && /^\s*([\w.$]+:)?\s*$/.test(before) && line[end] !== ":";
		if (isMnemonic || /[.\w]$/.test(before)) return undefined;
		return { start, end, expression: match[2]! };
	}
	return undefined;
}
