// Reference: System V ABI, Intel386 Architecture Processor Supplement, table 2.14; AMD64 supplement, figure 3.36.

/** How DWARF numbers the registers of a processor, and what a call leaves of them. */
export interface RegisterModel {
	readonly machine: "i386" | "x86-64";
	readonly addressSize: 4 | 8;
	/** Name of each register by its DWARF number. */
	readonly names: readonly string[];
	readonly stackPointer: number;
	readonly framePointer: number;
	/** The column that stands for the return address. */
	readonly returnAddress: number;
	/** Registers that a callee keeps, so that they hold in the caller when no rule speaks of them. */
	readonly preserved: readonly number[];
}

const i386: RegisterModel = {
	machine: "i386",
	addressSize: 4,
	names: ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip", "eflags"],
	stackPointer: 4,
	framePointer: 5,
	returnAddress: 8,
	preserved: [3, 5, 6, 7],
};

const x86_64: RegisterModel = {
	machine: "x86-64",
	addressSize: 8,
	names: ["rax", "rdx", "rcx", "rbx", "rsi", "rdi", "rbp", "rsp"].concat(
		["r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15", "rip"],
		Array.from({ length: 16 }, (_, i) => `xmm${i}`),
	),
	stackPointer: 7,
	framePointer: 6,
	returnAddress: 16,
	preserved: [3, 6, 12, 13, 14, 15],
};

/** The numbering for a processor. */
export function registerModel(machine: "i386" | "x86-64"): RegisterModel {
	return machine === "i386" ? i386 : x86_64;
}

/** The DWARF number of a register name ("eax", "rip"), or undefined. */
export function dwarfNumber(model: RegisterModel, name: string): number | undefined {
	const number = model.names.indexOf(name);
	return number < 0 ? undefined : number;
}
