import assert from "node:assert/strict";
import { test } from "node:test";
import { type Charged, chargedNames, costModel, costOf, describeModel, type Tally } from "./cost-model.ts";

function tally(counts: Partial<Record<Charged, number>>, byReason: Tally["byReason"] = {}): Tally {
	const nothing = Object.fromEntries(Object.keys(chargedNames).map((key) => [key, 0])) as Record<Charged, number>;
	return { counts: { ...nothing, ...counts }, byReason };
}

test("an event is charged once, by its reason where the model has one", () => {
	const callouts = new Map([
		["IN", 2],
		["CLI", 3],
	]);
	const counted = tally({ instructions: 10, callouts: 5 }, { callouts });
	assert.equal(costOf(costModel("bt"), counted), 10 + 2 * 214 + 3 * 1254);
});

test("the nanobenchmarks of the paper that are one event each come out at the paper's figures", () => {
	const fault = { trueFaults: 1 };
	assert.equal(costOf(costModel("none"), tally(fault)), 1093);
	assert.equal(costOf(costModel("bt"), tally(fault)), 3927);
	assert.equal(costOf(costModel("hvm", "shadow"), tally({ exits: 1, ...fault })), 11242);
	assert.equal(costOf(costModel("hvm", "ept"), tally(fault)), 1093);
	assert.equal(costOf(costModel("hvm", "shadow"), tally({ exits: 1, traceWrites: 1 })), 12733);
	const port = tally({ exits: 1 }, { exits: new Map([["I/O instruction", 1]]) });
	assert.equal(costOf(costModel("hvm", "shadow"), port), 15826 - 3209);
});

test("every figure says where it comes from", () => {
	for (const technique of ["none", "trap", "bt", "hvm", "pv"] as const)
		for (const line of describeModel(technique, costModel(technique)))
			if (!line.includes("instructions")) assert.match(line, /\[(AA06|Evo10|Xen03)\] (§|table)/);
});
