// All ACPI tables of a machine in one piece, with the places of pointers and checksums in it: a loader puts the piece somewhere and fills
// them in, or firmware does.

import { IO_APIC_SOURCE } from "../optional-devices.ts";
import { dmar } from "./dmar.ts";
import { dsdt } from "./dsdt.ts";
import { FADT_DSDT, FADT_DSDT_64, FADT_FACS, FADT_FACS_64, fadt } from "./fadt.ts";
import { madt } from "./madt.ts";
import type { AcpiPlatform } from "./platform.ts";
import { double, HEADER_BYTES, HEADER_CHECKSUM, OEM_ID, quad, table, text, word, zeros } from "./table-bytes.ts";

/** The FACS must lie on such a boundary (ACPI 6.4 §5.2.10). */
export const TABLE_ALIGNMENT = 64;
/** The root pointer too (§5.2.5.1). */
export const ROOT_ALIGNMENT = 16;

export interface Pointer {
	readonly at: number;
	readonly size: 4 | 8;
}

export interface Checksum {
	readonly at: number;
	readonly start: number;
	readonly length: number;
}

/** Bytes with pointers to tables, which hold offsets in the tables' piece; checksums are 0. */
export interface LinkedBytes {
	readonly bytes: Uint8Array;
	readonly pointers: readonly Pointer[];
	readonly checksums: readonly Checksum[];
}

export interface TableSet {
	readonly root: LinkedBytes;
	readonly tables: LinkedBytes;
}

const ROOT_BYTES = 36;
/** The part of the root pointer that ACPI 1.0 knows. */
export const ROOT_BYTES_1 = 20;

/** The firmware control structure: no waking vector, the global lock free. */
const facs = (): number[] => [...text("FACS"), ...double(64), ...zeros(24), 1, ...zeros(31)];

export function acpiTables(platform: AcpiPlatform): TableSet {
	const bytes: number[] = [];
	const pointers: Pointer[] = [];
	const checksums: Checksum[] = [];
	const put = (content: readonly number[], ...pointersIn: readonly Pointer[]): number => {
		while (bytes.length % TABLE_ALIGNMENT) bytes.push(0);
		const start = bytes.length;
		bytes.push(...content);
		for (const { at, size } of pointersIn) pointers.push({ at: start + at, size });
		return start;
	};
	const putTable = (content: readonly number[], ...pointersIn: readonly Pointer[]): number => {
		const start = put(content, ...pointersIn);
		checksums.push({ at: start + HEADER_CHECKSUM, start, length: content.length });
		return start;
	};
	const control = put(facs());
	const definitions = putTable(dsdt(platform));
	const fixed = putTable(
		fadt(platform, control, definitions),
		{ at: FADT_FACS, size: 4 },
		{ at: FADT_DSDT, size: 4 },
		{ at: FADT_FACS_64, size: 8 },
		{ at: FADT_DSDT_64, size: 8 },
	);
	const all = [fixed, putTable(madt(platform))];
	if (platform.remapping) all.push(putTable(dmar(IO_APIC_SOURCE)));
	const entries = (size: 4 | 8) => all.map((_, i): Pointer => ({ at: HEADER_BYTES + size * i, size }));
	const rsdt = putTable(table("RSDT", 1, all.flatMap(double)), ...entries(4));
	const xsdt = putTable(table("XSDT", 1, all.flatMap(quad)), ...entries(8));
	const root = [
		...[...text("RSD PTR "), 0, ...text(OEM_ID), 2, ...double(rsdt)],
		...[...double(ROOT_BYTES), ...quad(xsdt), 0, ...word(0), 0],
	];
	return {
		tables: { bytes: Uint8Array.from(bytes), pointers, checksums },
		root: {
			bytes: Uint8Array.from(root),
			pointers: [
				{ at: 16, size: 4 },
				{ at: 24, size: 8 },
			],
			checksums: [
				{ at: 8, start: 0, length: ROOT_BYTES_1 },
				{ at: 32, start: 0, length: ROOT_BYTES },
			],
		},
	};
}

/** The bytes as they are when the tables lie at `base`, an address below 2^32. */
export function linked({ bytes, pointers, checksums }: LinkedBytes, base: number): Uint8Array {
	const result = bytes.slice();
	const view = new DataView(result.buffer);
	for (const { at } of pointers) view.setUint32(at, view.getUint32(at, true) + base, true);
	for (const { at, start, length } of checksums)
		result[at] = result[at]! - result.subarray(start, start + length).reduce((sum, byte) => sum + byte, 0);
	return result;
}
