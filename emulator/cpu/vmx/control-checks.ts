// Checks on the VMX controls at VM entry (SDM Vol. 3C §27.2.1). A failure is VMfailValid with error 7.

import { Vector } from "../../engine/fault.ts";
import {
	allowedOf,
	type ControlWord,
	controlWords,
	EntryControl,
	ExitControl,
	MSR_LIST_LIMIT,
	Pin,
	Primary,
	requiredOf,
	Secondary,
	VmFunction,
} from "./controls.ts";
import { type EntryContext, type EntryRule, rule } from "./entry-rule.ts";
import { InterruptionType, sourceOfType, VALID } from "./interruption-information.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

const word = (
	field: VmcsFieldName,
	controls: ControlWord,
	inUse: (c: EntryContext) => boolean = () => true,
): EntryRule =>
	rule(field, `must have the reserved bits of the ${controls.name} controls as the capability MSRs say`, (c) => {
		const value = c.word(field);
		return (
			!inUse(c) || ((value & requiredOf(controls)) === requiredOf(controls) && (value & ~allowedOf(controls)) === 0)
		);
	});

/** An address that matters only while a control is set. */
const address = (field: VmcsFieldName, alignment: number, inUse: (c: EntryContext) => boolean): EntryRule =>
	rule(
		field,
		`must be ${alignment}-byte aligned and within the physical-address width`,
		(c) => !inUse(c) || c.isAddress(field, alignment),
	);

/** An MSR list: 16-byte aligned, all of it within the physical-address width. */
const list = (field: VmcsFieldName, count: VmcsFieldName): EntryRule =>
	rule(field, "must be 16-byte aligned, with the whole list within the physical-address width", (c) => {
		const entries = BigInt(c.word(count) >>> 0);
		if (entries === 0n) return true;
		return c.isAddress(field, 16) && (c.wide(field) + entries * 16n - 1n) >> BigInt(c.addressBits) === 0n;
	});

const primary = (bit: number) => (c: EntryContext) => (c.primary & bit) !== 0;
const secondary = (bit: number) => (c: EntryContext) => (c.secondary & bit) !== 0;
const onlyWith = (wanted: boolean, needed: boolean): boolean => !wanted || needed;

const APIC_VIRTUALIZATION =
	Secondary.virtualizeX2apicMode | Secondary.apicRegisterVirtualization | Secondary.virtualInterruptDelivery;
const comparesThreshold = (c: EntryContext): boolean =>
	(c.primary & Primary.useTprShadow) !== 0 && (c.secondary & Secondary.virtualInterruptDelivery) === 0;
const postsInterrupts = (c: EntryContext): boolean => (c.pin & Pin.processPostedInterrupts) !== 0;

const executionControls: readonly EntryRule[] = [
	word("pinControls", controlWords.pin),
	word("primaryControls", controlWords.primary),
	word("secondaryControls", controlWords.secondary, (c) => c.primary < 0),
	rule("cr3TargetCount", "must not be above 4", (c) => c.word("cr3TargetCount") >>> 0 <= 4),
	address("ioBitmapA", 4096, primary(Primary.useIoBitmaps)),
	address("ioBitmapB", 4096, primary(Primary.useIoBitmaps)),
	address("msrBitmap", 4096, primary(Primary.useMsrBitmaps)),
	address("virtualApicAddress", 4096, primary(Primary.useTprShadow)),
	rule("tprThreshold", "must have bits 31:4 clear under the TPR shadow without virtual-interrupt delivery", (c) =>
		onlyWith(comparesThreshold(c), c.word("tprThreshold") >>> 4 === 0),
	),
	rule("tprThreshold", "must not be above the class of the virtual task priority", (c) =>
		onlyWith(
			comparesThreshold(c) && (c.secondary & Secondary.virtualizeApicAccesses) === 0,
			(c.word("tprThreshold") & 15) <= c.virtualTaskPriority >> 4,
		),
	),
	rule("pinControls", "must have NMI exiting for virtual NMIs", (c) =>
		onlyWith((c.pin & Pin.virtualNmis) !== 0, (c.pin & Pin.nmiExiting) !== 0),
	),
	rule("primaryControls", "must have virtual NMIs for NMI-window exiting", (c) =>
		onlyWith((c.primary & Primary.nmiWindowExiting) !== 0, (c.pin & Pin.virtualNmis) !== 0),
	),
	address("apicAccessAddress", 4096, secondary(Secondary.virtualizeApicAccesses)),
	rule(
		"secondaryControls",
		"must not virtualize the x2APIC, APIC registers or interrupts without the TPR shadow",
		(c) => onlyWith((c.secondary & APIC_VIRTUALIZATION) !== 0, (c.primary & Primary.useTprShadow) !== 0),
	),
	rule("secondaryControls", "must not virtualize APIC accesses together with x2APIC mode", (c) =>
		onlyWith(
			(c.secondary & Secondary.virtualizeX2apicMode) !== 0,
			(c.secondary & Secondary.virtualizeApicAccesses) === 0,
		),
	),
	rule("pinControls", "must have external-interrupt exiting for virtual-interrupt delivery", (c) =>
		onlyWith((c.secondary & Secondary.virtualInterruptDelivery) !== 0, (c.pin & Pin.externalInterruptExiting) !== 0),
	),
	rule(
		"pinControls",
		"must have virtual-interrupt delivery, and acknowledge interrupts on exit, for posted interrupts",
		(c) =>
			onlyWith(
				postsInterrupts(c),
				(c.secondary & Secondary.virtualInterruptDelivery) !== 0 &&
					(c.exit & ExitControl.acknowledgeInterruptOnExit) !== 0,
			),
	),
	rule("postedInterruptVector", "must have bits 15:8 clear", (c) =>
		onlyWith(postsInterrupts(c), (c.word("postedInterruptVector") & 0xff00) === 0),
	),
	address("postedInterruptDescriptor", 64, (c) => postsInterrupts(c)),
	rule("vpid", "must not be 0000H while VPIDs are enabled", (c) =>
		onlyWith((c.secondary & Secondary.enableVpid) !== 0, (c.word("vpid") & 0xffff) !== 0),
	),
	rule("eptPointer", "must be an EPT pointer: memory type 0 or 6, walk length 4, no reserved bits", (c) =>
		onlyWith((c.secondary & Secondary.enableEpt) !== 0, isEptPointer(c.wide("eptPointer"), c.addressBits)),
	),
	rule("secondaryControls", "must enable EPT for an unrestricted guest, PML and mode-based execute control", (c) =>
		onlyWith(
			(c.secondary & (Secondary.unrestrictedGuest | Secondary.enablePml | Secondary.modeBasedExecute)) !== 0,
			(c.secondary & Secondary.enableEpt) !== 0,
		),
	),
	address("pmlAddress", 4096, secondary(Secondary.enablePml)),
	rule("vmFunctionControls", "must have only VM functions that exist", (c) =>
		onlyWith(
			(c.secondary & Secondary.enableVmFunctions) !== 0,
			(c.wide("vmFunctionControls") & ~BigInt(VmFunction.eptpSwitching)) === 0n,
		),
	),
	rule("vmFunctionControls", "must have EPT enabled for EPTP switching", (c) =>
		onlyWith(switchesEptp(c), (c.secondary & Secondary.enableEpt) !== 0),
	),
	address("eptpListAddress", 4096, (c) => switchesEptp(c)),
	address("vmreadBitmap", 4096, secondary(Secondary.vmcsShadowing)),
	address("vmwriteBitmap", 4096, secondary(Secondary.vmcsShadowing)),
];

const switchesEptp = (c: EntryContext): boolean =>
	(c.secondary & Secondary.enableVmFunctions) !== 0 &&
	(c.wide("vmFunctionControls") & BigInt(VmFunction.eptpSwitching)) !== 0n;

/** Vol. 3C §25.6.11: memory type, walk length minus 1, accessed and dirty flags (bit 6), reserved 11:7. */
export function isEptPointer(pointer: bigint, addressBits: number): boolean {
	const type = pointer & 7n;
	if (type !== 0n && type !== 6n) return false;
	return ((pointer >> 3n) & 7n) === 3n && (pointer & 0xf80n) === 0n && pointer >> BigInt(addressBits) === 0n;
}

const exitControls: readonly EntryRule[] = [
	word("exitControls", controlWords.exit),
	rule("exitControls", "must not save the preemption timer while it is not active", (c) =>
		onlyWith((c.exit & ExitControl.savePreemptionTimer) !== 0, (c.pin & Pin.preemptionTimer) !== 0),
	),
	list("exitMsrStoreAddress", "exitMsrStoreCount"),
	list("exitMsrLoadAddress", "exitMsrLoadCount"),
	rule(
		"exitMsrStoreCount",
		`must not be above ${MSR_LIST_LIMIT}`,
		(c) => c.word("exitMsrStoreCount") >>> 0 <= MSR_LIST_LIMIT,
	),
	rule(
		"exitMsrLoadCount",
		`must not be above ${MSR_LIST_LIMIT}`,
		(c) => c.word("exitMsrLoadCount") >>> 0 <= MSR_LIST_LIMIT,
	),
];

const injects = (c: EntryContext): boolean => (c.word("entryInterruptionInformation") & VALID) !== 0;
const typeOf = (c: EntryContext): number => (c.word("entryInterruptionInformation") >>> 8) & 7;
const vectorOf = (c: EntryContext): number => c.word("entryInterruptionInformation") & 0xff;
const carriesErrorCode = (c: EntryContext): boolean => (c.word("entryInterruptionInformation") & (1 << 11)) !== 0;

/** Exceptions that push an error code in protected mode (SDM Vol. 3A Table 6-1). */
const WITH_ERROR_CODE: readonly number[] = [
	Vector.doubleFault,
	Vector.invalidTss,
	Vector.segmentNotPresent,
	Vector.stackFault,
	Vector.generalProtection,
	Vector.pageFault,
	Vector.alignmentCheck,
];

/** Whether the guest will be in protected mode, in which alone error codes are delivered. */
const protectedGuest = (c: EntryContext): boolean =>
	(c.secondary & Secondary.unrestrictedGuest) === 0 || (c.wide("guestCr0") & 1n) !== 0n;

const injection = (text: string, holds: (c: EntryContext) => boolean): EntryRule =>
	rule("entryInterruptionInformation", text, (c) => !injects(c) || holds(c));

const entryControls: readonly EntryRule[] = [
	word("entryControls", controlWords.entry),
	injection(
		"must have a type that exists",
		(c) => typeOf(c) === InterruptionType.other || sourceOfType(typeOf(c)) !== undefined,
	),
	// "Other event" is a pending MTF VM exit and needs that control's capability.
	injection("must have vector 2 for an NMI", (c) => onlyWith(typeOf(c) === InterruptionType.nmi, vectorOf(c) === 2)),
	injection("must have a vector below 32 for a hardware exception", (c) =>
		onlyWith(typeOf(c) === InterruptionType.hardwareException, vectorOf(c) < 32),
	),
	injection("must have vector 0 for a pending MTF VM exit", (c) =>
		onlyWith(typeOf(c) === InterruptionType.other, vectorOf(c) === 0),
	),
	// IA32_VMX_BASIC bit 56: whether a hardware exception delivers an error code is software's choice, in protected mode.
	injection("must deliver an error code only with a hardware exception in protected mode", (c) =>
		onlyWith(carriesErrorCode(c), typeOf(c) === InterruptionType.hardwareException && protectedGuest(c)),
	),
	injection("must have bits 30:12 clear", (c) => (c.word("entryInterruptionInformation") & 0x7ffff000) === 0),
	rule("entryExceptionErrorCode", "must have bits 31:16 clear when it is delivered", (c) =>
		onlyWith(injects(c) && carriesErrorCode(c), c.word("entryExceptionErrorCode") >>> 16 === 0),
	),
	rule("entryInstructionLength", "must be 0 to 15 for a software interrupt or exception", (c) =>
		onlyWith(
			injects(c) && typeOf(c) >= InterruptionType.softwareInterrupt && typeOf(c) <= InterruptionType.softwareException,
			c.word("entryInstructionLength") >>> 0 <= 15,
		),
	),
	list("entryMsrLoadAddress", "entryMsrLoadCount"),
	rule(
		"entryMsrLoadCount",
		`must not be above ${MSR_LIST_LIMIT}`,
		(c) => c.word("entryMsrLoadCount") >>> 0 <= MSR_LIST_LIMIT,
	),
];

/** Whether an exception pushes an error code; those with one need not be injected with it (IA32_VMX_BASIC bit 56). */
export const pushesErrorCode = (vector: number): boolean => WITH_ERROR_CODE.includes(vector);

export const controlRules: readonly EntryRule[] = [...executionControls, ...exitControls, ...entryControls];

/** Entry controls that other checks ask for. */
export const isLongModeGuest = (c: EntryContext): boolean => (c.entry & EntryControl.ia32eModeGuest) !== 0;
