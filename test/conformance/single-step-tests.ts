// Runs single-step tests of an 80286 in real-address mode (https://github.com/SingleStepTests/80286), which the user has fetched: each is
// a state, one instruction, and the state in which the silicon came out of it.
//
//   node --import tsx test/conformance/single-step-tests.ts FOLDER [--only REGEX] [--every N] [--show N] [--write]
//
// FOLDER holds *.MOO.gz or *.MOO and metadata.json; nothing is fetched. --only picks files, --every takes each N-th test, --show prints that many
// mismatches of a file, --write puts the counts into docs/conformance.md. The exit status is 1 when a test fails.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { root } from "../tools/command-line.ts";
import { replaceSection } from "./conformance-page.ts";
import { REGISTERS, readTests, type SingleStepTest } from "./moo-file.ts";
import { RealModeStepper } from "./real-mode-stepper.ts";

const TITLE = "Single-step tests of the 80286";
const PAGE = join(root, "docs/conformance.md");

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		only: { type: "string" },
		every: { type: "string", default: "1" },
		show: { type: "string", default: "3" },
		write: { type: "boolean" },
	},
});
const [folder] = positionals;
if (folder === undefined || !existsSync(join(folder, "metadata.json"))) {
	console.error("usage: single-step-tests.ts FOLDER: FOLDER holds the suite's *.MOO.gz and metadata.json.");
	process.exit(2);
}

interface OpcodeMetadata {
	readonly "flags-mask"?: number;
	readonly reg?: Readonly<Record<string, OpcodeMetadata>>;
}
const metadata: { readonly opcodes: Readonly<Record<string, OpcodeMetadata>> } = JSON.parse(
	readFileSync(join(folder, "metadata.json"), "utf8"),
);

/** By bit 2 of ModRM.reg: rotates, shifts. */
const SHIFT_FLAGS: Readonly<Record<number, number>> = { 0: 0xf7ff, 4: 0xf7ee };

/** Flags that the instructions of a file define. */
function definedFlags(file: string): number {
	const [opcode, reg] = file.split(".");
	const entry = metadata.opcodes[opcode!];
	const form = entry?.reg?.[reg!] ?? entry;
	// SDM Vol. 2B, RCL and SHL: OF is defined for shifts by one only, AF for none; the metadata say so of D2 and D3, the same by CL.
	const shift = /^C[01]$/.test(opcode!) ? SHIFT_FLAGS[Number(reg) & 4]! : 0xffff;
	return (form?.["flags-mask"] ?? 0xffff) & shift;
}

/** IOPL and NT stay 0 in real-address mode on an 80286. */
const FLAGS_OF_BOTH = 0x0fff;

const STACK_FAULT = 12;
const GENERAL_PROTECTION = 13;
/** Prefixes, and INT3, INT n, INTO, whose vectors the suite lists as exceptions. */
const PREFIXES = [0x26, 0x2e, 0x36, 0x3e, 0xf0, 0xf2, 0xf3];
const SOFTWARE_INTERRUPTS = [0xcc, 0xcd, 0xce];

function opcodeOf(test: SingleStepTest): { prefixes: number; opcode: number } {
	const prefixes = test.bytes.findIndex((byte) => !PREFIXES.includes(byte));
	return { prefixes, opcode: test.bytes[prefixes]! };
}

/** Where processors since the P6 family are meant to differ from an 80286, given the vector that the emulated one raised. */
function differsByDesign(test: SingleStepTest, vector: number | undefined): string | undefined {
	const { prefixes, opcode } = opcodeOf(test);
	const register = (test.bytes[prefixes + 1]! >> 3) & 7;
	const expected = test.exception?.vector;
	const isString = (opcode >= 0x6c && opcode < 0x70) || (opcode >= 0xa4 && opcode < 0xb0);
	if (test.bytes.subarray(0, prefixes).includes(0xf0)) return "LOCK, which an 80286 takes before any instruction";
	if (opcode >= 0xd8 && opcode <= 0xdf) return "the x87, which the tested machine does not have";
	// The last byte is that of the HLT behind the instruction.
	if (expected !== undefined && test.bytes.length > 11) return "more than 10 bytes, the limit of an 80286";
	if (vector === STACK_FAULT && expected === GENERAL_PROTECTION)
		return "a limit of the stack segment: interrupt 12, where an 80286 has 13 (SDM Vol. 3A §6.15)";
	if (expected === GENERAL_PROTECTION && isString)
		return "a string instruction that faults, for which an 80286 has moved SI or DI already";
	if (expected === GENERAL_PROTECTION && opcode === 0x8f)
		return "POP to a place that faults, for which an 80286 has moved SP already";
	if ((opcode === 0x8c || opcode === 0x8e) && register >= 4) return "FS and GS, which an 80286 does not have";
	const isPair = [0x62, 0xc4, 0xc5].includes(opcode) || (opcode === 0xff && (register === 3 || register === 5));
	if (isPair && (vector === GENERAL_PROTECTION || vector === STACK_FAULT))
		return "a pair of words across the end of a segment, which an 80286 continues at its beginning";
	if (expected === 0 && opcode === 0xd4) return "AAM by zero, before whose interrupt an 80286 has changed the flags";
	if (vector === 0 && expected !== 0 && opcode === 0xf6)
		return "IDIV of bytes with a quotient above 255, which an 80286 lets pass";
	if (expected === GENERAL_PROTECTION && vector === 6)
		return "an undefined form with an operand at the end of a segment: an 80286 looks at that first";
	return undefined;
}

/** What differs; undefined when nothing does. */
function mismatch(test: SingleStepTest, vector: number | undefined, flags: number): string | undefined {
	// The tests end with a HLT, which they count into IP; HLT itself ends its own test.
	const last = stepper.halted ? 0 : 1;
	const found: string[] = [];
	const raised = SOFTWARE_INTERRUPTS.includes(opcodeOf(test).opcode) ? undefined : test.exception?.vector;
	if (vector !== raised) found.push(`exception ${vector ?? "none"}, expected ${raised ?? "none"}`);
	for (const name of REGISTERS) {
		const before = test.initial.registers[name] ?? 0;
		const mask = name === "flags" ? flags & FLAGS_OF_BOTH : 0xffff;
		const expected = (test.final.registers[name] ?? before) & mask;
		const actual = (stepper.register(name) + (name === "ip" ? last : 0)) & mask;
		if (actual !== expected) found.push(`${name} ${actual.toString(16)}, expected ${expected.toString(16)}`);
	}
	// The suite's own address of the pushed flags is that of the word on the bus, one less where SP is odd.
	const pushed = stepper.register("ss") * 16 + ((stepper.register("sp") + 4) & 0xffff);
	const changed = new Map(test.final.memory);
	for (const [address, byte] of [...test.initial.memory, ...test.final.memory]) {
		const expected = changed.get(address) ?? byte;
		const offset = test.exception ? address - pushed : -1;
		const mask = offset === 0 || offset === 1 ? (flags & FLAGS_OF_BOTH) >> (offset * 8) : 0xff;
		const actual = stepper.byte(address);
		if ((actual & mask) === (expected & mask)) continue;
		found.push(`[${address.toString(16)}] ${actual.toString(16)}, expected ${expected.toString(16)}`);
	}
	return found.length > 0 ? found.join("; ") : undefined;
}

const revoked = join(folder, "..", "revocation_list.txt");
const withdrawn = new Set(existsSync(revoked) ? readFileSync(revoked, "utf8").split(/\s+/) : []);
const stepper = new RealModeStepper();
const only = new RegExp(values.only ?? "");
const every = Number(values.every);
const setAside = new Map<string, number>();
const failures: { readonly file: string; readonly passed: number; readonly failed: number }[] = [];
let passed = 0;
let failed = 0;
let files = 0;
for (const file of readdirSync(folder).sort()) {
	if (!/\.MOO(\.gz)?$/.test(file) || !only.test(file)) continue;
	files++;
	const flags = definedFlags(file);
	let passedHere = 0;
	let failedHere = 0;
	for (const test of readTests(join(folder, file))) {
		if (test.index % every !== 0 || withdrawn.has(test.hash)) continue;
		const vector = stepper.run(test);
		const reason = differsByDesign(test, vector);
		const difference = reason === undefined ? mismatch(test, vector, flags) : undefined;
		stepper.clear(test);
		if (reason !== undefined) setAside.set(reason, (setAside.get(reason) ?? 0) + 1);
		else if (difference === undefined) passedHere++;
		else if (failedHere++ < Number(values.show))
			console.log(`${file} ${test.index} ${Buffer.from(test.bytes).toString("hex")} ${test.name}: ${difference}`);
	}
	passed += passedHere;
	failed += failedHere;
	if (failedHere > 0) {
		failures.push({ file, passed: passedHere, failed: failedHere });
		console.log(`${file}: ${passedHere} passed, ${failedHere} failed`);
	}
}
console.log(`${files} files: ${passed} passed, ${failed} failed`);
for (const [reason, count] of setAside) console.log(`${count} set aside: ${reason}`);
if (values.write) {
	const lines = [
		"| tests | passed | failed |",
		"| --- | --- | --- |",
		`| all ${files} files${every === 1 ? "" : `, each ${every}th test`} | ${passed} | ${failed} |`,
		...failures.map(({ file, passed, failed }) => `| ${file} | ${passed} | ${failed} |`),
		"",
		"Set aside, where later processors are meant to differ:",
		"",
		...[...setAside].map(([reason, count]) => `- ${count}: ${reason}`),
	];
	writeFileSync(PAGE, replaceSection(readFileSync(PAGE, "utf8"), TITLE, lines.join("\n")));
}
if (failed > 0) process.exitCode = 1;
