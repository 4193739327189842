// The files by which firmware gets the ACPI tables, and the script that tells it how to put them into memory.
// Reference: QEMU, hw/acpi/bios-linker-loader.c and docs/specs/fw_cfg.rst.

import type { AcpiPlatform } from "./platform.ts";
import { acpiTables, type LinkedBytes, ROOT_ALIGNMENT, TABLE_ALIGNMENT } from "./table-set.ts";

const TABLES = "etc/acpi/tables";
const ROOT = "etc/acpi/rsdp";
const SCRIPT = "etc/table-loader";

const ENTRY_BYTES = 128;
const NAME_BYTES = 56;
const Command = { allocate: 1, addPointer: 2, addChecksum: 3 } as const;
/** Where a file is to lie: anywhere, or in the BIOS area where the root pointer is looked for. */
const Zone = { high: 1, biosArea: 2 } as const;

/** An entry of the script: its command and operands, numbers as 32 bits unless `bytes` says otherwise. */
function entry(command: number, names: readonly string[], numbers: readonly number[], last?: number): Uint8Array {
	const bytes = new Uint8Array(ENTRY_BYTES);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, command, true);
	names.forEach((name, i) => {
		bytes.set(new TextEncoder().encode(name), 4 + NAME_BYTES * i);
	});
	const operands = 4 + NAME_BYTES * names.length;
	for (const [i, value] of numbers.entries()) view.setUint32(operands + 4 * i, value, true);
	if (last !== undefined) bytes[operands + 4 * numbers.length] = last;
	return bytes;
}

function links(file: string, { pointers, checksums }: LinkedBytes): Uint8Array[] {
	return [
		...pointers.map(({ at, size }) => entry(Command.addPointer, [file, TABLES], [at], size)),
		...checksums.map(({ at, start, length }) => entry(Command.addChecksum, [file], [at, start, length])),
	];
}

function join(parts: readonly Uint8Array[]): Uint8Array {
	const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
	let at = 0;
	for (const part of parts) {
		bytes.set(part, at);
		at += part.length;
	}
	return bytes;
}

/** The files by name. All have the same length wherever the power management registers lie. */
export function acpiFiles(platform: AcpiPlatform): Readonly<Record<string, Uint8Array>> {
	const { root, tables } = acpiTables(platform);
	return {
		[TABLES]: tables.bytes,
		[ROOT]: root.bytes,
		[SCRIPT]: join([
			entry(Command.allocate, [ROOT], [ROOT_ALIGNMENT], Zone.biosArea),
			entry(Command.allocate, [TABLES], [TABLE_ALIGNMENT], Zone.high),
			...links(TABLES, tables),
			...links(ROOT, root),
		]),
	};
}
