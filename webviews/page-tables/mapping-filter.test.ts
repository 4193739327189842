import assert from "node:assert/strict";
import { test } from "node:test";
import type { MappingInfo } from "../../debug-adapter/protocol.ts";
import { allMappings, changedMappings, mappingQuery, sizeText } from "./mapping-filter.ts";

function mapping(start: number, end: number, target: number, more: Partial<MappingInfo> = {}): MappingInfo {
	return {
		start: `0x${start.toString(16)}`,
		end: `0x${end.toString(16)}`,
		target: `gpa:0x${target.toString(16)}`,
		pageSize: 4096,
		writable: true,
		user: false,
		executable: true,
		global: false,
		accessed: false,
		dirty: false,
		...more,
	};
}

test("filters and searches become one query", () => {
	assert.deepEqual(mappingQuery(allMappings), { filter: {}, from: "0x0" });
	assert.deepEqual(mappingQuery({ ...allMappings, privilege: "user", writable: true, executable: true, large: true }), {
		filter: { privilege: "user", writable: true, executable: true, large: true },
		from: "0x0",
	});
	assert.deepEqual(mappingQuery({ ...allMappings, search: " gpa:0x1000 " }), {
		filter: { contains: "gpa:0x1000" },
		from: "0x0",
	});
	assert.deepEqual(mappingQuery({ ...allMappings, search: "0x1000 .. 8192" }), {
		filter: {},
		from: "0x1000",
		to: 8192n,
	});
	assert.throws(() => mappingQuery({ ...allMappings, search: "main..0x5" }), /is no range/);
});

test("a run that was only split is not changed, a page with other rights is", () => {
	const before = [mapping(0x1000, 0x5000, 0x10000)];
	const now = [
		mapping(0x1000, 0x3000, 0x10000),
		mapping(0x3000, 0x4000, 0x12000, { writable: false }),
		mapping(0x4000, 0x5000, 0x13000, { dirty: true }),
		mapping(0x5000, 0x6000, 0x14000),
	];
	assert.deepEqual([...changedMappings(before, now)], [now[1], now[3]]);
});

test("another target is a change", () => {
	const now = [mapping(0x1000, 0x2000, 0x20000)];
	assert.equal(changedMappings([mapping(0x1000, 0x2000, 0x10000)], now).size, 1);
	assert.equal(changedMappings([], now).size, 1);
});

test("sizes", () => {
	assert.equal(sizeText(4096n), "4 KiB");
	assert.equal(sizeText(3n << 19n), "1.5 MiB");
	assert.equal(sizeText(1n << 64n), "16 EiB");
});
