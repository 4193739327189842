// The memory of the domain that runs, by guest-linear address: every access is checked as the guest's own would be, so that a
// pointer in a hypercall reaches nothing that the guest itself could not reach.

import { PageAccess, type Paging } from "../../../cpu/paging.ts";
import { Fault } from "../../../engine/fault.ts";
import type { Domain } from "../domain.ts";
import { COMPAT_VIRT_START } from "../xen-abi.ts";
import type { MachineMemory } from "./machine-memory.ts";

/** The most bytes of one transfer: beyond that a hypercall asks for nonsense. */
const MOST_BYTES = 1 << 24;

export class GuestMemory {
	/** The domain whose tables the host uses now. */
	domain!: Domain;

	constructor(
		private readonly memory: MachineMemory,
		private readonly paging: Paging,
	) {}

	/** Machine address of a guest-linear one for an access of the guest's kernel; -1 when it would fault or no RAM is there. */
	translate(address: bigint, write: boolean): number {
		const { wide } = this.domain;
		if (!wide && (address < 0n || address >= BigInt(COMPAT_VIRT_START))) return -1;
		if (wide && BigInt.asIntN(48, address) !== BigInt.asIntN(64, address)) return -1;
		const access = (write ? PageAccess.write : 0) | (wide ? PageAccess.user : 0);
		const low = Number(BigInt.asIntN(32, address));
		const high = Number(BigInt.asIntN(32, address >> 32n));
		try {
			const frame = this.paging.translateFrame(low, high, access);
			return this.memory.isRam(frame) ? frame * 4096 + (low & 0xfff) : -1;
		} catch (fault) {
			if (fault instanceof Fault) return -1;
			throw fault;
		}
	}

	/** Bytes; undefined when any of them cannot be read. */
	read(address: bigint, length: number): Uint8Array | undefined {
		if (length > MOST_BYTES) return undefined;
		const bytes = new Uint8Array(length);
		for (let done = 0; done < length; ) {
			const at = this.translate(BigInt.asUintN(64, address + BigInt(done)), false);
			if (at < 0) return undefined;
			const part = Math.min(length - done, 4096 - (at & 0xfff));
			bytes.set(this.memory.bytes(Math.floor(at / 4096), at & 0xfff, part), done);
			done += part;
		}
		return bytes;
	}

	view(address: bigint, length: number): DataView | undefined {
		const bytes = this.read(address, length);
		return bytes && new DataView(bytes.buffer);
	}

	/** False when any byte cannot be written; what comes before it is written then, as a copy in order would. */
	write(address: bigint, bytes: Uint8Array): boolean {
		for (let done = 0; done < bytes.length; ) {
			const at = this.translate(BigInt.asUintN(64, address + BigInt(done)), true);
			if (at < 0) return false;
			const part = Math.min(bytes.length - done, 4096 - (at & 0xfff));
			this.memory.store(Math.floor(at / 4096), at & 0xfff, bytes.subarray(done, done + part));
			done += part;
		}
		return true;
	}

	/** Words of `size` bytes. */
	writeWords(address: bigint, size: 4 | 8, ...values: readonly (number | bigint)[]): boolean {
		const bytes = new Uint8Array(values.length * size);
		const view = new DataView(bytes.buffer);
		for (const [index, value] of values.entries()) {
			const whole = BigInt(value);
			if (size === 8) view.setBigUint64(index * 8, BigInt.asUintN(64, whole), true);
			else view.setUint32(index * 4, Number(BigInt.asUintN(32, whole)), true);
		}
		return this.write(address, bytes);
	}

	/** A long of the guest. */
	readLong(address: bigint): bigint | undefined {
		const size = this.domain.longBytes;
		const view = this.view(address, size);
		return view && (size === 8 ? view.getBigUint64(0, true) : BigInt(view.getUint32(0, true)));
	}
}
