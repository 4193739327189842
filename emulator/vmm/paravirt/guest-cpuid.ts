// CPUID as a paravirtual guest sees it: the host's, less what only the VMM may use, and the leaves by which it knows the VMM
// (arch-x86/cpuid.h).

import type { Cpuid } from "../../cpu/cpuid.ts";
import type { Domain } from "./domain.ts";

type Leaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** CPUID.1:EDX: VME, PSE, MCE, PGE, SEP, MTRR and PSE-36 are not for guests. */
const NO_BASIC = (1 << 1) | (1 << 3) | (1 << 7) | (1 << 11) | (1 << 12) | (1 << 13) | (1 << 17);
/** CPUID.1:ECX: VMX, PCID, x2APIC, the TSC deadline, XSAVE and OSXSAVE. */
const NO_MORE = (1 << 5) | (1 << 17) | (1 << 21) | (1 << 24) | (1 << 26) | (1 << 27);
const HYPERVISOR = 1 << 31;
/** CPUID.80000001H:EDX: pages of 1 GByte, RDTSCP. */
const NO_EXTENDED = (1 << 26) | (1 << 27);
const SYSCALL = 1 << 11;
const LONG_MODE = 1 << 29;
const XEN_LEAVES = 0x40000000;
const HIGHEST_XEN = 0x40000002;
/** "XenVMMXenVMM" */
const SIGNATURE = [0x566e6558, 0x65584d4d, 0x4d4d566e] as const;
/** Xen 4.17 */
export const XEN_VERSION = (4 << 16) | 17;

export function guestCpuid(cpuid: Cpuid, domain: Domain, leaf: number, subleaf: number): Leaf {
	const [eax, ebx, ecx, edx] = cpuid.query(leaf, subleaf);
	switch (leaf >>> 0) {
		case 1:
			return [eax, ebx, (ecx & ~NO_MORE) | HYPERVISOR, edx & ~NO_BASIC];
		case 0xd:
			return [0, 0, 0, 0];
		// SMEP, SMAP, FSGSBASE, INVPCID and UMIP are not offered.
		case 7:
			return [eax, 0, 0, 0];
		case 0x80000001: {
			const wide = edx & ~NO_EXTENDED;
			return [eax, ebx, ecx, domain.wide ? wide | SYSCALL : wide & ~LONG_MODE & ~SYSCALL];
		}
		case XEN_LEAVES:
			return [HIGHEST_XEN, ...SIGNATURE];
		case XEN_LEAVES + 1:
			return [XEN_VERSION, 0, 0, 0];
		case XEN_LEAVES + 2:
			// One hypercall page; mmu_update preserves A and D.
			return [1, 0x40000000, 1, 0];
		default:
			return [eax, ebx, ecx, edx];
	}
}
