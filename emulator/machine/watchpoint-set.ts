// Watchpoints of a debugger as a watch of the processor's memory accesses.

import { type AccessWatch, type WatchedAccess, WatchedFor } from "../cpu/memory-access.ts";
import type { Watchpoint } from "./virtual-machine.ts";

export class WatchpointSet implements AccessWatch {
	private watchpoints: readonly Watchpoint[] = [];

	/** @param hit called for each watchpoint that an access touches. Linear and physical (gpa:, hpa:) ranges are compared as given. */
	constructor(private readonly hit: (watchpoint: Watchpoint, access: WatchedAccess) => void) {}

	set(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints;
	}

	watches(linearLow: number, linearHigh: number, physicalPage: number): number {
		const linearPage = ((BigInt(linearHigh >>> 0) << 32n) | BigInt(linearLow >>> 0)) >> 12n;
		let wanted: number = WatchedFor.nothing;
		for (const { address, length, access } of this.watchpoints) {
			const page = address.space === "lin" ? linearPage : BigInt(physicalPage);
			if (page < address.value >> 12n || page > (address.value + BigInt(length) - 1n) >> 12n) continue;
			if (access !== "write") wanted |= WatchedFor.reads;
			if (access !== "read") wanted |= WatchedFor.writes;
		}
		return wanted;
	}

	accessed(access: WatchedAccess): void {
		for (const watchpoint of this.watchpoints) {
			if (watchpoint.access !== "readWrite" && (watchpoint.access === "write") !== access.write) continue;
			const start = watchpoint.address.space === "lin" ? access.linear : BigInt(access.physical);
			if (start + BigInt(access.size) <= watchpoint.address.value) continue;
			if (start >= watchpoint.address.value + BigInt(watchpoint.length)) continue;
			this.hit(watchpoint, access);
		}
	}
}
