// The fixed description table: the PIIX4's power management registers and how to reset. Reference: ACPI Specification 6.4, section 5.2.9.

import { PM_TIMER, PM1_CONTROL, PM1_STATUS } from "../../devices/acpi-power.ts";
import { type AcpiPlatform, SCI_INTERRUPT } from "./platform.ts";
import { double, HEADER_BYTES, table, word, zeros } from "./table-bytes.ts";

const REVISION = 3;
const DESKTOP = 1;
/** IAPC_BOOT_ARCH: there are ISA devices, and an 8042. */
const LEGACY_DEVICES_AND_8042 = 0x03;
/** Flags: WBINVD works; C1 on every processor; no fixed sleep button; the clock wakes nothing; the reset register is there. */
const FLAGS = (1 << 0) | (1 << 2) | (1 << 5) | (1 << 6) | (1 << 10);
/** There is no C2 and no C3. */
const NO_C2 = 101;
const NO_C3 = 1001;
/** Reset control of the PIIX3: a hard reset. */
const RESET_PORT = 0xcf9;
const RESET_VALUE = 0x06;

/** Offsets of the pointers, which hold offsets among the tables until these have their place. */
export const FADT_FACS = HEADER_BYTES;
export const FADT_DSDT = HEADER_BYTES + 4;
export const FADT_FACS_64 = 132;
export const FADT_DSDT_64 = 140;

const AccessSize = { byte: 1, word: 2, double: 3 } as const;

/** A generic address in I/O space (§5.2.3.2). */
const generic = (port: number, bits: number, size: number): number[] => [
	1,
	bits,
	0,
	size,
	...double(port),
	...double(0),
];
const NOWHERE = zeros(12);

export function fadt({ powerPort }: AcpiPlatform, facs: number, dsdt: number): number[] {
	const events = powerPort + PM1_STATUS;
	const control = powerPort + PM1_CONTROL;
	const timer = powerPort + PM_TIMER;
	return table("FACP", REVISION, [
		...[...double(facs), ...double(dsdt), 0, DESKTOP, ...word(SCI_INTERRUPT)],
		// No SMI command port: ACPI is on from the start.
		...[...double(0), 0, 0, 0, 0],
		// PM1b and PM2 are not there, and no general-purpose events.
		...[...double(events), ...double(0), ...double(control), ...double(0), ...double(0), ...double(timer)],
		...[...double(0), ...double(0), 4, 2, 0, 4, 0, 0, 0, 0, ...word(NO_C2), ...word(NO_C3)],
		// No cache to flush by reading, no duty cycle, no alarm by day or month, no century.
		...[...word(0), ...word(0), 0, 0, 0, 0, 0, ...word(LEGACY_DEVICES_AND_8042), 0, ...double(FLAGS)],
		...[...generic(RESET_PORT, 8, AccessSize.byte), RESET_VALUE, ...word(0), 0],
		...[...double(facs), ...double(0), ...double(dsdt), ...double(0)],
		...[...generic(events, 32, AccessSize.word), ...NOWHERE],
		...[...generic(control, 16, AccessSize.word), ...NOWHERE, ...NOWHERE],
		...[...generic(timer, 32, AccessSize.double), ...NOWHERE, ...NOWHERE],
	]);
}
