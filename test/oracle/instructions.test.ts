// Instructions in random states, on the real processor of the machine that runs the test and on the emulated one.
//
// HYPERSCOPE_SEED repeats a run, HYPERSCOPE_CASES sets the number of cases, HYPERSCOPE_ROWS (a regular expression) takes
// only the rows of the instruction table whose names match.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nativeOracle } from "./native-oracle.ts";
import { type Outcome, runCases } from "./run-cases.ts";

const seed = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 0x1_0000_0000) >>> 0;
const cases = Number(process.env.HYPERSCOPE_CASES ?? 105_000);
const filter = process.env.HYPERSCOPE_ROWS ? new RegExp(process.env.HYPERSCOPE_ROWS) : undefined;
/** Of this many rows in each code size, every one is met at least once. */
const FEWEST_ROWS = 900;

const oracle = nativeOracle();
const reason = "reason" in oracle ? oracle.reason : undefined;
const skip = reason !== undefined && !process.env.CI ? reason : false;

function report(outcome: Outcome): string {
	const rows = [...outcome.byRow].map(([name, count]) => `${name}: ${count}`).join(", ");
	return `${outcome.mismatches} mismatches (HYPERSCOPE_SEED=${seed}): ${rows}\n\n${outcome.described.join("\n\n")}\n`;
}

describe("instructions agree with the real processor", () => {
	for (const bits of [64, 32, 16] as const)
		test(`${bits}-bit code`, { skip }, (context) => {
			assert.ok("path" in oracle, reason);
			const count = Math.ceil(cases / 3);
			const outcome = runCases(oracle.path, bits, seed, count, filter);
			context.diagnostic(`seed ${seed}: ${outcome.cases} cases of ${outcome.rows.size} rows`);
			assert.equal(outcome.mismatches, 0, report(outcome));
			if (!filter && count > 10_000) {
				assert.equal(outcome.cases, count);
				assert.ok(outcome.rows.size > FEWEST_ROWS, `only ${outcome.rows.size} rows`);
			}
		});
});

/** Cases of x87 instructions in compiled code. */
const x87Cases = Math.ceil(cases / 15);
const x87Filter = new RegExp(`^(?=F|Wait)(?=.*(?:${filter?.source ?? ""}))`);

describe("x87 instructions in compiled code agree with the real processor", () => {
	for (const bits of [64, 32] as const)
		test(`${bits}-bit code`, { skip }, (context) => {
			assert.ok("path" in oracle, reason);
			const count = Math.ceil(x87Cases / 2);
			const outcome = runCases(oracle.path, bits, seed, count, x87Filter, true);
			context.diagnostic(`seed ${seed}: ${outcome.cases} cases of ${outcome.rows.size} rows`);
			assert.equal(outcome.mismatches, 0, report(outcome));
			if (!filter) assert.ok(outcome.compiled > count / 2, `only ${outcome.compiled} instructions ran compiled`);
		});
});
