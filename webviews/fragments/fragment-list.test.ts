import assert from "node:assert/strict";
import { test } from "node:test";
import type { FragmentExitInfo, FragmentSummary } from "../../debug-adapter/protocol.ts";
import { exitsText } from "./fragment-list.ts";

const fragment = (...states: FragmentExitInfo["state"][]): FragmentSummary => ({
	id: 1,
	guestStart: "0x0",
	guestEnd: "0x1",
	translatedStart: "0x0",
	translatedEnd: "0x1",
	instructions: 1,
	entries: 0,
	generation: 0,
	valid: true,
	exits: states.map((state) => ({ kind: "taken", state })),
});

test("exits are counted in words", () => {
	assert.equal(exitsText(fragment("continuation", "chained")), "1 continuation, 1 chained");
	assert.equal(exitsText(fragment("continuation", "continuation")), "2 continuations");
	assert.equal(exitsText(fragment("lookup")), "1 lookup");
	assert.equal(exitsText(fragment()), "");
});
