import assert from "node:assert/strict";
import { test } from "node:test";
import { formatValue } from "./number-format.ts";

test("values are padded to the width of their register", () => {
	assert.equal(formatValue(0x10n, 32, "natural"), "0x00000010");
	assert.equal(formatValue(1n, 1, "hexadecimal"), "0x1");
	assert.equal(formatValue(5n, 4, "binary"), "0b0101");
	assert.equal(formatValue(0xffff_ffff_ffff_ffffn, 64, "decimal"), "18446744073709551615");
});
