import assert from "node:assert/strict";
import { test } from "node:test";
import type { VmcsFieldInfo } from "../../debug-adapter/protocol.ts";
import { allFields, chooseFields, fieldAddress, fieldValue, setBits } from "./field-filter.ts";

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

test("fields that hold an address say of which space", () => {
	const wide = (name: string, encoding: string, value: string) =>
		fieldAddress(field(name, { encoding, value, width: 64 }));
	assert.equal(wide("RIP", "0x681e", "0xc0100000"), "0xc0100000");
	assert.equal(wide("RIP", "0x6c16", "0xc0100000"), undefined, "the hypervisor's own code is no guest's");
	assert.equal(wide("CR3", "0x6802", "0x108018"), "gpa:0x108000");
	assert.equal(wide("CR3", "0x6c02", "0x108018"), "hpa:0x108000");
	assert.equal(wide("Guest-physical address", "0x2400", "0xfee00020"), "gpa:0xfee00020");
	assert.equal(wide("EPT pointer (EPTP)", "0x201a", "0x11005e"), "hpa:0x110000");
	assert.equal(wide("Address of MSR bitmaps", "0x2004", "0x113000"), "hpa:0x113000");
	assert.equal(wide("VM-entry MSR-load address", "0x200a", "0x0"), undefined);
	assert.equal(wide("TSC offset", "0x2010", "0x1000"), undefined);
	assert.equal(fieldAddress(field("ES limit", { encoding: "0x4800", value: "0xffff" })), undefined);
});
