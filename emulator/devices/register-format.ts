// Small helpers that the devices share to make and show register values.

import type { AccessSize } from "./device.ts";

/** `value` as hexadecimal with a leading 0x, padded to `bits`. */
export function hex(value: number, bits: number): string {
	return `0x${value.toString(16).padStart(Math.ceil(bits / 4), "0")}`;
}

/** What an undriven bus of `size` bytes reads as. */
export function allOnes(size: AccessSize): number {
	return size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
}

/** The names of the bits of `value` that are set, lowest first; `names[i]` belongs to bit i and an empty one is skipped. */
export function bits(value: number, names: readonly string[]): string {
	return names.filter((name, bit) => name !== "" && (value >>> bit) & 1).join(" ");
}
