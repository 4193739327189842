// Data breakpoints of a debugger on a guest under VT-x: on the accesses of the hardware, and on those that the VMM makes for the guest.

import { type AccessWatch, type WatchedAccess, WatchedFor } from "../../cpu/memory-access.ts";
import type { AddressSpace, Stop, Watchpoint } from "../../machine/virtual-machine.ts";
import { VCPU } from "../hosted-machine.ts";
import { guestFrameOf } from "./instruction-emulator.ts";
import type { Monitor } from "./monitor.ts";

/** Guest-physical and host-physical page of a page that is accessed; undefined where there is none. */
interface Place {
	readonly gpa: bigint | undefined;
	readonly hpa: bigint | undefined;
	/** The guest's access: its linear addresses are meant. */
	readonly byGuest: boolean;
}

export interface WatchSurroundings {
	/** Linear address of the guest's instruction. */
	instruction(): bigint;
	hit(stop: Stop): void;
}

export class GuestWatchpoints {
	private watchpoints: readonly Watchpoint[] = [];
	private monitor: Monitor | undefined;

	constructor(private readonly surroundings: WatchSurroundings) {}

	/** Watches another VMM's guest from now on: the machine was reset. */
	attach(monitor: Monitor): void {
		this.monitor = monitor;
		this.set(this.watchpoints);
	}

	set(watchpoints: readonly Watchpoint[]): void {
		this.watchpoints = watchpoints;
		const { monitor } = this;
		if (!monitor) return;
		const watch = (placeOf: (page: number) => Place): AccessWatch[] =>
			watchpoints.length === 0
				? []
				: [
						{
							watches: (low, high, page) => this.wanted(low, high, placeOf(page)),
							accessed: (access) => this.accessed(access, placeOf(Math.floor(access.physical / 4096))),
						},
					];
		monitor.host.processor.setWatches(watch((page) => this.hardwarePlace(monitor, page)));
		monitor.emulator.processor.setWatches(watch((page) => this.emulatedPlace(monitor, page)));
	}

	private hardwarePlace(monitor: Monitor, page: number): Place {
		const guest = monitor.physical.pmap.indexOf(page);
		return { gpa: guest < 0 ? undefined : BigInt(guest), hpa: BigInt(page), byGuest: monitor.control.inGuest };
	}

	private emulatedPlace(monitor: Monitor, page: number): Place {
		const guest = guestFrameOf(page);
		const frame = monitor.physical.knownFrame(guest);
		return { gpa: BigInt(guest), hpa: frame === undefined ? undefined : BigInt(frame), byGuest: true };
	}

	/** Number of the page in the space of a watchpoint. */
	private pageOf(space: AddressSpace, linearPage: bigint, place: Place): bigint | undefined {
		if (space === "hpa") return place.hpa;
		if (!place.byGuest) return undefined;
		return space === "lin" ? linearPage : place.gpa;
	}

	private wanted(linearLow: number, linearHigh: number, place: Place): number {
		const linearPage = ((BigInt(linearHigh >>> 0) << 32n) | BigInt(linearLow >>> 0)) >> 12n;
		let wanted: number = WatchedFor.nothing;
		for (const { address, length, access } of this.watchpoints) {
			const page = this.pageOf(address.space, linearPage, place);
			if (page === undefined || page < address.value >> 12n) continue;
			if (page > (address.value + BigInt(length) - 1n) >> 12n) continue;
			if (access !== "write") wanted |= WatchedFor.reads;
			if (access !== "read") wanted |= WatchedFor.writes;
		}
		return wanted;
	}

	private accessed(access: WatchedAccess, place: Place): void {
		for (const watchpoint of this.watchpoints) {
			const { address, length, id } = watchpoint;
			if (watchpoint.access !== "readWrite" && (watchpoint.access === "write") !== access.write) continue;
			const page = this.pageOf(address.space, access.linear >> 12n, place);
			if (page === undefined) continue;
			const start = page * 4096n + (access.linear & 0xfffn);
			if (start + BigInt(access.size) <= address.value || start >= address.value + BigInt(length)) continue;
			this.surroundings.hit({
				reason: "watchpoint",
				processor: VCPU,
				id,
				access: access.write ? "write" : "read",
				address: { space: address.space, value: start },
				length: access.size,
				...(access.oldValue === undefined ? {} : { oldValue: access.oldValue }),
				...(access.newValue === undefined ? {} : { newValue: access.newValue }),
				instruction: this.surroundings.instruction(),
			});
		}
	}
}
