import assert from "node:assert/strict";
import { test } from "node:test";
import { countRows, countRowText } from "./count-list.ts";

test("all events first, then kinds by their sums, each with its reasons", () => {
	const rows = countRows({
		total: 9,
		counts: [
			{ kind: "true-fault", reason: "user", count: 4 },
			{ kind: "exit", reason: "CPUID", count: 3 },
			{ kind: "exit", reason: "HLT", count: 2 },
		],
	});
	assert.deepEqual(
		rows.map((row) => `${countRowText(row)} ${row.count}`),
		["All events 9", "VM exit 5", "CPUID 3", "HLT 2", "True page fault 4", "user 4"],
	);
});
