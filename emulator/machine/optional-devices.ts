// PCI devices that a machine has only when it is asked for them, and their places on bus 0.

import type { ApicBus } from "../devices/apic-bus.ts";
import type { Clock, Device } from "../devices/device.ts";
import { DmaEngine } from "../devices/dma-engine.ts";
import { type DmaMemory, DmaPath, sourceId } from "../devices/dma-port.ts";
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
}

/** Device numbers on bus 0; 0 is the host bridge and 1 the PIIX3. */
export const DMA_ENGINE_SLOT = 4;

/** What the optional devices need of the machine that they are put into. */
export interface PciSurroundings {
	readonly clock: Clock;
	readonly pci: PciBus;
	readonly isaBridge: Piix3IsaBridge;
	readonly apicBus: ApicBus;
}

export class OptionalDevices {
	readonly path: DmaPath;
	readonly all: Device[] = [];
	readonly dmaEngine: DmaEngine | undefined;

	constructor(configuration: OptionalDeviceConfiguration, surroundings: PciSurroundings) {
		const { clock, pci, isaBridge, apicBus } = surroundings;
		this.path = new DmaPath(
			configuration.memory,
			(address, data) => void apicBus.deliver(interruptMessage(address, data)),
		);
		if (configuration.devices.includes("dma-engine")) {
			const port = this.path.port(sourceId(DMA_ENGINE_SLOT, 0), "DMA engine");
			this.dmaEngine = new DmaEngine(pci, clock, port, isaBridge.line(DMA_ENGINE_SLOT, 0, 1));
			pci.add(DMA_ENGINE_SLOT, 0, this.dmaEngine);
			this.all.push(this.dmaEngine);
		}
	}
}
