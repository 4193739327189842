// Instructions that are TypeScript helpers of cpu/ (system instructions, far transfers, port I/O), and those that do nothing.

import type { InstructionTable } from "../row.ts";
import { Segment, SegmentSlot, State } from "../state.ts";
import { defineInterruptFlag } from "./interrupt-flag.ts";
import { sizeOfSuffix } from "./stack.ts";

const BITS: Readonly<Record<string, number>> = { "16": 2, "32": 4, "64": 8 };

/** Operand size in bytes from the last number of the name: "Jmp_m1632" 4, "Lgdt_m1664" 8, "Lgdt_m1632_16" 2, "Mov_r64_cr" 8. */
function sizeInName(name: string): number {
	if (/_m1632_16$/.test(name)) return 2;
	const match = /(16|32|64)(?:_imm8)?$/.exec(name) ?? /_[a-z]*(16|32|64)/.exec(name);
	return match ? BITS[match[1]!]! : 0;
}

export function defineSystem(table: InstructionTable): void {
	const ends = { endsBlock: true };
	/** Rows that call one helper with the size that the name tells. */
	const helper = (pattern: RegExp, name: string, options = {}) =>
		table.define(pattern, (o, code) => o.helper(name, sizeInName(code)), options);

	helper(/^Cpuid$/, "cpuid");
	helper(/^Rdmsr$/, "rdmsr");
	helper(/^Wrmsr$/, "wrmsr", ends);
	helper(/^Rdtsc$/, "rdtsc");
	helper(/^Rdtscp$/, "rdtscp");
	helper(/^Rdpmc$/, "rdpmc");
	helper(/^Hlt$/, "hlt", ends);
	helper(/^Clac$/, "clac");
	helper(/^Stac$/, "stac");
	defineInterruptFlag(table);
	helper(/^Int_imm8$/, "interrupt", ends);
	helper(/^Int1$/, "interrupt1", ends);
	helper(/^Int3$/, "interrupt3", ends);
	helper(/^Into$/, "interruptOverflow", ends);
	table.define(/^Iret[wdq]$/, (o, name) => o.helper("iret", sizeOfSuffix(name, "Iret")), ends);
	table.define(/^Jmp_ptr16(16|32)$/, (o, name) => o.helper("jumpFar", sizeInName(name)), ends);
	table.define(/^Call_ptr16(16|32)$/, (o, name) => o.helper("callFar", sizeInName(name)), ends);
	helper(/^Jmp_m16(16|32|64)$/, "jumpFarMemory", ends);
	helper(/^Call_m16(16|32|64)$/, "callFarMemory", ends);
	table.define(/^Retf[wdq](_imm16)?$/, (o, name) => o.helper("returnFar", sizeOfSuffix(name, "Retf")), ends);

	helper(/^Mov_Sreg_/, "moveToSegment", ends);
	// The register form's size is the first number: "Mov_rm16_Sreg" 2, "Mov_r32m16_Sreg" 4.
	table.define(/^Mov_(rm16|r32m16|r64m16)_Sreg$/, (o, name) =>
		o.helper("moveFromSegment", BITS[/\d+/.exec(name)![0]]!),
	);
	table.define(/^Push[wdq]_(ES|CS|SS|DS|FS|GS)$/, (o, name) => {
		const size = sizeOfSuffix(name, "Push");
		const segment = Segment[name.slice(-2).toLowerCase() as keyof typeof Segment];
		const selector = o.state32(State.segments + segment * SegmentSlot.size + SegmentSlot.selector);
		// A 32-bit push writes 16 bits and leaves the upper half of the stack slot (SDM Vol. 2B, PUSH).
		o.push(size, size === 8 ? selector.extendU() : selector, size === 4 ? 2 : size);
	});
	table.define(/^Pop[wdq]_(ES|SS|DS|FS|GS)$/, (o, name) => o.helper("popSegment", sizeOfSuffix(name, "Pop")), ends);
	const far: Record<string, number> = { Les: 0, Lss: 2, Lds: 3, Lfs: 4, Lgs: 5 };
	for (const [mnemonic, segment] of Object.entries(far)) {
		table.define(new RegExp(`^${mnemonic}_r`), (o) => o.helper("loadFarPointer", o.size(0) | (segment << 8)), ends);
	}
	helper(/^Mov_cr_r(32|64)$/, "moveToControl", ends);
	helper(/^Mov_r(32|64)_cr$/, "moveFromControl");
	helper(/^Mov_dr_r(32|64)$/, "moveToDebug", ends);
	helper(/^Mov_r(32|64)_dr$/, "moveFromDebug");
	helper(/^Clts$/, "clts", ends);
	table.define(/^Lmsw_/, (o) => o.helper("lmsw"), ends);
	table.define(/^Smsw_/, (o) => o.helper("smsw", o.size(0)));
	for (const name of ["sgdt", "sidt", "lgdt", "lidt"]) {
		helper(new RegExp(`^${name[0]!.toUpperCase()}${name.slice(1)}_m16`), name, ends);
	}
	for (const name of ["sldt", "str", "lldt", "ltr", "verr", "verw"]) {
		table.define(new RegExp(`^${name[0]!.toUpperCase()}${name.slice(1)}_`), (o) => o.helper(name, o.size(0)), ends);
	}
	table.define(/^Lar_/, (o) => o.helper("lar", o.size(0)));
	table.define(/^Lsl_/, (o) => o.helper("lsl", o.size(0)));
	table.define(/^Arpl_/, (o) => o.helper("arpl", 2));
	helper(/^Invlpg_m$/, "invlpg", ends);
	helper(/^Invpcid_r/, "invpcid", ends);
	helper(/^Xgetbv$/, "xgetbv");
	helper(/^Xsetbv$/, "xsetbv", ends);
	table.define(/^Pause$/, (o) => o.f.if(o.state32(State.pauseTrap), () => o.helper("pause")));
	helper(/^Invd$/, "invd");
	helper(/^Wbinvd$/, "wbinvd");
	helper(/^Clflush_m8$/, "clflush");
	helper(/^Swapgs$/, "swapgs", ends);
	for (const name of ["Rdfsbase", "Rdgsbase", "Wrfsbase", "Wrgsbase"])
		helper(new RegExp(`^${name}_`), name.toLowerCase(), ends);
	table.define(/^In_(AL|AX|EAX)_imm8$/, (o) => o.helper("in", o.size(0)));
	table.define(/^In_(AL|AX|EAX)_DX$/, (o) => o.helper("inDx", o.size(0)));
	table.define(/^Out_imm8_(AL|AX|EAX)$/, (o) => o.helper("out", o.size(1)), ends);
	table.define(/^Out_DX_(AL|AX|EAX)$/, (o) => o.helper("outDx", o.size(1)), ends);
	table.define(/^Ins[bwd]_m(8|16|32)_DX$/, (o) => o.helper("ins", o.size(0)), ends);
	table.define(/^Outs[bwd]_DX_m(8|16|32)$/, (o) => o.helper("outs", o.size(1)), ends);
	helper(/^Sysenter$/, "sysenter", ends);
	table.define(/^Sysexit[dq]$/, (o, name) => o.helper("sysexit", sizeOfSuffix(name, "Sysexit")), ends);
	helper(/^Syscall$/, "syscall", ends);
	table.define(/^Sysret[dq]$/, (o, name) => o.helper("sysret", sizeOfSuffix(name, "Sysret")), ends);
	table.define(/^Bound_r(16|32)_/, (o) => o.helper("bound", o.size(0)));
	helper(/^Monitor[wdq]$/, "monitor");
	helper(/^Mwait$/, "mwait");
	table.define(/^Ud[012]$|^Ud[01]_/, (o) => o.helper("undefined"), ends);

	table.define(/^(Nop[wdq]|Nop_rm|Reservednop_|Prefetch(nta|t0|t1|t2|w|wt1)?_m8|Lfence|Mfence|Sfence|Endbr)/, () => {});
}
