import assert from "node:assert/strict";
import { test } from "node:test";
import { withCarriageReturns } from "./line-feeds.ts";

test("a bare line feed gets its carriage return, a complete line end stays", () => {
	assert.equal(withCarriageReturns("a\nb\r\nc\n\n", ""), "a\r\nb\r\nc\r\n\r\n");
	assert.equal(withCarriageReturns("\nx", "\r"), "\nx");
	assert.equal(withCarriageReturns("\nx", "y"), "\r\nx");
});
