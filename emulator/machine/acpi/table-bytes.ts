// Bytes of ACPI tables: little-endian numbers, texts, and the header that nearly every table begins with (ACPI 6.4 §5.2.6).

export const text = (value: string, length = value.length): number[] =>
	[...value.padEnd(length)].map((letter) => letter.charCodeAt(0));
export const word = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
export const double = (value: number): number[] => [...word(value & 0xffff), ...word(value >>> 16)];
/** Values below 2^32. */
export const quad = (value: number): number[] => [...double(value), 0, 0, 0, 0];
export const zeros = (count: number): number[] => new Array<number>(count).fill(0);

export const HEADER_BYTES = 36;
/** Where the header's checksum lies. */
export const HEADER_CHECKSUM = 9;
export const OEM_ID = "HYPERS";
const OEM_TABLE_ID = "PC";
const CREATOR = "HYPE";

/** A table whose checksum is still 0: it is made when the pointers in it are known. */
export function table(signature: string, revision: number, body: readonly number[]): number[] {
	return [
		...[...text(signature), ...double(HEADER_BYTES + body.length), revision, 0],
		...[...text(OEM_ID), ...text(OEM_TABLE_ID, 8), ...double(1), ...text(CREATOR), ...double(1)],
		...body,
	];
}
