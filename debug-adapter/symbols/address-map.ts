import { SHF_ALLOC } from "./elf/elf-constants.ts";
import type { ElfFile } from "./elf/elf-file.ts";

/** Translates between addresses as linked and addresses as loaded. */
export class AddressMap {
	readonly #bias: bigint;
	readonly #mask: bigint;
	readonly #moved: { linked: bigint; loaded: bigint; size: bigint }[] = [];

	/**
	 * `bias` is added to every address, except for sections that `sectionBases` places: name to the address at which
	 * the section is loaded.
	 */
	constructor(elf: ElfFile, bias: bigint, sectionBases: ReadonlyMap<string, bigint> | undefined) {
		this.#bias = bias;
		this.#mask = elf.is64 ? 0xffffffffffffffffn : 0xffffffffn;
		for (const section of elf.sections) {
			const loaded = sectionBases?.get(section.name);
			if (loaded === undefined || (section.flags & SHF_ALLOC) === 0) continue;
			this.#moved.push({ linked: section.address, loaded, size: BigInt(section.size) });
		}
	}

	/** From an address as linked to where it is loaded. */
	toLoaded(address: bigint): bigint {
		for (const { linked, loaded, size } of this.#moved) {
			if (address >= linked && address < linked + size) return address - linked + loaded;
		}
		return (address + this.#bias) & this.#mask;
	}

	/** As `toLoaded` for the first address after a range: its last byte decides the section. */
	endToLoaded(end: bigint): bigint {
		return end === 0n ? this.toLoaded(end) : this.toLoaded(end - 1n) + 1n;
	}

	/** From a loaded address to the address as linked; -1 for the place where a section was linked but is not loaded. */
	toLinked(address: bigint): bigint {
		for (const { linked, loaded, size } of this.#moved) {
			if (address >= loaded && address < loaded + size) return address - loaded + linked;
		}
		const result = (address - this.#bias) & this.#mask;
		return this.#moved.some(({ linked, size }) => result >= linked && result < linked + size) ? -1n : result;
	}
}
