// The rows of SSE, SSE2, SSE3 and SSSE3 on XMM registers.

import type { InstructionTable } from "../row.ts";
import { defineArithmetic } from "./arithmetic.ts";
import { defineConversions } from "./conversions.ts";
import { defineMoves } from "./moves.ts";
import { definePacked } from "./packed.ts";

export function defineSse(table: InstructionTable): void {
	defineMoves(table);
	definePacked(table);
	defineArithmetic(table);
	defineConversions(table);
}
