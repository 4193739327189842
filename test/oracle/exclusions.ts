// Rows of the instruction table that are not compared, each with the reason.

import { readFileSync } from "node:fs";

interface Exclusion {
	readonly names: RegExp;
	readonly reason: string;
	/** Left out only on processors of this vendor. */
	readonly vendor?: string;
}

/** The vendor string of the processor that runs the test. */
const vendor = /^vendor_id\s*:\s*(\S+)/m.exec(
	process.platform === "linux" ? readFileSync("/proc/cpuinfo", "latin1") : "",
)?.[1];

export const exclusions: readonly Exclusion[] = [
	{ names: /^(Syscall|Sysenter)$/, reason: "enters the kernel of the machine that runs the test" },
	{ names: /^(Int_imm8|Int1|Int3|Into)$/, reason: "goes through the IDT of the machine that runs the test" },
	{ names: /^(Cpuid|Rdtsc|Rdtscp|Rdpmc)$/, reason: "tells of the processor itself" },
	{
		names: /^(Sgdt|Sidt|Sldt|Str|Smsw)_/,
		reason: "tells of the kernel's tables, or traps to the kernel with CR4.UMIP",
	},
	{ names: /^Vmcall$/, reason: "leaves for the hypervisor that the machine of the test may run under" },
	{
		names: /^(Xgetbv|Xsetbv|(Xsave|Xsaveopt|Xrstor)(64)?_mem)$/,
		reason: "CR4.OSXSAVE is clear; test/floating-point compares the images",
	},
	{ names: /^(Tzcnt|Lzcnt)_/, reason: "CPUID of the emulated processor has neither BMI1 nor LZCNT" },
	{ names: /^(Rd|Wr)[fg]sbase_/, reason: "CPUID of the emulated processor has no FSGSBASE" },
	{
		names: /^(Rcp|Rsqrt)[ps]s_/,
		reason: "approximates, each processor differently within the error that the SDM allows",
	},
	{
		names: /^Movsxd_r16_rm16$/,
		reason: "AMD's processors read 32 bits of memory (AMD APM Vol. 3, MOVSXD)",
		vendor: "AuthenticAMD",
	},
	{ names: /^Fstpnce_/, reason: "the SDM does not have it (D9 D8+i)" },
	{
		names: /^L[sfg]s_r64_m1664$/,
		reason: "AMD's processors ignore REX.W here (AMD APM Vol. 3, LDS)",
		vendor: "AuthenticAMD",
	},
	{
		names: /^Sysret[dq]$/,
		reason: "outside 64-bit mode AMD's processors have it, with #GP instead of #UD at CPL 3 (AMD APM Vol. 3, SYSRET)",
		vendor: "AuthenticAMD",
	},
	{
		names: /^Reservednop_rm\d\d_r\d\d_0F0D$/,
		reason: "AMD's processors have no reserved NOP there but #UD (AMD APM Vol. 3, PREFETCH)",
		vendor: "AuthenticAMD",
	},
	{
		names: /^(Iret[wdq]|Retf[wdq](_imm16)?|Jmp_ptr16\d\d|Call_ptr16\d\d|Jmp_m16\d\d|Call_m16\d\d)$/,
		reason: "far transfers change the code size; emulator/cpu tests them",
	},
];

/** Why a row is not compared; undefined when it is. */
export function exclusionOf(name: string): string | undefined {
	return exclusions.find(
		(exclusion) => exclusion.names.test(name) && (exclusion.vendor === undefined || exclusion.vendor === vendor),
	)?.reason;
}
