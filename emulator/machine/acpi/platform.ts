// What the ACPI tables of a machine say beyond what every PC here has.

/** I/O APIC ID: what its register says after reset, since nothing here has written another. */
export const IO_APIC_ID = 0;
export const IO_APIC_BASE = 0xfec0_0000;
export const LOCAL_APIC_BASE = 0xfee0_0000;
/** The interrupt that the PIIX4's power management raises. */
export const SCI_INTERRUPT = 9;
/** ISA interrupts that a PCI interrupt line is to be routed to. */
export const PCI_INTERRUPTS: readonly number[] = [5, 10, 11];

export interface AcpiPlatform {
	/** Processors with local APIC IDs from 0. */
	readonly processors: number;
	/** Bytes of RAM from address 0; between it and the I/O APIC lies the memory of PCI devices. */
	readonly memoryBytes: number;
	/** First port of the power management registers. */
	readonly powerPort: number;
	/** A VT-d unit stands between bus masters and memory. */
	readonly remapping: boolean;
}
