// How a number is taken apart into named bits.

import type { VmcsBit } from "../hypervisor-views.ts";

export interface BitField {
	readonly name: string;
	/** Lowest bit. */
	readonly bit: number;
	readonly width: number;
	/** The part in words; undefined when the number says it all. */
	readonly meaning?: (part: bigint) => string | undefined;
}

export type BitLayout = readonly BitField[];

/** A single bit. */
export const flag = (bit: number, name: string): BitField => ({ name, bit, width: 1 });

/** A single bit whose two values have names. */
export const either = (bit: number, name: string, zero: string, one: string): BitField => ({
	name,
	bit,
	width: 1,
	meaning: (part) => (part === 0n ? zero : one),
});

export function range(high: number, low: number, name: string, meaning?: BitField["meaning"]): BitField {
	return { name, bit: low, width: high - low + 1, ...(meaning ? { meaning } : {}) };
}

/** Words for each value of a part; "reserved" for one that has none. */
export const words =
	(names: Readonly<Record<number, string>>): NonNullable<BitField["meaning"]> =>
	(part) =>
		names[Number(part)] ?? "reserved";

/** The parts of a number, from the lowest bit on. */
export function takeApart(layout: BitLayout, value: bigint): VmcsBit[] {
	return layout.map(({ name, bit, width, meaning }) => {
		const part = BigInt.asUintN(width, value >> BigInt(bit));
		const said = meaning?.(part);
		return { name, bit, width, value: part, ...(said === undefined ? {} : { meaning: said }) };
	});
}

/** Bits in order, highest first, that are set and not in the layout; "0, 5". */
export function unnamedBits(layout: BitLayout, value: bigint, expected: bigint): string | undefined {
	let known = expected;
	for (const { bit, width } of layout) known |= ((1n << BigInt(width)) - 1n) << BigInt(bit);
	const set: number[] = [];
	for (let bit = 0; bit < 64; bit++) if (((value & ~known) >> BigInt(bit)) & 1n) set.push(bit);
	return set.length === 0 ? undefined : set.join(", ");
}

export const hex = (value: bigint | number): string => `0x${value.toString(16)}`;
