import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { PhysicalMemory } from "../../engine/physical-memory.ts";
import { ConsoleRing } from "./console-ring.ts";

const PAGE = 0x3000;

function make() {
	const physical = new PhysicalMemory(0x8000);
	const written: number[] = [];
	let signals = 0;
	const ring = new ConsoleRing(
		physical,
		PAGE,
		(byte) => written.push(byte),
		() => signals++,
	);
	return { physical, ring, written, signals: () => signals };
}

test("output around the end of the ring arrives in order", () => {
	const { physical, ring, written, signals } = make();
	const start = 2048 * 3 - 2;
	physical.write(PAGE + 3080, 4, start);
	for (let i = 0; i < 5; i++) physical.write(PAGE + 1024 + ((start + i) & 2047), 1, 65 + i);
	physical.write(PAGE + 3084, 4, start + 5);
	ring.serve();
	assert.equal(String.fromCharCode(...written), "ABCDE");
	assert.equal(physical.read(PAGE + 3080, 4), start + 5);
	assert.equal(signals(), 1);
	ring.serve();
	assert.equal(signals(), 1, "nothing new, no signal");
});

test("input waits for room", () => {
	const { physical, ring, signals } = make();
	ring.input(new Uint8Array(1500).map((_, i) => i));
	assert.equal(physical.read(PAGE + 3076, 4), 1024);
	physical.write(PAGE + 3072, 4, 600);
	ring.serve();
	assert.equal(physical.read(PAGE + 3076, 4), 1500);
	assert.equal(physical.read(PAGE + (1499 & 1023), 1), 1499 & 255);
	assert.equal(signals(), 2);
});

test("a frontend that lies about its indexes touches nothing but its page", () => {
	const { physical, ring, written } = make();
	const index = fc.oneof(fc.nat(5000), fc.nat(0xffff_ffff));
	fc.assert(
		fc.property(fc.array(index, { minLength: 4, maxLength: 4 }), fc.nat(3000), (indexes, bytes) => {
			indexes.forEach((value, i) => {
				physical.write(PAGE + 3072 + 4 * i, 4, value);
			});
			const before = written.length;
			ring.serve();
			assert.ok(written.length - before <= 2048);
			ring.input(new Uint8Array(bytes).fill(0x55));
		}),
		{ seed: 11, numRuns: 500 },
	);
	assert.ok(physical.peek(0, PAGE)!.every((byte) => byte === 0));
	assert.ok(physical.peek(PAGE + 0x1000, 0x4000)!.every((byte) => byte === 0));
});
