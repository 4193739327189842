// Reference: DWARF 5 section 6.2.4 "The Line Number Program Header"; DWARF 4 section 6.2.4.
import type { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import { DW_FORM } from "./constants.ts";
import { readForm, skipForm } from "./form.ts";
import type { DwarfSections } from "./sections.ts";

const DW_LNCT_path = 1;
const DW_LNCT_directory_index = 2;

/** How a unit's line program begins. Files are numbered as the program numbers them. */
export interface LineProgramHeader {
	readonly version: number;
	readonly addressSize: number;
	readonly minimumInstructionLength: number;
	readonly maximumOperations: number;
	readonly defaultIsStatement: boolean;
	readonly lineBase: number;
	readonly lineRange: number;
	readonly opcodeBase: number;
	/** Operand counts of the standard opcodes, by opcode. */
	readonly operandCounts: Uint8Array;
	/** Full path of each file by its number; in versions before 5 number 0 is the unit's own source. */
	readonly files: readonly string[];
	readonly programStart: number;
	readonly programEnd: number;
}

/** Joins a directory and a name as the compiler meant them, and removes "." and ".." steps. */
export function joinPath(directory: string, name: string): string {
	const isAbsolute = name.startsWith("/") || /^[A-Za-z]:[\\/]/.test(name);
	const joined = isAbsolute || directory === "" ? name : `${directory}/${name}`;
	if (!/(^|\/)\.\.?(\/|$)|\/\/|.\/$/.test(joined)) return joined;
	const root = joined.startsWith("/") ? "/" : "";
	const parts: string[] = [];
	for (const part of joined.split("/")) {
		if (part === "" || part === ".") continue;
		if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
		else if (part !== ".." || root === "") parts.push(part);
	}
	return root + parts.join("/");
}

interface EntryFormat {
	readonly content: number;
	readonly form: number;
}

/** Reads the header at an offset of .debug_line. Throws `SymbolError` when it is truncated or makes no sense. */
export function readLineProgramHeader(
	sections: DwarfSections,
	offset: number,
	unitAddressSize: number,
	compilationDirectory: string,
	unitName: string,
): LineProgramHeader {
	const reader = sections.reader(".debug_line");
	reader.offset = offset;
	let length = reader.u32();
	const offsetSize = length === 0xffffffff ? 8 : 4;
	if (offsetSize === 8) length = reader.u64Number();
	reader.need(length);
	const programEnd = reader.offset + length;
	const version = reader.u16();
	if (version < 2 || version > 5) {
		throw new SymbolError("unsupported", `${reader.what} has a line program of version ${version}; 2 to 5 are read.`);
	}
	let addressSize = unitAddressSize;
	if (version >= 5) {
		addressSize = reader.u8();
		reader.u8();
	}
	const headerLength = reader.sectionOffset(offsetSize);
	const programStart = reader.offset + headerLength;
	const minimumInstructionLength = reader.u8();
	const maximumOperations = version >= 4 ? reader.u8() : 1;
	const defaultIsStatement = reader.u8() !== 0;
	const lineBase = reader.s8();
	const lineRange = reader.u8();
	const opcodeBase = reader.u8();
	if (lineRange === 0 || maximumOperations === 0 || opcodeBase === 0 || programStart > programEnd) {
		throw new SymbolError(
			"malformed",
			`${reader.what} has a line program header at 0x${offset.toString(16)} that makes no sense.`,
		);
	}
	const operandCounts = new Uint8Array(256);
	for (let opcode = 1; opcode < opcodeBase; opcode++) operandCounts[opcode] = reader.u8();

	const unit = { version, addressSize, offsetSize };
	const directories: string[] = [];
	const files: string[] = [];
	if (version >= 5) {
		for (const entry of readEntries(sections, reader, unit)) {
			// Directory 0 is the compilation directory itself; the others count from it.
			directories.push(joinPath(directories[0] ?? "", entry.path));
		}
		for (const entry of readEntries(sections, reader, unit)) {
			files.push(joinPath(directories[entry.directory] ?? compilationDirectory, entry.path));
		}
	} else {
		directories.push(compilationDirectory);
		for (;;) {
			const directory = reader.cstring();
			if (directory === "") break;
			directories.push(joinPath(compilationDirectory, directory));
		}
		files.push(joinPath(compilationDirectory, unitName));
		for (;;) {
			const name = reader.cstring();
			if (name === "") break;
			const directory = reader.uleb();
			reader.skipLeb();
			reader.skipLeb();
			files.push(joinPath(directories[directory] ?? compilationDirectory, name));
		}
	}
	return {
		version,
		addressSize,
		minimumInstructionLength,
		maximumOperations,
		defaultIsStatement,
		lineBase,
		lineRange,
		opcodeBase,
		operandCounts,
		files,
		programStart,
		programEnd,
	};
}

/** A directory or file list of DWARF 5: formats, a count, then the entries. */
function readEntries(
	sections: DwarfSections,
	reader: ByteReader,
	unit: { version: number; addressSize: number; offsetSize: number },
): { path: string; directory: number }[] {
	const formats: EntryFormat[] = [];
	const formatCount = reader.u8();
	for (let i = 0; i < formatCount; i++) formats.push({ content: reader.uleb(), form: reader.uleb() });
	const count = reader.uleb();
	// An entry without bytes would let a short file claim any number of entries.
	if (formats.every(({ form }) => form === DW_FORM.flag_present) && count > 0) {
		throw new SymbolError("malformed", `${reader.what} has a file list without names.`);
	}
	reader.need(count);
	const entries: { path: string; directory: number }[] = [];
	for (let i = 0; i < count; i++) {
		let path = "";
		let directory = 0;
		for (const { content, form } of formats) {
			if (content === DW_LNCT_path) {
				const { value } = readForm(reader, form, unit, undefined);
				if (typeof value === "string") path = value;
				else if (typeof value === "number") {
					if (form === DW_FORM.line_strp) path = sections.string(".debug_line_str", value);
					else if (form === DW_FORM.strp) path = sections.string(".debug_str", value);
				}
			} else if (content === DW_LNCT_directory_index) {
				const { value } = readForm(reader, form, unit, undefined);
				directory = typeof value === "bigint" ? Number(value) : typeof value === "number" ? value : 0;
			} else skipForm(reader, form, unit);
		}
		entries.push({ path, directory });
	}
	return entries;
}
