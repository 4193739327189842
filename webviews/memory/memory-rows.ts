// What the memory view shows of the bytes that it was given: rows, units of one size, little-endian as the processor has them.
import type { MemoryBody } from "../../debug-adapter/protocol.ts";

/** Bytes of a unit. */
export type UnitSize = 1 | 2 | 4 | 8;

/** A byte, or undefined where memory cannot be read. */
export type Byte = number | undefined;

export interface MemoryRow {
	readonly address: bigint;
	readonly bytes: readonly Byte[];
	/** The symbol that begins here, and what the words of the row point to. */
	readonly note: string;
}

/** The rows of an answer, of so many bytes each; the last may be shorter. */
export function memoryRows(body: MemoryBody, rowLength: number): MemoryRow[] {
	const bytes = new Array<Byte>(body.count).fill(undefined);
	for (const { offset, data } of body.parts) {
		const text = atob(data);
		for (let at = 0; at < text.length; at++) bytes[offset + at] = text.charCodeAt(at);
	}
	const notes = new Map<number, string[]>();
	const note = (offset: number, text: string) => {
		const row = Math.floor(offset / rowLength);
		notes.set(row, [...(notes.get(row) ?? []), text]);
	};
	for (const { offset, name } of body.names) note(offset, `${name}:`);
	for (const { offset, name } of body.pointers) note(offset, `→ ${name}`);
	const start = BigInt(body.start);
	return Array.from({ length: Math.ceil(body.count / rowLength) }, (_, row) => ({
		address: start + BigInt(row * rowLength),
		bytes: bytes.slice(row * rowLength, (row + 1) * rowLength),
		note: (notes.get(row) ?? []).join(" "),
	}));
}

/** The units of a row in hexadecimal; "?" for what cannot be read. */
export function unitTexts(bytes: readonly Byte[], size: UnitSize): string[] {
	return Array.from({ length: Math.floor(bytes.length / size) }, (_, index) => {
		const value = unitValue(bytes.slice(index * size, (index + 1) * size));
		return value === undefined ? "?".repeat(size * 2) : value.toString(16).padStart(size * 2, "0");
	});
}

/** The number that the bytes are, lowest first; undefined when one of them cannot be read. */
export function unitValue(bytes: readonly Byte[]): bigint | undefined {
	let value = 0n;
	for (const byte of [...bytes].reverse()) {
		if (byte === undefined) return undefined;
		value = (value << 8n) | BigInt(byte);
	}
	return value;
}

/** Printable ASCII; a point for other bytes, a space for what cannot be read. */
export function asciiText(bytes: readonly Byte[]): string {
	return bytes
		.map((byte) => (byte === undefined ? " " : byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : "."))
		.join("");
}

/**
 * The bytes of a number that was typed for a unit.
 * @throws {Error} with one sentence when it is none or does not fit.
 */
export function typedBytes(text: string, size: UnitSize): number[] {
	const typed = text.trim();
	const match = /^(-?)(0x[0-9a-f]+|\d+)$/i.exec(typed);
	if (!match) throw new Error(`"${typed}" is no number: write one such as 0x1f or 31.`);
	const value = match[1] ? -BigInt(match[2]!) : BigInt(match[2]!);
	const bits = BigInt(size * 8);
	if (value >= 1n << bits || value < -(1n << (bits - 1n)))
		throw new Error(`${typed} does not fit into ${size} ${size === 1 ? "byte" : "bytes"}.`);
	const unsigned = BigInt.asUintN(size * 8, value);
	return Array.from({ length: size }, (_, index) => Number((unsigned >> BigInt(index * 8)) & 0xffn));
}

/** The bytes of a selection as numbers of each size, for the line below the listing. */
export function readings(bytes: readonly Byte[]): { readonly name: string; readonly text: string }[] {
	const found: { name: string; text: string }[] = [];
	for (const size of [1, 2, 4, 8] as const) {
		if (bytes.length < size) break;
		const value = unitValue(bytes.slice(0, size));
		if (value === undefined) break;
		const signed = BigInt.asIntN(size * 8, value);
		found.push({ name: `${size * 8} bits`, text: signed < 0n ? `${value} (${signed})` : value.toString() });
	}
	return found;
}
