// Which mappings are asked for and which of them are shown: filters, search and the comparison with the stop before.
import type { Hex, MappingFilter, MappingInfo } from "../../debug-adapter/protocol.ts";

/** The user's choices; saved with the tab. */
export interface MappingChoices {
	readonly privilege: "any" | "kernel" | "user";
	readonly writable: boolean;
	readonly executable: boolean;
	readonly large: boolean;
	/** Only what differs from the stop before. */
	readonly changed: boolean;
	/** An address, or a range "from..to". */
	readonly search: string;
}

export const allMappings: MappingChoices = {
	privilege: "any",
	writable: false,
	executable: false,
	large: false,
	changed: false,
	search: "",
};

export interface MappingQuery {
	readonly filter: MappingFilter;
	readonly from: Hex;
	/** Exclusive; absent when the table is shown to its end. */
	readonly to?: bigint;
}

const number = /^(0x[0-9a-f]+|\d+)$/i;

/**
 * What to ask the adapter for.
 * @throws {Error} with one sentence when the search is no address and no range.
 */
export function mappingQuery(choices: MappingChoices): MappingQuery {
	const filter: { -readonly [Key in keyof MappingFilter]: MappingFilter[Key] } = {};
	if (choices.privilege !== "any") filter.privilege = choices.privilege;
	if (choices.writable) filter.writable = true;
	if (choices.executable) filter.executable = true;
	if (choices.large) filter.large = true;
	const search = choices.search.trim();
	if (search === "") return { filter, from: "0x0" };
	const range = search.split(/\s*\.\.\s*/);
	if (range.length === 2) {
		const [from, to] = range as [string, string];
		if (!number.test(from) || !number.test(to))
			throw new Error(`"${search}" is no range; write two linear addresses, such as 0xc0000000..0xc0400000.`);
		return { filter, from: `0x${BigInt(from).toString(16)}`, to: BigInt(to) };
	}
	return { filter: { ...filter, contains: search }, from: "0x0" };
}

/** The physical address without its space. */
function targetValue(mapping: MappingInfo): bigint {
	return BigInt(mapping.target.slice(mapping.target.indexOf(":") + 1));
}

function sameRights(a: MappingInfo, b: MappingInfo): boolean {
	return (
		a.writable === b.writable &&
		a.user === b.user &&
		a.executable === b.executable &&
		a.global === b.global &&
		a.pageSize === b.pageSize
	);
}

/**
 * The mappings that were not so at the stop before: other rights, another target, or not there. The accessed and dirty
 * bits do not count, as they change all the time.
 * @param before complete list of the stop before, in order of address
 */
export function changedMappings(before: readonly MappingInfo[], now: readonly MappingInfo[]): Set<MappingInfo> {
	const changed = new Set<MappingInfo>();
	let index = 0;
	for (const mapping of now) {
		const start = BigInt(mapping.start);
		while (index < before.length && BigInt(before[index]!.end) <= start) index++;
		const old = before[index];
		const same =
			old !== undefined &&
			BigInt(old.start) <= start &&
			BigInt(old.end) >= BigInt(mapping.end) &&
			sameRights(old, mapping) &&
			targetValue(old) - BigInt(old.start) === targetValue(mapping) - start;
		if (!same) changed.add(mapping);
	}
	return changed;
}

/** "4 KiB", "2 MiB", "1.5 GiB". */
export function sizeText(bytes: bigint): string {
	const units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];
	let unit = 0;
	let value = Number(bytes);
	while (value >= 1024 && unit < units.length - 1) {
		value /= 1024;
		unit++;
	}
	return `${Number.isInteger(value) ? value : value.toFixed(1)} ${units[unit]}`;
}
