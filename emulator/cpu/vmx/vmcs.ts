// The current VMCS: its fields as they lie in host-physical memory.

import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { type VmcsField, VmcsRegion } from "./vmcs-fields.ts";

/** Reads and writes a VMCS region. Offsets are those of `Vmcs`. */
export class VmcsMemory {
	constructor(
		readonly physical: PhysicalMemory,
		/** Host-physical address of the region, 4-KByte aligned. */
		readonly address: number,
	) {}

	/** The low 32 bits of a field, signed. */
	read32(offset: number): number {
		return this.physical.read(this.address + offset, 4) | 0;
	}

	/** The whole field, unsigned. */
	read(offset: number): bigint {
		const low = this.physical.read(this.address + offset, 4) >>> 0;
		return (BigInt(this.physical.read(this.address + offset + 4, 4) >>> 0) << 32n) | BigInt(low);
	}

	write32(offset: number, value: number): void {
		this.physical.write(this.address + offset, 4, value >>> 0);
		this.physical.write(this.address + offset + 4, 4, 0);
	}

	/** Stores the low 64 bits. */
	write(offset: number, value: bigint): void {
		this.physical.write(this.address + offset, 4, Number(BigInt.asUintN(32, value)));
		this.physical.write(this.address + offset + 4, 4, Number(BigInt.asUintN(32, value >> 32n)));
	}

	/** Stores a field from a VMWRITE operand, cut to the field's width. */
	writeField(field: VmcsField, value: bigint): void {
		const bits = field.width === "natural" ? 64 : field.width;
		this.write(field.offset, BigInt.asUintN(bits, value));
	}

	/** A word that is no field: revision, abort indicator, launch state. */
	word(offset: 0 | 4 | 8): number {
		return this.physical.read(this.address + offset, 4) >>> 0;
	}

	setWord(offset: 0 | 4 | 8, value: number): void {
		this.physical.write(this.address + offset, 4, value >>> 0);
	}
}

/** Values of the launch state. */
export const LaunchState = { clear: 0, launched: 1 } as const;

export const launchStateOffset = VmcsRegion.launchState;
