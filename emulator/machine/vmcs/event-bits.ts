// Events in VMCS fields: interruption information, exit reason, VM-instruction error (SDM Vol. 3C §25.8.3, §25.9, §31.4).

import { exitReasonName } from "../../cpu/vmx/exit-reasons.ts";
import { InterruptionType } from "../../cpu/vmx/interruption-information.ts";
import { exceptionMnemonic } from "../exception-names.ts";
import { type BitLayout, either, flag, range, words } from "./bit-layout.ts";

const TYPES: Readonly<Record<number, string>> = {
	0: "external interrupt",
	2: "NMI",
	3: "hardware exception",
	4: "software interrupt",
	5: "privileged software exception",
	6: "software exception",
	7: "other event",
};

const isInterrupt = (information: bigint): boolean => {
	const type = Number((information >> 8n) & 7n);
	return type === InterruptionType.external || type === InterruptionType.softwareInterrupt;
};

/** Vector and type; they mean something only in a valid field. */
function vectorAndType(information: bigint): BitLayout {
	if (!((information >> 31n) & 1n)) return [range(7, 0, "Vector"), range(10, 8, "Type")];
	return [
		range(7, 0, "Vector", (part) => (isInterrupt(information) ? undefined : exceptionMnemonic(Number(part)))),
		range(10, 8, "Type", words(TYPES)),
	];
}

/** Table 25-16. */
export const entryInterruptionBits = (value: bigint): BitLayout => [
	...vectorAndType(value),
	flag(11, "Deliver error code"),
	flag(31, "Valid"),
];

/** Table 25-19. */
export const exitInterruptionBits = (value: bigint): BitLayout => [
	...vectorAndType(value),
	flag(11, "Error code valid"),
	flag(12, "NMI unblocking due to IRET"),
	flag(31, "Valid"),
];

/** Table 25-20. */
export const idtVectoringBits = (value: bigint): BitLayout => [
	...vectorAndType(value),
	flag(11, "Error code valid"),
	flag(31, "Valid"),
];

/** An interruption-information field in a few words; "none" when it is not valid. */
export function interruptionMeaning(information: bigint): string {
	if (((information >> 31n) & 1n) === 0n) return "none";
	const type = Number((information >> 8n) & 7n);
	const number = Number(information & 0xffn);
	if (type === InterruptionType.other) return number === 0 ? "pending MTF VM exit" : `other event ${number}`;
	if (type === InterruptionType.nmi) return "NMI";
	return `${TYPES[type] ?? "reserved type"} ${isInterrupt(information) ? number : exceptionMnemonic(number)}`;
}

/** Table 25-18. */
export const exitReasonBits: BitLayout = [
	range(15, 0, "Basic exit reason", (part) => exitReasonName(Number(part))),
	flag(25, "Busy shadow stack"),
	flag(26, "Bus lock"),
	flag(27, "Enclave mode"),
	flag(28, "Pending MTF VM exit"),
	flag(29, "VM exit from VMX root operation"),
	either(31, "VM-entry failure", "a true VM exit", "the VM entry failed"),
];

/** §31.4 */
const INSTRUCTION_ERRORS: Readonly<Record<number, string>> = {
	1: "VMCALL executed in VMX root operation",
	2: "VMCLEAR with invalid physical address",
	3: "VMCLEAR with VMXON pointer",
	4: "VMLAUNCH with non-clear VMCS",
	5: "VMRESUME with non-launched VMCS",
	6: "VMRESUME after VMXOFF",
	7: "VM entry with invalid control field(s)",
	8: "VM entry with invalid host-state field(s)",
	9: "VMPTRLD with invalid physical address",
	10: "VMPTRLD with VMXON pointer",
	11: "VMPTRLD with incorrect VMCS revision identifier",
	12: "VMREAD/VMWRITE from/to unsupported VMCS component",
	13: "VMWRITE to read-only VMCS component",
	15: "VMXON executed in VMX root operation",
	16: "VM entry with invalid executive-VMCS pointer",
	17: "VM entry with non-launched executive VMCS",
	18: "VM entry with executive-VMCS pointer not VMXON pointer",
	19: "VMCALL with non-clear VMCS",
	20: "VMCALL with invalid VM-exit control fields",
	22: "VMCALL with incorrect MSEG revision identifier",
	23: "VMXOFF under dual-monitor treatment of SMIs and SMM",
	24: "VMCALL with invalid SMM-monitor features",
	25: "VM entry with invalid VM-execution control fields in executive VMCS",
	26: "VM entry with events blocked by MOV SS",
	28: "Invalid operand to INVEPT/INVVPID",
};

/** "VM entry with invalid control field(s)"; "none" for 0. */
export function instructionErrorMeaning(error: number): string {
	return error === 0 ? "none" : (INSTRUCTION_ERRORS[error] ?? `VM-instruction error ${error}`);
}
