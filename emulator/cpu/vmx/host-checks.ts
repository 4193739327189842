// Checks on the host-state area at VM entry (SDM Vol. 3C §27.2.2 to §27.2.4). A failure is VMfailValid with error 8.

import { Cr4, Efer } from "../../isa/register-bits.ts";
import { CR0_FIXED0, CR4_FIXED0, ExitControl } from "./controls.ts";
import { type EntryContext, type EntryRule, isCanonical64, isPat, rule } from "./entry-rule.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

const RPL_AND_TABLE = 7;
const EFER_DEFINED = BigInt(Efer.SCE | Efer.LME | Efer.LMA | Efer.NXE);

const long = (c: EntryContext): boolean => (c.exit & ExitControl.hostAddressSpaceSize) !== 0;

/** CR0 with the bits that VMX operation fixes (Appendix A.7); `free` bits are exempt. */
export function isVmxCr0(value: bigint, free = 0): boolean {
	const low = Number(value & 0xffffffffn) | 0;
	const required = CR0_FIXED0 & ~free;
	return value >> 32n === 0n && (low & required) === required;
}

export function isVmxCr4(value: bigint, allowed: number): boolean {
	const low = Number(value & 0xffffffffn) | 0;
	return value >> 32n === 0n && (low & CR4_FIXED0) === CR4_FIXED0 && (low & ~allowed) === 0;
}

/** Reserved bits clear; LMA and LME as `longMode` says. */
export function isEfer(value: bigint, lma: boolean, lme: boolean): boolean {
	if (value & ~EFER_DEFINED) return false;
	return ((value & BigInt(Efer.LMA)) !== 0n) === lma && ((value & BigInt(Efer.LME)) !== 0n) === lme;
}

const canonical = (field: VmcsFieldName): EntryRule =>
	rule(field, "must be canonical", (c) => isCanonical64(c.wide(field)));

const selectors = ["hostEs", "hostCs", "hostSs", "hostDs", "hostFs", "hostGs", "hostTr"] as const;

export const hostRules: readonly EntryRule[] = [
	rule("hostCr0", "must have the bits that VMX operation fixes", (c) => isVmxCr0(c.wide("hostCr0"))),
	rule("hostCr4", "must have the bits that VMX operation fixes", (c) => isVmxCr4(c.wide("hostCr4"), c.cr4Allowed)),
	rule(
		"hostCr3",
		"must be within the physical-address width",
		(c) => c.wide("hostCr3") >> BigInt(c.addressBits) === 0n,
	),
	canonical("hostSysenterEsp"),
	canonical("hostSysenterEip"),
	rule(
		"hostPat",
		"must hold memory types in every byte",
		(c) => (c.exit & ExitControl.loadPat) === 0 || isPat(c.wide("hostPat")),
	),
	rule("hostEfer", "must have reserved bits clear, LMA and LME as the host address-space size", (c) => {
		return (c.exit & ExitControl.loadEfer) === 0 || isEfer(c.wide("hostEfer"), long(c), long(c));
	}),
	...selectors.map((field) => rule(field, "must have RPL and TI clear", (c) => (c.word(field) & RPL_AND_TABLE) === 0)),
	rule("hostCs", "must not be 0000H", (c) => (c.word("hostCs") & 0xffff) !== 0),
	rule("hostTr", "must not be 0000H", (c) => (c.word("hostTr") & 0xffff) !== 0),
	rule("hostSs", "must not be 0000H for a 32-bit host", (c) => long(c) || (c.word("hostSs") & 0xffff) !== 0),
	canonical("hostFsBase"),
	canonical("hostGsBase"),
	canonical("hostGdtrBase"),
	canonical("hostIdtrBase"),
	canonical("hostTrBase"),
	rule(
		"exitControls",
		"must have the host address-space size of the mode the processor is in",
		(c) => long(c) === c.hostLongMode,
	),
	rule(
		"entryControls",
		"must not ask for an IA-32e mode guest of a 32-bit host",
		(c) => long(c) || (c.entry & (1 << 9)) === 0,
	),
	rule(
		"hostCr4",
		"must have PCIDE clear for a 32-bit host",
		(c) => long(c) || (c.wide("hostCr4") & BigInt(Cr4.PCIDE)) === 0n,
	),
	rule(
		"hostCr4",
		"must have PAE set for a 64-bit host",
		(c) => !long(c) || (c.wide("hostCr4") & BigInt(Cr4.PAE)) !== 0n,
	),
	rule("hostRip", "must be canonical, and below 4 GBytes for a 32-bit host", (c) => {
		const rip = c.wide("hostRip");
		return long(c) ? isCanonical64(rip) : rip >> 32n === 0n;
	}),
];
