import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmcsFieldInfo } from "../../debug-adapter/protocol.ts";
import { allFields, chooseFields, fieldValue, setBits } from "./field-filter.ts";

const field = (name: string, more: Partial<VmcsFieldInfo> = {}): VmcsFieldInfo => ({
	name,
	encoding: "0x4000",
	width: 32,
	value: "0x16",
	changed: false,
	bits: [],
	...more,
});
const pin = field("Pin-based VM-execution controls", {
	bits: [
		{ name: "External-interrupt exiting", bit: 0, width: 1, value: "0x0" },
		{ name: "NMI exiting", bit: 3, width: 1, value: "0x1" },
		{ name: "Type", bit: 8, width: 3, value: "0x3", meaning: "hardware exception" },
	],
});
const groups = [
	{ name: "Guest", fields: [field("RIP", { changed: true }), field("RSP")] },
	{ name: "Controls", fields: [pin] },
];
const names = (search: string, changedOnly = false) =>
	chooseFields(groups, { search, changedOnly }).map((group) => group.fields.map((one) => one.name));

test("fields are found by their names and those of their bits; empty groups go", () => {
	assert.deepEqual(chooseFields(groups, allFields), groups);
	assert.deepEqual(names("nmi"), [["Pin-based VM-execution controls"]]);
	assert.deepEqual(names("r", true), [["RIP"]]);
	assert.deepEqual(names("0x4000").flat().length, 3);
	assert.deepEqual(names("no such"), []);
});

test("set bits by name, wider parts with their meaning, values as wide as the field", () => {
	assert.deepEqual(setBits(pin), ["NMI exiting", "Type 3 (hardware exception)"]);
	assert.equal(fieldValue(pin), "0x00000016");
	assert.equal(fieldValue(field("x", { width: 16, value: "0xabcd" })), "0xabcd");
});

test("a bit whose values have names says which; zeros that mean nothing are left out", () => {
	const qualification = field("Exit qualification", {
		bits: [
			{ name: "Size", bit: 0, width: 3, value: "0x0", meaning: "1 byte" },
			{ name: "Direction", bit: 3, width: 1, value: "0x1", meaning: "IN" },
			{ name: "Operand encoding", bit: 6, width: 1, value: "0x0", meaning: "DX" },
			{ name: "Index", bit: 8, width: 4, value: "0x0" },
		],
	});
	assert.deepEqual(setBits(qualification), ["Size 0 (1 byte)", "Direction (IN)"]);
});
