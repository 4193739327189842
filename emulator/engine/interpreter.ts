// The interpreter, generated: one WebAssembly function, a loop around a br_table with one case for each form of each
// instruction, made from the rows of isa/. Blocks of decoded records (decoder.ts) are its input.
//
//   run(record): executes from a block (0: from State.rip) until the fuel is used up or a helper asks to leave.

import type {
	FunctionBuilder,
	FunctionReference,
	FunctionSignature,
	Label,
	Variable,
} from "../isa/emit/function-builder.ts";
import { ModuleBuilder } from "../isa/emit/module-builder.ts";
import type { Routine } from "../isa/emit/routine.ts";
import { Value, ValueType } from "../isa/emit/value.ts";
import type { InstructionTable, Row } from "../isa/row.ts";
import {
	BlockHeader,
	EngineWord,
	JumpCache,
	Record,
	Segment,
	SegmentSlot,
	State,
	segmentSlot,
	Tlb,
} from "../isa/state.ts";
import { ExitReason } from "./exit-reason.ts";
import { AccessKind } from "./helper.ts";
import { RecordOperation, type SharedFunctions } from "./record-operation.ts";
import { defineBlockLookup, defineRefills } from "./translation-refill.ts";

/** Most instructions of a block: `remaining` is a byte, and short blocks waste less when one is left early. */
export const MAX_BLOCK = 48;

/** Handlers that are no instruction. */
export const PseudoHandler = {
	/** The block was invalidated: find the instruction at `offset` anew. */
	resync: 0,
	/** Return to the run loop with ExitReason.fuel in front of the instruction at `offset`. */
	end: 1,
	/** Return to the run loop with ExitReason.breakpoint in front of the instruction at `offset`. */
	breakpoint: 2,
	/** An encoding that has no row: #UD. */
	undefined: 3,
	/** The block ends without a transfer: go on with the instruction at `offset`. */
	continue: 4,
} as const;
export const FIRST_ROW_HANDLER = 5;

export interface GeneratedInterpreter {
	readonly bytes: Uint8Array<ArrayBuffer>;
	/** Handler number by code * 2 + (operand in memory ? 1 : 0); 0 when there is no row. */
	readonly handlers: Uint16Array;
	/** Helper names by number. */
	readonly helperNames: readonly string[];
	/** What the handlers from FIRST_ROW_HANDLER on do. */
	readonly forms: readonly InstructionForm[];
}

/** A row with its operand in a register or in memory. */
export interface InstructionForm {
	readonly row: Row;
	readonly memoryForm: boolean;
}

/** Fuel that ExecutionEngine.stopAfterInstruction() takes: more than any slice has, a power of two. */
export const STOLEN_FUEL = 0x40000000;
/** Places in the table for compiled regions; number 0 stays empty. */
export const REGION_TABLE_SIZE = 1 << 14;

const { i32, i64 } = ValueType;
type Refills = ReturnType<typeof defineRefills>;
const SIZES = [1, 2, 4, 8, 10, 16] as const;

/** Has forms with a register and with a memory operand. */
function hasBothForms(row: Row): boolean {
	return row.operands.some((operand) => operand.kind === "rm" || operand.kind === "xmmm" || operand.kind === "mmm");
}

/** Segment bound and TLB (SDM Vol. 3A §5.3, §4.10): returns the address from the function when all bytes are at hand in one page. */
function emitDirectPlace(
	f: FunctionBuilder,
	access: "read" | "write" | "modify",
	size: number | Value,
	record: Value,
	slot: Value,
	offset: Value,
	refill: Refills,
): void {
	const [bytes, last] =
		typeof size === "number" ? [Value.i64(size), Value.i64(size - 1)] : [size.extendU(), size.sub(1).extendU()];
	const bound = f.load(i64, 8, slot, access === "read" ? SegmentSlot.readBound : SegmentSlot.writeBound);
	f.if(offset.add(bytes).leU(bound), () => {
		const shift = f.load(i32, 1, record, Record.linearShift).extendU();
		const linear = f.let(offset.add(f.load(i64, 8, slot, SegmentSlot.effectiveBase)).and(Value.i64(-1).shrU(shift)));
		const low = f.let(linear.wrap());
		const entry = f.let(
			low
				.shrU(12)
				.and(Tlb.entries - 1)
				.shl(5),
		);
		const wanted = f.let(
			linear
				.add(last)
				.and(Value.i64(-4096))
				.or(f.load(i64, 8, Value.i32(0), State.tlbContext)),
		);
		const tag = f.load(i64, 8, entry, Tlb.base + (access === "read" ? Tlb.readTag : Tlb.writeTag));
		const place = () => low.add(f.load(i32, 4, entry, Tlb.base + Tlb.addend));
		f.if(tag.eq(wanted), () => f.return(place()));
		const misses = f.call(access === "read" ? refill.read : refill.write, [linear, wanted]);
		f.if(misses.eqz(), () => f.return(place()));
	});
}

/** The code of place functions: what is at hand, else the slow path. Returns from the function. */
function emitPlace(
	f: FunctionBuilder,
	access: "read" | "write" | "modify",
	size: number,
	record: Value,
	slot: Value,
	offset: Value,
	slowRead: FunctionReference,
	refill: Refills,
): void {
	emitDirectPlace(f, access, size, record, slot, offset, refill);
	if (access === "write") {
		f.return(Value.i32(State.exchange));
		return;
	}
	const segment = slot.sub(State.segments).divU(SegmentSlot.size).shl(AccessKind.segmentShift);
	const kind = segment.or(size | (access === "modify" ? AccessKind.forWrite : 0));
	const status = f.call(slowRead, [record, offset.wrap(), offset.shrU(32).wrap(), kind]);
	f.if(status, () => f.return(Value.i32(0)));
	f.return(Value.i32(State.exchange));
}

function emitEffectiveAddress(f: FunctionBuilder, record: Value): Value {
	const slot = (offset: number) => f.load(i64, 8, f.load(i32, 1, record, offset).shl(3), 0);
	const index = slot(Record.index).shl(f.load(i32, 1, record, Record.scale).extendU());
	const displacement = f.load(i64, 4, record, Record.displacement, true);
	const mask = Value.i64(-1).shrU(f.load(i32, 1, record, Record.addressShift).extendU());
	return slot(Record.base).add(index).add(displacement).and(mask);
}

export function generateInterpreter(table: InstructionTable): GeneratedInterpreter {
	const module = new ModuleBuilder(1);
	const slowRead = module.import("slowRead", [i32, i32, i32, i32], [i32]);
	const slowWrite = module.import("slowWrite", [i32, i32, i32, i32], [i32]);
	const helper = module.import("helper", [i32, i32, i32], [i32]);
	const lookup = module.import("lookup", [], [i32]);
	const link = module.import("link", [i32], [i32]);

	const refill = defineRefills(module);
	const lookupBlock = defineBlockLookup(module);

	const effectiveAddress = module.declare([i32], [i64]);
	module.define(effectiveAddress, (f) => f.return(emitEffectiveAddress(f, f.parameter(0).get)));
	const operandPlace = new Map<string, FunctionReference>();
	const place = new Map<string, FunctionReference>();
	for (const access of ["read", "write", "modify"] as const) {
		for (const size of SIZES) {
			const general = module.declare([i32, i32, i64], [i32]);
			module.define(general, (f) => {
				emitPlace(f, access, size, f.parameter(0).get, f.parameter(1).get, f.parameter(2).get, slowRead, refill);
				f.unreachable();
			});
			place.set(access + size, general);
			const explicit = module.declare([i32], [i32]);
			module.define(explicit, (f) => {
				const record = f.parameter(0).get;
				const slot = f.let(f.load(i32, 1, record, Record.segment).shl(3));
				const offset = f.let(emitEffectiveAddress(f, record));
				emitPlace(f, access, size, record, slot, offset, slowRead, refill);
				f.unreachable();
			});
			operandPlace.set(access + size, explicit);
		}
	}
	const direct = new Map<string, FunctionReference>();
	for (const access of ["read", "write"] as const) {
		const made = module.declare([i32, i32], [i32]);
		module.define(made, (f) => {
			const record = f.parameter(0).get;
			const slot = f.let(f.load(i32, 1, record, Record.segment).shl(3));
			const offset = f.let(emitEffectiveAddress(f, record));
			emitDirectPlace(f, access, f.parameter(1).get, record, slot, offset, refill);
			f.return(Value.i32(0));
		});
		direct.set(access, made);
	}
	const commit = module.declare([i32, i32, i64, i32], [i32]);
	module.define(commit, (f) => {
		const offset = f.parameter(2).get;
		const segment = f.parameter(1).get.sub(State.segments).divU(SegmentSlot.size).shl(AccessKind.segmentShift);
		const kind = segment.or(f.parameter(3).get);
		f.return(f.call(slowWrite, [f.parameter(0).get, offset.wrap(), offset.shrU(32).wrap(), kind]));
	});

	const routines = new Map<Routine, FunctionReference>();
	const routine = (wanted: Routine): FunctionReference => {
		const known = routines.get(wanted);
		if (known) return known;
		const made = module.declare(wanted.parameters, wanted.results);
		routines.set(wanted, made);
		module.define(made, (f) => wanted.emit(f, routine));
		module.export(wanted.name, made);
		return made;
	};

	const helperNames: string[] = [];
	const helperNumbers = new Map<string, number>();
	const shared: SharedFunctions = {
		effectiveAddress,
		operandPlace,
		place,
		direct,
		commit,
		helper,
		link,
		routine,
		helperNumber(name) {
			let number = helperNumbers.get(name);
			if (number === undefined) {
				number = helperNames.push(name) - 1;
				helperNumbers.set(name, number);
			}
			return number;
		},
	};

	const handlers = new Uint16Array(0x4000);
	const forms: { row: Row; memoryForm: boolean; outOfLine?: FunctionReference }[] = [];
	for (const row of table.rows) {
		for (const memoryForm of hasBothForms(row) ? [false, true] : [false]) {
			const number = FIRST_ROW_HANDLER + forms.length;
			if (hasBothForms(row)) handlers[row.code * 2 + (memoryForm ? 1 : 0)] = number;
			else {
				handlers[row.code * 2] = number;
				handlers[row.code * 2 + 1] = number;
			}
			const form: (typeof forms)[number] = { row, memoryForm };
			if (row.options.cold) {
				form.outOfLine = module.declare([i32], [i32]);
				module.define(form.outOfLine, (f) => {
					const operation = new RecordOperation(f, row.operands, memoryForm, shared, {
						inline: false,
						record: f.parameter(0),
					});
					emitRow(operation, row);
					f.return(Value.i32(0));
				});
			}
			forms.push(form);
		}
	}

	// (entry, record) → i32: see compiler/region-compiler.ts
	const region = module.signature([i32, i32], [i32]);
	module.exportTable("regions", REGION_TABLE_SIZE);

	const run = module.declare([i32], [i32]);
	module.define(run, (f) => {
		const record = f.parameter(0);
		f.loop((dispatch) => {
			f.block((left) => {
				f.if(record.get.eqz(), () => emitDispatch(f, record, lookupBlock, lookup, left));
				f.loop((enter) => {
					emitEnter(f, record.get);
					emitRegion(f, region, record, left, enter);
					f.loop((next) => {
						const advance = () => {
							f.set(record, record.get.add(Record.size));
							f.br(next);
						};
						const cases: ((labels: { left: Label; enter: Label }) => void)[] = [
							() => {
								emitSync(f, record.get);
								f.set(record, f.call(lookup, []));
								f.brIf(enter, record.get);
								f.br(left);
							},
							() => {
								emitSync(f, record.get);
								f.return(Value.i32(ExitReason.fuel));
							},
							() => {
								emitSync(f, record.get);
								f.return(Value.i32(ExitReason.breakpoint));
							},
							() => {
								f.callStatement(helper, [record.get, Value.i32(shared.helperNumber("undefined")), Value.i32(0)]);
								f.br(left);
							},
							() => {
								emitSync(f, record.get);
								f.br(left);
							},
							...forms.map((form) => () => {
								if (form.outOfLine) {
									f.if(f.call(form.outOfLine, [record.get]), () => f.br(left));
								} else {
									const operation = new RecordOperation(f, form.row.operands, form.memoryForm, shared, {
										inline: true,
										record,
										enter,
										left,
									});
									emitRow(operation, form.row);
								}
								advance();
							}),
						];
						emitCases(f, f.load(i32, 2, record.get, Record.handler), cases, left, enter);
					});
				});
			});
			f.if(f.load(i32, 4, Value.i32(0), State.exitReason), () =>
				f.return(f.load(i32, 4, Value.i32(0), State.exitReason)),
			);
			f.set(record, Value.i32(0));
			f.br(dispatch);
		});
		f.unreachable();
	});
	module.export("run", run);
	return { bytes: module.finish(), handlers, helperNames, forms };
}

/** The row with the checks that come before it. */
function emitRow(operation: RecordOperation, row: Row): void {
	operation.f.scoped(() => {
		if (row.options.unit) {
			const trap = operation.state32(row.options.unit === "x87" ? State.x87Trap : State.sseTrap);
			operation.f.if(trap, () => operation.helper("deviceNotAvailable", row.options.unit === "x87" ? 0 : 2));
		}
		row.emit(operation);
	});
}

/** Finds the block at State.rip: jump cache, else block table, else `lookup`. */
function emitDispatch(
	f: FunctionBuilder,
	record: { get: Value; index: number; type: ValueType },
	lookupBlock: FunctionReference,
	lookup: FunctionReference,
	left: Label,
): void {
	f.scoped(() => {
		const rip = f.let(f.load(i64, 8, Value.i32(0), State.rip));
		const linear = f.let(rip.add(f.load(i64, 8, Value.i32(0), segmentSlot(Segment.cs) + SegmentSlot.effectiveBase)));
		const low = linear.wrap();
		const entry = f.let(
			low
				.xor(low.shrU(12))
				.and(JumpCache.entries - 1)
				.shl(4),
		);
		const hit = f
			.load(i64, 8, entry, JumpCache.base + JumpCache.linear)
			.eq(linear)
			.and(
				f.load(i32, 4, entry, JumpCache.base + JumpCache.context).eq(f.load(i32, 4, Value.i32(0), State.jumpContext)),
			);
		f.if(
			hit,
			() => {
				f.set(record, f.load(i32, 4, entry, JumpCache.base + JumpCache.record));
				f.store(8, Value.i32(0), rip.sub(f.load(i64, 2, record.get, Record.offset)), State.ripBase);
			},
			() => {
				f.set(record, f.call(lookupBlock, []));
				f.if(record.get.eqz(), () => {
					f.set(record, f.call(lookup, []));
					f.brIf(left, record.get.eqz());
				});
			},
		);
	});
}

/** Takes the block's instructions from the fuel; leaves when they do not fit. */
function emitEnter(f: FunctionBuilder, record: Value): void {
	f.scoped(() => {
		const rest = f.let(f.load(i32, 4, Value.i32(0), State.fuel).sub(f.load(i32, 1, record, Record.remaining)));
		f.if(rest.ltS(0), () => {
			f.store(4, Value.i32(0), record, EngineWord.lastBlock);
			f.store(
				8,
				Value.i32(0),
				f.load(i64, 8, Value.i32(0), State.ripBase).add(f.load(i64, 2, record, Record.offset)),
				State.rip,
			);
			f.return(Value.i32(ExitReason.fuel));
		});
		f.store(4, Value.i32(0), rest, State.fuel);
	});
}

/** Runs the region that the block was compiled into, if it was: from there on with the record that it gives back. */
function emitRegion(
	f: FunctionBuilder,
	signature: FunctionSignature,
	record: Variable,
	left: Label,
	enter: Label,
): void {
	const header = record.get.sub(BlockHeader.size);
	const fuel = () => f.load(i32, 4, Value.i32(0), State.fuel);
	const remaining = () => f.load(i32, 1, record.get, Record.remaining);
	f.scoped(() => {
		const region = f.let(f.load(i32, 4, header, BlockHeader.region));
		f.if(region, () => {
			const before = f.let(fuel().add(remaining()));
			const entry = f.load(i32, 4, header, BlockHeader.entry);
			const next = f.let(f.callIndirect(signature, [entry, record.get], region));
			f.set(record, next.and(~1));
			// In the middle of a block the fuel of the rest has been taken already.
			const inBlock = next.eqz().or(next.and(1)).eqz();
			// What stopAfterInstruction() has taken for a while does not count.
			const retired = before
				.sub(fuel())
				.sub(inBlock.select(remaining(), Value.i32(0)))
				.and(STOLEN_FUEL - 1);
			const total = f.load(i64, 8, Value.i32(0), EngineWord.compiledInstructions);
			f.store(8, Value.i32(0), total.add(retired.extendS()), EngineWord.compiledInstructions);
			f.brIf(left, next.eqz());
			f.brIf(enter, next.and(1));
		});
	});
}

/** State.rip = the record's instruction; the fuel of it and of those after it is given back. */
function emitSync(f: FunctionBuilder, record: Value): void {
	f.store(
		8,
		Value.i32(0),
		f.load(i64, 8, Value.i32(0), State.ripBase).add(f.load(i64, 2, record, Record.offset)),
		State.rip,
	);
	f.store(
		4,
		Value.i32(0),
		f.load(i32, 4, Value.i32(0), State.fuel).add(f.load(i32, 1, record, Record.remaining)),
		State.fuel,
	);
}

/** Nested blocks around a br_table: the code of case n follows the end of block n. */
function emitCases(
	f: FunctionBuilder,
	selector: Value,
	cases: readonly ((labels: { left: Label; enter: Label }) => void)[],
	left: Label,
	enter: Label,
): void {
	const labels = f.openBlocks(cases.length);
	f.brTable(selector, labels, labels[0]!);
	for (const emit of cases) {
		f.closeBlock();
		f.scoped(() => emit({ left, enter }));
	}
}
