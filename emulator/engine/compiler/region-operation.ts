// The compiler's Operation: operands are the constants of one decoded record. A compiled instruction does only what always goes
// well and fast; for everything else (a page that is not in the TLB, a fault, a helper) it leaves, before it has changed anything,
// and the interpreter does the instruction from its beginning.

import type { FunctionBuilder, FunctionReference, Variable } from "../../isa/emit/function-builder.ts";
import type { Routine } from "../../isa/emit/routine.ts";
import { Value, ValueType } from "../../isa/emit/value.ts";
import { type FlagsKind, Operation, type Place, wordType } from "../../isa/operation.ts";
import { Record, Segment, SegmentSlot, State, Tlb } from "../../isa/state.ts";
import type { InstructionForm } from "../interpreter.ts";
import type { PhysicalMemory } from "../physical-memory.ts";
import type { FlagLocals } from "./flag-locals.ts";
import type { RegisterLocals } from "./register-locals.ts";

const { i32, i64 } = ValueType;

/** Thrown by an instruction that the interpreter has to do. */
export const NOT_COMPILED = Symbol("not compiled");
/** Thrown by an instruction that changes flags conditionally while they lie in locals. */
export const FLAGS_IN_STATE = Symbol("flags in state");

/** What an instruction needs of the region that it is compiled into. */
export interface RegionScope {
	readonly f: FunctionBuilder;
	readonly registers: RegisterLocals;
	readonly flags: FlagLocals;
	readonly mode64: boolean;
	/** State.stackMaskShift, the same whenever the region runs. */
	readonly stackMaskShift: number;
	readonly tlbContext: Variable;
	readonly ripBase: Variable;
	readonly fuel: Variable;
	/** Blocks, loops and branches that are open where no part of an instruction is conditional. */
	readonly base: number;
	/** True when the region may take it for granted that these bits of State.flatSegments are set. */
	assumeFlat(bits: number): boolean;
	/** Goes to the interpreter, in front of the instruction at `record`. */
	leave(record: number): void;
	/** Calls a helper; behind it nothing is known of registers and flags. Leaves after a fault, and when the run loop is wanted. */
	callHelper(record: number, name: string, parameter: number): void;
	/** The function of a routine, imported. */
	routine(routine: Routine): FunctionReference;
	/** Goes to the block at State.rip, to which an instruction has jumped. */
	hop(): void;
	/** Goes to the run loop, which looks for attention and goes on at State.rip. */
	dispatch(): void;
	/** Goes to the block at this offset of the page; false when the region has none. */
	jump(offset: number): boolean;
}

export class RegionOperation extends Operation {
	/** Control never comes behind the instruction. */
	ended = false;
	/** Something has been changed: it is too late to leave. */
	private changed = false;

	constructor(
		private readonly scope: RegionScope,
		form: InstructionForm,
		private readonly physical: PhysicalMemory,
		private readonly record: number,
		/** The state holds the flags before this instruction, and they are changed there. */
		private readonly flagsInState: boolean,
	) {
		super(scope.f, form.row.operands, form.memoryForm);
	}

	private byte(offset: number): number {
		return this.physical.u8[this.record + offset]!;
	}

	private get conditional(): boolean {
		return this.f.nesting !== this.scope.base;
	}

	private change(): void {
		if (!this.conditional) this.changed = true;
	}

	// ---- operands ----

	registerAddress(operand: number): Value {
		return Value.i32(this.byte(Record.register + operand));
	}

	registerNumber(operand: number): Value {
		return Value.i32(this.byte(Record.register + operand));
	}

	immediate64(): Value {
		return Value.i64(this.physical.i64[(this.record + Record.immediate) >> 3]!);
	}

	override immediate(size: number): Value {
		if (size === 8) return this.immediate64();
		const low = this.physical.i32[(this.record + Record.immediate) >> 2]!;
		return Value.i32(size === 4 ? low : low & (size === 1 ? 0xff : 0xffff));
	}

	secondImmediate(): Value {
		return Value.i32(this.byte(Record.register + 2));
	}

	segment(): Value {
		return Value.i32(this.byte(Record.segment) * 8);
	}

	prefixes(): Value {
		return Value.i32(this.byte(Record.flags));
	}

	addressShift(): Value {
		return Value.i32(this.byte(Record.addressShift));
	}

	override gpr(index: number, size: number): Value {
		return this.scope.registers.read(index * 8, size);
	}

	override setGpr(index: number, size: number, value: Value): void {
		this.change();
		this.scope.registers.write(index * 8, size, value);
	}

	override read(operand: number): Value {
		const form = this.operands[operand]!;
		if (!this.inMemory(operand) && (form.kind === "gpr" || form.kind === "rm"))
			return this.scope.registers.read(this.byte(Record.register + operand), form.size);
		return super.read(operand);
	}

	override writeRegister(operand: number, size: number, value: Value): void {
		this.change();
		this.scope.registers.write(this.byte(Record.register + operand), size, value);
	}

	private addressPart(field: number): Value {
		const at = this.byte(field) * 8;
		if (at === State.zero) return Value.i64(0);
		if (at === State.ripBase) return this.scope.ripBase.get;
		return this.scope.registers.read(at, 8);
	}

	effectiveAddress(): Value {
		const displacement = Value.i64(this.physical.i32[(this.record + Record.displacement) >> 2]!);
		const shift = this.byte(Record.addressShift);
		const scale = this.byte(Record.scale);
		const base = this.addressPart(Record.base);
		const index = this.addressPart(Record.index);
		if (shift === 0) return base.add(index.shl(scale)).add(displacement);
		const sum = base.wrap().add(index.wrap().shl(scale)).add(displacement.wrap());
		return (shift === 32 ? sum : sum.and(0xffff)).extendU();
	}

	// ---- memory ----

	readPlace(size: number): Place {
		return this.placeAt("read", size, this.segment(), this.effectiveAddress());
	}

	writePlace(size: number): Place {
		return this.placeAt("write", size, this.segment(), this.effectiveAddress());
	}

	modifyPlace(size: number): Place {
		return this.placeAt("modify", size, this.segment(), this.effectiveAddress());
	}

	/** Segment bound and TLB as the interpreter has them (emitPlace); what they do not let through is left to it. */
	placeAt(access: "read" | "write" | "modify", size: number, slot: Value, offset: Value): Place {
		const { f } = this;
		const low = f.let(this.linear(access, size, Number(slot.constant), f.let(offset)));
		const linear = low.type === i64 ? low : low.extendU();
		const entry = f.let(
			linear
				.wrap()
				.shrU(12)
				.and(Tlb.entries - 1)
				.shl(5),
		);
		const wanted = linear
			.add(size - 1)
			.and(Value.i64(-4096))
			.or(this.scope.tlbContext.get);
		const tag = f.load(i64, 8, entry, Tlb.base + (access === "read" ? Tlb.readTag : Tlb.writeTag));
		this.leaveIf(tag.ne(wanted));
		const address = f.let(linear.wrap().add(f.load(i32, 4, entry, Tlb.base + Tlb.addend)));
		return { address, commit: () => this.change() };
	}

	directPlace(access: "read" | "write", size: number): Value {
		return this.placeAt(access, size, this.segment(), this.effectiveAddress()).address;
	}

	/** The linear address: i64 in 64-bit mode, else i32. */
	private linear(access: "read" | "write" | "modify", size: number, slot: number, offset: Value): Value {
		const { f, scope } = this;
		const segment = (slot - State.segments) / SegmentSlot.size;
		const base = () => f.load(i64, 8, Value.i32(0), slot + SegmentSlot.effectiveBase);
		if (scope.mode64) return segment === Segment.fs || segment === Segment.gs ? offset.add(base()) : offset;
		if (scope.assumeFlat(1 << segment)) return offset.wrap();
		const bound = access === "read" ? SegmentSlot.readBound : SegmentSlot.writeBound;
		this.leaveIf(offset.add(size).gtU(f.load(i64, 8, Value.i32(0), slot + bound)));
		if (scope.assumeFlat(0x100 << segment)) return offset.wrap();
		return offset.wrap().add(base().wrap());
	}

	/** Leaves to the interpreter, which does the whole instruction, when the condition is not 0. */
	private leaveIf(condition: Value): void {
		if (this.changed) throw NOT_COMPILED;
		this.f.if(condition, () => {
			this.scope.flags.store();
			this.scope.leave(this.record);
		});
	}

	// ---- stack ----

	override maskStack(value: Value): Value {
		const { stackMaskShift } = this.scope;
		return stackMaskShift === 0 ? value : value.and(Value.i64(stackMaskShift === 32 ? 0xffffffffn : 0xffffn));
	}

	override setStackPointer(value: Value): void {
		const { stackMaskShift } = this.scope;
		const size = stackMaskShift === 0 ? 8 : stackMaskShift === 32 ? 4 : 2;
		this.setGpr(4, size, size === 8 ? value : value.wrap());
	}

	// ---- control flow ----

	private get offset(): number {
		return this.physical.view.getUint16(this.record + Record.offset, true);
	}

	thisInstruction(): Value {
		return this.scope.ripBase.get.add(this.offset);
	}

	nextInstruction(): Value {
		return this.scope.ripBase.get.add(this.offset + this.byte(Record.length));
	}

	/** Gives back the fuel of the instructions of the block behind this one. */
	private returnFuel(): void {
		const { fuel } = this.scope;
		const rest = this.byte(Record.remaining) - 1;
		if (rest > 0) this.f.set(fuel, fuel.get.add(rest));
	}

	private finish(): void {
		if (!this.conditional) this.ended = true;
	}

	jumpTo(target: Value, size: number): void {
		this.f.store(8, Value.i32(0), cut(target, size), State.rip);
		this.scope.flags.store();
		this.returnFuel();
		this.scope.hop();
		this.finish();
	}

	/** Offset in the page of a branch's target; undefined when it may lie in another. */
	private get targetInPage(): number | undefined {
		if (this.physical.i32[(this.record + Record.link) >> 2]! < 0) return undefined;
		return this.offset + this.byte(Record.length) + this.physical.i32[(this.record + Record.immediate) >> 2]!;
	}

	checkRelativeTarget(size: number): void {
		// A target that is linked has been fetched before, in the same page; a page of 64-bit code is canonical as a whole.
		const link = this.physical.i32[(this.record + Record.link) >> 2]!;
		if (link > 0 || (link === 0 && size === 8)) return;
		this.checkTarget(this.f.let(this.nextInstruction().add(this.immediate64())), size);
	}

	jumpRelative(size: number): void {
		const target = this.targetInPage;
		this.scope.flags.store();
		this.returnFuel();
		if (target === undefined || !this.scope.jump(target)) {
			this.f.store(8, Value.i32(0), cut(this.nextInstruction().add(this.immediate64()), size), State.rip);
			this.scope.hop();
		}
		this.finish();
	}

	fallThrough(): void {
		this.jumpTo(this.nextInstruction(), 8);
	}

	// ---- what is left to the interpreter ----

	helper(name: string, parameter = 0): void {
		if (this.conditional) {
			this.leaveIf(Value.i32(1));
			return;
		}
		if (this.flagsInState) this.scope.flags.forget();
		this.scope.callHelper(this.record, name, parameter);
		this.changed = true;
	}

	helperInstead(_name: string, _parameter: number): void {
		if (!this.conditional) throw NOT_COMPILED;
		this.leaveIf(Value.i32(1));
	}

	call(routine: Routine, args: readonly Value[], otherwise: () => void): readonly Value[] {
		const results = this.f.callNow(this.scope.routine(routine), args);
		this.f.if(results.at(-1)!.ltS(0), otherwise);
		if (routine.changesState) this.change();
		return results;
	}

	raise(_vector: number): void {
		if (!this.conditional) throw NOT_COMPILED;
		this.leaveIf(Value.i32(1));
	}

	interruptedIteration(): void {
		throw NOT_COMPILED;
	}

	/** The trap checks in front of the instructions of a unit (RowOptions.unit). */
	requireUnit(unit: "x87" | "sse"): void {
		this.leaveIf(super.state32(unit === "x87" ? State.x87Trap : State.sseTrap));
	}

	// ---- flags ----

	private prepareFlags(): void {
		if (this.conditional) throw FLAGS_IN_STATE;
		this.changed = true;
	}

	override deferFlags(kind: FlagsKind, size: number, result: Value, a?: Value, b?: Value): boolean {
		if (this.flagsInState) return false;
		this.prepareFlags();
		const type = wordType(size);
		this.scope.flags.setSource(kind, size, result.as(type), a?.as(type), b?.as(type));
		return true;
	}

	override setFlags(result: Value, aux: Value): void {
		if (this.flagsInState) {
			super.setFlags(result, aux);
			return;
		}
		this.prepareFlags();
		this.scope.flags.setWords(result, aux);
	}

	override knownCondition(code: number): Value | undefined {
		return this.flagsInState ? undefined : this.scope.flags.condition(code);
	}

	override state64(offset: number): Value {
		return offset === State.flagsResult && !this.flagsInState ? this.scope.flags.result() : super.state64(offset);
	}

	override state32(offset: number): Value {
		return offset === State.flagsAux && !this.flagsInState ? this.scope.flags.aux() : super.state32(offset);
	}

	override setState64(offset: number, value: Value): void {
		if (offset !== State.flagsResult || this.flagsInState) {
			super.setState64(offset, value);
			return;
		}
		this.prepareFlags();
		this.scope.flags.setResult(value);
	}

	override setState32(offset: number, value: Value): void {
		if (offset !== State.flagsAux || this.flagsInState) {
			super.setState32(offset, value);
			return;
		}
		this.prepareFlags();
		this.scope.flags.setAux(value);
	}
}

/** A target cut to the operand size. */
function cut(target: Value, size: number): Value {
	return size === 8 ? target : target.and(Value.i64(size === 4 ? 0xffffffffn : 0xffffn));
}
