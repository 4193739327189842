// The tables as firmware would leave them, for kernels that a loader starts without firmware: in the BIOS area, which memory maps call
// reserved and kernels search for the root pointer (ACPI 6.4 §5.2.5.1).

import type { LoadTarget } from "../loaders/boot-state.ts";
import type { AcpiPlatform } from "./platform.ts";
import { acpiTables, linked } from "./table-set.ts";

/** Where the root pointer lies; the tables of the MultiProcessor Specification are below (loaders/multiprocessor-table.ts). */
export const ROOT_POINTER = 0xf_0400;
const TABLES = 0xf_1000;

/** The result is the root pointer's bytes. */
export function placeAcpiTables(target: LoadTarget, platform: AcpiPlatform): Uint8Array {
	const { root, tables } = acpiTables(platform);
	target.write(TABLES, linked(tables, TABLES));
	const pointer = linked(root, TABLES);
	target.write(ROOT_POINTER, pointer);
	return pointer;
}
