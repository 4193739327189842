// Single bits and fields of registers that people read by name.

export interface RegisterField {
	readonly name: string;
	/** Lowest bit. */
	readonly bit: number;
	/** Bits; 1 when left out. */
	readonly width?: number;
	readonly description: string;
}

/** EFLAGS: SDM Vol. 1 §3.4.3, Figure 3-8. */
const flags: readonly RegisterField[] = [
	{ name: "CF", bit: 0, description: "carry" },
	{ name: "PF", bit: 2, description: "parity" },
	{ name: "AF", bit: 4, description: "auxiliary carry" },
	{ name: "ZF", bit: 6, description: "zero" },
	{ name: "SF", bit: 7, description: "sign" },
	{ name: "TF", bit: 8, description: "trap: single step" },
	{ name: "IF", bit: 9, description: "interrupts enabled" },
	{ name: "DF", bit: 10, description: "direction: strings go down" },
	{ name: "OF", bit: 11, description: "overflow" },
	{ name: "IOPL", bit: 12, width: 2, description: "I/O privilege level" },
	{ name: "NT", bit: 14, description: "nested task" },
	{ name: "RF", bit: 16, description: "resume" },
	{ name: "VM", bit: 17, description: "virtual-8086 mode" },
	{ name: "AC", bit: 18, description: "alignment check, access control" },
	{ name: "VIF", bit: 19, description: "virtual interrupt flag" },
	{ name: "VIP", bit: 20, description: "virtual interrupt pending" },
	{ name: "ID", bit: 21, description: "CPUID can be used" },
];

/** CR0 and CR4: SDM Vol. 3A §2.5. */
const cr0: readonly RegisterField[] = [
	{ name: "PE", bit: 0, description: "protected mode" },
	{ name: "MP", bit: 1, description: "monitor coprocessor" },
	{ name: "EM", bit: 2, description: "x87 instructions trap" },
	{ name: "TS", bit: 3, description: "task switched" },
	{ name: "ET", bit: 4, description: "extension type" },
	{ name: "NE", bit: 5, description: "x87 errors by exception" },
	{ name: "WP", bit: 16, description: "write protect holds for the supervisor" },
	{ name: "AM", bit: 18, description: "alignment mask" },
	{ name: "NW", bit: 29, description: "not write-through" },
	{ name: "CD", bit: 30, description: "cache disable" },
	{ name: "PG", bit: 31, description: "paging" },
];

const cr3: readonly RegisterField[] = [
	{ name: "PWT", bit: 3, description: "write-through for the top table" },
	{ name: "PCD", bit: 4, description: "no caching of the top table" },
	{ name: "base", bit: 12, width: 40, description: "page number of the top table" },
];

const cr4: readonly RegisterField[] = [
	{ name: "VME", bit: 0, description: "virtual-8086 extensions" },
	{ name: "PVI", bit: 1, description: "protected-mode virtual interrupts" },
	{ name: "TSD", bit: 2, description: "RDTSC is privileged" },
	{ name: "DE", bit: 3, description: "debugging extensions" },
	{ name: "PSE", bit: 4, description: "4 MiB pages" },
	{ name: "PAE", bit: 5, description: "physical address extension" },
	{ name: "MCE", bit: 6, description: "machine check" },
	{ name: "PGE", bit: 7, description: "global pages" },
	{ name: "PCE", bit: 8, description: "RDPMC at any level" },
	{ name: "OSFXSR", bit: 9, description: "FXSAVE and SSE" },
	{ name: "OSXMMEXCPT", bit: 10, description: "SIMD floating-point exceptions" },
	{ name: "UMIP", bit: 11, description: "user-mode instruction prevention" },
	{ name: "LA57", bit: 12, description: "5-level paging" },
	{ name: "VMXE", bit: 13, description: "VMX" },
	{ name: "SMXE", bit: 14, description: "SMX" },
	{ name: "FSGSBASE", bit: 16, description: "RDFSBASE and friends" },
	{ name: "PCIDE", bit: 17, description: "process-context identifiers" },
	{ name: "OSXSAVE", bit: 18, description: "XSAVE" },
	{ name: "SMEP", bit: 20, description: "supervisor execution prevention" },
	{ name: "SMAP", bit: 21, description: "supervisor access prevention" },
	{ name: "PKE", bit: 22, description: "protection keys" },
];

/** IA32_EFER: SDM Vol. 3A §2.2.1. */
const efer: readonly RegisterField[] = [
	{ name: "SCE", bit: 0, description: "SYSCALL" },
	{ name: "LME", bit: 8, description: "long mode enabled" },
	{ name: "LMA", bit: 10, description: "long mode active" },
	{ name: "NXE", bit: 11, description: "execute disable" },
];

/** DR6 and DR7: SDM Vol. 3B §18.2. */
const dr6: readonly RegisterField[] = [
	{ name: "B0", bit: 0, description: "condition 0 met" },
	{ name: "B1", bit: 1, description: "condition 1 met" },
	{ name: "B2", bit: 2, description: "condition 2 met" },
	{ name: "B3", bit: 3, description: "condition 3 met" },
	{ name: "BD", bit: 13, description: "debug register access" },
	{ name: "BS", bit: 14, description: "single step" },
	{ name: "BT", bit: 15, description: "task switch" },
];

const dr7: readonly RegisterField[] = [
	...[0, 1, 2, 3].flatMap((index): RegisterField[] => [
		{ name: `L${index}`, bit: index * 2, description: `breakpoint ${index} enabled in this task` },
		{ name: `G${index}`, bit: index * 2 + 1, description: `breakpoint ${index} enabled in all tasks` },
	]),
	{ name: "GD", bit: 13, description: "debug register access traps" },
	...[0, 1, 2, 3].flatMap((index): RegisterField[] => [
		{
			name: `R/W${index}`,
			bit: 16 + index * 4,
			width: 2,
			description: "0 execute, 1 write, 2 I/O, 3 read or write",
		},
		{ name: `LEN${index}`, bit: 18 + index * 4, width: 2, description: "0: 1 byte, 1: 2, 2: 8, 3: 4" },
	]),
];

const fields: Readonly<Record<string, readonly RegisterField[]>> = {
	eflags: flags,
	rflags: flags,
	flags,
	cr0,
	cr3,
	cr4,
	efer,
	ia32_efer: efer,
	dr6,
	dr7,
};

/** The fields of a register, lowest first; none for one that is only a number. */
export function registerFields(name: string): readonly RegisterField[] {
	return fields[name] ?? [];
}

export function fieldValue(register: bigint, field: RegisterField): bigint {
	return (register >> BigInt(field.bit)) & ((1n << BigInt(field.width ?? 1)) - 1n);
}

/** The register's value with the field replaced. */
export function withField(register: bigint, field: RegisterField, value: bigint): bigint {
	const mask = ((1n << BigInt(field.width ?? 1)) - 1n) << BigInt(field.bit);
	return (register & ~mask) | ((value << BigInt(field.bit)) & mask);
}
