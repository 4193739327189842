import { ByteReader } from "../byte-reader.ts";

/** Gives the contents of a debug section by name, empty if the file has none. */
export type SectionSource = (name: string) => Uint8Array;

/** The debug sections of one file, each opened when first asked for; strings are decoded once. */
export class DwarfSections {
	readonly fileName: string;
	readonly #source: SectionSource;
	readonly #readers = new Map<string, ByteReader>();
	readonly #strings = new Map<string, Map<number, string>>();

	constructor(fileName: string, source: SectionSource) {
		this.fileName = fileName;
		this.#source = source;
	}

	/** A shared cursor over a section: set its offset before each use. */
	reader(name: string): ByteReader {
		let reader = this.#readers.get(name);
		if (!reader) {
			reader = new ByteReader(this.#source(name), `${this.fileName} section ${name}`);
			this.#readers.set(name, reader);
		}
		return reader;
	}

	/** The string at an offset of ".debug_str" or ".debug_line_str". */
	string(section: ".debug_str" | ".debug_line_str", offset: number): string {
		let cache = this.#strings.get(section);
		if (!cache) {
			cache = new Map();
			this.#strings.set(section, cache);
		}
		let text = cache.get(offset);
		if (text === undefined) {
			const reader = this.reader(section);
			reader.offset = offset;
			reader.need(1);
			text = reader.cstring();
			cache.set(offset, text);
		}
		return text;
	}
}
