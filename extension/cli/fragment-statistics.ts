// Statistics of the binary translator by function of the image, for images that carry symbols.

import { SymbolError, SymbolFile } from "../../debug-adapter/symbols/index.ts";
import type { Fragment, VirtualMachine } from "../../emulator/machine/virtual-machine.ts";

export interface FunctionStatistics {
	/** Fragments whose translation unit begins in the function. */
	fragments: number;
	/** Exits that still are translator-invoking continuations. */
	continuationsLeft: number;
	/** Exits replaced by a jump to a fragment that was there before. */
	chained: number;
	/** Exits replaced by a jump to the fragment that was made for them. */
	linked: number;
	/** Exits that vanished: the next fragment follows directly. */
	elided: number;
	/** Guest-linear addresses where the translation units begin, in the order of translation. */
	translationUnits: string[];
}

const EXIT_KEYS = {
	continuation: "continuationsLeft",
	chained: "chained",
	linked: "linked",
	elided: "elided",
} as const;

function count(into: FunctionStatistics, fragment: Fragment): void {
	into.fragments++;
	into.translationUnits.push(`0x${fragment.guestStart.toString(16)}`);
	for (const { state } of fragment.exits) if (state !== "lookup") into[EXIT_KEYS[state]]++;
}

/** Code of the image's functions, by their symbols; empty for an image that is not ELF. */
function functionRanges(image: Uint8Array): { name: string; start: bigint; end: bigint }[] {
	try {
		const { symbols } = SymbolFile.open(image, { name: "the image" });
		return [...symbols.functions()].map((symbol) => ({
			name: symbol.name,
			start: symbol.address,
			end: symbol.address + symbol.size,
		}));
	} catch (error) {
		if (error instanceof SymbolError) return [];
		throw error;
	}
}

/** By function name; undefined when the machine has no translation cache or the image no symbols. */
export function statisticsByFunction(
	machine: VirtualMachine,
	image: Uint8Array,
): Record<string, FunctionStatistics> | undefined {
	if (!machine.translationCache) return undefined;
	const functions = functionRanges(image);
	if (functions.length === 0) return undefined;
	const found: Record<string, FunctionStatistics> = {};
	for (const fragment of machine.translationCache.fragments()) {
		if (!fragment.valid) continue;
		const owner = functions.find(({ start, end }) => fragment.guestStart >= start && fragment.guestStart < end);
		if (!owner) continue;
		found[owner.name] ??= {
			fragments: 0,
			continuationsLeft: 0,
			chained: 0,
			linked: 0,
			elided: 0,
			translationUnits: [],
		};
		count(found[owner.name]!, fragment);
	}
	return found;
}
