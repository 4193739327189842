// Message-signalled interrupts of an assigned function. What the guest writes into the capability is the VMM's to keep: the function
// itself sends the VMM's message, which interrupts the host, and the VMM then sends the guest's.
// Reference: PCI Local Bus Specification 3.0, §6.7 "Capabilities List", §6.8.1 "MSI Capability Structure".

import type { AccessSize, RegisterView } from "../../devices/device.ts";
import { CAPABILITY_MSI, MsiControl, MsiOffset } from "../../devices/message-signalled-interrupt.ts";
import { CAPABILITIES_POINTER } from "../../devices/pci-configuration-space.ts";

/** A configuration space. */
export interface Configuration {
	read(offset: number, size: AccessSize): number;
	write(offset: number, size: AccessSize, value: number): void;
}

/** A message: a write of `data` to `address`. */
export interface Message {
	readonly address: bigint;
	readonly data: number;
}

/** The way of the function's message to the host's processor. */
export interface MessageRoute {
	readonly isOpen: boolean;
	/** Opens it. @returns what the function has to send. */
	open(): Message;
	close(): void;
}

/** Dwords from 0x40 to 0xff: no list is longer. */
const MOST_CAPABILITIES = 48;

/** Where the function's MSI capability lies; undefined when it has none. */
export function findMessages(host: Configuration): number | undefined {
	let offset = host.read(CAPABILITIES_POINTER, 1) & ~3;
	for (let i = 0; i < MOST_CAPABILITIES && offset !== 0; i++) {
		if (host.read(offset, 1) === CAPABILITY_MSI) return offset;
		offset = host.read(offset + 1, 1) & ~3;
	}
	return undefined;
}

export class AssignedMessages {
	private readonly wide: boolean;

	/** @param offset of the capability, in both configuration spaces. */
	constructor(
		private readonly host: Configuration,
		private readonly guest: Configuration,
		readonly offset: number,
		private readonly route: MessageRoute,
	) {
		this.wide = (host.read(offset + MsiOffset.control, 1) & MsiControl.address64) !== 0;
	}

	get length(): number {
		return this.dataOffset + 2;
	}

	private get dataOffset(): number {
		return this.wide ? MsiOffset.data : MsiOffset.data32;
	}

	/** The capability as the guest finds it, one vector without mask, and the bits of it that the guest can write. */
	get initial(): { readonly mask: readonly number[]; readonly value: readonly number[] } {
		const address = [0xfc, 0xff, 0xff, 0xff, ...(this.wide ? [0xff, 0xff, 0xff, 0xff] : [])];
		const mask = [0, 0, MsiControl.enable, 0, ...address, 0xff, 0xff];
		const value = new Array<number>(this.length).fill(0);
		value[0] = CAPABILITY_MSI;
		value[MsiOffset.control] = this.wide ? MsiControl.address64 : 0;
		return { mask, value };
	}

	covers(offset: number): boolean {
		return offset >= this.offset && offset < this.offset + this.length;
	}

	private isEnabled(configuration: Configuration): boolean {
		return (configuration.read(this.offset + MsiOffset.control, 1) & MsiControl.enable) !== 0;
	}

	/** The guest may have turned its messages on or off: so are those of the function. */
	follow(): void {
		const { host, guest, route, offset } = this;
		const wanted = this.isEnabled(guest);
		if (wanted && !route.isOpen) {
			const { address, data } = route.open();
			host.write(offset + MsiOffset.address, 4, Number(address & 0xffff_ffffn));
			if (this.wide) host.write(offset + MsiOffset.addressHigh, 4, Number(address >> 32n));
			host.write(offset + this.dataOffset, 2, data);
		}
		if (wanted !== this.isEnabled(host)) {
			const control = host.read(offset + MsiOffset.control, 2);
			host.write(offset + MsiOffset.control, 2, wanted ? control | MsiControl.enable : control & ~MsiControl.enable);
		}
		if (!wanted && route.isOpen) route.close();
	}

	/** What the guest wants to be sent; undefined while its messages are off. */
	get message(): Message | undefined {
		const { guest, offset } = this;
		if (!this.isEnabled(guest)) return undefined;
		const high = this.wide ? BigInt(guest.read(offset + MsiOffset.addressHigh, 4)) : 0n;
		const address = (high << 32n) | BigInt(guest.read(offset + MsiOffset.address, 4));
		return { address, data: guest.read(offset + this.dataOffset, 2) };
	}

	registers(): RegisterView[] {
		const { guest, offset } = this;
		const enabled = this.isEnabled(guest);
		return [
			{
				name: "MSI control",
				width: 16,
				value: guest.read(offset + MsiOffset.control, 2),
				meaning: enabled ? "enabled" : "off: INTx is used",
			},
			{ name: "MSI address", width: 32, value: guest.read(offset + MsiOffset.address, 4) },
			{ name: "MSI data", width: 16, value: guest.read(offset + this.dataOffset, 2) },
		];
	}
}
