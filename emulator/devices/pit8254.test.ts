import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { VirtualClock } from "./clock.ts";
import { PitCounter, pitCounterAtPowerOn } from "./pit-counter.ts";
import { PIT_HERTZ, Pit8254 } from "./pit8254.ts";
import { SystemControlPortB } from "./system-control-port-b.ts";
import { TickRate } from "./tick-rate.ts";

const rate = new TickRate(PIT_HERTZ);

function counterWith(mode: number, count: number, bcd = 0): PitCounter {
	const counter = new PitCounter(pitCounterAtPowerOn(true));
	counter.writeControl(0x30 | (mode << 1) | bcd);
	counter.writeCount(0, count & 0xff);
	counter.writeCount(0, count >> 8);
	return counter;
}

/** OUT and count for ticks 1 (the clock that loads) onwards. */
function trace(counter: PitCounter, ticks: number): string {
	const out: string[] = [];
	for (let tick = 1; tick <= ticks; tick++) {
		out.push(`${counter.countAt(tick).toString(16)}${counter.output(tick) ? "+" : "-"}`);
	}
	return out.join(" ");
}

// The waveforms of the data sheet's mode figures.
test("mode 0: OUT rises when the count is through and the counter runs on", () => {
	assert.equal(trace(counterWith(0, 4), 7), "4- 3- 2- 1- 0+ ffff+ fffe+");
});
test("mode 2: OUT is low for the last clock of each period", () => {
	assert.equal(trace(counterWith(2, 3), 7), "3+ 2+ 1- 3+ 2+ 1- 3+");
});
test("mode 3: even counts halve the period, odd ones are high a clock longer", () => {
	assert.equal(trace(counterWith(3, 4), 9), "4+ 2+ 4- 2- 4+ 2+ 4- 2- 4+");
	assert.equal(trace(counterWith(3, 5), 10), "4+ 2+ 0+ 4- 2- 4+ 2+ 0+ 4- 2-");
});
test("mode 4: OUT is low for one clock", () => {
	assert.equal(trace(counterWith(4, 3), 6), "3+ 2+ 1+ 0- ffff+ fffe+");
});
test("BCD counts in decimal and wraps at 9999", () => {
	assert.equal(
		trace(counterWith(0, 0x11, 1), 13)
			.split(" ")
			.slice(-3)
			.join(" "),
		"1- 0+ 9999+",
	);
});

test("mode 1: each rising gate starts a full pulse; mode 5 strobes after it", () => {
	const counter = new PitCounter(pitCounterAtPowerOn(false));
	counter.writeControl(0x12);
	counter.writeCount(0, 3);
	assert.equal(counter.output(50), true);
	counter.setGate(100, true);
	assert.equal(counter.output(103), false);
	assert.equal(counter.output(104), true);
	counter.setGate(110, false);
	counter.setGate(111, true);
	counter.setGate(112, false);
	counter.setGate(113, true);
	assert.equal(counter.output(116), false, "retriggered at 113");
	assert.equal(counter.output(117), true);
	counter.writeControl(0x1a);
	counter.writeCount(200, 3);
	counter.setGate(201, false);
	counter.setGate(202, true);
	assert.deepEqual(
		[205, 206, 207].map((tick) => counter.output(tick)),
		[true, false, true],
	);
});

test("a low gate stops mode 0 and goes on where it stopped; it restarts mode 2", () => {
	const slow = counterWith(0, 100);
	slow.setGate(51, false);
	assert.equal(slow.countAt(51), 50);
	assert.equal(slow.countAt(1000), 50);
	slow.setGate(1000, true);
	assert.equal(slow.countAt(1010), 40);
	const periodic = counterWith(2, 100);
	periodic.setGate(51, false);
	assert.equal(periodic.output(100), true);
	periodic.setGate(500, true);
	assert.equal(periodic.countAt(501), 100);
});

test("a count written while mode 2 runs waits for the end of the period", () => {
	const counter = counterWith(2, 10);
	counter.writeCount(5, 4);
	counter.writeCount(5, 0);
	assert.equal(counter.countAt(6), 5);
	assert.equal(counter.status(6) & 0x40, 0x40, "null count");
	assert.equal(counter.countAt(11), 4);
	assert.equal(counter.status(11) & 0x40, 0);
	assert.equal(counter.countAt(15), 4);
});

test("a count written before the first is loaded replaces it, and its edge comes at its own time", () => {
	const counter = counterWith(2, 12);
	counter.writeCount(0, 3);
	counter.writeCount(0, 0);
	assert.ok(counter.nextChange(0) <= 3);
	assert.equal(counter.output(3), false);
});

test("a written count of two bytes stops mode 0 at the first", () => {
	const counter = counterWith(0, 2);
	assert.equal(counter.output(10), true);
	counter.writeCount(10, 5);
	assert.equal(counter.output(20), false);
	counter.writeCount(20, 0);
	assert.equal(counter.output(25), false);
	assert.equal(counter.output(26), true);
});

test("nextChange never skips an edge of OUT", () => {
	fc.assert(
		fc.property(
			fc.constantFrom(0, 1, 2, 3, 4, 5),
			fc.integer({ min: 1, max: 12 }),
			fc.integer({ min: 1, max: 12 }),
			fc.nat(30),
			(mode, count, later, when) => {
				const counter = counterWith(mode, count);
				if (mode === 1 || mode === 5) {
					counter.setGate(0, false);
					counter.setGate(0, true);
				}
				counter.writeCount(when, later);
				counter.writeCount(when, 0);
				const first = new PitCounter({ ...counter.state }).nextChange(when);
				const outputAt = (tick: number) => new PitCounter({ ...counter.state }).output(tick);
				for (let tick = when; tick < Math.min(first, when + 40); tick++)
					assert.equal(outputAt(tick), outputAt(when), `OUT changed before ${first}`);
				for (let tick = when; tick < when + 40; tick++) {
					const next = counter.nextChange(tick);
					assert.ok(next > tick);
					if (counter.output(tick) !== counter.output(tick + 1)) assert.equal(next, tick + 1);
				}
			},
		),
	);
});

test("the latch holds until it is read; read-back latches status before count", () => {
	const clock = new VirtualClock();
	const pit = new Pit8254(clock, new RecordingLine());
	pit.write(3, 1, 0x34);
	pit.write(0, 1, 0x00);
	pit.write(0, 1, 0x10);
	clock.advanceTo(rate.timeOfTick(0x101));
	pit.write(3, 1, 0x00);
	clock.advanceTo(rate.timeOfTick(0x201));
	pit.write(3, 1, 0x00);
	assert.equal(pit.read(0) | (pit.read(0) << 8), 0xf00);
	assert.equal(pit.read(0) | (pit.read(0) << 8), 0xe00, "no latch: as it is now");
	pit.write(3, 1, 0xc2);
	assert.equal(pit.read(0), 0xb4);
	assert.equal(pit.read(0) | (pit.read(0) << 8), 0xe00);
});

test("IRQ 0 at 100 Hz: exactly 11932 clocks apart, no drift after a minute", () => {
	const clock = new VirtualClock();
	const line = new RecordingLine();
	const pit = new Pit8254(clock, line);
	pit.write(3, 1, 0x34);
	pit.write(0, 1, 11932 & 0xff);
	pit.write(0, 1, 11932 >> 8);
	const start = line.edges;
	while (clock.nextAlarm() <= 60_000_000_000) clock.advanceTo(clock.nextAlarm());
	clock.advanceTo(60_000_000_000);
	assert.equal(line.edges - start, Math.floor((60 * PIT_HERTZ - 1) / 11932));
	const next = clock.nextAlarm();
	assert.equal(next, rate.timeOfTick(rate.ticksAt(next)));
});

test("port 0x61 gates counter 2 and shows its output, as a delay loop uses it", () => {
	const clock = new VirtualClock();
	const pit = new Pit8254(clock, new RecordingLine());
	const port = new SystemControlPortB(clock, pit);
	port.write(0, 1, 0x00);
	pit.write(3, 1, 0xb0);
	pit.write(2, 1, 0xff);
	pit.write(2, 1, 0x7f);
	assert.equal(port.read() & 0x20, 0);
	clock.advanceTo(100_000_000);
	assert.equal(port.read() & 0x20, 0, "the gate is low");
	port.write(0, 1, 0x01);
	const begin = rate.ticksAt(clock.now());
	clock.advanceTo(rate.timeOfTick(begin + 0x7fff));
	assert.equal(port.read() & 0x20, 0);
	clock.advanceTo(rate.timeOfTick(begin + 0x8000));
	assert.equal(port.read() & 0x2f, 0x21);
	const refresh = port.read() & 0x10;
	clock.advanceTo(clock.now() + 15_085);
	assert.notEqual(port.read() & 0x10, refresh);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const pit = new Pit8254(clock, new RecordingLine());
		return {
			device: pit,
			blocks: [{ block: pit, length: 4 }],
			stimuli: [(value) => pit.setGate2((value & 1) !== 0)],
		};
	});
	checkHostileGuest((clock) => {
		const port = new SystemControlPortB(clock, { setGate2: () => {}, output: () => true });
		return { device: port, blocks: [{ block: port, length: 1 }] };
	});
});
