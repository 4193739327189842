// How each guest instruction is translated: by opcode (SDM Vol. 2D, Appendix A). What is not named here is IDENT.

import { Segment } from "../../isa/state.ts";
import type { InstructionBytes } from "./instruction-bytes.ts";

export type InstructionClass =
	| "ident"
	| "jcc"
	/** LOOP, LOOPcc, JCXZ, JECXZ: no long form exists. */
	| "loop"
	| "jmp"
	| "call"
	| "ret"
	| "jmp-indirect"
	| "call-indirect"
	| "cli"
	| "sti"
	| "pushf"
	| "popf"
	/** PUSH of a selector that the host holds another value of. */
	| "push-selector"
	/** MOV of such a selector to a register. */
	| "move-selector"
	/** The VMM does it; the next instruction follows. */
	| "callout"
	/** The VMM does it; where the guest goes on is its matter. */
	| "callout-end"
	/** A memory operand that the host cannot address as the guest does: %gs and %cs overrides. */
	| "simulate"
	/** Raises an exception of its own; the unit ends. */
	| "trap";

const ONE_BYTE = new Map<number, InstructionClass>([
	[0x0e, "push-selector"],
	[0x16, "push-selector"],
	[0x17, "callout"],
	[0x6c, "callout"],
	[0x6d, "callout"],
	[0x6e, "callout"],
	[0x6f, "callout"],
	[0x9a, "callout-end"],
	[0x9c, "pushf"],
	[0x9d, "popf"],
	[0xc2, "ret"],
	[0xc3, "ret"],
	[0xca, "callout-end"],
	[0xcb, "callout-end"],
	[0xcc, "callout-end"],
	[0xcd, "callout-end"],
	[0xce, "callout-end"],
	[0xcf, "callout-end"],
	[0xe0, "loop"],
	[0xe1, "loop"],
	[0xe2, "loop"],
	[0xe3, "loop"],
	[0xe4, "callout"],
	[0xe5, "callout"],
	[0xe6, "callout"],
	[0xe7, "callout"],
	[0xe8, "call"],
	[0xe9, "jmp"],
	[0xea, "callout-end"],
	[0xeb, "jmp"],
	[0xec, "callout"],
	[0xed, "callout"],
	[0xee, "callout"],
	[0xef, "callout"],
	[0xf1, "callout-end"],
	[0xf4, "callout-end"],
	[0xfa, "cli"],
	[0xfb, "sti"],
	[0x0f00, "callout"],
	[0x0f01, "callout"],
	[0x0f02, "callout"],
	[0x0f03, "callout"],
	[0x0f05, "trap"],
	[0x0f06, "callout"],
	[0x0f07, "trap"],
	[0x0f08, "callout"],
	[0x0f09, "callout"],
	[0x0f0b, "trap"],
	[0x0f20, "callout"],
	[0x0f21, "callout"],
	[0x0f22, "callout-end"],
	[0x0f23, "callout"],
	[0x0f30, "callout"],
	[0x0f32, "callout"],
	[0x0f33, "callout"],
	[0x0f34, "callout-end"],
	[0x0f35, "callout-end"],
	[0x0fa2, "callout"],
	[0x0fa8, "push-selector"],
	[0x0fa9, "callout"],
	[0x0faa, "trap"],
	[0x0fb2, "callout"],
	[0x0fb5, "callout"],
	[0x0fb9, "trap"],
	[0x0fff, "trap"],
	[0x0f3882, "callout"],
]);

/** One-byte opcodes that address memory without ModRM: string instructions, XLAT, MOV with an absolute address. */
function addressesImplicitly(opcode: number): boolean {
	return (opcode >= 0xa0 && opcode <= 0xa7) || opcode === 0xac || opcode === 0xad || opcode === 0xd7;
}

/** Opcodes with a ModRM operand in memory that they never access: LEA, hint NOPs. */
function addressOnly(opcode: number): boolean {
	return opcode === 0x8d || (opcode >= 0x0f18 && opcode <= 0x0f1f);
}

export function classify(instruction: InstructionBytes): InstructionClass {
	const { opcode, reg, mod, segmentPrefix } = instruction;
	if ((opcode >= 0x70 && opcode <= 0x7f) || (opcode >= 0x0f80 && opcode <= 0x0f8f)) return "jcc";
	const named = ONE_BYTE.get(opcode);
	if (named === "pushf" || named === "popf" || named === "push-selector")
		return instruction.operandSize16 ? "callout" : named;
	if (named !== undefined) return named;
	if (opcode === 0x8e && (reg === Segment.ss || reg === Segment.gs)) return "callout";
	if (opcode === 0x8c && (reg === Segment.cs || reg === Segment.ss || reg === Segment.gs))
		return mod === 3 ? "move-selector" : "callout";
	if (opcode === 0xff) {
		if (reg === 2) return override(segmentPrefix) && mod !== 3 ? "callout-end" : "call-indirect";
		if (reg === 4) return override(segmentPrefix) && mod !== 3 ? "callout-end" : "jmp-indirect";
		if (reg === 3 || reg === 5) return "callout-end";
	}
	if (override(segmentPrefix) && !addressOnly(opcode) && (instruction.inMemory || addressesImplicitly(opcode)))
		return "simulate";
	return "ident";
}

function override(segment: number | undefined): boolean {
	return segment === Segment.gs || segment === Segment.cs;
}
