// Random bytes as code on the real processor of the machine that runs the test and on the emulated one: the same instructions exist on
// both, less those that CPUID does not report, and bytes that are none raise the same exception.
//
// HYPERSCOPE_SEED repeats a run, HYPERSCOPE_RAW_CASES sets the number of cases.
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { nativeOracle } from "./native-oracle.ts";
import { runRawBytes } from "./raw-bytes.ts";

const seed = Number(process.env.HYPERSCOPE_SEED ?? Date.now() % 0x1_0000_0000) >>> 0;
const cases = Number(process.env.HYPERSCOPE_RAW_CASES ?? 18_000);

const oracle = nativeOracle();
const reason = "reason" in oracle ? oracle.reason : undefined;
const skip = reason !== undefined && !process.env.CI ? reason : false;

describe("random bytes agree with the real processor", () => {
	for (const bits of [64, 32, 16] as const)
		test(`${bits}-bit code`, { skip }, (context) => {
			assert.ok("path" in oracle, reason);
			const outcome = runRawBytes(oracle.path, bits, seed, Math.ceil(cases / 3));
			const { mismatches, described, byName, invalid, notReported } = outcome;
			context.diagnostic(
				`seed ${seed}: ${outcome.cases} cases, ${invalid} of them no instructions; ${notReported} not reported`,
			);
			const names = [...byName].map(([name, count]) => `${name}: ${count}`).join(", ");
			assert.equal(mismatches, 0, `HYPERSCOPE_SEED=${seed}: ${names}\n\n${described.join("\n\n")}`);
			assert.ok(invalid > 0 && notReported > 0);
		});
});
