// The register files of the two 8237A DMA controllers and their page registers. No ISA device here does DMA, so no transfer
// ever starts; the registers read back what probing kernels and firmware write.
// References: Intel 8237A data sheet (order number 231466); Intel 82371SB (PIIX3) data sheet, DMA registers.

import type { Device, RegisterBlock, RegisterView } from "./device.ts";

/** Register numbers of a controller beside its eight address and count registers 0-7. */
const STATUS_COMMAND = 8;
const REQUEST = 9;
const SINGLE_MASK = 10;
const MODE = 11;
const CLEAR_FLIP_FLOP = 12;
const TEMPORARY_MASTER_CLEAR = 13;
const CLEAR_MASK = 14;
const ALL_MASK = 15;

interface ControllerState {
	/** Base address and count of channels 0-3, interleaved as the registers are. */
	words: number[];
	command: number;
	request: number;
	mask: number;
	mode: number[];
	/** The byte pointer flip-flop: the next access is to the high byte. */
	high: boolean;
}

interface DmaState {
	controllers: [ControllerState, ControllerState];
	pages: number[];
}

function controllerAtReset(words = new Array<number>(8).fill(0)): ControllerState {
	return { words, command: 0, request: 0, mask: 0x0f, mode: [0, 0, 0, 0], high: false };
}

function powerOn(): DmaState {
	return { controllers: [controllerAtReset(), controllerAtReset()], pages: new Array(16).fill(0) };
}

/** Register blocks: `first` (16 ports at 0x00), `second` (32 ports at 0xc0, every other one), `pages` (15 ports at 0x81). */
export class Dma8237 implements Device {
	readonly name = "8237A pair";
	readonly first: RegisterBlock = this.block(0, 0);
	readonly second: RegisterBlock = this.block(1, 1);
	readonly pages: RegisterBlock = {
		widestAccess: 1,
		read: (offset) => this.state.pages[(offset + 1) & 15]!,
		write: (offset, _size, value) => {
			this.state.pages[(offset + 1) & 15] = value & 0xff;
		},
	};
	private state = powerOn();

	reset(): void {
		this.state = powerOn();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as DmaState);
	}

	registers(): RegisterView[] {
		return this.state.controllers.flatMap((controller, i) => {
			const channels = [0, 1, 2, 3].flatMap((n) => [
				{ name: `channel ${4 * i + n} address`, width: 16, value: controller.words[2 * n]! },
				{ name: `channel ${4 * i + n} count`, width: 16, value: controller.words[2 * n + 1]! },
				{ name: `channel ${4 * i + n} mode`, width: 8, value: controller.mode[n]! },
			]);
			return [
				...channels,
				{ name: `controller ${i + 1} command`, width: 8, value: controller.command },
				{ name: `controller ${i + 1} mask`, width: 4, value: controller.mask },
			];
		});
	}

	private block(which: 0 | 1, shift: number): RegisterBlock {
		return {
			widestAccess: 1,
			read: (offset) => this.readRegister(which, (offset >> shift) & 15),
			write: (offset, _size, value) => this.writeRegister(which, (offset >> shift) & 15, value & 0xff),
		};
	}

	private readRegister(which: 0 | 1, register: number): number {
		const controller = this.state.controllers[which];
		if (register < 8) {
			const word = controller.words[register]!;
			controller.high = !controller.high;
			return controller.high ? word & 0xff : word >> 8;
		}
		if (register === STATUS_COMMAND) return (controller.request & 0x0f) << 4;
		return register === ALL_MASK ? controller.mask : 0;
	}

	private writeRegister(which: 0 | 1, register: number, value: number): void {
		const controller = this.state.controllers[which];
		const bit = 1 << (value & 3);
		switch (register) {
			case STATUS_COMMAND:
				controller.command = value;
				break;
			case REQUEST:
				controller.request = value & 4 ? controller.request | bit : controller.request & ~bit;
				break;
			case SINGLE_MASK:
				controller.mask = value & 4 ? controller.mask | bit : controller.mask & ~bit;
				break;
			case MODE:
				controller.mode[value & 3] = value & 0xfc;
				break;
			case CLEAR_FLIP_FLOP:
				controller.high = false;
				break;
			case TEMPORARY_MASTER_CLEAR:
				this.state.controllers[which] = { ...controllerAtReset(controller.words), mode: controller.mode };
				break;
			case CLEAR_MASK:
				controller.mask = 0;
				break;
			case ALL_MASK:
				controller.mask = value & 0x0f;
				break;
			default: {
				const word = controller.words[register]!;
				controller.words[register] = controller.high ? (word & 0xff) | (value << 8) : (word & 0xff00) | value;
				controller.high = !controller.high;
			}
		}
	}
}
