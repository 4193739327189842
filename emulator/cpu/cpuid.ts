// CPUID: what the processor says of itself (SDM Vol. 2A, CPUID). Exactly what is implemented is reported.

import { type Helper, Outcome } from "../engine/helper.ts";
import { Cr4 } from "../isa/register-bits.ts";
import { State } from "../isa/state.ts";
import type { ProcessorCore } from "./core.ts";
import { XCR0_SUPPORTED, XSAVE_AREA_BYTES } from "./extended-state.ts";
import { apicBaseSlot } from "./model-specific-registers.ts";
import { PHYSICAL_ADDRESS_BITS } from "./paging.ts";
import { PROCESSOR_SIGNATURE } from "./processor-state.ts";

/** Features that a machine may leave out or switch on. */
export interface ProcessorFeatures {
	/** A local APIC is there. */
	readonly apic: boolean;
	/** Supervisor-mode execution prevention. */
	readonly smep: boolean;
	/** Supervisor-mode access prevention, with STAC and CLAC. */
	readonly smap: boolean;
	/** RDFSBASE and its kin. */
	readonly fsgsbase: boolean;
	/** User-mode instruction prevention. */
	readonly umip: boolean;
	/** Process-context identifiers and INVPCID. */
	readonly pcid: boolean;
	/** XSAVE and its kin, for x87 and SSE state. */
	readonly xsave: boolean;
	/** Virtual-machine extensions. */
	readonly vmx: boolean;
}

export const DEFAULT_FEATURES: ProcessorFeatures = {
	apic: true,
	smep: true,
	smap: true,
	fsgsbase: true,
	umip: true,
	pcid: true,
	xsave: true,
	vmx: true,
};

/** Where a processor stands among those of its machine: all are cores of one package, their APIC IDs are their numbers. */
export interface Topology {
	readonly id: number;
	readonly count: number;
}

export const ONE_PROCESSOR: Topology = { id: 0, count: 1 };

/** Bits of CR4 that may be set. */
export function supportedCr4(features: ProcessorFeatures): number {
	return (
		Cr4.VME |
		Cr4.PVI |
		Cr4.TSD |
		Cr4.DE |
		Cr4.PSE |
		Cr4.PAE |
		Cr4.MCE |
		Cr4.PGE |
		Cr4.PCE |
		Cr4.OSFXSR |
		Cr4.OSXMMEXCPT |
		(features.umip ? Cr4.UMIP : 0) |
		(features.pcid ? Cr4.PCIDE : 0) |
		(features.xsave ? Cr4.OSXSAVE : 0) |
		(features.vmx ? Cr4.VMXE : 0) |
		(features.smep ? Cr4.SMEP : 0) |
		(features.smap ? Cr4.SMAP : 0) |
		(features.fsgsbase ? Cr4.FSGSBASE : 0)
	);
}

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** Four characters as a register holds them, the first in the low byte. */
function characters(text: string, at: number): number {
	let value = 0;
	for (let index = 3; index >= 0; index--) value = (value << 8) | (text.charCodeAt(at + index) || 0);
	return value;
}

// Operating systems know family 6 and its models as Intel's only: Linux takes a constant TSC, SYSENTER and PAT from
// (vendor, family, model) and treats a vendor that it does not know as a processor without them (arch/x86/kernel/cpu/).
const VENDOR = "GenuineIntel";
const BRAND = "Hyperscope x86-64 processor".padEnd(48, "\0");
const HIGHEST_BASIC = 0xd;
const HIGHEST_EXTENDED = 0x80000008;

/** CPUID.1:EDX (SDM Vol. 2A Table 3-11). */
const BASIC_FEATURES = {
	FPU: 1 << 0,
	VME: 1 << 1,
	DE: 1 << 2,
	PSE: 1 << 3,
	TSC: 1 << 4,
	MSR: 1 << 5,
	PAE: 1 << 6,
	MCE: 1 << 7,
	CX8: 1 << 8,
	SEP: 1 << 11,
	MTRR: 1 << 12,
	PGE: 1 << 13,
	MCA: 1 << 14,
	CMOV: 1 << 15,
	PAT: 1 << 16,
	PSE36: 1 << 17,
	CLFSH: 1 << 19,
	MMX: 1 << 23,
	FXSR: 1 << 24,
	SSE: 1 << 25,
	SSE2: 1 << 26,
} as const;
/** CPUID.1:ECX (SDM Vol. 2A Table 3-10). */
const MORE_FEATURES = { SSE3: 1 << 0, SSSE3: 1 << 9 } as const;
const APIC = 1 << 9;
const PCID = 1 << 17;
const XSAVE = 1 << 26;
/** CPUID.1:ECX: CR4.OSXSAVE is set. */
const OSXSAVE = 1 << 27;
/** CPUID.7.0:EBX. */
const INVPCID = 1 << 10;
/** CPUID.(EAX=0DH,ECX=1):EAX. */
const XSAVEOPT = 1 << 0;
const VMX = 1 << 5;
/** CPUID.1:EDX: more than one logical processor in the package. */
const HTT = 1 << 28;
/** CPUID.0BH:ECX: types of levels. */
const LEVEL_SMT = 1 << 8;
const LEVEL_CORE = 2 << 8;
/** CPUID.1:ECX, with a local APIC. */
const APIC_FEATURES = { X2APIC: 1 << 21, TSC_DEADLINE: 1 << 24 } as const;
/** CPUID.80000001H:EDX. */
const EXTENDED_FEATURES = { NX: 1 << 20, Page1GB: 1 << 26, RDTSCP: 1 << 27, LM: 1 << 29 } as const;
const SYSCALL = 1 << 11;
const LAHF64 = 1 << 0;

const union = (bits: Readonly<Record<string, number>>): number =>
	Object.values(bits).reduce((all, bit) => all | bit, 0);

/** Deterministic cache parameters: type and level, ways, line of 64 bytes, sets (leaf 4). No cache is modelled; the sizes are for programs that block by them. */
const CACHES: readonly Leaf[] = [
	[0x121, (7 << 22) | 63, 63, 0],
	[0x122, (7 << 22) | 63, 63, 0],
	[0x143, (7 << 22) | 63, 4095, 0],
];

/** What CPUID tells of the processor's current state. */
export interface CpuidContext {
	readonly mode64: boolean;
	readonly cr4: number;
}

export class Cpuid {
	constructor(
		private readonly core: ProcessorCore,
		private readonly features: ProcessorFeatures,
		private readonly topology = ONE_PROCESSOR,
	) {}

	/** The registers that CPUID gives for EAX = `leaf` and ECX = `subleaf`. @param context of the processor that asks, when it is another */
	query(leaf: number, subleaf: number, context: CpuidContext = this.core.state): Leaf {
		const { features } = this;
		const { state } = this.core;
		switch (leaf >>> 0) {
			case 0:
				return [HIGHEST_BASIC, characters(VENDOR, 0), characters(VENDOR, 8), characters(VENDOR, 4)];
			case 1: {
				// CLFLUSH line of 8 quadwords; number of logical processors in the package, if there are several; initial APIC ID. The APIC bit follows the global enable of IA32_APIC_BASE (SDM Vol. 3A §10.4.3).
				const enabled = features.apic && (state.i32[apicBaseSlot >> 2]! & 0x800) !== 0;
				const more =
					union(MORE_FEATURES) |
					(features.apic ? union(APIC_FEATURES) : 0) |
					(features.vmx ? VMX : 0) |
					(features.pcid ? PCID : 0) |
					(features.xsave ? XSAVE : 0) |
					(context.cr4 & Cr4.OSXSAVE ? OSXSAVE : 0);
				const { id, count } = this.topology;
				const several = count > 1;
				const numbers = (id << 24) | ((several ? count : 0) << 16) | 0x0800;
				const basic = union(BASIC_FEATURES) | (enabled ? APIC : 0) | (several ? HTT : 0);
				return [PROCESSOR_SIGNATURE, numbers, more, basic];
			}
			case 2:
				// L1 data 32 KBytes, L1 code 32 KBytes, L2 2 MBytes (Table 3-12).
				return [0x01, 0, 0, 0x2c307d];
			case 4:
				return this.caches(subleaf);
			case 7: {
				const bits =
					(features.fsgsbase ? 1 : 0) |
					(features.smep ? 1 << 7 : 0) |
					(features.pcid ? INVPCID : 0) |
					(features.smap ? 1 << 20 : 0);
				return subleaf === 0 ? [0, bits, features.umip ? 1 << 2 : 0, 0] : [0, 0, 0, 0];
			}
			case 3:
			case 5:
			case 6:
			case 8:
			case 9:
			case 0xa:
			case 0xc:
				return [0, 0, 0, 0];
			case 0xb:
				return this.levels(subleaf);
			case 0xd:
				return features.xsave ? this.extendedState(subleaf) : [0, 0, 0, 0];
			case 0x80000000:
				return [HIGHEST_EXTENDED, 0, 0, 0];
			case 0x80000001:
				// SYSCALL is reported in 64-bit mode only, the one mode that has it.
				return [0, 0, LAHF64, union(EXTENDED_FEATURES) | (context.mode64 ? SYSCALL : 0)];
			case 0x80000002:
			case 0x80000003:
			case 0x80000004: {
				const at = ((leaf >>> 0) - 0x80000002) * 16;
				return [
					characters(BRAND, at),
					characters(BRAND, at + 4),
					characters(BRAND, at + 8),
					characters(BRAND, at + 12),
				];
			}
			case 0x80000005:
				return [0, 0, 0, 0];
			case 0x80000006:
				// L2: 2048 KBytes, 8 ways, lines of 64 bytes.
				return [0, 0, 0x08006040, 0];
			case 0x80000007:
				// Invariant TSC: it counts virtual time.
				return [0, 0, 0, 1 << 8];
			case 0x80000008:
				return [(48 << 8) | PHYSICAL_ADDRESS_BITS, 0, 0, 0];
			default:
				// Beyond the highest leaf: the data of the highest basic leaf.
				return this.query(HIGHEST_BASIC, subleaf, context);
		}
	}

	/** Bits of an APIC ID that tell the processors of the package apart. */
	private get idBits(): number {
		return 32 - Math.clz32(this.topology.count - 1);
	}

	/** Leaf 4: the third cache is shared by all processors (EAX[25:14]); EAX[31:26] is the highest core ID of the package. */
	private caches(subleaf: number): Leaf {
		const cache = CACHES[subleaf];
		if (!cache) return [0, 0, 0, 0];
		const highest = (1 << this.idBits) - 1;
		const [eax, ebx, ecx, edx] = cache;
		return [eax | (highest << 26) | ((subleaf === 2 ? highest : 0) << 14), ebx, ecx, edx];
	}

	/** Leaf 0BH, extended topology (SDM Vol. 3A §8.9.1): one thread a core, all cores in one package. Zeros for one processor. */
	private levels(subleaf: number): Leaf {
		const { id, count } = this.topology;
		if (count === 1) return [0, 0, 0, 0];
		const number = subleaf & 0xff;
		if (number === 0) return [0, 1, LEVEL_SMT, id];
		if (number === 1) return [this.idBits, count, LEVEL_CORE | 1, id];
		return [0, 0, number, id];
	}

	/** Leaf 0DH: the state that XSAVE saves, and the size of its area for XCR0 as it is and at most (SDM Vol. 1 §13.2). */
	private extendedState(subleaf: number): Leaf {
		if (subleaf === 0) return [XCR0_SUPPORTED, XSAVE_AREA_BYTES, XSAVE_AREA_BYTES, 0];
		return subleaf === 1 ? [XSAVEOPT, 0, 0, 0] : [0, 0, 0, 0];
	}

	readonly cpuid: Helper = () => {
		const { state } = this.core;
		const [eax, ebx, ecx, edx] = this.query(state.i32[State.gpr >> 2]!, state.gpr32(1));
		state.setGpr32(0, eax);
		state.setGpr32(3, ebx);
		state.setGpr32(1, ecx);
		state.setGpr32(2, edx);
		return Outcome.next;
	};
}
