import assert from "node:assert/strict";
import { test } from "node:test";
import { findSlide } from "./symbol-slide.ts";

const symbols = BigUint64Array.from(
	{ length: 5000 },
	(_, index) => 0xffffffff81000000n + BigInt(index * 0x100 + ((index * index * 37) % 0xf1)),
);
const handlers = (slide: bigint) => Array.from({ length: 20 }, (_, index) => symbols[index * 211]! + slide);

test("handlers that lie where their symbols are mean no slide", () => {
	assert.equal(findSlide(handlers(0n), symbols), 0n);
});

test("the slide is the one distance that fits most handlers, up or down, though some have no symbol", () => {
	assert.equal(findSlide(handlers(0x1c00000n), symbols), 0x1c00000n);
	assert.equal(findSlide(handlers(-0x200000n), symbols), -0x200000n);
	const some = handlers(0x1c00000n);
	for (const index of [0, 3, 7, 11]) some[index]! += 1n;
	assert.equal(findSlide(some, symbols), 0x1c00000n);
});

test("few handlers, other code, or a distance that is no page tell nothing", () => {
	assert.equal(findSlide(handlers(0x1c00000n).slice(0, 7), symbols), undefined);
	assert.equal(findSlide(handlers(0x1c00001n), symbols), undefined);
	assert.equal(
		findSlide(
			Array.from({ length: 20 }, (_, index) => 0x1000n + BigInt(index * index * 7)),
			symbols,
		),
		undefined,
	);
});
