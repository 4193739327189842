// Random bytes as code: prefixes in any number and order, every opcode map, every ModRM. What the CPUID of the emulated processor does
// not report has to raise #UD; all else has to do what the real processor does.

import { Code, CpuidFeature, type Instruction } from "iced-x86";
import { Vector } from "../../emulator/engine/fault.ts";
import { instructionSet } from "../../emulator/engine/instruction-set.ts";
import { nameOfCode, type Row } from "../../emulator/isa/row.ts";
import { agrees, type Comparison, describe } from "./compare.ts";
import { COMPLETED, EmulatedProcessor } from "./emulated-processor.ts";
import { decode } from "./encodings.ts";
import { exclusionOf } from "./exclusions.ts";
import { randomFloatingPoint } from "./floating-point-state.ts";
import { usesFloatingPoint } from "./generator.ts";
import { runNative } from "./native-oracle.ts";
import { Random } from "./random.ts";
import { type Bits, Case, CaseRecord, isKernelPrivate, Layout, PATCH_SIZE, Result, ResultRecord } from "./records.ts";
import { holdsTrapBack } from "./run-cases.ts";

const BATCH = 4096;
const RSP = 4;
const LONGEST = 15;
const prefixBytes = [0x26, 0x2e, 0x36, 0x3e, 0x64, 0x65, 0x66, 0x67, 0xf0, 0xf2, 0xf3, 0x66, 0x67];

export interface RawOutcome {
	readonly cases: number;
	readonly mismatches: number;
	readonly described: readonly string[];
	readonly byName: ReadonlyMap<string, number>;
	/** Cases that the emulated processor has to refuse, and of which the real one was not asked. */
	readonly notReported: number;
	/** Bytes that are no instruction for the decoder. */
	readonly invalid: number;
}

const rowsByCode = new Map<Code, Row>(instructionSet().table.rows.map((row) => [row.code, row]));

/** Bytes of an instruction: prefixes, an opcode of some map, operands. */
function randomBytes(random: Random, bits: Bits): Uint8Array {
	const bytes: number[] = [];
	const prefixes = random.chance(50) ? 0 : random.chance(80) ? 1 + random.below(3) : random.below(15);
	for (let n = 0; n < prefixes; n++) bytes.push(random.pick(prefixBytes));
	if (bits === 64 && random.chance(40)) bytes.push(0x40 | random.below(16));
	// A REX prefix that another prefix follows is void.
	if (bits === 64 && random.chance(3)) bytes.push(random.pick(prefixBytes));
	const map = random.below(10);
	if (map >= 4) bytes.push(0x0f);
	if (map === 8) bytes.push(0x38);
	if (map === 9) bytes.push(0x3a);
	bytes.push(random.below(256));
	const modRm = random.chance(50) ? 0xc0 | random.below(64) : random.below(256);
	bytes.push(modRm);
	while (bytes.length < 24) bytes.push(random.below(256));
	return Uint8Array.from(bytes.slice(0, 24));
}

function makeCase(random: Random, bits: Bits, one: CaseRecord): void {
	one.bytes.fill(0);
	one.setU32(Case.bits, bits);
	one.setU32(Case.codeOffset, 16 + random.below(Layout.codeSize - 64));
	one.bytes.set(randomBytes(random, bits), Case.code);
	one.setU32(Case.codeLength, 24);
	one.setU32(Case.flags, random.bits32() & 0x8d5);
	const place = () => {
		const at = Layout.windowBase + 0x400 + (random.below(Layout.windowSize - 0x800) & (random.chance(70) ? ~15 : ~0));
		return BigInt(bits === 16 ? at - Layout.dataBase : at);
	};
	for (let register = 0; register < (bits === 64 ? 16 : 8); register++) {
		let value = random.chance(60) ? place() : random.operand();
		if (bits !== 64) value &= 0xffffffffn;
		if (isKernelPrivate(Number(value & 0xffn))) value ^= 0x80n;
		one.setGeneral(register, value);
	}
	one.setGeneral(RSP, place() & ~7n);
	one.setU32(
		Case.patchOffset,
		Number(one.general(RSP)) - (bits === 16 ? Layout.windowBase - Layout.dataBase : Layout.windowBase),
	);
	one.setU32(Case.patchLength, PATCH_SIZE);
	random.fill(one.bytes.subarray(Case.patch, Case.patch + PATCH_SIZE));
	for (let at = Case.patch; at < Case.patch + PATCH_SIZE; at++)
		if (isKernelPrivate(one.bytes[at]!)) one.bytes[at] = 0x80;
	randomFloatingPoint(random, one);
}

/** Features of CPUID that the emulated processor reports, as far as they bring instructions that user code may execute. */
const REPORTED = new Set<CpuidFeature>([
	...[CpuidFeature.INTEL8086, CpuidFeature.INTEL8086_ONLY, CpuidFeature.INTEL186, CpuidFeature.INTEL286],
	...[CpuidFeature.INTEL386, CpuidFeature.INTEL486, CpuidFeature.X64, CpuidFeature.FPU, CpuidFeature.FPU287],
	...[CpuidFeature.FPU387, CpuidFeature.CMOV, CpuidFeature.CX8, CpuidFeature.CPUID, CpuidFeature.TSC, CpuidFeature.MSR],
	...[CpuidFeature.MMX, CpuidFeature.SSE, CpuidFeature.SSE2, CpuidFeature.SSE3, CpuidFeature.SSSE3, CpuidFeature.FXSR],
	...[CpuidFeature.SYSCALL, CpuidFeature.SEP, CpuidFeature.RDTSCP, CpuidFeature.RDPMC, CpuidFeature.CLFSH],
	...[CpuidFeature.FSGSBASE, CpuidFeature.SMAP, CpuidFeature.VMX, CpuidFeature.MULTIBYTENOP, CpuidFeature.PAUSE],
	...[CpuidFeature.PREFETCHW, CpuidFeature.INVPCID, CpuidFeature.XSAVE, CpuidFeature.XSAVEOPT],
]);

function isReported(instruction: Instruction): boolean {
	return instruction.cpuidFeatures().every((feature) => REPORTED.has(feature));
}

/** Not to be run on the real processor as raw bytes. */
const unsafe =
	/^(Syscall|Sysenter|Int|Into|Iret|Retf|Jmp_(ptr|m16)|Call_(ptr|m16)|Cpuid|Rdtsc|Rdpmc|Sgdt|Sidt|Sldt|Str_|Smsw|Vmcall)/;

const nearBranch = /^(J[a-z]+_(rel|rm)|Call_(rel|rm)|Loop|Retn)/;

/** What the SDM leaves open or forbids, or where AMD's processors differ from Intel's. */
function isOpen(one: CaseRecord, instruction: Instruction, name: string): boolean {
	const opcode = one.code.findIndex(
		(byte) => !prefixBytes.includes(byte) && (one.bits !== 64 || (byte & 0xf0) !== 0x40),
	);
	const prefixes = one.code.subarray(0, Math.max(0, opcode));
	const has = (...bytes: number[]) => bytes.some((byte) => prefixes.includes(byte));
	const [first = 0, second = 0] = one.code.subarray(opcode);
	// Intel's processors ignore 66H at near branches of 64-bit code, AMD's do not (SDM Vol. 2A, JMP; AMD APM Vol. 3, JMP).
	const relative = (first >= 0x70 && first < 0x80) || (first >= 0xe0 && first <= 0xeb);
	const near = relative || (first === 0x0f && second >= 0x80 && second < 0x90);
	if (one.bits === 64 && has(0x66) && (near || nearBranch.test(name))) return true;
	// F2H and F3H are reserved there (SDM Vol. 2A §2.1.1); AMD's processors let them choose between LOOPE and LOOPNE.
	if (has(0xf2, 0xf3) && /^Loop/.test(name)) return true;
	// F3 90 with REX.B is XCHG R8, rAX on some processors.
	if (name === "Pause" && one.bits === 64 && instruction.length > 2) return true;
	// With a count of 0 the I/O permission is looked at on some processors.
	if (/^(In|Out)s[bwd]/.test(name)) return true;
	// LOCK where it is forbidden: AMD's processors look at the operand first, or reach CR8.
	const odd = first === 0x0f && (second === 0 || (second >= 0x20 && second < 0x24));
	// What the real processor has and decodes otherwise with these prefixes: EVEX, XOP and VEX, VMCALL.
	const wide = [0x62, 0x8f, 0xc4, 0xc5].includes(first) || (first === 0x0f && second === 1);
	return (has(0xf0) && odd) || (instruction.code === Code.INVALID && wide);
}

/** Runs `count` cases of one code size. */
export function runRawBytes(path: string, bits: Bits, seed: number, count: number): RawOutcome {
	const random = new Random(seed ^ (bits * 0x01000193));
	const processor = new EmulatedProcessor(bits);
	const described: string[] = [];
	const byName = new Map<string, number>();
	let mismatches = 0;
	let notReported = 0;
	let invalid = 0;
	let done = 0;
	const cases = new Uint8Array(BATCH * Case.size);
	const actual = new ResultRecord(new Uint8Array(Result.size), 0);
	const report = (name: string, text: () => string) => {
		mismatches++;
		const ofName = (byName.get(name) ?? 0) + 1;
		byName.set(name, ofName);
		if (ofName <= 3 && described.length < 60) described.push(text());
	};
	while (done < count) {
		const size = Math.min(BATCH, count - done);
		const made: { instruction: Instruction; name: string }[] = [];
		for (let n = 0; n < size; ) {
			const one = new CaseRecord(cases, n);
			makeCase(random, bits, one);
			const instruction = decode(bits, one.bytes.subarray(Case.code, Case.code + LONGEST), one.rip);
			const { code } = instruction;
			const name = nameOfCode(code);
			if (code !== Code.INVALID && !isReported(instruction) && !/^(Tzcnt|Lzcnt)_/.test(name)) {
				notReported++;
				processor.run(one, actual, 1);
				if (actual.vector !== Vector.invalidOpcode)
					report(name, () => `${bits}-bit ${hexOf(one)} ${name}: CPUID does not report it, vector ${actual.vector}`);
				instruction.free();
				continue;
			}
			if (
				unsafe.test(name) ||
				(code !== Code.INVALID && exclusionOf(name) !== undefined) ||
				isOpen(one, instruction, name)
			) {
				instruction.free();
				continue;
			}
			// MOV SS and POP SS let the real processor execute the next instruction as well.
			if (code !== Code.INVALID) one.bytes.fill(0x90, Case.code + instruction.length, Case.code + 24);
			made.push({ instruction, name });
			n++;
		}
		const native = runNative(path, cases, size);
		if (native.ended < size) {
			const lost = made
				.slice(native.ended, native.ended + 64)
				.map(({ name }, n) => `${name} ${hexOf(new CaseRecord(cases, native.ended + n))}`);
			throw new Error(`One of these cases ended the native program:\n${lost.join("\n")}`);
		}
		for (let n = 0; n < size; n++) {
			const { instruction, name } = made[n]!;
			const one = new CaseRecord(cases, n);
			const expected = new ResultRecord(native.results, n);
			const held = expected.vector === COMPLETED && holdsTrapBack(name, instruction);
			processor.run(one, actual, held ? 2 : 1);
			if (instruction.code === Code.INVALID) {
				invalid++;
				if (isVeryLong(one) && [6, 13].includes(expected.vector) && [6, 13].includes(actual.vector)) continue;
				if (expected.vector !== actual.vector || expected.u64(Result.rip) !== actual.u64(Result.rip))
					report(
						`INVALID ${expected.vector}/${actual.vector}`,
						() => `${bits}-bit ${hexOf(one)}: vector ${expected.vector} expected, ${actual.vector}`,
					);
			} else {
				const row = rowsByCode.get(instruction.code);
				const floatingPoint = row !== undefined && usesFloatingPoint(row);
				const comparison: Comparison = { instruction, name, one, expected, actual, floatingPoint };
				if (!agrees(comparison)) report(name, () => describe(comparison));
			}
			instruction.free();
		}
		done += size;
	}
	return { cases: done, mismatches, described, byName, notReported, invalid };
}

/** With so many prefixes that bytes which are no instruction may count as one of more than 15 bytes: #GP or #UD. */
function isVeryLong(one: CaseRecord): boolean {
	return one.code.findIndex((byte) => !prefixBytes.includes(byte) && (byte & 0xf0) !== 0x40) >= 5;
}

function hexOf(one: CaseRecord): string {
	return Buffer.from(one.code).toString("hex");
}
