// MOVS, STOS, LODS, CMPS, SCAS with REP (SDM Vol. 2). Each iteration of a repeated instruction retires as one instruction:
// interrupts, faults and the budget see the boundary between two iterations, where RIP is still the string instruction.
// A repeated string instruction ends its block, so that State.fuel is exactly what is left at such a boundary.

import type { Label } from "../emit/function-builder.ts";
import { Value, ValueType } from "../emit/value.ts";
import { Eflags, flagsOfSubtract, zeroFlag } from "../flags.ts";
import { Gpr, type OperandSize, type Operation, wordType } from "../operation.ts";
import type { InstructionTable } from "../row.ts";
import { RecordFlags, Segment, SegmentSlot, State, segmentSlot } from "../state.ts";

const { i32, i64 } = ValueType;
const PAGE = 4096;

function addressMask(o: Operation): Value {
	return Value.i64(-1).shrU(o.addressShift().extendU());
}

/** SI, DI or CX in the address size, as i64. */
function index(o: Operation, register: number): Value {
	return o.gpr(register, 8).and(addressMask(o));
}

function setIndex(o: Operation, register: number, value: Value): void {
	const kept = o.f.let(value);
	o.f.if(
		o.addressShift().eq(48),
		() => o.setGpr(register, 2, kept.wrap()),
		() => o.setGpr(register, 8, kept.and(addressMask(o))),
	);
}

/** i64: +size or -size by DF. */
function step(o: Operation, size: number): Value {
	const down = o.state32(State.flagsRest).and(Eflags.df);
	return down.select(Value.i64(-size), Value.i64(size));
}

function advance(o: Operation, register: number, size: number): void {
	setIndex(o, register, o.gpr(register, 8).add(step(o, size)));
}

function extraSlot(): Value {
	return Value.i32(segmentSlot(Segment.es));
}

function load(o: Operation, size: OperandSize, slot: Value, offset: Value): Value {
	const place = o.placeAt("read", size, slot, offset);
	return o.f.let(o.f.load(wordType(size), size, place.address));
}

/**
 * Goes round `iteration` as the prefix says. `bulk`, when given, may do several iterations at once: it gets the number
 * that may be done (i64, at least 2) and returns how many it did (i64, 0 = none) beyond those counted by `iteration`.
 */
function repeat(o: Operation, iteration: () => void, compares: boolean, bulk?: (most: Value) => Value): void {
	const f = o.f;
	const prefix = o.prefixes().and(RecordFlags.rep | RecordFlags.repne);
	f.if(prefix.eqz(), iteration, () => {
		f.block((done: Label) => {
			f.brIf(done, index(o, Gpr.rcx).eqz());
			f.loop((again: Label) => {
				f.scoped(() => {
					const left = f.let(index(o, Gpr.rcx));
					if (bulk) {
						const budget = o.state32(State.fuel).add(1).extendS();
						const most = f.let(left.ltU(budget).select(left, f.let(budget)));
						f.if(
							most.gtS(Value.i64(1)),
							() => {
								const did = f.let(bulk(most));
								f.if(
									did.eqz().eqz(),
									() => {
										setIndex(o, Gpr.rcx, left.sub(did));
										o.setState32(State.fuel, o.state32(State.fuel).sub(did.wrap()).add(1));
									},
									() => {
										iteration();
										setIndex(o, Gpr.rcx, left.sub(1));
									},
								);
							},
							() => {
								iteration();
								setIndex(o, Gpr.rcx, left.sub(1));
							},
						);
					} else {
						iteration();
						setIndex(o, Gpr.rcx, left.sub(1));
					}
					f.brIf(done, index(o, Gpr.rcx).eqz());
					if (compares) {
						// REPE goes on while ZF is 1, REPNE while it is 0.
						const wanted = o.prefixes().and(RecordFlags.rep).eqz().eqz();
						f.brIf(done, zeroFlag(o).ne(wanted));
					}
					const fuel = f.let(o.state32(State.fuel));
					f.if(fuel.leS(0), () => {
						o.setState32(State.exitReason, Value.i32(1));
						o.interruptedIteration();
					});
					o.setState32(State.fuel, fuel.sub(1));
					f.br(again);
				});
			});
		});
	});
}

/** i64: elements up to the end of the page, going upwards. */
function toPageEnd(offset: Value, base: Value, size: number): Value {
	const inPage = offset.add(base).and(Value.i64(PAGE - 1));
	return Value.i64(PAGE).sub(inPage).divU(size);
}

function least(o: Operation, a: Value, b: Value): Value {
	const x = o.f.let(a);
	const y = o.f.let(b);
	return o.f.let(x.ltU(y).select(x, y));
}

/** The whole run has to lie inside the segment (bounds as in SegmentSlot). */
function inside(o: Operation, slot: Value, bound: number, offset: Value, bytes: Value): Value {
	return offset.add(bytes).leU(o.f.load(i64, 8, slot, bound));
}

function moveString(o: Operation, size: OperandSize): void {
	const f = o.f;
	const iteration = () => {
		const value = load(o, size, o.segment(), index(o, Gpr.rsi));
		const place = o.placeAt("write", size, extraSlot(), index(o, Gpr.rdi));
		f.store(size, place.address, value);
		place.commit();
		advance(o, Gpr.rsi, size);
		advance(o, Gpr.rdi, size);
	};
	repeat(o, iteration, false, (most) => {
		const did = f.variable(i64);
		f.set(did, Value.i64(0));
		f.if(o.state32(State.flagsRest).and(Eflags.df).eqz(), () => {
			const source = f.let(o.segment());
			const from = f.let(index(o, Gpr.rsi));
			const to = f.let(index(o, Gpr.rdi));
			const ends = least(
				o,
				toPageEnd(from, f.load(i64, 8, source, SegmentSlot.effectiveBase), size),
				toPageEnd(to, f.load(i64, 8, extraSlot(), SegmentSlot.effectiveBase), size),
			);
			const count = least(o, most, ends);
			const bytes = f.let(count.mul(size));
			const fits = inside(o, source, SegmentSlot.readBound, from, bytes).and(
				inside(o, extraSlot(), SegmentSlot.writeBound, to, bytes),
			);
			f.if(fits.and(count.gtU(Value.i64(1))), () => {
				const read = o.placeAt("read", size, source, from).address;
				const write = o.placeAt("write", size, extraSlot(), to).address;
				// A destination inside the source run would repeat it, element by element; that is left to the single steps.
				const apart = write.sub(read).geU(bytes.wrap());
				f.if(read.ne(State.exchange).and(write.ne(State.exchange)).and(apart), () => {
					f.copyMemory(write, read, bytes.wrap());
					setIndex(o, Gpr.rsi, from.add(bytes));
					setIndex(o, Gpr.rdi, to.add(bytes));
					f.set(did, count);
				});
			});
		});
		return did.get;
	});
}

function storeString(o: Operation, size: OperandSize): void {
	const f = o.f;
	const iteration = () => {
		const place = o.placeAt("write", size, extraSlot(), index(o, Gpr.rdi));
		f.store(size, place.address, o.gpr(Gpr.rax, size));
		place.commit();
		advance(o, Gpr.rdi, size);
	};
	repeat(o, iteration, false, (most) => {
		const did = f.variable(i64);
		f.set(did, Value.i64(0));
		f.if(o.state32(State.flagsRest).and(Eflags.df).eqz(), () => {
			const to = f.let(index(o, Gpr.rdi));
			const count = least(o, most, toPageEnd(to, f.load(i64, 8, extraSlot(), SegmentSlot.effectiveBase), size));
			const bytes = f.let(count.mul(size));
			f.if(inside(o, extraSlot(), SegmentSlot.writeBound, to, bytes).and(count.gtU(Value.i64(1))), () => {
				const write = o.placeAt("write", size, extraSlot(), to).address;
				f.if(write.ne(State.exchange), () => {
					if (size === 1) f.fillMemory(write, o.gpr(Gpr.rax, 1), bytes.wrap());
					else {
						const at = f.variable(i32);
						f.set(at, write);
						const end = f.let(write.add(bytes.wrap()));
						const value = f.let(o.gpr(Gpr.rax, size));
						f.loop((again: Label) => {
							f.store(size, at.get, value);
							f.set(at, at.get.add(size));
							f.brIf(again, at.get.ltU(end));
						});
					}
					setIndex(o, Gpr.rdi, to.add(bytes));
					f.set(did, count);
				});
			});
		});
		return did.get;
	});
}

function loadString(o: Operation, size: OperandSize): void {
	repeat(
		o,
		() => {
			const value = load(o, size, o.segment(), index(o, Gpr.rsi));
			o.setGpr(Gpr.rax, size, value);
			advance(o, Gpr.rsi, size);
		},
		false,
	);
}

function compareString(o: Operation, size: OperandSize): void {
	repeat(
		o,
		() => {
			const a = load(o, size, o.segment(), index(o, Gpr.rsi));
			const b = load(o, size, extraSlot(), index(o, Gpr.rdi));
			flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
			advance(o, Gpr.rsi, size);
			advance(o, Gpr.rdi, size);
		},
		true,
	);
}

function scanString(o: Operation, size: OperandSize): void {
	repeat(
		o,
		() => {
			const a = o.f.let(o.gpr(Gpr.rax, size));
			const b = load(o, size, extraSlot(), index(o, Gpr.rdi));
			flagsOfSubtract(o, size, a, b, o.f.let(a.sub(b)));
			advance(o, Gpr.rdi, size);
		},
		true,
	);
}

export function defineString(table: InstructionTable): void {
	const kinds: Record<string, (o: Operation, size: OperandSize) => void> = {
		"^Movs([bwdq])_m": moveString,
		"^Stos([bwdq])_m": storeString,
		"^Lods([bwdq])_(AL|AX|EAX|RAX)_m": loadString,
		"^Cmps([bwdq])_m": compareString,
		"^Scas([bwdq])_(AL|AX|EAX|RAX)_m": scanString,
	};
	const sizes: Record<string, OperandSize> = { b: 1, w: 2, d: 4, q: 8 };
	for (const [pattern, emit] of Object.entries(kinds)) {
		const letter = new RegExp(pattern);
		table.define(letter, (o, name) => emit(o, sizes[letter.exec(name)![1]!]!), { cold: true });
	}
}
