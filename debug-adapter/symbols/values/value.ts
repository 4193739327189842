import type { AddressSpace, ValueMemory } from "../expression/environment.ts";
import type { CType } from "../types/c-type.ts";
import { sizeOf, strip } from "../types/c-type.ts";

/** Where the bytes of a value are. */
export type Storage =
	| { readonly kind: "memory"; readonly space: AddressSpace; readonly address: bigint }
	/** The low bytes of a register; `offset` bytes are skipped. `bits` is the register's width. */
	| {
			readonly kind: "register";
			readonly id: string | number;
			readonly bits: number;
			readonly value: bigint;
			readonly offset: number;
	  }
	/** A value without a place. */
	| { readonly kind: "bytes"; readonly bytes: Uint8Array }
	/** Several places, in order from the lowest bit; `offset` bytes are skipped. */
	| { readonly kind: "pieces"; readonly pieces: readonly StoragePiece[]; readonly offset: number }
	/** `reason` is a phrase: "optimized out". */
	| { readonly kind: "unavailable"; readonly reason: string };

export interface StoragePiece {
	readonly storage: Storage;
	readonly bitSize: number;
	readonly bitOffset: number;
}

/** A C object or value: a type and where its bytes are. Nothing is read until it is needed. */
export interface CValue {
	readonly type: CType;
	readonly storage: Storage;
	/** For a bit-field: bits from the start of the storage, and its width. */
	readonly bits?: { readonly offset: number; readonly size: number } | undefined;
	/** The address space into which it points, if it is a pointer or an address. */
	readonly space: AddressSpace;
	/** It was made by an address-space prefix and is shown as an address. */
	readonly isAddress?: boolean;
}

/** The most bytes that are read of one value at once; larger ones are read by their parts. */
export const readLimit = 0x10000;

/** Bytes, or a phrase that says why there are none. */
export type ReadResult = { readonly bytes: Uint8Array } | { readonly reason: string };

/** A value that only has bytes. */
export function bytesValue(type: CType, bytes: Uint8Array, space: AddressSpace = "lin"): CValue {
	return { type, storage: { kind: "bytes", bytes }, space };
}

/** A part of an object that begins `offset` bytes into it. */
export function partOf(value: CValue, offset: number, type: CType, bits?: CValue["bits"]): CValue {
	const base = { type, bits, space: value.storage.kind === "memory" ? value.storage.space : value.space };
	const storage = value.storage;
	switch (storage.kind) {
		case "memory":
			return { ...base, storage: { ...storage, address: BigInt.asUintN(64, storage.address + BigInt(offset)) } };
		case "register":
		case "pieces":
			return { ...base, storage: { ...storage, offset: storage.offset + offset } };
		case "bytes":
			return { ...base, storage: { kind: "bytes", bytes: storage.bytes.subarray(offset) } };
		case "unavailable":
			return { ...base, storage };
	}
}

/** The first `length` bytes of a storage. */
export function readStorage(storage: Storage, length: number, memory: ValueMemory): ReadResult {
	if (length > readLimit) return { reason: `${length} bytes are too many to read at once` };
	switch (storage.kind) {
		case "memory": {
			const bytes = length === 0 ? new Uint8Array(0) : memory.readMemory(storage.space, storage.address, length);
			if (!bytes || bytes.length < length) {
				return { reason: `memory at ${addressText(storage.space, storage.address)} cannot be read` };
			}
			return { bytes: bytes.length === length ? bytes : bytes.subarray(0, length) };
		}
		case "register":
			return { bytes: integerBytes(storage.value >> BigInt(storage.offset * 8), length) };
		case "bytes": {
			const bytes = new Uint8Array(length);
			bytes.set(storage.bytes.subarray(0, length));
			return { bytes };
		}
		case "pieces":
			return readPieces(storage.pieces, storage.offset * 8, length, memory);
		case "unavailable":
			return { reason: storage.reason };
	}
}

function readPieces(
	pieces: readonly StoragePiece[],
	firstBit: number,
	length: number,
	memory: ValueMemory,
): ReadResult {
	let result = 0n;
	let filled = 0;
	let at = 0;
	const wanted = length * 8;
	for (const piece of pieces) {
		const start = Math.max(at, firstBit);
		const end = Math.min(at + piece.bitSize, firstBit + wanted);
		if (end > start) {
			const bitOffset = piece.bitOffset + (start - at);
			const size = end - start;
			const read = readStorage(piece.storage, Math.ceil((bitOffset + size) / 8), memory);
			if ("reason" in read) return read;
			const bits = BigInt.asUintN(size, bytesToInteger(read.bytes) >> BigInt(bitOffset));
			result |= bits << BigInt(start - firstBit);
			filled += size;
		}
		at += piece.bitSize;
	}
	if (filled < wanted) return { reason: "optimized out" };
	return { bytes: integerBytes(result, length) };
}

/** All bytes of a value; for a bit-field its bits, shifted down and extended to the size of its type. */
export function readValue(value: CValue, memory: ValueMemory): ReadResult {
	const size = sizeOf(value.type);
	if (size === undefined) return { reason: "the type is incomplete" };
	if (!value.bits) return readStorage(value.storage, size, memory);
	const read = readBits(value, memory);
	return typeof read === "bigint" ? { bytes: integerBytes(read, size) } : read;
}

/** The value of a bit-field, with its sign. */
function readBits(value: CValue, memory: ValueMemory): bigint | { reason: string } {
	const { offset, size } = value.bits!;
	const firstByte = Math.floor(offset / 8);
	const read = readStorage(
		partOf(value, firstByte, value.type).storage,
		Math.ceil((offset + size) / 8) - firstByte,
		memory,
	);
	if ("reason" in read) return read;
	const raw = bytesToInteger(read.bytes) >> BigInt(offset % 8);
	return isSignedType(value.type) ? BigInt.asIntN(size, raw) : BigInt.asUintN(size, raw);
}

/** An unsigned little-endian integer. */
export function bytesToInteger(bytes: Uint8Array): bigint {
	let value = 0n;
	for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
	return value;
}

/** An integer modulo 2^(8 * length), little-endian. */
export function integerBytes(value: bigint, length: number): Uint8Array {
	const bytes = new Uint8Array(length);
	let rest = BigInt.asUintN(length * 8, value);
	for (let i = 0; i < length && rest !== 0n; i++) {
		bytes[i] = Number(rest & 0xffn);
		rest >>= 8n;
	}
	return bytes;
}

/** Whether values of the type carry a sign. */
export function isSignedType(type: CType): boolean {
	const bare = strip(type);
	if (bare.kind === "enum") return bare.isSigned;
	return bare.kind === "base" && (bare.encoding === "signed" || bare.encoding === "signed-char");
}

/** An address as expressions write it: plain for guest-linear, with its prefix in other spaces. */
export function addressText(space: AddressSpace, address: bigint): string {
	return `${space === "lin" ? "" : `${space}:`}0x${address.toString(16)}`;
}
