// A bus-master PCI device of this project's own, for demonstration and test: it copies and fills memory and interrupts when
// it is done. docs/devices.md has its data sheet.

import type { AccessSize, Alarm, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import type { DmaPort } from "./dma-port.ts";
import { MsiCapability } from "./message-signalled-interrupt.ts";
import {
	COMMAND_BUS_MASTER,
	COMMAND_INTERRUPT_DISABLE,
	PciConfigurationSpace,
	type PciMapper,
	STATUS,
} from "./pci-configuration-space.ts";
import type { PciFunction } from "./pci-host-bridge.ts";
import { bits } from "./register-format.ts";

/** "HS" and "DM": no number that the PCI-SIG gave away. */
export const DMA_ENGINE_VENDOR = 0x4853;
export const DMA_ENGINE_DEVICE = 0x444d;
/** Reads of the identity register. */
export const DMA_ENGINE_IDENTITY = 0x4853_0001;

/** Offsets of the registers from base address register 0; all have 32 bits. */
export const DmaEngineRegister = {
	identity: 0x00,
	control: 0x04,
	status: 0x08,
	error: 0x0c,
	source: 0x10,
	sourceHigh: 0x14,
	destination: 0x18,
	destinationHigh: 0x1c,
	length: 0x20,
	pattern: 0x24,
	moved: 0x28,
} as const;

export const DmaEngineControl = { start: 1, interruptEnable: 2, fill: 4 } as const;
export const DmaEngineStatus = { busy: 1, done: 2, error: 4 } as const;
/** Values of the error register. */
export const DmaEngineError = { none: 0, readAborted: 1, writeAborted: 2, badLength: 3, notBusMaster: 4 } as const;

const REGISTER_BYTES = 0x1000;
const MSI_OFFSET = 0x50;
const MOST_BYTES = 16 << 20;
/** A transfer moves this much at a time, at one byte a nanosecond. */
const CHUNK = 4096;
const STATUS_MASTER_ABORT = 0x20;

interface DmaEngineState {
	control: number;
	status: number;
	error: number;
	/** Low and high halves of source and destination, length, pattern: the words at 0x10 to 0x24. */
	words: number[];
	moved: number;
	/** Virtual time of the next chunk while busy. */
	next: number;
	configuration: unknown;
}

const FIRST_WORD = DmaEngineRegister.source;
const WORDS = 6;

/** Register block: 4096 bytes behind base address register 0. */
export class DmaEngine implements Device, RegisterBlock, PciFunction {
	readonly name = "DMA engine";
	readonly configuration: PciConfigurationSpace;
	private readonly msi: MsiCapability;
	private state = powerOn();
	private alarm: Alarm | undefined;
	private asserted = false;

	constructor(
		mapper: PciMapper,
		private readonly clock: Clock,
		private readonly port: DmaPort,
		private readonly line: InterruptLine,
	) {
		this.configuration = new PciConfigurationSpace(
			{
				vendor: DMA_ENGINE_VENDOR,
				device: DMA_ENGINE_DEVICE,
				revision: 1,
				// Fits in no class (PCI Local Bus Specification 3.0, appendix D).
				classCode: 0xff_0000,
				interruptPin: 1,
				baseAddresses: {
					0: { space: "memory32", size: REGISTER_BYTES, block: this, name: "DMA engine registers" },
				},
			},
			mapper,
		);
		this.msi = new MsiCapability(this.configuration, MSI_OFFSET, port);
		this.configuration.onWrite = () => this.drive();
	}

	read(offset: number, size: AccessSize): number {
		if (size !== 4) return (this.word(offset & ~3) >>> (8 * (offset & 3))) & (size === 2 ? 0xffff : 0xff);
		return offset & 3 ? 0 : this.word(offset);
	}

	/** Only aligned 32-bit writes are taken. */
	write(offset: number, size: AccessSize, value: number): void {
		if (size !== 4 || offset & 3) return;
		const { state } = this;
		const index = (offset - FIRST_WORD) >> 2;
		if (index >= 0 && index < WORDS) {
			if (!(state.status & DmaEngineStatus.busy)) state.words[index] = value >>> 0;
		} else if (offset === DmaEngineRegister.status) {
			state.status &= ~(value & (DmaEngineStatus.done | DmaEngineStatus.error));
			this.drive();
		} else if (offset === DmaEngineRegister.control) this.writeControl(value);
	}

	private word(offset: number): number {
		const { state } = this;
		const index = (offset - FIRST_WORD) >> 2;
		if (index >= 0 && index < WORDS) return state.words[index]!;
		switch (offset) {
			case DmaEngineRegister.identity:
				return DMA_ENGINE_IDENTITY;
			case DmaEngineRegister.control:
				return state.control;
			case DmaEngineRegister.status:
				return state.status;
			case DmaEngineRegister.error:
				return state.error;
			case DmaEngineRegister.moved:
				return state.moved;
			default:
				return 0;
		}
	}

	private writeControl(value: number): void {
		const { state } = this;
		const busy = (state.status & DmaEngineStatus.busy) !== 0;
		const kept = busy ? state.control & DmaEngineControl.fill : value & DmaEngineControl.fill;
		state.control = kept | (value & DmaEngineControl.interruptEnable);
		if (value & DmaEngineControl.start && !busy) this.start();
		this.drive();
	}

	private start(): void {
		const { state } = this;
		state.moved = 0;
		state.error = DmaEngineError.none;
		state.status = DmaEngineStatus.busy;
		const length = this.length;
		if (length === 0 || length > MOST_BYTES) this.finish(DmaEngineError.badLength);
		else this.schedule();
	}

	private schedule(): void {
		const { state } = this;
		state.next = this.clock.now() + Math.min(CHUNK, this.length - state.moved);
		this.alarm = this.clock.at(state.next, () => this.moveChunk());
	}

	private moveChunk(): void {
		this.alarm = undefined;
		const { state, port } = this;
		if (!(this.configuration.command & COMMAND_BUS_MASTER)) {
			this.finish(DmaEngineError.notBusMaster);
			return;
		}
		const length = Math.min(CHUNK, this.length - state.moved);
		const offset = BigInt(state.moved);
		const bytes =
			state.control & DmaEngineControl.fill ? this.pattern(length) : port.read(this.address(0) + offset, length);
		if (!bytes) this.abort(DmaEngineError.readAborted);
		else if (!port.write(this.address(2) + offset, bytes)) this.abort(DmaEngineError.writeAborted);
		else {
			state.moved += length;
			if (state.moved === this.length) this.finish(DmaEngineError.none);
			else this.schedule();
		}
	}

	private abort(error: number): void {
		this.configuration.bytes[STATUS + 1]! |= STATUS_MASTER_ABORT;
		this.finish(error);
	}

	private finish(error: number): void {
		const { state } = this;
		state.error = error;
		state.status = error === DmaEngineError.none ? DmaEngineStatus.done : DmaEngineStatus.error;
		this.drive();
	}

	private get length(): number {
		return this.state.words[4]!;
	}

	/** The 64-bit address whose low half is word `index`. */
	private address(index: number): bigint {
		return (BigInt(this.state.words[index + 1]!) << 32n) | BigInt(this.state.words[index]!);
	}

	/** The pattern's bytes; chunks are multiples of four bytes but for the last. */
	private pattern(length: number): Uint8Array {
		return Uint8Array.from({ length }, (_, i) => this.state.words[5]! >>> (8 * (i & 3)));
	}

	/** INTx follows the condition; a message is sent when it becomes true. */
	private drive(): void {
		const { state } = this;
		const wanted =
			(state.control & DmaEngineControl.interruptEnable) !== 0 &&
			(state.status & (DmaEngineStatus.done | DmaEngineStatus.error)) !== 0;
		const rises = wanted && !this.asserted;
		this.asserted = wanted;
		const { enabled } = this.msi;
		this.line.set(wanted && !enabled && !(this.configuration.command & COMMAND_INTERRUPT_DISABLE));
		if (rises && enabled && this.configuration.command & COMMAND_BUS_MASTER) this.msi.send();
	}

	reset(): void {
		this.alarm?.cancel();
		this.alarm = undefined;
		this.state = powerOn();
		this.configuration.reset();
		this.drive();
	}

	save(): unknown {
		return structuredClone<DmaEngineState>({ ...this.state, configuration: this.configuration.save() });
	}

	restore(state: unknown): void {
		const { configuration, ...own } = structuredClone(state as DmaEngineState);
		this.alarm?.cancel();
		this.alarm = undefined;
		this.state = own;
		this.configuration.restore(configuration);
		// The message was sent when the condition became true: restoring sends none.
		this.asserted = true;
		this.drive();
		if (own.status & DmaEngineStatus.busy) this.alarm = this.clock.at(own.next, () => this.moveChunk());
	}

	registers(): RegisterView[] {
		const { state } = this;
		const errors = ["none", "read aborted", "write aborted", "length is 0 or above 16 MiB", "bus mastering is off"];
		return [
			...this.configuration.registers(),
			...this.msi.registers(),
			{ name: "CONTROL", width: 32, value: state.control, meaning: bits(state.control, ["", "interrupt", "fill"]) },
			{ name: "STATUS", width: 32, value: state.status, meaning: bits(state.status, ["busy", "done", "error"]) },
			{ name: "ERROR", width: 32, value: state.error, meaning: errors[state.error] ?? "" },
			{ name: "SOURCE", width: 64, value: this.address(0) },
			{ name: "DESTINATION", width: 64, value: this.address(2) },
			{ name: "LENGTH", width: 32, value: this.length },
			{ name: "PATTERN", width: 32, value: state.words[5]! },
			{ name: "MOVED", width: 32, value: state.moved },
		];
	}
}

function powerOn(): Omit<DmaEngineState, "configuration"> {
	return { control: 0, status: 0, error: 0, words: new Array(WORDS).fill(0), moved: 0, next: 0 };
}
