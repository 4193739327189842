// Reference: DWARF 5 chapter 5 "Type Entries".

import { usualTypeName } from "../types/base-type-name.ts";
import {
	type ArrayType,
	type BaseEncoding,
	type CType,
	type Enumerator,
	type EnumType,
	type FunctionType,
	type Member,
	type RecordType,
	sizeOf,
	strip,
	voidType,
} from "../types/c-type.ts";
import { DW_AT, DW_ATE, DW_TAG } from "./constants.ts";
import type { Die } from "./die.ts";
import type { DwarfFile } from "./dwarf-file.ts";

/** The most subranges or members that are read of one type. */
const memberLimit = 65536;

function lazy<T>(compute: () => T): () => T {
	let done: { value: T } | undefined;
	return () => {
		done ??= { value: compute() };
		return done.value;
	};
}

/** Makes C types from type entries; each entry once, so equal entries give the identical type. */
export class TypeReader {
	readonly #file: DwarfFile;
	/** By offset; entries of .debug_types as negative numbers. */
	readonly #types = new Map<number, CType>();

	constructor(file: DwarfFile) {
		this.#file = file;
	}

	/** The type that DW_AT_type of an entry (or an origin of it) names; void if there is none. */
	typeOf(die: Die): CType {
		const target = die.withAttribute(DW_AT.type)?.refersTo(DW_AT.type);
		return target ? this.type(target) : voidType;
	}

	/** The type that an entry describes. Kinds of types that C does not have read as void. */
	type(reference: Die): CType {
		// What a unit keeps of a type that a type unit defines.
		const die = reference.refersTo(DW_AT.signature) ?? reference;
		const key = die.unit.section === ".debug_types" ? -die.offset : die.offset;
		let type = this.#types.get(key);
		if (!type) {
			type = this.#make(die);
			this.#types.set(key, type);
		}
		return type;
	}

	/** The complete record or enum of the same kind and name, where this one is only declared. */
	complete(type: CType): CType {
		if ((type.kind === "struct" || type.kind === "union" || type.kind === "enum") && type.isDeclaration && type.name) {
			const die = this.#file.names.type(type.kind, type.name);
			if (die) return this.type(die);
		}
		return type;
	}

	#make(die: Die): CType {
		const target = lazy(() => this.typeOf(die));
		const name = die.string(DW_AT.name);
		switch (die.tag) {
			case DW_TAG.base_type:
				return {
					kind: "base",
					name: usualTypeName(name ?? ""),
					size: die.number(DW_AT.byte_size) ?? 0,
					encoding: encodingOf(die.number(DW_AT.encoding), name),
				};
			case DW_TAG.pointer_type:
			case DW_TAG.reference_type:
			case DW_TAG.rvalue_reference_type:
				return {
					kind: "pointer",
					size: die.number(DW_AT.byte_size) ?? die.unit.addressSize,
					symbol: die.tag === DW_TAG.pointer_type ? "*" : die.tag === DW_TAG.reference_type ? "&" : "&&",
					get target() {
						return target();
					},
				};
			case DW_TAG.typedef:
				return {
					kind: "typedef",
					name: name ?? "",
					get target() {
						return target();
					},
				};
			case DW_TAG.const_type:
			case DW_TAG.volatile_type:
			case DW_TAG.restrict_type:
			case DW_TAG.atomic_type:
				return {
					kind: "qualified",
					qualifier:
						die.tag === DW_TAG.const_type
							? "const"
							: die.tag === DW_TAG.volatile_type
								? "volatile"
								: die.tag === DW_TAG.restrict_type
									? "restrict"
									: "_Atomic",
					get target() {
						return target();
					},
				};
			case DW_TAG.structure_type:
			case DW_TAG.class_type:
			case DW_TAG.union_type:
				return this.#record(die, name);
			case DW_TAG.enumeration_type:
				return this.#enumeration(die, name);
			case DW_TAG.array_type:
				return this.#array(die);
			case DW_TAG.subroutine_type:
			case DW_TAG.subprogram:
				return this.functionType(die);
			default:
				return voidType;
		}
	}

	/** The type of a function or function type entry. */
	functionType(die: Die): FunctionType {
		const parts = lazy(() => {
			const parameters: CType[] = [];
			let isVariadic = false;
			for (const child of die.children()) {
				if (child.tag === DW_TAG.formal_parameter && parameters.length < 256) parameters.push(this.typeOf(child));
				else if (child.tag === DW_TAG.unspecified_parameters) isVariadic = true;
			}
			return { parameters, isVariadic };
		});
		const result = lazy(() => this.typeOf(die));
		return {
			kind: "function",
			get result() {
				return result();
			},
			get parameters() {
				return parts().parameters;
			},
			get isVariadic() {
				return parts().isVariadic;
			},
			isPrototyped: die.withAttribute(DW_AT.prototyped) !== undefined,
		};
	}

	#record(die: Die, name: string | undefined): RecordType {
		const members = lazy(() => this.#members(die));
		return {
			kind: die.tag === DW_TAG.union_type ? "union" : "struct",
			name,
			size: die.number(DW_AT.byte_size),
			isDeclaration: die.flag(DW_AT.declaration),
			get members() {
				return members();
			},
		};
	}

	#members(die: Die): Member[] {
		const members: Member[] = [];
		for (const child of die.children()) {
			if (members.length >= memberLimit) break;
			if (child.tag !== DW_TAG.member && child.tag !== DW_TAG.inheritance) continue;
			// A static member of a C++ class lies outside of the object.
			if (child.has(DW_AT.external) || child.has(DW_AT.declaration)) continue;
			const type = this.typeOf(child);
			const offset = memberOffset(child);
			const bitSize = child.number(DW_AT.bit_size);
			let bits: Member["bits"];
			if (bitSize !== undefined && bitSize > 0 && bitSize <= 128) {
				const direct = child.number(DW_AT.data_bit_offset);
				// It is negative where the bit-field reaches beyond its storage unit.
				const fromTop = child.constant(DW_AT.bit_offset);
				let start = offset * 8;
				if (direct !== undefined) start = direct;
				else if (fromTop !== undefined) {
					// DWARF 2 to 4: counted from the most significant bit of the storage unit, as on big-endian machines.
					const storage = child.number(DW_AT.byte_size) ?? sizeOf(type) ?? 4;
					start = offset * 8 + storage * 8 - Number(fromTop.value) - bitSize;
				}
				bits = { offset: Math.max(0, start), size: bitSize };
			}
			members.push({ name: child.string(DW_AT.name), type, offset: bits ? 0 : offset, bits });
		}
		return members;
	}

	#enumeration(die: Die, name: string | undefined): EnumType {
		const size = die.number(DW_AT.byte_size) ?? 4;
		const enumerators = lazy(() => {
			const found: Enumerator[] = [];
			for (const child of die.children()) {
				if (child.tag !== DW_TAG.enumerator || found.length >= memberLimit) continue;
				found.push({ name: child.string(DW_AT.name) ?? "", value: enumeratorValue(child, die) });
			}
			return found;
		});
		const signed = lazy(() => {
			const underlying = die.has(DW_AT.type) ? strip(this.typeOf(die)) : undefined;
			if (underlying?.kind === "base") return underlying.encoding === "signed" || underlying.encoding === "signed-char";
			return enumerators().some((enumerator) => enumerator.value < 0n);
		});
		return {
			kind: "enum",
			name,
			size,
			get isSigned() {
				return signed();
			},
			isDeclaration: die.flag(DW_AT.declaration),
			get enumerators() {
				return enumerators();
			},
		};
	}

	#array(die: Die): CType {
		const counts: (number | undefined)[] = [];
		for (const child of die.children()) {
			if (child.tag === DW_TAG.subrange_type && counts.length < 32) counts.push(subrangeCount(child));
		}
		if (counts.length === 0) counts.push(undefined);
		const element = lazy(() => this.typeOf(die));
		const make = (dimension: number): ArrayType => {
			const inner = lazy((): CType => (dimension + 1 < counts.length ? make(dimension + 1) : element()));
			return {
				kind: "array",
				count: counts[dimension],
				get element() {
					return inner();
				},
			};
		};
		return make(0);
	}
}

/** Elements of a dimension; undefined when it is only known while the program runs, or not at all. */
function subrangeCount(die: Die): number | undefined {
	const count = die.constant(DW_AT.count);
	if (count) return count.value >= 0n && count.value <= 0xffffffffn ? Number(count.value) : undefined;
	const bound = die.constant(DW_AT.upper_bound);
	if (!bound) return undefined;
	// gcc writes the bound of `int a[0]` as -1, in the width of the form.
	const isMinusOne =
		bound.value === -1n || (bound.bits > 0 && bound.value === (1n << BigInt(bound.bits)) - 1n && bound.bits >= 32);
	if (isMinusOne) return 0;
	return bound.value >= 0n && bound.value < 0xffffffffn ? Number(bound.value) + 1 : undefined;
}

/** DW_AT_data_member_location: a constant, or in older files the expression "add a constant". */
function memberOffset(die: Die): number {
	const direct = die.number(DW_AT.data_member_location);
	if (direct !== undefined) return direct;
	const expression = die.block(DW_AT.data_member_location);
	const DW_OP_plus_uconst = 0x23;
	if (expression?.[0] !== DW_OP_plus_uconst) return 0;
	let offset = 0;
	for (let i = 1, scale = 1; i < expression.length && i < 6; i++, scale *= 128) {
		offset += (expression[i]! & 0x7f) * scale;
		if (expression[i]! < 0x80) break;
	}
	return offset;
}

/**
 * The value of an enumerator entry. gcc writes values that are not negative in the shortest fixed-width form that holds
 * them unsigned, so a sign is looked for only in a form as wide as the enumeration.
 */
export function enumeratorValue(die: Die, enumeration: Die): bigint {
	const constant = die.constant(DW_AT.const_value);
	if (!constant) return 0n;
	const width = (enumeration.number(DW_AT.byte_size) ?? 4) * 8;
	if (constant.bits === 0 || constant.bits < width) return constant.value;
	const encoding = enumeration.refersTo(DW_AT.type)?.number(DW_AT.encoding);
	const isSigned = encoding === DW_ATE.signed || encoding === DW_ATE.signed_char;
	return isSigned ? BigInt.asIntN(constant.bits, constant.value) : constant.value;
}

function encodingOf(encoding: number | undefined, name: string | undefined): BaseEncoding {
	switch (encoding) {
		case DW_ATE.signed:
			return "signed";
		case DW_ATE.unsigned:
		case DW_ATE.address:
			return "unsigned";
		case DW_ATE.signed_char:
			return "signed-char";
		case DW_ATE.unsigned_char:
			return "unsigned-char";
		case DW_ATE.UTF:
		case DW_ATE.UCS:
		case DW_ATE.ASCII:
			return "character";
		case DW_ATE.boolean:
			return "boolean";
		case DW_ATE.float:
			return "float";
		default:
			return name === "char" ? "signed-char" : "other";
	}
}
