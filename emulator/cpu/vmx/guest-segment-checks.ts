// Checks on the guest's segment registers at VM entry (SDM Vol. 3C §27.3.1.2).

import { Access, Cr0, Eflags } from "../../isa/register-bits.ts";
import { isLongModeGuest } from "./control-checks.ts";
import { Secondary } from "./controls.ts";
import { type EntryContext, type EntryRule, isCanonical64, rule } from "./entry-rule.ts";
import type { VmcsFieldName } from "./vmcs-fields.ts";

type SegmentName = "Es" | "Cs" | "Ss" | "Ds" | "Fs" | "Gs" | "Ldtr" | "Tr";
const ALL: readonly SegmentName[] = ["Cs", "Ss", "Ds", "Es", "Fs", "Gs"];
const DATA: readonly SegmentName[] = ["Ds", "Es", "Fs", "Gs"];
const RESERVED = 0xfffe0f00;

const field = (segment: SegmentName, part: "" | "Base" | "Limit" | "Access"): VmcsFieldName =>
	`guest${segment}${part}` as VmcsFieldName;
const selector = (c: EntryContext, segment: SegmentName): number => c.word(field(segment, "")) & 0xffff;
const base = (c: EntryContext, segment: SegmentName): bigint => c.wide(field(segment, "Base"));
const limit = (c: EntryContext, segment: SegmentName): number => c.word(field(segment, "Limit")) >>> 0;
const access = (c: EntryContext, segment: SegmentName): number => c.word(field(segment, "Access"));
const usable = (c: EntryContext, segment: SegmentName): boolean => (access(c, segment) & Access.unusable) === 0;
const type = (c: EntryContext, segment: SegmentName): number => access(c, segment) & 15;
const dpl = (c: EntryContext, segment: SegmentName): number => (access(c, segment) >> Access.dplShift) & 3;
const virtual8086 = (c: EntryContext): boolean => (c.word("guestRflags") & Eflags.VM) !== 0;
const unrestricted = (c: EntryContext): boolean => (c.secondary & Secondary.unrestrictedGuest) !== 0;
const protectedMode = (c: EntryContext): boolean => (c.word("guestCr0") & Cr0.PE) !== 0;

/** A rule for guests that are not in virtual-8086 mode. */
const plain = (
	segment: SegmentName,
	part: "" | "Base" | "Limit" | "Access",
	text: string,
	holds: (c: EntryContext) => boolean,
) => rule(field(segment, part), text, (c) => virtual8086(c) || holds(c));

/** A rule on a segment that is usable. */
const ifUsable = (segment: SegmentName, part: "Access", text: string, holds: (c: EntryContext) => boolean) =>
	plain(segment, part, text, (c) => !usable(c, segment) || holds(c));

/** Some bit of the low 12 clear: G must be 0; some bit of the high 12 set: G must be 1. */
function granularityFits(c: EntryContext, segment: SegmentName): boolean {
	const bytes = limit(c, segment);
	const granular = (access(c, segment) & Access.G) !== 0;
	return granular ? (bytes & 0xfff) === 0xfff : bytes >>> 20 === 0;
}

const selectors: readonly EntryRule[] = [
	rule("guestTr", "must have TI clear", (c) => (selector(c, "Tr") & 4) === 0),
	rule(
		"guestLdtr",
		"must have TI clear while it is usable",
		(c) => !usable(c, "Ldtr") || (selector(c, "Ldtr") & 4) === 0,
	),
	plain(
		"Ss",
		"",
		"must have the RPL of CS",
		(c) => unrestricted(c) || (selector(c, "Ss") & 3) === (selector(c, "Cs") & 3),
	),
];

const bases: readonly EntryRule[] = [
	...ALL.map((segment) =>
		rule(
			field(segment, "Base"),
			"must be 16 times the selector in virtual-8086 mode",
			(c) => !virtual8086(c) || base(c, segment) === BigInt(selector(c, segment) * 16),
		),
	),
	...(["Tr", "Fs", "Gs"] as const).map((segment) =>
		rule(field(segment, "Base"), "must be canonical", (c) => isCanonical64(base(c, segment))),
	),
	rule(
		"guestLdtrBase",
		"must be canonical while it is usable",
		(c) => !usable(c, "Ldtr") || isCanonical64(base(c, "Ldtr")),
	),
	rule("guestCsBase", "must have bits 63:32 clear", (c) => base(c, "Cs") >> 32n === 0n),
	...(["Ss", "Ds", "Es"] as const).map((segment) =>
		rule(
			field(segment, "Base"),
			"must have bits 63:32 clear while it is usable",
			(c) => !usable(c, segment) || base(c, segment) >> 32n === 0n,
		),
	),
];

const virtualMode: readonly EntryRule[] = ALL.flatMap((segment) => [
	rule(
		field(segment, "Limit"),
		"must be FFFFH in virtual-8086 mode",
		(c) => !virtual8086(c) || limit(c, segment) === 0xffff,
	),
	rule(
		field(segment, "Access"),
		"must be F3H in virtual-8086 mode",
		(c) => !virtual8086(c) || access(c, segment) === 0xf3,
	),
]);

const types: readonly EntryRule[] = [
	plain(
		"Cs",
		"Access",
		"must be an accessed code segment (or, unrestricted, writable data)",
		(c) => [9, 11, 13, 15].includes(type(c, "Cs")) || (unrestricted(c) && type(c, "Cs") === 3),
	),
	ifUsable("Ss", "Access", "must be accessed writable data", (c) => type(c, "Ss") === 3 || type(c, "Ss") === 7),
	...DATA.map((segment) =>
		ifUsable(
			segment,
			"Access",
			"must be accessed, and readable if it is code",
			(c) => (type(c, segment) & 1) !== 0 && ((type(c, segment) & 8) === 0 || (type(c, segment) & 2) !== 0),
		),
	),
	...ALL.map((segment) =>
		plain(
			segment,
			"Access",
			"must have S set",
			(c) => (segment !== "Cs" && !usable(c, segment)) || (access(c, segment) & Access.S) !== 0,
		),
	),
];

const privileges: readonly EntryRule[] = [
	plain("Cs", "Access", "must have the DPL that its type and that of SS ask for", (c) => {
		const ss = dpl(c, "Ss");
		switch (type(c, "Cs")) {
			case 3:
				return dpl(c, "Cs") === 0;
			case 9:
			case 11:
				return dpl(c, "Cs") === ss;
			default:
				return dpl(c, "Cs") <= ss;
		}
	}),
	plain(
		"Ss",
		"Access",
		"must have the RPL of SS as its DPL",
		(c) => unrestricted(c) || dpl(c, "Ss") === (selector(c, "Ss") & 3),
	),
	plain(
		"Ss",
		"Access",
		"must have DPL 0 with a data segment in CS or in real-address mode",
		(c) => dpl(c, "Ss") === 0 || (type(c, "Cs") !== 3 && protectedMode(c)),
	),
	...DATA.map((segment) =>
		ifUsable(
			segment,
			"Access",
			"must have a DPL not below the RPL",
			(c) => unrestricted(c) || type(c, segment) > 11 || dpl(c, segment) >= (selector(c, segment) & 3),
		),
	),
];

const attributes: readonly EntryRule[] = [
	...ALL.flatMap((segment) => [
		plain(
			segment,
			"Access",
			"must have P set",
			(c) => (segment !== "Cs" && !usable(c, segment)) || (access(c, segment) & Access.P) !== 0,
		),
		plain(
			segment,
			"Access",
			"must have reserved bits clear",
			(c) => (segment !== "Cs" && !usable(c, segment)) || (access(c, segment) & RESERVED) === 0,
		),
		plain(
			segment,
			"Access",
			"must have the granularity that the limit asks for",
			(c) => (segment !== "Cs" && !usable(c, segment)) || granularityFits(c, segment),
		),
	]),
	plain(
		"Cs",
		"Access",
		"must have D/B clear in 64-bit mode",
		(c) => !isLongModeGuest(c) || (access(c, "Cs") & Access.L) === 0 || (access(c, "Cs") & Access.DB) === 0,
	),
];

const system: readonly EntryRule[] = [
	rule(
		"guestTrAccess",
		"must be a busy TSS, of 32 or 64 bits in IA-32e mode",
		(c) => type(c, "Tr") === 11 || (!isLongModeGuest(c) && type(c, "Tr") === 3),
	),
	rule("guestTrAccess", "must have S clear, P set, reserved bits clear, and be usable", (c) => {
		const rights = access(c, "Tr");
		return (rights & Access.S) === 0 && (rights & Access.P) !== 0 && (rights & (RESERVED | Access.unusable)) === 0;
	}),
	rule("guestTrAccess", "must have the granularity that the limit asks for", (c) => granularityFits(c, "Tr")),
	rule("guestLdtrAccess", "must be an LDT, with S clear, P set and reserved bits clear, while it is usable", (c) => {
		const rights = access(c, "Ldtr");
		if (!usable(c, "Ldtr")) return true;
		return type(c, "Ldtr") === 2 && (rights & Access.S) === 0 && (rights & Access.P) !== 0 && (rights & RESERVED) === 0;
	}),
	rule(
		"guestLdtrAccess",
		"must have the granularity that the limit asks for",
		(c) => !usable(c, "Ldtr") || granularityFits(c, "Ldtr"),
	),
];

export const guestSegmentRules: readonly EntryRule[] = [
	...selectors,
	...bases,
	...virtualMode,
	...types,
	...privileges,
	...attributes,
	...system,
];
