// The power management registers of a PIIX4: power button, sleep states and the power management timer.
// References: ACPI Specification 6.4, section 4.8.3 "Fixed Hardware Registers"; Intel 82371AB (PIIX4) data sheet, section 7.2.

import type { AccessSize, Alarm, Clock, Device, InterruptLine, RegisterBlock, RegisterView } from "./device.ts";
import { bits } from "./register-format.ts";
import { TickRate } from "./tick-rate.ts";

/** Offsets in the block. */
export const PM1_STATUS = 0;
const PM1_ENABLE = 2;
export const PM1_CONTROL = 4;
export const PM_TIMER = 8;

export const PM_TIMER_HERTZ = 3_579_545;
/** The block's usual base under QEMU's SeaBIOS, and its length. */
export const ACPI_POWER_PORT = 0x600;
export const ACPI_POWER_LENGTH = 12;

const STATUS_TIMER = 0x0001;
const STATUS_POWER_BUTTON = 0x0100;
/** Status bits that exist here: timer, global, power button, RTC, wake. */
const STATUS_ALL = 0x8521;
const ENABLE_ALL = 0x0521;
const CONTROL_SCI_ENABLE = 0x0001;
const CONTROL_SLEEP_ENABLE = 0x2000;
/** Sleep types as the DSDT of this machine must name them: \_S5 is 0, as PIIX4 has it for soft off. */
export const SLEEP_TYPE_S5 = 0;

/** The timer has 24 bits; its status bit is set when bit 23 changes. */
const TIMER_MASK = 0xff_ffff;
const HALF_WRAP = 0x80_0000;

interface AcpiPowerState {
	/** Status bits other than the timer's, which follows from the time. */
	status: number;
	enable: number;
	control: number;
	/** The number of the half wrap in which the timer's status bit was cleared last. */
	timerSeen: number;
}

function powerOn(): AcpiPowerState {
	return { status: 0, enable: 0, control: CONTROL_SCI_ENABLE, timerSeen: 0 };
}

/** Register block: 12 ports. The system control interrupt is level triggered (IRQ 9 on a PC). */
export class AcpiPower implements Device, RegisterBlock {
	readonly name = "PIIX4 power management";
	private readonly rate = new TickRate(PM_TIMER_HERTZ);
	private state = powerOn();
	private alarm: Alarm | undefined;

	/**
	 * @param onPowerOff the guest entered S5.
	 * @param onSleep it asked for another sleep type, which this machine does not have.
	 */
	constructor(
		private readonly clock: Clock,
		private readonly sci: InterruptLine,
		private readonly onPowerOff: () => void,
		private readonly onSleep: (type: number) => void = () => {},
	) {}

	/** The user presses the power button. */
	pressPowerButton(): void {
		this.state.status |= STATUS_POWER_BUTTON;
		this.update();
	}

	read(offset: number, size: AccessSize): number {
		let value = 0;
		for (let i = size - 1; i >= 0; i--) value = value * 256 + this.byte(offset + i);
		return value;
	}

	write(offset: number, size: AccessSize, value: number): void {
		for (let i = 0; i < size; i++) this.writeByte(offset + i, (value >>> (8 * i)) & 0xff);
		this.update();
		// The sleep type and enable are in the control register's high byte.
		if (offset <= PM1_CONTROL + 1 && offset + size > PM1_CONTROL + 1) this.sleep();
	}

	reset(): void {
		this.state = { ...powerOn(), timerSeen: this.halfWraps() };
		this.update();
	}

	save(): unknown {
		return { ...this.state };
	}

	restore(state: unknown): void {
		this.state = { ...(state as AcpiPowerState) };
		this.update();
	}

	registers(): RegisterView[] {
		const events = ["timer", "", "", "", "", "global", "", "", "power button", "", "RTC", "", "", "", "", "wake"];
		const { enable, control } = this.state;
		return [
			{ name: "PM1_STS", width: 16, value: this.status(), meaning: bits(this.status(), events) },
			{ name: "PM1_EN", width: 16, value: enable, meaning: bits(enable, events) },
			{ name: "PM1_CNT", width: 16, value: control, meaning: bits(control, ["ACPI mode"]) },
			{ name: "PM_TMR", width: 24, value: this.timer() },
		];
	}

	private timer(): number {
		return this.rate.ticksAt(this.clock.now()) % (TIMER_MASK + 1);
	}

	private halfWraps(): number {
		return Math.floor(this.rate.ticksAt(this.clock.now()) / HALF_WRAP);
	}

	private status(): number {
		return this.state.status | (this.halfWraps() !== this.state.timerSeen ? STATUS_TIMER : 0);
	}

	private byte(offset: number): number {
		const half = (value: number) => (value >>> (8 * (offset & 1))) & 0xff;
		if (offset < PM1_ENABLE) return half(this.status());
		if (offset < PM1_CONTROL) return half(this.state.enable);
		if (offset < PM1_CONTROL + 2) return half(this.state.control);
		return offset >= PM_TIMER ? (this.timer() >>> (8 * (offset & 3))) & 0xff : 0;
	}

	private writeByte(offset: number, value: number): void {
		const { state } = this;
		const shift = 8 * (offset & 1);
		const merge = (old: number) => (old & (0xff00 >> shift)) | (value << shift);
		if (offset < PM1_STATUS + 2) {
			const cleared = (value << shift) & STATUS_ALL;
			state.status &= ~cleared;
			if (cleared & STATUS_TIMER) state.timerSeen = this.halfWraps();
		} else if (offset < PM1_ENABLE + 2) state.enable = merge(state.enable) & ENABLE_ALL;
		// SLP_EN is write only (ACPI, table 4.14). Deviation: SCI_EN is always set; there is no SMI command port to enter or leave ACPI mode by.
		else if (offset < PM1_CONTROL + 2) state.control = merge(state.control) | CONTROL_SCI_ENABLE;
	}

	private sleep(): void {
		const { state } = this;
		const wanted = (state.control & CONTROL_SLEEP_ENABLE) !== 0;
		state.control &= ~CONTROL_SLEEP_ENABLE;
		if (!wanted) return;
		const type = (state.control >> 10) & 7;
		if (type === SLEEP_TYPE_S5) this.onPowerOff();
		else this.onSleep(type);
	}

	private update(): void {
		this.alarm?.cancel();
		this.alarm = undefined;
		const { enable } = this.state;
		this.sci.set((this.status() & enable) !== 0);
		if (!(enable & STATUS_TIMER) || this.status() & STATUS_TIMER) return;
		const next = this.rate.timeOfTick((this.halfWraps() + 1) * HALF_WRAP);
		this.alarm = this.clock.at(next, () => this.update());
	}
}
