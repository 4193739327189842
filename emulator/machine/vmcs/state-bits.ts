// The bits of registers that lie in the guest-state and host-state areas (SDM Vol. 3C §25.4, §25.5).

import { Cr0, Cr4, Efer, Eflags } from "../../isa/register-bits.ts";
import { type BitLayout, either, flag, hex, range, words } from "./bit-layout.ts";

/** Single bits of a register by the names that the processor has for them; entries of several bits are left out. */
function flagsOf(names: Readonly<Record<string, number>>, leftOut: readonly string[] = []): BitLayout {
	return Object.entries(names)
		.filter(([name, bits]) => (bits & (bits - 1)) === 0 && !leftOut.includes(name))
		.map(([name, bits]) => flag(31 - Math.clz32(bits), name));
}

export const cr0Bits = flagsOf(Cr0);
/** Bits that this processor lacks included, for a hypervisor may show them to its guest. */
export const cr4Bits: BitLayout = [
	...flagsOf(Cr4),
	flag(12, "LA57"),
	flag(14, "SMXE"),
	flag(22, "PKE"),
	flag(23, "CET"),
	flag(24, "PKS"),
].sort((a, b) => a.bit - b.bit);
export const eferBits = flagsOf(Efer);
export const rflagsBits: BitLayout = [...flagsOf(Eflags, ["fixed"]), range(13, 12, "IOPL")].sort(
	(a, b) => a.bit - b.bit,
);

/** CR3, with 4-level paging or PAE. */
export const cr3Bits: BitLayout = [
	flag(3, "PWT"),
	flag(4, "PCD"),
	range(51, 12, "Page frame of the top table", (part) => `at ${hex(part << 12n)}`),
];

const DATA_BREAKPOINT = words({ 0: "execution", 1: "writes", 2: "I/O", 3: "reads and writes" });
const DATA_LENGTH = words({ 0: "1 byte", 1: "2 bytes", 2: "8 bytes", 3: "4 bytes" });

/** SDM Vol. 3B Figure 18-1. The condition and length of a breakpoint that is off mean nothing. */
export const dr7Bits = (value: bigint): BitLayout => [
	...[0, 1, 2, 3].flatMap((index) => [flag(index * 2, `L${index}`), flag(index * 2 + 1, `G${index}`)]),
	flag(8, "LE"),
	flag(9, "GE"),
	flag(11, "RTM"),
	flag(13, "GD"),
	...[0, 1, 2, 3].flatMap((index) => {
		const on = ((value >> BigInt(index * 2)) & 3n) !== 0n;
		return [
			range(index * 4 + 17, index * 4 + 16, `R/W${index}`, on ? DATA_BREAKPOINT : undefined),
			range(index * 4 + 19, index * 4 + 18, `LEN${index}`, on ? DATA_LENGTH : undefined),
		];
	}),
];

/** SDM Vol. 3B §18.4.1 */
export const debugctlBits: BitLayout = [
	flag(0, "LBR"),
	flag(1, "BTF"),
	flag(2, "BLD"),
	flag(6, "TR"),
	flag(7, "BTS"),
	flag(8, "BTINT"),
	flag(9, "BTS_OFF_OS"),
	flag(10, "BTS_OFF_USR"),
	flag(11, "FREEZE_LBRS_ON_PMI"),
	flag(12, "FREEZE_PERFMON_ON_PMI"),
	flag(14, "FREEZE_WHILE_SMM"),
	flag(15, "RTM_DEBUG"),
];

const PAT_TYPES = {
	0: "uncacheable (UC)",
	1: "write-combining (WC)",
	4: "write-through (WT)",
	5: "write-protected (WP)",
	6: "write-back (WB)",
	7: "uncached (UC-)",
};

/** SDM Vol. 3A §12.12.2 */
export const patBits: BitLayout = Array.from({ length: 8 }, (_, index) =>
	range(index * 8 + 7, index * 8, `PA${index}`, words(PAT_TYPES)),
);

export const selectorBits: BitLayout = [
	range(1, 0, "RPL"),
	either(2, "TI", "GDT", "LDT"),
	range(15, 3, "Index", (part) => (part === 0n ? "null selector" : `descriptor at +${hex(part << 3n)}`)),
];

const DATA_TYPES = ["read", "read, accessed", "read/write", "read/write, accessed"];
const SYSTEM_TYPES: Readonly<Record<number, string>> = {
	1: "16-bit TSS, available",
	2: "LDT",
	3: "16-bit TSS, busy",
	9: "TSS, available",
	11: "TSS, busy",
};

function segmentType(type: number, system: boolean): string {
	if (system) return SYSTEM_TYPES[type] ?? "reserved";
	if ((type & 8) === 0) return `data: ${DATA_TYPES[type & 3]}${type & 4 ? ", expand-down" : ""}`;
	return `code: execute${type & 2 ? "/read" : ""}${type & 4 ? ", conforming" : ""}${type & 1 ? ", accessed" : ""}`;
}

/** Table 25-2. What the type means hangs on S. */
export const accessRightsBits = (value: bigint): BitLayout => [
	range(3, 0, "Type", (part) => segmentType(Number(part), (value & 0x10n) === 0n)),
	either(4, "S", "system", "code or data"),
	range(6, 5, "DPL"),
	flag(7, "P"),
	flag(12, "AVL"),
	flag(13, "L"),
	flag(14, "D/B"),
	flag(15, "G"),
	flag(16, "Segment unusable"),
];

/** Table 25-3. */
export const interruptibilityBits: BitLayout = [
	flag(0, "Blocking by STI"),
	flag(1, "Blocking by MOV SS"),
	flag(2, "Blocking by SMI"),
	flag(3, "Blocking by NMI"),
	flag(4, "Enclave interruption"),
];

/** §25.4.2 */
export const ACTIVITY_STATES: Readonly<Record<number, string>> = {
	0: "active",
	1: "HLT",
	2: "shutdown",
	3: "wait-for-SIPI",
};

/** Table 25-4. */
export const pendingDebugBits: BitLayout = [
	flag(0, "B0"),
	flag(1, "B1"),
	flag(2, "B2"),
	flag(3, "B3"),
	flag(11, "BLD"),
	flag(12, "Enabled breakpoint"),
	flag(14, "BS"),
	flag(16, "RTM"),
];

/** SDM Vol. 3A Table 4-8. */
export const pdpteBits: BitLayout = [
	flag(0, "P"),
	flag(3, "PWT"),
	flag(4, "PCD"),
	range(51, 12, "Page frame of the page directory", (part) => `at ${hex(part << 12n)}`),
];
