import type { ValueMemory } from "../expression/environment.ts";
import { type CType, sizeOf } from "../types/c-type.ts";
import { encodeScalar, type Scalar, toInteger } from "./number.ts";
import { addressText, bytesToInteger, type CValue, integerBytes, partOf, readStorage, type Storage } from "./value.ts";

/**
 * Writes a number into the place of a value: memory, a register, or a part of one; bit-fields keep their neighbours.
 * Returns a phrase that says why it cannot be written, or undefined when it was.
 */
export function assignScalar(target: CValue, scalar: Scalar, memory: ValueMemory): string | undefined {
	const size = sizeOf(target.type);
	if (size === undefined) return "the type is incomplete";
	if (!target.bits) return writeStorage(target.storage, encodeScalar(scalar, target.type, size), memory);
	const { offset, size: bitSize } = target.bits;
	const firstByte = Math.floor(offset / 8);
	const length = Math.ceil((offset + bitSize) / 8) - firstByte;
	const place = partOf(target, firstByte, target.type).storage;
	const old = readStorage(place, length, memory);
	if ("reason" in old) return old.reason;
	const shift = BigInt(offset % 8);
	const mask = ((1n << BigInt(bitSize)) - 1n) << shift;
	const value = (bytesToInteger(old.bytes) & ~mask) | ((toInteger(scalar) << shift) & mask);
	return writeStorage(place, integerBytes(value, length), memory);
}

/** Writes bytes; returns a phrase that says why not, or undefined. */
export function writeStorage(storage: Storage, bytes: Uint8Array, memory: ValueMemory): string | undefined {
	switch (storage.kind) {
		case "memory":
			if (memory.writeMemory?.(storage.space, storage.address, bytes)) return undefined;
			return `memory at ${addressText(storage.space, storage.address)} cannot be written`;
		case "register": {
			const shift = BigInt(storage.offset * 8);
			const width = BigInt(bytes.length * 8);
			const mask = ((1n << width) - 1n) << shift;
			const value = BigInt.asUintN(storage.bits, (storage.value & ~mask) | (bytesToInteger(bytes) << shift));
			if (memory.writeRegister?.(storage.id, value)) return undefined;
			return "the register cannot be written";
		}
		case "pieces":
			return "a value that is spread over several places cannot be written";
		case "bytes":
			return "this is a value without a place, so it cannot be written";
		case "unavailable":
			return `it cannot be written: ${storage.reason}`;
	}
}

/** The whole numbers that fit into a scalar target: signed or unsigned of its width, whichever way it is read. */
export function fitsInto(value: bigint, type: CType, bits: number | undefined): boolean {
	const width = BigInt(bits ?? (sizeOf(type) ?? 8) * 8);
	return value >= -(1n << (width - 1n)) && value < 1n << width;
}
