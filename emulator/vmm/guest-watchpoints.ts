// Data breakpoints of a debugger on the guest: linear ones as the host sees them (the guest's linear space is the host's),
// guest-physical ones through the pmap.

import { type AccessWatch, type WatchedAccess, WatchedFor } from "../cpu/memory-access.ts";
import type { Processor, Stop, Watchpoint } from "../machine/virtual-machine.ts";
import type { GuestPhysicalMemory } from "./guest/guest-physical-memory.ts";
import { VMM_BASE } from "./layout.ts";
import type { Monitor } from "./monitor.ts";

export class GuestWatchpoints implements AccessWatch {
	private watchpoints: readonly Watchpoint[] = [];
	private monitor: Monitor | undefined;
	private physical: GuestPhysicalMemory | undefined;
	private vcpu: Processor | undefined;

	constructor(private readonly hit: (stop: Stop) => void) {}

	attach(monitor: Monitor): void {
		this.monitor = monitor;
		this.physical = monitor.physical;
	}

	set(watchpoints: readonly Watchpoint[], vcpu: Processor): void {
		const { monitor } = this;
		this.watchpoints = watchpoints;
		this.vcpu = vcpu;
		monitor?.host.processor.setWatches(watchpoints.length > 0 ? [this] : []);
		if (monitor === undefined) return;
		monitor.memory.watch =
			watchpoints.length === 0
				? undefined
				: (linear, size, write, oldValue, newValue) => {
						const physical = vcpu.translate(BigInt(linear), "hpa");
						if (physical === undefined) return;
						const values = { oldValue: BigInt(oldValue >>> 0), newValue: BigInt(newValue >>> 0) };
						const access = {
							linear: BigInt(linear >>> 0),
							physical: Number(physical),
							size,
							write,
							implicit: false,
							...values,
						};
						this.touched(access, BigInt(monitor.registers.eip >>> 0));
					};
	}

	/** Guest-physical page of a host page, -1 when it holds no guest memory. */
	private guestPage(hostPage: number): number {
		return this.physical?.pmap.indexOf(hostPage) ?? -1;
	}

	private pageOf(watchpoint: Watchpoint, linearPage: bigint, hostPage: number): bigint {
		switch (watchpoint.address.space) {
			case "lin":
				return linearPage;
			case "gpa":
				return BigInt(this.guestPage(hostPage));
			default:
				return BigInt(hostPage);
		}
	}

	watches(linearLow: number, _linearHigh: number, hostPage: number): number {
		const linearPage = BigInt(linearLow >>> 12);
		if (linearLow >>> 0 >= VMM_BASE) return WatchedFor.nothing;
		let wanted: number = WatchedFor.nothing;
		for (const watchpoint of this.watchpoints) {
			const { address, length, access } = watchpoint;
			const page = this.pageOf(watchpoint, linearPage, hostPage);
			if (page < address.value >> 12n || page > (address.value + BigInt(length) - 1n) >> 12n) continue;
			if (access !== "write") wanted |= WatchedFor.reads;
			if (access !== "read") wanted |= WatchedFor.writes;
		}
		return wanted;
	}

	accessed(access: WatchedAccess): void {
		this.touched(access, this.vcpu?.linearInstructionPointer() ?? 0n);
	}

	private touched(access: WatchedAccess, instruction: bigint): void {
		for (const watchpoint of this.watchpoints) {
			const { address, length } = watchpoint;
			if (watchpoint.access !== "readWrite" && (watchpoint.access === "write") !== access.write) continue;
			const page = this.pageOf(watchpoint, access.linear >> 12n, Math.floor(access.physical / 4096));
			const start = page * 4096n + (access.linear & 0xfffn);
			if (start + BigInt(access.size) <= address.value || start >= address.value + BigInt(length)) continue;
			this.hit({
				reason: "watchpoint",
				processor: 1,
				id: watchpoint.id,
				access: access.write ? "write" : "read",
				address: { space: address.space, value: start },
				length: access.size,
				...(access.oldValue === undefined ? {} : { oldValue: access.oldValue }),
				...(access.newValue === undefined ? {} : { newValue: access.newValue }),
				instruction,
			});
		}
	}
}
