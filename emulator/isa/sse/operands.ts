// Operands of SSE instructions: XMM registers, and memory with the alignment rule of 128-bit operands.

import { Simd } from "../emit/simd-opcode.ts";
import { Value, ValueType } from "../emit/value.ts";
import type { Operation, Place } from "../operation.ts";
import { SegmentSlot, State } from "../state.ts";

const { i32, i64, v128 } = ValueType;
const GENERAL_PROTECTION = 13;

/** A 128-bit constant from its halves. */
export function vector(low: bigint, high: bigint): Value {
	const bytes: number[] = [];
	for (const half of [low, high])
		for (let shift = 0n; shift < 64n; shift += 8n) bytes.push(Number((half >> shift) & 0xffn));
	return new Value(v128, (out) => {
		out.byte(0xfd);
		out.unsigned(Simd.const);
		out.bytes(bytes);
	});
}

export function zeroVector(): Value {
	return vector(0n, 0n);
}

/** A vector operation of one or more vectors. */
export function simd(opcode: number, first: Value, ...others: Value[]): Value {
	return first.simd(opcode, v128, others);
}

/** Bytes of `a` (0..15) and `b` (16..31) by number. */
export function shuffle(a: Value, b: Value, lanes: readonly number[]): Value {
	return a.simd(Simd.shuffle, v128, [b], lanes);
}

/** i32: address of the XMM register of operand n, to be used with the offset State.xmm. */
function xmmSlot(o: Operation, operand: number): Value {
	return o.registerNumber(operand).shl(4);
}

/** i32: address in WebAssembly memory of the XMM register of operand n. */
export function xmmAddress(o: Operation, operand: number): Value {
	return xmmSlot(o, operand).add(State.xmm);
}

export function readXmm(o: Operation, operand: number): Value {
	return o.f.load(v128, 16, xmmSlot(o, operand), State.xmm);
}

export function writeXmm(o: Operation, operand: number, value: Value): void {
	o.f.store(16, xmmSlot(o, operand), value, State.xmm);
}

/** Reads 4 (i32) or 8 (i64) bytes of an XMM register, `offset` bytes from its start. */
export function readXmmPart(o: Operation, operand: number, size: 4 | 8, offset = 0): Value {
	return o.f.load(size === 8 ? i64 : i32, size, xmmSlot(o, operand), State.xmm + offset);
}

/** Writes 4 or 8 bytes of an XMM register and keeps the others. */
export function writeXmmPart(o: Operation, operand: number, size: 4 | 8, value: Value, offset = 0): void {
	o.f.store(size, xmmSlot(o, operand), value, State.xmm + offset);
}

/** Writes the low 8 bytes (i64) and clears the others. */
export function writeXmmLow(o: Operation, operand: number, low: Value): void {
	const slot = o.f.let(xmmSlot(o, operand));
	o.f.store(8, slot, low, State.xmm);
	o.f.store(8, slot, Value.i64(0), State.xmm + 8);
}

/**
 * #GP(0) unless the memory operand's linear address is a multiple of 16. Its segment slot and offset, usable many
 * times.
 */
export function requireAlignment(o: Operation): { slot: Value; offset: Value } {
	const slot = o.f.let(o.segment());
	const offset = o.f.let(o.effectiveAddress());
	const linear = offset.add(o.f.load(i64, 8, slot, SegmentSlot.effectiveBase));
	o.f.if(linear.wrap().and(15), () => o.raise(GENERAL_PROTECTION));
	return { slot, offset };
}

/**
 * The explicit 16-byte memory operand, which has to be aligned by its linear address, else #GP(0) (SDM Vol. 2A §2.4,
 * Table 2-21; Vol. 1 §4.1.1). The check comes before page faults, as in the order of Vol. 3A Table 6-2.
 */
export function alignedPlace(o: Operation, access: "read" | "write", size = 16): Place {
	const { slot, offset } = requireAlignment(o);
	return o.placeAt(access, size, slot, offset);
}

/** i32, usable many times: where the bytes of operand n lie (memory, checked, or the register). */
export function sourceAddress(o: Operation, operand: number, aligned = true): Value {
	if (!o.inMemory(operand)) return o.f.let(xmmAddress(o, operand));
	const size = o.size(operand);
	return (size === 16 && aligned ? alignedPlace(o, "read") : o.readPlace(size)).address;
}

/** The 128 bits of operand n, usable many times. */
export function readVector(o: Operation, operand: number, aligned = true): Value {
	if (!o.inMemory(operand)) return o.f.let(readXmm(o, operand));
	return o.f.let(o.f.load(v128, 16, sourceAddress(o, operand, aligned)));
}

/** The low 4 (i32) or 8 (i64) bytes of operand n, whose memory form has that size; usable many times. */
export function readScalar(o: Operation, operand: number, size: 4 | 8): Value {
	const type = size === 8 ? i64 : i32;
	if (o.inMemory(operand)) return o.f.let(o.f.load(type, size, o.readPlace(size).address));
	return o.f.let(readXmmPart(o, operand, size));
}

/** Writes all 128 bits to operand n. */
export function writeVector(o: Operation, operand: number, value: Value, aligned = true): void {
	if (!o.inMemory(operand)) {
		writeXmm(o, operand, value);
		return;
	}
	const place = aligned ? alignedPlace(o, "write") : o.writePlace(16);
	o.f.store(16, place.address, value);
	place.commit();
}

/** Stores 4 or 8 bytes to the memory operand. */
export function storeScalar(o: Operation, size: 4 | 8, value: Value): void {
	const place = o.writePlace(size);
	o.f.store(size, place.address, value);
	place.commit();
}

/** Loads 8 bytes into the low half of a vector with a zero high half. */
export function load64Zero(address: Value, offset = 0): Value {
	const immediates = [0];
	let rest = offset;
	while (rest >= 0x80) {
		immediates.push((rest & 0x7f) | 0x80);
		rest >>>= 7;
	}
	immediates.push(rest);
	return address.simd(Simd.load64Zero, v128, [], immediates);
}
