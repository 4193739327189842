// A VMCS region copied out of host-physical memory for looking at. Reading it touches no device.

import { Vmcs, type VmcsFieldName, VmcsRegion, vmcsFields } from "../../cpu/vmx/vmcs-fields.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";

/** Bytes of a region that mean something. */
const USED_BYTES = VmcsRegion.fields + vmcsFields.length * 8;

export class VmcsBytes {
	private readonly view: DataView;

	private constructor(private readonly bytes: Uint8Array) {
		this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	}

	/** Undefined when the address is not that of a region in RAM. */
	static at(physical: PhysicalMemory, address: bigint): VmcsBytes | undefined {
		if (address < 0n || address >> 40n !== 0n || (address & 0xfffn) !== 0n) return undefined;
		const bytes = physical.peek(Number(address), VmcsRegion.bytes);
		return bytes && new VmcsBytes(bytes);
	}

	/** The region as it lies in RAM, not copied: for what is looked at before anything else happens. */
	static over(physical: PhysicalMemory, address: number): VmcsBytes {
		const place = physical.placeOfPage(address / 4096);
		return new VmcsBytes(physical.u8.subarray(place, place + VmcsRegion.bytes));
	}

	copy(): VmcsBytes {
		return new VmcsBytes(this.bytes.slice());
	}

	/** Takes the bytes of another moment over. */
	refill(physical: PhysicalMemory, address: number): void {
		const place = physical.placeOfPage(address / 4096);
		this.bytes.set(physical.u8.subarray(place, place + USED_BYTES));
	}

	get revision(): number {
		return this.view.getUint32(VmcsRegion.revision, true);
	}

	get launchState(): number {
		return this.view.getUint32(VmcsRegion.launchState, true);
	}

	get abort(): number {
		return this.view.getUint32(VmcsRegion.abort, true);
	}

	/** A field, unsigned. */
	read(name: VmcsFieldName): bigint {
		return this.view.getBigUint64(Vmcs[name], true);
	}

	/** The low 32 bits of a field, unsigned. */
	word(name: VmcsFieldName): number {
		return this.view.getUint32(Vmcs[name], true);
	}

	/** Whether a field has the same value in both. */
	sameField(other: VmcsBytes, offset: number): boolean {
		for (let at = offset; at < offset + 8; at++) if (this.bytes[at] !== other.bytes[at]) return false;
		return true;
	}
}
