import { DW_TAG } from "./constants.ts";
import type { Die } from "./die.ts";
import { DwarfFunction } from "./function.ts";
import { RangeIndex } from "./range-index.ts";
import type { Unit } from "./unit.ts";

/** How deep namespaces and classes may nest around a function. */
const nestingLimit = 32;

/** The functions of one unit that have code of their own. */
export class FunctionIndex {
	readonly functions: readonly DwarfFunction[];
	readonly #ranges: RangeIndex;
	#hasLocationLists: boolean | undefined;

	constructor(unit: Unit) {
		const functions: DwarfFunction[] = [];
		collect(unit.root, functions, 0);
		this.functions = functions;
		this.#ranges = new RangeIndex(
			functions.flatMap((found, owner) => found.ranges.map(({ start, end }) => ({ start, end, owner }))),
		);
	}

	/** Whether any function has variables that move about, as in optimized code. */
	get hasLocationLists(): boolean {
		this.#hasLocationLists ??= this.functions.some((found) => found.hasLocationLists);
		return this.#hasLocationLists;
	}

	/** The innermost function whose code holds the address. */
	at(address: bigint): DwarfFunction | undefined {
		const owner = this.#ranges.owners(address)[0];
		return owner === undefined ? undefined : this.functions[owner];
	}
}

function collect(parent: Die, functions: DwarfFunction[], depth: number): void {
	for (const die of parent.children()) {
		switch (die.tag) {
			case DW_TAG.subprogram: {
				const found = DwarfFunction.from(die);
				if (found) functions.push(found);
				break;
			}
			case DW_TAG.namespace:
			case DW_TAG.class_type:
			case DW_TAG.structure_type:
				if (depth < nestingLimit) collect(die, functions, depth + 1);
				break;
		}
	}
}
