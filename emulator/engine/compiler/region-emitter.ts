// A region: blocks of one physical page and one code size, compiled into one WebAssembly function.
//
//   region(entry, record) → i32: runs from the block with number `entry`, whose first record is `record` and whose instructions
//   have been taken from State.fuel. It gives back what the interpreter goes on with:
//     0           the block at State.rip
//     record | 1  the block that begins with this record; its fuel is still to be taken
//     record      the instruction in the middle of its block
//
// Blocks lie in the order of their addresses, each behind the end of a WebAssembly block that jumps forward leave; jumps back go
// through the br_table at the top, those of a block to itself through a loop of its own.

import { FunctionBuilder, type FunctionReference, type Label, type Variable } from "../../isa/emit/function-builder.ts";
import type { Routine } from "../../isa/emit/routine.ts";
import { Value, ValueType } from "../../isa/emit/value.ts";
import { BlockHeader, JumpCache, Record, Segment, SegmentSlot, State, segmentSlot } from "../../isa/state.ts";
import type { Block } from "../code-cache.ts";
import type { InstructionSet } from "../instruction-set.ts";
import { FIRST_ROW_HANDLER, type InstructionForm, PseudoHandler } from "../interpreter.ts";
import type { PhysicalMemory } from "../physical-memory.ts";
import { FlagLocals } from "./flag-locals.ts";
import { FLAGS_IN_STATE, NOT_COMPILED, RegionOperation, type RegionScope } from "./region-operation.ts";
import { RegisterLocals } from "./register-locals.ts";

const { i32, i64 } = ValueType;
const REGION_PARAMETERS = [i32, i32] as const;

/** What a compiled region takes for granted besides its code: it leaves at once when the processor is otherwise. */
export interface RegionAssumptions {
	/** log2 of the code size in bytes: 2 or 3. */
	readonly mode: number;
	/** State.stackMaskShift. */
	readonly stackMaskShift: number;
	/** State.flatSegments, of which the region takes what it needs. */
	readonly flatSegments: number;
}

export class RegionEmitter implements RegionScope {
	readonly f = new FunctionBuilder(REGION_PARAMETERS, [i32]);
	readonly registers: RegisterLocals;
	readonly flags: FlagLocals;
	readonly mode64: boolean;
	readonly stackMaskShift: number;
	readonly tlbContext: Variable;
	readonly ripBase: Variable;
	readonly fuel: Variable;
	base = 0;
	/** Numbers of blocks whose first instruction is compiled. */
	readonly entries: number[] = [];

	private readonly result: Variable;
	private readonly entry: Variable;
	private readonly byStart = new Map<number, number>();
	private flatNeeded = 0;
	private labels: readonly Label[] = [];
	private exit: Label = { depth: 0 };
	private again: Label = { depth: 0 };
	private hops: Label = { depth: 0 };
	private current = 0;
	private self: Label | undefined;
	/** Units whose trap checks the block has passed: nothing but a helper can change what they tell. */
	private checkedUnits: readonly ("x87" | "sse")[] = [];

	/** @param blocks in the order of their addresses, no two with the same start */
	constructor(
		private readonly physical: PhysicalMemory,
		private readonly set: InstructionSet,
		private readonly blocks: readonly Block[],
		private readonly assumptions: RegionAssumptions,
		/** The region's place in the table. */
		private readonly place: number,
		/** Import of the module: (record, helper, parameter) → i32, as the interpreter has it. */
		private readonly helper: FunctionReference,
		/** Imports a routine of the interpreter's module. */
		readonly routine: (routine: Routine) => FunctionReference,
	) {
		const { f } = this;
		this.mode64 = assumptions.mode === 3;
		this.stackMaskShift = assumptions.stackMaskShift;
		this.registers = new RegisterLocals(f, this.mode64, () => this.base);
		this.flags = new FlagLocals(f);
		this.tlbContext = f.persistentVariable(i64);
		this.ripBase = f.persistentVariable(i64);
		this.fuel = f.persistentVariable(i32);
		this.result = f.persistentVariable(i32);
		this.entry = f.parameter(0);
		for (const [number, block] of blocks.entries()) this.byStart.set(block.start, number);
	}

	/** Generates the function. */
	emit(): FunctionBuilder {
		const { f } = this;
		const state32 = (offset: number) => f.load(i32, 4, Value.i32(0), offset);
		f.set(this.fuel, state32(State.fuel));
		f.set(this.tlbContext, f.load(i64, 8, Value.i32(0), State.tlbContext));
		f.set(this.ripBase, f.load(i64, 8, Value.i32(0), State.ripBase));
		const body = f.detached(() => {
			f.block((exit) => {
				this.exit = exit;
				f.loop((again) => {
					this.again = again;
					f.block((hops) => {
						this.hops = hops;
						this.labels = f.openBlocks(this.blocks.length);
						f.brTable(this.entry.get, this.labels, this.labels[0]!);
						for (const number of this.blocks.keys()) {
							f.closeBlock();
							this.emitBlock(number);
						}
					});
					this.emitHop();
				});
			});
		});
		let otherwise = state32(State.stackMaskShift).ne(this.stackMaskShift);
		if (this.flatNeeded !== 0)
			otherwise = otherwise.or(state32(State.flatSegments).and(this.flatNeeded).ne(this.flatNeeded));
		f.if(otherwise, () => f.return(f.parameter(1).get));
		f.append(body);
		f.store(4, Value.i32(0), this.fuel.get, State.fuel);
		f.return(this.result.get);
		return f;
	}

	assumeFlat(bits: number): boolean {
		if ((this.assumptions.flatSegments & bits) !== bits) return false;
		this.flatNeeded |= bits;
		return true;
	}

	leave(record: number): void {
		this.f.set(this.result, Value.i32(record));
		this.f.br(this.exit);
	}

	dispatch(): void {
		this.leave(0);
	}

	hop(): void {
		this.f.br(this.hops);
	}

	/** To State.rip: within the region when the jump cache knows a block of it there, else to the block that it knows. */
	private emitHop(): void {
		const { f, fuel, mode64 } = this;
		f.scoped(() => {
			const rip = f.let(f.load(i64, 8, Value.i32(0), State.rip));
			const base = f.load(i64, 8, Value.i32(0), segmentSlot(Segment.cs) + SegmentSlot.effectiveBase);
			const linear = mode64 ? rip : f.let(rip.add(base));
			const low = linear.wrap();
			const cached = f.let(
				low
					.xor(low.shrU(12))
					.and(JumpCache.entries - 1)
					.shl(4),
			);
			const context = f.load(i32, 4, cached, JumpCache.base + JumpCache.context);
			const known = f
				.load(i64, 8, cached, JumpCache.base + JumpCache.linear)
				.eq(linear)
				.and(context.eq(f.load(i32, 4, Value.i32(0), State.jumpContext)));
			f.if(known.eqz(), () => this.dispatch());
			const record = f.let(f.load(i32, 4, cached, JumpCache.base + JumpCache.record));
			const header = f.let(record.sub(BlockHeader.size));
			const ripBase = f.let(rip.sub(f.load(i64, 2, record, Record.offset)));
			const isOwn = f.load(i32, 4, header, BlockHeader.region).eq(this.place);
			f.if(isOwn.and(ripBase.eq(this.ripBase.get)), () => {
				const rest = f.let(fuel.get.sub(f.load(i32, 1, record, Record.remaining)));
				f.if(rest.geS(0), () => {
					f.set(fuel, rest);
					f.set(this.entry, f.load(i32, 4, header, BlockHeader.entry));
					f.br(this.again);
				});
			});
			f.store(8, Value.i32(0), ripBase, State.ripBase);
			f.set(this.result, record.or(1));
			f.br(this.exit);
		});
	}

	callHelper(record: number, name: string, parameter: number): void {
		const { f, fuel, physical } = this;
		const block = this.blocks[this.current]!;
		const next = record + Record.size;
		this.flags.store();
		f.store(4, Value.i32(0), fuel.get, State.fuel);
		const number = Value.i32(this.set.helperNames.indexOf(name));
		const left = f.let(f.call(this.helper, [Value.i32(record), number, Value.i32(parameter)]));
		f.set(fuel, f.load(i32, 4, Value.i32(0), State.fuel));
		f.if(left, () => this.dispatch());
		// The helper may have had the machine stop here, or have changed code of this region.
		const handler = f.load(i32, 2, Value.i32(next), Record.handler);
		const changed = handler.ne(physical.view.getUint16(next + Record.handler, true));
		const dropped = f.load(i32, 4, Value.i32(block.record - BlockHeader.size), BlockHeader.region).eqz();
		f.if(changed.or(dropped), () => this.leave(next));
		f.set(this.tlbContext, f.load(i64, 8, Value.i32(0), State.tlbContext));
		this.forget();
	}

	/** Nothing is known any more of registers, flags and units. */
	private forget(): void {
		this.registers.forget();
		this.flags.forget();
		this.checkedUnits = [];
	}

	jump(offset: number): boolean {
		const number = this.byStart.get(offset);
		if (number === undefined) return false;
		const { f, fuel } = this;
		const block = this.blocks[number]!;
		f.set(fuel, fuel.get.sub(block.instructions));
		f.if(fuel.get.ltS(0), () => {
			f.set(fuel, fuel.get.add(block.instructions));
			this.leave(block.record | 1);
		});
		if (number > this.current) f.br(this.labels[number]!);
		else if (number === this.current && this.self) f.br(this.self);
		else {
			f.set(this.entry, Value.i32(number));
			f.br(this.again);
		}
		return true;
	}

	private emitBlock(number: number): void {
		this.current = number;
		this.forget();
		const body = () => {
			this.base = this.f.nesting;
			this.emitInstructions(this.blocks[number]!);
		};
		if (this.jumpsToItself(this.blocks[number]!)) {
			this.f.loop((self) => {
				this.self = self;
				body();
			});
			this.self = undefined;
		} else body();
	}

	private form(record: number): InstructionForm | undefined {
		return this.set.forms[this.physical.view.getUint16(record + Record.handler, true) - FIRST_ROW_HANDLER];
	}

	private offset(record: number): number {
		return this.physical.view.getUint16(record + Record.offset, true);
	}

	private jumpsToItself({ record: first, instructions, start }: Block): boolean {
		const { u8, i32: words } = this.physical;
		for (let record = first; record < first + instructions * Record.size; record += Record.size) {
			if (this.form(record)?.row.operands[0]?.kind !== "relative" || words[(record + Record.link) >> 2]! < 0) continue;
			const target = this.offset(record) + u8[record + Record.length]! + words[(record + Record.immediate) >> 2]!;
			if (target === start) return true;
		}
		return false;
	}

	private emitInstructions(block: Block): void {
		const { f, physical } = this;
		const end = block.record + block.instructions * Record.size;
		for (let record = block.record; record < end; record += Record.size) {
			if (record > block.record && this.byStart.has(this.offset(record))) {
				// Another block of the region begins here: its code serves both.
				this.flags.store();
				f.set(this.fuel, this.fuel.get.add(physical.u8[record + Record.remaining]!));
				this.jump(this.offset(record));
				return;
			}
			const outcome = this.emitInstruction(record);
			if (record === block.record && outcome !== "left") this.entries.push(this.current);
			if (outcome !== "next") return;
			if (this.form(record)?.row.options.endsBlock) {
				this.flags.store();
				this.goOnBehind(end);
				return;
			}
		}
		this.flags.store();
		if (physical.view.getUint16(end + Record.handler, true) !== PseudoHandler.continue) {
			this.leave(end);
			return;
		}
		const next = this.offset(end);
		if (this.jump(next)) return;
		f.store(8, Value.i32(0), this.ripBase.get.add(next), State.rip);
		this.hop();
	}

	/** Behind an instruction that may have changed anything: mapping and privilege are looked at by the hop, what is taken for granted here. */
	private goOnBehind(end: number): void {
		const { f, physical } = this;
		const { flatSegments, stackMaskShift } = this.assumptions;
		if (physical.view.getUint16(end + Record.handler, true) !== PseudoHandler.continue) {
			this.leave(end);
			return;
		}
		const word = (offset: number) => f.load(i32, 4, Value.i32(0), offset);
		const flat = word(State.flatSegments).and(flatSegments).ne(flatSegments);
		f.if(word(State.stackMaskShift).ne(stackMaskShift).or(flat), () => this.leave(end));
		f.store(8, Value.i32(0), this.ripBase.get.add(this.offset(end)), State.rip);
		this.hop();
	}

	/** @returns "left": the interpreter has to do the instruction; "ended": control never comes behind it */
	private emitInstruction(record: number): "next" | "ended" | "left" {
		const form = this.form(record);
		if (form) {
			const registers = this.registers.save();
			const flags = this.flags.save();
			const { ended, failure } = this.attempt(record, form, false);
			if (failure === undefined) return ended ? "ended" : "next";
			this.registers.restore(registers);
			this.flags.restore(flags);
			if (failure === FLAGS_IN_STATE) {
				this.flags.store();
				this.flags.forget();
				const second = this.attempt(record, form, true);
				if (second.failure === undefined) return second.ended ? "ended" : "next";
				this.registers.restore(registers);
			}
		}
		this.flags.store();
		this.leave(record);
		return "left";
	}

	private attempt(record: number, form: InstructionForm, flagsInState: boolean): { ended: boolean; failure: unknown } {
		const { f } = this;
		const operation = new RegionOperation(this, form, this.physical, record, flagsInState);
		const checked = this.checkedUnits;
		const failure = f.attempt(() =>
			f.scoped(() => {
				const { unit } = form.row.options;
				if (unit && !checked.includes(unit)) {
					operation.requireUnit(unit);
					this.checkedUnits = [...checked, unit];
				}
				form.row.emit(operation);
			}),
		);
		if (failure !== undefined) this.checkedUnits = checked;
		if (failure !== undefined && failure !== NOT_COMPILED && failure !== FLAGS_IN_STATE) throw failure;
		return { ended: operation.ended, failure };
	}
}
