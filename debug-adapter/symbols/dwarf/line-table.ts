// Reference: DWARF 5 section 6.2.2 "State Machine Registers", section 6.2.5 "The Line Number Program".
import type { LineProgramHeader } from "./line-program-header.ts";
import type { DwarfSections } from "./sections.ts";

const DW_LNS = {
	copy: 1,
	advance_pc: 2,
	advance_line: 3,
	set_file: 4,
	set_column: 5,
	negate_stmt: 6,
	set_basic_block: 7,
	const_add_pc: 8,
	fixed_advance_pc: 9,
	set_prologue_end: 10,
	set_epilogue_begin: 11,
	set_isa: 12,
} as const;

const DW_LNE = { end_sequence: 1, set_address: 2 } as const;

const isStatementBit = 1;
const prologueEndBit = 2;

/** Where a stretch of code comes from. Lines and columns count from 1; column 0 means the whole line. */
export interface LineRow {
	/** First address of the stretch and the first one after it, as linked. */
	readonly start: bigint;
	readonly end: bigint;
	readonly file: string;
	readonly line: number;
	readonly column: number;
	readonly isStatement: boolean;
	readonly prologueEnd: boolean;
}

/** A run of rows of rising addresses: rows `first` to `last`, the last only ends it. */
interface Sequence {
	readonly start: bigint;
	readonly end: bigint;
	readonly first: number;
	readonly last: number;
}

/** The rows of one line program, as columns. Addresses are kept as distances from the start of their sequence. */
export class LineTable {
	readonly files: readonly string[];
	readonly #sequences: readonly Sequence[];
	readonly #distance: Uint32Array;
	readonly #file: Uint32Array;
	readonly #line: Uint32Array;
	readonly #column: Uint16Array;
	readonly #flags: Uint8Array;

	constructor(files: readonly string[], sequences: Sequence[], rows: readonly number[]) {
		this.files = files;
		this.#sequences = sequences.sort((a, b) => (a.start < b.start ? -1 : a.start > b.start ? 1 : 0));
		const count = rows.length / 5;
		this.#distance = new Uint32Array(count);
		this.#file = new Uint32Array(count);
		this.#line = new Uint32Array(count);
		this.#column = new Uint16Array(count);
		this.#flags = new Uint8Array(count);
		for (let i = 0; i < count; i++) {
			this.#distance[i] = rows[i * 5]!;
			this.#file[i] = rows[i * 5 + 1]!;
			this.#line[i] = rows[i * 5 + 2]!;
			this.#column[i] = Math.min(rows[i * 5 + 3]!, 0xffff);
			this.#flags[i] = rows[i * 5 + 4]!;
		}
	}

	/** The row that holds the address; among rows of one address the last that begins a statement, else the last. */
	at(address: bigint): LineRow | undefined {
		const sequence = this.#sequenceAt(address);
		if (!sequence) return undefined;
		const distance = Number(address - sequence.start);
		let low = sequence.first;
		let high = sequence.last;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#distance[middle]! <= distance) low = middle + 1;
			else high = middle;
		}
		let row = low - 1;
		if (row < sequence.first) return undefined;
		for (let i = row; i >= sequence.first && this.#distance[i] === this.#distance[row]; i--) {
			if (this.#flags[i]! & isStatementBit) {
				row = i;
				break;
			}
		}
		return this.#row(sequence, row);
	}

	/** All rows that begin in the range, in address order. */
	*rowsIn(start: bigint, end: bigint): Generator<LineRow> {
		for (const sequence of this.#sequences) {
			if (sequence.end <= start) continue;
			if (sequence.start >= end) return;
			for (let i = sequence.first; i < sequence.last; i++) {
				const address = sequence.start + BigInt(this.#distance[i]!);
				if (address >= end) break;
				if (address >= start) yield this.#row(sequence, i);
			}
		}
	}

	/** All rows of the given files, in address order. `files` holds file numbers. */
	*rowsOfFiles(files: ReadonlySet<number>): Generator<LineRow> {
		for (const sequence of this.#sequences) {
			for (let i = sequence.first; i < sequence.last; i++) {
				if (files.has(this.#file[i]!)) yield this.#row(sequence, i);
			}
		}
	}

	/** Adds to `into` the lines of the files that begin a statement. */
	collectLines(files: ReadonlySet<number>, into: Set<number>): void {
		for (const sequence of this.#sequences) {
			for (let i = sequence.first; i < sequence.last; i++) {
				if (this.#flags[i]! & isStatementBit && this.#line[i] !== 0 && files.has(this.#file[i]!))
					into.add(this.#line[i]!);
			}
		}
	}

	#sequenceAt(address: bigint): Sequence | undefined {
		let low = 0;
		let high = this.#sequences.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (this.#sequences[middle]!.start <= address) low = middle + 1;
			else high = middle;
		}
		const sequence = this.#sequences[low - 1];
		return sequence && address < sequence.end ? sequence : undefined;
	}

	#row(sequence: Sequence, row: number): LineRow {
		let next = row + 1;
		while (next < sequence.last && this.#distance[next] === this.#distance[row]) next++;
		return {
			start: sequence.start + BigInt(this.#distance[row]!),
			end: sequence.start + BigInt(this.#distance[next]!),
			file: this.files[this.#file[row]!] ?? "",
			line: this.#line[row]!,
			column: this.#column[row]!,
			isStatement: (this.#flags[row]! & isStatementBit) !== 0,
			prologueEnd: (this.#flags[row]! & prologueEndBit) !== 0,
		};
	}
}

/**
 * Runs a line program. Sequences that lie outside of code (what the linker discarded) or whose addresses fall are left
 * out. Throws `SymbolError` when the program is truncated. Ends on any input: every step reads at least one byte.
 */
export function runLineProgram(
	sections: DwarfSections,
	header: LineProgramHeader,
	isCode: (address: bigint) => boolean,
): LineTable {
	const reader = sections.reader(".debug_line");
	reader.offset = header.programStart;
	const { minimumInstructionLength, maximumOperations, lineBase, lineRange, opcodeBase } = header;
	const defaultFlags = header.defaultIsStatement ? isStatementBit : 0;
	const sequences: Sequence[] = [];
	const rows: number[] = [];

	let base = 0n;
	let hasBase = false;
	let isOrdered = true;
	let first = 0;
	let distance = 0;
	let operation = 0;
	let file = 1;
	let line = 1;
	let column = 0;
	let flags = defaultFlags;

	const advance = (operations: number) => {
		if (maximumOperations === 1) distance += minimumInstructionLength * operations;
		else {
			const total = operation + operations;
			distance += minimumInstructionLength * Math.floor(total / maximumOperations);
			operation = total % maximumOperations;
		}
	};
	const emit = () => {
		const previous = rows.length > first * 5 ? rows[rows.length - 5]! : 0;
		if (distance < previous || distance > 0xffffffff) isOrdered = false;
		rows.push(distance, file, line >>> 0, column, flags);
		flags &= ~prologueEndBit;
	};

	while (reader.offset < header.programEnd) {
		const opcode = reader.u8();
		if (opcode >= opcodeBase) {
			const adjusted = opcode - opcodeBase;
			advance(Math.floor(adjusted / lineRange));
			line += lineBase + (adjusted % lineRange);
			emit();
			continue;
		}
		switch (opcode) {
			case 0: {
				const length = reader.uleb();
				reader.need(length);
				const next = reader.offset + length;
				const extended = length > 0 ? reader.u8() : 0;
				if (extended === DW_LNE.set_address) {
					const address = reader.unsigned(length - 1);
					if (!hasBase || rows.length === first * 5) {
						base = address;
						hasBase = true;
						distance = 0;
					} else distance = Number(address - base);
					operation = 0;
				} else if (extended === DW_LNE.end_sequence) {
					emit();
					const last = rows.length / 5 - 1;
					const start = base + BigInt(Math.trunc(rows[first * 5]!));
					if (isOrdered && last > first && distance > rows[first * 5]! && isCode(start)) {
						// Distances count from the first row, also if the program moved on before it.
						const shift = rows[first * 5]!;
						if (shift !== 0) for (let i = first; i <= last; i++) rows[i * 5] = rows[i * 5]! - shift;
						sequences.push({ start, end: start + BigInt(distance - shift), first, last });
					} else rows.length = first * 5;
					first = rows.length / 5;
					base = 0n;
					hasBase = false;
					isOrdered = true;
					distance = 0;
					operation = 0;
					file = 1;
					line = 1;
					column = 0;
					flags = defaultFlags;
				}
				reader.offset = next;
				break;
			}
			case DW_LNS.copy:
				emit();
				break;
			case DW_LNS.advance_pc:
				advance(reader.uleb());
				break;
			case DW_LNS.advance_line:
				line += reader.sleb();
				break;
			case DW_LNS.set_file:
				file = reader.uleb();
				break;
			case DW_LNS.set_column:
				column = reader.uleb();
				break;
			case DW_LNS.negate_stmt:
				flags ^= isStatementBit;
				break;
			case DW_LNS.set_basic_block:
			case DW_LNS.set_epilogue_begin:
				break;
			case DW_LNS.const_add_pc:
				advance(Math.floor((255 - opcodeBase) / lineRange));
				break;
			case DW_LNS.fixed_advance_pc:
				distance += reader.u16();
				operation = 0;
				break;
			case DW_LNS.set_prologue_end:
				flags |= prologueEndBit;
				break;
			case DW_LNS.set_isa:
				reader.skipLeb();
				break;
			default:
				for (let i = 0; i < header.operandCounts[opcode]!; i++) reader.skipLeb();
		}
	}
	return new LineTable(header.files, sequences, rows);
}
