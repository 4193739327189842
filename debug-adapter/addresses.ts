// The prefix grammar of address spaces (DESIGN section 5): a plain number is a guest-linear address.
import type { Address, AddressSpace } from "../emulator/machine/virtual-machine.ts";
import { RequestError } from "./request-error.ts";

const spaces: readonly AddressSpace[] = ["lin", "gpa", "hpa", "iova"];
const highest = (1n << 64n) - 1n;

/** "0x" and lower-case digits; a negative number keeps its sign. */
export function hex(value: bigint | number): string {
	const number = BigInt(value);
	return number < 0n ? `-0x${(-number).toString(16)}` : `0x${number.toString(16)}`;
}

/** Padded to whole bytes of the width in bits. */
export function paddedHex(value: bigint, width: number): string {
	return `0x${value.toString(16).padStart(Math.ceil(width / 4), "0")}`;
}

/** The address as it is written: a plain number for the linear space, else with its prefix. */
export function formatAddress(address: Address): string {
	return address.space === "lin" ? hex(address.value) : `${address.space}:${hex(address.value)}`;
}

/** Splits a known prefix off; a text without one belongs to the linear space. @throws {RequestError} for an unknown prefix. */
export function splitSpace(text: string): { space: AddressSpace; rest: string; explicit: boolean } {
	const match = /^\s*([A-Za-z_][A-Za-z0-9_]*)\s*:(?!:)([\s\S]*)$/.exec(text);
	if (!match) return { space: "lin", rest: text.trim(), explicit: false };
	const space = match[1]!.toLowerCase() as AddressSpace;
	if (!spaces.includes(space)) {
		throw new RequestError(
			`Unknown address space "${match[1]}": use lin: (guest-linear, the default), gpa: (guest-physical), hpa: (host-physical) or iova: (device address).`,
		);
	}
	return { space, rest: match[2]!.trim(), explicit: true };
}

/** A decimal or "0x…" number; undefined for anything else. A leading minus is understood. */
export function parseNumber(text: string): bigint | undefined {
	const match = /^(-?)(0x[0-9a-f]+|[0-9]+)$/i.exec(text.trim());
	if (!match) return undefined;
	const value = BigInt(match[2]!);
	return match[1] ? -value : value;
}

/** A memory reference of DAP: a number with or without prefix. @throws {RequestError} */
export function parseMemoryReference(text: string): Address {
	const { space, rest } = splitSpace(text);
	const value = parseNumber(rest);
	if (value === undefined)
		throw new RequestError(`"${text}" is not an address: write a number such as 0xc0100000 or gpa:0x1000.`);
	if (value > highest) throw new RequestError(`"${text}" is not an address: it does not fit into 64 bits.`);
	return { space, value };
}

export function addressSpaces(): readonly AddressSpace[] {
	return spaces;
}
