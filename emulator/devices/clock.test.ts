import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { VirtualClock } from "./clock.ts";

test("alarms run by time, equal times in the order of asking, and see their own time", () => {
	fc.assert(
		fc.property(fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 }), (times) => {
			const clock = new VirtualClock();
			const ran: [number, number][] = [];
			times.forEach((time, index) => {
				clock.at(time, () => {
					assert.equal(clock.now(), time);
					ran.push([time, index]);
				});
			});
			assert.equal(clock.nextAlarm(), times.length ? Math.min(...times) : Number.POSITIVE_INFINITY);
			clock.advanceTo(20);
			const expected = times.map((time, index): [number, number] => [time, index]);
			assert.deepEqual(
				ran,
				expected.sort((a, b) => a[0] - b[0] || a[1] - b[1]),
			);
			assert.equal(clock.now(), 20);
		}),
	);
});

test("a cancelled alarm does not run, whether few or many are cancelled", () => {
	fc.assert(
		fc.property(fc.array(fc.tuple(fc.nat(50), fc.boolean()), { maxLength: 100 }), (alarms) => {
			const clock = new VirtualClock();
			const ran: number[] = [];
			const asked = alarms.map(([time], index) => clock.at(time, () => ran.push(index)));
			alarms.forEach(([, keep], index) => {
				if (!keep) asked[index]!.cancel();
			});
			const kept = alarms.flatMap(([time, keep]) => (keep ? [time] : []));
			assert.equal(clock.nextAlarm(), kept.length ? Math.min(...kept) : Number.POSITIVE_INFINITY);
			clock.advanceTo(50);
			assert.equal(ran.length, kept.length);
			for (const alarm of asked) alarm.cancel();
		}),
	);
});

test("an alarm that re-arms itself runs for each moment up to the target and never twice at one moment", () => {
	const clock = new VirtualClock();
	const ran: number[] = [];
	const periodic = () => {
		ran.push(clock.now());
		clock.at(clock.now() + 10, periodic);
	};
	clock.at(10, periodic);
	clock.advanceTo(35);
	assert.deepEqual(ran, [10, 20, 30]);
	let stuck = 0;
	const again = () => {
		stuck++;
		clock.at(clock.now(), again);
	};
	clock.at(35, again);
	clock.advanceTo(36);
	assert.equal(stuck, 1);
	assert.equal(clock.nextAlarm(), 35);
	clock.advanceTo(36);
	assert.equal(stuck, 2);
});

test("time does not run back, and a restored clock has no alarms", () => {
	const clock = new VirtualClock();
	clock.advanceTo(100);
	assert.throws(() => clock.advanceTo(99), RangeError);
	assert.throws(() => clock.at(Number.NaN, () => {}), RangeError);
	clock.at(200, () => assert.fail("dropped"));
	clock.restore(50);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
	clock.advanceTo(300);
});
