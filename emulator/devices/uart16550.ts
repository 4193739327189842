// The 16550A serial port. Reference: National Semiconductor PC16550D data sheet (June 1995).

import type { Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";

/** Receiver buffer (read), transmitter holding (write); divisor latch low while LCR.DLAB. */
const RBR_THR_DLL = 0;
/** Interrupt enable; divisor latch high while LCR.DLAB. */
const IER_DLM = 1;
/** Interrupt identification (read), FIFO control (write). */
const IIR_FCR = 2;
const LCR = 3;
const MCR = 4;
const LSR = 5;
const MSR = 6;
const SCR = 7;

const IER_RECEIVED_DATA = 0x01;
const IER_THR_EMPTY = 0x02;
const IER_LINE_STATUS = 0x04;
const IER_MODEM_STATUS = 0x08;

const IIR_NONE = 0x01;
const IIR_MODEM_STATUS = 0x00;
const IIR_THR_EMPTY = 0x02;
const IIR_RECEIVED_DATA = 0x04;
const IIR_LINE_STATUS = 0x06;
const IIR_CHARACTER_TIMEOUT = 0x0c;
const IIR_FIFOS_ENABLED = 0xc0;

const FCR_ENABLE = 0x01;
const FCR_CLEAR_RECEIVER = 0x02;

const LCR_BREAK = 0x40;
const LCR_DLAB = 0x80;

const MCR_LOOP = 0x10;

const LSR_DATA_READY = 0x01;
const LSR_OVERRUN = 0x02;
const LSR_BREAK = 0x10;
const LSR_THR_EMPTY = 0x20;
const LSR_TRANSMITTER_EMPTY = 0x40;
/** Overrun, parity, framing, break: cleared by reading LSR. */
const LSR_ERRORS = 0x1e;

const MSR_CTS = 0x10;
const MSR_DSR = 0x20;
const MSR_RI = 0x40;
const MSR_DCD = 0x80;

const fifoDepth = 16;
const triggerLevels = [1, 4, 8, 14];
/** Bytes that may wait outside the FIFO. */
const queueLimit = 4096;

interface UartState {
	ier: number;
	/** FCR as last written: FIFO enable and receiver trigger. */
	fcr: number;
	lcr: number;
	mcr: number;
	scr: number;
	divisor: number;
	/** The error bits of LSR. */
	errors: number;
	/** The receiver FIFO, or the receiver buffer alone (one byte) when FIFOs are off. */
	fifo: number[];
	/** What the line has sent and the receiver has not yet taken. */
	queue: number[];
	/** The modem's lines and their changes since MSR was read, as MSR shows them. */
	msr: number;
	/** The transmitter-empty interrupt waits to be told. */
	thrEmptyPending: boolean;
}

function powerOn(): UartState {
	return {
		ier: 0,
		fcr: 0,
		lcr: 0,
		mcr: 0,
		scr: 0,
		divisor: 0,
		errors: 0,
		fifo: [],
		queue: [],
		msr: MSR_CTS | MSR_DSR | MSR_DCD,
		thrEmptyPending: false,
	};
}

/**
 * Register block: 8 ports. Deviation: characters take no time. A byte written is sent at once and the transmitter is empty
 * again, and bytes received wait in a queue and move into the FIFO as it has room, so that only loopback can overrun;
 * the four-character timeout is due at once.
 */
export class Uart16550 implements Device, RegisterBlock {
	readonly widestAccess = 1;
	private state = powerOn();

	/**
	 * @param transmit called with each byte sent.
	 * @param name for example "16550A COM1".
	 */
	constructor(
		private readonly irq: InterruptLine,
		private readonly transmit: (byte: number) => void,
		readonly name = "16550A COM1",
	) {}

	/** Bytes arrive on the line. Returns how many were taken; the caller keeps the rest and offers it again (4096 may wait here). */
	receive(bytes: ArrayLike<number>): number {
		const { queue } = this.state;
		const taken = Math.min(bytes.length, queueLimit - queue.length);
		for (let i = 0; i < taken; i++) queue.push(bytes[i]! & 0xff);
		this.update();
		return taken;
	}

	read(offset: number): number {
		const state = this.state;
		switch (offset) {
			case RBR_THR_DLL: {
				if (state.lcr & LCR_DLAB) return state.divisor & 0xff;
				const byte = state.fifo.shift() ?? 0;
				this.update();
				return byte;
			}
			case IER_DLM:
				return state.lcr & LCR_DLAB ? state.divisor >> 8 : state.ier;
			case IIR_FCR: {
				const iir = this.iir();
				// Reading IIR while it tells of the empty transmitter clears that interrupt (data sheet, table IV).
				if ((iir & 0x0f) === IIR_THR_EMPTY) {
					state.thrEmptyPending = false;
					this.update();
				}
				return iir;
			}
			case LCR:
				return state.lcr;
			case MCR:
				return state.mcr;
			case LSR: {
				const lsr = this.lsr();
				state.errors = 0;
				this.update();
				return lsr;
			}
			case MSR: {
				const msr = state.msr;
				state.msr &= 0xf0;
				this.update();
				return msr;
			}
			default:
				return state.scr;
		}
	}

	write(offset: number, _size: number, value: number): void {
		const state = this.state;
		switch (offset) {
			case RBR_THR_DLL:
				if (state.lcr & LCR_DLAB) state.divisor = (state.divisor & 0xff00) | value;
				else this.send(value);
				break;
			case IER_DLM: {
				if (state.lcr & LCR_DLAB) {
					state.divisor = (state.divisor & 0xff) | (value << 8);
					break;
				}
				// Enabling the interrupt while the transmitter is empty raises it at once.
				if (value & ~state.ier & IER_THR_EMPTY) state.thrEmptyPending = true;
				state.ier = value & 0x0f;
				break;
			}
			case IIR_FCR:
				// Changing the FIFO enable bit clears the FIFOs; the other bits count only with it set.
				if ((state.fcr ^ value) & FCR_ENABLE || (value & FCR_ENABLE && value & FCR_CLEAR_RECEIVER)) state.fifo = [];
				state.fcr = value & FCR_ENABLE ? value & 0xc9 : 0;
				break;
			case LCR:
				// In loopback the transmitter's break reaches the receiver.
				if (value & ~state.lcr & LCR_BREAK && state.mcr & MCR_LOOP) {
					state.errors |= LSR_BREAK;
					this.take(0);
				}
				state.lcr = value;
				break;
			case MCR:
				state.mcr = value & 0x1f;
				this.followModem();
				break;
			case SCR:
				state.scr = value;
				break;
			// LSR and MSR: "intended for read operations only; writing is not recommended".
		}
		this.update();
	}

	reset(): void {
		this.state = powerOn();
		this.update();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as UartState);
		this.update();
	}

	registers(): RegisterView[] {
		const { ier, fcr, lcr, mcr, scr, divisor, msr, fifo, queue } = this.state;
		const iir = this.iir();
		const sources: Record<number, string> = {
			[IIR_NONE]: "none",
			[IIR_MODEM_STATUS]: "modem status",
			[IIR_THR_EMPTY]: "transmitter empty",
			[IIR_RECEIVED_DATA]: "received data",
			[IIR_LINE_STATUS]: "line status",
			[IIR_CHARACTER_TIMEOUT]: "character timeout",
		};
		const format = `${5 + (lcr & 3)}${lcr & 8 ? (lcr & 0x10 ? "E" : "O") : "N"}${lcr & 4 ? 2 : 1}`;
		const baud = divisor ? `${Math.round(115_200 / divisor)} baud` : "no divisor";
		return [
			{
				name: "IER",
				width: 8,
				value: ier,
				meaning: bits(ier, ["received data", "THR empty", "line status", "modem status"]),
			},
			{ name: "IIR", width: 8, value: iir, meaning: sources[iir & 0x0f]! },
			{
				name: "FCR",
				width: 8,
				value: fcr,
				meaning: fcr & FCR_ENABLE ? `FIFOs, trigger ${triggerLevels[fcr >> 6]}` : "no FIFOs",
			},
			{ name: "LCR", width: 8, value: lcr, meaning: `${format}${lcr & LCR_DLAB ? " DLAB" : ""}` },
			{ name: "MCR", width: 8, value: mcr, meaning: bits(mcr, ["DTR", "RTS", "OUT1", "OUT2", "loop"]) },
			{
				name: "LSR",
				width: 8,
				value: this.lsr(),
				meaning: bits(this.lsr(), ["data ready", "overrun", "parity", "framing", "break", "THR empty", "TX empty"]),
			},
			{
				name: "MSR",
				width: 8,
				value: msr,
				meaning: bits(msr, ["DCTS", "DDSR", "TERI", "DDCD", "CTS", "DSR", "RI", "DCD"]),
			},
			{ name: "SCR", width: 8, value: scr },
			{ name: "divisor", width: 16, value: divisor, meaning: baud },
			{
				name: "receiver FIFO",
				width: 8,
				value: fifo.length,
				meaning: `bytes held; ${queue.length} more wait on the line`,
			},
		];
	}

	private send(byte: number): void {
		const state = this.state;
		if (state.mcr & MCR_LOOP) this.take(byte);
		else this.transmit(byte);
		state.thrEmptyPending = true;
	}

	/** A byte that comes whether or not there is room. */
	private take(byte: number): void {
		const { state } = this;
		const depth = state.fcr & FCR_ENABLE ? fifoDepth : 1;
		if (state.fifo.length < depth) state.fifo.push(byte);
		else {
			state.errors |= LSR_OVERRUN;
			// Without FIFOs the new character replaces the old; with them it is lost in the shift register.
			if (depth === 1) state.fifo[0] = byte;
		}
	}

	/** MSR from the modem's lines, or in loopback from MCR, with the change bits. */
	private followModem(): void {
		const state = this.state;
		const { mcr } = state;
		const connected = MSR_CTS | MSR_DSR | MSR_DCD;
		const looped =
			(mcr & 0x02 ? MSR_CTS : 0) | (mcr & 0x01 ? MSR_DSR : 0) | (mcr & 0x04 ? MSR_RI : 0) | (mcr & 0x08 ? MSR_DCD : 0);
		const lines = mcr & MCR_LOOP ? looped : connected;
		const changed = (state.msr ^ lines) & 0xf0;
		// TERI: only the trailing edge of RI counts.
		const delta = (changed & (MSR_CTS | MSR_DSR | MSR_DCD)) | (changed & state.msr & MSR_RI);
		state.msr = lines | (state.msr & 0x0f) | (delta >> 4);
	}

	private lsr(): number {
		const { fifo, errors } = this.state;
		return (fifo.length > 0 ? LSR_DATA_READY : 0) | errors | LSR_THR_EMPTY | LSR_TRANSMITTER_EMPTY;
	}

	private iir(): number {
		const { ier, fcr, fifo, errors, msr, thrEmptyPending } = this.state;
		const fifos = fcr & FCR_ENABLE ? IIR_FIFOS_ENABLED : 0;
		if (ier & IER_LINE_STATUS && errors & LSR_ERRORS) return fifos | IIR_LINE_STATUS;
		if (ier & IER_RECEIVED_DATA && fifo.length > 0) {
			const reached = !fifos || fifo.length >= triggerLevels[fcr >> 6]!;
			return fifos | (reached ? IIR_RECEIVED_DATA : IIR_CHARACTER_TIMEOUT);
		}
		if (ier & IER_THR_EMPTY && thrEmptyPending) return fifos | IIR_THR_EMPTY;
		if (ier & IER_MODEM_STATUS && msr & 0x0f) return fifos | IIR_MODEM_STATUS;
		return fifos | IIR_NONE;
	}

	/**
	 * Fills the FIFO from the line and drives the interrupt.
	 * Deviation: on a PC, OUT2 gates it. Here only loopback, which holds OUT2 inactive, keeps it back, as in QEMU: kernels that were never
	 * run elsewhere (xv6 writes 0 into MCR) would not hear their serial line.
	 */
	private update(): void {
		const { state } = this;
		if (state.queue.length > 0 && !(state.mcr & MCR_LOOP)) {
			const depth = state.fcr & FCR_ENABLE ? fifoDepth : 1;
			const room = Math.max(depth - state.fifo.length, 0);
			if (room > 0) state.fifo.push(...state.queue.splice(0, room));
		}
		const onLine = (state.mcr & MCR_LOOP) === 0;
		this.irq.set(onLine && (this.iir() & IIR_NONE) === 0);
	}
}
