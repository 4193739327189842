// The forms that the rows of the x87 have in common: a routine of generated code does what is frequent and goes well with its exceptions
// masked; what it leaves, a helper does as a whole.

import type { Routine } from "../emit/routine.ts";
import { Value, ValueType } from "../emit/value.ts";
import type { Operation } from "../operation.ts";
import { Segment, SegmentSlot, State, segmentSlot } from "../state.ts";
import { doubleArithmetic, integerArithmetic, singleArithmetic } from "./routines/arithmetic.ts";
import { compareDouble, compareInteger, compareSingle } from "./routines/comparison.ts";
import { pushDouble, pushInteger, pushSingle } from "./routines/stack.ts";

const { i32, i64 } = ValueType;
/** Of the rows. */
export const options = { unit: "x87", cold: true } as const;
const ERROR_SUMMARY = 0x80;
/** An i32 that says so. */
export const NOTHING = Value.i32(0);

/** A waiting instruction: a pending exception comes first (SDM Vol. 1 §8.6). */
export function wait(o: Operation): void {
	o.f.if(o.state32(State.x87Status).and(ERROR_SUMMARY), () => o.helper("x87:pending"));
}

/**
 * A waiting instruction that a helper does; its memory operand of `size` bytes, when it is a source, lies in
 * State.exchange.
 */
export function helperRow(name: string, parameter = 0, size = 0): (o: Operation) => void {
	return (o) => {
		wait(o);
		if (size !== 0) loadSource(o, size).expose();
		o.helper(name, parameter);
	};
}

/** A memory operand that is a source. */
export interface Source {
	/** i64 when it is of 8 or 10 bytes: its first 8; else i32, zero-extended. */
	readonly low: Value;
	/** Of 10 bytes: the last two. */
	readonly high: Value;
	/** Puts it where helpers expect it, in State.exchange. */
	expose(): void;
}

export function loadSource(o: Operation, size: number): Source {
	const { f } = o;
	const place = o.readPlace(size);
	const scratch = Value.i32(State.exchange);
	const first = Math.min(size, 8);
	const low = f.let(f.load(first === 8 ? i64 : i32, first, place.address));
	const high = size === 10 ? f.let(f.load(i32, 2, place.address, 8)) : NOTHING;
	return {
		low,
		high,
		expose: () => {
			f.store(first, scratch, low);
			if (size === 10) f.store(2, scratch, high, 8);
		},
	};
}

/** What the helper of an instruction is told. */
export type HelperCall = readonly [name: string, parameter: number];

/**
 * Calls a routine; when that does nothing, the helper does the whole instruction.
 * @param source its memory operand
 */
export function fast(
	o: Operation,
	routine: Routine,
	args: readonly Value[],
	[name, parameter]: HelperCall,
	source?: Pick<Source, "expose">,
): readonly Value[] {
	return o.call(routine, args, () => {
		source?.expose();
		o.helperInstead(name, parameter);
	});
}

/** Remembers the instruction and its memory operand (SDM Vol. 1 §8.1.8); not for control instructions. */
export function remember(o: Operation, inMemory: boolean): void {
	o.setState64(State.x87InstructionPointer, o.thisInstruction());
	o.setState32(State.x87InstructionSelector, o.state32(segmentSlot(Segment.cs) + SegmentSlot.selector));
	if (!inMemory) return;
	o.setState64(State.x87DataPointer, o.effectiveAddress());
	o.setState32(State.x87DataSelector, o.f.load(i32, 4, o.segment(), SegmentSlot.selector));
}

/**
 * A waiting instruction without a memory operand. The routine does nothing while an exception is pending, so that it is looked for only
 * then.
 */
export function registerRow(
	helper: HelperCall,
	routine: Routine,
	args: (o: Operation) => readonly Value[],
): (o: Operation) => void {
	return (o) => {
		fast(o, routine, args(o), helper, { expose: () => wait(o) });
		remember(o, false);
	};
}

/** The memory operands of arithmetic and loads, the routines that take them, and how their bits are had. */
export const memoryFormats = {
	single: {
		...{ size: 4, bits: (low: Value) => low.extendU() },
		...{ arithmetic: singleArithmetic, compare: compareSingle, push: pushSingle },
	},
	double: {
		...{ size: 8, bits: (low: Value) => low },
		...{ arithmetic: doubleArithmetic, compare: compareDouble, push: pushDouble },
	},
	integer16: {
		...{ size: 2, bits: (low: Value) => low.extend16S().extendS() },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
	integer32: {
		...{ size: 4, bits: (low: Value) => low.extendS() },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
	integer64: {
		...{ size: 8, bits: (low: Value) => low },
		...{ arithmetic: integerArithmetic, compare: compareInteger, push: pushInteger },
	},
} as const;
export type MemoryFormat = keyof typeof memoryFormats;

/** A waiting instruction with a source in memory, of which the routine gets the bits, and then the other arguments. */
export function memoryRow(
	helper: HelperCall,
	format: MemoryFormat,
	routine: Routine,
	...rest: readonly Value[]
): (o: Operation) => void {
	const { size, bits } = memoryFormats[format];
	return (o) => {
		wait(o);
		const source = loadSource(o, size);
		fast(o, routine, [bits(source.low), ...rest], helper, source);
		remember(o, true);
	};
}
