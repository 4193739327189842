// The table of instructions: one row for each form that iced-x86 names (`Code`), with its operands read off the name.

import { Code } from "iced-x86";
import type { OperandForm, Operation } from "./operation.ts";

export interface Row {
	readonly code: Code;
	/** The name of the Code: "Add_rm32_imm8". */
	readonly name: string;
	readonly operands: readonly OperandForm[];
	/** The meaning. */
	readonly emit: (o: Operation) => void;
	readonly options: RowOptions;
}

export interface RowOptions {
	/** The instruction is the last of its block: it transfers control or changes what later instructions of the block depend on. */
	readonly endsBlock?: boolean;
	/** Trap checks before the instruction: #NM or #UD by CR0 and CR4 (SDM Vol. 3A §2.5). */
	readonly unit?: "x87" | "sse";
	/** Rare: kept out of the interpreter's main function. */
	readonly cold?: boolean;
	/** Bytes of the memory operand, for names that do not tell. */
	readonly memorySize?: number;
}

const FIXED: Readonly<Record<string, readonly [index: number, size: number]>> = {
	AL: [0, 1],
	AX: [0, 2],
	EAX: [0, 4],
	RAX: [0, 8],
	CL: [1, 1],
	DX: [2, 2],
};

function parseOperand(token: string): OperandForm | undefined {
	const fixed = FIXED[token];
	if (fixed) return { kind: "fixed", size: fixed[1], fixed: fixed[0] };
	if (token === "1") return { kind: "one", size: 1 };
	if (token === "Sreg") return { kind: "sreg", size: 2 };
	if (token === "cr" || token === "dr") return { kind: token, size: 8 };
	if (token === "xmm") return { kind: "xmm", size: 16 };
	if (token === "mm") return { kind: "mm", size: 8 };
	if (token === "sti" || token === "st0") return { kind: "st", size: 10 };
	if (token === "m" || token === "mem") return { kind: "mem", size: 0 };
	let match = /^(r|rm|imm|moffs|rel|ptr)(\d+)$/.exec(token);
	if (match) {
		const bits = Number(match[2]);
		const size = bits / 8;
		switch (match[1]) {
			case "r":
				return { kind: "gpr", size };
			case "rm":
				return { kind: "rm", size };
			case "imm":
				return { kind: "imm", size };
			case "moffs":
				return { kind: "moffs", size };
			case "rel":
				return { kind: "relative", size };
			default:
				return { kind: "pointer", size: bits === 1616 ? 2 : 4 };
		}
	}
	match = /^r(32|64)m(8|16|32)$/.exec(token);
	if (match) return { kind: "rm", size: Number(match[1]) / 8 };
	match = /^(xmm|mm)m(\d+)$/.exec(token);
	if (match) return { kind: match[1] === "xmm" ? "xmmm" : "mmm", size: Number(match[2]) / 8 };
	match = /^m(\d+)(fp|int|bcd|byte)?$/.exec(token);
	if (match) return { kind: "mem", size: match[2] === "byte" ? Number(match[1]) : Number(match[1]) / 8 };
	return undefined;
}

/** Operands by the tokens of the name; tokens that only tell encodings apart ("_82", "_F6r1", "_16") are passed over. */
export function parseOperands(name: string): OperandForm[] {
	const found: OperandForm[] = [];
	const tokens = name.split("_").slice(1);
	const isBranch = tokens[0]?.startsWith("rel") ?? false;
	for (const token of tokens) {
		if (isBranch && found.length > 0) break;
		const operand = parseOperand(token);
		if (operand) found.push(operand);
	}
	return found;
}

const names = new Map<Code, string>();
for (const [name, code] of Object.entries(Code)) if (typeof code === "number") names.set(code, name);

/** The name of a Code. */
export function nameOfCode(code: Code): string {
	return names.get(code) ?? `code ${code}`;
}

/** Every Code whose name matches. */
export function codesMatching(pattern: RegExp): { code: Code; name: string }[] {
	const found: { code: Code; name: string }[] = [];
	for (const [code, name] of names) if (pattern.test(name)) found.push({ code, name });
	return found;
}

export class InstructionTable {
	readonly rows: Row[] = [];
	private readonly byCode = new Map<Code, Row>();

	/** Adds one row for every Code whose name matches; a Code that has a row already, or a pattern that matches none, is an error. */
	define(pattern: RegExp, emit: (o: Operation, name: string) => void, options: RowOptions = {}): void {
		const codes = codesMatching(pattern);
		if (codes.length === 0) throw new Error(`No Code matches ${pattern}`);
		for (const { code, name } of codes) {
			if (this.byCode.has(code)) throw new Error(`${name} has a row already (${pattern})`);
			const row: Row = { code, name, operands: parseOperands(name), emit: (o) => emit(o, name), options };
			this.rows.push(row);
			this.byCode.set(code, row);
		}
	}

	get(code: Code): Row | undefined {
		return this.byCode.get(code);
	}
}
