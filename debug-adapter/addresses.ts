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

/** The address as it is written: a plain number for the linear space, else with its prefix and, for iova:, its device. */
export function formatAddress(address: Address): string {
	if (address.space === "lin") return hex(address.value);
	const device = address.source === undefined ? "" : `${formatSourceId(address.source)}:`;
	return `${address.space}:${device}${hex(address.value)}`;
}

/** The address as one of a vCPU: linear and guest-physical addresses are, where several guests run. */
export function ownedBy(owner: number | undefined, address: Address): Address {
	const { space } = address;
	return owner === undefined || (space !== "lin" && space !== "gpa") ? address : { ...address, processor: owner };
}

/** A requester of the PCI bus as lspci writes it: "00:05.0". */
export function formatSourceId(source: number): string {
	const digits = (value: number) => value.toString(16).padStart(2, "0");
	return `${digits((source >> 8) & 0xff)}:${digits((source >> 3) & 0x1f)}.${source & 7}`;
}

/** @throws {RequestError} for anything but bus:device.function */
export function parseSourceId(text: string): number {
	const match = /^([0-9a-f]{1,2}):([01]?[0-9a-f])\.([0-7])$/i.exec(text.trim());
	if (!match) throw new RequestError(`"${text}" is not a device: write its bus, device and function, such as 00:05.0.`);
	return (Number.parseInt(match[1]!, 16) << 8) | (Number.parseInt(match[2]!, 16) << 3) | Number(match[3]);
}

/** Takes the device off a device address: "00:05.0:0x1000" → 00:05.0 and "0x1000"; a text without one stays whole. */
export function splitSource(text: string): { source?: number; rest: string } {
	const match = /^\s*([0-9a-f]{1,2}:[01]?[0-9a-f]\.[0-7])\s*:([\s\S]*)$/i.exec(text);
	return match ? { source: parseSourceId(match[1]!), rest: match[2]!.trim() } : { rest: text };
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
	const { space, rest: behind } = splitSpace(text);
	const { source, rest } = space === "iova" ? splitSource(behind) : { rest: behind };
	const value = parseNumber(rest);
	if (value === undefined)
		throw new RequestError(`"${text}" is not an address: write a number such as 0xc0100000 or gpa:0x1000.`);
	if (value > highest) throw new RequestError(`"${text}" is not an address: it does not fit into 64 bits.`);
	return { space, value, ...(source === undefined ? {} : { source }) };
}

export function addressSpaces(): readonly AddressSpace[] {
	return spaces;
}
