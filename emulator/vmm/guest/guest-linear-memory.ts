// Memory as the guest addresses it, read and written by the VMM on the guest's behalf: the guest's faults, its A and D
// bits, its devices and the VMM's write traces all take part.

import type { FillResult as FillResultType, ShadowPageTables } from "../shadow/shadow-page-tables.ts";
import { FillResult } from "../shadow/shadow-page-tables.ts";
import { GuestFault } from "./guest-fault.ts";
import { Access } from "./guest-page-walk.ts";
import type { GuestPhysicalMemory } from "./guest-physical-memory.ts";

const PAGE_FAULT = 14;

export class GuestLinearMemory {
	/** Accesses that the shadow tables alone could not answer. */
	slowAccesses = 0;
	/** Sees accesses that the VMM makes for the guest: the host's own watches do not. Undefined while nothing is watched. */
	watch: ((linear: number, size: number, write: boolean, oldValue: number, newValue: number) => void) | undefined;

	constructor(
		private readonly shadow: ShadowPageTables,
		private readonly memory: GuestPhysicalMemory,
	) {}

	/** Guest-physical address for an access (Access bits), with every effect of the access on the guest's tables. @throws {GuestFault} #PF */
	translate(linear: number, access: number): number {
		this.slowAccesses++;
		const result: FillResultType = this.shadow.fill(linear, access);
		const { walk } = this.shadow;
		if (result === FillResult.fault) throw new GuestFault(PAGE_FAULT, walk.errorCode, linear >>> 0);
		return walk.physical;
	}

	/** An unsigned value of `size` bytes. @throws {GuestFault} #PF */
	read(linear: number, size: 1 | 2 | 4, user: boolean): number {
		if ((linear & 0xfff) + size > 4096) {
			let value = 0;
			for (let at = 0; at < size; at++) value += this.read((linear + at) >>> 0, 1, user) * 2 ** (8 * at);
			return value;
		}
		const access = user ? Access.user : Access.read;
		const host = this.shadow.lookup(linear, access);
		if (host >= 0) return this.memory.host.read(host, size);
		return this.memory.read(this.translate(linear, access), size);
	}

	/** @throws {GuestFault} #PF, before any byte is written */
	write(linear: number, size: 1 | 2 | 4, value: number, user: boolean): void {
		const access = Access.write | (user ? Access.user : 0);
		if ((linear & 0xfff) + size > 4096) {
			this.translate(linear, access);
			this.translate((linear + size - 1) >>> 0, access);
			for (let at = 0; at < size; at++) this.write((linear + at) >>> 0, 1, (value >>> (8 * at)) & 0xff, user);
			return;
		}
		const unsigned = size === 4 ? value >>> 0 : value & (size === 2 ? 0xffff : 0xff);
		const host = this.shadow.lookup(linear, access);
		const physical = host >= 0 ? -1 : this.translate(linear, access);
		// A device is not read for the sake of a watch.
		const seen = this.watch !== undefined && (host >= 0 || this.memory.isBacked(physical));
		const old = !seen ? 0 : host >= 0 ? this.memory.host.read(host, size) : this.memory.read(physical, size);
		if (host >= 0) this.memory.host.write(host, size, unsigned);
		else this.memory.write(physical, size, unsigned);
		if (seen) this.watch?.(linear, size, true, old, unsigned);
	}

	/** Makes sure that a write of a range would not fault. @throws {GuestFault} #PF */
	probeWrite(linear: number, length: number, user: boolean): void {
		const access = Access.write | (user ? Access.user : 0);
		for (const at of [linear >>> 0, (linear + length - 1) >>> 0])
			if (this.shadow.lookup(at, access) < 0) this.translate(at, access);
	}
}
