// Which names of a source text have a value worth showing at the end of their line while the machine stands in it.

export interface InlineName {
	readonly line: number;
	/** Columns; `end` is exclusive. */
	readonly start: number;
	readonly end: number;
	readonly name: string;
}

/** Lines above the stop that are looked at, where the function seems to be longer. */
const farthest = 300;

const keywords = new Set(
	"auto break case char const continue default do double else enum extern float for goto if inline int long register restrict return short signed sizeof static struct switch typedef union unsigned void volatile while".split(
		" ",
	),
);

/** A line without its comments and the insides of its texts; the columns stay as they are. */
function code(line: string): string {
	return line
		.replace(/"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'/g, (text) => " ".repeat(text.length))
		.replace(/\/\*.*?(?:\*\/|$)/g, (text) => " ".repeat(text.length))
		.replace(/\/\/.*$/, "");
}

/**
 * The variables of C that are named between the beginning of the function and the line of the stop: no members, no functions
 * that are called, no words of the language. Each is given on the first and on the last line that names it, for on every line
 * the values would hide the text. Lines count from 0.
 */
export function inlineNames(lineAt: (line: number) => string, stop: number): InlineName[] {
	let first = stop;
	// A brace in the first column ends the function before.
	while (first > 0 && stop - first < farthest && !/^}/.test(lineAt(first - 1))) first--;
	const places = new Map<string, InlineName[]>();
	for (let line = first; line <= stop; line++) {
		const text = code(lineAt(line));
		if (/^\s*(#|\*)/.test(text)) continue;
		for (const match of text.matchAll(/[A-Za-z_]\w*/g)) {
			const [name] = match;
			const start = match.index;
			const end = start + name.length;
			const known = places.get(name) ?? [];
			if (keywords.has(name) || known.at(-1)?.line === line) continue;
			if (/(?:\.|->)\s*$/.test(text.slice(0, start))) continue;
			if (/^\s*\(/.test(text.slice(end))) continue;
			places.set(name, [...known.slice(0, 1), { line, start, end, name }]);
		}
	}
	return [...places.values()].flat().sort((a, b) => a.line - b.line || a.start - b.start);
}

/** The registers that an instruction in AT&T or Intel syntax names, each once. */
export function inlineRegisters(line: string, number: number): InlineName[] {
	const names: InlineName[] = [];
	const instruction = line.replace(/(#|\/\/|;|\/\*).*$/, "");
	const register = /%?\b([re]?(?:[abcd]x|[sd]i|[sb]p)|[abcd][hl]|r(?:8|9|1[0-5])[dwb]?|cr[0-48]|dr[0-7])\b/g;
	for (const match of instruction.matchAll(register)) {
		const name = match[1]!;
		if (names.some((one) => one.name === name)) continue;
		names.push({ line: number, start: match.index, end: match.index + match[0].length, name });
	}
	return names;
}
