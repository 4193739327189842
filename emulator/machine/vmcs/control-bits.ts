// The bits of the control fields by name (SDM Vol. 3C §25.6 to §25.8), those of processors with more features included.

import { exceptionMnemonic } from "../exception-names.ts";
import { type BitLayout, flag, hex, range, words } from "./bit-layout.ts";

/** Table 25-5. */
export const pinBits: BitLayout = [
	flag(0, "External-interrupt exiting"),
	flag(3, "NMI exiting"),
	flag(5, "Virtual NMIs"),
	flag(6, "Activate VMX-preemption timer"),
	flag(7, "Process posted interrupts"),
];

/** Table 25-6. */
export const primaryBits: BitLayout = [
	flag(2, "Interrupt-window exiting"),
	flag(3, "Use TSC offsetting"),
	flag(7, "HLT exiting"),
	flag(9, "INVLPG exiting"),
	flag(10, "MWAIT exiting"),
	flag(11, "RDPMC exiting"),
	flag(12, "RDTSC exiting"),
	flag(15, "CR3-load exiting"),
	flag(16, "CR3-store exiting"),
	flag(17, "Activate tertiary controls"),
	flag(19, "CR8-load exiting"),
	flag(20, "CR8-store exiting"),
	flag(21, "Use TPR shadow"),
	flag(22, "NMI-window exiting"),
	flag(23, "MOV-DR exiting"),
	flag(24, "Unconditional I/O exiting"),
	flag(25, "Use I/O bitmaps"),
	flag(27, "Monitor trap flag"),
	flag(28, "Use MSR bitmaps"),
	flag(29, "MONITOR exiting"),
	flag(30, "PAUSE exiting"),
	flag(31, "Activate secondary controls"),
];

/** Table 25-7. */
export const secondaryBits: BitLayout = [
	flag(0, "Virtualize APIC accesses"),
	flag(1, "Enable EPT"),
	flag(2, "Descriptor-table exiting"),
	flag(3, "Enable RDTSCP"),
	flag(4, "Virtualize x2APIC mode"),
	flag(5, "Enable VPID"),
	flag(6, "WBINVD exiting"),
	flag(7, "Unrestricted guest"),
	flag(8, "APIC-register virtualization"),
	flag(9, "Virtual-interrupt delivery"),
	flag(10, "PAUSE-loop exiting"),
	flag(11, "RDRAND exiting"),
	flag(12, "Enable INVPCID"),
	flag(13, "Enable VM functions"),
	flag(14, "VMCS shadowing"),
	flag(15, "Enable ENCLS exiting"),
	flag(16, "RDSEED exiting"),
	flag(17, "Enable PML"),
	flag(18, "EPT-violation #VE"),
	flag(19, "Conceal VMX from PT"),
	flag(20, "Enable XSAVES/XRSTORS"),
	flag(22, "Mode-based execute control for EPT"),
	flag(23, "Sub-page write permissions for EPT"),
	flag(24, "Intel PT uses guest physical addresses"),
	flag(25, "Use TSC scaling"),
	flag(26, "Enable user wait and pause"),
	flag(27, "Enable PCONFIG"),
	flag(28, "Enable ENCLV exiting"),
];

/** Table 25-13. */
export const exitControlBits: BitLayout = [
	flag(2, "Save debug controls"),
	flag(9, "Host address-space size"),
	flag(12, "Load IA32_PERF_GLOBAL_CTRL"),
	flag(15, "Acknowledge interrupt on exit"),
	flag(18, "Save IA32_PAT"),
	flag(19, "Load IA32_PAT"),
	flag(20, "Save IA32_EFER"),
	flag(21, "Load IA32_EFER"),
	flag(22, "Save VMX-preemption timer value"),
	flag(23, "Clear IA32_BNDCFGS"),
	flag(24, "Conceal VMX from PT"),
	flag(25, "Clear IA32_RTIT_CTL"),
	flag(28, "Load CET state"),
	flag(29, "Load PKRS"),
	flag(31, "Activate secondary controls"),
];

/** Table 25-15. */
export const entryControlBits: BitLayout = [
	flag(2, "Load debug controls"),
	flag(9, "IA-32e mode guest"),
	flag(10, "Entry to SMM"),
	flag(11, "Deactivate dual-monitor treatment"),
	flag(13, "Load IA32_PERF_GLOBAL_CTRL"),
	flag(14, "Load IA32_PAT"),
	flag(15, "Load IA32_EFER"),
	flag(16, "Load IA32_BNDCFGS"),
	flag(17, "Conceal VMX from PT"),
	flag(18, "Load IA32_RTIT_CTL"),
	flag(20, "Load CET state"),
	flag(22, "Load PKRS"),
];

/** §25.6.3: a bit for each exception vector. */
export const exceptionBitmapBits: BitLayout = Array.from({ length: 32 }, (_, vector) =>
	flag(vector, exceptionMnemonic(vector)),
);

/** The page-fault error code (SDM Vol. 3A Figure 4-12). */
export const pageFaultErrorBits: BitLayout = [
	flag(0, "P"),
	flag(1, "W/R"),
	flag(2, "U/S"),
	flag(3, "RSVD"),
	flag(4, "I/D"),
	flag(5, "PK"),
	flag(6, "SS"),
	flag(15, "SGX"),
];

const MEMORY_TYPES = { 0: "uncacheable (UC)", 6: "write-back (WB)" };

/** Table 25-9. */
export const eptPointerBits: BitLayout = [
	range(2, 0, "Memory type", words(MEMORY_TYPES)),
	range(5, 3, "Page-walk length minus 1", (part) => (part === 3n ? "4 levels" : part === 4n ? "5 levels" : "reserved")),
	flag(6, "Enable accessed and dirty flags"),
	flag(7, "Supervisor shadow-stack control"),
	range(51, 12, "Page frame of the EPT PML4 table", (part) => `at ${hex(part << 12n)}`),
];

/** Table 25-10. */
export const vmFunctionBits: BitLayout = [flag(0, "EPTP switching")];

/** §25.6.8 */
export const tprThresholdBits: BitLayout = [range(3, 0, "TPR threshold")];
