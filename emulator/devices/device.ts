// The contract between a device and the machine that holds it. A device knows no bus, no CPU and no other device:
// it is given offsets, an interrupt line, a clock and a place to say what happened.

/** An interrupt input of an interrupt controller, seen from the device that drives it. */
export interface InterruptLine {
	/** Drives the level of the line: true = asserted. Setting the level it already has changes nothing. */
	set(asserted: boolean): void;
}

/** A callback that a device asked for at a moment of virtual time. */
export interface Alarm {
	cancel(): void;
}

/** Virtual time. It advances with retired instructions and, while the processor is halted, to the next alarm; never with the host's clock. */
export interface Clock {
	/** Virtual time since power-on in nanoseconds (an integer below 2^53). */
	now(): number;
	/** Calls `action` when `now()` has reached `time` (nanoseconds, absolute); at the next boundary between instructions if it has passed. */
	at(time: number, action: () => void): Alarm;
}

/** Bytes, 16-bit and 32-bit units that a device's registers are accessed in. */
export type AccessSize = 1 | 2 | 4;

/** A device in I/O-port or memory-mapped space. `offset` counts from the start of the range that was registered for it. */
export interface RegisterBlock {
	/** The widest access that the device decodes; the bus splits wider ones, low part first. Every size when absent. */
	readonly widestAccess?: AccessSize;
	/** Reads `size` bytes; may have the side effects that the data sheet gives to a read. */
	read(offset: number, size: AccessSize): number;
	write(offset: number, size: AccessSize, value: number): void;
}

/** One register as a debugger shows it. Reading this has no side effect. */
export interface RegisterView {
	readonly name: string;
	/** Bits. */
	readonly width: number;
	readonly value: number | bigint;
	/** What the bits mean, for people; empty when the name says it all. */
	readonly meaning?: string;
}

/** A part of the machine whose state can be saved, restored and looked at. */
export interface Device {
	/** Unique in a machine, as the data sheet names the part: "8259A master". */
	readonly name: string;
	reset(): void;
	/** The whole state as plain data (JSON types and Uint8Array only); declared in one place per device. */
	save(): unknown;
	restore(state: unknown): void;
	/** The registers as they are, read without side effects. */
	registers(): RegisterView[];
}
