// The DMA remapping reporting table: where the VT-d unit's registers are and what it stands before.
// Reference: Intel VT-d specification 3.3, chapter 8 "BIOS Considerations".

import type { SourceId } from "../../devices/dma-port.ts";
import { REMAPPING_UNIT_BASE } from "../../devices/iommu/register-map.ts";
import { HOST_ADDRESS_BITS } from "../../devices/iommu/table-walk.ts";
import { IO_APIC_ID } from "./platform.ts";
import { quad, table, word, zeros } from "./table-bytes.ts";

const REVISION = 1;
const INTERRUPT_REMAPPING = 1;
const REMAPPING_UNIT = 0;
/** Every device of the segment that no other unit names. */
const INCLUDE_PCI_ALL = 1;
const IO_APIC_SCOPE = 3;

/** @param ioApic requester of the I/O APIC's interrupts. */
export function dmar(ioApic: SourceId): number[] {
	// The I/O APIC of the MADT by its ID, and the bus, device and function that its requests carry (§8.3.1).
	const scope = [IO_APIC_SCOPE, 8, ...word(0), IO_APIC_ID, ioApic >> 8, (ioApic >> 3) & 31, ioApic & 7];
	const unit = [INCLUDE_PCI_ALL, 0, ...word(0), ...quad(REMAPPING_UNIT_BASE), ...scope];
	return table("DMAR", REVISION, [
		...[Number(HOST_ADDRESS_BITS) - 1, INTERRUPT_REMAPPING, ...zeros(10)],
		...[...word(REMAPPING_UNIT), ...word(4 + unit.length), ...unit],
	]);
}
