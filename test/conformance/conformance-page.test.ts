import assert from "node:assert/strict";
import { test } from "node:test";
import { passedIn, type Result, replaceSection, tableOf } from "./conformance-page.ts";

const result = (name: string, verdict: Result["verdict"], fails: string[] = []): Result => ({
	name,
	verdict,
	passes: 3,
	fails,
	skips: 0,
	detail: "",
});

test("a section is added, then replaced, and its passes are read back", () => {
	const table = tableOf([result("smap", "passed"), result("vmx vmenter", "failed", ["a | b"])]);
	const page = replaceSection("# Conformance\n\nText.\n\n## Later\n\nStays.\n", "kvm-unit-tests, 64-bit", table);
	assert.match(page, /\| vmx vmenter \| failed \| 3 \| 1 \| a \\\| b \|/);
	assert.deepEqual([...passedIn(page)], ["smap"]);
	const again = replaceSection(page, "kvm-unit-tests, 64-bit", tableOf([result("umip", "passed")]));
	assert.deepEqual([...passedIn(again)], ["umip"]);
	assert.match(again, /## Later\n\nStays\./);
	const first = replaceSection(again, "Later", tableOf([result("msr", "passed")]));
	assert.deepEqual([...passedIn(first)].sort(), ["msr", "umip"]);
});
