import assert from "node:assert/strict";
import { test } from "node:test";
import type { MemoryBody } from "../../debug-adapter/protocol.ts";
import { asciiText, memoryRows, readings, typedBytes, unitTexts, unitValue } from "./memory-rows.ts";

const body: MemoryBody = {
	address: "0x1008",
	space: "lin",
	start: "0x1000",
	count: 24,
	wordSize: 4,
	parts: [
		{ offset: 0, data: btoa("Hi\x00\xff") },
		{ offset: 20, data: btoa("\x34\x12\x00\x80") },
	],
	names: [{ offset: 2, name: "greeting" }],
	pointers: [{ offset: 20, name: "main+0x4" }],
};

test("rows have the bytes at their places, gaps between, and say what lies in them", () => {
	const rows = memoryRows(body, 16);
	assert.deepEqual(
		rows.map(({ address, bytes, note }) => [address, bytes.length, note]),
		[
			[0x1000n, 16, "greeting:"],
			[0x1010n, 8, "→ main+0x4"],
		],
	);
	assert.deepEqual(rows[0]!.bytes.slice(0, 5), [0x48, 0x69, 0, 0xff, undefined]);
	assert.equal(asciiText(rows[0]!.bytes.slice(0, 6)), "Hi..  ");
	assert.deepEqual(
		memoryRows(body, 8).map(({ note }) => note),
		["greeting:", "", "→ main+0x4"],
	);
});

test("units are little-endian, and whole only where each byte is", () => {
	const [first, second] = memoryRows(body, 16);
	assert.deepEqual(unitTexts(first!.bytes.slice(0, 8), 4), ["ff006948", "????????"]);
	assert.deepEqual(unitTexts(first!.bytes.slice(0, 3), 1), ["48", "69", "00"]);
	assert.deepEqual(unitTexts(second!.bytes.slice(2, 8), 2), ["????", "1234", "8000"]);
	assert.equal(unitValue([0x34, 0x12]), 0x1234n);
	assert.equal(unitValue([0x34, undefined]), undefined);
});

test("a typed number becomes the bytes of the unit, or one sentence", () => {
	assert.deepEqual(typedBytes(" 0x1234 ", 4), [0x34, 0x12, 0, 0]);
	assert.deepEqual(typedBytes("-1", 2), [0xff, 0xff]);
	assert.deepEqual(typedBytes("255", 1), [0xff]);
	assert.throws(() => typedBytes("256", 1), /^Error: 256 does not fit into 1 byte\.$/);
	assert.throws(() => typedBytes("-129", 1), /does not fit into 1 byte/);
	assert.throws(() => typedBytes("main", 1), /"main" is no number: write one such as 0x1f or 31\./);
});

test("the bytes of the selection as numbers of each size", () => {
	assert.deepEqual(readings([0xff, 0xff, 0, 0, 1, undefined]), [
		{ name: "8 bits", text: "255 (-1)" },
		{ name: "16 bits", text: "65535 (-1)" },
		{ name: "32 bits", text: "65535" },
	]);
});
