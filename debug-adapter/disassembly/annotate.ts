import type { DebugProtocol } from "@vscode/debugprotocol";
import type { CodeReader } from "./code-reader.ts";
import type { Row } from "./rows.ts";

/** What a listing asks of the symbols. */
export interface CodeNames {
	/** "main+0x12"; undefined where no symbol is near. */
	symbolize(address: bigint): string | undefined;
	/** The source line of an instruction. */
	locate(address: bigint): { readonly path: string; readonly line: number } | undefined;
	/** The greatest known instruction start below the address. */
	startBefore(address: bigint): bigint | undefined;
	/** A path as the client is told of it. */
	source(path: string): DebugProtocol.Source;
}

export interface Annotation {
	/** With the name of the branch target behind it: "call 0x100040 <main>". */
	readonly text: string;
	/** Set where the row begins a symbol. */
	readonly symbol?: string;
	readonly location?: { readonly path: string; readonly line: number };
}

export function annotateRow(row: Row, code: CodeReader, names: CodeNames): Annotation {
	const target = row.readable ? code.target(row.address) : undefined;
	const targetName = target === undefined ? undefined : names.symbolize(target);
	const symbol = names.symbolize(row.address);
	const location = names.locate(row.address);
	return {
		text: targetName === undefined ? row.text : `${row.text} <${targetName}>`,
		...(symbol !== undefined && !symbol.includes("+") ? { symbol } : {}),
		...(location ? { location } : {}),
	};
}
