// Reference: C11 section 6.5 "Expressions".
// Deviation: "." is taken as "->" on a pointer, and dereferencing a plain integer or an untyped address reads an
// unsigned long there, as debuggers have it.
import { EvaluationError } from "../errors.ts";
import { type CType, type Member, sizeOf, strip, typeName } from "../types/c-type.ts";
import { assignScalar } from "../values/assign.ts";
import { encodeScalar, isFloat, isScalar, isTrue, readScalar, toInteger } from "../values/number.ts";
import { bytesValue, type CValue, partOf } from "../values/value.ts";
import { binary, convert, promote, type TypedScalar } from "./arithmetic.ts";
import type { AddressSpace, EvaluationEnvironment } from "./environment.ts";
import type { BinaryOperator, Expression } from "./syntax.ts";

/** How deep anonymous members may nest. */
const anonymousLimit = 16;

/** Evaluates a parsed expression. Throws `EvaluationError` with the position of what cannot be evaluated. */
export function evaluateExpression(expression: Expression, environment: EvaluationEnvironment): CValue {
	return new Evaluator(environment).evaluate(expression);
}

/** Whether the value counts as true in C. `at` is where an error is reported. */
export function isTrueValue(value: CValue, environment: EvaluationEnvironment, at = 0): boolean {
	return isTrue(new Evaluator(environment).scalar(value, at).scalar);
}

/** The member of that name, also inside anonymous members, as a part of the object. */
export function memberOf(
	object: CValue,
	name: string,
	environment: EvaluationEnvironment,
	depth = 0,
): CValue | undefined {
	const type = completed(object.type, environment);
	if ((type.kind !== "struct" && type.kind !== "union") || depth > anonymousLimit) return undefined;
	for (const member of type.members) {
		if (member.name === name) return memberValue(object, member);
		if (member.name === undefined) {
			const inner = memberOf(memberValue(object, member), name, environment, depth + 1);
			if (inner) return inner;
		}
	}
	return undefined;
}

/** A member as a part of an object. */
export function memberValue(object: CValue, member: Member): CValue {
	return partOf(object, member.offset, member.type, member.bits);
}

/** The type without typedefs and qualifiers, in its complete form if there is one. */
export function completed(
	type: CType,
	environment: Pick<EvaluationEnvironment, "completeType">,
): ReturnType<typeof strip> {
	const bare = strip(type);
	return strip(environment.completeType?.(bare) ?? bare);
}

class Evaluator {
	readonly #environment: EvaluationEnvironment;

	constructor(environment: EvaluationEnvironment) {
		this.#environment = environment;
	}

	evaluate(node: Expression): CValue {
		const { types } = this.#environment;
		switch (node.kind) {
			case "integer":
				return this.#integer(node.value, this.#literalType(node));
			case "float": {
				const type = types.get(node.isSingle ? "float" : "double");
				return this.#fromScalar({ scalar: convert({ kind: "float", value: node.value }, type), type });
			}
			case "character":
				return this.#integer(BigInt((node.value << 24) >> 24), types.get("char"));
			case "string": {
				const bytes = Uint8Array.from([...node.bytes, 0]);
				return bytesValue({ kind: "array", element: types.get("char"), count: bytes.length }, bytes);
			}
			case "name":
				return this.#name(node.name, node.at);
			case "register":
				return this.#register(node.name, node.at);
			case "member":
				return this.#member(this.evaluate(node.object), node.name, node.at);
			case "index":
				return this.#index(this.evaluate(node.object), this.evaluate(node.index), node.at);
			case "unary":
				return this.#unary(node);
			case "cast":
				return this.#cast(node.type, this.evaluate(node.operand), node.at);
			case "sizeof-type":
				return this.#sizeof(node.type, node.at);
			case "sizeof":
				return this.#sizeof(this.evaluate(node.operand).type, node.at);
			case "space": {
				const value = this.scalar(this.evaluate(node.operand), node.operand.at);
				if (value.scalar.kind === "float") throw new EvaluationError("An address is an integer", node.operand.at);
				const type = types.get(
					types.addressSize === 8 || node.space === "lin" ? "unsigned long" : "unsigned long long",
				);
				const bits = (sizeOf(type) ?? 8) * 8;
				return { ...this.#integer(BigInt.asUintN(bits, value.scalar.value), type), space: node.space, isAddress: true };
			}
			case "binary":
				return this.#binary(node.operator, node.left, node.right, node.at);
			case "conditional":
				return this.evaluate(this.#truth(node.test) ? node.yes : node.no);
			case "assign":
				return this.#assign(node);
		}
	}

	/** The number that a value is; arrays and functions count as their address. */
	scalar(value: CValue, at: number): TypedScalar {
		const decayed = this.#decay(value, at);
		if (!isScalar(decayed.type)) {
			throw new EvaluationError(`A value of type "${typeName(value.type)}" is not a number`, at);
		}
		const scalar = readScalar(decayed, this.#environment);
		if ("reason" in scalar) throw new EvaluationError(sentence(scalar.reason), at);
		// A bit-field narrower than int is promoted to int whatever its type, C11 6.3.1.1.
		const type = value.bits && value.bits.size < 32 ? this.#environment.types.get("int") : decayed.type;
		return { scalar, type };
	}

	#truth(node: Expression): boolean {
		return isTrue(this.scalar(this.evaluate(node), node.at).scalar);
	}

	#integer(value: bigint, type: CType): CValue {
		return this.#fromScalar({ scalar: { kind: "integer", value }, type });
	}

	#fromScalar({ scalar, type }: TypedScalar, space: AddressSpace = "lin"): CValue {
		return bytesValue(type, encodeScalar(scalar, type, sizeOf(type) ?? 8), space);
	}

	/** The type of an integer constant, C11 section 6.4.4.1. */
	#literalType(node: { value: bigint; suffix: string; isDecimal: boolean }): CType {
		const { types } = this.#environment;
		const isUnsigned = node.suffix.includes("u");
		const longs = node.suffix.replace("u", "").length;
		const names = ["int", "long", "long long"].slice(longs);
		for (const name of names) {
			const bits = BigInt((sizeOf(types.get(name)) ?? 4) * 8);
			if (!isUnsigned && node.value < 1n << (bits - 1n)) return types.get(name);
			if ((isUnsigned || !node.isDecimal) && node.value < 1n << bits) return types.get(`unsigned ${name}`);
		}
		return types.get("unsigned long long");
	}

	#name(name: string, at: number): CValue {
		const environment = this.#environment;
		const variable = environment.lookupVariable(name);
		if (variable) return variable;
		if (environment.lookupRegister(name)) return this.#register(name, at);
		const symbol = environment.lookupSymbol(name);
		if (symbol) {
			const { types } = environment;
			let type: CType | undefined = symbol.type;
			if (!type && symbol.isFunction) {
				type = { kind: "function", result: types.get("int"), parameters: [], isVariadic: false, isPrototyped: false };
			}
			// A data symbol without debug information: an integer of its size, else bytes.
			if (!type && [1, 2, 4, 8].includes(Number(symbol.size))) type = types.unsignedOfBits(Number(symbol.size) * 8);
			type ??= { kind: "array", element: types.get("unsigned char"), count: Number(symbol.size) || undefined };
			return { type, storage: { kind: "memory", space: "lin", address: symbol.address }, space: "lin" };
		}
		const constant = environment.lookupConstant(name);
		if (constant) return constant;
		if (environment.lookupRegister(name.toLowerCase())) return this.#register(name.toLowerCase(), at);
		throw new EvaluationError(`There is no variable, register or symbol "${name}" here`, at);
	}

	#register(name: string, at: number): CValue {
		const register = this.#environment.lookupRegister(name);
		if (!register) throw new EvaluationError(`There is no register "$${name}"`, at);
		return {
			type: this.#environment.types.unsignedOfBits(register.bits),
			storage: { kind: "register", id: register.id, bits: register.bits, value: register.value, offset: 0 },
			space: "lin",
		};
	}

	/** Arrays become pointers to their first element, functions pointers to themselves. */
	#decay(value: CValue, at: number): CValue {
		const type = strip(value.type);
		if (type.kind !== "array" && type.kind !== "function") return value;
		const target = type.kind === "array" ? type.element : type;
		return this.#addressOf(value, target, at);
	}

	#addressOf(value: CValue, target: CType, at: number): CValue {
		const storage = value.storage;
		if (storage.kind === "unavailable") throw new EvaluationError(sentence(storage.reason), at);
		if (value.bits) throw new EvaluationError("A bit-field has no address", at);
		if (storage.kind === "register") throw new EvaluationError("A value in a register has no address", at);
		if (storage.kind !== "memory") throw new EvaluationError("This value is not in memory, so it has no address", at);
		const { types } = this.#environment;
		return this.#fromScalar(
			{
				scalar: { kind: "integer", value: storage.address },
				type: this.#pointerTo(target, storage.space, types.addressSize),
			},
			storage.space,
		);
	}

	/** Pointers into physical spaces are 64 bits wide in 32-bit code too: PAE reaches beyond 4 GiB. */
	#pointerTo(target: CType, space: AddressSpace, addressSize: number): CType {
		return { kind: "pointer", symbol: "*", size: space === "lin" ? addressSize : 8, target };
	}

	#member(object: CValue, name: string, at: number): CValue {
		let record = object;
		const type = strip(object.type);
		if (type.kind === "pointer" || type.kind === "array") record = this.#dereference(object, at);
		const found = memberOf(record, name, this.#environment);
		if (found) return found;
		const complete = completed(record.type, this.#environment);
		if (complete.kind !== "struct" && complete.kind !== "union") {
			throw new EvaluationError(`A value of type "${typeName(object.type)}" has no members`, at);
		}
		if (complete.isDeclaration) throw new EvaluationError(`The members of "${typeName(complete)}" are not known`, at);
		throw new EvaluationError(`"${typeName(complete)}" has no member "${name}"`, at);
	}

	#index(object: CValue, index: CValue, at: number): CValue {
		const kind = strip(object.type).kind;
		const indexKind = strip(index.type).kind;
		// 2[a] is a[2].
		if (kind === "base" && !object.isAddress && (indexKind === "pointer" || indexKind === "array")) {
			return this.#index(index, object, at);
		}
		// An array that is not in memory has no address, but its elements can be had.
		if (kind === "array" && object.storage.kind !== "memory") {
			const type = strip(object.type) as Extract<CType, { kind: "array" }>;
			const size = sizeOf(completed(type.element, this.#environment));
			const position = this.scalar(index, at).scalar;
			if (size === undefined) throw new EvaluationError("The size of the elements is not known", at);
			const element = Number(toInteger(position));
			if (!(element >= 0 && (type.count === undefined || element < type.count))) {
				throw new EvaluationError(`The index ${element} lies outside of the array`, at);
			}
			return partOf(object, element * size, type.element);
		}
		return this.#dereference(this.#add(this.#indexable(object, at), index, 1n, at), at);
	}

	/** An integer or untyped address is indexed as if it pointed to unsigned longs. */
	#indexable(object: CValue, at: number): CValue {
		const value = this.#decay(object, at);
		if (strip(value.type).kind === "pointer") return value;
		if (!value.isAddress) throw new EvaluationError(`A value of type "${typeName(object.type)}" cannot be indexed`, at);
		return this.#cast(this.#environment.types.pointerTo(this.#environment.types.get("unsigned long")), value, at);
	}

	#dereference(value: CValue, at: number): CValue {
		const decayed = this.#decay(value, at);
		const pointer = strip(decayed.type);
		const { scalar } = this.scalar(decayed, at);
		if (scalar.kind === "float") throw new EvaluationError("A floating-point value is not an address", at);
		const { types } = this.#environment;
		let target: CType = types.get("unsigned long");
		if (pointer.kind === "pointer" && strip(pointer.target).kind !== "void") target = pointer.target;
		const bits = decayed.space === "lin" ? types.addressSize * 8 : 64;
		const address = BigInt.asUintN(bits, scalar.value);
		return { type: target, storage: { kind: "memory", space: decayed.space, address }, space: decayed.space };
	}

	#unary(node: Extract<Expression, { kind: "unary" }>): CValue {
		const operand = this.evaluate(node.operand);
		const { types } = this.#environment;
		switch (node.operator) {
			case "*":
				return this.#dereference(operand, node.at);
			case "&":
				return this.#addressOf(operand, operand.type, node.at);
			case "!":
				return this.#integer(isTrue(this.scalar(operand, node.operand.at).scalar) ? 0n : 1n, types.get("int"));
		}
		const { scalar, type } = this.scalar(operand, node.operand.at);
		const promoted = promote(type, types);
		if (strip(type).kind === "pointer")
			throw new EvaluationError(`"${node.operator}" cannot be applied to a pointer`, node.at);
		if (scalar.kind === "float") {
			if (node.operator === "~") throw new EvaluationError('"~" needs an integer', node.at);
			const value = node.operator === "-" ? -scalar.value : scalar.value;
			return this.#fromScalar({ scalar: { kind: "float", value }, type: promoted });
		}
		const value = node.operator === "-" ? -scalar.value : node.operator === "~" ? ~scalar.value : scalar.value;
		return { ...this.#integer(value, promoted), space: operand.space, isAddress: operand.isAddress ?? false };
	}

	#cast(type: CType, operand: CValue, at: number): CValue {
		const target = completed(type, this.#environment);
		if (target.kind === "void") throw new EvaluationError('A value of type "void" cannot be shown', at);
		if (!isScalar(target)) {
			// Reading an object as another type of record is what (struct foo)x means to a debugger.
			if (operand.storage.kind === "memory" && sizeOf(target) !== undefined)
				return { ...operand, type, bits: undefined };
			throw new EvaluationError(`A value cannot be cast to "${typeName(type)}"`, at);
		}
		const { scalar } = this.scalar(operand, at);
		let stored: CType = type;
		// A pointer into a physical space keeps all its bits, also in 32-bit code.
		if (target.kind === "pointer" && operand.space !== "lin") {
			stored = this.#pointerTo(target.target, operand.space, this.#environment.types.addressSize);
		}
		const value = this.#fromScalar({ scalar: convert(scalar, stored), type: stored }, operand.space);
		return isFloat(type)
			? { ...value, space: "lin" }
			: { ...value, isAddress: (operand.isAddress ?? false) && target.kind !== "pointer" };
	}

	#sizeof(type: CType, at: number): CValue {
		const size = sizeOf(completed(type, this.#environment));
		if (size === undefined) throw new EvaluationError(`The size of "${typeName(type)}" is not known`, at);
		return this.#integer(
			BigInt(size),
			this.#environment.types.get(this.#environment.types.addressSize === 8 ? "unsigned long" : "unsigned int"),
		);
	}

	#binary(operator: BinaryOperator, leftNode: Expression, rightNode: Expression, at: number): CValue {
		const { types } = this.#environment;
		if (operator === "&&" || operator === "||") {
			const left = this.#truth(leftNode);
			const result = operator === "&&" ? left && this.#truth(rightNode) : left || this.#truth(rightNode);
			return this.#integer(result ? 1n : 0n, types.get("int"));
		}
		return this.#operate(operator, this.evaluate(leftNode), this.evaluate(rightNode), at, leftNode.at, rightNode.at);
	}

	#operate(
		operator: Exclude<BinaryOperator, "&&" | "||">,
		leftValue: CValue,
		rightValue: CValue,
		at: number,
		leftAt: number,
		rightAt: number,
	): CValue {
		const { types } = this.#environment;
		const left = this.#decay(leftValue, leftAt);
		const right = this.#decay(rightValue, rightAt);
		const leftIsPointer = strip(left.type).kind === "pointer";
		const rightIsPointer = strip(right.type).kind === "pointer";
		if (leftIsPointer || rightIsPointer) {
			if (operator === "+" && leftIsPointer !== rightIsPointer) {
				return leftIsPointer ? this.#add(left, right, 1n, at) : this.#add(right, left, 1n, at);
			}
			if (operator === "-" && leftIsPointer && !rightIsPointer) return this.#add(left, right, -1n, at);
			if (operator === "-" && leftIsPointer && rightIsPointer) return this.#distance(left, right, at);
			const compares = ["==", "!=", "<", ">", "<=", ">="].includes(operator);
			if (!compares) {
				throw new EvaluationError(
					`"${operator}" cannot be applied to a pointer; cast it to an integer, as in (unsigned long)p`,
					at,
				);
			}
			const address = (value: CValue, position: number): TypedScalar => {
				const bits = value.space === "lin" ? types.addressSize * 8 : 64;
				const integer = BigInt.asUintN(bits, toInteger(this.scalar(value, position).scalar));
				return { scalar: { kind: "integer", value: integer }, type: types.get("unsigned long long") };
			};
			return this.#fromScalar(binary(operator, address(left, leftAt), address(right, rightAt), types, at));
		}
		const result = binary(operator, this.scalar(left, leftAt), this.scalar(right, rightAt), types, at);
		const keepsAddress = !["==", "!=", "<", ">", "<=", ">="].includes(operator) && !isFloat(result.type);
		const holder = left.isAddress ? left : right.isAddress ? right : undefined;
		if (!holder || !keepsAddress) return this.#fromScalar(result);
		return { ...this.#fromScalar(result, holder.space), isAddress: true };
	}

	/** Pointer arithmetic, C11 section 6.5.6; a pointer to void or to a function counts bytes. */
	#add(pointer: CValue, index: CValue, sign: bigint, at: number): CValue {
		const type = strip(pointer.type) as Extract<CType, { kind: "pointer" }>;
		const target = completed(type.target, this.#environment);
		const size = target.kind === "void" || target.kind === "function" ? 1 : sizeOf(target);
		if (size === undefined) throw new EvaluationError(`The size of "${typeName(type.target)}" is not known`, at);
		const base = this.scalar(pointer, at).scalar;
		const count = this.scalar(index, at).scalar;
		if (count.kind === "float") throw new EvaluationError("A pointer cannot be moved by a floating-point number", at);
		const value = toInteger(base) + sign * count.value * BigInt(size);
		return this.#fromScalar({ scalar: { kind: "integer", value }, type: pointer.type }, pointer.space);
	}

	#distance(left: CValue, right: CValue, at: number): CValue {
		const target = completed((strip(left.type) as Extract<CType, { kind: "pointer" }>).target, this.#environment);
		const size = target.kind === "void" || target.kind === "function" ? 1 : sizeOf(target);
		if (!size) throw new EvaluationError("The distance between these pointers is not known", at);
		if (left.space !== right.space) throw new EvaluationError("The pointers point into different address spaces", at);
		const bytes = toInteger(this.scalar(left, at).scalar) - toInteger(this.scalar(right, at).scalar);
		return this.#integer(
			bytes / BigInt(size),
			this.#environment.types.get(this.#environment.types.addressSize === 8 ? "long" : "int"),
		);
	}

	#assign(node: Extract<Expression, { kind: "assign" }>): CValue {
		if (!this.#environment.sideEffects) {
			throw new EvaluationError("This expression would change the guest, which is refused here", node.at);
		}
		const target = this.evaluate(node.target);
		let value = this.evaluate(node.value);
		if (node.operator && node.operator !== "&&" && node.operator !== "||") {
			value = this.#operate(node.operator, target, value, node.at, node.target.at, node.value.at);
		}
		if (!isScalar(target.type)) {
			throw new EvaluationError(
				`A value of type "${typeName(target.type)}" cannot be assigned as a whole`,
				node.target.at,
			);
		}
		const { scalar } = this.scalar(value, node.value.at);
		const problem = assignScalar(target, convert(scalar, target.type), this.#environment);
		if (problem) throw new EvaluationError(sentence(problem), node.target.at);
		const stored = this.#fromScalar({ scalar: convert(scalar, target.type), type: target.type }, target.space);
		return target.storage.kind === "memory" ? target : stored;
	}
}

/** A phrase as the start of a sentence. */
function sentence(phrase: string): string {
	return phrase.charAt(0).toUpperCase() + phrase.slice(1);
}
