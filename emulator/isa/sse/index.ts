// The rows of SSE, SSE2, SSE3 and SSSE3 on XMM registers.

import type { InstructionTable } from "../row.ts";
import { defineMoves } from "./moves.ts";
import { definePacked } from "./packed.ts";

export function defineSse(table: InstructionTable): void {
	defineMoves(table);
	definePacked(table);
}
