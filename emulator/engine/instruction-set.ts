// The whole instruction set and the interpreter generated from it, made once for a process.

import { defineInteger } from "../isa/integer/index.ts";
import { defineMmx } from "../isa/mmx/index.ts";
import { InstructionTable } from "../isa/row.ts";
import { defineSse } from "../isa/sse/index.ts";
import { defineX87 } from "../isa/x87/index.ts";
import type { DecodeTables } from "./decoder.ts";
import { generateInterpreter, type InstructionForm } from "./interpreter.ts";

export interface InstructionSet {
	readonly table: InstructionTable;
	readonly module: WebAssembly.Module;
	readonly decodeTables: DecodeTables;
	readonly helperNames: readonly string[];
	readonly forms: readonly InstructionForm[];
}

let made: InstructionSet | undefined;

export function instructionSet(): InstructionSet {
	if (made) return made;
	const table = new InstructionTable();
	defineInteger(table);
	defineX87(table);
	defineMmx(table);
	defineSse(table);
	const generated = generateInterpreter(table);
	const endsBlock = new Uint8Array(0x2000);
	for (const row of table.rows) if (row.options.endsBlock) endsBlock[row.code] = 1;
	made = {
		table,
		module: new WebAssembly.Module(generated.bytes),
		decodeTables: { handlers: generated.handlers, endsBlock },
		helperNames: generated.helperNames,
		forms: generated.forms,
	};
	return made;
}
