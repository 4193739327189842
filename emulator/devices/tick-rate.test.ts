import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { TickRate } from "./tick-rate.ts";

test("ticks and times are those of exact rational arithmetic, for 100 days", () => {
	fc.assert(
		fc.property(
			fc.constantFrom(1_193_182, 3_579_545, 32_768, 1_000_000_000, 100_000_000, 1_000),
			fc.integer({ min: 0, max: 8_640_000_000_000_000 }),
			(hertz, time) => {
				const rate = new TickRate(hertz);
				const ticks = rate.ticksAt(time);
				assert.equal(BigInt(ticks), (BigInt(time) * BigInt(hertz)) / 1_000_000_000n);
				const start = rate.timeOfTick(ticks);
				assert.ok(start <= time);
				assert.equal(rate.ticksAt(start), ticks);
				if (start > 0) assert.ok(rate.ticksAt(start - 1) < ticks);
			},
		),
	);
});

test("a frequency without exact ticks is refused", () => {
	assert.throws(() => new TickRate(0), RangeError);
	assert.throws(() => new TickRate(1.5), RangeError);
	assert.throws(() => new TickRate(999_999_937), RangeError);
});
