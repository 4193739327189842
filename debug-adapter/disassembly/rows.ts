import type { CodeReader } from "./code-reader.ts";
import { formatInstruction } from "./decoder.ts";
import { rowBefore, type StartBefore } from "./row-before.ts";

/** One line of a disassembly. */
export interface Row {
	/** May lie outside of the address space (negative, or past its end) in a row that only fills up a block. */
	readonly address: bigint;
	readonly bytes: Uint8Array;
	readonly text: string;
	/** False for a filler row: no memory there, or none that can be read. */
	readonly readable: boolean;
}

/**
 * Exactly `count` rows; the first is the one `offset` rows away from the row at `address`. Rows follow each other
 * without gap or repeat, and so do the rows of two requests of which the one starts where the other ended.
 */
export function disassembleRows(
	code: CodeReader,
	address: bigint,
	offset: number,
	count: number,
	startBefore: StartBefore,
): Row[] {
	const starts: bigint[] = [];
	let at = address;
	for (let index = 0; index > offset; index--) {
		at = rowBefore(code, at, startBefore);
		starts.unshift(at);
	}
	// `starts` holds the rows before the address; go on from the address itself.
	const rows: Row[] = [];
	for (let index = 0; index < starts.length && rows.length < count; index++)
		rows.push(rowAt(code, starts[index]!, starts[index + 1] ?? address));
	at = address;
	for (let index = 0; rows.length < count; index++) {
		const row = rowAt(code, at, undefined);
		if (index >= offset) rows.push(row);
		at += BigInt(Math.max(1, row.bytes.length));
	}
	return rows;
}

/** The row at the address; `end` cuts it where the next row is known to start. */
function rowAt(code: CodeReader, address: bigint, end: bigint | undefined): Row {
	const first = code.bytes(address, 1);
	if (first.length === 0) return { address, bytes: first, text: "??", readable: false };
	const instruction = code.instruction(address);
	if (!instruction.valid || (end !== undefined && address + BigInt(instruction.length) !== end))
		return { address, bytes: first, text: `db 0x${first[0]!.toString(16).padStart(2, "0")}`, readable: true };
	const bytes = code.bytes(address, instruction.length);
	return { address, bytes, text: formatInstruction(bytes, address - code.segmentBase, code.codeSize), readable: true };
}
