import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { test } from "node:test";
import { portableSha256 } from "./hash.ts";

test("SHA-256 equals the host's for every length around a block", () => {
	const bytes = new Uint8Array(randomBytes(200));
	for (let length = 0; length <= 200; length++) {
		const part = bytes.subarray(0, length);
		assert.equal(portableSha256(part), createHash("sha256").update(part).digest("hex"), `length ${length}`);
	}
});
