// The x87 floating-point instructions (SDM Vol. 1 Chapter 8). What is frequent and goes well with its exceptions masked is done in
// routines of generated code, bit for bit as the helpers do it; everything else is done by those: exact 80-bit arithmetic in TypeScript
// (cpu/floating-point), named "x87:...".

import type { InstructionTable } from "../row.ts";
import { defineArithmetic, defineCompare } from "./arithmetic-rows.ts";
import { defineControl, defineOther } from "./control-rows.ts";
import { defineLoads, defineMoves, defineStores } from "./transfer-rows.ts";

export function defineX87(table: InstructionTable): void {
	defineArithmetic(table);
	defineCompare(table);
	defineLoads(table);
	defineStores(table);
	defineMoves(table);
	defineOther(table);
	defineControl(table);
}
