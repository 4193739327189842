// Reference: DWARF 5 section 3.3 "Subroutine and Entry Point Entries".
import { DW_AT, DW_FORM, DW_TAG } from "./constants.ts";
import type { Die } from "./die.ts";
import type { LineRow } from "./line-table.ts";
import { type AddressRange, rangesHold, rangesOf } from "./ranges.ts";

/** How deep blocks and inlined calls may nest; compilers stay far below. */
const scopeLimit = 128;

/** A place in a source text. `column` 0 means that only the line is known. */
export interface SourcePosition {
	readonly file: string;
	readonly line: number;
	readonly column: number;
}

/**
 * One function as the program had it, at an address: the function whose code it is, or one inlined into it. `blocks`
 * are the entries whose variables are in scope, from the function's own to the innermost block.
 */
export interface FunctionScope {
	readonly die: Die;
	readonly name: string;
	readonly isInlined: boolean;
	readonly blocks: readonly Die[];
	/** Where this scope was called from, if inlined: a position in the next outer scope. */
	readonly call: SourcePosition | undefined;
}

/** A function that has code. Addresses are as linked. */
export class DwarfFunction {
	readonly die: Die;
	readonly ranges: readonly AddressRange[];
	/** Where a call of it arrives. */
	readonly entry: bigint;

	private constructor(die: Die, ranges: readonly AddressRange[], entry: bigint) {
		this.die = die;
		this.ranges = ranges;
		this.entry = entry;
	}

	/** The function of a DW_TAG_subprogram entry; undefined for a declaration, an abstract one, or discarded code. */
	static from(die: Die): DwarfFunction | undefined {
		const { isCode } = die.unit.file;
		const ranges = rangesOf(die).filter((range) => isCode(range.start));
		if (ranges.length === 0) return undefined;
		const entry = die.address(DW_AT.entry_pc);
		return new DwarfFunction(die, ranges, entry !== undefined && rangesHold(ranges, entry) ? entry : ranges[0]!.start);
	}

	get name(): string {
		return this.die.name ?? "";
	}

	/** Where the function is declared, if the compiler says. */
	get declaration(): SourcePosition | undefined {
		return declarationOf(this.die);
	}

	/** Whether one of its outermost variables moves about, as in optimized code. */
	get hasLocationLists(): boolean {
		for (const child of this.die.children()) {
			if (child.tag !== DW_TAG.formal_parameter && child.tag !== DW_TAG.variable) continue;
			const location = child.attribute(DW_AT.location);
			if (location && !(location.value instanceof Uint8Array)) return true;
		}
		return false;
	}

	/**
	 * Where a breakpoint on the function belongs: after its prologue, where parameters and locals can be read. The line
	 * table's mark decides; else optimized code is ready at the entry, and in other code the prologue ends where the
	 * second row of the line table begins.
	 */
	get prologueEnd(): bigint {
		const range = this.ranges.find(({ start, end }) => this.entry >= start && this.entry < end)!;
		const table = this.die.unit.file.lineTable(this.die.unit);
		if (!table) return this.entry;
		let second: LineRow | undefined;
		for (const row of table.rowsIn(this.entry, range.end)) {
			if (row.prologueEnd) return row.start;
			if (!second && row.start > this.entry && row.line !== 0) second = row;
		}
		// A unit with location lists is optimized, and its locations hold from the first instruction on.
		const isOptimized = this.die.unit.file.functions(this.die.unit).hasLocationLists;
		if (!second || isOptimized) return this.entry;
		return second.start;
	}

	/** The functions that are active at an address of this one: innermost inlined first, the function itself last. */
	scopesAt(address: bigint): FunctionScope[] {
		let blocks = [this.die];
		const scopes: FunctionScope[] = [{ die: this.die, name: this.name, isInlined: false, blocks, call: undefined }];
		let parent: Die | undefined = this.die;
		for (let depth = 0; parent && depth < scopeLimit; depth++) {
			let inner: Die | undefined;
			for (const child of parent.children()) {
				if (child.tag !== DW_TAG.lexical_block && child.tag !== DW_TAG.inlined_subroutine) continue;
				const ranges = rangesOf(child);
				// A block without addresses of its own covers nothing here but may hold one that does; compilers do not write it.
				if (rangesHold(ranges, address)) {
					inner = child;
					break;
				}
			}
			if (inner?.tag === DW_TAG.inlined_subroutine) {
				blocks = [inner];
				scopes.unshift({
					die: inner,
					name: inner.name ?? "",
					isInlined: true,
					blocks,
					call: callPosition(inner),
				});
			} else if (inner) blocks.push(inner);
			parent = inner;
		}
		return scopes;
	}

	/** Every copy of a function (by the offset of its abstract entry) that was inlined into this one. */
	*inlinedCopies(abstractOffsets: ReadonlySet<number>): Generator<Die> {
		const pending: { children: Generator<Die> }[] = [{ children: this.die.children() }];
		while (pending.length > 0) {
			const next = pending.at(-1)!.children.next();
			if (next.done) {
				pending.pop();
				continue;
			}
			const die: Die = next.value;
			if (die.tag === DW_TAG.inlined_subroutine) {
				const origin = die.reference(DW_AT.abstract_origin);
				if (origin !== undefined && abstractOffsets.has(origin)) yield die;
			} else if (die.tag !== DW_TAG.lexical_block) continue;
			if (pending.length < scopeLimit) pending.push({ children: die.children() });
		}
	}
}

/** Where an inlined copy begins: its entry address if given, else its lowest address. */
export function inlinedEntry(die: Die): bigint | undefined {
	const ranges = rangesOf(die);
	const entry = entryPc(die);
	if (entry !== undefined && (ranges.length === 0 || rangesHold(ranges, entry))) return entry;
	return ranges.reduce<bigint | undefined>(
		(lowest, range) => (lowest === undefined || range.start < lowest ? range.start : lowest),
		undefined,
	);
}

/** DW_AT_entry_pc: an address, or since DWARF 5 a distance from the entry's base address. */
function entryPc(die: Die): bigint | undefined {
	const found = die.attribute(DW_AT.entry_pc);
	if (!found) return undefined;
	if (found.form === DW_FORM.addr) return found.value as bigint;
	const distance = die.constant(DW_AT.entry_pc);
	if (!distance) return die.address(DW_AT.entry_pc);
	const base = die.address(DW_AT.low_pc) ?? rangesOf(die)[0]?.start;
	return base === undefined ? undefined : base + distance.value;
}

/** Where the entry, or an origin of it, was declared. */
export function declarationOf(die: Die): SourcePosition | undefined {
	const holder = die.withAttribute(DW_AT.decl_line);
	if (!holder) return undefined;
	const line = holder.number(DW_AT.decl_line) ?? 0;
	const fileHolder = die.withAttribute(DW_AT.decl_file);
	const file = fileHolder?.number(DW_AT.decl_file);
	if (!fileHolder || file === undefined) return undefined;
	return { file: fileHolder.unit.file.lineTable(fileHolder.unit)?.files[file] ?? "", line, column: 0 };
}

function callPosition(die: Die): SourcePosition {
	const file = die.number(DW_AT.call_file);
	const files = die.unit.file.lineTable(die.unit)?.files;
	return {
		file: (file !== undefined && files?.[file]) || "",
		line: die.number(DW_AT.call_line) ?? 0,
		column: die.number(DW_AT.call_column) ?? 0,
	};
}
