import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CodeReader } from "./code-reader.ts";
import type { CodeSize } from "./decoder.ts";
import { disassembleRows, type Row } from "./rows.ts";

const noStarts = () => undefined;

function reader(memory: Uint8Array, base: bigint, codeSize: CodeSize): CodeReader {
	return new CodeReader((address, length) => {
		const offset = Number(address - base);
		if (offset < 0 || offset >= memory.length) return undefined;
		return memory.subarray(offset, offset + length);
	}, codeSize);
}

function assertJoined(rows: readonly Row[]): void {
	for (let index = 1; index < rows.length; index++) {
		const before = rows[index - 1]!;
		assert.equal(rows[index]!.address, before.address + BigInt(Math.max(1, before.bytes.length)));
	}
}

test("exactly the asked number of rows, with an offset to both sides", () => {
	// nop; mov eax, 1; ret
	const code = reader(new Uint8Array([0x90, 0xb8, 1, 0, 0, 0, 0xc3]), 0n, 32);
	const rows = disassembleRows(code, 1n, -1, 3, noStarts);
	assert.deepEqual(
		rows.map((row) => [row.address, row.text]),
		[
			[0n, "nop"],
			[1n, "mov eax, 1"],
			[6n, "ret"],
		],
	);
	assert.deepEqual(
		disassembleRows(code, 0n, 2, 1, noStarts).map((row) => row.text),
		["ret"],
	);
	assert.deepEqual(
		disassembleRows(code, 0n, -3, 2, noStarts).map((row) => [row.address, row.readable]),
		[
			[-3n, false],
			[-2n, false],
		],
	);
});

test("the rows past unreadable memory are fillers, one byte apart", () => {
	const code = reader(new Uint8Array(256).fill(0x90), 0x1000n, 32);
	const rows = disassembleRows(code, 0x10fen, 0, 4, noStarts);
	assert.deepEqual(
		rows.map((row) => [row.address, row.readable]),
		[
			[0x10fen, true],
			[0x10ffn, true],
			[0x1100n, false],
			[0x1101n, false],
		],
	);
});

test("a known start decides where decoding alone would be misled", () => {
	// A long run of bytes that would swallow the start of the function: 0xb8 takes four bytes after it.
	const memory = new Uint8Array(64).fill(0x90);
	memory[0x1f] = 0xb8;
	memory.set([0x55, 0x89, 0xe5, 0x5d, 0xc3], 0x20);
	const code = reader(memory, 0n, 32);
	const rows = disassembleRows(code, 0x24n, -3, 4, (address) => (address > 0x20n ? 0x20n : undefined));
	assert.deepEqual(
		rows.map((row) => row.text),
		["push ebp", "mov ebp, esp", "pop ebp", "ret"],
	);
});

test("the same memory in 16-bit, 32-bit and 64-bit code reads differently", () => {
	const memory = new Uint8Array([0x48, 0xb8, 0x34, 0x12, 0, 0, 0, 0, 0, 0]);
	const first = (size: CodeSize) => disassembleRows(reader(memory, 0n, size), 0n, 0, 1, noStarts)[0]!.text;
	assert.equal(first(16), "dec ax");
	assert.equal(first(32), "dec eax");
	assert.equal(first(64), "mov rax, 0x1234");
});

for (const codeSize of [16, 32, 64] as const) {
	test(`blocks of ±50 rows join without gap or repeat over random bytes, ${codeSize}-bit`, () => {
		fc.assert(
			fc.property(
				fc.uint8Array({ minLength: 1024, maxLength: 2048 }),
				fc.integer({ min: 0, max: 2047 }),
				fc.array(fc.integer({ min: 0, max: 2047 }), { maxLength: 4 }),
				(memory, from, known) => {
					const base = 0x10000n;
					const starts = known.map((offset) => base + BigInt(offset % memory.length)).sort((a, b) => Number(a - b));
					const startBefore = (address: bigint) => starts.filter((start) => start < address).at(-1);
					const block = (address: bigint, offset: number, count: number) => {
						const rows = disassembleRows(reader(memory, base, codeSize), address, offset, count, startBefore);
						assert.equal(rows.length, count);
						assertJoined(rows);
						return rows;
					};
					const reference = base + BigInt(from % memory.length);
					let rows = block(reference, -50, 100);
					assert.equal(rows[50]!.address, reference);
					for (let turn = 0; turn < 3; turn++) {
						// As the editor scrolls: 50 rows before the first, 50 after the last.
						rows = [...block(rows[0]!.address, -50, 50), ...rows, ...block(rows.at(-1)!.address, 1, 50)];
						assertJoined(rows);
					}
					assert.deepEqual(block(reference, -200, 200), rows.slice(0, 200));
				},
			),
			{ numRuns: 60 },
		);
	});
}
