// The VMX instructions (SDM Vol. 3C Chapter 31): TypeScript helpers of cpu/vmx.

import type { InstructionTable } from "../row.ts";

const NAMES: readonly (readonly [pattern: RegExp, helper: string])[] = [
	[/^Vmcall$/, "vmcall"],
	[/^Vmclear_m64$/, "vmclear"],
	[/^Vmfunc$/, "vmfunc"],
	[/^Vmlaunch$/, "vmlaunch"],
	[/^Vmptrld_m64$/, "vmptrld"],
	[/^Vmptrst_m64$/, "vmptrst"],
	[/^Vmread_rm(32|64)_r/, "vmread"],
	[/^Vmresume$/, "vmresume"],
	[/^Vmwrite_r(32|64)_rm/, "vmwrite"],
	[/^Vmxoff$/, "vmxoff"],
	[/^Vmxon_m64$/, "vmxon"],
	[/^Invept_r/, "invept"],
	[/^Invvpid_r/, "invvpid"],
];

export function defineVmx(table: InstructionTable): void {
	for (const [pattern, helper] of NAMES) table.define(pattern, (o) => o.helper(helper), { endsBlock: true });
}
