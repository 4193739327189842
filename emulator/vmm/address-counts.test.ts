import assert from "node:assert/strict";
import { test } from "node:test";
import { AddressCounts } from "./address-counts.ts";

test("counts of addresses are kept until there are too many, then counted anew", () => {
	const counts = new AddressCounts();
	counts.set(0x1000, 7);
	for (let address = 1; address < 1 << 16; address++) counts.set(0x10_0000 + address, 1);
	assert.equal(counts.get(0x1000), 7, "65,536 addresses are remembered");
	counts.set(0x1000, 8);
	assert.equal(counts.get(0x1000), 8, "a known address takes no room");
	counts.set(0x2000, 1);
	assert.equal(counts.get(0x1000), 0);
	assert.equal(counts.get(0x2000), 1);
	counts.delete(0x2000);
	assert.equal(counts.get(0x2000), 0);
});
