// Symbols of a sample's image, for tests that stop at them.

import { readFileSync } from "node:fs";
import { parseSymbols } from "./elf-symbols.ts";

/** Linear address of a function or label of the image; throws when it has none of that name. */
export function symbolAddress(image: string, name: string): bigint {
	const found = parseSymbols(readFileSync(image)).find((symbol) => symbol.name === name);
	if (!found) throw new Error(`${image} has no symbol ${name}`);
	return found.value;
}
