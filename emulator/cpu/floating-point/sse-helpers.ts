// SSE floating-point arithmetic, comparison and conversion with exact flags (SDM Vol. 1 §10.2.3, §11.5): what
// generated code does not do by itself. The rows leave the operands in State.exchange and take the result from there.

import { Fault, Vector } from "../../engine/fault.ts";
import { type Helper, Outcome } from "../../engine/helper.ts";
import type { PhysicalMemory } from "../../engine/physical-memory.ts";
import { ConvertFlag, ElementKind, SseFlag, SseOperation } from "../../isa/sse/forms.ts";
import { State } from "../../isa/state.ts";
import {
	double,
	Flag,
	type Format,
	isNan,
	Kind,
	quieted,
	Rounding,
	roundToInteger,
	single,
	type Unpacked,
	zero,
} from "./binary-float.ts";
import { add, compare, divide, multiply, type Result, roundResult, squareRoot } from "./extended.ts";
import { packDouble, packSingle, unpackDouble, unpackSingle } from "./interchange.ts";
import { fromInteger } from "./x87-arithmetic.ts";

const Mxcsr = { denormalsAreZeros: 0x40, maskShift: 7, roundingShift: 13, flushToZero: 0x8000 } as const;
const CR4_OSXMMEXCPT = 0x400;
/** Exceptions that are found before the result is computed (SDM Vol. 1 §11.5.2). */
const PRE_COMPUTATION = Flag.invalid | Flag.denormal | Flag.zeroDivide;
const FIRST = State.exchange;
const SECOND = State.exchange + 16;

interface Element {
	readonly bits: bigint;
	readonly flags: number;
}

export class SseUnit {
	private readonly i32: Int32Array;
	private readonly view: DataView;

	constructor(physical: PhysicalMemory) {
		this.i32 = physical.i32;
		this.view = physical.view;
	}

	private get mxcsr(): number {
		return this.i32[State.mxcsr >> 2]!;
	}

	/**
	 * The control word for the functions of extended.ts: rounding, overflow and underflow masks from MXCSR; the rest
	 * masked.
	 */
	private get control(): number {
		const unmasked = ~(this.mxcsr >> Mxcsr.maskShift) & (Flag.overflow | Flag.underflow);
		return (Flag.all & ~unmasked) | (((this.mxcsr >> Mxcsr.roundingShift) & 3) << 10);
	}

	private read(at: number, format: Format): bigint {
		return format === single ? BigInt(this.view.getUint32(at, true)) : this.view.getBigUint64(at, true);
	}

	private write(at: number, size: number, bits: bigint): void {
		if (size === 4) this.view.setUint32(at, Number(BigInt.asUintN(32, bits)), true);
		else this.view.setBigUint64(at, BigInt.asUintN(64, bits), true);
	}

	/** The value of an element; a denormal is a zero when MXCSR.DAZ says so. */
	private unpack(bits: bigint, format: Format): Unpacked {
		const value = format === single ? unpackSingle(Number(bits)) : unpackDouble(bits);
		return value.denormal && this.mxcsr & Mxcsr.denormalsAreZeros ? zero(value.negative) : value;
	}

	/**
	 * Adds the flags of all elements to MXCSR.
	 * @throws {Fault} #XM (#UD without CR4.OSXMMEXCPT) when one of them is not masked; post-computation flags are then
	 * set only if no pre-computation exception is unmasked (SDM Vol. 1 §11.5.3).
	 */
	private raise(elements: readonly Element[]): void {
		let flags = 0;
		for (const element of elements) flags |= element.flags;
		const unmasked = ~(this.mxcsr >> Mxcsr.maskShift) & Flag.all;
		if (flags & unmasked & PRE_COMPUTATION) flags &= PRE_COMPUTATION;
		this.i32[State.mxcsr >> 2] = this.mxcsr | flags;
		if ((flags & unmasked) === 0) return;
		const handled = this.i32[State.cr4 >> 2]! & CR4_OSXMMEXCPT;
		throw new Fault(handled ? Vector.simdFloatingPoint : Vector.invalidOpcode);
	}

	private pack(value: Unpacked, format: Format): bigint {
		return format === single ? BigInt(packSingle(value) >>> 0) : packDouble(value);
	}

	/** The element that a rounded result becomes; MXCSR.FTZ counts while underflow is masked (SDM Vol. 1 §10.2.3.3). */
	private finish(result: Result, format: Format): Element {
		let { flags } = result;
		let value = result.value!;
		if (result.tiny && this.mxcsr & Mxcsr.flushToZero) {
			flags |= Flag.underflow | Flag.inexact;
			value = zero(value.negative);
		}
		return { bits: this.pack(value, format), flags };
	}

	/** The NaN of an operation: the first operand if it is one, else the second (SDM Vol. 1 Table 4-7). */
	private nan(a: Unpacked, b: Unpacked, format: Format): Element | undefined {
		if (!isNan(a) && !isNan(b)) return undefined;
		const flags = a.kind === Kind.signalingNan || b.kind === Kind.signalingNan ? Flag.invalid : 0;
		return { bits: this.pack(quieted(isNan(a) ? a : b), format), flags };
	}

	private operate(operation: number, aBits: bigint, bBits: bigint, format: Format): Element {
		const a = this.unpack(aBits, format);
		const b = this.unpack(bBits, format);
		if (operation === SseOperation.minimum || operation === SseOperation.maximum) {
			const order = compare(a, b);
			const takesFirst = order === (operation === SseOperation.minimum ? "less" : "greater");
			const flags = order === "unordered" ? Flag.invalid : a.denormal || b.denormal ? Flag.denormal : 0;
			return { bits: this.pack(takesFirst ? a : b, format), flags };
		}
		if (operation === SseOperation.squareRoot)
			return this.nan(b, b, format) ?? this.finish(squareRoot(b, this.control, format), format);
		const nan = this.nan(a, b, format);
		if (nan) return nan;
		const { control } = this;
		switch (operation) {
			case SseOperation.add:
				return this.finish(add(a, b, false, control, format), format);
			case SseOperation.subtract:
				return this.finish(add(a, b, true, control, format), format);
			case SseOperation.multiply:
				return this.finish(multiply(a, b, control, format), format);
			default:
				return this.finish(divide(a, b, control, format), format);
		}
	}

	/** ADD, SUB, MUL, DIV, MIN, MAX, SQRT and the combinations of SSE3. */
	arithmetic(parameter: number): void {
		const format = parameter & SseFlag.double ? double : single;
		const size = format === double ? 8 : 4;
		const count = parameter & SseFlag.scalar ? 1 : 16 / size;
		const operation = parameter & 15;
		const elements: Element[] = [];
		for (let n = 0; n < count; n++) {
			let a = FIRST + n * size;
			let b = SECOND + n * size;
			if (parameter & SseFlag.horizontal) {
				// The operands lie behind each other, so neighbour pairs simply go on into the second.
				a = FIRST + 2 * n * size;
				b = a + size;
			}
			const alternate = parameter & SseFlag.alternate && (n & 1) === 0;
			const actual = alternate ? SseOperation.subtract : operation;
			elements.push(this.operate(actual, this.read(a, format), this.read(b, format), format));
		}
		this.raise(elements);
		for (const [n, element] of elements.entries()) this.write(FIRST + n * size, size, element.bits);
	}

	/** CMPPS and the like: a mask in each element. */
	compare(parameter: number): void {
		const format = parameter & SseFlag.double ? double : single;
		const size = format === double ? 8 : 4;
		const count = parameter & SseFlag.scalar ? 1 : 16 / size;
		const predicate = this.i32[State.helperResult >> 2]! & 7;
		const elements: Element[] = [];
		for (let n = 0; n < count; n++) {
			const a = this.unpack(this.read(FIRST + n * size, format), format);
			const b = this.unpack(this.read(SECOND + n * size, format), format);
			const signaling = (predicate & 3) === 1 || (predicate & 3) === 2;
			const order = compare(a, b);
			const outcomes = [
				order === "equal",
				order === "less",
				order === "less" || order === "equal",
				order === "unordered",
			];
			const holds = outcomes[predicate & 3]! !== (predicate & 4) > 0;
			elements.push({ bits: holds ? -1n : 0n, flags: comparisonFlags(a, b, signaling) });
		}
		this.raise(elements);
		for (const [n, element] of elements.entries()) this.write(FIRST + n * size, size, element.bits);
	}

	/** COMISS, UCOMISS, ...: ZF, PF and CF, at their places in EFLAGS, go to State.exchange. */
	compareToFlags(parameter: number): void {
		const format = parameter & SseFlag.double ? double : single;
		const a = this.unpack(this.read(FIRST, format), format);
		const b = this.unpack(this.read(SECOND, format), format);
		const flags = comparisonFlags(a, b, (parameter & SseFlag.signaling) !== 0);
		this.raise([{ bits: 0n, flags }]);
		const order = compare(a, b);
		this.i32[FIRST >> 2] = order === "unordered" ? 0x45 : order === "less" ? 1 : order === "equal" ? 0x40 : 0;
	}

	/** Conversions between the kinds of elements; they are written one behind the other. */
	convert(parameter: number): void {
		const from = parameter & 3;
		const to = (parameter >> ConvertFlag.destinationShift) & 3;
		const count = (parameter >> ConvertFlag.countShift) & 7;
		const fromSize = from === ElementKind.integer64 || from === ElementKind.double ? 8 : 4;
		const toSize = to === ElementKind.integer64 || to === ElementKind.double ? 8 : 4;
		const elements: Element[] = [];
		for (let n = 0; n < count; n++)
			elements.push(this.convertElement(FIRST + n * fromSize, from, to, (parameter & ConvertFlag.truncate) !== 0));
		this.raise(elements);
		for (const [n, element] of elements.entries()) this.write(FIRST + n * toSize, toSize, element.bits);
	}

	private convertElement(at: number, from: number, to: number, truncate: boolean): Element {
		if (from === ElementKind.integer32 || from === ElementKind.integer64) {
			const integer =
				from === ElementKind.integer32 ? BigInt(this.view.getInt32(at, true)) : this.view.getBigInt64(at, true);
			return this.toReal(fromInteger(integer), to);
		}
		const format = from === ElementKind.single ? single : double;
		const value = this.unpack(this.read(at, format), format);
		if (to === ElementKind.single || to === ElementKind.double) {
			if (isNan(value)) return this.nan(value, value, to === ElementKind.single ? single : double)!;
			return this.toReal(value, to);
		}
		return this.toInteger(value, to === ElementKind.integer32 ? 32 : 64, truncate);
	}

	private toReal(value: Unpacked, to: number): Element {
		const format = to === ElementKind.single ? single : double;
		if (value.kind !== Kind.finite) return { bits: this.pack(value, format), flags: 0 };
		return this.finish(roundResult(value, this.control, value.denormal ? Flag.denormal : 0, format), format);
	}

	/** Out of range: the integer indefinite (SDM Vol. 1 Table 4-1). Denormals are not reported. */
	private toInteger(value: Unpacked, width: number, truncate: boolean): Element {
		const least = -(1n << BigInt(width - 1));
		const indefinite: Element = { bits: least, flags: Flag.invalid };
		if (value.kind === Kind.zero) return { bits: 0n, flags: 0 };
		if (value.kind !== Kind.finite || value.exponent > 64) return indefinite;
		const rounding = truncate ? Rounding.zero : (this.mxcsr >> Mxcsr.roundingShift) & 3;
		const { integer, inexact } = roundToInteger(value, rounding);
		const signed = value.negative ? -integer : integer;
		if (signed < least || signed >= -least) return indefinite;
		return { bits: signed, flags: inexact ? Flag.inexact : 0 };
	}
}

function comparisonFlags(a: Unpacked, b: Unpacked, signaling: boolean): number {
	if (a.kind === Kind.signalingNan || b.kind === Kind.signalingNan) return Flag.invalid;
	if (isNan(a) || isNan(b)) return signaling ? Flag.invalid : 0;
	return a.denormal || b.denormal ? Flag.denormal : 0;
}

export function sseHelpers(physical: PhysicalMemory): Record<string, Helper> {
	const unit = new SseUnit(physical);
	const helper =
		(action: (parameter: number) => void): Helper =>
		(_record, parameter) => {
			action(parameter);
			return Outcome.next;
		};
	return {
		"sse:arithmetic": helper((parameter) => unit.arithmetic(parameter)),
		"sse:compare": helper((parameter) => unit.compare(parameter)),
		"sse:compareToFlags": helper((parameter) => unit.compareToFlags(parameter)),
		"sse:convert": helper((parameter) => unit.convert(parameter)),
	};
}
