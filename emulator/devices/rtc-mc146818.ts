// The real-time clock and CMOS memory of a PC. The time is a function of virtual time; alarms are asked for only while an
// enabled interrupt waits for one. References: Motorola MC146818 data sheet (1984); Intel 82371SB (PIIX3) data sheet, "RTCI - NMI mask".

import type { Alarm, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";
import {
	type CalendarFormat,
	CENTURY,
	HOURS_ALARM,
	MINUTES_ALARM,
	momentOf,
	nextAlarmSecond,
	SECONDS_ALARM,
	type TimeBytes,
	timeAddresses,
	timeBytes,
} from "./rtc-calendar.ts";
import { TickRate } from "./tick-rate.ts";

const INDEX = 0;
const NMI_MASK = 0x80;

const REGISTER_A = 0x0a;
const REGISTER_B = 0x0b;
const REGISTER_C = 0x0c;
const REGISTER_D = 0x0d;

const A_UIP = 0x80;
/** DV2-DV0 = 010: a 32.768 kHz time base, running. */
const A_DIVIDER = 0x70;
const A_DIVIDER_RUNS = 0x20;
const B_24_HOURS = 0x02;
const B_BINARY = 0x04;
const B_SQUARE_WAVE = 0x08;
const B_UPDATE = 0x10;
const B_ALARM = 0x20;
const B_PERIODIC = 0x40;
const B_SET = 0x80;
/** Register C has its flags at the bits of their enables in register B. */
const C_IRQ = 0x80;
const D_VALID = 0x80;

const second = 1_000_000_000;
/** UIP rises 244 microseconds before the update, which takes 1984 (data sheet, table 5). */
const updateNanoseconds = 2_228_000;
/** The first update comes half a second after the divider is let go. */
const half = second / 2;

/** 2024-01-01 00:00:00 UTC, the date of a machine that is given none. */
export const defaultStartSeconds = 1_704_067_200;

/** What the CMOS memory tells of the machine. */
export interface CmosConfiguration {
	/** Date at virtual time 0, in seconds since 1970-01-01 UTC. */
	readonly startSeconds?: number;
	/** Bytes of memory below 4 GiB, and above. */
	readonly memoryBytes: number;
	readonly memoryAbove4GiB?: number;
}

interface RtcState {
	index: number;
	nmiMasked: boolean;
	/** The 128 bytes; the time bytes in it count only while B.SET stops the updates. */
	bytes: Uint8Array;
	/** Flags of register C without IRQF, as of `flagsTime`. */
	flags: number;
	flagsTime: number;
	/** The time shown `elapsed seconds since origin` ago: seconds since 1970, and the virtual time when they began. */
	base: number;
	origin: number;
	weekdayShift: number;
}

/** Register block: 2 ports at 0x70. */
export class RtcMc146818 implements Device, RegisterBlock {
	readonly name = "MC146818";
	readonly widestAccess = 1;
	private readonly oscillator = new TickRate(32_768);
	private state: RtcState;
	private alarm: Alarm | undefined;

	constructor(
		private readonly clock: Clock,
		private readonly irq8: InterruptLine,
		configuration: CmosConfiguration,
	) {
		this.state = {
			index: 0,
			nmiMasked: false,
			bytes: cmosBytes(configuration),
			flags: 0,
			flagsTime: 0,
			base: configuration.startSeconds ?? defaultStartSeconds,
			origin: 0,
			weekdayShift: 0,
		};
	}

	/** Bit 7 of port 0x70: NMI does not reach the processor. */
	get nmiMasked(): boolean {
		return this.state.nmiMasked;
	}

	/** Sets a byte of the CMOS memory, as firmware set-up does; the time bytes and registers A to D are not for this. */
	setByte(address: number, value: number): void {
		this.state.bytes[address & 0x7f] = value;
	}

	/** Port 0x70 cannot be read back. */
	read(offset: number): number {
		if (offset === INDEX) return 0xff;
		const { state } = this;
		const value = this.peek(state.index);
		if (state.index === REGISTER_C) {
			this.settle();
			state.flags = 0;
			this.drive();
		}
		return value;
	}

	write(offset: number, _size: number, value: number): void {
		const { state } = this;
		if (offset === INDEX) {
			state.nmiMasked = (value & NMI_MASK) !== 0;
			state.index = value & 0x7f;
			return;
		}
		const { index } = state;
		this.settle();
		if (index === REGISTER_A) this.writeA(value);
		else if (index === REGISTER_B) this.writeB(value);
		else if (index === REGISTER_C || index === REGISTER_D) return;
		else if (this.isTime(index) && !this.set) this.writeTime(index, value);
		else state.bytes[index] = value;
		this.drive();
	}

	/** The RESET pin: interrupts off, flags clear; time and memory are kept by the battery. */
	reset(): void {
		const { state } = this;
		this.settle();
		state.bytes[REGISTER_B]! &= ~(B_PERIODIC | B_ALARM | B_UPDATE | B_SQUARE_WAVE);
		state.flags = 0;
		state.nmiMasked = false;
		this.drive();
	}

	save(): unknown {
		return structuredClone(this.state);
	}

	restore(state: unknown): void {
		this.state = structuredClone(state as RtcState);
		this.drive();
	}

	registers(): RegisterView[] {
		const { state } = this;
		const a = this.peek(REGISTER_A);
		const b = state.bytes[REGISTER_B]!;
		const c = this.peek(REGISTER_C);
		const shown = this.shown();
		const moment = momentOf(shown, this.format).seconds;
		const date = new Date(moment * 1000);
		return [
			{ name: "index", width: 7, value: state.index, meaning: state.nmiMasked ? "NMI masked" : "" },
			{ name: "time", width: 64, value: BigInt(moment), meaning: date.toISOString().replace(".000", "") },
			{ name: "A", width: 8, value: a, meaning: a & A_UIP ? "update in progress" : "" },
			{
				name: "B",
				width: 8,
				value: b,
				meaning: bits(b, ["DSE", "24 hours", "binary", "SQWE", "UIE", "AIE", "PIE", "SET"]),
			},
			{ name: "C", width: 8, value: c, meaning: bits(c, ["", "", "", "", "update", "alarm", "periodic", "IRQ"]) },
			{ name: "D", width: 8, value: D_VALID, meaning: "valid RAM and time" },
			...[SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM].map((address, i) => ({
				name: ["seconds alarm", "minutes alarm", "hours alarm"][i]!,
				width: 8,
				value: state.bytes[address]!,
			})),
		];
	}

	private get format(): CalendarFormat {
		const b = this.state.bytes[REGISTER_B]!;
		return { binary: (b & B_BINARY) !== 0, hours24: (b & B_24_HOURS) !== 0 };
	}

	private get set(): boolean {
		return (this.state.bytes[REGISTER_B]! & B_SET) !== 0;
	}

	private get running(): boolean {
		return (this.state.bytes[REGISTER_A]! & A_DIVIDER) === A_DIVIDER_RUNS;
	}

	private isTime(address: number): boolean {
		return (timeAddresses as readonly number[]).includes(address);
	}

	/** Whole seconds of the divider since the origin. */
	private elapsed(time: number): number {
		return this.running ? Math.floor((time - this.state.origin) / second) : 0;
	}

	private shown(): TimeBytes {
		const { state } = this;
		if (this.set) return timeAddresses.map((address) => state.bytes[address]!);
		return timeBytes(state.base + this.elapsed(this.clock.now()), state.weekdayShift, this.format);
	}

	/** A byte as the guest reads it, without the side effect of register C. */
	private peek(address: number): number {
		const { bytes } = this.state;
		if (this.isTime(address)) return this.shown()[(timeAddresses as readonly number[]).indexOf(address)]!;
		if (address === REGISTER_A) {
			const inSecond = (this.clock.now() - this.state.origin) % second;
			const updating = this.running && !this.set && inSecond >= second - updateNanoseconds;
			return bytes[REGISTER_A]! | (updating ? A_UIP : 0);
		}
		if (address === REGISTER_C) {
			const flags = this.flags();
			return flags | (flags & bytes[REGISTER_B]! ? C_IRQ : 0);
		}
		return address === REGISTER_D ? D_VALID : bytes[address]!;
	}

	private writeA(value: number): void {
		const { state } = this;
		const ran = this.running;
		const now = this.clock.now();
		const runs = (value & A_DIVIDER) === A_DIVIDER_RUNS;
		if (ran && !runs) state.base += this.elapsed(now);
		state.bytes[REGISTER_A] = value & ~A_UIP;
		if (!ran && runs) state.origin = now - half;
	}

	private writeB(value: number): void {
		const { state } = this;
		const wasSet = this.set;
		if (!wasSet && value & B_SET) {
			// SET aborts an update and keeps the time bytes still.
			const shown = this.shown();
			timeAddresses.forEach((address, i) => {
				state.bytes[address] = shown[i]!;
			});
			value &= ~B_UPDATE;
		}
		const shown = wasSet && !(value & B_SET) ? timeAddresses.map((address) => state.bytes[address]!) : undefined;
		state.bytes[REGISTER_B] = value;
		if (shown) this.take(shown);
	}

	private writeTime(address: number, value: number): void {
		const shown = this.shown();
		shown[(timeAddresses as readonly number[]).indexOf(address)] = value;
		this.take(shown);
	}

	/** The time goes on from these bytes; the divider keeps its phase. */
	private take(shown: TimeBytes): void {
		const { state } = this;
		const { seconds, weekdayShift } = momentOf(shown, this.format);
		state.base = seconds - this.elapsed(this.clock.now());
		state.weekdayShift = weekdayShift;
	}

	/** Ticks of the 32.768 kHz oscillator between periodic interrupts; 0 is none (data sheet, table 4). */
	private get period(): number {
		const rate = this.state.bytes[REGISTER_A]! & 15;
		if (rate === 0 || !this.running) return 0;
		return rate < 3 ? 64 << rate : 1 << (rate - 1);
	}

	private periods(time: number): number {
		const { period } = this;
		return period === 0 ? 0 : Math.floor(this.oscillator.ticksAt(time - this.state.origin) / period);
	}

	private nextMatch(after: number): number | undefined {
		const { bytes } = this.state;
		const alarm = { seconds: bytes[SECONDS_ALARM]!, minutes: bytes[MINUTES_ALARM]!, hours: bytes[HOURS_ALARM]! };
		return nextAlarmSecond(after, alarm, this.format);
	}

	/** The flags of register C now. */
	private flags(): number {
		const { state } = this;
		const now = this.clock.now();
		let { flags } = state;
		if (this.periods(now) !== this.periods(state.flagsTime)) flags |= B_PERIODIC;
		const before = this.elapsed(state.flagsTime);
		const after = this.elapsed(now);
		if (this.set || before === after) return flags;
		flags |= B_UPDATE;
		const match = this.nextMatch(state.base + before);
		if (match !== undefined && match <= state.base + after) flags |= B_ALARM;
		return flags;
	}

	private settle(): void {
		this.state.flags = this.flags();
		this.state.flagsTime = this.clock.now();
	}

	/** Drives IRQ 8 and asks for the alarm of the next enabled event. */
	private drive(): void {
		this.alarm?.cancel();
		this.alarm = undefined;
		const { state } = this;
		const enabled = state.bytes[REGISTER_B]!;
		const asserted = (this.flags() & enabled & (B_PERIODIC | B_ALARM | B_UPDATE)) !== 0;
		this.irq8.set(asserted);
		// Until register C is read nothing more can happen to the line.
		if (asserted || !this.running) return;
		const now = this.clock.now();
		let next = Number.POSITIVE_INFINITY;
		if (enabled & B_PERIODIC && this.period > 0)
			next = state.origin + this.oscillator.timeOfTick((this.periods(now) + 1) * this.period);
		if (!this.set) {
			if (enabled & B_UPDATE) next = Math.min(next, state.origin + (this.elapsed(now) + 1) * second);
			const match = enabled & B_ALARM ? this.nextMatch(state.base + this.elapsed(now)) : undefined;
			if (match !== undefined) next = Math.min(next, state.origin + (match - state.base) * second);
		}
		if (Number.isSafeInteger(next)) this.alarm = this.clock.at(next, () => this.drive());
	}
}

/** The CMOS memory as the firmware of a PC AT leaves it: sizes of the memory in several units, equipment, checksum. */
function cmosBytes({ memoryBytes, memoryAbove4GiB = 0 }: CmosConfiguration): Uint8Array {
	const bytes = new Uint8Array(128);
	const put = (address: number, value: number, count = 2) => {
		for (let i = 0; i < count; i++) bytes[address + i] = Math.floor(value / 256 ** i) % 256;
	};
	const above = (base: number, unit: number) => Math.max(0, Math.floor((memoryBytes - base) / unit));
	bytes[REGISTER_A] = A_DIVIDER_RUNS | 0x06;
	bytes[REGISTER_B] = B_24_HOURS;
	bytes[REGISTER_D] = D_VALID;
	bytes[CENTURY] = 0x20;
	// Equipment: 80-column display, coprocessor.
	bytes[0x14] = 0x22;
	put(0x15, Math.min(640, Math.floor(memoryBytes / 1024)));
	const extended = Math.min(0xffff, above(0x10_0000, 1024));
	put(0x17, extended);
	put(0x30, extended);
	put(0x34, Math.min(0xffff, above(0x100_0000, 0x1_0000)));
	put(0x5b, Math.min(0xff_ffff, Math.floor(memoryAbove4GiB / 0x1_0000)), 3);
	let sum = 0;
	for (let address = 0x10; address <= 0x2d; address++) sum += bytes[address]!;
	bytes[0x2e] = sum >> 8;
	bytes[0x2f] = sum & 0xff;
	return bytes;
}
