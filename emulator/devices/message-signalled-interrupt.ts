// Message-signalled interrupts: the capability of a PCI function, and the message as the processor's side reads it.
// References: PCI Local Bus Specification 3.0, §6.8.1; SDM volume 3A, section 11.11.

import type { InterruptMessage } from "./apic-bus.ts";
import type { RegisterView } from "./device.ts";
import type { DmaPort } from "./dma-port.ts";
import { CAPABILITIES_POINTER, type PciConfigurationSpace, STATUS } from "./pci-configuration-space.ts";
import { hex } from "./register-format.ts";

export const CAPABILITY_MSI = 0x05;
const STATUS_CAPABILITIES = 0x10;
/** Offsets in a capability with 64-bit addresses; with 32-bit ones the data follows the address at once. */
export const MsiOffset = { control: 2, address: 4, addressHigh: 8, data: 12, data32: 8 } as const;
export const MsiControl = { enable: 0x01, address64: 0x80 } as const;

/** The message in compatibility format (SDM Vol. 3A §11.11.1 and §11.11.2). */
export function interruptMessage(address: number, data: number): InterruptMessage {
	return {
		destination: (address >>> 12) & 0xff,
		logical: (address & 4) !== 0,
		deliveryMode: (data >>> 8) & 7,
		vector: data & 0xff,
		levelTriggered: (data & 0x8000) !== 0,
	};
}

/** One vector, 64-bit addresses, no masking. Its state is the bytes of the configuration space. */
export class MsiCapability {
	/** @param offset of the capability in configuration space; it becomes the only one of the function. */
	constructor(
		private readonly configuration: PciConfigurationSpace,
		private readonly offset: number,
		private readonly port: DmaPort,
	) {
		configuration.allowWrites(STATUS, [0], [STATUS_CAPABILITIES]);
		configuration.allowWrites(CAPABILITIES_POINTER, [0], [offset]);
		configuration.allowWrites(
			offset,
			[0, 0, MsiControl.enable, 0, 0xfc, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
			[CAPABILITY_MSI, 0, MsiControl.address64, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
		);
	}

	get enabled(): boolean {
		return (this.configuration.bytes[this.offset + MsiOffset.control]! & MsiControl.enable) !== 0;
	}

	/** Sends the message if the guest has enabled it. */
	send(): boolean {
		const { configuration, offset } = this;
		if (!this.enabled) return false;
		const high = BigInt(configuration.read(offset + MsiOffset.addressHigh, 4));
		const address = (high << 32n) | BigInt(configuration.read(offset + MsiOffset.address, 4));
		return this.port.signal(address, configuration.read(offset + MsiOffset.data, 2));
	}

	registers(): RegisterView[] {
		const { configuration, offset } = this;
		const address = configuration.read(offset + MsiOffset.address, 4);
		return [
			{
				name: "MSI control",
				width: 16,
				value: configuration.read(offset + MsiOffset.control, 2),
				meaning: this.enabled ? "enabled" : "off: INTx is used",
			},
			{ name: "MSI address", width: 32, value: address, meaning: hex(address, 32) },
			{ name: "MSI data", width: 16, value: configuration.read(offset + MsiOffset.data, 2) },
		];
	}
}
