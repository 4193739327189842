import type { TypeKind } from "../dwarf/name-index.ts";
import type { BuiltinTypes } from "../types/builtin-types.ts";
import type { CType } from "../types/c-type.ts";
import type { CValue } from "../values/value.ts";

/** Guest-linear, guest-physical, host-physical and device addresses. */
export type AddressSpace = "lin" | "gpa" | "hpa" | "iova";

export const addressSpaces: readonly AddressSpace[] = ["lin", "gpa", "hpa", "iova"];

/** A register that an expression names; `id` is handed back when it is written. */
export interface RegisterValue {
	readonly id: string | number;
	readonly bits: number;
	readonly value: bigint;
}

/** Reads and writes of the machine, as values need them. */
export interface ValueMemory {
	/** Bytes of an address space without side effects; undefined (or fewer bytes) when they cannot be read. */
	readMemory(space: AddressSpace, address: bigint, length: number): Uint8Array | undefined;
	/** Returns whether all bytes were written. */
	writeMemory?(space: AddressSpace, address: bigint, bytes: Uint8Array): boolean;
	/** `id` is a register's name, or its DWARF number for a local variable that lives in a register. */
	writeRegister?(id: string | number, value: bigint): boolean;
}

/** What an expression may see: names, types, registers and memory at one stop, in one frame. */
export interface EvaluationEnvironment extends ValueMemory {
	readonly types: BuiltinTypes;
	/** False for hovers and watches: assignments are refused. */
	readonly sideEffects: boolean;
	/** A local in scope, else a global variable. */
	lookupVariable(name: string): CValue | undefined;
	/** An enumeration constant. */
	lookupConstant(name: string): CValue | undefined;
	lookupType(kind: TypeKind, name: string): CType | undefined;
	/** By lower-case name, without "$". */
	lookupRegister(name: string): RegisterValue | undefined;
	/** A symbol of the symbol table, for names without debug information, and functions. */
	lookupSymbol(name: string): { address: bigint; size: bigint; isFunction: boolean; type?: CType } | undefined;
	/** "name" or "name+0x10" for an address, to be shown beside pointers to code. */
	symbolize?(address: bigint): string | undefined;
	/** The full definition of a type that is only declared where it was found. */
	completeType?(type: CType): CType;
}
