import assert from "node:assert/strict";
import { test } from "node:test";
import { coveragePage, currentCoveragePage } from "../tools/coverage.ts";

test("docs/coverage.md says what the instruction table and the sources say", () => {
	const current = currentCoveragePage();
	assert.equal(coveragePage(current), current, "run: node --import tsx test/tools/coverage.ts");
});
