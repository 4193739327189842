// A hard disk with the commands of ATA/ATAPI-7 (T13/1532D) volume 1, clause 6, that systems use: PIO, multiple, DMA, 28- and
// 48-bit addresses, flush, features, power.

import type { RegisterView } from "../device.ts";
import type { DiskImage } from "./disk-image.ts";
import { SECTOR_BYTES } from "./disk-image.ts";
import { Drive, type DriveSurroundings } from "./drive.ts";
import { HEADS, identifyDisk, MOST_MULTIPLE, SECTORS_PER_TRACK } from "./identify.ts";
import { DEVICE_LBA, ErrorBit } from "./task-file.ts";

/** How a command moves sectors. */
interface SectorCommand {
	readonly name: string;
	readonly write?: boolean;
	/** 48-bit address. */
	readonly extended?: boolean;
	readonly multiple?: boolean;
	readonly dma?: boolean;
	/** The sectors are looked at, not moved. */
	readonly verify?: boolean;
}

const SECTOR_COMMANDS: Readonly<Record<number, SectorCommand>> = {
	32: { name: "READ SECTORS" },
	33: { name: "READ SECTORS" },
	36: { name: "READ SECTORS EXT", extended: true },
	37: { name: "READ DMA EXT", extended: true, dma: true },
	41: { name: "READ MULTIPLE EXT", extended: true, multiple: true },
	48: { name: "WRITE SECTORS", write: true },
	49: { name: "WRITE SECTORS", write: true },
	52: { name: "WRITE SECTORS EXT", write: true, extended: true },
	53: { name: "WRITE DMA EXT", write: true, extended: true, dma: true },
	57: { name: "WRITE MULTIPLE EXT", write: true, extended: true, multiple: true },
	64: { name: "READ VERIFY SECTORS", verify: true },
	65: { name: "READ VERIFY SECTORS", verify: true },
	66: { name: "READ VERIFY SECTORS EXT", extended: true, verify: true },
	196: { name: "READ MULTIPLE", multiple: true },
	197: { name: "WRITE MULTIPLE", write: true, multiple: true },
	200: { name: "READ DMA", dma: true },
	201: { name: "READ DMA", dma: true },
	202: { name: "WRITE DMA", write: true, dma: true },
	203: { name: "WRITE DMA", write: true, dma: true },
};

const Command = {
	recalibrate: 0x10,
	readNativeMaxExtended: 0x27,
	seek: 0x70,
	initializeParameters: 0x91,
	setMultiple: 0xc6,
	standbyImmediate: 0xe0,
	idleImmediate: 0xe1,
	standby: 0xe2,
	idle: 0xe3,
	checkPowerMode: 0xe5,
	flush: 0xe7,
	flushExtended: 0xea,
	identify: 0xec,
	setFeatures: 0xef,
	readNativeMax: 0xf8,
} as const;

/** Subcommands of SET FEATURES that are taken: write cache, transfer mode, look-ahead, defaults at reset. */
const FEATURE_TRANSFER_MODE = 0x03;
const FEATURES = new Set([0x02, FEATURE_TRANSFER_MODE, 0x55, 0x66, 0x82, 0xaa, 0xcc]);
const POWER_ACTIVE = 0xff;
const MOST_HEADS = 16;

interface DiskState {
	/** Next sector, and how many are still to be moved. */
	next: number;
	remaining: number;
	/** Sectors of the block that is being moved. */
	block: number;
	/** Sectors per block of the command. */
	step: number;
	/** Index into SECTOR_COMMANDS, or 0 for a command without sectors. */
	command: number;
	multiple: number;
	transferMode: number;
	heads: number;
	sectorsPerTrack: number;
	image: unknown;
}

function powerOn(): Omit<DiskState, "image"> {
	return {
		next: 0,
		remaining: 0,
		block: 0,
		step: 1,
		command: 0,
		multiple: 0,
		// Ultra DMA mode 2, as firmware would have chosen.
		transferMode: 0x42,
		heads: HEADS,
		sectorsPerTrack: SECTORS_PER_TRACK,
	};
}

export class AtaDisk extends Drive {
	private state = powerOn();

	constructor(
		surroundings: DriveSurroundings,
		readonly image: DiskImage,
		private readonly serial: string,
	) {
		super(surroundings);
	}

	protected signature(): void {
		const { task, state } = this;
		task.count = task.low = 1;
		task.mid = task.high = 0;
		Object.assign(state, { remaining: 0, command: 0, multiple: 0 });
	}

	protected get transferLength(): number {
		return this.state.remaining * SECTOR_BYTES;
	}

	protected command(code: number): void {
		const { task, state } = this;
		const move = SECTOR_COMMANDS[code];
		state.command = move ? code : 0;
		if (move) {
			this.moveSectors(move);
			return;
		}
		switch (code) {
			case Command.identify:
				state.command = Command.identify;
				this.work(SECTOR_BYTES);
				return;
			case Command.setFeatures:
				if (!FEATURES.has(task.features)) break;
				if (task.features === FEATURE_TRANSFER_MODE && task.count >> 3 >= 4) state.transferMode = task.count;
				this.work();
				return;
			case Command.setMultiple:
				if (task.count > MOST_MULTIPLE || task.count & (task.count - 1)) break;
				state.multiple = task.count;
				this.work();
				return;
			case Command.initializeParameters:
				if (task.count === 0) break;
				state.heads = (task.device & 15) + 1;
				state.sectorsPerTrack = task.count;
				this.work();
				return;
			case Command.checkPowerMode:
				task.count = POWER_ACTIVE;
				this.work();
				return;
			case Command.readNativeMax:
			case Command.readNativeMaxExtended:
				this.answerAddress(this.image.sectors - 1, code === Command.readNativeMaxExtended);
				this.work();
				return;
			case Command.flush:
			case Command.flushExtended:
			case Command.recalibrate:
			case Command.seek:
			case Command.standbyImmediate:
			case Command.idleImmediate:
			case Command.standby:
			case Command.idle:
				this.work();
				return;
			default:
		}
		this.fail();
	}

	private moveSectors(move: SectorCommand): void {
		const { task, state, image } = this;
		const count = move.extended ? (task.previous.count << 8) | task.count : task.count;
		state.remaining = count === 0 ? (move.extended ? 0x1_0000 : 0x100) : count;
		const first = this.address(move.extended ?? false);
		if (first === undefined || first + state.remaining > image.sectors) {
			state.remaining = 0;
			this.fail(ErrorBit.notFound);
			return;
		}
		if (move.multiple && state.multiple === 0) {
			state.remaining = 0;
			this.fail();
			return;
		}
		state.next = first;
		state.step = move.multiple ? state.multiple : 1;
		if (move.dma) this.requestDma();
		else if (move.verify) this.work(state.remaining * SECTOR_BYTES);
		else this.nextBlock(false);
	}

	/** The sector that the task file names: LBA of 48 or 28 bits, or cylinder, head, sector; undefined for sector 0 of a track. */
	private address(extended: boolean): number | undefined {
		const { task, state } = this;
		const { previous } = task;
		const low = task.low + task.mid * 0x100 + task.high * 0x1_0000;
		if (extended) return low + (previous.low + previous.mid * 0x100 + previous.high * 0x1_0000) * 0x100_0000;
		const top = task.device & 15;
		if (task.device & DEVICE_LBA) return low + top * 0x100_0000;
		if (task.low === 0 || task.low > state.sectorsPerTrack || top >= Math.min(state.heads, MOST_HEADS))
			return undefined;
		const cylinder = task.mid | (task.high << 8);
		return (cylinder * state.heads + top) * state.sectorsPerTrack + task.low - 1;
	}

	private answerAddress(sector: number, extended: boolean): void {
		const { task } = this;
		const value = extended ? sector : Math.min(sector, 0x0fff_ffff);
		const byte = (index: number) => Math.floor(value / 2 ** (8 * index)) % 256;
		[task.low, task.mid, task.high] = [byte(0), byte(1), byte(2)];
		if (extended) [task.previous.low, task.previous.mid, task.previous.high] = [byte(3), byte(4), byte(5)];
		else task.device = (task.device & 0xf0) | (byte(3) & 15);
	}

	/** The next block of a PIO command: busy until it is read, or ready to be written. */
	private nextBlock(interrupt: boolean): void {
		const { state } = this;
		state.block = Math.min(state.step, state.remaining);
		const bytes = state.block * SECTOR_BYTES;
		if (SECTOR_COMMANDS[state.command]!.write) this.ask(bytes, interrupt);
		else this.work(bytes);
	}

	protected worked(): void {
		const { state, image } = this;
		const move = SECTOR_COMMANDS[state.command];
		if (state.command === Command.identify) {
			const { multiple, transferMode } = state;
			this.offer(identifyDisk({ sectors: image.sectors, serial: this.serial, multiple, transferMode }));
		} else if (!move || move.verify) this.finish();
		else if (move.write) {
			image.write(state.next, this.buffer);
			this.advance();
			if (state.remaining > 0) this.nextBlock(true);
			else this.finish();
		} else this.offer(image.read(state.next, state.block));
	}

	private advance(): void {
		const { state } = this;
		state.next += state.block;
		state.remaining -= state.block;
	}

	protected drained(): void {
		const { state } = this;
		if (!SECTOR_COMMANDS[state.command]) {
			this.finish(false);
			return;
		}
		this.advance();
		if (state.remaining > 0) this.nextBlock(false);
		else this.finish(false);
	}

	protected filled(bytes: Uint8Array): void {
		this.work(bytes.length);
	}

	/** A bus master that stops early leaves the drive waiting, as the real one would; a reset ends that. */
	protected transferred(): void {
		const { state, image, surroundings } = this;
		if (SECTOR_COMMANDS[state.command]!.write) {
			const bytes = surroundings.dmaFromMemory(this.transferLength);
			if (!bytes) {
				this.phase = "dma-wait";
				return;
			}
			image.write(state.next, bytes);
		} else if (!surroundings.dmaToMemory(image.read(state.next, state.remaining))) {
			this.phase = "dma-wait";
			return;
		}
		state.remaining = 0;
		this.finish();
	}

	protected saveOwn(): DiskState {
		return { ...this.state, image: this.image.save() };
	}

	protected restoreOwn(state: unknown): void {
		const { image, ...own } = state as DiskState;
		this.state = own;
		this.image.restore(image);
	}

	protected ownRegisters(): RegisterView[] {
		const { state, image } = this;
		const command =
			SECTOR_COMMANDS[state.command]?.name ?? (state.command === Command.identify ? "IDENTIFY DEVICE" : "");
		return [
			{ name: "command", width: 8, value: state.command, meaning: command },
			{ name: "next sector", width: 48, value: state.next, meaning: `${state.remaining} to go` },
			{ name: "sectors", width: 48, value: image.sectors, meaning: `${image.name}, ${image.writtenSectors} written` },
		];
	}
}
