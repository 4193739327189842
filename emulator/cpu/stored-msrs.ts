// The model-specific registers that only keep what is written, as data: one row each (SDM Vol. 4, Table 2-2 "IA-32 Architectural
// MSRs"). The processor keeps them in its state; a VMM keeps those of its vCPU elsewhere, by the same rules.

/** One register. */
export interface StoredMsr {
	readonly name: string;
	readonly address: number;
	readonly reset: bigint;
	/** False: writing raises #GP(0). Absent: every value is taken. */
	readonly accepts?: (value: bigint) => boolean;
	/** Bits that keep their value when written. */
	readonly fixed?: bigint;
	/** Once this bit is set, writing raises #GP(0). */
	readonly lockedBy?: bigint;
}

/** Bits 63:47 are all equal. */
export const canonical = (value: bigint): boolean => BigInt.asUintN(64, BigInt.asIntN(48, value)) === value;
const readOnly = (): boolean => false;
const FEATURE_CONTROL = 0x3a;
const MEMORY_TYPES = [0n, 1n, 4n, 5n, 6n];

/** Eight fields of memory types (SDM Vol. 3A §11.12.2 for PAT with UC-, §11.11.2 for MTRRs without). */
function typesAccepted(allowed: readonly bigint[]): (value: bigint) => boolean {
	return (value) => {
		for (let field = 0n; field < 8n; field++) if (!allowed.includes((value >> (field * 8n)) & 0xffn)) return false;
		return true;
	};
}

const validPat = typesAccepted([...MEMORY_TYPES, 7n]);
const validFixedRange = typesAccepted(MEMORY_TYPES);
/** Address bits of MTRRs and IA32_APIC_BASE: 39:12. */
const ADDRESS_FIELD = 0xff_ffff_f000n;

// Deviation: the memory types of MTRRs and PAT are kept but change nothing, for no cache is modelled.
export const STORED_MSRS: readonly StoredMsr[] = [
	{ name: "IA32_PLATFORM_ID", address: 0x17, reset: 0n, accepts: readOnly },
	// Enabled, bootstrap processor, at the architectural address (SDM Vol. 3A §10.4.4).
	{
		name: "IA32_APIC_BASE",
		address: 0x1b,
		reset: 0xfee00900n,
		accepts: (value) => (value & ~(ADDRESS_FIELD | 0xd00n)) === 0n,
	},
	// Locked by whoever decides: firmware, or the operating system that is started without one (SDM Vol. 3C §24.7).
	{
		name: "IA32_FEATURE_CONTROL",
		address: FEATURE_CONTROL,
		reset: 0n,
		accepts: (value) => (value & ~0x5n) === 0n,
		lockedBy: 1n,
	},
	{ name: "IA32_BIOS_SIGN_ID", address: 0x8b, reset: 0n },
	// Eight variable ranges, fixed ranges, write combining.
	{ name: "IA32_MTRRCAP", address: 0xfe, reset: 0x508n, accepts: readOnly },
	{ name: "IA32_SYSENTER_CS", address: 0x174, reset: 0n },
	{ name: "IA32_SYSENTER_ESP", address: 0x175, reset: 0n, accepts: canonical },
	{ name: "IA32_SYSENTER_EIP", address: 0x176, reset: 0n, accepts: canonical },
	// No machine-check banks.
	{ name: "IA32_MCG_CAP", address: 0x179, reset: 0n, accepts: readOnly },
	{ name: "IA32_MCG_STATUS", address: 0x17a, reset: 0n, accepts: (value) => value < 8n },
	// Branch trace storage and PEBS (bits 11 and 12) are unavailable, read-only.
	// Deviation: fast strings (0), automatic thermal control (3), SpeedStep (16), MONITOR (18), the CPUID limit (22), xTPR (23)
	// and XD disable (34) keep what is written and change nothing.
	{ name: "IA32_MISC_ENABLE", address: 0x1a0, reset: 0x1801n, fixed: ~0x4_00c5_0009n },
	// Deviation: LBR and BTF keep what is written and change nothing: no branch is recorded, and single steps stay single.
	{ name: "IA32_DEBUGCTL", address: 0x1d9, reset: 0n, accepts: (value) => (value & ~3n) === 0n },
	{ name: "IA32_PAT", address: 0x277, reset: 0x0007040600070406n, accepts: validPat },
	{
		name: "IA32_MTRR_DEF_TYPE",
		address: 0x2ff,
		reset: 0n,
		accepts: (value) => (value & ~0xcffn) === 0n && MEMORY_TYPES.includes(value & 0xffn),
	},
	...Array.from({ length: 16 }, (_, index): StoredMsr => {
		const mask = index % 2 === 1;
		return {
			name: `IA32_MTRR_PHYS${mask ? "MASK" : "BASE"}${index >> 1}`,
			address: 0x200 + index,
			reset: 0n,
			accepts: mask
				? (value) => (value & ~(ADDRESS_FIELD | 0x800n)) === 0n
				: (value) => (value & ~(ADDRESS_FIELD | 0xffn)) === 0n && MEMORY_TYPES.includes(value & 0xffn),
		};
	}),
	{ name: "IA32_MTRR_FIX64K_00000", address: 0x250, reset: 0n, accepts: validFixedRange },
	{ name: "IA32_MTRR_FIX16K_80000", address: 0x258, reset: 0n, accepts: validFixedRange },
	{ name: "IA32_MTRR_FIX16K_A0000", address: 0x259, reset: 0n, accepts: validFixedRange },
	...Array.from({ length: 8 }, (_, index): StoredMsr => {
		const start = (0xc0000 + index * 0x8000).toString(16).toUpperCase();
		return { name: `IA32_MTRR_FIX4K_${start}`, address: 0x268 + index, reset: 0n, accepts: validFixedRange };
	}),
	{ name: "IA32_STAR", address: 0xc0000081, reset: 0n },
	{ name: "IA32_LSTAR", address: 0xc0000082, reset: 0n, accepts: canonical },
	{ name: "IA32_CSTAR", address: 0xc0000083, reset: 0n, accepts: canonical },
	{ name: "IA32_FMASK", address: 0xc0000084, reset: 0n, accepts: (value) => value <= 0xffffffffn },
	{ name: "IA32_KERNEL_GS_BASE", address: 0xc0000102, reset: 0n, accepts: canonical },
	{ name: "IA32_TSC_AUX", address: 0xc0000103, reset: 0n, accepts: (value) => value <= 0xffffffffn },
	// The machine-check registers of a processor without banks: nothing is ever recorded, and nothing is there to clear.
	{ name: "IA32_P5_MC_ADDR", address: 0, reset: 0n, accepts: readOnly },
	{ name: "IA32_P5_MC_TYPE", address: 1, reset: 0n, accepts: readOnly },
];

/** The register after `value` was written to it; undefined when that raises #GP(0). */
export function storedMsrAfter(row: StoredMsr, before: bigint, value: bigint): bigint | undefined {
	if (row.lockedBy && before & row.lockedBy) return undefined;
	if (row.accepts && !row.accepts(value)) return undefined;
	const fixed = row.fixed ?? 0n;
	return (value & ~fixed) | (before & fixed);
}
