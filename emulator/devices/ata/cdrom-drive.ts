// A CD-ROM drive with the packet interface: ATA/ATAPI-7 (T13/1532D) volume 1, clauses 4.22 "PACKET command feature set" and 6, and
// volume 2, clause 11 for the protocols. The packets themselves are in packet-command.ts.

import type { RegisterView } from "../device.ts";
import type { DiscImage } from "./disc-image.ts";
import { Drive, type DriveSurroundings } from "./drive.ts";
import { putText } from "./identify.ts";
import {
	executePacket,
	PACKET_BYTES,
	PACKET_NAMES,
	Packet,
	type PacketResult,
	SENSE,
	type Sense,
	senseData,
} from "./packet-command.ts";
import { Status } from "./task-file.ts";

const Command = {
	nop: 0x00,
	deviceReset: 0x08,
	executeDiagnostic: 0x90,
	packet: 0xa0,
	identifyPacket: 0xa1,
	standbyImmediate: 0xe0,
	idleImmediate: 0xe1,
	checkPowerMode: 0xe5,
	setFeatures: 0xef,
} as const;

/** Interrupt reason, in the count register: command or data; to the host or from it. */
const Reason = { packet: 1, dataToHost: 2, completed: 3 } as const;
const FEATURE_DMA = 1;
const FEATURE_TRANSFER_MODE = 0x03;
const POWER_ACTIVE = 0xff;
const SIGNATURE_MID = 0x14;
const SIGNATURE_HIGH = 0xeb;
const DEFAULT_LIMIT = 0xfffe;

/** What a packet's data is still waiting for. */
interface CdromState {
	/** Command of the task file that is being executed; 0: none. */
	command: number;
	/** Operation code of the packet. */
	operation: number;
	/** Bytes for the host, and how many of them have been handed over. */
	data: Uint8Array;
	handed: number;
	/** Bytes of one data block of a PIO transfer. */
	limit: number;
	dma: boolean;
	/** Of the last packet. */
	sense: Sense;
	/** The reset has not been told yet. */
	attention: boolean;
	transferMode: number;
}

function powerOn(): CdromState {
	return {
		command: 0,
		operation: 0,
		data: new Uint8Array(0),
		handed: 0,
		limit: 0,
		dma: false,
		sense: SENSE.none,
		attention: true,
		transferMode: 0x42,
	};
}

export class CdromDrive extends Drive {
	private state = powerOn();

	constructor(
		surroundings: DriveSurroundings,
		private readonly disc: DiscImage,
	) {
		super(surroundings);
	}

	/** The signature of the packet interface; not ready for ATA commands. */
	protected signature(): void {
		const { transferMode } = this.state;
		this.state = { ...powerOn(), transferMode };
		this.identifyItself();
		this.task.status = 0;
	}

	private identifyItself(): void {
		const { task } = this;
		task.count = task.low = 1;
		task.mid = SIGNATURE_MID;
		task.high = SIGNATURE_HIGH;
	}

	protected override interrupts(code: number): boolean {
		return code === Command.deviceReset;
	}

	protected get transferLength(): number {
		return this.state.data.length;
	}

	protected command(code: number): void {
		const { task, state } = this;
		state.command = code;
		switch (code) {
			case Command.packet: {
				state.dma = (task.features & FEATURE_DMA) !== 0;
				const limit = (task.mid | (task.high << 8)) & DEFAULT_LIMIT;
				state.limit = limit === 0 ? DEFAULT_LIMIT : limit;
				task.count = Reason.packet;
				this.ask(PACKET_BYTES, false);
				return;
			}
			case Command.identifyPacket:
				this.work(512);
				return;
			case Command.deviceReset:
				task.error = 1;
				this.finish(false);
				this.signature();
				return;
			case Command.executeDiagnostic:
				task.error = 1;
				this.identifyItself();
				this.work();
				return;
			case Command.setFeatures:
				if (task.features !== FEATURE_TRANSFER_MODE) break;
				if (task.count >> 3 >= 4) state.transferMode = task.count;
				this.work();
				return;
			case Command.checkPowerMode:
				task.count = POWER_ACTIVE;
				this.work();
				return;
			case Command.standbyImmediate:
			case Command.idleImmediate:
				this.work();
				return;
			default:
		}
		// IDENTIFY DEVICE and READ SECTORS tell by the signature that this is no disk (ATA/ATAPI-7 §6.17, §6.29).
		if (code !== Command.nop) this.identifyItself();
		this.fail();
	}

	protected filled(packet: Uint8Array): void {
		const { state } = this;
		state.operation = packet[0]!;
		const result = this.execute(packet);
		state.sense = "sense" in result ? result.sense : SENSE.none;
		state.data = "sense" in result ? new Uint8Array(0) : result.bytes;
		state.handed = 0;
		if ("sense" in result) this.refuse();
		else if (state.data.length > 0 && state.dma) this.requestDma();
		else this.work(Math.min(state.limit, state.data.length));
	}

	/** After a reset the first packet that asks for more than the drive's identity is told so (SPC-2 §5.9.5 "Unit attention"). */
	private execute(packet: Uint8Array): PacketResult {
		const { state } = this;
		if (packet[0] === Packet.inquiry) return executePacket(packet, this.disc);
		const { attention } = state;
		state.attention = false;
		if (packet[0] === Packet.requestSense)
			return { bytes: senseData(attention ? SENSE.reset : state.sense, packet[4]!) };
		return attention ? { sense: SENSE.reset } : executePacket(packet, this.disc);
	}

	/** CHECK CONDITION: the sense key stands in the error register. */
	private refuse(): void {
		const { key } = this.state.sense;
		this.task.count = Reason.completed;
		this.fail((key << 4) | 0x04);
	}

	protected worked(): void {
		const { state, task } = this;
		if (state.command === Command.identifyPacket) {
			this.offer(this.identity());
			return;
		}
		if (state.command !== Command.packet) {
			this.finish();
			return;
		}
		if (state.handed === state.data.length) {
			this.complete();
			return;
		}
		const block = state.data.subarray(state.handed, state.handed + state.limit);
		state.handed += block.length;
		task.count = Reason.dataToHost;
		task.mid = block.length & 0xff;
		task.high = block.length >> 8;
		this.offer(block.slice());
	}

	private complete(): void {
		this.task.count = Reason.completed;
		this.state.data = new Uint8Array(0);
		this.finish();
	}

	protected drained(): void {
		const { state } = this;
		if (state.command !== Command.packet) this.finish(false);
		else this.work(Math.min(state.limit, state.data.length - state.handed));
	}

	protected transferred(): void {
		if (this.surroundings.dmaToMemory(this.state.data)) this.complete();
		else this.phase = "dma-wait";
	}

	/** IDENTIFY PACKET DEVICE (ATA/ATAPI-7 §6.18). */
	private identity(): Uint8Array {
		const bytes = new Uint8Array(512);
		const view = new DataView(bytes.buffer);
		const word = (index: number, value: number) => view.setUint16(2 * index, value, true);
		// A removable CD-ROM device that takes packets of 12 bytes, 50 µs after the command.
		word(0, 0x85c0);
		putText(view, 10, 20, "HSCD0001");
		putText(view, 23, 8, "1.0");
		putText(view, 27, 40, "HYPERSCOPE CD-ROM");
		// DMA, LBA.
		word(49, 0x0300);
		word(53, 0x0006);
		const { transferMode } = this.state;
		const selected = 1 << (transferMode & 7);
		word(63, 0x07 | (transferMode >> 3 === 4 ? selected << 8 : 0));
		word(64, 0x03);
		for (const index of [65, 66, 67, 68]) word(index, 120);
		word(80, 0x0070);
		// Commands: PACKET, DEVICE RESET, NOP.
		word(82, 0x4210);
		word(83, 0x4000);
		word(84, 0x4000);
		word(85, 0x4210);
		word(87, 0x4000);
		word(88, 0x07 | (transferMode >> 3 === 8 ? selected << 8 : 0));
		return bytes;
	}

	protected saveOwn(): unknown {
		return structuredClone(this.state);
	}

	protected restoreOwn(state: unknown): void {
		this.state = structuredClone(state as CdromState);
	}

	protected ownRegisters(): RegisterView[] {
		const { state, disc, task } = this;
		const name = state.command === Command.packet ? (PACKET_NAMES[state.operation] ?? "unknown packet") : "";
		return [
			{ name: "packet", width: 8, value: state.operation, meaning: name },
			{
				name: "data",
				width: 32,
				value: state.data.length,
				meaning: `${state.handed} handed over${task.status & Status.dataRequest ? ", data request" : ""}`,
			},
			{ name: "sense", width: 16, value: (state.sense.key << 8) | state.sense.code },
			{ name: "sectors", width: 32, value: disc.sectors, meaning: disc.name },
		];
	}
}
