// The multiple APIC description table: local APICs, the I/O APIC, and where ISA interrupts differ from what ISA has.
// Reference: ACPI Specification 6.4, section 5.2.12.

import {
	type AcpiPlatform,
	IO_APIC_BASE,
	IO_APIC_ID,
	LOCAL_APIC_BASE,
	PCI_INTERRUPTS,
	SCI_INTERRUPT,
} from "./platform.ts";
import { double, table, word } from "./table-bytes.ts";

const REVISION = 3;
/** The 8259A pair is there too. */
const PC_AT_COMPATIBLE = 1;
const Entry = { localApic: 0, ioApic: 1, sourceOverride: 2, localApicNmi: 4 } as const;
const ENABLED = 1;
const ISA_BUS = 0;
/** Polarity and trigger mode (table 5.50): as the bus has it; or active high and level. */
const AS_THE_BUS = 0;
const LEVEL_ACTIVE_HIGH = 0x0d;
const EVERY_PROCESSOR = 0xff;

export function madt({ processors }: AcpiPlatform): number[] {
	const override = (source: number, input: number, flags: number) => [
		...[Entry.sourceOverride, 10, ISA_BUS, source, ...double(input), ...word(flags)],
	];
	const level = [...PCI_INTERRUPTS, SCI_INTERRUPT].sort((a, b) => a - b);
	return table("APIC", REVISION, [
		...[...double(LOCAL_APIC_BASE), ...double(PC_AT_COMPATIBLE)],
		...Array.from({ length: processors }, (_, id) => [Entry.localApic, 8, id, id, ...double(ENABLED)]).flat(),
		...[Entry.ioApic, 12, IO_APIC_ID, 0, ...double(IO_APIC_BASE), ...double(0)],
		// IRQ 0 comes in at input 2.
		...override(0, 2, AS_THE_BUS),
		...level.flatMap((number) => override(number, number, LEVEL_ACTIVE_HIGH)),
		// NMI at LINT1.
		...[Entry.localApicNmi, 6, EVERY_PROCESSOR, ...word(AS_THE_BUS), 1],
	]);
}
