import { AddressMap } from "./address-map.ts";
import { FrameTable } from "./cfi/frame-table.ts";
import { type RegisterModel, registerModel } from "./cfi/registers.ts";
import {
	type CallerFrame,
	type FrameRegisters,
	type ReadMemory,
	unwindByCallFrameInformation,
} from "./cfi/unwinder.ts";
import { DW_AT } from "./dwarf/constants.ts";
import type { Die } from "./dwarf/die.ts";
import { DwarfFile } from "./dwarf/dwarf-file.ts";
import {
	DwarfFunction,
	declarationOf,
	type FunctionScope,
	inlinedEntry,
	type SourcePosition,
} from "./dwarf/function.ts";
import type { LineRow } from "./dwarf/line-table.ts";
import type { TypeKind } from "./dwarf/name-index.ts";
import { enumeratorValue } from "./dwarf/type-reader.ts";
import type { Unit } from "./dwarf/unit.ts";
import { SHF_ALLOC } from "./elf/elf-constants.ts";
import { ElfFile, type Inflate } from "./elf/elf-file.ts";
import { type ElfSymbol, ElfSymbols } from "./elf/symbols.ts";
import type { CType } from "./types/c-type.ts";
import type { CValue } from "./values/value.ts";
import { bytesValue, integerBytes } from "./values/value.ts";
import { type FrameContext, type Variable, variablesOf, variableValue } from "./variables.ts";

export interface SymbolFileOptions {
	/** For messages, and to tell files apart: a path or file name. */
	readonly name: string;
	/** Added to every address as linked; 0 when the file is loaded where it was linked. */
	readonly bias?: bigint;
	/** Where sections are loaded that the bias does not describe, by section name. */
	readonly sectionBases?: ReadonlyMap<string, bigint>;
	/** zlib for compressed debug sections; without it they are refused. */
	readonly inflate?: Inflate;
}

/** A stretch of code and the source position it comes from. Addresses are as loaded. */
export interface SourceRange extends SourcePosition {
	readonly start: bigint;
	readonly end: bigint;
	readonly isStatement: boolean;
}

/** A function as the program had it, active at an address: out of line, or one inlined into it. */
export interface VirtualFrame {
	readonly name: string;
	/** Where the frame stands: for the innermost the address's own line, for the others the line of the inlined call. */
	readonly position: SourcePosition | undefined;
	readonly isInlined: boolean;
	/** Entry of the function whose code it is. */
	readonly functionStart: bigint;
	readonly file: SymbolFile;
	/** Undefined for code that has a symbol but no debug information. */
	readonly scope: { readonly function: DwarfFunction; readonly scope: FunctionScope } | undefined;
}

/** A place to put a breakpoint. */
export interface BreakpointLocation {
	readonly address: bigint;
	readonly functionName: string;
	/** The line where the breakpoint really is; it may lie after the one asked for. */
	readonly position: SourcePosition | undefined;
	readonly isInlined: boolean;
	readonly file: SymbolFile;
}

/** A symbol at its loaded address. */
export interface LoadedSymbol extends ElfSymbol {
	readonly file: SymbolFile;
}

/** One ELF file with its debug information. All addresses given and taken are as loaded. */
export class SymbolFile {
	readonly name: string;
	readonly elf: ElfFile;
	readonly addressSize: 4 | 8;
	readonly registers: RegisterModel;
	readonly dwarf: DwarfFile;
	readonly map: AddressMap;
	#symbols: ElfSymbols | undefined;
	#frames: FrameTable[] | undefined;

	private constructor(elf: ElfFile, options: SymbolFileOptions) {
		this.name = options.name;
		this.elf = elf;
		this.addressSize = elf.addressSize;
		this.registers = registerModel(elf.machine);
		this.map = new AddressMap(elf, options.bias ?? 0n, options.sectionBases);
		this.dwarf = new DwarfFile(
			options.name,
			(name) => elf.debugData(name),
			(address) => elf.isCode(address),
		);
	}

	/** Reads the headers; everything else is read when asked for. Throws `SymbolError` with one sentence. */
	static open(bytes: Uint8Array, options: SymbolFileOptions): SymbolFile {
		return new SymbolFile(new ElfFile(bytes, options.name, options.inflate), options);
	}

	/** Whether the file has DWARF entries. */
	get hasDebugInformation(): boolean {
		return this.elf.debugData(".debug_info").length > 0;
	}

	get symbols(): ElfSymbols {
		this.#symbols ??= new ElfSymbols(this.elf);
		return this.#symbols;
	}

	/** Where execution of the file begins. */
	get entry(): bigint {
		return this.map.toLoaded(this.elf.entry);
	}

	isCode(address: bigint): boolean {
		return this.elf.isCode(this.map.toLinked(address));
	}

	/** Whether the address lies in a section that is loaded. */
	contains(address: bigint): boolean {
		const linked = this.map.toLinked(address);
		return this.elf.sections.some(
			(section) =>
				(section.flags & SHF_ALLOC) !== 0 &&
				linked >= section.address &&
				linked < section.address + BigInt(section.size),
		);
	}

	/** The source line of an address. */
	lineAt(address: bigint): SourceRange | undefined {
		const linked = this.map.toLinked(address);
		for (const unit of this.dwarf.unitsAt(linked)) {
			const row = this.dwarf.lineTable(unit)?.at(linked);
			if (row && row.line !== 0) return this.#sourceRange(row);
		}
		return undefined;
	}

	/** The paths of all source files, sorted. */
	sourcePaths(): string[] {
		return this.dwarf.sources.paths();
	}

	/** The recorded paths that a path of the user's may mean: the same path, else those with the longest common tail. */
	matchSource(path: string): string[] {
		return this.dwarf.sources.match(path);
	}

	/** The lines of a recorded path that have code, in order. */
	linesWithCode(path: string): number[] {
		const lines = new Set<number>();
		for (const { table, files } of this.dwarf.sources.tables(path)) table.collectLines(files, lines);
		return [...lines].sort((a, b) => a - b);
	}

	/**
	 * Where a breakpoint on a line of a recorded path belongs: the first address of the line in each function and each
	 * inlined copy; after the prologue where the line is that of the function itself. A line without code stands for
	 * the next one that has some. Empty when no line from there on has code.
	 */
	locationsOfLine(path: string, line: number): BreakpointLocation[] {
		let best = Number.POSITIVE_INFINITY;
		let rows: { row: LineRow; unit: Unit }[] = [];
		for (const { table, files, unit } of this.dwarf.sources.tables(path)) {
			for (const row of table.rowsOfFiles(files)) {
				if (!row.isStatement || row.line < line || row.line > best || row.line === 0) continue;
				if (row.line < best) {
					best = row.line;
					rows = [];
				}
				rows.push({ row, unit });
			}
		}
		const firsts = new Map<string, { address: bigint; location: BreakpointLocation }>();
		for (const { row, unit } of rows) {
			const found = this.#functionIn(unit, row.start);
			const scope = found?.scopesAt(row.start)[0];
			const key = scope ? `${unit.index} ${scope.die.offset}` : `${row.start}`;
			const held = firsts.get(key);
			if (held && held.address <= row.start) continue;
			const isEntry = found !== undefined && scope?.isInlined === false && row.start === found.entry;
			firsts.set(key, {
				address: row.start,
				location: {
					address: this.map.toLoaded(isEntry ? found.prologueEnd : row.start),
					functionName: scope?.name ?? "",
					position: { file: row.file, line: row.line, column: row.column },
					isInlined: scope?.isInlined ?? false,
					file: this,
				},
			});
		}
		return uniqueByAddress([...firsts.values()].map((entry) => entry.location));
	}

	/** The function whose code holds the address. */
	functionAt(address: bigint): DwarfFunction | undefined {
		const linked = this.map.toLinked(address);
		for (const unit of this.dwarf.unitsAt(linked)) {
			const found = this.dwarf.functions(unit).at(linked);
			if (found) return found;
		}
		return undefined;
	}

	/**
	 * The functions that are active at an address, innermost inlined one first. For a caller's frame give the return
	 * address minus 1. Code without debug information gives one frame named by its symbol; empty for unknown code.
	 */
	framesAt(address: bigint): VirtualFrame[] {
		const found = this.functionAt(address);
		if (!found) {
			const symbol = this.symbolAt(address);
			const position = this.lineAt(address);
			if (!symbol) return [];
			return [
				{ name: symbol.name, position, isInlined: false, functionStart: symbol.address, file: this, scope: undefined },
			];
		}
		const functionStart = this.map.toLoaded(found.entry);
		let position: SourcePosition | undefined = this.lineAt(address);
		return found.scopesAt(this.map.toLinked(address)).map((scope) => {
			const frame: VirtualFrame = {
				name: scope.name,
				position,
				isInlined: scope.isInlined,
				functionStart,
				file: this,
				scope: { function: found, scope },
			};
			position = scope.call;
			return frame;
		});
	}

	/**
	 * Where a breakpoint on a function of that name belongs: after the prologue of each function, and at each inlined
	 * copy. The first call reads all names of the file. Names without debug information are found by their symbol.
	 */
	locationsOfFunction(name: string): BreakpointLocation[] {
		const locations: BreakpointLocation[] = [];
		const abstract = new Map<Unit, Set<number>>();
		const functions = new Map<bigint, DwarfFunction>();
		for (const die of this.dwarf.names.functions(name)) {
			if (die.has(DW_AT.inline)) {
				const offsets = abstract.get(die.unit);
				if (offsets) offsets.add(die.offset);
				else abstract.set(die.unit, new Set([die.offset]));
			} else {
				const found = DwarfFunction.from(die);
				if (found) functions.set(found.entry, found);
			}
		}
		for (const [unit, offsets] of abstract) {
			for (const found of this.dwarf.functions(unit).functions) {
				const origin = found.die.reference(DW_AT.abstract_origin);
				if (origin !== undefined && offsets.has(origin)) functions.set(found.entry, found);
				for (const copy of found.inlinedCopies(offsets)) {
					const entry = inlinedEntry(copy);
					if (entry === undefined || !this.elf.isCode(entry)) continue;
					const row = this.dwarf.lineTable(unit)?.at(entry);
					const address = this.map.toLoaded(entry);
					const position = row?.line ? { file: row.file, line: row.line, column: row.column } : declarationOf(copy);
					locations.push({ address, functionName: name, position, isInlined: true, file: this });
				}
			}
		}
		for (const found of functions.values()) locations.push(this.#functionLocation(found, name));
		for (const symbol of this.symbols.named(name)) {
			if (symbol.type === "object" || !this.elf.isCode(symbol.address) || functions.has(symbol.address)) continue;
			const found = this.functionAt(this.map.toLoaded(symbol.address));
			if (found?.entry === symbol.address) {
				if (!functions.has(found.entry)) locations.push(this.#functionLocation(found, name));
				continue;
			}
			const address = this.map.toLoaded(symbol.address);
			locations.push({ address, functionName: name, position: this.lineAt(address), isInlined: false, file: this });
		}
		return uniqueByAddress(locations);
	}

	/** The parameters and locals of a frame that `framesAt` gave, those of inner blocks first. */
	variablesOf(frame: VirtualFrame): Variable[] {
		return frame.scope ? variablesOf(frame.scope.scope, frame.scope.function.die) : [];
	}

	/** The value of a variable in a frame. */
	valueOf(variable: Variable, frame: FrameContext): CValue {
		return variableValue(variable, frame, this.map, this.addressSize * 8);
	}

	/** The global variables of that name; one in the unit of `near` comes first. The first call may read all names. */
	globalsNamed(name: string, near?: Unit): Variable[] {
		const own = near && this.dwarf.names.variableOfUnit(near, name);
		const found: Die[] = own ? [own] : [];
		if (found.length === 0 && (this.symbols.size === 0 || this.symbols.named(name).length > 0)) {
			found.push(...this.dwarf.names.variables(name));
		}
		return found.map((die) => this.#global(die, name));
	}

	/** The file-scope variables of the unit whose code holds the address, in the order of the source. */
	globalsOfUnitAt(address: bigint): Variable[] {
		const found = this.functionAt(address);
		if (!found) return [];
		return this.dwarf.names.variablesOfUnit(found.die.unit).map((die) => this.#global(die, die.name ?? ""));
	}

	/** A type by kind and name; "typedef" stands for base types also. The first call may read all names. */
	typeNamed(kind: TypeKind, name: string, near?: Unit): CType | undefined {
		const die = this.dwarf.names.type(kind, name, near);
		return die && this.dwarf.types.type(die);
	}

	/** The type by which a variable is declared that has no definition here. The first call may read all names. */
	declaredType(name: string): CType | undefined {
		const die = this.dwarf.names.variableDeclaration(name);
		return die && this.dwarf.types.typeOf(die);
	}

	/** The full definition of a type that is only declared where it was found, if the file has one. */
	completeType(type: CType): CType {
		return this.dwarf.types.complete(type);
	}

	/** An enumeration constant. The first call reads all names. */
	constantNamed(name: string): CValue | undefined {
		const found = this.dwarf.names.enumerator(name);
		if (!found) return undefined;
		const { constant, enumeration } = found;
		const size = enumeration.number(DW_AT.byte_size) ?? 4;
		return bytesValue(this.dwarf.types.type(enumeration), integerBytes(enumeratorValue(constant, enumeration), size));
	}

	/** The symbol that holds an address. */
	symbolAt(address: bigint): LoadedSymbol | undefined {
		const symbol = this.symbols.at(this.map.toLinked(address));
		return symbol && this.#loaded(symbol);
	}

	/** All symbols of a name. */
	symbolsNamed(name: string): LoadedSymbol[] {
		return this.symbols.named(name).map((symbol) => this.#loaded(symbol));
	}

	/**
	 * The caller of a frame by call frame information; undefined if the file has none for the pc or it needs what
	 * cannot be read. `registers` are by DWARF number, the pc under `returnAddress`. For a frame that made a call
	 * (`isCaller`) the rules are looked up one byte before its pc, which may be the end of a function that never returns.
	 */
	unwind(registers: FrameRegisters, readMemory: ReadMemory, isCaller: boolean): CallerFrame | undefined {
		const pc = registers.get(this.registers.returnAddress);
		if (pc === undefined) return undefined;
		const linked = this.map.toLinked(isCaller ? pc - 1n : pc);
		for (const table of this.#frameTables()) {
			const description = table.at(linked);
			if (!description) continue;
			const relocate = (address: bigint) => this.map.toLoaded(address);
			return unwindByCallFrameInformation(
				description,
				linked,
				registers,
				this.registers,
				readMemory,
				relocate,
				this.name,
			);
		}
		return undefined;
	}

	/** Whether the frame of a pc was entered by an interrupt or signal, by its call frame information. */
	isSignalFrame(pc: bigint): boolean {
		const linked = this.map.toLinked(pc);
		for (const table of this.#frameTables()) {
			const description = table.at(linked);
			if (description) return description.common.isSignalFrame;
		}
		return false;
	}

	#frameTables(): FrameTable[] {
		if (this.#frames) return this.#frames;
		const frames: FrameTable[] = [];
		for (const name of [".debug_frame", ".eh_frame"] as const) {
			const bytes = this.elf.debugData(name);
			if (bytes.length === 0) continue;
			const address = this.elf.section(name)?.address ?? 0n;
			frames.push(new FrameTable({ name, bytes, address }, this.name, this.addressSize, (at) => this.elf.isCode(at)));
		}
		this.#frames = frames;
		return frames;
	}

	#functionIn(unit: Unit, linked: bigint): DwarfFunction | undefined {
		return this.dwarf.functions(unit).at(linked) ?? this.functionAt(this.map.toLoaded(linked));
	}

	#functionLocation(found: DwarfFunction, name: string): BreakpointLocation {
		const at = found.prologueEnd;
		const row = this.dwarf.lineTable(found.die.unit)?.at(at);
		const position = row?.line ? { file: row.file, line: row.line, column: row.column } : found.declaration;
		return { address: this.map.toLoaded(at), functionName: name, position, isInlined: false, file: this };
	}

	#global(die: Die, name: string): Variable {
		const type = this.dwarf.types.typeOf(die);
		return {
			name,
			kind: "global",
			type,
			isShadowed: false,
			isArtificial: false,
			declaration: declarationOf(die),
			die,
			functionDie: undefined,
		};
	}

	#loaded(symbol: ElfSymbol): LoadedSymbol {
		return { ...symbol, address: this.map.toLoaded(symbol.address), file: this };
	}

	#sourceRange(row: LineRow): SourceRange {
		return {
			file: row.file,
			line: row.line,
			column: row.column,
			isStatement: row.isStatement,
			start: this.map.toLoaded(row.start),
			end: this.map.endToLoaded(row.end),
		};
	}
}

function uniqueByAddress(locations: BreakpointLocation[]): BreakpointLocation[] {
	const byAddress = new Map<bigint, BreakpointLocation>();
	for (const location of locations) if (!byAddress.has(location.address)) byAddress.set(location.address, location);
	return [...byAddress.values()].sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}
