// A network controller, Intel 82540EM, 8086:100e: what drivers for the 8254x family need. At the other end of its cable is a station
// of the emulator's own, so that no frame comes from outside of the machine.
// Reference: PCI/PCI-X Family of Gigabit Ethernet Controllers Software Developer's Manual (Intel, order number 317453).

import type { AccessSize, Alarm, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "../device.ts";
import type { DmaPort } from "../dma-port.ts";
import { describeFrame, peerAnswers } from "../network/ethernet-peer.ts";
import {
	COMMAND_BUS_MASTER,
	COMMAND_INTERRUPT_DISABLE,
	PciConfigurationSpace,
	type PciMapper,
} from "../pci-configuration-space.ts";
import type { PciFunction } from "../pci-host-bridge.ts";
import { bits } from "../register-format.ts";
import { Eeprom } from "./eeprom.ts";
import { Phy } from "./phy.ts";
import { Receiver } from "./receive.ts";
import {
	CAUSE_NAMES,
	Cause,
	Control,
	LINK_UP,
	Offset,
	REGISTER_BYTES,
	ReceiveControl,
	STATUS_LINKED,
	STATUS_UNLINKED,
	Statistic,
	WINDOW_BYTES,
	Words,
} from "./register-map.ts";
import { type TransmitState, Transmitter } from "./transmit.ts";

export const E1000_HARDWARE_ADDRESS = [0x02, 0x48, 0x53, 0x00, 0x00, 0x01] as const;

/** From the tail's write to the first frame on the wire; frames then take a nanosecond a bit. */
const TRANSMIT_TIME = 1000;
/** From a frame to the peer's answer. */
const ANSWER_TIME = 20_000;
/** Frames that are on their way to the controller; further ones are lost. */
const MOST_PENDING = 256;
/** Frames that the view remembers. */
const MOST_LOGGED = 16;
const EERD_START = 1;
const EERD_DONE = 0x10;
const IO_BYTES = 64;
const IO_ADDRESS = 0;
const IO_DATA = 4;
/** Registers that are not plain memory when they are written. */
const READ_ONLY = new Set<number>([Offset.status, Offset.cause]);

interface PendingFrame {
	time: number;
	bytes: Uint8Array;
}

/** A frame as it passed the cable, stamped with virtual time. */
interface LoggedFrame {
	time: number;
	sent: boolean;
	bytes: number;
	what: string;
}

interface E1000State {
	words: number[];
	ioAddress: number;
	mask: number;
	transmit: TransmitState;
	/** Virtual time of the next turn of the transmit unit; 0: none is due. */
	transmitAt: number;
	pending: PendingFrame[];
	log: LoggedFrame[];
	eeprom: unknown;
	phy: number[];
	configuration: unknown;
}

/** Register block: the window of base address register 0. */
export class E1000 implements Device, RegisterBlock, PciFunction {
	readonly name = "82540EM";
	readonly configuration: PciConfigurationSpace;
	private readonly words = new Words();
	private readonly eeprom = new Eeprom(E1000_HARDWARE_ADDRESS);
	private readonly phy = new Phy();
	private readonly transmitter: Transmitter;
	private readonly receiver: Receiver;
	private ioAddress = 0;
	private mask = 0;
	private transmitAt = 0;
	private pending: PendingFrame[] = [];
	private log: LoggedFrame[] = [];
	private transmitAlarm: Alarm | undefined;
	private receiveAlarm: Alarm | undefined;

	constructor(
		mapper: PciMapper,
		private readonly clock: Clock,
		port: DmaPort,
		private readonly line: InterruptLine,
	) {
		const io: RegisterBlock = {
			read: (offset, size) => this.readPort(offset, size),
			write: (offset, size, value) => this.writePort(offset, size, value),
		};
		// Deviation: without the power-management, PCI-X and MSI capabilities, which no driver needs.
		this.configuration = new PciConfigurationSpace(
			{
				vendor: 0x8086,
				device: 0x100e,
				revision: 2,
				classCode: 0x02_0000,
				subsystemVendor: 0x8086,
				subsystem: 0x001e,
				interruptPin: 1,
				baseAddresses: {
					0: { space: "memory32", size: WINDOW_BYTES, block: this, name: "82540EM registers" },
					2: { space: "io", size: IO_BYTES, block: io, name: "82540EM ports" },
				},
			},
			mapper,
		);
		this.configuration.onWrite = () => this.drive();
		this.transmitter = new Transmitter(this.words, port, (frame) => this.sent(frame));
		this.receiver = new Receiver(this.words, port);
		this.resetRegisters();
	}

	/** §14.1: all registers but the receive addresses behind the first are as after power-on; the first comes from the EEPROM. */
	private resetRegisters(): void {
		const { words } = this;
		words.values.fill(0);
		const [a, b, c] = [this.eeprom.word(0), this.eeprom.word(1), this.eeprom.word(2)];
		words.set(Offset.receiveAddress, (a | (b << 16)) >>> 0);
		words.set(Offset.receiveAddress + 4, (0x8000_0000 | c) >>> 0);
		words.set(Offset.status, STATUS_UNLINKED);
		this.mask = 0;
		this.transmitter.reset();
		this.eeprom.reset();
		this.phy.reset();
		this.pending = [];
		this.transmitAt = 0;
		this.schedule();
	}

	// Registers.

	read(offset: number, size: AccessSize): number {
		if (size !== 4 || offset & 3) {
			const word = this.read(offset & ~3, 4);
			return (word >>> (8 * (offset & 3))) & (size === 1 ? 0xff : 0xffff);
		}
		if (offset >= REGISTER_BYTES) return 0;
		const { words } = this;
		const value = words.get(offset);
		switch (offset) {
			case Offset.eepromControl:
				return this.eeprom.control;
			case Offset.cause:
				// Reading clears (§13.4.17).
				words.set(offset, 0);
				this.drive();
				return value;
			case Offset.maskSet:
				return this.mask;
			case Offset.maskClear:
			case Offset.causeSet:
				return 0;
			default:
				if (offset >= Statistic.first && offset < Statistic.end) words.set(offset, 0);
				return value;
		}
	}

	/** Registers are written in 32 bits (§13.1). */
	write(offset: number, size: AccessSize, value: number): void {
		if (size !== 4 || offset & 3 || offset >= REGISTER_BYTES || READ_ONLY.has(offset)) {
			if (offset === Offset.cause && size === 4) this.clearCauses(value);
			return;
		}
		const { words } = this;
		switch (offset) {
			case Offset.control:
				this.writeControl(value);
				break;
			case Offset.eepromControl:
				this.eeprom.control = value;
				break;
			case Offset.eepromRead:
				words.set(
					offset,
					value & EERD_START ? (value & 0xff01) | EERD_DONE | (this.eeprom.word((value >>> 8) & 0xff) << 16) : value,
				);
				break;
			case Offset.phyAccess:
				this.accessPhy(value);
				break;
			case Offset.causeSet:
				this.raise(value);
				break;
			case Offset.maskSet:
				this.mask = (this.mask | (value & 0x1_ffff)) >>> 0;
				this.drive();
				break;
			case Offset.maskClear:
				this.mask = (this.mask & ~value) >>> 0;
				this.drive();
				break;
			case Offset.receiveHead:
			case Offset.receiveTail:
			case Offset.transmitHead:
			case Offset.transmitTail:
				words.set(offset, value & 0xffff);
				this.kick();
				break;
			default:
				words.set(offset, value);
				if (offset === Offset.transmitControl) this.kick();
		}
	}

	private clearCauses(value: number): void {
		this.words.set(Offset.cause, this.words.get(Offset.cause) & ~value);
		this.drive();
	}

	private writeControl(value: number): void {
		const { words } = this;
		if (value & Control.reset) {
			this.resetRegisters();
			this.drive();
			return;
		}
		words.set(Offset.control, value);
		const before = words.get(Offset.status);
		const status = value & Control.setLinkUp ? STATUS_LINKED : STATUS_UNLINKED;
		words.set(Offset.status, status);
		if ((before ^ status) & LINK_UP) this.raise(Cause.linkChange);
	}

	private accessPhy(command: number): void {
		const { value, interrupts } = this.phy.access(command);
		this.words.set(Offset.phyAccess, value);
		// MDIO access complete (bit 9 of ICR).
		if (interrupts) this.raise(0x200);
	}

	/** IOADDR and IODATA: the window through two ports (§13.2.2). */
	private readPort(offset: number, size: AccessSize): number {
		if (size !== 4) return 0;
		if (offset === IO_ADDRESS) return this.ioAddress;
		return offset === IO_DATA ? this.read(this.ioAddress, 4) : 0;
	}

	private writePort(offset: number, size: AccessSize, value: number): void {
		if (size !== 4) return;
		if (offset === IO_ADDRESS) this.ioAddress = value % WINDOW_BYTES;
		else if (offset === IO_DATA) this.write(this.ioAddress, 4, value);
	}

	// Interrupts.

	private raise(causes: number): void {
		this.words.set(Offset.cause, (this.words.get(Offset.cause) | (causes & 0x1_ffff)) >>> 0);
		this.drive();
	}

	/** Deviation: interrupts are not throttled (ITR) nor delayed (RDTR, RADV, TIDV, TADV): each comes at once. */
	private drive(): void {
		const wanted = (this.words.get(Offset.cause) & this.mask) !== 0;
		this.line.set(wanted && !(this.configuration.command & COMMAND_INTERRUPT_DISABLE));
	}

	// Frames.

	private get linked(): boolean {
		return (this.words.get(Offset.status) & LINK_UP) !== 0;
	}

	private get isBusMaster(): boolean {
		return (this.configuration.command & COMMAND_BUS_MASTER) !== 0;
	}

	/** The transmit unit has its turn, if it has something to do. */
	private kick(): void {
		if (this.transmitAt !== 0 || !this.transmitter.waiting) return;
		this.transmitAt = this.clock.now() + TRANSMIT_TIME;
		this.schedule();
	}

	private transmit(): void {
		this.transmitAt = 0;
		if (!this.isBusMaster) return;
		const causes = this.transmitter.run();
		this.kick();
		this.schedule();
		this.raise(causes);
	}

	private sent(frame: Uint8Array): void {
		this.note(true, frame);
		const loops = (this.words.get(Offset.receiveControl) & ReceiveControl.loopback) === ReceiveControl.loopback;
		if (!loops && !this.linked) return;
		const answer = loops ? frame : peerAnswers(frame);
		if (!answer || this.pending.length >= MOST_PENDING) return;
		// Answers come one behind the other, each as long as its bits.
		const free = this.pending.at(-1)?.time ?? 0;
		const time = Math.max(free, this.clock.now() + (loops ? TRANSMIT_TIME : ANSWER_TIME)) + 8 * answer.length;
		this.pending.push({ time, bytes: answer });
		this.schedule();
	}

	private deliver(): void {
		const next = this.pending.shift();
		this.schedule();
		if (!next || !this.isBusMaster) return;
		this.note(false, next.bytes);
		this.raise(this.receiver.receive(next.bytes));
	}

	private note(sent: boolean, frame: Uint8Array): void {
		this.log.push({ time: this.clock.now(), sent, bytes: frame.length, what: describeFrame(frame) });
		if (this.log.length > MOST_LOGGED) this.log.shift();
	}

	/** The alarms follow what is due. */
	private schedule(): void {
		this.transmitAlarm?.cancel();
		this.receiveAlarm?.cancel();
		this.transmitAlarm = this.receiveAlarm = undefined;
		if (this.transmitAt !== 0) this.transmitAlarm = this.clock.at(this.transmitAt, () => this.transmit());
		const [first] = this.pending;
		if (first) this.receiveAlarm = this.clock.at(first.time, () => this.deliver());
	}

	reset(): void {
		this.configuration.reset();
		this.ioAddress = 0;
		this.log = [];
		this.resetRegisters();
		this.drive();
	}

	save(): unknown {
		return structuredClone<E1000State>({
			words: [...this.words.values],
			ioAddress: this.ioAddress,
			mask: this.mask,
			transmit: this.transmitter.state,
			transmitAt: this.transmitAt,
			pending: this.pending,
			log: this.log,
			eeprom: this.eeprom.save(),
			phy: this.phy.save(),
			configuration: this.configuration.save(),
		});
	}

	restore(state: unknown): void {
		const saved = structuredClone(state as E1000State);
		this.words.values.set(saved.words);
		this.ioAddress = saved.ioAddress;
		this.mask = saved.mask;
		this.transmitter.state = saved.transmit;
		this.transmitAt = saved.transmitAt;
		this.pending = saved.pending;
		this.log = saved.log;
		this.eeprom.restore(saved.eeprom);
		this.phy.restore(saved.phy);
		this.configuration.restore(saved.configuration);
		this.schedule();
		this.drive();
	}

	registers(): RegisterView[] {
		const { words } = this;
		const plain = (name: string, offset: number, meaning?: string): RegisterView => ({
			name,
			width: 32,
			value: words.get(offset),
			...(meaning === undefined ? {} : { meaning }),
		});
		const causes = words.get(Offset.cause);
		return [
			...this.configuration.registers(),
			plain("CTRL", Offset.control),
			plain("STATUS", Offset.status, this.linked ? "link up, 1000 Mbit/s, full duplex" : "no link"),
			plain("ICR", Offset.cause, bits(causes, CAUSE_NAMES)),
			{ name: "IMS", width: 32, value: this.mask, meaning: bits(this.mask, CAUSE_NAMES) },
			plain("RCTL", Offset.receiveControl),
			plain("TCTL", Offset.transmitControl),
			plain("RDBAL", Offset.receiveBase),
			plain("RDLEN", Offset.receiveLength),
			plain("RDH", Offset.receiveHead),
			plain("RDT", Offset.receiveTail),
			plain("TDBAL", Offset.transmitBase),
			plain("TDLEN", Offset.transmitLength),
			plain("TDH", Offset.transmitHead),
			plain("TDT", Offset.transmitTail),
			plain("RAL0", Offset.receiveAddress),
			plain("RAH0", Offset.receiveAddress + 4),
			plain("GPTC", Statistic.goodSent),
			plain("GPRC", Statistic.goodReceived),
			...this.log.map(({ time, sent, bytes, what }, i) => ({
				name: `frame ${i + 1}`,
				width: 64,
				value: time,
				meaning: `${sent ? "sent" : "received"}: ${what}, ${bytes} bytes, at ${time} ns`,
			})),
		];
	}
}
