// The MMX registers and what every MMX instruction does to the x87 state that they share (SDM Vol. 1 §9.5.1, Vol. 3A
// §12.2).

import { Value, ValueType } from "../emit/value.ts";
import type { Operation } from "../operation.ts";
import { State } from "../state.ts";

const { i64 } = ValueType;
const TOP = 0x3800;
const ERROR_SUMMARY = 0x80;
/** CoprocessorUse of the helper. */
const USE_MMX = 1;

/**
 * Checks before an MMX instruction: #UD by CR0.EM, #NM by CR0.TS (SDM Vol. 3A Table 12-1), and a pending x87 exception
 * (§12.5.1).
 */
export function startMmx(o: Operation): void {
	o.f.if(o.state32(State.x87Trap), () => o.helper("deviceNotAvailable", USE_MMX));
	o.f.if(o.state32(State.x87Status).and(ERROR_SUMMARY), () => o.helper("x87:pending"));
}

/** What an MMX instruction does to the x87 state: TOP = 0, no register is empty (SDM Vol. 3A Table 12-2). */
export function finishMmx(o: Operation): void {
	o.setState32(State.x87Status, o.state32(State.x87Status).and(~TOP));
	o.setState32(State.x87Tag, Value.i32(0xff));
}

/** i32: address in the state of the MMX register of operand n. */
export function mmAddress(o: Operation, operand: number): Value {
	return o.registerNumber(operand).shl(4).add(State.x87);
}

export function readMm(o: Operation, operand: number): Value {
	return o.f.load(i64, 8, o.registerNumber(operand).shl(4), State.x87);
}

/** The 64 bits of operand n, register or memory; usable many times. */
export function readMmSource(o: Operation, operand: number): Value {
	return o.f.let(o.inMemory(operand) ? o.f.load(i64, 8, o.readPlace(8).address) : readMm(o, operand));
}

/** Writes an MMX register; bits 79:64 of the x87 register become ones. */
export function writeMm(o: Operation, operand: number, value: Value): void {
	const slot = o.f.let(o.registerNumber(operand).shl(4));
	o.f.store(8, slot, value, State.x87);
	o.f.store(2, slot, Value.i32(0xffff), State.x87 + 8);
}
