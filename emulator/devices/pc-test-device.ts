// The test device that test suites for hypervisors expect beside the debug exit: scratch registers in port and memory space and
// a port for each interrupt line. Reference: kvm-unit-tests, lib/x86 and x86/emulator.c, as users of QEMU's "pc-testdev".

import type { AccessSize, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";

export const TEST_DEVICE_PORT = 0xe0;
export const TEST_DEVICE_INTERRUPTS_PORT = 0x2000;
export const TEST_DEVICE_MEMORY = 0xff00_0000;
export const TEST_DEVICE_MEMORY_BYTES = 0x1_0000;
const INTERRUPT_LINES = 24;

interface PcTestDeviceState {
	/** The four scratch ports. */
	scratch: number;
	/** Levels of the interrupt lines, bit n for line n. */
	lines: number;
	memory: Uint8Array;
}

function initialState(): PcTestDeviceState {
	return { scratch: 0, lines: 0, memory: new Uint8Array(TEST_DEVICE_MEMORY_BYTES) };
}

/** Little-endian bytes of `bytes` at `offset`; 0 beyond its end. */
function load(bytes: Uint8Array, offset: number, size: AccessSize): number {
	let value = 0;
	for (let index = size - 1; index >= 0; index--) value = (value << 8) | (bytes[offset + index] ?? 0);
	return value >>> 0;
}

export class PcTestDevice implements Device {
	readonly name = "Test device";
	private state = initialState();

	/** @param lines the inputs of the I/O APIC (and, for 0 to 15, of the 8259A pair), by number. */
	constructor(private readonly lines: (number: number) => InterruptLine) {}

	/** Four ports that keep what is written to them. */
	readonly scratch: RegisterBlock = {
		read: (offset, size) => ((this.state.scratch >>> (8 * offset)) & (size === 4 ? -1 : (1 << (8 * size)) - 1)) >>> 0,
		write: (offset, size, value) => {
			const mask = (size === 4 ? -1 : (1 << (8 * size)) - 1) << (8 * offset);
			this.state.scratch = (this.state.scratch & ~mask) | ((value << (8 * offset)) & mask);
		},
	};

	/** Port n drives interrupt line n to the level of the written value (not 0: asserted). */
	readonly interrupts: RegisterBlock = {
		widestAccess: 4,
		read: (offset) => (this.state.lines >>> offset) & 1,
		write: (offset, _size, value) => {
			if (offset >= INTERRUPT_LINES) return;
			const bit = 1 << offset;
			this.state.lines = value !== 0 ? this.state.lines | bit : this.state.lines & ~bit;
			this.lines(offset).set(value !== 0);
		},
	};

	/** 64 KBytes that keep what is written to them, but are reached as registers are. */
	readonly memory: RegisterBlock = {
		read: (offset, size) => load(this.state.memory, offset, size),
		write: (offset, size, value) => {
			for (let index = 0; index < size; index++) this.state.memory[offset + index] = value >>> (8 * index);
		},
	};

	reset(): void {
		for (let line = 0; line < INTERRUPT_LINES; line++) if ((this.state.lines >>> line) & 1) this.lines(line).set(false);
		this.state = initialState();
	}

	save(): unknown {
		return { ...this.state, memory: this.state.memory.slice() };
	}

	restore(state: unknown): void {
		const saved = state as PcTestDeviceState;
		this.state = { ...saved, memory: saved.memory.slice() };
		for (let line = 0; line < INTERRUPT_LINES; line++) this.lines(line).set(((saved.lines >>> line) & 1) !== 0);
	}

	registers(): RegisterView[] {
		return [
			{ name: "scratch", width: 32, value: this.state.scratch >>> 0 },
			{ name: "interrupt lines", width: 24, value: this.state.lines, meaning: "bit n: line n is asserted" },
		];
	}
}
