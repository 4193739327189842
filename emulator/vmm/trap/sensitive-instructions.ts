// The sensitive, unprivileged instructions of IA-32: they look at or change what belongs to the system and do not trap outside
// ring 0 (Robin & Irvine, "Analysis of the Intel Pentium's Ability to Support a Secure Virtual Machine Monitor", USENIX Security
// 2000, §3.3). INT n is on their list too; here it always traps, for the gates of the host's IDT have DPL 0.

import { Code } from "iced-x86";

const FORMS: readonly RegExp[] = [
	/^(Sgdt|Sidt|Sldt|Str|Smsw)_/,
	/^(Pushf|Popf)[wd]$/,
	/^(Lar|Lsl|Verr|Verw)_/,
	/^(Push|Pop)[wd]_[ECSDFG]S$/,
	/^Mov_(rm16|r32m16)_Sreg$/,
	/^Mov_Sreg_(rm16|r32m16)$/,
	/^L[edsfg]s_(r16_m1616|r32_m1632)$/,
	/^(Call|Jmp)_(ptr|m)(1616|1632)$/,
	/^Retf[wd](_imm16)?$/,
	/^Iret[wd]$/,
];

/** By Code of iced-x86: 1 for the instructions that can run wrongly in ring 1 or 3. */
export const sensitiveCodes: Uint8Array = new Uint8Array(
	Math.max(...Object.values(Code).filter((code) => typeof code === "number")) + 1,
);

for (const [name, code] of Object.entries(Code))
	if (typeof code === "number" && FORMS.some((form) => form.test(name))) sensitiveCodes[code] = 1;
