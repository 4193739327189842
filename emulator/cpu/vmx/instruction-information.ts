// The VM-exit instruction-information field and the displacement that goes with it (SDM Vol. 3C §28.2.5, Tables 28-8 to 28-14).

import { Record, type SegmentIndex } from "../../isa/state.ts";
import type { ProcessorCore } from "../core.ts";

/** The slot that stands for an absent base or index. */
const NO_REGISTER = 16;
/** Segment registers in the order of the field: ES, CS, SS, DS, FS, GS. */
const ADDRESS_SIZE: Readonly<globalThis.Record<number, number>> = { 48: 0, 32: 1, 0: 2 };

/** Address size in bits 9:7. */
export function addressSizeBits(core: ProcessorCore, record: number): number {
	return ADDRESS_SIZE[core.state.u8[record + Record.addressShift]!]! << 7;
}

/**
 * The parts that all of these instructions have: scaling, address size, register or memory, segment, index and base.
 * @param register1 number of the register operand when there is no memory operand, or where it goes in bits 6:3.
 */
export function operandInformation(core: ProcessorCore, record: number, register1 = 0): number {
	const { u8 } = core.state;
	const { operands } = core;
	if (!operands.isMemory(record)) return (1 << 10) | (register1 << 3);
	const base = u8[record + Record.base]!;
	const index = u8[record + Record.index]!;
	return (
		(index === NO_REGISTER ? 0 : u8[record + Record.scale]!) |
		addressSizeBits(core, record) |
		(operands.segmentOf(record) << 15) |
		(index === NO_REGISTER ? 1 << 22 : index << 18) |
		(base === NO_REGISTER ? 1 << 27 : base << 23)
	);
}

/** The displacement of the memory operand as the exit qualification has it: sign-extended; with RIP-relative addressing the whole address. */
export function displacement(core: ProcessorCore, record: number): bigint {
	const { operands, state } = core;
	if (!operands.isMemory(record)) return 0n;
	if (state.u8[record + Record.base]! === NO_REGISTER && state.u8[record + Record.index]! === NO_REGISTER) {
		operands.locate(record);
		return (BigInt(operands.offsetHigh >>> 0) << 32n) | BigInt(operands.offsetLow >>> 0);
	}
	return BigInt.asUintN(64, BigInt(state.i32[(record + Record.displacement) >> 2]!));
}

/** Number of the general register in an operand. */
export function registerNumber(core: ProcessorCore, record: number, operand: 0 | 1 | 2): number {
	return core.operands.register(record, operand) >> 3;
}

/** The linear address of an offset in a segment, as an unsigned 64-bit number. */
export function linearAddress(core: ProcessorCore, segment: SegmentIndex, offset: bigint): bigint {
	const { state } = core;
	if (state.mode64) {
		const based = segment >= 4;
		return BigInt.asUintN(64, (based ? state.base(segment) : 0n) + offset);
	}
	return BigInt.asUintN(32, state.base(segment) + offset);
}
