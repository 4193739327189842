// What the rows of SSE floating point pass to the helpers, as the `parameter` of Operation.helper(). Operands and
// results lie in State.exchange: the first operand in bytes 0 to 15, the second in 16 to 31, the result in 0 to 15.
// The predicate of "sse:compare" (SDM Vol. 2A Table 3-1) lies in State.helperResult.

export const SseOperation = {
	add: 0,
	multiply: 1,
	subtract: 2,
	minimum: 3,
	divide: 4,
	maximum: 5,
	squareRoot: 6,
} as const;

/** Added to the parameter. */
export const SseFlag = {
	/** Double precision, else single. */
	double: 0x10,
	/** The low element only. */
	scalar: 0x20,
	/** ADDSUBPS, ADDSUBPD: even elements are subtracted, odd ones added. */
	alternate: 0x40,
	/** HADDPS and the like: neighbours of the first, then of the second operand. */
	horizontal: 0x80,
	/** The ordered comparison of COMISS, COMISD, else the unordered one. */
	signaling: 0x100,
} as const;

/** Elements of conversions: 2 bits for the source, 2 bits shifted left by 2 for the destination. */
export const ElementKind = { integer32: 0, integer64: 1, single: 2, double: 3 } as const;

export const ConvertFlag = { destinationShift: 2, countShift: 4, truncate: 0x80 } as const;
