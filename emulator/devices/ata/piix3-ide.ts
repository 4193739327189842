// The IDE function of a PIIX3, 8086:7010: two channels at their legacy ports, with bus masters.
// Reference: Intel 82371SB (PIIX3) data sheet (order number 290550), §2.5 to §2.7.

import type { AccessSize, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "../device.ts";
import type { DmaPort } from "../dma-port.ts";
import type { IoPortBus } from "../io-port-bus.ts";
import {
	COMMAND_BUS_MASTER,
	COMMAND_IO_SPACE,
	PciConfigurationSpace,
	type PciMapper,
} from "../pci-configuration-space.ts";
import type { PciFunction } from "../pci-host-bridge.ts";
import { Channel, type ChannelState, type DriveMaker } from "./channel.ts";

/** IDE timing registers of the two channels; bit 15 of each lets the channel decode its ports. */
const IDETIM = 0x40;
const IDE_DECODE_ENABLE = 0x80;
const BUS_MASTER_BAR = 4;
const BUS_MASTER_BYTES = 16;

/** Command and control blocks where PCs have had them since the AT, and their interrupts. */
const LEGACY = [
	{ name: "IDE primary", command: 0x1f0, control: 0x3f6, interrupt: 14 },
	{ name: "IDE secondary", command: 0x170, control: 0x376, interrupt: 15 },
] as const;

interface Piix3IdeState {
	channels: ChannelState[];
	configuration: unknown;
}

/** Device 00:01.1. Register block: the 16 bytes of the bus masters behind base address register 4. */
export class Piix3Ide implements Device, RegisterBlock, PciFunction {
	readonly name = "PIIX3 IDE";
	readonly configuration: PciConfigurationSpace;
	private readonly channels: readonly Channel[];
	private decoded = [false, false];

	/** @param drives primary 0 and 1, secondary 0 and 1. */
	constructor(
		mapper: PciMapper,
		private readonly ports: IoPortBus,
		clock: Clock,
		port: DmaPort,
		isaLine: (irq: number) => InterruptLine,
		drives: readonly (DriveMaker | undefined)[],
	) {
		this.configuration = new PciConfigurationSpace(
			{
				vendor: 0x8086,
				device: 0x7010,
				// Both channels in compatibility mode, bus mastering.
				classCode: 0x01_0180,
				baseAddresses: {
					[BUS_MASTER_BAR]: { space: "io", size: BUS_MASTER_BYTES, block: this, name: "IDE bus master" },
				},
			},
			mapper,
		);
		// Deviation: power-on leaves the channels off; here they decode from the start, as firmware leaves them.
		const timing = [0x00, IDE_DECODE_ENABLE];
		this.configuration.allowWrites(IDETIM, [0xff, 0xf3, 0xff, 0xf3], [...timing, ...timing]);
		this.configuration.allowWrites(0x04, [0x05], [COMMAND_IO_SPACE]);
		const enabled = () => (this.configuration.command & COMMAND_BUS_MASTER) !== 0;
		this.channels = LEGACY.map(
			({ name, interrupt }, i) =>
				new Channel(name, clock, port, enabled, isaLine(interrupt), drives.slice(2 * i, 2 * i + 2)),
		);
		this.configuration.onWrite = () => this.decode();
		this.decode();
	}

	private decode(): void {
		const io = (this.configuration.command & COMMAND_IO_SPACE) !== 0;
		LEGACY.forEach(({ name, command, control }, i) => {
			const wanted = io && (this.configuration.bytes[IDETIM + 2 * i + 1]! & IDE_DECODE_ENABLE) !== 0;
			if (wanted === this.decoded[i]) return;
			// Something else that was put there stays there.
			if (wanted && (this.ports.overlapping(command, 8) || this.ports.overlapping(control, 1))) return;
			this.decoded[i] = wanted;
			if (wanted) {
				this.ports.register(command, 8, this.channels[i]!.commandBlock, name);
				this.ports.register(control, 1, this.channels[i]!.controlBlock, `${name} control`);
			} else {
				this.ports.unregister(command);
				this.ports.unregister(control);
			}
		});
	}

	read(offset: number, size: AccessSize): number {
		return this.channels[offset >> 3]!.busMaster.read(offset & 7, size);
	}

	write(offset: number, size: AccessSize, value: number): void {
		this.channels[offset >> 3]!.busMaster.write(offset & 7, size, value);
	}

	reset(): void {
		this.configuration.reset();
		for (const channel of this.channels) channel.reset();
		this.decode();
	}

	save(): unknown {
		return {
			channels: this.channels.map((channel) => channel.save()),
			configuration: this.configuration.save(),
		} satisfies Piix3IdeState;
	}

	restore(state: unknown): void {
		const { channels, configuration } = state as Piix3IdeState;
		this.configuration.restore(configuration);
		this.decode();
		channels.forEach((saved, i) => {
			this.channels[i]!.restore(saved);
		});
	}

	registers(): RegisterView[] {
		return [...this.configuration.registers(), ...this.channels.flatMap((channel) => channel.registers())];
	}
}
