// Exceptions in words (SDM Vol. 3A, Table 6-1, and Figure 4-12 for the page-fault error code).

const NAMES: Readonly<Record<number, string>> = {
	0: "#DE divide error",
	1: "#DB debug exception",
	2: "NMI",
	3: "#BP breakpoint",
	4: "#OF overflow",
	5: "#BR bound range exceeded",
	6: "#UD invalid opcode",
	7: "#NM device not available",
	8: "#DF double fault",
	10: "#TS invalid TSS",
	11: "#NP segment not present",
	12: "#SS stack fault",
	13: "#GP general protection",
	14: "#PF page fault",
	16: "#MF x87 floating-point error",
	17: "#AC alignment check",
	18: "#MC machine check",
	19: "#XM SIMD floating-point exception",
};

/** "#GP"; "vector 21" for one without a mnemonic. */
export function exceptionMnemonic(vector: number): string {
	return NAMES[vector]?.split(" ")[0] ?? `vector ${vector}`;
}

/** Meaning of a page-fault error code: "write to a not-present page by the supervisor". */
export function describePageFault(errorCode: number): string {
	const access = errorCode & 16 ? "instruction fetch from" : errorCode & 2 ? "write to" : "read of";
	const page =
		errorCode & 8
			? "a page with a reserved bit set"
			: errorCode & 1
				? "a protected page"
				: "a page that is not present";
	return `${access} ${page}, by ${errorCode & 4 ? "user code" : "the supervisor"}`;
}

/** One clause about an exception or interrupt: "#PF page fault (read of a page that is not present, by user code)". */
export function describeException(vector: number, errorCode: number | undefined, source: string): string {
	if (source === "external") return `Interrupt ${vector}`;
	if (source === "software") return `INT 0x${vector.toString(16)}`;
	const name = NAMES[vector] ?? `Exception ${vector}`;
	if (vector === 14 && errorCode !== undefined) return `${name} (${describePageFault(errorCode)})`;
	return errorCode === undefined ? name : `${name} (error code 0x${errorCode.toString(16)})`;
}
