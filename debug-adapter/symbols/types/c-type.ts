/**
 * C types as the debug information has them. `target`, `element`, `members` and the like are read when first asked for,
 * so a type that refers to itself is no trouble. Sizes are bytes; undefined where the type is incomplete.
 */
export type CType =
	| VoidType
	| BaseType
	| PointerType
	| ArrayType
	| RecordType
	| EnumType
	| TypedefType
	| QualifiedType
	| FunctionType;

export interface VoidType {
	readonly kind: "void";
}

export type BaseEncoding =
	| "signed"
	| "unsigned"
	| "signed-char"
	| "unsigned-char"
	| "character"
	| "boolean"
	| "float"
	| "other";

export interface BaseType {
	readonly kind: "base";
	readonly name: string;
	readonly size: number;
	readonly encoding: BaseEncoding;
}

export interface PointerType {
	readonly kind: "pointer";
	readonly size: number;
	/** "&" and "&&" for C++ references. */
	readonly symbol: "*" | "&" | "&&";
	readonly target: CType;
}

export interface ArrayType {
	readonly kind: "array";
	readonly element: CType;
	/** Undefined for flexible and variable-length arrays. */
	readonly count: number | undefined;
}

export interface Member {
	/** Undefined for an anonymous struct or union, whose members count as those of the outer one. */
	readonly name: string | undefined;
	readonly type: CType;
	/** Bytes from the start of the record; for a bit-field 0, and `bits` has all. */
	readonly offset: number;
	/** For a bit-field: bits from the start of the record to its lowest bit, and its width. */
	readonly bits: { readonly offset: number; readonly size: number } | undefined;
}

export interface RecordType {
	readonly kind: "struct" | "union";
	readonly name: string | undefined;
	readonly size: number | undefined;
	/** True when only the name is known here. */
	readonly isDeclaration: boolean;
	readonly members: readonly Member[];
}

export interface Enumerator {
	readonly name: string;
	readonly value: bigint;
}

export interface EnumType {
	readonly kind: "enum";
	readonly name: string | undefined;
	readonly size: number;
	readonly isSigned: boolean;
	readonly isDeclaration: boolean;
	readonly enumerators: readonly Enumerator[];
}

export interface TypedefType {
	readonly kind: "typedef";
	readonly name: string;
	readonly target: CType;
}

export interface QualifiedType {
	readonly kind: "qualified";
	readonly qualifier: "const" | "volatile" | "restrict" | "_Atomic";
	readonly target: CType;
}

export interface FunctionType {
	readonly kind: "function";
	readonly result: CType;
	readonly parameters: readonly CType[];
	readonly isVariadic: boolean;
	readonly isPrototyped: boolean;
}

export const voidType: VoidType = { kind: "void" };

/** How many typedefs and qualifiers are followed: a hostile file may have them name each other. */
const chainLimit = 64;

/** The type without typedefs and qualifiers. */
export function strip(type: CType): Exclude<CType, TypedefType | QualifiedType> {
	let current = type;
	for (let i = 0; i < chainLimit; i++) {
		if (current.kind !== "typedef" && current.kind !== "qualified") return current;
		current = current.target;
	}
	return voidType;
}

/** Bytes of an object of the type; undefined for incomplete types, functions and void. */
export function sizeOf(type: CType, depth = 0): number | undefined {
	const bare = strip(type);
	switch (bare.kind) {
		case "base":
		case "pointer":
		case "struct":
		case "union":
		case "enum":
			return bare.size;
		case "array": {
			const element = depth < chainLimit ? sizeOf(bare.element, depth + 1) : undefined;
			return element === undefined || bare.count === undefined ? undefined : element * bare.count;
		}
		default:
			return undefined;
	}
}

/** The type in C syntax, as in a cast: "const char *", "int (*)(struct foo *, unsigned int)", "int [3][4]". */
export function typeName(type: CType): string {
	return declare(type, "", 0);
}

/** A declaration of `name` with the type, in C syntax: "int (*handler)(void)". */
export function declaration(type: CType, name: string): string {
	return declare(type, name, 0);
}

function declare(type: CType, inner: string, depth: number): string {
	if (depth > chainLimit) return join("...", inner);
	switch (type.kind) {
		case "void":
			return join("void", inner);
		case "base":
		case "typedef":
			return join(type.name, inner);
		case "struct":
		case "union":
		case "enum":
			return join(type.name === undefined ? `${type.kind} {...}` : `${type.kind} ${type.name}`, inner);
		case "qualified": {
			// A qualifier of a pointer stands after its star, of anything else before the type.
			if (type.target.kind === "pointer") return declare(type.target, join(type.qualifier, inner), depth + 1);
			return `${type.qualifier} ${declare(type.target, inner, depth + 1)}`;
		}
		case "pointer": {
			const declarator = type.symbol + inner;
			const kind = type.target.kind;
			return declare(type.target, kind === "array" || kind === "function" ? `(${declarator})` : declarator, depth + 1);
		}
		case "array":
			return declare(type.element, `${inner}[${type.count ?? ""}]`, depth + 1);
		case "function": {
			const parameters = type.parameters.map((parameter) => declare(parameter, "", depth + 1));
			if (type.isVariadic) parameters.push("...");
			if (parameters.length === 0 && type.isPrototyped) parameters.push("void");
			return declare(type.result, `${inner}(${parameters.join(", ")})`, depth + 1);
		}
	}
}

function join(name: string, inner: string): string {
	return inner === "" ? name : `${name} ${inner}`;
}
