// Generates cases for rows of the instruction table, runs them on both processors and collects the mismatches.

import { type Instruction, Register } from "iced-x86";
import { instructionSet } from "../../emulator/engine/instruction-set.ts";
import type { Row } from "../../emulator/isa/row.ts";
import { agrees, type Comparison, describe } from "./compare.ts";
import { COMPLETED, EmulatedProcessor } from "./emulated-processor.ts";
import { type Encoding, encodingsOf } from "./encodings.ts";
import { exclusionOf } from "./exclusions.ts";
import { Generator, usesFloatingPoint } from "./generator.ts";
import { runNative } from "./native-oracle.ts";
import { Random } from "./random.ts";
import { type Bits, Case, CaseRecord, Result, ResultRecord } from "./records.ts";

const BATCH = 4096;

export interface Outcome {
	readonly cases: number;
	/** Names of the rows that were compared. */
	readonly rows: ReadonlySet<string>;
	readonly mismatches: number;
	/** Descriptions of at most `MOST_DESCRIBED` mismatches, few of each row. */
	readonly described: readonly string[];
	/** Cases by the name of the row, for those that mismatch. */
	readonly byRow: ReadonlyMap<string, number>;
	/** Instructions that compiled code has retired. */
	readonly compiled: number;
}

const MOST_DESCRIBED = 60;
const MOST_OF_ROW = 2;

/** Rows compared in code of this size, with their encodings. */
export function comparedRows(bits: Bits, filter: RegExp | undefined): { row: Row; encodings: Encoding[] }[] {
	return instructionSet()
		.table.rows.filter((row) => exclusionOf(row.name) === undefined && (!filter || filter.test(row.name)))
		.map((row) => ({ row, encodings: encodingsOf(row, bits) }))
		.filter(({ encodings }) => encodings.length > 0);
}

/** MOV SS and POP SS hold the single-step trap back (SDM Vol. 3A §6.8.3), so that the next instruction runs as well. */
export function holdsTrapBack(name: string, instruction: Instruction): boolean {
	return /^Pop[wd]_SS$/.test(name) || (/^Mov_Sreg/.test(name) && instruction.op0Register === Register.SS);
}

/**
 * Runs `count` cases of one code size.
 * @param compiled in compiled code, which takes instructions that go on behind themselves
 */
export function runCases(
	path: string,
	bits: Bits,
	seed: number,
	count: number,
	filter?: RegExp,
	compiled = false,
): Outcome {
	const random = new Random(seed ^ (bits * 0x01000193));
	const generator = new Generator(random);
	const processor = new EmulatedProcessor(bits);
	const rows = comparedRows(bits, filter);
	const compared = new Set<string>();
	const byRow = new Map<string, number>();
	const described: string[] = [];
	let mismatches = 0;
	let done = 0;
	if (rows.length === 0) return { cases: 0, rows: compared, mismatches, described, byRow, compiled: 0 };
	const cases = new Uint8Array(BATCH * Case.size);
	const one = new Uint8Array(Result.size);
	const actual = new ResultRecord(one, 0);
	while (done < count) {
		const size = Math.min(BATCH, count - done);
		const made: { row: Row; instruction: Instruction }[] = [];
		for (let n = 0; n < size; n++) {
			// Every row in turn, so that each gets the same number of cases.
			const { row, encodings } = rows[(done + n) % rows.length]!;
			made.push({ row, instruction: generator.make(random.pick(encodings), new CaseRecord(cases, n)) });
		}
		const native = runNative(path, cases, size);
		if (native.ended < size) {
			const lost = made
				.slice(native.ended, native.ended + 64)
				.map(
					({ row }, n) => `${row.name} ${Buffer.from(new CaseRecord(cases, native.ended + n).code).toString("hex")}`,
				);
			throw new Error(`One of these cases ended the native program:\n${lost.join("\n")}`);
		}
		for (let n = 0; n < size; n++) {
			const { row, instruction } = made[n]!;
			const testCase = new CaseRecord(cases, n);
			const expected = new ResultRecord(native.results, n);
			const two = expected.vector === COMPLETED && holdsTrapBack(row.name, instruction);
			if (compiled) processor.runCompiled(testCase, actual, instruction.length);
			else processor.run(testCase, actual, two ? 2 : 1);
			const comparison: Comparison = {
				instruction,
				name: row.name,
				one: testCase,
				expected,
				actual,
				floatingPoint: usesFloatingPoint(row),
			};
			compared.add(row.name);
			if (!agrees(comparison)) {
				mismatches++;
				const ofRow = (byRow.get(row.name) ?? 0) + 1;
				byRow.set(row.name, ofRow);
				if (ofRow <= MOST_OF_ROW && described.length < MOST_DESCRIBED) described.push(describe(comparison));
			}
			instruction.free();
		}
		done += size;
	}
	const { compiled: inRegions } = processor.engine.tiers;
	return { cases: done, rows: compared, mismatches, described, byRow, compiled: inRegions };
}
