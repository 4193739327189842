// What every drive on an ATA channel has in common: the task file, the data register with its buffer, the interrupt, and the
// time that a command takes. Reference: ATA/ATAPI-7 (T13/1532D) volume 2.

import type { Alarm, Clock, RegisterView } from "../device.ts";
import { bits } from "../register-format.ts";
import { ErrorBit, emptyTaskFile, Register, STATUS_NAMES, Status, type TaskFile } from "./task-file.ts";

/** What a drive needs of its channel. */
export interface DriveSurroundings {
	readonly clock: Clock;
	/** The drive's interrupt has changed. */
	interruptChanged(): void;
	/** The drive asks for a DMA transfer: calls back `dmaAllowed()` as soon as the bus master runs. */
	dmaRequested(): void;
	/** Moves bytes of the drive to memory; false when the bus master could not move all of them. */
	dmaToMemory(bytes: Uint8Array): boolean;
	/** Bytes from memory; undefined when the bus master could not get all of them. */
	dmaFromMemory(length: number): Uint8Array | undefined;
}

/** What the drive does at its next alarm, or waits for. */
export type Phase = "idle" | "working" | "data-in" | "data-out" | "dma-wait" | "dma";

export interface DriveState {
	task: TaskFile;
	interrupt: boolean;
	phase: Phase;
	/** Virtual time at which the work is done; meaningful while "working" or "dma". */
	due: number;
	/** What the data register reads or collects. */
	buffer: Uint8Array;
	position: number;
	/** What a subclass keeps. */
	own: unknown;
}

const READY = Status.ready | Status.seekDone;
/** A command takes this long (nanoseconds), and data a nanosecond per four bytes. */
export const COMMAND_TIME = 10_000;
const BYTES_PER_NANOSECOND = 4;

export abstract class Drive {
	protected task = emptyTaskFile();
	protected phase: Phase = "idle";
	protected buffer: Uint8Array = new Uint8Array(0);
	private position = 0;
	private due = 0;
	private alarm: Alarm | undefined;
	/** INTRQ, before the channel's nIEN. */
	interrupt = false;

	constructor(protected readonly surroundings: DriveSurroundings) {}

	/** Power-on and reset signature of the kind of drive (clause 5.15 "signature"). */
	protected abstract signature(): void;
	protected abstract command(code: number): void;
	/** Whether a command is taken while another one is at work. */
	protected interrupts(_code: number): boolean {
		return false;
	}
	/** The work that `work()` announced is done. */
	protected abstract worked(): void;
	/** The host has read the whole buffer. */
	protected abstract drained(): void;
	/** The host has filled the buffer. */
	protected abstract filled(bytes: Uint8Array): void;
	/** The bus master runs, and the time of the transfer has passed. */
	protected abstract transferred(): void;
	/** Bytes of the DMA transfer that is asked for. */
	protected abstract get transferLength(): number;
	/** State beyond DriveState. */
	protected abstract saveOwn(): unknown;
	protected abstract restoreOwn(state: unknown): void;
	protected abstract ownRegisters(): RegisterView[];

	/** Status as both status registers give it. */
	get status(): number {
		return this.task.status;
	}

	readRegister(register: number, highOrder: boolean): number {
		const { task } = this;
		const from = highOrder ? task.previous : task;
		switch (register) {
			case Register.error:
				return task.error;
			case Register.count:
				return from.count;
			case Register.low:
				return from.low;
			case Register.mid:
				return from.mid;
			case Register.high:
				return from.high;
			case Register.device:
				return task.device | 0xa0;
			default:
				return task.status;
		}
	}

	/** A write to the registers 1 to 6; both drives of a channel see it. */
	writeRegister(register: number, value: number): void {
		const { task } = this;
		if (task.status & (Status.busy | Status.dataRequest) && register !== Register.device) return;
		const { previous } = task;
		switch (register) {
			case Register.error:
				previous.features = task.features;
				task.features = value;
				break;
			case Register.count:
				previous.count = task.count;
				task.count = value;
				break;
			case Register.low:
				previous.low = task.low;
				task.low = value;
				break;
			case Register.mid:
				previous.mid = task.mid;
				task.mid = value;
				break;
			case Register.high:
				previous.high = task.high;
				task.high = value;
				break;
			default:
				task.device = value;
		}
	}

	writeCommand(code: number): void {
		this.setInterrupt(false);
		if (this.task.status & Status.busy && !this.interrupts(code)) return;
		this.cancel();
		this.task.error = 0;
		this.command(code);
	}

	readData(size: number): number {
		if (this.phase !== "data-in") return 0;
		let value = 0;
		for (let i = 0; i < size; i++) value += (this.buffer[this.position + i] ?? 0) * 2 ** (8 * i);
		this.position += size;
		if (this.position >= this.buffer.length) this.drained();
		return value;
	}

	writeData(size: number, value: number): void {
		if (this.phase !== "data-out") return;
		for (let i = 0; i < size && this.position < this.buffer.length; i++)
			this.buffer[this.position++] = value >>> (8 * i);
		if (this.position >= this.buffer.length) this.filled(this.buffer);
	}

	acknowledge(): void {
		this.setInterrupt(false);
	}

	/** SRST or power-on. */
	reset(): void {
		this.cancel();
		this.setInterrupt(false);
		this.task = emptyTaskFile();
		this.task.status = READY;
		this.task.error = 1;
		this.signature();
	}

	/** SRST is held. */
	holdReset(): void {
		this.cancel();
		this.setInterrupt(false);
		this.task.status = Status.busy;
	}

	/** Whether it waits for the bus master to run. */
	get wantsDma(): boolean {
		return this.phase === "dma-wait";
	}

	/** The bus master runs: the transfer takes its time. */
	dmaAllowed(): void {
		if (this.phase === "dma-wait") this.schedule("dma", this.timeOf(this.transferLength));
	}

	/** The bus master was stopped in the middle: the drive goes on waiting. */
	dmaStopped(): void {
		if (this.phase !== "dma") return;
		this.alarm?.cancel();
		this.phase = "dma-wait";
	}

	// For subclasses.

	protected timeOf(bytes: number): number {
		return COMMAND_TIME + Math.ceil(bytes / BYTES_PER_NANOSECOND);
	}

	/** Busy for the time that `bytes` take; then `worked()`. */
	protected work(bytes = 0): void {
		this.task.status = Status.busy;
		this.schedule("working", this.timeOf(bytes));
	}

	/** Gives bytes to the host through the data register. */
	protected offer(bytes: Uint8Array): void {
		this.buffer = bytes;
		this.position = 0;
		this.phase = "data-in";
		this.task.status = READY | Status.dataRequest;
		this.setInterrupt(true);
	}

	/** Takes bytes from the host through the data register. */
	protected ask(length: number, interrupt: boolean): void {
		this.buffer = new Uint8Array(length);
		this.position = 0;
		this.phase = "data-out";
		this.task.status = READY | Status.dataRequest;
		if (interrupt) this.setInterrupt(true);
	}

	protected requestDma(): void {
		this.phase = "dma-wait";
		this.task.status = READY | Status.dataRequest;
		this.surroundings.dmaRequested();
	}

	/** Ends the command. */
	protected finish(interrupt = true): void {
		this.phase = "idle";
		this.buffer = new Uint8Array(0);
		this.task.status = READY;
		if (interrupt) this.setInterrupt(true);
	}

	/** Ends the command with an error. */
	protected fail(error: number = ErrorBit.aborted): void {
		this.finish(false);
		this.task.status |= Status.error;
		this.task.error = error;
		this.setInterrupt(true);
	}

	private setInterrupt(asserted: boolean): void {
		if (this.interrupt === asserted) return;
		this.interrupt = asserted;
		this.surroundings.interruptChanged();
	}

	private schedule(phase: Phase, time: number): void {
		this.phase = phase;
		this.due = this.surroundings.clock.now() + time;
		this.wait();
	}

	private wait(): void {
		this.alarm = this.surroundings.clock.at(this.due, () => {
			if (this.phase === "dma") this.transferred();
			else this.worked();
		});
	}

	private cancel(): void {
		this.alarm?.cancel();
		this.phase = "idle";
	}

	save(): DriveState {
		const { task, interrupt, phase, due, buffer, position } = this;
		return structuredClone({ task, interrupt, phase, due, buffer, position, own: this.saveOwn() });
	}

	restore(saved: DriveState): void {
		this.cancel();
		const { own, ...state } = structuredClone(saved);
		Object.assign(this, state);
		this.restoreOwn(own);
		if (this.phase === "working" || this.phase === "dma") this.wait();
	}

	registers(prefix: string): RegisterView[] {
		const { task } = this;
		const view = (name: string, value: number, meaning?: string): RegisterView => ({
			name: `${prefix} ${name}`,
			width: 8,
			value,
			...(meaning === undefined ? {} : { meaning }),
		});
		return [
			view("status", task.status, `${bits(task.status, STATUS_NAMES)}${this.interrupt ? " INTRQ" : ""}`),
			view("error", task.error, bits(task.error, ["", "", "ABRT", "", "IDNF"])),
			view("features", task.features),
			view("count", task.count),
			view("LBA low", task.low),
			view("LBA mid", task.mid),
			view("LBA high", task.high),
			view("device", task.device),
			...this.ownRegisters().map((register) => ({ ...register, name: `${prefix} ${register.name}` })),
		];
	}
}
