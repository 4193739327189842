import type { AddressMap } from "./address-map.ts";
import { DW_AT, DW_TAG } from "./dwarf/constants.ts";
import type { Die } from "./dwarf/die.ts";
import { declarationOf, type FunctionScope, type SourcePosition } from "./dwarf/function.ts";
import type { Location, LocationContext } from "./dwarf/location.ts";
import { frameBaseOf, locationOf } from "./dwarf/location-list.ts";
import type { CType } from "./types/c-type.ts";
import { sizeOf } from "./types/c-type.ts";
import { type CValue, integerBytes, type Storage } from "./values/value.ts";

/** A parameter, local or global as the source names it. */
export interface Variable {
	readonly name: string;
	readonly kind: "parameter" | "local" | "global";
	readonly type: CType;
	/** A variable of an inner block has the same name. */
	readonly isShadowed: boolean;
	/** Made by the compiler, not in the source. */
	readonly isArtificial: boolean;
	/** Where the source declares it; undefined when the compiler did not say. */
	readonly declaration: SourcePosition | undefined;
	readonly die: Die;
	/** The entry of the function whose frame base it counts from: never an inlined one. */
	readonly functionDie: Die | undefined;
}

/** The machine as one frame sees it. Addresses are as loaded. */
export interface FrameContext {
	/** The frame's pc; for a caller, the return address minus 1, so that it lies within the call. */
	readonly pc: bigint;
	/** By DWARF number; undefined when it is not known in the frame. */
	readRegister(register: number): bigint | undefined;
	/** Guest-linear memory without side effects. */
	readMemory(address: bigint, length: number): Uint8Array | undefined;
	/** The canonical frame address, from unwinding the frame. */
	readonly cfa?: bigint | undefined;
}

/** The parameters and locals of a scope, those of inner blocks first. */
export function variablesOf(scope: FunctionScope, functionDie: Die): Variable[] {
	const variables: Variable[] = [];
	const seen = new Set<string>();
	for (const block of [...scope.blocks].reverse()) {
		const names: string[] = [];
		for (const die of variableEntries(block)) {
			const name = die.name;
			if (name === undefined) continue;
			names.push(name);
			variables.push({
				name,
				kind: die.tag === DW_TAG.formal_parameter ? "parameter" : "local",
				type: die.unit.file.types.typeOf(die),
				isShadowed: seen.has(name),
				isArtificial: die.withAttribute(DW_AT.artificial) !== undefined,
				declaration: declarationOf(die),
				die,
				functionDie,
			});
		}
		for (const name of names) seen.add(name);
	}
	return variables;
}

/**
 * The variable entries of a block. A copy of an abstract block leaves out the variables that have no place in it and
 * those that are static: they are taken from the abstract one.
 */
function* variableEntries(block: Die): Generator<Die> {
	const origins = new Set<number>();
	for (const die of block.children()) {
		if (die.tag !== DW_TAG.formal_parameter && die.tag !== DW_TAG.variable) continue;
		const origin = die.reference(DW_AT.abstract_origin);
		if (origin !== undefined) origins.add(origin);
		yield die;
	}
	for (const die of block.refersTo(DW_AT.abstract_origin)?.children() ?? []) {
		if (die.tag !== DW_TAG.formal_parameter && die.tag !== DW_TAG.variable) continue;
		if (!origins.has(die.offset)) yield die;
	}
}

/** The value of a variable in a frame; of storage "unavailable" when it is optimized out or cannot be told. */
export function variableValue(variable: Variable, frame: FrameContext, map: AddressMap, wordBits: number): CValue {
	return { type: variable.type, storage: storageOf(variable, frame, map, wordBits), space: "lin" };
}

function storageOf(variable: Variable, frame: FrameContext, map: AddressMap, wordBits: number): Storage {
	const pc = map.toLinked(frame.pc);
	const context: LocationContext = {
		readRegister: (register) => frame.readRegister(register),
		readMemory: (address, length) => frame.readMemory(address, length),
		cfa: frame.cfa,
		relocate: (address) => map.toLoaded(address),
	};
	const frameBase = variable.functionDie && frameBaseOf(variable.functionDie, pc, context);
	const location = locationOf(variable.die, DW_AT.location, pc, { ...context, frameBase });
	if (location) return toStorage(location, sizeOf(variable.type), frame, wordBits);
	const constant = constantStorage(variable);
	if (constant) return constant;
	// A definition whose location stands at the entry that it completes.
	const origin = variable.die.withAttribute(DW_AT.location);
	const inherited = origin && locationOf(origin, DW_AT.location, pc, { ...context, frameBase });
	if (inherited) return toStorage(inherited, sizeOf(variable.type), frame, wordBits);
	return { kind: "unavailable", reason: "optimized out" };
}

function constantStorage(variable: Variable): Storage | undefined {
	const die = variable.die.withAttribute(DW_AT.const_value);
	if (!die) return undefined;
	const block = die.block(DW_AT.const_value);
	if (block) return { kind: "bytes", bytes: block.slice() };
	const constant = die.constant(DW_AT.const_value);
	return constant && { kind: "bytes", bytes: integerBytes(constant.value, sizeOf(variable.type) ?? 8) };
}

function toStorage(location: Location, size: number | undefined, frame: FrameContext, wordBits: number): Storage {
	switch (location.kind) {
		case "memory":
			return { kind: "memory", space: "lin", address: location.address };
		case "register": {
			const value = frame.readRegister(location.register);
			if (value === undefined) return { kind: "unavailable", reason: "its register is not known in this frame" };
			return { kind: "register", id: location.register, bits: wordBits, value, offset: 0 };
		}
		case "value":
			return { kind: "bytes", bytes: integerBytes(location.value, size ?? wordBits / 8) };
		case "bytes":
			return { kind: "bytes", bytes: location.bytes };
		case "pieces":
			return {
				kind: "pieces",
				offset: 0,
				pieces: location.pieces.map(({ location: part, bitSize, bitOffset }) => ({
					storage: toStorage(part, Math.ceil((bitOffset + bitSize) / 8), frame, wordBits),
					bitSize,
					bitOffset,
				})),
			};
		case "unavailable":
			return location;
	}
}
