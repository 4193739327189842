// One IDE channel: two places for drives, their command and control blocks, and the interrupt that they share.
// Reference: ATA/ATAPI-7 (T13/1532D) volume 2, clause 5.

import type { AccessSize, Clock, InterruptLine, RegisterBlock, RegisterView } from "../device.ts";
import type { DmaPort } from "../dma-port.ts";
import { BusMaster, type BusMasterState } from "./bus-master.ts";
import type { Drive, DriveState, DriveSurroundings } from "./drive.ts";
import { Control, DEVICE_SELECT, Register } from "./task-file.ts";

export interface ChannelState {
	selected: number;
	control: number;
	busMaster: BusMasterState;
	drives: (DriveState | undefined)[];
}

/** Makes a drive, given what it needs of its channel. */
export type DriveMaker = (surroundings: DriveSurroundings) => Drive;

/** What an empty channel reads as: the data lines float high but for DD7, which is pulled down (ATA/ATAPI-7, table 16). */
const EMPTY_CHANNEL = 0x7f;

export class Channel {
	readonly busMaster: BusMaster;
	/** The control block is one port: alternate status and device control. */
	readonly controlBlock: RegisterBlock;
	readonly commandBlock: RegisterBlock;
	private readonly drives: readonly (Drive | undefined)[];
	private selected = 0;
	private control = 0;
	private asserted = false;

	/** @param makers drive 0 and drive 1; undefined where there is none. */
	constructor(
		private readonly name: string,
		clock: Clock,
		port: DmaPort,
		busMasterEnabled: () => boolean,
		private readonly line: InterruptLine,
		makers: readonly (DriveMaker | undefined)[],
	) {
		const surroundings: DriveSurroundings = {
			clock,
			interruptChanged: () => this.drive(),
			dmaRequested: () => this.tryTransfer(),
			dmaToMemory: (bytes) => this.busMaster.toMemory(bytes),
			dmaFromMemory: (length) => this.busMaster.fromMemory(length),
		};
		this.busMaster = new BusMaster(
			port,
			busMasterEnabled,
			() => this.tryTransfer(),
			() => {
				for (const drive of this.drives) drive?.dmaStopped();
			},
		);
		this.drives = [makers[0]?.(surroundings), makers[1]?.(surroundings)];
		this.commandBlock = {
			read: (offset, size) => this.read(offset, size),
			write: (offset, size, value) => this.write(offset, size, value),
		};
		this.controlBlock = {
			widestAccess: 1,
			read: () => this.status(),
			write: (_offset, _size, value) => this.writeControl(value),
		};
		this.reset();
	}

	private get empty(): boolean {
		return !this.drives[0] && !this.drives[1];
	}

	/** Drive 0 answers for a drive 1 that is not there: its status is 0. */
	private status(): number {
		if (this.empty) return EMPTY_CHANNEL;
		return this.drives[this.selected]?.status ?? 0;
	}

	private read(offset: number, size: AccessSize): number {
		const drive = this.drives[this.selected];
		if (offset === Register.data && size > 1) return drive?.readData(size) ?? 0;
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.readByte(offset + i, drive);
		return value;
	}

	private readByte(register: number, drive: Drive | undefined): number {
		if (register === Register.status) {
			const status = this.status();
			drive?.acknowledge();
			return status;
		}
		if (this.empty) return EMPTY_CHANNEL;
		if (register === Register.data) return drive?.readData(1) ?? 0;
		return drive?.readRegister(register, (this.control & Control.highOrderByte) !== 0) ?? 0;
	}

	private write(offset: number, size: AccessSize, value: number): void {
		if (offset === Register.data && size > 1) {
			this.drives[this.selected]?.writeData(size, value);
			return;
		}
		for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
	}

	private writeByte(register: number, value: number): void {
		this.control &= ~Control.highOrderByte;
		if (register === Register.data) this.drives[this.selected]?.writeData(1, value);
		else if (register === Register.status) this.drives[this.selected]?.writeCommand(value);
		else {
			for (const drive of this.drives) drive?.writeRegister(register, value);
			if (register !== Register.device) return;
			this.selected = value & DEVICE_SELECT ? 1 : 0;
			this.drive();
		}
	}

	private writeControl(value: number): void {
		const before = this.control;
		this.control = value;
		const held = value & Control.softwareReset;
		if (held && !(before & Control.softwareReset)) for (const drive of this.drives) drive?.holdReset();
		if (!held && before & Control.softwareReset) {
			this.selected = 0;
			for (const drive of this.drives) drive?.reset();
		}
		this.drive();
	}

	private tryTransfer(): void {
		if (!this.busMaster.active) return;
		this.drives.find((drive) => drive?.wantsDma)?.dmaAllowed();
	}

	/** INTRQ of the selected drive unless nIEN is set. */
	private drive(): void {
		const drive = this.drives?.[this.selected];
		const asserted = drive?.interrupt === true && !(this.control & Control.interruptDisable);
		if (asserted && !this.asserted) this.busMaster.noteInterrupt();
		this.asserted = asserted;
		this.line.set(asserted);
	}

	reset(): void {
		this.selected = this.control = 0;
		this.busMaster.reset();
		for (const drive of this.drives) drive?.reset();
		this.drive();
	}

	save(): ChannelState {
		const { selected, control } = this;
		const drives = this.drives.map((drive) => drive?.save());
		return { selected, control, busMaster: this.busMaster.save(), drives };
	}

	restore(state: ChannelState): void {
		this.selected = state.selected;
		this.control = state.control;
		this.drives.forEach((drive, i) => {
			if (state.drives[i]) drive?.restore(state.drives[i]);
		});
		this.drive();
		// After the lines, whose edges it would take for new interrupts.
		this.busMaster.restore(state.busMaster);
	}

	registers(): RegisterView[] {
		return [
			{
				name: `${this.name} control`,
				width: 8,
				value: this.control,
				meaning: `drive ${this.selected} selected${this.control & Control.interruptDisable ? ", nIEN" : ""}`,
			},
			...this.busMaster.registers(this.name),
			...this.drives.flatMap((drive, i) => drive?.registers(`${this.name} ${i}`) ?? []),
		];
	}
}
