// Statements of one generated function: locals, control flow, loads, stores and calls.

import { CodeWriter } from "./code-writer.ts";
import { Value, ValueType } from "./value.ts";

/** A local variable that can be assigned. */
export interface Variable {
	readonly type: ValueType;
	readonly get: Value;
	readonly index: number;
}

/** A place that `br` can go to: the end of a block, the start of a loop. */
export interface Label {
	readonly depth: number;
}

export interface FunctionReference {
	readonly index: number;
	readonly parameters: readonly ValueType[];
	readonly results: readonly ValueType[];
}

/** The type of functions that are called through the table. */
export interface FunctionSignature {
	readonly typeIndex: number;
	readonly parameters: readonly ValueType[];
	readonly results: readonly ValueType[];
}

const EMPTY_BLOCK = 0x40;

/** Opcodes of loads: [zero-extended i32, sign-extended i32, zero-extended i64, sign-extended i64] by size in bytes. */
const LOADS: Record<number, readonly [number, number, number, number]> = {
	1: [0x2d, 0x2c, 0x31, 0x30],
	2: [0x2f, 0x2e, 0x33, 0x32],
	4: [0x28, 0x28, 0x35, 0x34],
	8: [0, 0, 0x29, 0x29],
};
const STORES_I32: Record<number, number> = { 1: 0x3a, 2: 0x3b, 4: 0x36 };
const STORES_I64: Record<number, number> = { 1: 0x3c, 2: 0x3d, 4: 0x3e, 8: 0x37 };

export class FunctionBuilder {
	private readonly body = new CodeWriter();
	private readonly locals: ValueType[] = [];
	/** Locals that no open scope holds, by type. */
	private readonly free = new Map<ValueType, number[]>();
	private scope: { type: ValueType; index: number }[] = [];
	private depth = 0;

	constructor(
		readonly parameters: readonly ValueType[],
		readonly results: readonly ValueType[],
	) {}

	parameter(index: number): Variable {
		return this.variableAt(this.parameters[index]!, index);
	}

	private variableAt(type: ValueType, index: number): Variable {
		return {
			type,
			index,
			get: new Value(type, (out) => {
				out.byte(0x20);
				out.unsigned(index);
			}),
		};
	}

	/** A fresh local; it is given back when the enclosing scoped() ends. Its first value is whatever was there. */
	variable(type: ValueType): Variable {
		let index = this.free.get(type)?.pop();
		if (index === undefined) {
			index = this.parameters.length + this.locals.length;
			this.locals.push(type);
		}
		this.scope.push({ type, index });
		return this.variableAt(type, index);
	}

	/** A local of its own for the whole function, whatever scope is open. */
	persistentVariable(type: ValueType): Variable {
		this.locals.push(type);
		return this.variableAt(type, this.parameters.length + this.locals.length - 1);
	}

	/** Runs `fill` and then lets its locals be used again. */
	scoped(fill: () => void): void {
		const outer = this.scope;
		this.scope = [];
		fill();
		for (const { type, index } of this.scope) {
			const list = this.free.get(type);
			if (list) list.push(index);
			else this.free.set(type, [index]);
		}
		this.scope = outer;
	}

	/** Evaluates now; the result can be used many times. */
	let(value: Value): Value {
		if (value.constant !== undefined) return value;
		if (value.isZeroExtended && value.low) return this.let(value.low).extendU();
		const variable = this.variable(value.type);
		this.set(variable, value);
		return variable.get;
	}

	set(variable: Variable, value: Value): void {
		if (variable.type !== value.type) throw new Error("set: types differ");
		value.write(this.body);
		this.body.byte(0x21);
		this.body.unsigned(variable.index);
	}

	/** Loads `size` bytes at address (i32) + offset; the result has type `type`, zero-extended unless `signed`. */
	load(type: ValueType, size: number, address: Value, offset = 0, signed = false): Value {
		let opcode: number;
		if (type === ValueType.i32) opcode = LOADS[size]![signed ? 1 : 0]!;
		else if (type === ValueType.i64) opcode = LOADS[size]![signed ? 3 : 2]!;
		else if (type === ValueType.f32) opcode = 0x2a;
		else if (type === ValueType.f64) opcode = 0x2b;
		else
			return new Value(type, (out) => {
				address.write(out);
				out.bytes([0xfd, 0x00, 0x00]);
				out.unsigned(offset);
			});
		if (opcode === 0) throw new Error(`load: ${size} bytes do not fit an i32`);
		return new Value(type, (out) => {
			address.write(out);
			out.bytes([opcode, 0]);
			out.unsigned(offset);
		});
	}

	store(size: number, address: Value, value: Value, offset = 0): void {
		address.write(this.body);
		value.write(this.body);
		if (value.type === ValueType.v128) this.body.bytes([0xfd, 0x0b, 0]);
		else if (value.type === ValueType.i32) this.body.bytes([STORES_I32[size]!, 0]);
		else if (value.type === ValueType.i64) this.body.bytes([STORES_I64[size]!, 0]);
		else this.body.bytes([value.type === ValueType.f32 ? 0x38 : 0x39, 0]);
		this.body.unsigned(offset);
	}

	/** How many blocks, loops and branches of `if` are open. */
	get nesting(): number {
		return this.depth;
	}

	/**
	 * Runs `fill`. When it throws, what it has written is taken back, and what it has thrown comes back as the result.
	 */
	attempt(fill: () => void): unknown {
		const { depth, scope } = this;
		const { length } = this.body;
		try {
			fill();
			return undefined;
		} catch (thrown) {
			this.body.length = length;
			this.depth = depth;
			this.scope = scope;
			return thrown;
		}
	}

	/** Runs one of the two; of a constant condition only that one is generated. */
	if(condition: Value, then: () => void, otherwise?: () => void): void {
		if (condition.constant !== undefined) {
			if (condition.constant !== 0n) this.scoped(then);
			else if (otherwise) this.scoped(otherwise);
			return;
		}
		condition.write(this.body);
		this.body.bytes([0x04, EMPTY_BLOCK]);
		this.depth++;
		this.scoped(then);
		if (otherwise) {
			this.body.byte(0x05);
			this.scoped(otherwise);
		}
		this.depth--;
		this.body.byte(0x0b);
	}

	/** A block; br to its label leaves it. */
	block(fill: (label: Label) => void): void {
		this.structure(0x02, fill);
	}

	/** A loop; br to its label goes round again. */
	loop(fill: (label: Label) => void): void {
		this.structure(0x03, fill);
	}

	private structure(opcode: number, fill: (label: Label) => void): void {
		this.body.bytes([opcode, EMPTY_BLOCK]);
		this.depth++;
		fill({ depth: this.depth });
		this.depth--;
		this.body.byte(0x0b);
	}

	/** Opens `count` blocks, one inside the other; the labels are the innermost block's first. closeBlock() ends each. */
	openBlocks(count: number): Label[] {
		const labels: Label[] = [];
		for (let opened = 0; opened < count; opened++) {
			this.body.bytes([0x02, EMPTY_BLOCK]);
			this.depth++;
			labels.unshift({ depth: this.depth });
		}
		return labels;
	}

	/** Ends the innermost block of openBlocks(). */
	closeBlock(): void {
		this.depth--;
		this.body.byte(0x0b);
	}

	br(label: Label): void {
		this.body.byte(0x0c);
		this.body.unsigned(this.depth - label.depth);
	}

	brIf(label: Label, condition: Value): void {
		condition.write(this.body);
		this.body.byte(0x0d);
		this.body.unsigned(this.depth - label.depth);
	}

	brTable(index: Value, labels: readonly Label[], otherwise: Label): void {
		index.write(this.body);
		this.body.byte(0x0e);
		this.body.unsigned(labels.length);
		for (const label of labels) this.body.unsigned(this.depth - label.depth);
		this.body.unsigned(this.depth - otherwise.depth);
	}

	return(value?: Value): void {
		value?.write(this.body);
		this.body.byte(0x0f);
	}

	/** Returns from a function with several results. */
	returnAll(values: readonly Value[]): void {
		for (const value of values) value.write(this.body);
		this.body.byte(0x0f);
	}

	unreachable(): void {
		this.body.byte(0x00);
	}

	/** Runs `fill` and takes what it has written out of the function; append() puts it in. */
	detached(fill: () => void): Uint8Array {
		const start = this.body.length;
		fill();
		const code = this.body.result().slice(start);
		this.body.length = start;
		return code;
	}

	append(code: Uint8Array): void {
		this.body.bytes(code);
	}

	/** A call whose single result is used as a value (evaluated where it is consumed). */
	call(target: FunctionReference, args: readonly Value[]): Value {
		if (target.results.length !== 1) throw new Error("call: a function with one result");
		return new Value(target.results[0]!, (out) => {
			for (const argument of args) argument.write(out);
			out.byte(0x10);
			out.unsigned(target.index);
		});
	}

	/** A call that is made now; its results can be used many times. */
	callNow(target: FunctionReference, args: readonly Value[]): Value[] {
		for (const argument of args) argument.write(this.body);
		this.body.byte(0x10);
		this.body.unsigned(target.index);
		const results = target.results.map((type) => this.variable(type));
		for (const { index } of [...results].reverse()) {
			this.body.byte(0x21);
			this.body.unsigned(index);
		}
		return results.map(({ get }) => get);
	}

	/** A call through the module's table; its single result is used as a value. */
	callIndirect(signature: FunctionSignature, args: readonly Value[], index: Value): Value {
		return new Value(signature.results[0]!, (out) => {
			for (const argument of args) argument.write(out);
			index.write(out);
			out.byte(0x11);
			out.unsigned(signature.typeIndex);
			out.byte(0);
		});
	}

	/** A call for its effect; results are dropped. */
	callStatement(target: FunctionReference, args: readonly Value[]): void {
		for (const argument of args) argument.write(this.body);
		this.body.byte(0x10);
		this.body.unsigned(target.index);
		for (let dropped = 0; dropped < target.results.length; dropped++) this.body.byte(0x1a);
	}

	/** memory.copy and memory.fill (bulk memory operations). */
	copyMemory(to: Value, from: Value, length: Value): void {
		for (const value of [to, from, length]) value.write(this.body);
		this.body.bytes([0xfc, 10, 0, 0]);
	}

	fillMemory(to: Value, byte: Value, length: Value): void {
		for (const value of [to, byte, length]) value.write(this.body);
		this.body.bytes([0xfc, 11, 0]);
	}

	/** The function as an entry of the code section. */
	finish(): Uint8Array {
		const out = new CodeWriter();
		const runs: { type: ValueType; count: number }[] = [];
		for (const type of this.locals) {
			const last = runs.at(-1);
			if (last?.type === type) last.count++;
			else runs.push({ type, count: 1 });
		}
		out.unsigned(runs.length);
		for (const run of runs) {
			out.unsigned(run.count);
			out.byte(run.type);
		}
		out.bytes(this.body.result());
		out.byte(0x0b);
		return out.result();
	}
}
