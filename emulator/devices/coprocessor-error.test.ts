import assert from "node:assert/strict";
import { test } from "node:test";
import { CoprocessorError } from "./coprocessor-error.ts";

test("FERR# asserts IRQ 13 until port F0H or F1H is written; the state is saved", () => {
	let level = false;
	const latch = new CoprocessorError({
		set: (asserted) => {
			level = asserted;
		},
	});
	latch.assert();
	assert.equal(level, true);
	const saved = latch.save();
	latch.write();
	assert.equal(level, false);
	latch.restore(saved);
	assert.equal(level, true);
	assert.equal(latch.registers()[0]!.value, 1);
	latch.reset();
	assert.equal(level, false);
	assert.equal(latch.read(), 0xff);
});
