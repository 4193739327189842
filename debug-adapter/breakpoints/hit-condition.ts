import { RequestError } from "../request-error.ts";

/**
 * Whether a breakpoint stops at its nth hit. "5" and "=5" stop at the fifth, ">5" ">=5" "<5" "<=5" as they read, "%3"
 * at every third. @throws {RequestError}
 */
export function parseHitCondition(text: string): (hits: number) => boolean {
	const match = /^\s*(%|>=|>|<=|<|={0,3})\s*(\d{1,15})\s*$/.exec(text);
	if (!match)
		throw new RequestError(`Hit count "${text}" is not understood: write 5, >5, >=5, <5, <=5 or %5 (every fifth).`);
	const count = Number(match[2]);
	switch (match[1]) {
		case "%":
			if (count === 0) throw new RequestError(`Hit count "${text}" is not understood: every 0th hit does not exist.`);
			return (hits) => hits % count === 0;
		case ">":
			return (hits) => hits > count;
		case ">=":
			return (hits) => hits >= count;
		case "<":
			return (hits) => hits < count;
		case "<=":
			return (hits) => hits <= count;
		default:
			return (hits) => hits === count;
	}
}
