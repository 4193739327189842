// The arithmetic flags inside a compiled block. What an instruction leaves is kept in locals, as operands and result or as the
// two words of isa/flags.ts, and goes to the state only where the block is left; flags that nobody asks for cost nothing.

import type { FunctionBuilder, Variable } from "../../isa/emit/function-builder.ts";
import { Value, ValueType } from "../../isa/emit/value.ts";
import { auxOfAdd, auxOfSubtract, signExtend } from "../../isa/flags.ts";
import type { FlagsKind } from "../../isa/operation.ts";
import { State } from "../../isa/state.ts";

const { i32, i64 } = ValueType;

interface Source {
	readonly kind: FlagsKind;
	readonly size: number;
}

interface Held {
	/** The flags follow from the operand locals. */
	readonly source: Source | undefined;
	/** Else: the words lie in locals, not in the state. */
	readonly result: boolean;
	readonly aux: boolean;
}

const IN_STATE: Held = { source: undefined, result: false, aux: false };

export class FlagLocals {
	private readonly locals = new Map<string, Variable>();
	private held: Held = IN_STATE;

	constructor(private readonly f: FunctionBuilder) {}

	/** The state holds the flags, at the start of a block. */
	forget(): void {
		this.held = IN_STATE;
	}

	save(): Held {
		return this.held;
	}

	restore(held: Held): void {
		this.held = held;
	}

	get inState(): boolean {
		return this.held.source === undefined && !this.held.result && !this.held.aux;
	}

	private local(name: "a" | "b" | "r" | "result" | "aux", type: ValueType): Variable {
		const key = name + type;
		let local = this.locals.get(key);
		if (!local) {
			local = this.f.persistentVariable(type);
			this.locals.set(key, local);
		}
		return local;
	}

	private operand(name: "a" | "b" | "r", size: number): Variable {
		return this.local(name, size === 8 ? i64 : i32);
	}

	/** The flags are those of an operation on these operands. */
	setSource(kind: FlagsKind, size: number, result: Value, a?: Value, b?: Value): void {
		this.f.set(this.operand("r", size), result);
		if (a && b) {
			this.f.set(this.operand("a", size), a);
			this.f.set(this.operand("b", size), b);
		}
		this.held = { source: { kind, size }, result: false, aux: false };
	}

	/** The flags are these two words; `aux` may be made from the flags before. */
	setWords(result: Value, aux: Value): void {
		this.f.set(this.local("aux", i32), aux);
		this.f.set(this.local("result", i64), result);
		this.held = { source: undefined, result: true, aux: true };
	}

	setResult(result: Value): void {
		if (this.held.source) this.f.set(this.local("aux", i32), this.aux());
		const aux = this.held.aux || this.held.source !== undefined;
		this.f.set(this.local("result", i64), result);
		this.held = { source: undefined, result: true, aux };
	}

	setAux(aux: Value): void {
		const { source } = this.held;
		this.f.set(this.local("aux", i32), aux);
		if (source) this.f.set(this.local("result", i64), this.result());
		this.held = { source: undefined, result: source !== undefined || this.held.result, aux: true };
	}

	/** i64: State.flagsResult. */
	result(): Value {
		const { source, result } = this.held;
		if (source) return signExtend(this.operand("r", source.size).get, source.size);
		if (result) return this.local("result", i64).get;
		return this.f.load(i64, 8, Value.i32(0), State.flagsResult);
	}

	/** i32: State.flagsAux. */
	aux(): Value {
		const { source, aux } = this.held;
		if (aux) return this.local("aux", i32).get;
		if (!source) return this.f.load(i32, 4, Value.i32(0), State.flagsAux);
		const { kind, size } = source;
		if (kind === "logic") return Value.i32(0);
		const a = this.operand("a", size).get;
		const b = this.operand("b", size).get;
		const r = this.operand("r", size).get;
		const twice = (value: Value) => value;
		return kind === "add" || kind === "addWithCarry"
			? auxOfAdd(size, a, b, r, twice)
			: auxOfSubtract(size, a, b, r, twice);
	}

	/** Puts the flags into the state; what is known of them stays. */
	store(): void {
		const { source, result, aux } = this.held;
		if (source || result) this.f.store(8, Value.i32(0), this.result(), State.flagsResult);
		if (source || aux) this.f.store(4, Value.i32(0), this.aux(), State.flagsAux);
	}

	/** i32, 0 or 1: the condition with this even number, told from operands and result; undefined when that is no shorter. */
	condition(code: number): Value | undefined {
		const { source } = this.held;
		if (!source) return undefined;
		const { kind, size } = source;
		const r = this.operand("r", size).get;
		/** The result (or an operand) with its sign in the sign of its type. */
		const signed = (value: Value) => (size >= 4 ? value : value.shl(32 - size * 8));
		const isZero = () => signed(r).eqz();
		const isNegative = () => signed(r).ltS(0);
		if (kind === "subtract") {
			const a = this.operand("a", size).get;
			const b = this.operand("b", size).get;
			switch (code) {
				case 2:
					return a.ltU(b);
				case 4:
					return a.eq(b);
				case 6:
					return a.leU(b);
				case 8:
					return isNegative();
				case 12:
					return signed(a).ltS(signed(b));
				case 14:
					return signed(a).leS(signed(b));
				default:
					return undefined;
			}
		}
		if (kind === "logic") {
			switch (code) {
				case 0:
				case 2:
					return Value.i32(0);
				case 4:
				case 6:
					return isZero();
				case 8:
				case 12:
					return isNegative();
				case 14:
					return signed(r).leS(0);
				default:
					return undefined;
			}
		}
		if (code === 4) return isZero();
		if (code === 8) return isNegative();
		if (code === 2 && kind === "add" && size >= 4) return r.ltU(this.operand("a", size).get);
		return undefined;
	}
}
