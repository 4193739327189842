// Reference: DWARF 5 section 7.5.1 "Unit Headers", section 6.1.2 "Lookup by Address".
import { SymbolError } from "../errors.ts";
import { LeastRecentlyUsed } from "../least-recently-used.ts";
import { type AbbreviationTable, readAbbreviations } from "./abbreviations.ts";
import { DW_AT } from "./constants.ts";
import type { Die } from "./die.ts";
import { FunctionIndex } from "./function-index.ts";
import { type LineProgramHeader, readLineProgramHeader } from "./line-program-header.ts";
import { type LineTable, runLineProgram } from "./line-table.ts";
import { NameIndex } from "./name-index.ts";
import { RangeIndex } from "./range-index.ts";
import { rangesOf } from "./ranges.ts";
import { DwarfSections, type SectionSource } from "./sections.ts";
import { SourceIndex } from "./source-index.ts";
import { TypeReader } from "./type-reader.ts";
import { type InfoSection, Unit } from "./unit.ts";

/** How many abbreviation tables, line tables and function lists are held; a kernel has thousands of each. */
const heldTables = 256;

/**
 * The DWARF of one file. Opening costs nothing; each index is made when first asked for: unit headers, address ranges
 * of units, one unit's functions or lines, all names. All addresses are as linked.
 */
export class DwarfFile {
	readonly sections: DwarfSections;
	/** Whether an address (as linked) holds code: what the linker discarded keeps addresses that do not. */
	readonly isCode: (address: bigint) => boolean;
	readonly types: TypeReader;
	readonly names: NameIndex;
	readonly sources: SourceIndex;
	#units: Unit[] | undefined;
	#unitStarts: { info: number[]; types: number[] } = { info: [], types: [] };
	#signatures: Map<bigint, Unit> | undefined;
	#unitRanges: RangeIndex | undefined;
	readonly #abbreviations = new LeastRecentlyUsed<string, AbbreviationTable>(heldTables);
	#lastUnit: Unit | undefined;
	#lastAbbreviations: AbbreviationTable | undefined;
	readonly #lineTables = new LeastRecentlyUsed<number, LineTable>(heldTables);
	readonly #functions = new LeastRecentlyUsed<number, FunctionIndex>(heldTables);

	constructor(fileName: string, source: SectionSource, isCode: (address: bigint) => boolean) {
		this.sections = new DwarfSections(fileName, source);
		this.isCode = isCode;
		this.types = new TypeReader(this);
		this.names = new NameIndex(this);
		this.sources = new SourceIndex(this);
	}

	/** Every unit, in file order, those of .debug_types last. */
	get units(): readonly Unit[] {
		if (this.#units) return this.#units;
		const units: Unit[] = [];
		for (const section of [".debug_info", ".debug_types"] as const) {
			const reader = this.sections.reader(section);
			const starts = section === ".debug_info" ? this.#unitStarts.info : this.#unitStarts.types;
			starts.length = 0;
			let at = 0;
			while (at < reader.end) {
				reader.offset = at;
				const unit = new Unit(this, units.length, section, reader);
				units.push(unit);
				starts.push(at);
				at = unit.end;
			}
		}
		this.#units = units;
		return units;
	}

	abbreviations(unit: Unit): AbbreviationTable {
		// Entries are mostly read unit by unit.
		if (this.#lastUnit === unit) return this.#lastAbbreviations!;
		const key = `${unit.abbreviationOffset} ${unit.version} ${unit.addressSize} ${unit.offsetSize}`;
		const table = this.#abbreviations.get(key, () =>
			readAbbreviations(this.sections.reader(".debug_abbrev"), unit.abbreviationOffset, unit),
		);
		this.#lastUnit = unit;
		this.#lastAbbreviations = table;
		return table;
	}

	/** The entry at a section offset. Throws `SymbolError` when no unit holds it. */
	dieAt(section: InfoSection, offset: number): Die {
		const units = this.units;
		const starts = section === ".debug_info" ? this.#unitStarts.info : this.#unitStarts.types;
		let low = 0;
		let high = starts.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (starts[middle]! <= offset) low = middle + 1;
			else high = middle;
		}
		const unit =
			low > 0 ? units[section === ".debug_info" ? low - 1 : this.#unitStarts.info.length + low - 1] : undefined;
		if (!unit) {
			throw new SymbolError("malformed", `${this.sections.fileName} has no entry at offset 0x${offset.toString(16)}.`);
		}
		return unit.dieAt(offset);
	}

	/** The type that a type unit of that signature defines. */
	typeBySignature(signature: bigint): Die | undefined {
		if (!this.#signatures) {
			this.#signatures = new Map();
			for (const unit of this.units) {
				if (unit.typeSignature !== undefined) this.#signatures.set(unit.typeSignature, unit);
			}
		}
		const unit = this.#signatures.get(signature);
		return unit?.dieAt(unit.typeDie);
	}

	/** The units whose code ranges hold the address, narrowest range first. */
	unitsAt(address: bigint): Unit[] {
		this.#unitRanges ??= this.#readUnitRanges();
		return this.#unitRanges.owners(address).map((index) => this.units[index]!);
	}

	/** The functions of a unit that have code. */
	functions(unit: Unit): FunctionIndex {
		return this.#functions.get(unit.index, () => new FunctionIndex(unit));
	}

	/** The header of a unit's line program; undefined if it has none. */
	lineHeader(unit: Unit): LineProgramHeader | undefined {
		const offset = unit.root.number(DW_AT.stmt_list);
		if (offset === undefined) return undefined;
		return readLineProgramHeader(this.sections, offset, unit.addressSize, unit.compilationDirectory, unit.name);
	}

	/** A unit's line table; undefined if it has none. */
	lineTable(unit: Unit): LineTable | undefined {
		const offset = unit.root.number(DW_AT.stmt_list);
		if (offset === undefined) return undefined;
		return this.#lineTables.get(offset, () => runLineProgram(this.sections, this.lineHeader(unit)!, this.isCode));
	}

	/** From .debug_aranges; for units that it does not list, from the unit's own entry. */
	#readUnitRanges(): RangeIndex {
		const ranges: { start: bigint; end: bigint; owner: number }[] = [];
		const listed = new Set<number>();
		const byOffset = new Map<number, number>();
		for (const unit of this.units) if (unit.section === ".debug_info") byOffset.set(unit.offset, unit.index);
		const reader = this.sections.reader(".debug_aranges");
		let at = 0;
		while (at < reader.end) {
			reader.offset = at;
			let length = reader.u32();
			const offsetSize = length === 0xffffffff ? 8 : 4;
			if (offsetSize === 8) length = reader.u64Number();
			reader.need(length);
			const end = reader.offset + length;
			reader.u16();
			const owner = byOffset.get(reader.sectionOffset(offsetSize));
			const addressSize = reader.u8();
			if (reader.u8() !== 0 || (addressSize !== 4 && addressSize !== 8)) {
				throw new SymbolError(
					"unsupported",
					`${reader.what} has segmented or odd-sized addresses, which are not read.`,
				);
			}
			// Tuples are aligned to twice the address size from the start of the set.
			reader.offset = at + Math.ceil((reader.offset - at) / (2 * addressSize)) * 2 * addressSize;
			while (reader.offset + 2 * addressSize <= end) {
				const start = reader.unsigned(addressSize);
				const size = reader.unsigned(addressSize);
				if (start === 0n && size === 0n) break;
				if (owner !== undefined && size > 0n && this.isCode(start)) {
					ranges.push({ start, end: BigInt.asUintN(64, start + size), owner });
					listed.add(owner);
				}
			}
			at = end;
		}
		for (const unit of this.units) {
			if (listed.has(unit.index) || unit.isTypeUnit) continue;
			for (const range of rangesOf(unit.root)) {
				if (this.isCode(range.start)) ranges.push({ start: range.start, end: range.end, owner: unit.index });
			}
		}
		return new RangeIndex(ranges);
	}
}
