// The bus-master registers of one IDE channel: they move a drive's data to and from the regions of a descriptor table.
// Reference: Intel 82371SB (PIIX3) data sheet (order number 290550), §2.7 and §3.5; SFF-8038i 1.0.

import type { AccessSize, RegisterBlock, RegisterView } from "../device.ts";
import type { DmaPort } from "../dma-port.ts";
import { bits, hex } from "../register-format.ts";

/** Offsets in the 8 bytes of a channel. */
const COMMAND = 0;
const STATUS = 2;
const TABLE = 4;

const COMMAND_START = 0x01;
/** The transfer writes memory. */
const COMMAND_TO_MEMORY = 0x08;
const STATUS_ACTIVE = 0x01;
const STATUS_ERROR = 0x02;
const STATUS_INTERRUPT = 0x04;
/** Set by software: drive 0, drive 1 can do DMA. */
const STATUS_CAPABLE = 0x60;

/** Last descriptor of a table, in its second dword. */
const END_OF_TABLE = 0x8000_0000;
const DESCRIPTOR_BYTES = 8;
/** A table does not cross 64 KiB (SFF-8038i, §1.2). */
const MOST_DESCRIPTORS = 0x1_0000 / DESCRIPTOR_BYTES;

export interface BusMasterState {
	command: number;
	status: number;
	table: number;
}

interface Region {
	readonly address: number;
	readonly length: number;
}

export class BusMaster implements RegisterBlock {
	private state: BusMasterState = { command: 0, status: 0, table: 0 };

	/**
	 * @param started the start bit was set; @param stopped it was cleared.
	 */
	constructor(
		private readonly port: DmaPort,
		/** The function may drive the bus (PCI command register). */
		private readonly enabled: () => boolean,
		private readonly started: () => void,
		private readonly stopped: () => void,
	) {}

	get active(): boolean {
		return (this.state.status & STATUS_ACTIVE) !== 0;
	}

	/** The channel's interrupt was asserted. */
	noteInterrupt(): void {
		this.state.status |= STATUS_INTERRUPT;
	}

	/** False when not all of the bytes found a place. */
	toMemory(bytes: Uint8Array): boolean {
		if (!(this.state.command & COMMAND_TO_MEMORY)) return this.abort();
		return this.transfer(bytes.length, (region, done) =>
			this.port.write(BigInt(region.address), bytes.subarray(done, done + region.length)),
		);
	}

	/** Undefined when not all of the bytes could be had. */
	fromMemory(length: number): Uint8Array | undefined {
		const result = new Uint8Array(length);
		if (this.state.command & COMMAND_TO_MEMORY) {
			this.abort();
			return undefined;
		}
		const whole = this.transfer(length, (region, done) => {
			const bytes = this.port.read(BigInt(region.address), region.length);
			if (bytes) result.set(bytes, done);
			return bytes !== undefined;
		});
		return whole ? result : undefined;
	}

	/**
	 * The active bit stays set when the table has more than the drive moved, and is cleared without an interrupt when it has less
	 * (SFF-8038i, §3.1 "Status Bits").
	 */
	private transfer(length: number, move: (region: Region, done: number) => boolean): boolean {
		let done = 0;
		for (let index = 0; index < MOST_DESCRIPTORS; index++) {
			const descriptor = this.enabled() ? this.descriptor(index) : undefined;
			if (!descriptor) return this.abort();
			const region = { address: descriptor.address, length: Math.min(descriptor.length, length - done) };
			if (region.length > 0 && !move(region, done)) return this.abort();
			done += region.length;
			if (descriptor.last) {
				this.state.status &= ~STATUS_ACTIVE;
				return done === length;
			}
			if (done === length) return true;
		}
		return this.abort();
	}

	private abort(): false {
		this.state.status = (this.state.status & ~STATUS_ACTIVE) | STATUS_ERROR;
		return false;
	}

	private descriptor(index: number): (Region & { readonly last: boolean }) | undefined {
		const bytes = this.port.read(BigInt(this.state.table + index * DESCRIPTOR_BYTES), DESCRIPTOR_BYTES);
		if (!bytes) return undefined;
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		const count = view.getUint32(4, true);
		// A count of 0 means 64 KiB; bit 0 of address and count is not there.
		return {
			address: (view.getUint32(0, true) & ~1) >>> 0,
			length: count & 0xfffe || 0x1_0000,
			last: (count & END_OF_TABLE) !== 0,
		};
	}

	read(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.byte(offset + i);
		return value;
	}

	private byte(offset: number): number {
		const { state } = this;
		if (offset === COMMAND) return state.command;
		if (offset === STATUS) return state.status;
		return offset >= TABLE ? (state.table >>> (8 * (offset - TABLE))) & 0xff : 0;
	}

	write(offset: number, size: AccessSize, value: number): void {
		for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
	}

	private writeByte(offset: number, value: number): void {
		const { state } = this;
		if (offset === COMMAND) this.writeCommand(value);
		else if (offset === STATUS) {
			const cleared = value & (STATUS_ERROR | STATUS_INTERRUPT);
			state.status = (state.status & ~cleared & ~STATUS_CAPABLE) | (value & STATUS_CAPABLE);
		} else if (offset >= TABLE) {
			const shift = 8 * (offset - TABLE);
			state.table = ((state.table & ~(0xff << shift)) | ((value << shift) & ~3)) >>> 0;
		}
	}

	private writeCommand(value: number): void {
		const { state } = this;
		const before = state.command;
		// The direction is not to be changed while the master runs.
		const direction = before & COMMAND_START ? before : value;
		state.command = (value & COMMAND_START) | (direction & COMMAND_TO_MEMORY);
		if (value & ~before & COMMAND_START) {
			state.status |= STATUS_ACTIVE;
			this.started();
		} else if (before & ~value & COMMAND_START) {
			state.status &= ~STATUS_ACTIVE;
			this.stopped();
		}
	}

	reset(): void {
		this.state = { command: 0, status: 0, table: 0 };
	}

	save(): BusMasterState {
		return { ...this.state };
	}

	restore(state: BusMasterState): void {
		this.state = { ...state };
	}

	registers(prefix: string): RegisterView[] {
		const { command, status, table } = this.state;
		return [
			{
				name: `${prefix} BMIC`,
				width: 8,
				value: command,
				meaning: bits(command, ["start", "", "", "to memory"]),
			},
			{
				name: `${prefix} BMIS`,
				width: 8,
				value: status,
				meaning: bits(status, ["active", "error", "interrupt", "", "", "drive 0 DMA", "drive 1 DMA"]),
			},
			{ name: `${prefix} BMIDTP`, width: 32, value: table, meaning: `descriptor table at ${hex(table, 32)}` },
		];
	}
}
