// PCI devices that a machine has only when it is asked for them, and their places on bus 0.

import type { ApicBus, InterruptMessage } from "../devices/apic-bus.ts";
import { AtaDisk } from "../devices/ata/ata-disk.ts";
import { CdromDrive } from "../devices/ata/cdrom-drive.ts";
import type { DriveMaker } from "../devices/ata/channel.ts";
import type { DiscImage } from "../devices/ata/disc-image.ts";
import type { DiskImage } from "../devices/ata/disk-image.ts";
import { Piix3Ide } from "../devices/ata/piix3-ide.ts";
import type { Clock, Device, InterruptLine } from "../devices/device.ts";
import { DmaEngine } from "../devices/dma-engine.ts";
import { type DmaMemory, DmaPath, type SourceId, sourceId } from "../devices/dma-port.ts";
import { E1000 } from "../devices/e1000/e1000.ts";
import type { IoApic } from "../devices/io-apic.ts";
import type { IoPortBus } from "../devices/io-port-bus.ts";
import { REMAPPING_UNIT_BASE, REMAPPING_UNIT_BYTES } from "../devices/iommu/register-map.ts";
import { RemappingUnit } from "../devices/iommu/remapping-unit.ts";
import type { MemoryBus } from "../devices/memory-bus.ts";
import { interruptMessage } from "../devices/message-signalled-interrupt.ts";
import type { PciBus } from "../devices/pci-host-bridge.ts";
import type { Piix3IsaBridge } from "../devices/piix3-isa-bridge.ts";

/** The words of `--device`. */
export const OPTIONAL_DEVICES = ["dma-engine", "e1000"] as const;
export type OptionalDeviceName = (typeof OPTIONAL_DEVICES)[number];

/** What a machine is to have beyond a bare PC. */
export interface OptionalDeviceConfiguration {
	/** What bus masters reach. */
	readonly memory: DmaMemory;
	readonly devices: readonly OptionalDeviceName[];
	/** Hard disks: primary master, primary slave, secondary master, secondary slave. */
	readonly disks: readonly DiskImage[];
	/** The disc in a CD-ROM drive, which is the secondary master then. */
	readonly cdrom?: DiscImage | undefined;
	/** The IDE function is there without drives too. */
	readonly ide?: boolean;
	/** A VT-d remapping unit stands between bus masters and memory. */
	readonly iommu?: boolean;
	/**
	 * Takes the place of the machine's interrupt controllers: the line of a requester by its number (1 for INTA#, 14 and 15 for the IDE
	 * channels). A VMM that assigns the devices to its guest hears of their interrupts by it.
	 */
	readonly line?: (source: SourceId, number: number) => InterruptLine;
}

/** Places for drives on the two IDE channels. */
export const MOST_DRIVES = 4;
/** The secondary master. */
const CDROM_PLACE = 2;

/** Device numbers on bus 0; 0 is the host bridge and 1 the PIIX3, whose function 1 is IDE. */
const PIIX3_SLOT = 1;
const E1000_SLOT = 3;
const DMA_ENGINE_SLOT = 4;
/** The requesters on demand. */
export const IDE_SOURCE = sourceId(PIIX3_SLOT, 1);
export const E1000_SOURCE = sourceId(E1000_SLOT, 0);
export const DMA_ENGINE_SOURCE = sourceId(DMA_ENGINE_SLOT, 0);
/** The I/O APIC as a requester of interrupts: a function that no bus has, as chipsets do it. */
export const IO_APIC_SOURCE: SourceId = 0xf0f8;

/** What the optional devices need of the machine that they are put into. */
export interface PciSurroundings {
	readonly clock: Clock;
	readonly ports: IoPortBus;
	readonly memory: MemoryBus;
	readonly ioApic: IoApic;
	/** One more driver of an ISA interrupt. */
	irq(number: number): InterruptLine;
	readonly pci: PciBus;
	readonly isaBridge: Piix3IsaBridge;
	readonly apicBus: ApicBus;
}

export class OptionalDevices {
	readonly path: DmaPath;
	readonly all: Device[] = [];
	readonly iommu: RemappingUnit | undefined;

	constructor(configuration: OptionalDeviceConfiguration, surroundings: PciSurroundings) {
		const { clock, ports, pci, isaBridge, apicBus } = surroundings;
		const { line } = configuration;
		const deliver = (message: InterruptMessage) => apicBus.deliver(message);
		this.path = new DmaPath(configuration.memory, (address, data) => void deliver(interruptMessage(address, data)));
		if (configuration.iommu) {
			const unit = new RemappingUnit(configuration.memory, deliver);
			this.iommu = this.path.remapping = unit;
			surroundings.ioApic.remapping = (address, data) => unit.interrupt(IO_APIC_SOURCE, address, data);
			surroundings.memory.register(REMAPPING_UNIT_BASE, REMAPPING_UNIT_BYTES, unit, unit.name);
			this.all.push(unit);
		}
		const { disks, cdrom } = configuration;
		if (disks.length > 0 || cdrom || configuration.ide) {
			const drives: (DriveMaker | undefined)[] = disks.map(
				(image, i) => (drive) => new AtaDisk(drive, image, `HS${String(i + 1).padStart(8, "0")}`),
			);
			if (cdrom) {
				while (drives.length < CDROM_PLACE) drives.push(undefined);
				drives.splice(CDROM_PLACE, 0, (drive) => new CdromDrive(drive, cdrom));
			}
			const port = this.path.port(IDE_SOURCE, "PIIX3 IDE");
			const irq = (number: number) => line?.(IDE_SOURCE, number) ?? surroundings.irq(number);
			const ide = new Piix3Ide(pci, ports, clock, port, irq, drives);
			pci.add(PIIX3_SLOT, 1, ide);
			this.all.push(ide);
		}
		if (configuration.devices.includes("e1000")) {
			const port = this.path.port(E1000_SOURCE, "82540EM");
			const pin = line?.(E1000_SOURCE, 1) ?? isaBridge.line(E1000_SLOT, 0, 1);
			const controller = new E1000(pci, clock, port, pin);
			pci.add(E1000_SLOT, 0, controller);
			this.all.push(controller);
		}
		if (configuration.devices.includes("dma-engine")) {
			const port = this.path.port(DMA_ENGINE_SOURCE, "DMA engine");
			const pin = line?.(DMA_ENGINE_SOURCE, 1) ?? isaBridge.line(DMA_ENGINE_SLOT, 0, 1);
			const engine = new DmaEngine(pci, clock, port, pin);
			pci.add(DMA_ENGINE_SLOT, 0, engine);
			this.all.push(engine);
		}
	}
}
