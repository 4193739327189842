// What CPUID says to a guest under binary translation: what the host's says, less what the translator does not give.

/** CPUID.1:EDX: FPU DE PSE TSC MSR CX8 SEP PGE CMOV CLFSH MMX FXSR SSE SSE2. No VME, PAE, MCE, APIC, MTRR, MCA, PAT, PSE-36. */
const FEATURES_EDX =
	(1 << 0) |
	(1 << 2) |
	(1 << 3) |
	(1 << 4) |
	(1 << 5) |
	(1 << 8) |
	(1 << 11) |
	(1 << 13) |
	(1 << 15) |
	(1 << 19) |
	(1 << 23) |
	(1 << 24) |
	(1 << 25) |
	(1 << 26);
/** CPUID.1:ECX: SSE3 SSSE3 SSE4.1 SSE4.2 POPCNT. */
const FEATURES_ECX = (1 << 0) | (1 << 9) | (1 << 19) | (1 << 20) | (1 << 23);

export type CpuidLeaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** The guest's answer made of the host's. No SYSCALL, NX or 64-bit mode in the extended leaves. */
export function guestCpuid(leaf: number, [eax, ebx, ecx, edx]: CpuidLeaf): CpuidLeaf {
	switch (leaf >>> 0) {
		case 1:
			return [eax, ebx, ecx & FEATURES_ECX, edx & FEATURES_EDX];
		case 6:
		case 7:
		case 0xd:
			return [0, 0, 0, 0];
		case 0x80000001:
			return [eax, ebx, 0, 0];
		default:
			return [eax, ebx, ecx, edx];
	}
}
