import { DW_AT } from "./constants.ts";
import type { DwarfFile } from "./dwarf-file.ts";
import type { LineTable } from "./line-table.ts";
import type { Unit } from "./unit.ts";

/** Which source files there are, and which line tables speak of them. Made from the line program headers on demand. */
export class SourceIndex {
	readonly #file: DwarfFile;
	/** For each path: indices of units, one for each line program that lists it. */
	#units: Map<string, number[]> | undefined;
	/** For each last path component: the paths that end in it. */
	#byName: Map<string, string[]> | undefined;

	constructor(file: DwarfFile) {
		this.#file = file;
	}

	/** Every path that a line program lists, sorted. A listed header need not have code. */
	paths(): string[] {
		return [...this.#index().keys()].sort();
	}

	/**
	 * The recorded paths that `path` may mean: the path itself if it is recorded, else those that share the longest
	 * tail of components with it (at least the file name). Case counts; "\" is taken as "/".
	 */
	match(path: string): string[] {
		const index = this.#index();
		const wanted = path.replaceAll("\\", "/");
		if (index.has(wanted)) return [wanted];
		if (!this.#byName) {
			this.#byName = new Map();
			for (const known of index.keys()) {
				const name = known.slice(known.lastIndexOf("/") + 1);
				const held = this.#byName.get(name);
				if (held) held.push(known);
				else this.#byName.set(name, [known]);
			}
		}
		const parts = wanted.split("/").filter((part) => part !== "" && part !== ".");
		let best: string[] = [];
		let bestShared = 0;
		for (const known of this.#byName.get(parts.at(-1) ?? "") ?? []) {
			const knownParts = known.split("/");
			let shared = 0;
			while (shared < parts.length && parts.at(-1 - shared) === knownParts.at(-1 - shared)) shared++;
			if (shared > bestShared) {
				best = [];
				bestShared = shared;
			}
			if (shared === bestShared) best.push(known);
		}
		return best;
	}

	/** The line tables that list a recorded path, with the numbers it has there. */
	*tables(path: string): Generator<{ table: LineTable; files: Set<number>; unit: Unit }> {
		for (const index of this.#index().get(path) ?? []) {
			const unit = this.#file.units[index]!;
			const table = this.#file.lineTable(unit);
			if (!table) continue;
			const files = new Set<number>();
			table.files.forEach((name, number) => {
				if (name === path) files.add(number);
			});
			yield { table, files, unit };
		}
	}

	#index(): Map<string, number[]> {
		if (this.#units) return this.#units;
		const units = new Map<string, number[]>();
		const seenPrograms = new Set<number>();
		for (const unit of this.#file.units) {
			if (unit.isTypeUnit) continue;
			const program = unit.root.number(DW_AT.stmt_list);
			if (program === undefined || seenPrograms.has(program)) continue;
			seenPrograms.add(program);
			for (const path of this.#file.lineHeader(unit)!.files) {
				const held = units.get(path);
				if (!held) units.set(path, [unit.index]);
				else if (held.at(-1) !== unit.index) held.push(unit.index);
			}
		}
		this.#units = units;
		return units;
	}
}
