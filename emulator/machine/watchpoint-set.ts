// Watchpoints of a debugger as a watch of the processor's memory accesses.

import { type AccessWatch, type WatchedAccess, WatchedFor } from "../cpu/memory-access.ts";
import type { AddressSpace, Watchpoint } from "./virtual-machine.ts";

export class WatchpointSet implements AccessWatch {
	private watchpoints: readonly Watchpoint[] = [];

	/**
	 * @param hit called for each watchpoint that an access touches, with the address of the access in the watchpoint's space.
	 * @param guestPhysical the guest-physical address of an access, while that is not the host-physical one.
	 */
	constructor(
		private readonly hit: (watchpoint: Watchpoint, access: WatchedAccess, address: bigint) => void,
		private readonly guestPhysical: (linear: bigint) => bigint | undefined = () => undefined,
	) {}

	set(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints;
	}

	watches(linearLow: number, linearHigh: number, physicalPage: number): number {
		const linearPage = ((BigInt(linearHigh >>> 0) << 32n) | BigInt(linearLow >>> 0)) >> 12n;
		const addressOf = this.addresses(linearPage << 12n, BigInt(physicalPage) << 12n);
		let wanted: number = WatchedFor.nothing;
		for (const { address, length, access } of this.watchpoints) {
			const page = addressOf(address.space) >> 12n;
			if (page < address.value >> 12n || page > (address.value + BigInt(length) - 1n) >> 12n) continue;
			if (access !== "write") wanted |= WatchedFor.reads;
			if (access !== "read") wanted |= WatchedFor.writes;
		}
		return wanted;
	}

	/** The address of one access in each space; the guest's tables are looked at once and only if asked for. */
	private addresses(linear: bigint, physical: bigint): (space: AddressSpace) => bigint {
		let guest: bigint | undefined;
		return (space) => {
			if (space === "lin") return linear;
			if (space !== "gpa") return physical;
			guest ??= this.guestPhysical(linear) ?? physical;
			return guest;
		};
	}

	accessed(access: WatchedAccess): void {
		const addressOf = this.addresses(access.linear, BigInt(access.physical));
		for (const watchpoint of this.watchpoints) {
			if (watchpoint.access !== "readWrite" && (watchpoint.access === "write") !== access.write) continue;
			const start = addressOf(watchpoint.address.space);
			if (start + BigInt(access.size) <= watchpoint.address.value) continue;
			if (start >= watchpoint.address.value + BigInt(watchpoint.length)) continue;
			this.hit(watchpoint, access, start);
		}
	}
}
