// The fields of a VMCS in the order and with the names of the manual (SDM Vol. 3C §25.4 to §25.9), and how each is decoded.

import { controlWords } from "../../cpu/vmx/controls.ts";
import { exitReasonName } from "../../cpu/vmx/exit-reasons.ts";
import type { VmcsFieldName } from "../../cpu/vmx/vmcs-fields.ts";
import { segmentMeaning } from "../register-file.ts";
import type { BitLayout } from "./bit-layout.ts";
import {
	entryControlBits,
	eptPointerBits,
	exceptionBitmapBits,
	exitControlBits,
	pageFaultErrorBits,
	pinBits,
	primaryBits,
	secondaryBits,
	tprThresholdBits,
	vmFunctionBits,
} from "./control-bits.ts";
import {
	entryInterruptionBits,
	exitInterruptionBits,
	exitReasonBits,
	idtVectoringBits,
	instructionErrorMeaning,
	interruptionMeaning,
} from "./event-bits.ts";
import { informationLayout, qualificationLayout } from "./exit-qualification.ts";
import {
	ACTIVITY_STATES,
	accessRightsBits,
	cr0Bits,
	cr3Bits,
	cr4Bits,
	debugctlBits,
	dr7Bits,
	eferBits,
	interruptibilityBits,
	patBits,
	pdpteBits,
	pendingDebugBits,
	rflagsBits,
	selectorBits,
} from "./state-bits.ts";
import type { VmcsBytes } from "./vmcs-bytes.ts";

export interface FieldDescription {
	readonly field: VmcsFieldName;
	/** As the manual names it. */
	readonly name: string;
	readonly bits?: (value: bigint, vmcs: VmcsBytes) => BitLayout;
	/** Reserved bits that are set all the same. */
	readonly expected?: bigint;
	readonly meaning?: (value: bigint, vmcs: VmcsBytes) => string | undefined;
}

export interface GroupDescription {
	readonly name: string;
	readonly fields: readonly FieldDescription[];
}

type Part = BitLayout | ((value: bigint, vmcs: VmcsBytes) => BitLayout);

function row(
	field: VmcsFieldName,
	name: string,
	bits?: Part,
	meaning?: FieldDescription["meaning"],
	expected?: number,
): FieldDescription {
	return {
		field,
		name,
		...(bits ? { bits: typeof bits === "function" ? bits : () => bits } : {}),
		...(meaning ? { meaning } : {}),
		...(expected ? { expected: BigInt(expected >>> 0) } : {}),
	};
}

const ALL_ONES = 0xffff_ffff_ffff_ffffn;
const signed = (value: bigint): string => BigInt.asIntN(64, value).toString();
const pointer = (value: bigint): string | undefined => (value === ALL_ONES ? "none" : undefined);
const granted = (text: string) => (value: bigint) => (value === 0n ? undefined : text);
const basicReason = (vmcs: VmcsBytes): number => vmcs.word("exitReason") & 0xffff;
const exceptionVector = (vmcs: VmcsBytes): number | undefined => {
	const information = vmcs.word("exitInterruptionInformation");
	return information >>> 31 ? information & 0xff : undefined;
};

const SEGMENT_NAMES = ["Es", "Cs", "Ss", "Ds", "Fs", "Gs", "Ldtr", "Tr"] as const;

function guestSegment(segment: (typeof SEGMENT_NAMES)[number]): FieldDescription[] {
	const name = segment.toUpperCase();
	return [
		row(`guest${segment}`, `${name} selector`, selectorBits),
		row(`guest${segment}Base`, `${name} base`),
		row(`guest${segment}Limit`, `${name} limit`),
		row(`guest${segment}Access`, `${name} access rights`, accessRightsBits, (value, vmcs) =>
			segmentMeaning(vmcs.read(`guest${segment}Base`), vmcs.word(`guest${segment}Limit`), Number(value & 0xffffffffn)),
		),
	];
}

const guestState: readonly FieldDescription[] = [
	row("guestCr0", "CR0", cr0Bits),
	row("guestCr3", "CR3", cr3Bits),
	row("guestCr4", "CR4", cr4Bits),
	row("guestDr7", "DR7", dr7Bits, undefined, 0x400),
	row("guestRsp", "RSP"),
	row("guestRip", "RIP"),
	row("guestRflags", "RFLAGS", rflagsBits, undefined, 2),
	...SEGMENT_NAMES.flatMap(guestSegment),
	row("guestGdtrBase", "GDTR base"),
	row("guestGdtrLimit", "GDTR limit"),
	row("guestIdtrBase", "IDTR base"),
	row("guestIdtrLimit", "IDTR limit"),
	row("guestDebugctl", "IA32_DEBUGCTL", debugctlBits),
	row("guestSysenterCs", "IA32_SYSENTER_CS"),
	row("guestSysenterEsp", "IA32_SYSENTER_ESP"),
	row("guestSysenterEip", "IA32_SYSENTER_EIP"),
	row("guestPat", "IA32_PAT", patBits),
	row("guestEfer", "IA32_EFER", eferBits),
	row("guestSmbase", "SMBASE"),
	row("guestActivity", "Activity state", undefined, (value) => ACTIVITY_STATES[Number(value)] ?? "reserved"),
	row("guestInterruptibility", "Interruptibility state", interruptibilityBits),
	row("guestPendingDebug", "Pending debug exceptions", pendingDebugBits),
	row("vmcsLinkPointer", "VMCS link pointer", undefined, pointer),
	row("preemptionTimer", "VMX-preemption timer value"),
	row(
		"guestInterruptStatus",
		"Guest interrupt status",
		undefined,
		(value) => `RVI 0x${(value & 0xffn).toString(16)}, SVI 0x${((value >> 8n) & 0xffn).toString(16)}`,
	),
	row("pmlIndex", "PML index"),
	row("guestPdpte0", "PDPTE0", pdpteBits),
	row("guestPdpte1", "PDPTE1", pdpteBits),
	row("guestPdpte2", "PDPTE2", pdpteBits),
	row("guestPdpte3", "PDPTE3", pdpteBits),
];

const hostState: readonly FieldDescription[] = [
	row("hostCr0", "CR0", cr0Bits),
	row("hostCr3", "CR3", cr3Bits),
	row("hostCr4", "CR4", cr4Bits),
	row("hostRsp", "RSP"),
	row("hostRip", "RIP"),
	...(["Es", "Cs", "Ss", "Ds", "Fs", "Gs", "Tr"] as const).map((segment) =>
		row(`host${segment}`, `${segment.toUpperCase()} selector`, selectorBits),
	),
	row("hostFsBase", "FS base"),
	row("hostGsBase", "GS base"),
	row("hostTrBase", "TR base"),
	row("hostGdtrBase", "GDTR base"),
	row("hostIdtrBase", "IDTR base"),
	row("hostSysenterCs", "IA32_SYSENTER_CS"),
	row("hostSysenterEsp", "IA32_SYSENTER_ESP"),
	row("hostSysenterEip", "IA32_SYSENTER_EIP"),
	row("hostPat", "IA32_PAT", patBits),
	row("hostEfer", "IA32_EFER", eferBits),
];

const executionControls: readonly FieldDescription[] = [
	row("pinControls", "Pin-based VM-execution controls", pinBits, undefined, controlWords.pin.default1),
	row(
		"primaryControls",
		"Primary processor-based VM-execution controls",
		primaryBits,
		undefined,
		controlWords.primary.default1,
	),
	row("secondaryControls", "Secondary processor-based VM-execution controls", secondaryBits, (_, vmcs) =>
		vmcs.word("primaryControls") >>> 31 ? undefined : "not activated",
	),
	row("exceptionBitmap", "Exception bitmap", exceptionBitmapBits),
	row("pageFaultErrorCodeMask", "Page-fault error-code mask", pageFaultErrorBits),
	row("pageFaultErrorCodeMatch", "Page-fault error-code match", pageFaultErrorBits),
	row("ioBitmapA", "Address of I/O bitmap A", undefined, granted("ports 0 to 0x7fff")),
	row("ioBitmapB", "Address of I/O bitmap B", undefined, granted("ports 0x8000 to 0xffff")),
	row("tscOffset", "TSC offset", undefined, signed),
	row("cr0Mask", "CR0 guest/host mask", cr0Bits),
	row("cr4Mask", "CR4 guest/host mask", cr4Bits),
	row("cr0ReadShadow", "CR0 read shadow", cr0Bits),
	row("cr4ReadShadow", "CR4 read shadow", cr4Bits),
	row("cr3TargetCount", "CR3-target count"),
	row("cr3Target0", "CR3-target value 0"),
	row("cr3Target1", "CR3-target value 1"),
	row("cr3Target2", "CR3-target value 2"),
	row("cr3Target3", "CR3-target value 3"),
	row("apicAccessAddress", "APIC-access address"),
	row("virtualApicAddress", "Virtual-APIC address"),
	row("tprThreshold", "TPR threshold", tprThresholdBits),
	row("eoiExitBitmap0", "EOI-exit bitmap 0"),
	row("eoiExitBitmap1", "EOI-exit bitmap 1"),
	row("eoiExitBitmap2", "EOI-exit bitmap 2"),
	row("eoiExitBitmap3", "EOI-exit bitmap 3"),
	row("postedInterruptVector", "Posted-interrupt notification vector"),
	row("postedInterruptDescriptor", "Posted-interrupt descriptor address"),
	row("msrBitmap", "Address of MSR bitmaps"),
	row("executiveVmcsPointer", "Executive-VMCS pointer", undefined, pointer),
	row("eptPointer", "EPT pointer (EPTP)", eptPointerBits),
	row("vpid", "Virtual-processor identifier (VPID)"),
	row("pleGap", "PLE_Gap"),
	row("pleWindow", "PLE_Window"),
	row("pmlAddress", "PML address"),
	row("vmFunctionControls", "VM-function controls", vmFunctionBits),
	row("eptpListAddress", "EPTP-list address"),
	row("eptpIndex", "EPTP index"),
	row("vmreadBitmap", "VMREAD-bitmap address"),
	row("vmwriteBitmap", "VMWRITE-bitmap address"),
];

const exitControls: readonly FieldDescription[] = [
	row("exitControls", "VM-exit controls", exitControlBits, undefined, controlWords.exit.default1),
	row("exitMsrStoreCount", "VM-exit MSR-store count"),
	row("exitMsrStoreAddress", "VM-exit MSR-store address"),
	row("exitMsrLoadCount", "VM-exit MSR-load count"),
	row("exitMsrLoadAddress", "VM-exit MSR-load address"),
];

const entryControls: readonly FieldDescription[] = [
	row("entryControls", "VM-entry controls", entryControlBits, undefined, controlWords.entry.default1),
	row("entryMsrLoadCount", "VM-entry MSR-load count"),
	row("entryMsrLoadAddress", "VM-entry MSR-load address"),
	row("entryInterruptionInformation", "VM-entry interruption information", entryInterruptionBits, interruptionMeaning),
	row("entryExceptionErrorCode", "VM-entry exception error code"),
	row("entryInstructionLength", "VM-entry instruction length"),
];

const exitInformation: readonly FieldDescription[] = [
	row("exitReason", "Exit reason", exitReasonBits, (value, vmcs) =>
		hasExited(vmcs) ? exitReasonName(Number(value & 0xffffn)) : "no VM exit yet",
	),
	row("exitQualification", "Exit qualification", (_, vmcs) =>
		qualificationLayout(basicReason(vmcs), exceptionVector(vmcs)),
	),
	row("guestLinearAddress", "Guest-linear address"),
	row("guestPhysicalAddress", "Guest-physical address"),
	row("exitInterruptionInformation", "VM-exit interruption information", exitInterruptionBits, interruptionMeaning),
	row("exitInterruptionErrorCode", "VM-exit interruption error code", (_, vmcs) =>
		exceptionVector(vmcs) === 14 ? pageFaultErrorBits : [],
	),
	row("idtVectoringInformation", "IDT-vectoring information", idtVectoringBits, interruptionMeaning),
	row("idtVectoringErrorCode", "IDT-vectoring error code"),
	row("exitInstructionLength", "VM-exit instruction length"),
	row("exitInstructionInformation", "VM-exit instruction information", (value, vmcs) =>
		informationLayout(basicReason(vmcs), value, vmcs.read("exitQualification")),
	),
	row("ioRcx", "I/O RCX"),
	row("ioRsi", "I/O RSI"),
	row("ioRdi", "I/O RDI"),
	row("ioRip", "I/O RIP"),
	row("instructionError", "VM-instruction error", undefined, (value) => instructionErrorMeaning(Number(value))),
];

/** Why the guest was left comes first, for that is what one looks for; then the manual's order (§25.3). */
export const vmcsGroups: readonly GroupDescription[] = [
	{ name: "VM-exit information fields", fields: exitInformation },
	{ name: "Guest-state area", fields: guestState },
	{ name: "Host-state area", fields: hostState },
	{ name: "VM-execution control fields", fields: executionControls },
	{ name: "VM-exit control fields", fields: exitControls },
	{ name: "VM-entry control fields", fields: entryControls },
];

/**
 * Whether the region tells of a VM exit or a failed entry. Reason 0 is that of exceptions, which have valid interruption information;
 * so a region that was filled with zeros tells of none.
 */
export function hasExited(vmcs: VmcsBytes): boolean {
	return vmcs.word("exitReason") !== 0 || vmcs.word("exitInterruptionInformation") >>> 31 !== 0;
}

/** "0x681e RIP" for a message about a field. */
export function fieldTitle(field: VmcsFieldName): string {
	for (const { name, fields } of vmcsGroups) {
		const found = fields.find((one) => one.field === field);
		if (found) return name.endsWith("state area") ? `${name.split("-")[0]} ${found.name}` : found.name;
	}
	return field;
}
