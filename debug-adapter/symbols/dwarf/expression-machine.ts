// Reference: DWARF 5 section 2.5 "DWARF Expressions", section 2.6 "Location Descriptions".
import { ByteReader } from "../byte-reader.ts";
import { SymbolError } from "../errors.ts";
import { DW_AT, DW_ATE } from "./constants.ts";
import type { Location, LocationContext, LocationPiece } from "./location.ts";
import { DW_OP } from "./operations.ts";
import type { Unit } from "./unit.ts";

/** The most operations of one evaluation: branches may loop for ever. */
const stepLimit = 10_000;
const stackLimit = 256;
/** The widest base type that is computed with. */
const widestType = 16;

/** A stack entry: the value modulo 2^(8 * size); the generic type has the size of an address and wraps. */
interface Entry {
	readonly value: bigint;
	readonly size: number;
	readonly isSigned: boolean;
	/** The generic type, DWARF 5 section 2.5.1: comparisons and division take it as signed, shifts right as unsigned. */
	readonly isGeneric: boolean;
}

/** Raised inside an evaluation when the object is not to be had; becomes a Location of kind "unavailable". */
class Unavailable extends Error {}

/** What the bytes of an expression mean besides the machine: sizes, and for some operations the unit. */
export interface ExpressionScope {
	readonly addressSize: number;
	readonly offsetSize: number;
	readonly version: number;
	readonly unit?: Unit | undefined;
	readonly what: string;
}

/**
 * Evaluates a location expression. `initial` is pushed first (the CFA rules of call frame information begin so).
 * Returns a location of kind "unavailable" with a reason when the object is optimized out or the machine cannot say.
 * Throws `SymbolError` for an expression that is malformed or does not end.
 */
export function evaluateLocation(
	expression: Uint8Array,
	scope: ExpressionScope,
	context: LocationContext,
	initial?: bigint,
): Location {
	try {
		return new ExpressionMachine(expression, scope, context).run(initial);
	} catch (error) {
		if (error instanceof Unavailable) return { kind: "unavailable", reason: error.message };
		throw error;
	}
}

class ExpressionMachine {
	readonly #reader: ByteReader;
	readonly #scope: ExpressionScope;
	readonly #context: LocationContext;
	readonly #stack: Entry[] = [];
	readonly #bits: number;

	constructor(expression: Uint8Array, scope: ExpressionScope, context: LocationContext) {
		this.#reader = new ByteReader(expression, `${scope.what} location expression`);
		this.#scope = scope;
		this.#context = context;
		this.#bits = scope.addressSize * 8;
	}

	run(initial: bigint | undefined): Location {
		if (initial !== undefined) this.#pushGeneric(initial);
		const reader = this.#reader;
		const pieces: LocationPiece[] = [];
		let place: Location | undefined;
		for (let steps = 0; reader.offset < reader.end; steps++) {
			if (steps > stepLimit) throw new SymbolError("limit", `${reader.what} does not end within ${stepLimit} steps.`);
			const operation = reader.u8();
			if (operation === DW_OP.piece || operation === DW_OP.bit_piece) {
				const bitSize = operation === DW_OP.piece ? reader.uleb() * 8 : reader.uleb();
				const bitOffset = operation === DW_OP.piece ? 0 : reader.uleb();
				const location = place ?? (this.#stack.length > 0 ? this.#memory() : undefined);
				pieces.push({ location: location ?? { kind: "unavailable", reason: "optimized out" }, bitSize, bitOffset });
				place = undefined;
				this.#stack.length = 0;
				continue;
			}
			if (place) throw this.#malformed(`goes on after a place was named (operation 0x${operation.toString(16)})`);
			place = this.#step(operation);
		}
		if (pieces.length > 0) return { kind: "pieces", pieces };
		if (place) return place;
		// An empty expression is how compilers say that the object is gone, DWARF 5 section 2.6.1.1.4.
		if (this.#stack.length === 0) return { kind: "unavailable", reason: "optimized out" };
		return this.#memory();
	}

	#memory(): Location {
		return { kind: "memory", address: BigInt.asUintN(this.#bits, this.#pop().value) };
	}

	/** Executes one operation; returns a location if the operation names one. */
	#step(operation: number): Location | undefined {
		const reader = this.#reader;
		const { addressSize } = this.#scope;
		if (operation >= DW_OP.lit0 && operation <= DW_OP.lit31) {
			this.#pushGeneric(BigInt(operation - DW_OP.lit0));
			return undefined;
		}
		if (operation >= DW_OP.reg0 && operation <= DW_OP.reg31) {
			return { kind: "register", register: operation - DW_OP.reg0 };
		}
		if (operation >= DW_OP.breg0 && operation <= DW_OP.breg31) {
			this.#pushGeneric(this.#register(operation - DW_OP.breg0) + reader.slebBig());
			return undefined;
		}
		switch (operation) {
			case DW_OP.addr:
				this.#pushGeneric(this.#relocate(reader.unsigned(addressSize)));
				return undefined;
			case DW_OP.addrx:
				this.#pushGeneric(this.#relocate(this.#unit().indexedAddress(reader.uleb())));
				return undefined;
			case DW_OP.constx:
				this.#pushGeneric(this.#unit().indexedAddress(reader.uleb()));
				return undefined;
			case DW_OP.const1u:
				this.#pushGeneric(BigInt(reader.u8()));
				return undefined;
			case DW_OP.const1s:
				this.#pushGeneric(BigInt(reader.s8()));
				return undefined;
			case DW_OP.const2u:
				this.#pushGeneric(BigInt(reader.u16()));
				return undefined;
			case DW_OP.const2s:
				this.#pushGeneric(BigInt.asIntN(16, BigInt(reader.u16())));
				return undefined;
			case DW_OP.const4u:
				this.#pushGeneric(BigInt(reader.u32()));
				return undefined;
			case DW_OP.const4s:
				this.#pushGeneric(BigInt.asIntN(32, BigInt(reader.u32())));
				return undefined;
			case DW_OP.const8u:
			case DW_OP.const8s:
				this.#pushGeneric(reader.u64());
				return undefined;
			case DW_OP.constu:
				this.#pushGeneric(reader.ulebBig());
				return undefined;
			case DW_OP.consts:
				this.#pushGeneric(reader.slebBig());
				return undefined;
			case DW_OP.fbreg: {
				const offset = reader.slebBig();
				if (this.#context.frameBase === undefined) throw new Unavailable("the frame base is not known here");
				this.#pushGeneric(this.#context.frameBase + offset);
				return undefined;
			}
			case DW_OP.bregx: {
				const register = reader.uleb();
				this.#pushGeneric(this.#register(register) + reader.slebBig());
				return undefined;
			}
			case DW_OP.regx:
				return { kind: "register", register: reader.uleb() };
			case DW_OP.call_frame_cfa:
				if (this.#context.cfa === undefined) throw new Unavailable("the frame has no call frame information here");
				this.#pushGeneric(this.#context.cfa);
				return undefined;
			case DW_OP.implicit_value:
				return { kind: "bytes", bytes: reader.take(reader.uleb()).slice() };
			case DW_OP.stack_value:
				return { kind: "value", value: this.#pop().value };
			case DW_OP.implicit_pointer:
			case DW_OP.GNU_implicit_pointer:
				reader.sectionOffset(this.#scope.version === 2 ? addressSize : this.#scope.offsetSize);
				reader.skipLeb();
				return { kind: "unavailable", reason: "optimized out: a pointer to an object that is not in memory" };
			case DW_OP.entry_value:
			case DW_OP.GNU_entry_value:
			case DW_OP.GNU_parameter_ref:
				throw new Unavailable("optimized out: only the value at function entry is known");
			case DW_OP.GNU_variable_value:
				throw new Unavailable("optimized out");
			case DW_OP.deref:
				this.#load(addressSize, undefined);
				return undefined;
			case DW_OP.deref_size:
				this.#load(reader.u8(), undefined);
				return undefined;
			case DW_OP.skip: {
				const distance = (reader.u16() << 16) >> 16;
				this.#jump(distance);
				return undefined;
			}
			case DW_OP.bra: {
				const distance = (reader.u16() << 16) >> 16;
				if (this.#pop().value !== 0n) this.#jump(distance);
				return undefined;
			}
			case DW_OP.nop:
				return undefined;
			default:
				if (!this.#stackOperation(operation) && !this.#typedOperation(operation) && !this.#arithmetic(operation)) {
					throw new Unavailable(`its location uses the operation 0x${operation.toString(16)}, which is not read`);
				}
				return undefined;
		}
	}

	#stackOperation(operation: number): boolean {
		const stack = this.#stack;
		switch (operation) {
			case DW_OP.dup:
				this.#push(this.#peek(0));
				return true;
			case DW_OP.drop:
				this.#pop();
				return true;
			case DW_OP.over:
				this.#push(this.#peek(1));
				return true;
			case DW_OP.pick:
				this.#push(this.#peek(this.#reader.u8()));
				return true;
			case DW_OP.swap: {
				const top = this.#pop();
				const second = this.#pop();
				stack.push(top, second);
				return true;
			}
			case DW_OP.rot: {
				const top = this.#pop();
				const second = this.#pop();
				const third = this.#pop();
				stack.push(top, third, second);
				return true;
			}
			default:
				return false;
		}
	}

	/** Operations on values of a base type, DWARF 5 section 2.5.1.6, and their GNU codes. */
	#typedOperation(operation: number): boolean {
		const reader = this.#reader;
		switch (operation) {
			case DW_OP.const_type:
			case DW_OP.GNU_const_type: {
				const type = this.#baseType(reader.uleb());
				this.#push(this.#typed(littleEndian(reader.take(reader.u8())), type));
				return true;
			}
			case DW_OP.regval_type:
			case DW_OP.GNU_regval_type: {
				const register = reader.uleb();
				this.#push(this.#typed(this.#register(register), this.#baseType(reader.uleb())));
				return true;
			}
			case DW_OP.deref_type:
			case DW_OP.GNU_deref_type: {
				const size = reader.u8();
				this.#load(size, this.#baseType(reader.uleb()));
				return true;
			}
			case DW_OP.convert:
			case DW_OP.GNU_convert:
			case DW_OP.reinterpret:
			case DW_OP.GNU_reinterpret: {
				const type = reader.uleb();
				const top = this.#pop();
				if (type === 0) this.#pushGeneric(signedOf(top));
				else this.#push(this.#typed(signedOf(top), this.#baseType(type)));
				return true;
			}
			default:
				return false;
		}
	}

	#arithmetic(operation: number): boolean {
		const reader = this.#reader;
		switch (operation) {
			case DW_OP.plus_uconst: {
				const top = this.#pop();
				this.#push(like(top, top.value + reader.ulebBig()));
				return true;
			}
			case DW_OP.abs: {
				const top = this.#pop();
				const value = signedOf(top);
				this.#push(like(top, value < 0n ? -value : value));
				return true;
			}
			case DW_OP.neg: {
				const top = this.#pop();
				this.#push(like(top, -top.value));
				return true;
			}
			case DW_OP.not: {
				const top = this.#pop();
				this.#push(like(top, ~top.value));
				return true;
			}
		}
		const isBinary =
			(operation >= DW_OP.and && operation <= DW_OP.xor) || (operation >= DW_OP.eq && operation <= DW_OP.ne);
		if (!isBinary) return false;
		const right = this.#pop();
		const left = this.#pop();
		const a = signedOf(left);
		const b = signedOf(right);
		const width = BigInt(left.size * 8);
		switch (operation) {
			case DW_OP.and:
				this.#push(like(left, left.value & right.value));
				return true;
			case DW_OP.div:
				if (b === 0n) throw new Unavailable("its location divides by zero");
				this.#push(like(left, a / b));
				return true;
			case DW_OP.minus:
				this.#push(like(left, left.value - right.value));
				return true;
			case DW_OP.mod:
				// The generic type is taken as unsigned here, as gdb has it since the standard leaves it open.
				if (right.value === 0n) throw new Unavailable("its location divides by zero");
				this.#push(like(left, left.isGeneric ? left.value % right.value : a % b));
				return true;
			case DW_OP.mul:
				this.#push(like(left, left.value * right.value));
				return true;
			case DW_OP.or:
				this.#push(like(left, left.value | right.value));
				return true;
			case DW_OP.plus:
				this.#push(like(left, left.value + right.value));
				return true;
			case DW_OP.shl:
				this.#push(like(left, right.value >= width ? 0n : left.value << right.value));
				return true;
			case DW_OP.shr:
				this.#push(like(left, right.value >= width ? 0n : left.value >> right.value));
				return true;
			case DW_OP.shra:
				this.#push(like(left, signedOf(left) >> (right.value >= width ? width : right.value)));
				return true;
			case DW_OP.xor:
				this.#push(like(left, left.value ^ right.value));
				return true;
			case DW_OP.eq:
				this.#pushGeneric(a === b ? 1n : 0n);
				return true;
			case DW_OP.ge:
				this.#pushGeneric(a >= b ? 1n : 0n);
				return true;
			case DW_OP.gt:
				this.#pushGeneric(a > b ? 1n : 0n);
				return true;
			case DW_OP.le:
				this.#pushGeneric(a <= b ? 1n : 0n);
				return true;
			case DW_OP.lt:
				this.#pushGeneric(a < b ? 1n : 0n);
				return true;
			case DW_OP.ne:
				this.#pushGeneric(a !== b ? 1n : 0n);
				return true;
			default:
				return false;
		}
	}

	#push(entry: Entry): void {
		if (this.#stack.length >= stackLimit) {
			throw new SymbolError("limit", `${this.#reader.what} needs a stack of more than ${stackLimit} entries.`);
		}
		this.#stack.push(entry);
	}

	#pushGeneric(value: bigint): void {
		const size = this.#scope.addressSize;
		this.#push({ value: BigInt.asUintN(this.#bits, value), size, isSigned: true, isGeneric: true });
	}

	#pop(): Entry {
		const entry = this.#stack.pop();
		if (!entry) throw this.#malformed("takes a value from an empty stack");
		return entry;
	}

	#peek(depth: number): Entry {
		const entry = this.#stack.at(-1 - depth);
		if (!entry) throw this.#malformed("looks below the end of the stack");
		return entry;
	}

	#jump(distance: number): void {
		const target = this.#reader.offset + distance;
		if (target < 0 || target > this.#reader.end) throw this.#malformed("branches outside of itself");
		this.#reader.offset = target;
	}

	#load(size: number, type: { size: number; isSigned: boolean } | undefined): void {
		if (size < 1 || size > widestType) throw this.#malformed(`reads ${size} bytes at once`);
		const address = BigInt.asUintN(this.#bits, this.#pop().value);
		const bytes = this.#context.readMemory(address, size);
		if (!bytes || bytes.length < size) throw new Unavailable(`memory at 0x${address.toString(16)} cannot be read`);
		const value = littleEndian(bytes.subarray(0, size));
		if (type) this.#push(this.#typed(value, type));
		else this.#pushGeneric(value);
	}

	#register(register: number): bigint {
		const value = this.#context.readRegister(register);
		if (value === undefined) throw new Unavailable(`register ${register} is not known in this frame`);
		return value;
	}

	#relocate(address: bigint): bigint {
		return this.#context.relocate?.(address) ?? address;
	}

	#typed(value: bigint, type: { size: number; isSigned: boolean }): Entry {
		return { value: BigInt.asUintN(type.size * 8, value), size: type.size, isSigned: type.isSigned, isGeneric: false };
	}

	#baseType(offset: number): { size: number; isSigned: boolean } {
		const unit = this.#unit();
		const die = unit.dieAt(unit.offset + offset);
		const size = die.number(DW_AT.byte_size) ?? 0;
		const encoding = die.number(DW_AT.encoding);
		if (encoding === DW_ATE.float || encoding === DW_ATE.complex_float) {
			throw new Unavailable("its location computes with floating-point values, which is not done here");
		}
		if (size < 1 || size > widestType) throw new Unavailable(`its location computes with values of ${size} bytes`);
		return { size, isSigned: encoding === DW_ATE.signed || encoding === DW_ATE.signed_char };
	}

	#unit(): Unit {
		if (!this.#scope.unit) throw this.#malformed("uses an operation that call frame information may not hold");
		return this.#scope.unit;
	}

	#malformed(what: string): SymbolError {
		return new SymbolError("malformed", `${this.#reader.what} ${what}.`);
	}
}

function littleEndian(bytes: Uint8Array): bigint {
	let value = 0n;
	for (let i = bytes.length - 1; i >= 0; i--) value = (value << 8n) | BigInt(bytes[i]!);
	return value;
}

/** The value with its sign, as comparisons and division take it. */
function signedOf(entry: Entry): bigint {
	if (entry.isGeneric || entry.isSigned) return BigInt.asIntN(entry.size * 8, entry.value);
	return entry.value;
}

function like(entry: Entry, value: bigint): Entry {
	return { ...entry, value: BigInt.asUintN(entry.size * 8, value) };
}
