import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../devices/clock.ts";
import { VirtualTimers } from "./virtual-timers.ts";
import { Errno } from "./xen-abi.ts";

function make() {
	const clock = new VirtualClock();
	const fired: number[] = [];
	const timers = new VirtualTimers(clock, () => fired.push(clock.now()));
	return { clock, fired, timers };
}

test("one shot at its time; a new one replaces the old, 0 stops it", () => {
	const { clock, fired, timers } = make();
	timers.setOneShot(5000n);
	timers.setOneShot(8000n);
	clock.advanceTo(7000);
	assert.deepEqual(fired, []);
	clock.advanceTo(9000);
	assert.deepEqual(fired, [8000]);
	timers.setOneShot(100n);
	clock.advanceTo(9001);
	assert.deepEqual(fired, [8000, 9000], "a time that has passed fires at once");
	timers.setOneShot(10_000n);
	timers.setOneShot(0n);
	timers.setOneShot((1n << 64n) - 1n);
	clock.advanceTo(1_000_000);
	assert.equal(fired.length, 2);
	assert.equal(timers.setSingleShot(5n, 1), -Errno.ETIME);
	assert.equal(timers.setSingleShot(5n, 0), 0);
	clock.advanceTo(1_000_001);
	assert.equal(fired.length, 3);
});

test("periodic from when it is set", () => {
	const { clock, fired, timers } = make();
	assert.equal(timers.setPeriodic(999n), -Errno.EINVAL);
	clock.advanceTo(500);
	assert.equal(timers.setPeriodic(1_000_000n), 0);
	clock.advanceTo(3_000_500);
	assert.deepEqual(fired, [1_000_500, 2_000_500, 3_000_500]);
	timers.stop();
	clock.advanceTo(9_000_000);
	assert.equal(fired.length, 3);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
});
