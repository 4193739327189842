// The current VMCS: its fields as they lie in host-physical memory.

import { PageKind, type PhysicalMemory } from "../../engine/physical-memory.ts";
import { type VmcsField, VmcsRegion } from "./vmcs-fields.ts";

/** Reads and writes a VMCS region. Offsets are those of `Vmcs`. */
export class VmcsMemory {
	/** Index in 32-bit words of the region's place in RAM; -1 when it lies elsewhere. */
	private readonly place: number;
	private readonly page: number;

	constructor(
		readonly physical: PhysicalMemory,
		/** Host-physical address of the region, 4-KByte aligned. */
		readonly address: number,
	) {
		this.page = Math.floor(address / 4096);
		this.place = physical.kindOf(this.page) === PageKind.ram ? physical.placeOfPage(this.page) >> 2 : -1;
	}

	/** The low 32 bits of a field, signed. */
	read32(offset: number): number {
		if (this.place >= 0) return this.physical.i32[this.place + (offset >> 2)]!;
		return this.physical.read(this.address + offset, 4) | 0;
	}

	/** The whole field, unsigned. */
	read(offset: number): bigint {
		if (this.place >= 0) return BigInt.asUintN(64, this.physical.i64[(this.place + (offset >> 2)) >> 1]!);
		const low = this.physical.read(this.address + offset, 4) >>> 0;
		return (BigInt(this.physical.read(this.address + offset + 4, 4) >>> 0) << 32n) | BigInt(low);
	}

	/** Words from an offset on as they lie in RAM; none when the region lies elsewhere. */
	words(offset: number, count: number): Int32Array {
		const start = this.place + (offset >> 2);
		return this.place >= 0 ? this.physical.i32.subarray(start, start + count) : new Int32Array(0);
	}

	/** Whether stores need not be seen by anyone else. */
	private get isPlain(): boolean {
		return this.place >= 0 && this.physical.hasCode[this.page] === 0;
	}

	write32(offset: number, value: number): void {
		if (this.isPlain) {
			const at = this.place + (offset >> 2);
			this.physical.i32[at] = value;
			this.physical.i32[at + 1] = 0;
			return;
		}
		this.physical.write(this.address + offset, 4, value >>> 0);
		this.physical.write(this.address + offset + 4, 4, 0);
	}

	/** Stores the low 64 bits. */
	write(offset: number, value: bigint): void {
		if (this.isPlain) {
			this.physical.i64[(this.place + (offset >> 2)) >> 1] = value;
			return;
		}
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
