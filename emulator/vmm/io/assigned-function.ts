// A PCI function of the host as the guest finds it on its own bus: its registers are the host's, its configuration space is the
// VMM's, which lets through what concerns the function alone. Reference: PCI Local Bus Specification 3.0, chapter 6.

import type { AccessSize, Device, RegisterBlock, RegisterView } from "../../devices/device.ts";
import {
	type BaseAddressRegister,
	CAPABILITIES_POINTER,
	COMMAND,
	PciConfigurationSpace,
	type PciIdentity,
	type PciMapper,
	STATUS,
} from "../../devices/pci-configuration-space.ts";

import {
	AssignedMessages,
	type Configuration,
	findMessages,
	type Message,
	type MessageRoute,
} from "./assigned-messages.ts";

/** The function's configuration space on the host's bus. */
export interface HostFunction {
	readonly name: string;
	readonly identity: PciIdentity;
	readConfiguration(offset: number, size: AccessSize): number;
	writeConfiguration(offset: number, size: AccessSize, value: number): void;
	/** The registers behind a base address register, wherever the VMM has put them on the host. */
	registers(number: number): RegisterBlock;
	reset(): void;
	/** The way of its messages, for a function that has the capability. */
	readonly route: MessageRoute;
}

const DEVICE_SPECIFIC = 0x40;
/** Status bit 4, in the low byte: a capability list. */
const CAPABILITY_LIST = 0x10;

/**
 * Header: the VMM's, but for command and status. Behind it: the host's, unless it holds capabilities. Of these the guest gets MSI alone,
 * which is the VMM's too.
 */
class AssignedConfiguration extends PciConfigurationSpace {
	readonly messages: AssignedMessages | undefined;
	private readonly hasCapabilities: boolean;

	constructor(
		private readonly host: HostFunction,
		mapper: PciMapper,
	) {
		super(guestIdentity(host), mapper);
		const ofHost: Configuration = {
			read: (offset, size) => host.readConfiguration(offset, size),
			write: (offset, size, value) => host.writeConfiguration(offset, size, value),
		};
		const ofGuest: Configuration = {
			read: (offset, size) => super.read(offset, size),
			write: (offset, size, value) => super.write(offset, size, value),
		};
		this.hasCapabilities = host.readConfiguration(CAPABILITIES_POINTER, 1) !== 0;
		const offset = this.hasCapabilities ? findMessages(ofHost) : undefined;
		if (offset === undefined) return;
		this.messages = new AssignedMessages(ofHost, ofGuest, offset, host.route);
		const { mask, value } = this.messages.initial;
		this.allowWrites(offset, mask, value);
		this.allowWrites(CAPABILITIES_POINTER, [0], [offset]);
	}

	override read(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.readByte((offset + i) & 0xff);
		return value;
	}

	private readByte(offset: number): number {
		const { messages, host } = this;
		if (offset >= DEVICE_SPECIFIC) {
			if (messages?.covers(offset)) return super.read(offset, 1);
			return this.hasCapabilities ? 0 : host.readConfiguration(offset, 1);
		}
		if (offset === STATUS) {
			const status = host.readConfiguration(offset, 1);
			return messages ? status : status & ~CAPABILITY_LIST;
		}
		return offset === STATUS + 1 ? host.readConfiguration(offset, 1) : super.read(offset, 1);
	}

	override write(offset: number, size: AccessSize, value: number): void {
		super.write(offset, size, value);
		for (let i = 0; i < size; i++) {
			const at = (offset + i) & 0xff;
			const byte = (value >>> (8 * i)) & 0xff;
			// The host's own address decoding follows the guest's: where its registers lie there is the VMM's.
			if (at === COMMAND || at === COMMAND + 1) this.host.writeConfiguration(at, 1, this.bytes[at]!);
			else if (at === STATUS + 1) this.host.writeConfiguration(at, 1, byte);
			else if (at >= DEVICE_SPECIFIC && !this.hasCapabilities) this.host.writeConfiguration(at, 1, byte);
		}
		this.messages?.follow();
	}

	override reset(): void {
		super.reset();
		this.messages?.follow();
	}

	override restore(state: unknown): void {
		super.restore(state);
		this.messages?.follow();
	}

	override registers(): RegisterView[] {
		return [...super.registers(), ...(this.messages?.registers() ?? [])];
	}
}

function guestIdentity(host: HostFunction): PciIdentity {
	const bars = Object.entries(host.identity.baseAddresses ?? {}).map(([number, bar]) => {
		return [number, { ...bar, block: host.registers(Number(number)) } satisfies BaseAddressRegister] as const;
	});
	return { ...host.identity, baseAddresses: Object.fromEntries(bars) };
}

/** What of it is saved: the guest's configuration space. The function itself is a device of the host. */
export class AssignedFunction implements Device {
	readonly name: string;
	readonly configuration: AssignedConfiguration;

	constructor(
		private readonly host: HostFunction,
		mapper: PciMapper,
	) {
		this.name = `${host.name}, as the guest sees it`;
		this.configuration = new AssignedConfiguration(host, mapper);
		// What the guest finds after power-on is what the function has then.
		const command = [host.readConfiguration(COMMAND, 1), host.readConfiguration(COMMAND + 1, 1)];
		this.configuration.allowWrites(COMMAND, [0x47, 0x05], command);
		this.configuration.updateMappings();
	}

	/** What the guest wants to be sent as the function's message; undefined while its messages are off. */
	get message(): Message | undefined {
		return this.configuration.messages?.message;
	}

	/** The guest's bus is reset: the function as well, so that no transfer of its former life goes on. */
	reset(): void {
		this.host.reset();
		this.configuration.reset();
	}

	save(): unknown {
		return this.configuration.save();
	}

	restore(state: unknown): void {
		this.configuration.restore(state);
	}

	registers(): RegisterView[] {
		return this.configuration.registers();
	}
}
