// A VM exit in words: its reason, and what the exit information says about it, from the bytes of the VMCS.

import { exitReasonName, ExitReasonNumber as Reason } from "../../cpu/vmx/exit-reasons.ts";
import { describePageFault } from "../exception-names.ts";
import type { VmEventField } from "../vm-events.ts";
import { hex } from "./bit-layout.ts";
import { interruptionMeaning } from "./event-bits.ts";
import { generalRegisterName } from "./exit-qualification.ts";
import type { VmcsBytes } from "./vmcs-bytes.ts";

const field = (name: string, value: VmEventField["value"]): VmEventField => ({ name, value });
const bit = (value: bigint, position: bigint): boolean => ((value >> position) & 1n) !== 0n;

/** The word that the exit is counted by: "CPUID"; "Invalid guest state (entry failed)". */
export function exitTitle(vmcs: VmcsBytes): string {
	const reason = vmcs.word("exitReason");
	return `${exitReasonName(reason)}${reason >>> 31 ? " (entry failed)" : ""}`;
}

/** "write"; "read and write" */
function accesses(value: bigint, first: bigint, none: string): string {
	const names = ["read", "write", "execute"].filter((_, index) => bit(value, first + BigInt(index)));
	return names.length === 0 ? none : names.join(" and ");
}

function eptViolation(vmcs: VmcsBytes, qualification: bigint): VmEventField[] {
	const linear = bit(qualification, 7n);
	return [
		field("guest-physical address", vmcs.read("guestPhysicalAddress")),
		...(linear ? [field("guest-linear address", vmcs.read("guestLinearAddress"))] : []),
		field("access", accesses(qualification, 0n, "none")),
		field("EPT allows", accesses(qualification, 3n, "nothing")),
		...(linear && !bit(qualification, 8n) ? [field("during", "the guest's page walk")] : []),
	];
}

function controlRegister(qualification: bigint): VmEventField[] {
	const register = `CR${qualification & 15n}`;
	const general = generalRegisterName(Number((qualification >> 8n) & 15n));
	switch (Number((qualification >> 4n) & 3n)) {
		case 0:
			return [field("access", `MOV ${register}, ${general}`)];
		case 1:
			return [field("access", `MOV ${general}, ${register}`)];
		case 2:
			return [field("access", "CLTS")];
		default:
			return [field("access", "LMSW"), field("source", (qualification >> 16n) & 0xffffn)];
	}
}

function portAccess(qualification: bigint): VmEventField[] {
	const input = bit(qualification, 3n);
	const string = bit(qualification, 4n) ? (input ? "INS" : "OUTS") : input ? "IN" : "OUT";
	return [
		field("access", bit(qualification, 5n) ? `REP ${string}` : string),
		field("port", (qualification >> 16n) & 0xffffn),
		field("bytes", Number(qualification & 7n) + 1),
	];
}

function exception(vmcs: VmcsBytes, qualification: bigint): VmEventField[] {
	const information = vmcs.read("exitInterruptionInformation");
	const errorCode = vmcs.word("exitInterruptionErrorCode");
	const vector = Number(information & 0xffn);
	return [
		field("event", interruptionMeaning(information)),
		...(bit(information, 11n) ? [field("error code", errorCode)] : []),
		...(vector === 14 ? [field("address", qualification), field("access", describePageFault(errorCode))] : []),
		...(vector === 1 && qualification !== 0n ? [field("DR6 bits", qualification)] : []),
	];
}

const SWITCH_SOURCES = ["CALL", "IRET", "JMP", "task gate"];

function qualified(vmcs: VmcsBytes): VmEventField[] {
	const qualification = vmcs.read("exitQualification");
	switch (vmcs.word("exitReason") & 0xffff) {
		case Reason.exceptionOrNmi:
			return exception(vmcs, qualification);
		case Reason.externalInterrupt: {
			const information = vmcs.read("exitInterruptionInformation");
			return bit(information, 31n) ? [field("vector", Number(information & 0xffn))] : [];
		}
		case Reason.taskSwitch:
			return [
				field("selector", qualification & 0xffffn),
				field("source", SWITCH_SOURCES[Number((qualification >> 30n) & 3n)]!),
			];
		case Reason.invlpg:
			return [field("linear address", qualification)];
		case Reason.controlRegister:
			return controlRegister(qualification);
		case Reason.debugRegister: {
			const debug = `DR${qualification & 7n}`;
			const general = generalRegisterName(Number((qualification >> 8n) & 15n));
			return [field("access", bit(qualification, 4n) ? `MOV ${general}, ${debug}` : `MOV ${debug}, ${general}`)];
		}
		case Reason.io:
			return portAccess(qualification);
		case Reason.msrLoading:
			return [field("entry", qualification)];
		case Reason.eptViolation:
			return eptViolation(vmcs, qualification);
		case Reason.eptMisconfiguration:
			return [field("guest-physical address", vmcs.read("guestPhysicalAddress"))];
		default:
			return [];
	}
}

/** What the bytes of the VMCS tell of its last exit. */
export function exitDetail(vmcs: VmcsBytes): VmEventField[] {
	const vectoring = vmcs.read("idtVectoringInformation");
	const entryFailed = vmcs.word("exitReason") >>> 31 !== 0;
	return [
		...qualified(vmcs),
		...(entryFailed || !bit(vectoring, 31n) ? [] : [field("while delivering", interruptionMeaning(vectoring))]),
	];
}

/** The general registers that such an exit speaks of, which still hold the guest's values: the leaf of CPUID, the number of an MSR. */
export function exitOperands(reason: number, register: (number: number) => bigint): VmEventField[] {
	const low = (number: number): bigint => BigInt.asUintN(32, register(number));
	switch (reason & 0xffff) {
		case Reason.cpuid:
			return [field("leaf", low(0)), field("subleaf", low(1))];
		case Reason.rdmsr:
			return [field("MSR", low(1))];
		case Reason.wrmsr:
			return [field("MSR", low(1)), field("value", (low(2) << 32n) | low(0))];
		case Reason.xsetbv:
			return [field("XCR", low(1)), field("value", (low(2) << 32n) | low(0))];
		case Reason.vmcall:
			return [field("RAX", register(0))];
		default:
			return [];
	}
}

/** "CPUID: leaf 0x1, subleaf 0x0" */
export function inOneLine(title: string, detail: readonly VmEventField[]): string {
	const parts = detail.map(({ name, value }) =>
		typeof value === "object" ? name : `${name} ${typeof value === "bigint" ? hex(value) : value}`,
	);
	return parts.length === 0 ? title : `${title}: ${parts.join(", ")}`;
}
