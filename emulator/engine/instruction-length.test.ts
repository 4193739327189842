// Prefixes that make an instruction longer than 15 bytes: #GP where fewer of them would make an instruction, #UD elsewhere.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isTooLong } from "./instruction-length.ts";

const tooLong = (bits: number, code: string) => isTooLong(bits, Buffer.from(code.padEnd(60, "0"), "hex"));

test("an instruction of 16 bytes is too long, one of 15 is not", () => {
	assert.equal(tooLong(32, `${"66".repeat(15)}90`), true);
	assert.equal(tooLong(32, `${"66".repeat(14)}90`), false);
	// MOV EAX, disp32 with 10 prefixes too many; the displacement is cut off.
	assert.equal(tooLong(32, `${"26".repeat(10)}8b0578563412`), true);
	assert.equal(tooLong(32, `${"26".repeat(9)}8b0578563412`), false);
	assert.equal(tooLong(64, `${"48".repeat(1)}${"66".repeat(12)}4889c0`), true, "a REX prefix that is void counts");
});

test("bytes that are no instruction however few prefixes they have are not too long", () => {
	assert.equal(tooLong(64, "0f0b"), false);
	assert.equal(tooLong(32, `${"2e".repeat(10)}0fff00`), false);
	assert.equal(tooLong(64, `f0${"2e".repeat(3)}85e4`), false, "LOCK TEST");
});
