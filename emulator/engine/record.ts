// Reading decoded records from TypeScript helpers.

import { Record, State } from "../isa/state.ts";
import type { PhysicalMemory } from "./physical-memory.ts";

/** Set in `flags` of a record whose explicit operand lies in memory. */
export const MEMORY_OPERAND = 0x80;

export class RecordReader {
	constructor(private readonly physical: PhysicalMemory) {}

	length(record: number): number {
		return this.physical.u8[record + Record.length]!;
	}

	flags(record: number): number {
		return this.physical.u8[record + Record.flags]!;
	}

	/** True when the instruction's r/m operand is in memory. */
	isMemory(record: number): boolean {
		return (this.physical.u8[record + Record.flags]! & MEMORY_OPERAND) !== 0;
	}

	/** Operand n as decode stored it: GPR: byte offset in the state (8-bit high registers: odd offsets); other classes: the register's number. */
	register(record: number, operand: 0 | 1 | 2): number {
		return this.physical.u8[record + Record.register + operand]!;
	}

	/** Low 32 bits of the immediate, signed. */
	immediate(record: number): number {
		return this.physical.i32[(record + Record.immediate) >> 2]!;
	}

	immediate64(record: number): bigint {
		return this.physical.i64[(record + Record.immediate) >> 3]!;
	}

	/** Index (SegmentIndex) of the memory operand's segment. */
	segment(record: number): number {
		return (this.physical.u8[record + Record.segment]! * 8 - State.segments) / 48;
	}

	/** Offset of the memory operand in its segment, masked to the address size. */
	effectiveAddress(record: number): bigint {
		const { u8, i32, i64 } = this.physical;
		const base = i64[u8[record + Record.base]!]!;
		const index = i64[u8[record + Record.index]!]!;
		const sum =
			base + (index << BigInt(u8[record + Record.scale]!)) + BigInt(i32[(record + Record.displacement) >> 2]!);
		return this.maskAddress(record, sum);
	}

	/** Cuts an offset to the instruction's address size. */
	maskAddress(record: number, offset: bigint): bigint {
		return BigInt.asUintN(64 - this.physical.u8[record + Record.addressShift]!, offset);
	}
}
