// The exit qualification and the instruction information: what their bits mean hangs on the exit reason
// (SDM Vol. 3C §28.2.1 and §28.2.5).

import { ExitReasonNumber as Reason } from "../../cpu/vmx/exit-reasons.ts";
import { type BitLayout, either, flag, hex, range, words } from "./bit-layout.ts";

const REGISTERS = [
	"RAX",
	"RCX",
	"RDX",
	"RBX",
	"RSP",
	"RBP",
	"RSI",
	"RDI",
	"R8",
	"R9",
	"R10",
	"R11",
	"R12",
	"R13",
	"R14",
	"R15",
];
const register = (part: bigint): string => REGISTERS[Number(part)]!;
const SEGMENTS = words({ 0: "ES", 1: "CS", 2: "SS", 3: "DS", 4: "FS", 5: "GS" });
const ADDRESS_SIZES = words({ 0: "16 bits", 1: "32 bits", 2: "64 bits" });

/** Table 28-1. */
const debugException: BitLayout = [
	flag(0, "B0"),
	flag(1, "B1"),
	flag(2, "B2"),
	flag(3, "B3"),
	flag(11, "BLD"),
	flag(13, "BD"),
	flag(14, "BS"),
	flag(16, "RTM"),
];

/** Table 28-2. */
const taskSwitch: BitLayout = [
	range(15, 0, "Selector of the TSS"),
	range(31, 30, "Source", words({ 0: "CALL", 1: "IRET", 2: "JMP", 3: "task gate in the IDT" })),
];

const CR_ACCESS = { 0: "MOV to CR", 1: "MOV from CR", 2: "CLTS", 3: "LMSW" };

/** Table 28-3. */
const controlRegister: BitLayout = [
	range(3, 0, "Control register", (part) => `CR${part}`),
	range(5, 4, "Access", words(CR_ACCESS)),
	either(6, "LMSW operand", "register", "memory"),
	range(11, 8, "General register", register),
	range(31, 16, "LMSW source data"),
];

/** Table 28-4. */
const debugRegister: BitLayout = [
	range(2, 0, "Debug register", (part) => `DR${part}`),
	either(4, "Direction", "MOV to DR", "MOV from DR"),
	range(11, 8, "General register", register),
];

/** Table 28-5. */
const portAccess: BitLayout = [
	range(2, 0, "Size", words({ 0: "1 byte", 1: "2 bytes", 3: "4 bytes" })),
	either(3, "Direction", "OUT", "IN"),
	flag(4, "String instruction"),
	flag(5, "REP prefixed"),
	either(6, "Operand encoding", "DX", "immediate"),
	range(31, 16, "Port", hex),
];

const APIC_ACCESS = {
	0: "data read",
	1: "data write",
	2: "instruction fetch",
	3: "during event delivery",
	10: "guest-physical, during event delivery",
	15: "guest-physical",
};

/** Table 28-6. */
const apicAccess: BitLayout = [
	range(11, 0, "Offset in the APIC page", hex),
	range(15, 12, "Access", words(APIC_ACCESS)),
];

/** Table 28-7. */
const eptViolation: BitLayout = [
	flag(0, "Data read"),
	flag(1, "Data write"),
	flag(2, "Instruction fetch"),
	flag(3, "Readable"),
	flag(4, "Writable"),
	flag(5, "Executable"),
	flag(6, "Executable for user-mode linear addresses"),
	flag(7, "Guest linear address valid"),
	either(8, "Access", "to a paging-structure entry", "to the page of the linear address"),
	flag(12, "NMI unblocking due to IRET"),
];

/** §27.8 */
const ENTRY_FAILURES = { 0: "no further word", 2: "PDPTEs", 3: "NMI injection", 4: "VMCS link pointer" };
const invalidGuestState: BitLayout = [range(7, 0, "Cause", words(ENTRY_FAILURES))];

const plain = (name: string): BitLayout => [range(63, 0, name, hex)];

const LAYOUTS: Readonly<Record<number, BitLayout>> = {
	[Reason.taskSwitch]: taskSwitch,
	[Reason.invlpg]: plain("Linear address"),
	[Reason.controlRegister]: controlRegister,
	[Reason.debugRegister]: debugRegister,
	[Reason.io]: portAccess,
	[Reason.invalidGuestState]: invalidGuestState,
	[Reason.msrLoading]: plain("Number of the entry in the MSR-load area"),
	[Reason.apicAccess]: apicAccess,
	[Reason.eptViolation]: eptViolation,
	...Object.fromEntries(
		[
			Reason.vmclear,
			Reason.vmptrld,
			Reason.vmptrst,
			Reason.vmread,
			Reason.vmwrite,
			Reason.vmxon,
			Reason.invept,
			Reason.invvpid,
			Reason.invpcid,
			Reason.gdtrOrIdtr,
			Reason.ldtrOrTr,
		].map((reason) => [reason, plain("Displacement of the memory operand")]),
	),
};

/** @param vector of the exit-interruption information, for exceptions. Undefined: the qualification is not used (0). */
export function qualificationLayout(reason: number, vector: number | undefined): BitLayout {
	if (reason === Reason.exceptionOrNmi)
		return vector === 1 ? debugException : vector === 14 ? plain("Page-fault linear address") : [];
	return LAYOUTS[reason] ?? [];
}

/** Tables 28-9 to 28-14: the operands of instructions with a memory operand. */
const operand = (value: bigint): BitLayout => {
	if ((value >> 10n) & 1n)
		return [range(6, 3, "Register operand", register), either(10, "Operand", "memory", "register")];
	const none = (invalid: bigint) => (part: bigint) => ((value >> invalid) & 1n ? "none" : register(part));
	return [
		range(1, 0, "Scaling", (part) => `index × ${1 << Number(part)}`),
		range(9, 7, "Address size", ADDRESS_SIZES),
		either(10, "Operand", "memory", "register"),
		range(17, 15, "Segment register", SEGMENTS),
		range(21, 18, "Index register", none(22n)),
		range(26, 23, "Base register", none(27n)),
	];
};

const stringAccess: BitLayout = [
	range(9, 7, "Address size", ADDRESS_SIZES),
	range(17, 15, "Segment register", SEGMENTS),
];
const identity = (high: string, names: Readonly<Record<number, string>>) => range(29, 28, high, words(names));

/** Instruction information; empty when the reason does not use it. @param qualification tells string I/O from other I/O. */
export function informationLayout(reason: number, value: bigint, qualification: bigint): BitLayout {
	switch (reason) {
		case Reason.io:
			return (qualification >> 4n) & 1n ? stringAccess : [];
		case Reason.gdtrOrIdtr:
			return [
				...operand(value),
				either(11, "Operand size", "16 bits", "32 bits"),
				identity("Instruction", { 0: "SGDT", 1: "SIDT", 2: "LGDT", 3: "LIDT" }),
			];
		case Reason.ldtrOrTr:
			return [...operand(value), identity("Instruction", { 0: "SLDT", 1: "STR", 2: "LLDT", 3: "LTR" })];
		case Reason.vmread:
		case Reason.vmwrite:
		case Reason.invept:
		case Reason.invvpid:
		case Reason.invpcid:
			return [...operand(value), range(31, 28, "Second register", register)];
		case Reason.vmclear:
		case Reason.vmptrld:
		case Reason.vmptrst:
		case Reason.vmxon:
			return operand(value);
		default:
			return [];
	}
}

export const generalRegisterName = (number: number): string => REGISTERS[number & 15]!;
