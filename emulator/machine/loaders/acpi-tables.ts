// The ACPI tables that firmware would leave in the BIOS area (ACPI Specification 1.0b §5.2; 2.0 §5.2.10 for the MADT): root pointer, RSDT,
// FADT, FACS, an empty DSDT and the MADT, for kernels that are started without firmware.

import type { LoadTarget } from "./boot-state.ts";

const RSDP = 0xf0400;
const TABLES = 0xf1000;
const LOCAL_APIC = 0xfee00000;
const IO_APIC = 0xfec00000;
/** PM1a event and control blocks and the timer of the PIIX4 (devices/acpi-power.ts), and the interrupt that they raise. */
const PM_EVENTS = 0x600;
const PM_CONTROL = 0x604;
const PM_TIMER = 0x608;
const SCI = 9;
/** FADT flags: WBINVD works; the power and sleep buttons are no control-method devices; no sleep button. */
const FADT_FLAGS = 1 | (1 << 5);

const text = (value: string, length = value.length): number[] =>
	[...value.padEnd(length)].map((letter) => letter.charCodeAt(0));
const word = (value: number): number[] => [value & 0xff, (value >>> 8) & 0xff];
const double = (value: number): number[] => [...word(value & 0xffff), ...word(value >>> 16)];
const zeros = (count: number): number[] => new Array<number>(count).fill(0);
const checksum = (bytes: readonly number[]): number => -bytes.reduce((sum, byte) => sum + byte, 0) & 0xff;

/** A table with the standard header: signature, length, revision, checksum, identities. */
function table(signature: string, revision: number, body: readonly number[]): Uint8Array {
	const identity = [...text("HYPERS"), ...text("PC", 8), ...double(1), ...text("HYPE"), ...double(1)];
	const bytes = [...text(signature), ...double(36 + body.length), revision, 0, ...identity, ...body];
	bytes[9] = checksum(bytes);
	return Uint8Array.from(bytes);
}

function madt(): Uint8Array {
	return table("APIC", 1, [
		// The 8259A pair is there too.
		...[...double(LOCAL_APIC), ...double(1)],
		// Processor 0 with local APIC 0, enabled.
		...[0, 8, 0, 0, ...double(1)],
		...[1, 12, 0, 0, ...double(IO_APIC), ...double(0)],
		// IRQ 0 at input 2; the SCI is level-triggered, active high.
		...[2, 10, 0, 0, ...double(2), ...word(0)],
		...[2, 10, 0, SCI, ...double(SCI), ...word(0xd)],
		// NMI at LINT1 of every local APIC.
		...[4, 6, 0xff, ...word(0), 1],
	]);
}

function fadt(facs: number, dsdt: number): Uint8Array {
	return table("FACP", 1, [
		...[...double(facs), ...double(dsdt), 0, 0, ...word(SCI)],
		// No SMI command: ACPI is on from the start.
		...[...double(0), 0, 0, 0, 0],
		...[...double(PM_EVENTS), ...double(0), ...double(PM_CONTROL), ...double(0), ...double(0), ...double(PM_TIMER)],
		...[...double(0), ...double(0), 4, 2, 0, 4, 0, 0, 0, 0],
		// No C2 or C3; no cache to flush by reading; no duty cycle; the alarm of the clock is at its plain places.
		...[...word(0xffff), ...word(0xffff), ...word(0), ...word(0), 0, 0, 0, 0, 0, 0, 0, 0],
		...double(FADT_FLAGS),
	]);
}

/** The result is the root pointer. */
export function placeAcpiTables(target: LoadTarget): Uint8Array {
	let at = TABLES;
	const put = (bytes: Uint8Array): number => {
		const address = at;
		target.write(address, bytes);
		at = (at + bytes.length + 63) & ~63;
		return address;
	};
	const facs = put(Uint8Array.from([...text("FACS"), ...double(64), ...zeros(56)]));
	const dsdt = put(table("DSDT", 1, []));
	const tables = [put(fadt(facs, dsdt)), put(madt())];
	const rsdt = put(table("RSDT", 1, tables.flatMap(double)));
	const pointer = [...text("RSD PTR "), 0, ...text("HYPERS"), 0, ...double(rsdt)];
	pointer[8] = checksum(pointer);
	target.write(RSDP, Uint8Array.from(pointer));
	return Uint8Array.from(pointer);
}
