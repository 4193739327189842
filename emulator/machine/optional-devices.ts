// PCI devices that a machine has only when it is asked for them, and their places on bus 0.

import type { ApicBus } from "../devices/apic-bus.ts";
import { AtaDisk } from "../devices/ata/ata-disk.ts";
import type { DriveMaker } from "../devices/ata/channel.ts";
import type { DiskImage } from "../devices/ata/disk-image.ts";
import { Piix3Ide } from "../devices/ata/piix3-ide.ts";
import type { Clock, Device, InterruptLine } from "../devices/device.ts";
import { DmaEngine } from "../devices/dma-engine.ts";
import { type DmaMemory, DmaPath, sourceId } from "../devices/dma-port.ts";
import type { IoPortBus } from "../devices/io-port-bus.ts";
import { interruptMessage } from "../devices/message-signalled-interrupt.ts";
import type { PciBus } from "../devices/pci-host-bridge.ts";
import type { Piix3IsaBridge } from "../devices/piix3-isa-bridge.ts";

/** The words of `--device`. */
export const OPTIONAL_DEVICES = ["dma-engine"] as const;
export type OptionalDeviceName = (typeof OPTIONAL_DEVICES)[number];

/** What a machine is to have beyond a bare PC. */
export interface OptionalDeviceConfiguration {
	/** What bus masters reach. */
	readonly memory: DmaMemory;
	readonly devices: readonly OptionalDeviceName[];
	/** Hard disks: primary master, primary slave, secondary master, secondary slave. */
	readonly disks: readonly DiskImage[];
}

/** Places for drives on the two IDE channels. */
export const MOST_DRIVES = 4;

/** Device numbers on bus 0; 0 is the host bridge and 1 the PIIX3, whose function 1 is IDE. */
const PIIX3_SLOT = 1;
export const DMA_ENGINE_SLOT = 4;

/** What the optional devices need of the machine that they are put into. */
export interface PciSurroundings {
	readonly clock: Clock;
	readonly ports: IoPortBus;
	/** One more driver of an ISA interrupt. */
	irq(number: number): InterruptLine;
	readonly pci: PciBus;
	readonly isaBridge: Piix3IsaBridge;
	readonly apicBus: ApicBus;
}

export class OptionalDevices {
	readonly path: DmaPath;
	readonly all: Device[] = [];
	readonly dmaEngine: DmaEngine | undefined;

	constructor(configuration: OptionalDeviceConfiguration, surroundings: PciSurroundings) {
		const { clock, ports, pci, isaBridge, apicBus } = surroundings;
		this.path = new DmaPath(
			configuration.memory,
			(address, data) => void apicBus.deliver(interruptMessage(address, data)),
		);
		if (configuration.disks.length > 0) {
			const drives = configuration.disks.map(
				(image, i): DriveMaker =>
					(drive) =>
						new AtaDisk(drive, image, `HS${String(i + 1).padStart(8, "0")}`),
			);
			const port = this.path.port(sourceId(PIIX3_SLOT, 1), "PIIX3 IDE");
			const ide = new Piix3Ide(pci, ports, clock, port, (number) => surroundings.irq(number), drives);
			pci.add(PIIX3_SLOT, 1, ide);
			this.all.push(ide);
		}
		if (configuration.devices.includes("dma-engine")) {
			const port = this.path.port(sourceId(DMA_ENGINE_SLOT, 0), "DMA engine");
			this.dmaEngine = new DmaEngine(pci, clock, port, isaBridge.line(DMA_ENGINE_SLOT, 0, 1));
			pci.add(DMA_ENGINE_SLOT, 0, this.dmaEngine);
			this.all.push(this.dmaEngine);
		}
	}
}
