import assert from "node:assert/strict";
import { test } from "node:test";
import type { FragmentBody } from "../../debug-adapter/protocol.ts";
import { columns, fragmentLines, fragmentListLines, pageWalkLines, registerLines } from "./report.ts";

const fragment: FragmentBody = {
	id: 3,
	guestStart: "0x100",
	guestEnd: "0x107",
	translatedStart: "0xffc00000",
	translatedEnd: "0xffc0000c",
	symbol: "isPrime",
	instructions: 2,
	entries: 1,
	generation: 0,
	valid: true,
	exits: [
		{ kind: "taken", guestTarget: "0x120", symbol: "isPrime+0x20", state: "chained", fragment: 4 },
		{ kind: "fallthrough", guestTarget: "0x107", state: "continuation" },
	],
	lines: [
		{
			guest: "0x100",
			guestBytes: "89 f9",
			guestText: "mov ecx, edi",
			tag: "IDENT",
			translated: [{ address: "0xffc00000", bytes: "89 f9", text: "mov ecx, edi" }],
			current: [{ threadId: 1, address: "0x100" }],
		},
		{
			guest: "0x102",
			guestBytes: "7c 05",
			guestText: "jl 0x120",
			tag: "JCC",
			translated: [
				{ address: "0xffc00002", bytes: "0f 8c", text: "jl 0xffc00100" },
				{ address: "0xffc00008", bytes: "e9", text: "jmp 0xffc00200" },
			],
		},
	],
};

test("columns are aligned", () => {
	assert.deepEqual(
		columns([
			["a", "b"],
			["long", "c"],
		]),
		["a     b", "long  c"],
	);
});

test("registers are padded to their width and those with a meaning stand alone", () => {
	const register = (name: string, value: string, meaning = "") => ({
		name,
		width: 32,
		value,
		meaning,
		writable: true,
		changed: false,
	});
	const groups = [
		{ id: "general", title: "General", registers: [register("eax", "0x1"), register("ebx", "0xabc")] },
		{ id: "control", title: "Control", registers: [register("cr0", "0x80000011", "PG PE")] },
		{ id: "msr", title: "MSRs", registers: [register("x", "0x0")] },
	];
	assert.deepEqual(registerLines({ groups }, ["general", "control"]), [
		"eax    00000001   ebx    00000abc",
		"cr0  80000011  PG PE",
	]);
});

test("a walk is numbered and says where and why it fails", () => {
	const lines = pageWalkLines({
		linear: "0xc0101000",
		symbol: "main",
		walks: [
			{
				table: "guest",
				steps: [{ level: "PDE", index: 768, entryAddress: "gpa:0x1c00", entry: "0x2063", flags: ["P", "W"] }],
				result: { address: "gpa:0x101000", pageSize: 4096, writable: true, user: false, executable: true },
			},
			{
				table: "shadow",
				steps: [
					{ level: "PDE", index: 768, entryAddress: "hpa:0x9c00", entry: "0x0", flags: [], failure: "not present" },
				],
			},
		],
	});
	assert.deepEqual(lines, [
		"linear address 0xc0101000 (main)",
		"guest tables",
		"  1. PDE[768]  at gpa:0x1c00  = 0x2063  P W",
		"  -> gpa:0x101000 (page of 4 KiB, kernel, writable)",
		"shadow tables",
		"  1. PDE[768]  at hpa:0x9c00  = 0x0    fails: not present",
		"  -> not mapped for this access",
	]);
});

test("fragments: the list and one of them", () => {
	const body = {
		cacheStart: "0xffc00000",
		cacheEnd: "0xffe00000",
		total: 4,
		continuationsLeft: 2,
		fragments: [fragment],
	};
	assert.deepEqual(fragmentListLines(body, 8), [
		"4 fragments in the translation cache 0xffc00000 to 0xffe00000, 2 continuations left; the last 1:",
		"  3  0x100  isPrime  2 instructions  1 entries  taken: chained, fallthrough: continuation",
	]);
	assert.deepEqual(fragmentLines(fragment), [
		"fragment 3, isPrime: guest code and what runs in its place",
		"=>  0x100  mov ecx, edi  IDENT  0xffc00000  mov ecx, edi",
		"    0x102  jl 0x120      JCC    0xffc00002  jl 0xffc00100",
		"                                0xffc00008  jmp 0xffc00200",
		"   [taken] isPrime+0x20: chained to fragment 4",
		"   [fallthrough] 0x107: continuation",
	]);
});
