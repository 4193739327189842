import assert from "node:assert/strict";
import { delimiter } from "node:path";
import { test } from "node:test";
import { findCode } from "./open-editor.ts";

test("the first code on the path is taken, empty folders are passed over", {
	skip: process.platform === "win32",
}, () => {
	const path = ["", "/a", "/b"].join(delimiter);
	assert.equal(
		findCode(path, (file) => file === "/b/code"),
		"/b/code",
	);
	assert.equal(
		findCode(path, () => false),
		undefined,
	);
	assert.equal(
		findCode(undefined, () => true),
		undefined,
	);
});
