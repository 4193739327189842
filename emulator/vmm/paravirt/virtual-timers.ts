// The timers of a vCPU: one shot (set_timer_op, VCPUOP_set_singleshot_timer) and periodic (VCPUOP_set_periodic_timer).
// Both raise VIRQ_TIMER. Reference: Xen public headers xen.h, vcpu.h. System time is virtual time since power-on.

import type { Alarm, Clock } from "../../devices/device.ts";
import { Errno } from "./xen-abi.ts";

/** VCPU_SSHOTTMR_future: a time that has passed is an error. */
const FUTURE = 1;
const SHORTEST_PERIOD = 1_000_000n;
const LONGEST = 1n << 50n;

export class VirtualTimers {
	private oneShot: Alarm | undefined;
	private periodic: Alarm | undefined;
	/** When the one-shot timer goes off, for views. */
	deadline: number | undefined;
	period: number | undefined;

	/** @param fire raises VIRQ_TIMER. */
	constructor(
		private readonly clock: Clock,
		private readonly fire: () => void,
	) {}

	/** Sets the one-shot timer to a system time in nanoseconds; 0 stops it. */
	setOneShot(time: bigint): void {
		this.oneShot?.cancel();
		this.oneShot = this.deadline = undefined;
		// A time so far ahead that it never comes.
		if (time === 0n || time > LONGEST) return;
		const at = Math.max(Number(time), this.clock.now());
		this.deadline = at;
		this.oneShot = this.clock.at(at, () => {
			this.oneShot = this.deadline = undefined;
			this.fire();
		});
	}

	/** VCPUOP_set_singleshot_timer. @returns 0 or a negative error number. */
	setSingleShot(time: bigint, flags: number): number {
		if (flags & FUTURE && time < BigInt(this.clock.now())) return -Errno.ETIME;
		this.setOneShot(time === 0n ? 1n : time);
		return 0;
	}

	stopSingleShot(): void {
		this.setOneShot(0n);
	}

	/** VCPUOP_set_periodic_timer. @returns 0 or a negative error number. */
	setPeriodic(period: bigint): number {
		if (period < SHORTEST_PERIOD || period > LONGEST) return -Errno.EINVAL;
		this.stopPeriodic();
		this.period = Number(period);
		this.arm(this.clock.now() + this.period);
		return 0;
	}

	private arm(time: number): void {
		this.periodic = this.clock.at(time, () => {
			this.arm(time + this.period!);
			this.fire();
		});
	}

	stopPeriodic(): void {
		this.periodic?.cancel();
		this.periodic = this.period = undefined;
	}

	stop(): void {
		this.stopSingleShot();
		this.stopPeriodic();
	}
}
