// The local APIC's timer: a count as a function of time, and an alarm only for an interrupt that can happen.
// Reference: SDM volume 3A, section 11.5.4 "APIC Timer".

import type { Alarm, Clock } from "./device.ts";
import type { TickRate } from "./tick-rate.ts";

/** LVT timer register, bits 18-17. */
export const TimerMode = { oneShot: 0, periodic: 1, tscDeadline: 2 } as const;

export interface ApicTimerState {
	initialCount: number;
	/** Divide configuration register: bits 3, 1, 0. */
	divideConfiguration: number;
	mode: number;
	masked: boolean;
	/** Where the present run began: a tick of the undivided clock and the count there (0: stopped). */
	startTick: number;
	startCount: number;
	/** IA32_TSC_DEADLINE as a hexadecimal number; "0x0" is disarmed. */
	tscDeadline: string;
}

export function apicTimerAtReset(): ApicTimerState {
	return {
		initialCount: 0,
		divideConfiguration: 0,
		mode: TimerMode.oneShot,
		masked: true,
		startTick: 0,
		startCount: 0,
		tscDeadline: "0x0",
	};
}

/** A periodic timer interrupts at most once in this time; periods that end in between are merged, as the IRR bit would merge them. */
const shortestAlarmNanoseconds = 1_000;

export class ApicTimer {
	state = apicTimerAtReset();
	private alarm: Alarm | undefined;

	/** @param timeOfTsc the first virtual time at which the time-stamp counter has reached a value. */
	constructor(
		private readonly clock: Clock,
		private readonly rate: TickRate,
		private readonly timeOfTsc: (tsc: bigint) => number,
		private readonly expired: () => void,
	) {}

	get currentCount(): number {
		const { state } = this;
		if (state.mode === TimerMode.tscDeadline || state.startCount === 0) return 0;
		const elapsed = this.elapsed(this.clock.now());
		if (elapsed < state.startCount) return state.startCount - elapsed;
		if (state.mode === TimerMode.oneShot || state.initialCount === 0) return 0;
		return state.initialCount - ((elapsed - state.startCount) % state.initialCount);
	}

	get tscDeadline(): bigint {
		return BigInt(this.state.tscDeadline);
	}

	/** Ignored in TSC-deadline mode. Zero stops the timer. */
	writeInitialCount(count: number): void {
		const { state } = this;
		if (state.mode === TimerMode.tscDeadline) return;
		state.initialCount = count;
		state.startCount = count;
		state.startTick = this.rate.ticksAt(this.clock.now());
		this.arm();
	}

	writeDivideConfiguration(value: number): void {
		const { state } = this;
		// The count goes on from where it is, at the new pace.
		state.startCount = this.currentCount;
		state.startTick = this.rate.ticksAt(this.clock.now());
		state.divideConfiguration = value & 0x0b;
		this.arm();
	}

	/** The mode and mask of the LVT register. Entering or leaving TSC-deadline mode disarms the timer. */
	configure(mode: number, masked: boolean): void {
		const { state } = this;
		if (mode !== state.mode) {
			if (mode === TimerMode.tscDeadline || state.mode === TimerMode.tscDeadline) {
				state.startCount = 0;
				state.initialCount = 0;
				state.tscDeadline = "0x0";
			} else {
				state.startCount = this.currentCount;
				state.startTick = this.rate.ticksAt(this.clock.now());
			}
		}
		state.mode = mode;
		state.masked = masked;
		this.arm();
	}

	/** Ignored outside TSC-deadline mode. Zero disarms. */
	writeTscDeadline(value: bigint): void {
		if (this.state.mode !== TimerMode.tscDeadline) return;
		this.state.tscDeadline = `0x${BigInt.asUintN(64, value).toString(16)}`;
		this.arm();
	}

	/** Asks for the alarm that the state calls for; called after each change and after a restore. */
	arm(): void {
		this.alarm?.cancel();
		this.alarm = undefined;
		const time = this.nextExpiry();
		if (time === undefined) return;
		this.alarm = this.clock.at(time, () => {
			this.alarm = undefined;
			if (this.state.mode === TimerMode.tscDeadline) this.state.tscDeadline = "0x0";
			else if (this.state.mode === TimerMode.oneShot) this.state.startCount = 0;
			if (!this.state.masked) this.expired();
			if (this.alarm === undefined) this.arm();
		});
	}

	/** The count decrements once every 1, 2, 4, ... 128 ticks. */
	private get divisor(): number {
		const value = this.state.divideConfiguration;
		const code = (value & 3) | ((value >> 1) & 4);
		return code === 7 ? 1 : 2 << code;
	}

	private elapsed(time: number): number {
		const ticks = this.rate.ticksAt(time) - this.state.startTick;
		return (ticks - (ticks % this.divisor)) / this.divisor;
	}

	private nextExpiry(): number | undefined {
		const { state } = this;
		if (state.mode === TimerMode.tscDeadline) {
			// The deadline is cleared when it passes, masked or not.
			if (state.tscDeadline === "0x0") return undefined;
			const time = this.timeOfTsc(this.tscDeadline);
			return Number.isSafeInteger(time) && time >= 0 ? Math.max(time, this.clock.now()) : undefined;
		}
		if (state.startCount === 0 || state.masked) return undefined;
		const elapsed = this.elapsed(this.clock.now());
		let count = state.startCount;
		if (elapsed >= count) {
			const period = state.initialCount;
			if (state.mode === TimerMode.oneShot || period === 0) return undefined;
			const soonest = this.elapsed(this.clock.now() + shortestAlarmNanoseconds - 1);
			count += (Math.floor((soonest - count) / period) + 1) * period;
		}
		return this.rate.timeOfTick(state.startTick + count * this.divisor);
	}
}
