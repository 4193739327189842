import assert from "node:assert/strict";
import { test } from "node:test";
import { occupancy } from "./hash-table-view.ts";

const bucket = (index: number) => ({ index, guest: "0x0", fragment: 0 });

test("buckets are counted by run", () => {
	const body = { size: 16, used: 4, buckets: [bucket(0), bucket(1), bucket(7), bucket(15)] };
	assert.deepEqual(occupancy(body, 4), [2, 1, 0, 1]);
});

test("an empty table and an index out of range are harmless", () => {
	assert.deepEqual(occupancy({ size: 0, used: 0, buckets: [bucket(3)] }, 2), [0, 0]);
	assert.deepEqual(occupancy({ size: 4, used: 1, buckets: [bucket(9)] }, 2), [0, 0]);
});
