// The exceptions of the architecture: SDM Vol. 3A Table 6-1.

export interface ExceptionVector {
	readonly vector: number;
	readonly mnemonic: string;
	readonly name: string;
	/** What its error code holds; absent when there is none. */
	readonly errorCode?: "selector" | "page-fault" | "zero" | "control-protection";
}

export const exceptionVectors: readonly ExceptionVector[] = [
	{ vector: 0, mnemonic: "#DE", name: "Divide Error" },
	{ vector: 1, mnemonic: "#DB", name: "Debug Exception" },
	{ vector: 2, mnemonic: "NMI", name: "Nonmaskable Interrupt" },
	{ vector: 3, mnemonic: "#BP", name: "Breakpoint" },
	{ vector: 4, mnemonic: "#OF", name: "Overflow" },
	{ vector: 5, mnemonic: "#BR", name: "BOUND Range Exceeded" },
	{ vector: 6, mnemonic: "#UD", name: "Invalid Opcode" },
	{ vector: 7, mnemonic: "#NM", name: "Device Not Available" },
	{ vector: 8, mnemonic: "#DF", name: "Double Fault", errorCode: "zero" },
	{ vector: 10, mnemonic: "#TS", name: "Invalid TSS", errorCode: "selector" },
	{ vector: 11, mnemonic: "#NP", name: "Segment Not Present", errorCode: "selector" },
	{ vector: 12, mnemonic: "#SS", name: "Stack-Segment Fault", errorCode: "selector" },
	{ vector: 13, mnemonic: "#GP", name: "General Protection", errorCode: "selector" },
	{ vector: 14, mnemonic: "#PF", name: "Page Fault", errorCode: "page-fault" },
	{ vector: 16, mnemonic: "#MF", name: "x87 FPU Floating-Point Error" },
	{ vector: 17, mnemonic: "#AC", name: "Alignment Check", errorCode: "zero" },
	{ vector: 18, mnemonic: "#MC", name: "Machine Check" },
	{ vector: 19, mnemonic: "#XM", name: "SIMD Floating-Point Exception" },
	{ vector: 20, mnemonic: "#VE", name: "Virtualization Exception" },
	{ vector: 21, mnemonic: "#CP", name: "Control Protection Exception", errorCode: "control-protection" },
];

export function exceptionVector(vector: number): ExceptionVector | undefined {
	return exceptionVectors.find((one) => one.vector === vector);
}

/** "#PF Page Fault (14)", "Interrupt 32" */
export function vectorTitle(vector: number): string {
	const known = exceptionVector(vector);
	return known ? `${known.mnemonic} ${known.name} (${vector})` : `Interrupt ${vector}`;
}

/** The error code in words: SDM Vol. 3A §6.13 (selector) and §4.7 (page fault). Undefined when the vector has none. */
export function decodeErrorCode(vector: number, errorCode: number): string | undefined {
	switch (exceptionVector(vector)?.errorCode) {
		case "selector": {
			if (errorCode === 0) return "no selector";
			const table = errorCode & 2 ? "IDT" : errorCode & 4 ? "LDT" : "GDT";
			return `${table} entry ${errorCode >> 3}${errorCode & 1 ? ", raised by an event from outside the program" : ""}`;
		}
		case "page-fault":
			return decodePageFault(errorCode);
		case "zero":
			return errorCode === 0 ? "always 0" : undefined;
		case "control-protection":
			return ["", "near RET", "far RET or IRET", "missing ENDBRANCH", "RSTORSSP", "SETSSBSY"][errorCode & 0x7fff];
		default:
			return undefined;
	}
}

function decodePageFault(errorCode: number): string {
	const parts = [
		errorCode & 1 ? "the page's rights forbid it (P=1)" : "the page is not present (P=0)",
		errorCode & 0x10 ? "instruction fetch" : errorCode & 2 ? "write" : "read",
		errorCode & 4 ? "in user mode" : "in supervisor mode",
	];
	if (errorCode & 8) parts.push("a reserved bit is set in an entry (RSVD)");
	if (errorCode & 0x20) parts.push("by protection key (PK)");
	if (errorCode & 0x40) parts.push("shadow-stack access (SS)");
	return parts.join(", ");
}
