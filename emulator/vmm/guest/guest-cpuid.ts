// What CPUID says to a guest under binary translation: what the host's says, less what the translator does not give.

/** CPUID.1:EDX, not given on: VME (bit 1); APIC (9) is the guest's own. */
const HIDDEN_EDX = (1 << 1) | (1 << 9);
const APIC = 1 << 9;
/** CPUID.1:ECX, not given on: MONITOR (bit 3), VMX (5), PCID (17). OSXSAVE is the host's, whose CR4 follows the guest's. */
const HIDDEN_ECX = (1 << 3) | (1 << 5) | (1 << 17);
/** CPUID.7.0:ECX, given on: UMIP (bit 2). EBX: nothing; SMEP and SMAP tell rings apart that the shadow does not. */
const STRUCTURED_ECX = 1 << 2;
/** CPUID.80000001H:EDX, given on: NX (bit 20). */
const EXTENDED_EDX = 1 << 20;

export type CpuidLeaf = readonly [eax: number, ebx: number, ecx: number, edx: number];

/** The guest's answer made of the host's. No SYSCALL or 64-bit mode in the extended leaves. */
export function guestCpuid(leaf: number, [eax, ebx, ecx, edx]: CpuidLeaf, apicEnabled: boolean): CpuidLeaf {
	switch (leaf >>> 0) {
		case 1:
			return [eax, ebx, ecx & ~HIDDEN_ECX, (edx & ~HIDDEN_EDX) | (apicEnabled ? APIC : 0)];
		case 6:
			return [0, 0, 0, 0];
		case 7:
			return [0, 0, ecx & STRUCTURED_ECX, 0];
		case 0x80000001:
			return [eax, ebx, 0, edx & EXTENDED_EDX];
		default:
			return [eax, ebx, ecx, edx];
	}
}
