import assert from "node:assert/strict";
import { test } from "node:test";
import { cheapest, numberText } from "./comparison-table.ts";

const counts = (cost: number) => ({
	instructions: 0,
	exits: 0,
	callouts: 0,
	hypercalls: 0,
	hiddenFaults: 0,
	trueFaults: 0,
	exceptions: 0,
	traceWrites: 0,
	switches: 0,
	translations: 0,
	cost,
});

test("the cheapest is marked only where there is a choice", () => {
	assert.equal(cheapest([counts(3), null, counts(2)], "cost"), 2);
	assert.equal(cheapest([counts(3), null], "cost"), -1);
	assert.equal(cheapest([counts(3), counts(3)], "cost"), -1);
});

test("numbers have digits after the point only where they say something", () => {
	assert.deepEqual([12, 12345, 2.5, 1234.56].map(numberText), ["12", "12,345", "2.5", "1,235"]);
});
