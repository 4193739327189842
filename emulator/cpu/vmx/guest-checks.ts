// Checks on the guest-state area at VM entry, but for its segments (SDM Vol. 3C §27.3.1). A failure is a VM exit with reason 33.

import { Cr0, Cr4, Eflags } from "../../isa/register-bits.ts";
import { isLongModeGuest } from "./control-checks.ts";
import { EntryControl, Pin, Secondary } from "./controls.ts";
import { type EntryContext, type EntryRule, isCanonical64, isPat, rule } from "./entry-rule.ts";
import { isEfer, isVmxCr0, isVmxCr4 } from "./host-checks.ts";
import { InterruptionType, VALID } from "./interruption-information.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

export const GuestActivity = { active: 0, hlt: 1, shutdown: 2, waitForSipi: 3 } as const;
export const Interruptibility = { sti: 1 << 0, movSs: 1 << 1, smi: 1 << 2, nmi: 1 << 3 } as const;

/** Pending debug exceptions (Table 25-4). */
export const PendingDebug = { breakpoints: 0xf, enabledBreakpoint: 1 << 12, singleStep: 1 << 14 } as const;
const PENDING_DEBUG_DEFINED = 0xfn | (1n << 12n) | (1n << 14n);
const RFLAGS_RESERVED = ~0x3f7fd7n & 0xffff_ffff_ffff_ffffn;
/** IA32_DEBUGCTL: LBR and BTF. */
export const DEBUGCTL_DEFINED = 3n;
const DEBUGCTL_BTF = 2n;

const loadsDebug = (c: EntryContext): boolean => (c.entry & EntryControl.loadDebugControls) !== 0;
const cr0 = (c: EntryContext): number => c.word("guestCr0");
const cr4 = (c: EntryContext): number => c.word("guestCr4");
const flags = (c: EntryContext): number => c.word("guestRflags");
const interruptibility = (c: EntryContext): number => c.word("guestInterruptibility");
const activity = (c: EntryContext): number => c.word("guestActivity") >>> 0;
const information = (c: EntryContext): number => c.word("entryInterruptionInformation");
const injectedType = (c: EntryContext): number | undefined =>
	information(c) & VALID ? (information(c) >>> 8) & 7 : undefined;

const canonical = (field: VmcsFieldName): EntryRule =>
	rule(field, "must be canonical", (c) => isCanonical64(c.wide(field)));

const controlRegisters: readonly EntryRule[] = [
	rule("guestCr0", "must have the bits that VMX operation fixes", (c) =>
		isVmxCr0(c.wide("guestCr0"), c.secondary & Secondary.unrestrictedGuest ? Cr0.PE | Cr0.PG : 0),
	),
	rule("guestCr0", "must have PE set while PG is set", (c) => (cr0(c) & Cr0.PG) === 0 || (cr0(c) & Cr0.PE) !== 0),
	rule("guestCr0", "must have CD set while NW is set", (c) => (cr0(c) & Cr0.NW) === 0 || (cr0(c) & Cr0.CD) !== 0),
	rule("guestCr4", "must have the bits that VMX operation fixes", (c) => isVmxCr4(c.wide("guestCr4"), c.cr4Allowed)),
	rule(
		"guestDebugctl",
		"must have reserved bits clear",
		(c) => !loadsDebug(c) || (c.wide("guestDebugctl") & ~DEBUGCTL_DEFINED) === 0n,
	),
	rule("guestCr0", "must have PG set for an IA-32e mode guest", (c) => !isLongModeGuest(c) || (cr0(c) & Cr0.PG) !== 0),
	rule(
		"guestCr4",
		"must have PAE set for an IA-32e mode guest",
		(c) => !isLongModeGuest(c) || (cr4(c) & Cr4.PAE) !== 0,
	),
	rule(
		"guestCr4",
		"must have PCIDE clear without IA-32e mode",
		(c) => isLongModeGuest(c) || (cr4(c) & Cr4.PCIDE) === 0,
	),
	rule(
		"guestCr3",
		"must be within the physical-address width",
		(c) => c.wide("guestCr3") >> BigInt(c.addressBits) === 0n,
	),
	rule("guestDr7", "must have bits 63:32 clear", (c) => !loadsDebug(c) || c.wide("guestDr7") >> 32n === 0n),
	canonical("guestSysenterEsp"),
	canonical("guestSysenterEip"),
	rule(
		"guestPat",
		"must hold memory types in every byte",
		(c) => (c.entry & EntryControl.loadPat) === 0 || isPat(c.wide("guestPat")),
	),
	rule("guestEfer", "must have reserved bits clear, LMA as the entry control, LME the same while paging is on", (c) => {
		if ((c.entry & EntryControl.loadEfer) === 0) return true;
		const efer = c.wide("guestEfer");
		const lme = cr0(c) & Cr0.PG ? isLongModeGuest(c) : (efer & (1n << 8n)) !== 0n;
		return isEfer(efer, isLongModeGuest(c), lme);
	}),
];

const tablesAndPointer: readonly EntryRule[] = [
	canonical("guestGdtrBase"),
	canonical("guestIdtrBase"),
	rule("guestGdtrLimit", "must have bits 31:16 clear", (c) => c.word("guestGdtrLimit") >>> 16 === 0),
	rule("guestIdtrLimit", "must have bits 31:16 clear", (c) => c.word("guestIdtrLimit") >>> 16 === 0),
	rule("guestRip", "must be canonical in 64-bit mode, else below 4 GBytes", (c) => {
		const rip = c.wide("guestRip");
		const mode64 = isLongModeGuest(c) && (c.word("guestCsAccess") & (1 << 13)) !== 0;
		return mode64 ? isCanonical64(rip) : rip >> 32n === 0n;
	}),
	rule("guestRflags", "must have reserved bits as they are fixed", (c) => {
		const value = c.wide("guestRflags");
		return (value & RFLAGS_RESERVED) === 0n && (value & 2n) !== 0n;
	}),
	rule(
		"guestRflags",
		"must have VM clear in IA-32e mode and in real-address mode",
		(c) => (flags(c) & Eflags.VM) === 0 || (!isLongModeGuest(c) && (cr0(c) & Cr0.PE) !== 0),
	),
	rule(
		"guestRflags",
		"must have IF set for the injection of an external interrupt",
		(c) => injectedType(c) !== InterruptionType.external || (flags(c) & Eflags.IF) !== 0,
	),
];

/** Events that may be injected in an activity state (§27.3.1.5): by type and vector. */
function mayInject(c: EntryContext): boolean {
	const type = injectedType(c);
	if (type === undefined || activity(c) === GuestActivity.active) return true;
	const vector = information(c) & 0xff;
	const exception = (...vectors: number[]) => type === InterruptionType.hardwareException && vectors.includes(vector);
	if (activity(c) === GuestActivity.hlt)
		return (
			type === InterruptionType.external ||
			type === InterruptionType.nmi ||
			type === InterruptionType.other ||
			exception(1, 18)
		);
	return activity(c) === GuestActivity.shutdown && (type === InterruptionType.nmi || exception(18));
}

const nonRegister: readonly EntryRule[] = [
	rule("guestActivity", "must be a state that exists", (c) => activity(c) <= GuestActivity.waitForSipi),
	rule(
		"guestActivity",
		"must not be HLT while the DPL of SS is not 0",
		(c) => activity(c) !== GuestActivity.hlt || ((c.word("guestSsAccess") >> 5) & 3) === 0,
	),
	rule(
		"guestActivity",
		"must be active while STI or MOV SS blocks",
		(c) =>
			activity(c) === GuestActivity.active ||
			(interruptibility(c) & (Interruptibility.sti | Interruptibility.movSs)) === 0,
	),
	rule("guestActivity", "must allow the event that is injected", mayInject),
	rule("guestInterruptibility", "must have bits 31:4 clear", (c) => interruptibility(c) >>> 4 === 0),
	rule("guestInterruptibility", "must not have blocking by STI and by MOV SS", (c) => (interruptibility(c) & 3) !== 3),
	rule(
		"guestInterruptibility",
		"must not have blocking by STI while IF is clear",
		(c) => (interruptibility(c) & Interruptibility.sti) === 0 || (flags(c) & Eflags.IF) !== 0,
	),
	rule(
		"guestInterruptibility",
		"must not block the external interrupt that is injected",
		(c) => injectedType(c) !== InterruptionType.external || (interruptibility(c) & 3) === 0,
	),
	rule(
		"guestInterruptibility",
		"must not have blocking by MOV SS while an NMI is injected",
		(c) => injectedType(c) !== InterruptionType.nmi || (interruptibility(c) & Interruptibility.movSs) === 0,
	),
	rule(
		"guestInterruptibility",
		"must not have blocking by SMI outside SMM",
		(c) => (interruptibility(c) & Interruptibility.smi) === 0,
	),
	rule(
		"guestInterruptibility",
		"must not block the virtual NMI that is injected",
		(c) =>
			(c.pin & Pin.virtualNmis) === 0 ||
			injectedType(c) !== InterruptionType.nmi ||
			(interruptibility(c) & Interruptibility.nmi) === 0,
	),
	rule(
		"guestPendingDebug",
		"must have reserved bits clear",
		(c) => (c.wide("guestPendingDebug") & ~PENDING_DEBUG_DEFINED) === 0n,
	),
	rule("guestPendingDebug", "must have BS as TF and BTF say while STI or MOV SS blocks or in HLT", (c) => {
		const held = (interruptibility(c) & 3) !== 0 || activity(c) === GuestActivity.hlt;
		const steps = (flags(c) & Eflags.TF) !== 0 && (c.wide("guestDebugctl") & DEBUGCTL_BTF) === 0n;
		return !held || ((c.word("guestPendingDebug") & PendingDebug.singleStep) !== 0) === steps;
	}),
];

export const guestRules: readonly EntryRule[] = [...controlRegisters, ...tablesAndPointer, ...nonRegister];

/** Exit qualifications of a failed entry (§27.8). */
export const EntryFailure = { pdptes: 2n, nmiInjection: 3n, linkPointer: 4n } as const;
