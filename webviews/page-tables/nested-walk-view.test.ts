import assert from "node:assert/strict";
import { test } from "node:test";
import type { NestedReferenceInfo } from "../../debug-adapter/protocol.ts";
import { nestedRows } from "./nested-walk-view.ts";

const reference = (number: number, dimension: "guest" | "ept", row: string): NestedReferenceInfo => ({
	number,
	dimension,
	row,
	guestPhysical: "0x0",
	step: { level: row, index: 0, entryAddress: "hpa:0x0", entry: "0x0", flags: [] },
});

test("references fall into one row for each guest level and one for the page", () => {
	const rows = nestedRows({
		references: [
			reference(1, "ept", "PDE"),
			reference(2, "ept", "PDE"),
			reference(3, "guest", "PDE"),
			reference(4, "ept", "page"),
		],
	});
	assert.deepEqual(
		rows.map(({ name, ept, guest }) => [name, ept.map((one) => one.number), guest?.number]),
		[
			["PDE", [1, 2], 3],
			["page", [4], undefined],
		],
	);
});
