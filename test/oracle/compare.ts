// Compares the state after an instruction on the real and on the emulated processor.

import { Formatter, FormatterSyntax, type Instruction, OpKind, RegisterExt } from "iced-x86";
import { COMPLETED } from "./emulated-processor.ts";
import {
	Case,
	type CaseRecord,
	Fxsave,
	Layout,
	Result,
	type ResultRecord,
	registerNames,
	windowBefore,
} from "./records.ts";
import { definedResult, undefinedFlags, undefinedMemory } from "./undefined-flags.ts";
import { comparedX87, isFaultingStore, undefinedByException } from "./undefined-floating-point.ts";

/** CF PF AF ZF SF TF DF OF NT AC ID: all that user code can change. */
const USER_FLAGS = 0x244dd5;
const ZF = 0x40;
const PAGE_FAULT = 14;
const ALIGNMENT_CHECK = 17;
const MISALIGNED_MASK = 0x20000;
const WITH_ERROR_CODE = new Set([8, 10, 11, 12, 13, 14, 17]);

export interface Comparison {
	readonly instruction: Instruction;
	/** Name of the Code. */
	readonly name: string;
	readonly one: CaseRecord;
	/** From the real processor. */
	readonly expected: ResultRecord;
	/** From the emulated one. */
	readonly actual: ResultRecord;
	/** x87, MMX and SSE state is compared too. */
	readonly floatingPoint: boolean;
}

interface Row {
	readonly what: string;
	readonly expected: string;
	readonly actual: string;
	readonly differs: boolean;
}

const hex = (value: bigint | number, digits = 0) => value.toString(16).padStart(digits, "0");

/** Every compared part of the state; the mismatch is the rows that differ. */
function compareAll(comparison: Comparison): Row[] {
	const { instruction, name, one, expected, actual } = comparison;
	const rows: Row[] = [];
	if (comparison.floatingPoint && isFaultingStore(name, expected, actual)) return rows;
	// A bit of MXCSR that only AMD's processors have: misaligned operands allowed (AMD APM Vol. 1 §4.2.2).
	if (expected.u32(Result.fxsave + Fxsave.mxcsr) & MISALIGNED_MASK) return rows;
	const row = (what: string, left: bigint | number | string, right: bigint | number | string, mask?: bigint) => {
		const differs = mask === undefined ? left !== right : ((left as bigint) & mask) !== ((right as bigint) & mask);
		const text = (value: bigint | number | string) => (typeof value === "string" ? value : hex(value));
		rows.push({ what, expected: text(left), actual: text(right), differs });
	};
	const wide = one.bits === 64;
	const general = wide ? (1n << 64n) - 1n : (1n << 32n) - 1n;
	const { vector } = expected;
	const anyFault = vector !== COMPLETED && actual.vector !== COMPLETED && faultIsOpen(name, one, actual);
	if (!anyFault) row("vector", vector, actual.vector);
	if (anyFault) {
		// Nothing more to say of the fault.
	} else if (WITH_ERROR_CODE.has(vector)) {
		// Linux hides the present flag of its own half.
		const inKernelHalf = vector === PAGE_FAULT && expected.u64(Result.cr2) >= 1n << 47n;
		const codeMask = inKernelHalf ? 0xfffffffen : 0xffffffffn;
		row("error code", BigInt(expected.u32(Result.errorCode)), BigInt(actual.u32(Result.errorCode)), codeMask);
	}
	if (vector === PAGE_FAULT && !anyFault) row("cr2", expected.u64(Result.cr2), actual.u64(Result.cr2));
	row("rip", expected.u64(Result.rip), actual.u64(Result.rip), general);
	const completed = vector === COMPLETED;
	const zero = (expected.u32(Result.flags) & ZF) !== 0;
	const defined = completed ? definedResult(instruction, one, name, zero) : general;
	const destination = destinationRegister(instruction);
	// POPA that faults has popped a part on some processors.
	const registersAreOpen = !completed && /^Popa[wd]$/.test(name);
	for (let n = 0; n < (wide ? 16 : 8) && !registersAreOpen; n++)
		row(registerNames[n]!, expected.general(n), actual.general(n), n === destination ? general & defined : general);
	const undefinedBits = completed ? undefinedFlags(instruction, one, name) | undefinedByException(name, expected) : 0;
	row("flags", expected.u64(Result.flags), actual.u64(Result.flags), BigInt(USER_FLAGS & ~undefinedBits));
	// A null selector loses its RPL on the way through the kernel (SDM Vol. 2A, IRET, "RETURN-TO-OUTER-PRIVILEGE-LEVEL").
	const selector = (result: ResultRecord, n: number) => {
		const value = result.u16(Result.selectors + n * 2);
		return value < 4 ? 0 : value;
	};
	for (let n = 0; n < 6; n++) row(["es", "cs", "ss", "ds", "fs", "gs"][n]!, selector(expected, n), selector(actual, n));
	const memory = compareMemory(comparison, defined);
	if (memory) row("memory", ...memory);
	// MASKMOVQ that faults has gone over to the MMX state on some processors.
	if (comparison.floatingPoint && (completed || !name.startsWith("Maskmovq"))) compareFloatingPoint(row, comparison);
	return rows;
}

/** Where the SDM leaves open which of several faults is raised. */
function faultIsOpen(name: string, one: CaseRecord, actual: ResultRecord): boolean {
	// Which operand of CMPS is read first; how much a push of a segment register writes; which byte of an image comes first.
	// Whether CALL checks its target or pushes first.
	if (/^(Cmps[bwdq]_m|Call_r|Pushd_[A-Z]S|Fxsave|Fxrstor|Fnsave|Frstor|Fnstenv|Fldenv)/.test(name)) return true;
	// An operand that wraps at 4 GiB in a flat segment: SDM Vol. 3A §5.3 leaves open whether its limit counts.
	const cr2 = actual.u64(Result.cr2);
	const unaligned = actual.vector === ALIGNMENT_CHECK;
	return one.bits === 32 && (unaligned || (actual.vector === PAGE_FAULT && (cr2 >= 0xfffffff0n || cr2 < 0x10n)));
}

function compareFloatingPoint(
	row: (what: string, left: bigint, right: bigint, mask?: bigint) => void,
	{ one, expected, actual, name }: Comparison,
): void {
	const x87 = comparedX87(name, one, expected);
	const both = (what: string, read: (result: ResultRecord) => number | bigint, tolerance = 0n) => {
		const left = BigInt(read(expected));
		const right = BigInt(read(actual));
		const distance = left > right ? left - right : right - left;
		row(what, left, distance <= tolerance ? left : right);
	};
	const at = (offset: number) => Result.fxsave + offset;
	if (x87.state) {
		both("fcw", (result) => result.u16(at(Fxsave.control)));
		both("fsw", (result) => result.u16(at(Fxsave.status)) & ~x87.openStatus);
		both("ftw", (result) => result.bytes[at(Fxsave.tag)]!);
		for (let n = 0; n < 8; n++) {
			const place = at(Fxsave.st + n * 16);
			const whole = (result: ResultRecord) => result.u64(place) | (BigInt(result.u16(place + 8)) << 64n);
			// Without the integer bit numbers that are neighbours differ by 1, also across a power of 2.
			const withoutInteger = (result: ResultRecord) =>
				(BigInt(result.u16(place + 8)) << 63n) | (result.u64(place) & ((1n << 63n) - 1n));
			both(`st${n}`, x87.tolerance ? withoutInteger : whole, x87.tolerance);
		}
	}
	both("mxcsr", (result) => result.u32(at(Fxsave.mxcsr)));
	for (let n = 0; n < (one.bits === 64 ? 16 : 8); n++) {
		const place = at(Fxsave.xmm + n * 16);
		both(`xmm${n}`, (result) => result.u64(place) | (result.u64(place + 8) << 64n));
	}
}

/** What the window holds after the instruction, as text, on both processors; nothing where it is the same. */
function compareMemory(comparison: Comparison, defined: bigint): [string, string] | undefined {
	const { expected, actual, one, instruction, name } = comparison;
	const length = expected.u32(Result.spanLength);
	const same =
		length === actual.u32(Result.spanLength) &&
		(length === 0 ||
			(expected.u32(Result.spanOffset) === actual.u32(Result.spanOffset) &&
				Buffer.compare(expected.span, actual.span) === 0));
	if (same) return undefined;
	const left = windowAfter(one, expected);
	const right = windowAfter(one, actual);
	for (const [start, end] of undefinedMemory(instruction, one, name, defined)) {
		left.fill(0, start, end);
		right.fill(0, start, end);
	}
	if (Buffer.compare(left, right) === 0) return undefined;
	return [describeSpan(expected), describeSpan(actual)];
}

function windowAfter(one: CaseRecord, result: ResultRecord): Uint8Array {
	const window = windowBefore(one);
	if (result.u32(Result.spanLength) > 0) window.set(result.span, result.u32(Result.spanOffset));
	return window;
}

function describeSpan(result: ResultRecord): string {
	if (result.u32(Result.spanLength) === 0) return "unchanged";
	const address = Layout.windowBase + result.u32(Result.spanOffset);
	return `[${hex(address)}] ${Buffer.from(result.span).toString("hex")}`;
}

/** Encoding number of the general register that is operand 0; -1 when there is none. */
function destinationRegister(instruction: Instruction): number {
	if (instruction.opCount === 0 || instruction.op0Kind !== OpKind.Register) return -1;
	const register = instruction.op0Register;
	return RegisterExt.isGPR(register) ? RegisterExt.number(RegisterExt.fullRegister(register)) : -1;
}

/** True when both processors agree. */
export function agrees(comparison: Comparison): boolean {
	return compareAll(comparison).every((row) => !row.differs);
}

/** Bytes, disassembly, the state before, and the state after as it should be and as it is; a `*` marks what differs. */
export function describe(comparison: Comparison): string {
	const { instruction, name, one } = comparison;
	const formatter = new Formatter(FormatterSyntax.Intel);
	const text = formatter.format(instruction);
	formatter.free();
	const bytes = Buffer.from(one.code.subarray(0, Math.max(1, instruction.length))).toString("hex");
	const lines = [`${one.bits}-bit  ${bytes}  ${text}  (${name})`];
	const registers: string[] = [];
	for (let n = 0; n < (one.bits === 64 ? 16 : 8); n++) registers.push(`${registerNames[n]}=${hex(one.general(n))}`);
	lines.push(`  before: rip=${hex(one.rip)} flags=${hex(one.flags)} ${registers.join(" ")}`);
	const background = windowBefore(one);
	for (let n = 0; n < 2; n++) {
		const length = one.u32(Case.patchLength + n * 4);
		if (length === 0) continue;
		const offset = one.u32(Case.patchOffset + n * 4);
		const content = Buffer.from(background.subarray(offset, offset + length)).toString("hex");
		lines.push(`  memory: [${hex(Layout.windowBase + offset)}] ${content}`);
	}
	if (comparison.floatingPoint) {
		const image = one.bytes.subarray(Case.fxsave, Case.fxsave + 416);
		const view = new DataView(image.buffer, image.byteOffset, image.byteLength);
		lines.push(
			`  fcw=${hex(view.getUint16(0, true))} fsw=${hex(view.getUint16(2, true))} ftw=${hex(image[4]!)} mxcsr=${hex(view.getUint32(24, true))}`,
		);
		const wide = (at: number) => hex((view.getBigUint64(at + 8, true) << 64n) | view.getBigUint64(at, true), 32);
		for (let n = 0; n < 8; n++)
			lines.push(`  st${n}=${wide(Fxsave.st + n * 16).slice(12)} xmm${n}=${wide(Fxsave.xmm + n * 16)}`);
	}
	for (const row of compareAll(comparison)) {
		if (row.differs) lines.push(`* ${row.what.padEnd(10)} expected ${row.expected}  actual ${row.actual}`);
		else if (row.what === "vector" || row.what === "flags") lines.push(`  ${row.what.padEnd(10)} ${row.expected}`);
	}
	return lines.join("\n");
}
