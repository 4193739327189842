// The interpreter's Operation: every operand is read from the decoded record that the local `record` points at.

import type { FunctionBuilder, FunctionReference, Label, Variable } from "../isa/emit/function-builder.ts";
import type { Routine } from "../isa/emit/routine.ts";
import { Value, ValueType } from "../isa/emit/value.ts";
import { type OperandForm, Operation, type Place } from "../isa/operation.ts";
import { Record, State } from "../isa/state.ts";

/** Functions of the module that rows call. */
export interface SharedFunctions {
	/** (record) → i64: offset of the memory operand. */
	readonly effectiveAddress: FunctionReference;
	/** By "read4", "write8", "modify1", ...: (record) → i32 address of the memory operand's bytes, 0 after a fault. */
	readonly operandPlace: ReadonlyMap<string, FunctionReference>;
	/** By the same names: (record, slot, offset) → i32. */
	readonly place: ReadonlyMap<string, FunctionReference>;
	/** By "read" and "write": (record, size) → i32 address of the memory operand's bytes, 0 when they are not at hand in one page. */
	readonly direct: ReadonlyMap<string, FunctionReference>;
	/** (record, slot, offset, size) → i32: finishes a slow write; nonzero after a fault. */
	readonly commit: FunctionReference;
	/** (record, helper, parameter) → i32: 0 = go on with the next record. */
	readonly helper: FunctionReference;
	/** (record) → i32: the block at State.rip, remembered as the target of this branch; 0 = leave. */
	readonly link: FunctionReference;
	/** The function of a routine. */
	routine(routine: Routine): FunctionReference;
	/** Number of a helper by name; registers the name. */
	helperNumber(name: string): number;
}

/** How a row leaves: inside the main function by branches, in a function of its own by its result. */
export type Exits =
	| {
			readonly inline: true;
			readonly record: Variable;
			/** Goes to where `record` is entered as a block. */
			readonly enter: Label;
			/** Goes to where exitReason is looked at and State.rip is looked up. */
			readonly left: Label;
	  }
	| { readonly inline: false; readonly record: Variable };

export class RecordOperation extends Operation {
	constructor(
		f: FunctionBuilder,
		operands: readonly OperandForm[],
		memoryForm: boolean,
		private readonly shared: SharedFunctions,
		private readonly exits: Exits,
	) {
		super(f, operands, memoryForm);
	}

	private get record(): Value {
		return this.exits.record.get;
	}

	private field(size: number, offset: number, signed = false): Value {
		return this.f.load(ValueType.i32, size, this.record, offset, signed);
	}

	registerAddress(operand: number): Value {
		return this.field(1, Record.register + operand);
	}

	registerNumber(operand: number): Value {
		return this.field(1, Record.register + operand);
	}

	immediate64(): Value {
		return this.f.load(ValueType.i64, 8, this.record, Record.immediate);
	}

	override immediate(size: number): Value {
		if (size === 8) return this.immediate64();
		return this.f.load(ValueType.i32, size, this.record, Record.immediate);
	}

	secondImmediate(): Value {
		return this.field(1, Record.register + 2);
	}

	effectiveAddress(): Value {
		return this.f.call(this.shared.effectiveAddress, [this.record]);
	}

	segment(): Value {
		return this.field(1, Record.segment).shl(3);
	}

	prefixes(): Value {
		return this.field(1, Record.flags);
	}

	addressShift(): Value {
		return this.field(1, Record.addressShift);
	}

	/** Leaves the row: a fault has been delivered, or the run loop is wanted. */
	private leave(): void {
		if (this.exits.inline) this.f.br(this.exits.left);
		else this.f.return(Value.i32(1));
	}

	private checked(address: Value): Value {
		const kept = this.f.let(address);
		this.f.if(kept.eqz(), () => this.leave());
		return kept;
	}

	private operandPlace(access: string, size: number): Value {
		const target = this.shared.operandPlace.get(access + size);
		if (!target) throw new Error(`No ${access} of ${size} bytes`);
		return this.checked(this.f.call(target, [this.record]));
	}

	private commitTo(address: Value, slot: () => Value, offset: () => Value, size: number): void {
		this.f.if(address.eq(State.exchange), () => {
			this.f.if(this.f.call(this.shared.commit, [this.record, slot(), offset(), Value.i32(size)]), () => this.leave());
		});
	}

	readPlace(size: number): Place {
		const address = this.operandPlace("read", size);
		return { address, commit: () => {} };
	}

	writePlace(size: number): Place {
		const address = this.operandPlace("write", size);
		return {
			address,
			commit: () =>
				this.commitTo(
					address,
					() => this.segment(),
					() => this.effectiveAddress(),
					size,
				),
		};
	}

	modifyPlace(size: number): Place {
		const address = this.operandPlace("modify", size);
		return {
			address,
			commit: () =>
				this.commitTo(
					address,
					() => this.segment(),
					() => this.effectiveAddress(),
					size,
				),
		};
	}

	placeAt(access: "read" | "write" | "modify", size: number, slot: Value, offset: Value): Place {
		const target = this.shared.place.get(access + size);
		if (!target) throw new Error(`No ${access} of ${size} bytes`);
		const keptSlot = this.f.let(slot);
		const keptOffset = this.f.let(offset);
		const address = this.checked(this.f.call(target, [this.record, keptSlot, keptOffset]));
		const commit = () => {
			if (access !== "read")
				this.commitTo(
					address,
					() => keptSlot,
					() => keptOffset,
					size,
				);
		};
		return { address, commit };
	}

	directPlace(access: "read" | "write", size: number, otherwise: () => void): Value {
		const address = this.f.let(this.f.call(this.shared.direct.get(access)!, [this.record, Value.i32(size)]));
		this.f.if(address.eqz(), otherwise);
		return address;
	}

	thisInstruction(): Value {
		return this.state64(State.ripBase).add(this.field(2, Record.offset).extendU());
	}

	nextInstruction(): Value {
		return this.state64(State.ripBase).add(this.field(2, Record.offset).add(this.field(1, Record.length)).extendU());
	}

	/** Ends a block early: what was taken for the instructions after this one is given back. */
	private returnFuel(): void {
		this.setState32(State.fuel, this.state32(State.fuel).add(this.field(1, Record.remaining)).sub(1));
	}

	jumpTo(target: Value, size: number): void {
		const masked = size === 8 ? target : target.and(Value.i64(size === 4 ? 0xffffffffn : 0xffffn));
		this.setState64(State.rip, masked);
		this.returnFuel();
		this.leave();
	}

	checkRelativeTarget(size: number): void {
		// A target that is linked has been fetched before, in the same page as this branch.
		this.f.if(this.f.load(ValueType.i32, 4, this.record, Record.link).leS(0), () =>
			this.checkTarget(this.f.let(this.nextInstruction().add(this.immediate64())), size),
		);
	}

	jumpRelative(size: number): void {
		if (!this.exits.inline) {
			this.jumpTo(this.nextInstruction().add(this.immediate64()), size);
			return;
		}
		const { record, enter, left } = this.exits;
		this.returnFuel();
		const link = this.f.let(this.f.load(ValueType.i32, 4, this.record, Record.link));
		this.f.if(link.gtS(0), () => {
			this.f.set(record, link);
			this.f.br(enter);
		});
		const target = this.nextInstruction().add(this.immediate64());
		this.setState64(State.rip, size === 8 ? target : target.and(Value.i64(size === 4 ? 0xffffffffn : 0xffffn)));
		this.f.brIf(left, link);
		this.f.set(record, this.f.call(this.shared.link, [this.record]));
		this.f.brIf(enter, record.get);
		this.f.br(left);
	}

	fallThrough(): void {
		this.jumpTo(this.nextInstruction(), 8);
	}

	helper(name: string, parameter = 0): void {
		const number = this.shared.helperNumber(name);
		this.f.if(this.f.call(this.shared.helper, [this.record, Value.i32(number), Value.i32(parameter)]), () =>
			this.leave(),
		);
	}

	helperInstead(name: string, parameter: number): void {
		if (this.exits.inline) throw new Error(`${name}: only a cold row can be left to a helper`);
		const number = this.shared.helperNumber(name);
		this.f.return(this.f.call(this.shared.helper, [this.record, Value.i32(number), Value.i32(parameter)]));
	}

	call(routine: Routine, args: readonly Value[], otherwise: () => void): readonly Value[] {
		const results = this.f.callNow(this.shared.routine(routine), args);
		this.f.if(results.at(-1)!.ltS(0), otherwise);
		return results;
	}

	raise(vector: number): void {
		this.helper("raise", vector);
		this.leave();
	}

	interruptedIteration(): void {
		this.setState64(State.rip, this.thisInstruction());
		this.leave();
	}
}
