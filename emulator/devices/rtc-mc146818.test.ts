import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { VirtualClock } from "./clock.ts";
import { fromByte, hourFromByte, momentOf, nextAlarmSecond, timeBytes } from "./rtc-calendar.ts";
import { RtcMc146818 } from "./rtc-mc146818.ts";

const second = 1_000_000_000;
function makeRtc(clock = new VirtualClock(), startSeconds = Date.UTC(2024, 1, 28, 23, 59, 50) / 1000) {
	const line = new RecordingLine();
	const rtc = new RtcMc146818(clock, line, { memoryBytes: 0x1000_0000, memoryAbove4GiB: 0x2_0000_0000, startSeconds });
	const input = (address: number) => {
		rtc.write(0, 1, address);
		return rtc.read(1);
	};
	const output = (address: number, value: number) => {
		rtc.write(0, 1, address);
		rtc.write(1, 1, value);
	};
	const time = () => [0x32, 9, 8, 7, 6, 4, 2, 0].map((address) => input(address).toString(16)).join(" ");
	return { clock, line, rtc, input, output, time };
}

test("the time runs with virtual time, in BCD, over a leap day", () => {
	const { clock, time } = makeRtc();
	assert.equal(time(), "20 24 2 28 4 23 59 50");
	clock.advanceTo(10 * second);
	assert.equal(time(), "20 24 2 29 5 0 0 0");
	clock.advanceTo(86_410 * second);
	assert.equal(time(), "20 24 3 1 6 0 0 0");
});

test("binary and 12-hour modes", () => {
	const { output, input } = makeRtc();
	output(0x0b, 0x04);
	assert.deepEqual([input(4), input(2)], [0x8b, 59]);
	output(0x0b, 0x00);
	assert.equal(input(4), 0x91);
});

test("update in progress shows for 2228 microseconds before the second changes", () => {
	const { clock, input } = makeRtc();
	clock.advanceTo(second - 2_228_001);
	assert.equal(input(0x0a) & 0x80, 0);
	clock.advanceTo(second - 2_228_000);
	assert.equal(input(0x0a), 0xa6);
	assert.equal(input(0), 0x50);
	clock.advanceTo(second);
	assert.equal(input(0x0a), 0x26);
	assert.equal(input(0), 0x51);
});

test("setting the time with SET, as a whole, whatever the order", () => {
	const { clock, output, time, input } = makeRtc();
	clock.advanceTo(second / 2);
	output(0x0b, 0x82);
	clock.advanceTo(5 * second + second / 2);
	assert.equal(input(0), 0x50, "stands still");
	output(7, 0x31);
	output(8, 0x12);
	output(9, 0x99);
	output(0x32, 0x19);
	output(6, 0x06);
	output(0x0b, 0x02);
	assert.equal(time(), "19 99 12 31 6 23 59 50");
	clock.advanceTo(15 * second);
	assert.equal(time(), "20 0 1 1 7 0 0 0");
});

test("the divider reset holds the clock; the first update comes half a second after it", () => {
	const { clock, output, input } = makeRtc();
	output(0x0a, 0x76);
	clock.advanceTo(3 * second);
	assert.equal(input(0), 0x50);
	output(0x0a, 0x26);
	clock.advanceTo(3 * second + second / 2 - 1);
	assert.equal(input(0), 0x50);
	clock.advanceTo(3 * second + second / 2);
	assert.equal(input(0), 0x51);
});

test("periodic interrupt at 1024 Hz: each needs register C read, none is lost or early", () => {
	const { clock, output, input, line } = makeRtc();
	output(0x0b, 0x42);
	input(0x0c);
	let count = 0;
	while (clock.nextAlarm() <= second) {
		clock.advanceTo(clock.nextAlarm());
		assert.equal(line.level, true);
		assert.equal(input(0x0c) & 0xc0, 0xc0);
		assert.equal(line.level, false);
		count++;
	}
	assert.equal(count, 1024);
});

test("flags are set without their interrupts enabled, and cleared by reading", () => {
	const { clock, input, line } = makeRtc();
	clock.advanceTo(second);
	assert.equal(input(0x0c), 0x50);
	assert.equal(input(0x0c), 0);
	assert.equal(line.edges, 0);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
});

test("alarm and update interrupts", () => {
	const { clock, output, input, line } = makeRtc();
	output(1, 0x05);
	output(3, 0xc0);
	output(5, 0xff);
	output(0x0b, 0x22);
	assert.equal(clock.nextAlarm(), 15 * second);
	clock.advanceTo(15 * second);
	assert.equal(input(0x0c) & 0xa0, 0xa0);
	assert.equal(clock.nextAlarm(), 75 * second);
	output(0x0b, 0x12);
	assert.equal(clock.nextAlarm(), 16 * second);
	clock.advanceTo(16 * second);
	assert.equal(line.level, true);
});

test("the next alarm is the first match that a search finds", () => {
	const format = { binary: true, hours24: true };
	const byte = fc.oneof(fc.nat(70), fc.constant(0xc0), fc.constant(0xff));
	fc.assert(
		fc.property(fc.integer({ min: -100_000, max: 200_000 }), byte, byte, byte, (from, seconds, minutes, hours) => {
			const found = nextAlarmSecond(from, { seconds, minutes, hours }, format);
			let expected: number | undefined;
			for (let at = from + 1; at <= from + 86_400 && expected === undefined; at++) {
				const date = new Date(at * 1000);
				const is = (alarm: number, value: number) => (alarm & 0xc0) === 0xc0 || alarm === value;
				if (is(seconds, date.getUTCSeconds()) && is(minutes, date.getUTCMinutes()) && is(hours, date.getUTCHours()))
					expected = at;
			}
			assert.equal(found, expected);
		}),
		{ numRuns: 60 },
	);
});

test("bytes and moments are inverse in every format", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: 0, max: 4_000_000_000 }),
			fc.nat(6),
			fc.boolean(),
			fc.boolean(),
			(seconds, shift, binary, hours24) => {
				const format = { binary, hours24 };
				const bytes = timeBytes(seconds, shift, format);
				assert.deepEqual(momentOf(bytes, format), { seconds, weekdayShift: shift });
				assert.equal(hourFromByte(bytes[2]!, format), new Date(seconds * 1000).getUTCHours());
				assert.equal(fromByte(bytes[1]!, format), new Date(seconds * 1000).getUTCMinutes());
			},
		),
	);
});

test("CMOS tells the memory sizes; port 0x70 masks NMI", () => {
	const { rtc, input } = makeRtc();
	const word = (address: number) => input(address) | (input(address + 1) << 8);
	assert.equal(word(0x15), 640);
	assert.equal(word(0x17), 0xffff);
	assert.equal(word(0x34), (0x1000_0000 - 0x100_0000) / 0x1_0000);
	assert.equal(word(0x5b) | (input(0x5d) << 16), 0x2_0000);
	rtc.write(0, 1, 0x8f);
	assert.equal(rtc.nmiMasked, true);
	assert.equal(rtc.read(0), 0xff);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const { rtc } = makeRtc(clock);
		return {
			device: rtc,
			blocks: [{ block: rtc, length: 2 }],
			stimuli: [
				(value) => {
					rtc.write(0, 1, value % 14);
					rtc.write(1, 1, (value >> 8) & 0xff);
				},
				(value) => {
					rtc.write(0, 1, 0x0a);
					rtc.write(1, 1, 0x20 | (value & 15));
				},
			],
		};
	}, 300);
});
