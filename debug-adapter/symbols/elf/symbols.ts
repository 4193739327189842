// Reference: System V ABI, chapter 4, "Symbol Table".
import { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import { SHF_ALLOC, SHN_ABS, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB } from "./elf-constants.ts";
import type { ElfFile } from "./elf-file.ts";

export type ElfSymbolType = "none" | "object" | "function" | "section" | "file" | "common" | "tls" | "ifunc" | "other";

export interface ElfSymbol {
	readonly name: string;
	readonly address: bigint;
	/** Bytes, 0 when the file does not say (assembly labels). */
	readonly size: bigint;
	readonly type: ElfSymbolType;
	readonly binding: "local" | "global" | "weak" | "other";
	/** Name of the section that holds it; undefined for absolute symbols. */
	readonly section: string | undefined;
}

const typeNames: readonly ElfSymbolType[] = ["none", "object", "function", "section", "file", "common", "tls"];
const STT_SECTION = 3;
const STT_FILE = 4;
const STT_TLS = 6;
const STT_GNU_IFUNC = 10;

/** How far back from an address a larger symbol that encloses it is looked for. */
const enclosingSearch = 64;

/** The symbol table of an ELF file (.symtab, else .dynsym), searched by address and by name. */
export class ElfSymbols {
	readonly #elf: ElfFile;
	readonly #count: number;
	readonly #reader: ByteReader;
	readonly #strings: ByteReader;
	readonly #entrySize: number;
	#sorted: { addresses: BigUint64Array; indices: Uint32Array } | undefined;
	#byName: Map<string, number | number[]> | undefined;

	/** Throws `SymbolError` when the table lies outside of the file. */
	constructor(elf: ElfFile) {
		this.#elf = elf;
		const table =
			elf.sections.find((section) => section.type === SHT_SYMTAB) ??
			elf.sections.find((section) => section.type === SHT_DYNSYM);
		const what = `${elf.name} symbol table`;
		this.#entrySize = elf.is64 ? 24 : 16;
		if (!table) {
			this.#count = 0;
			this.#reader = new ByteReader(new Uint8Array(0), what);
			this.#strings = this.#reader;
			return;
		}
		const strings = elf.sections[table.link];
		if (!strings) throw new SymbolError("malformed", `${what} has no string table: it names section ${table.link}.`);
		this.#reader = new ByteReader(elf.data(table), what);
		this.#strings = new ByteReader(elf.data(strings), `${elf.name} symbol names`);
		this.#count = Math.floor(this.#reader.bytes.length / this.#entrySize);
	}

	/** The addresses of all symbols of places, ascending. */
	get addresses(): BigUint64Array {
		return this.#index().addresses;
	}

	/** Number of entries in the table. */
	get size(): number {
		return this.#count;
	}

	/**
	 * The symbol that holds the address: one whose size covers it, else the nearest label before it in the same
	 * section. Functions win over objects, both over labels, larger names of the same place never shift the result.
	 */
	at(address: bigint): ElfSymbol | undefined {
		const { addresses, indices } = this.#index();
		let low = 0;
		let high = addresses.length;
		while (low < high) {
			const middle = (low + high) >>> 1;
			if (addresses[middle]! <= address) low = middle + 1;
			else high = middle;
		}
		let label: ElfSymbol | undefined;
		let best: ElfSymbol | undefined;
		for (let i = low - 1; i >= 0 && i >= low - enclosingSearch; i--) {
			const symbol = this.#symbol(indices[i]!);
			if (symbol.size === 0n) {
				if (!label || (label.address === symbol.address && rank(symbol) > rank(label))) label = symbol;
			} else if (address < symbol.address + symbol.size) {
				if (!best || (best.address === symbol.address && rank(symbol) > rank(best))) best = symbol;
			}
			if (best && best.address !== symbol.address) break;
		}
		// A label inside a sized function (a local branch target) does not hide the function.
		if (best) return best;
		if (label) {
			const section = label.section === undefined ? undefined : this.#elf.section(label.section);
			if (section && address < section.address + BigInt(section.size)) return label;
		}
		return undefined;
	}

	/** All symbols of that name that have an address. */
	named(name: string): ElfSymbol[] {
		const found = this.#names().get(name);
		if (found === undefined) return [];
		return (typeof found === "number" ? [found] : found).map((index) => this.#symbol(index));
	}

	/** Every function symbol with a size, in the order of the table. */
	*functions(): Generator<ElfSymbol> {
		for (let index = 0; index < this.#count; index++) {
			const symbol = this.#symbol(index);
			if (symbol.type === "function" && symbol.size > 0n) yield symbol;
		}
	}

	/** The names that begin with `prefix`, at most `limit`, sorted; for completion. */
	namesWithPrefix(prefix: string, limit: number): string[] {
		const found: string[] = [];
		for (const name of this.#names().keys()) if (name.startsWith(prefix)) found.push(name);
		return found.sort().slice(0, limit);
	}

	#symbol(index: number): ElfSymbol {
		const reader = this.#reader;
		const at = index * this.#entrySize;
		const view = reader.view;
		const is64 = this.#elf.is64;
		const info = view.getUint8(at + (is64 ? 4 : 12));
		const sectionIndex = view.getUint16(at + (is64 ? 6 : 14), true);
		const type = info & 15;
		const binding = info >> 4;
		return {
			name: this.#name(index),
			address: is64 ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true)),
			size: is64 ? view.getBigUint64(at + 16, true) : BigInt(view.getUint32(at + 8, true)),
			type: type === STT_GNU_IFUNC ? "ifunc" : (typeNames[type] ?? "other"),
			binding: binding === 0 ? "local" : binding === 1 ? "global" : binding === 2 ? "weak" : "other",
			section: sectionIndex === SHN_ABS ? undefined : this.#elf.sections[sectionIndex]?.name,
		};
	}

	#name(index: number): string {
		this.#strings.offset = this.#reader.view.getUint32(index * this.#entrySize, true);
		return this.#strings.cstring();
	}

	/** Whether the entry names a place in memory: defined, and not a file, a section or thread-local. */
	#isPlace(index: number): boolean {
		const at = index * this.#entrySize;
		const is64 = this.#elf.is64;
		const type = this.#reader.view.getUint8(at + (is64 ? 4 : 12)) & 15;
		if (type === STT_SECTION || type === STT_FILE || type === STT_TLS) return false;
		if (this.#reader.view.getUint32(at, true) === 0) return false;
		return this.#reader.view.getUint16(at + (is64 ? 6 : 14), true) !== SHN_UNDEF;
	}

	#index(): { addresses: BigUint64Array; indices: Uint32Array } {
		if (this.#sorted) return this.#sorted;
		const is64 = this.#elf.is64;
		const pairs: { address: bigint; index: number }[] = [];
		for (let index = 0; index < this.#count; index++) {
			if (!this.#isPlace(index)) continue;
			const at = index * this.#entrySize;
			const sectionIndex = this.#reader.view.getUint16(at + (is64 ? 6 : 14), true);
			const section = this.#elf.sections[sectionIndex];
			// Absolute symbols and those of sections that are not loaded are numbers, not places.
			if (!section || (section.flags & SHF_ALLOC) === 0) continue;
			const address = is64
				? this.#reader.view.getBigUint64(at + 8, true)
				: BigInt(this.#reader.view.getUint32(at + 4, true));
			pairs.push({ address, index });
		}
		pairs.sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : a.index - b.index));
		this.#sorted = {
			addresses: BigUint64Array.from(pairs, (pair) => pair.address),
			indices: Uint32Array.from(pairs, (pair) => pair.index),
		};
		return this.#sorted;
	}

	#names(): Map<string, number | number[]> {
		if (this.#byName) return this.#byName;
		const names = new Map<string, number | number[]>();
		for (let index = 0; index < this.#count; index++) {
			if (!this.#isPlace(index)) continue;
			const name = this.#name(index);
			const held = names.get(name);
			if (held === undefined) names.set(name, index);
			else if (typeof held === "number") names.set(name, [held, index]);
			else held.push(index);
		}
		this.#byName = names;
		return names;
	}
}

function rank(symbol: ElfSymbol): number {
	const byType = symbol.type === "function" || symbol.type === "ifunc" ? 4 : symbol.type === "object" ? 2 : 0;
	return byType + (symbol.binding === "global" ? 1 : 0);
}
