// Reference: DWARF 5 chapter 3 "Program Scope Entries" and chapter 5 "Type Entries".
import { LeastRecentlyUsed } from "../least-recently-used.ts";
import { DW_AT, DW_TAG } from "./constants.ts";
import type { Die } from "./die.ts";
import type { DwarfFile } from "./dwarf-file.ts";
import type { Unit } from "./unit.ts";

/** Kinds of names that C keeps apart. */
export type TypeKind = "struct" | "union" | "enum" | "typedef";

type Offsets = number | number[];

/** The outermost names of one unit, with the offsets of their entries. */
interface UnitNames {
	readonly variables: Map<string, number>;
	readonly types: Map<string, number>;
}

/** How many units' names are held: those of the frames that are looked at. */
const heldUnits = 32;

const nestingLimit = 32;

/**
 * All names of a file, made in one pass over the outermost entries when first asked for. Functions and variables hold
 * every definition; types only the first complete one of each name, as a kernel repeats each in a thousand units.
 */
export class NameIndex {
	readonly #file: DwarfFile;
	#built = false;
	/** Concrete and abstract subprograms by name; declarations are left out. */
	readonly #functions = new Map<string, Offsets>();
	readonly #variables = new Map<string, Offsets>();
	/** The first declaration of each variable: those that a linker script defines have no more. */
	readonly #declarations = new Map<string, number>();
	readonly #types = new Map<string, number>();
	readonly #units = new LeastRecentlyUsed<number, UnitNames>(heldUnits);
	readonly #enumerations: number[] = [];
	/** Offset of the enumeration by the name of its constants. */
	#enumerators: Map<string, number> | undefined;

	constructor(file: DwarfFile) {
		this.#file = file;
	}

	/** The entries of functions of that name: out of line, and abstract ones of which inlined copies may exist. */
	functions(name: string): Die[] {
		return this.#dies(this.#index().#functions.get(name));
	}

	/** The definitions of variables of that name at file scope. */
	variables(name: string): Die[] {
		return this.#dies(this.#index().#variables.get(name));
	}

	/** The definition of a variable at the file scope of one unit; does not read the names of the whole file. */
	variableOfUnit(unit: Unit, name: string): Die | undefined {
		const offset = this.#unitNames(unit).variables.get(name);
		return offset === undefined ? undefined : unit.dieAt(offset);
	}

	/** All definitions of variables at the file scope of one unit, in the order of the source. */
	variablesOfUnit(unit: Unit): Die[] {
		return [...this.#unitNames(unit).variables.values()].map((offset) => unit.dieAt(offset));
	}

	/** A declaration of a variable, for one whose definition has no debug information. */
	variableDeclaration(name: string): Die | undefined {
		const offset = this.#index().#declarations.get(name);
		return offset === undefined ? undefined : this.#die(offset);
	}

	/** The complete definition of a type. `typedef` stands for base types also. A unit given is searched first. */
	type(kind: TypeKind, name: string, preferred?: Unit): Die | undefined {
		const own = preferred && this.#unitNames(preferred).types.get(`${kind} ${name}`);
		if (own !== undefined) return preferred!.dieAt(own);
		const offset = this.#index().#types.get(`${kind} ${name}`);
		return offset === undefined ? undefined : this.#die(offset);
	}

	/** The entries of an enumeration constant and of its enumeration. */
	enumerator(name: string): { constant: Die; enumeration: Die } | undefined {
		this.#index();
		if (!this.#enumerators) {
			this.#enumerators = new Map();
			for (const offset of this.#enumerations) {
				let isFirst = true;
				for (const child of this.#die(offset).children()) {
					const constant = child.tag === DW_TAG.enumerator ? child.string(DW_AT.name) : undefined;
					if (constant === undefined) continue;
					// The same enumeration of another unit.
					if (isFirst && this.#enumerators.has(constant)) break;
					isFirst = false;
					if (!this.#enumerators.has(constant)) this.#enumerators.set(constant, offset);
				}
			}
		}
		const offset = this.#enumerators.get(name);
		if (offset === undefined) return undefined;
		const enumeration = this.#die(offset);
		for (const constant of enumeration.children()) {
			if (constant.tag === DW_TAG.enumerator && constant.string(DW_AT.name) === name) return { constant, enumeration };
		}
		return undefined;
	}

	/** Function and variable names that begin with `prefix`, at most `limit`, sorted. */
	namesWithPrefix(prefix: string, limit: number): string[] {
		this.#index();
		const found = new Set<string>();
		for (const map of [this.#functions, this.#variables]) {
			for (const name of map.keys()) if (name.startsWith(prefix)) found.add(name);
		}
		return [...found].sort().slice(0, limit);
	}

	#unitNames(unit: Unit): UnitNames {
		return this.#units.get(unit.index, () => {
			const names: UnitNames = { variables: new Map(), types: new Map() };
			for (const die of unit.root.children()) {
				if (die.tag === DW_TAG.variable) {
					if (!die.has(DW_AT.location) && !die.has(DW_AT.const_value)) continue;
					const name = die.name;
					if (name !== undefined) names.variables.set(name, die.offset);
					continue;
				}
				const kind = typeKind(die.tag);
				const name = kind && !die.has(DW_AT.declaration) ? die.string(DW_AT.name) : undefined;
				if (name !== undefined) names.types.set(`${kind} ${name}`, die.offset);
			}
			return names;
		});
	}

	#dies(offsets: Offsets | undefined): Die[] {
		if (offsets === undefined) return [];
		return (typeof offsets === "number" ? [offsets] : offsets).map((offset) => this.#die(offset));
	}

	/** Entries of .debug_types are kept as negative offsets. */
	#die(offset: number): Die {
		return offset < 0 ? this.#file.dieAt(".debug_types", -offset) : this.#file.dieAt(".debug_info", offset);
	}

	#index(): this {
		if (!this.#built) {
			for (const unit of this.#file.units) this.#scan(unit.root, 0);
			this.#built = true;
		}
		return this;
	}

	#scan(parent: Die, depth: number): void {
		const isTypes = parent.unit.section === ".debug_types";
		for (const die of parent.children()) {
			switch (die.tag) {
				case DW_TAG.subprogram:
					// An out-of-line instance of an abstract entry is found through that entry.
					if (die.has(DW_AT.declaration) || die.has(DW_AT.abstract_origin)) break;
					if (die.has(DW_AT.low_pc) || die.has(DW_AT.ranges) || die.has(DW_AT.inline)) add(this.#functions, die);
					break;
				case DW_TAG.variable:
					if (die.has(DW_AT.location) || die.has(DW_AT.const_value)) add(this.#variables, die);
					else if (die.has(DW_AT.declaration)) this.#addDeclaration(die);
					break;
				case DW_TAG.namespace:
					if (depth < nestingLimit) this.#scan(die, depth + 1);
					break;
				case DW_TAG.enumeration_type:
					this.#enumerations.push(isTypes ? -die.offset : die.offset);
					this.#addType("enum", die);
					break;
				default: {
					const kind = typeKind(die.tag);
					if (kind) this.#addType(kind, die);
				}
			}
		}
	}

	#addDeclaration(die: Die): void {
		const name = die.string(DW_AT.name);
		if (name !== undefined && !this.#declarations.has(name)) this.#declarations.set(name, die.offset);
	}

	#addType(kind: TypeKind, die: Die): void {
		if (die.has(DW_AT.declaration)) return;
		const name = die.string(DW_AT.name);
		if (name === undefined) return;
		const key = `${kind} ${name}`;
		if (!this.#types.has(key)) this.#types.set(key, die.unit.section === ".debug_types" ? -die.offset : die.offset);
	}
}

function typeKind(tag: number): TypeKind | undefined {
	switch (tag) {
		case DW_TAG.structure_type:
		case DW_TAG.class_type:
			return "struct";
		case DW_TAG.union_type:
			return "union";
		case DW_TAG.enumeration_type:
			return "enum";
		case DW_TAG.typedef:
		case DW_TAG.base_type:
			return "typedef";
		default:
			return undefined;
	}
}

function add(map: Map<string, Offsets>, die: Die): void {
	const name = die.name;
	if (name === undefined) return;
	const held = map.get(name);
	if (held === undefined) map.set(name, die.offset);
	else if (typeof held === "number") map.set(name, [held, die.offset]);
	else held.push(die.offset);
}
