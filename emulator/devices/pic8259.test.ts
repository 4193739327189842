import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { Pic8259Pair } from "./pic8259.ts";

/** A pair initialized as Linux does: vectors 0x30 and 0x38, all unmasked. */
function makePair(icw4 = 0x01) {
	const intr = new RecordingLine();
	const pic = new Pic8259Pair(intr);
	const out = (port: "master" | "slave" | "elcr", offset: number, value: number) => pic[port].write(offset, 1, value);
	out("master", 0, 0x11);
	out("master", 1, 0x30);
	out("master", 1, 0x04);
	out("master", 1, icw4);
	out("slave", 0, 0x11);
	out("slave", 1, 0x38);
	out("slave", 1, 0x02);
	out("slave", 1, icw4);
	return { pic, intr, out };
}

test("an edge is delivered once, blocked while in service and while lower, and freed by a non-specific EOI", () => {
	const { pic, intr, out } = makePair();
	pic.line(3).set(true);
	assert.equal(intr.level, true);
	assert.equal(pic.acknowledge(), 0x33);
	assert.equal(intr.level, false);
	pic.line(4).set(true);
	assert.equal(intr.level, false, "IRQ 4 waits for IRQ 3");
	pic.line(1).set(true);
	assert.equal(pic.acknowledge(), 0x31);
	out("master", 0, 0x20);
	assert.equal(intr.level, false);
	out("master", 0, 0x20);
	assert.equal(pic.acknowledge(), 0x34);
	out("master", 0, 0x20);
	assert.equal(intr.level, false, "a high line without a new edge asks for nothing");
	pic.line(3).set(false);
	pic.line(3).set(true);
	assert.equal(intr.level, true);
});

test("the slave's interrupts come through IRQ 2 and need two EOIs", () => {
	const { pic, intr, out } = makePair();
	pic.line(12).set(true);
	pic.line(14).set(true);
	assert.equal(pic.acknowledge(), 0x3c);
	out("master", 0, 0x20);
	assert.equal(intr.level, false, "IRQ 14 waits in the slave");
	out("slave", 0, 0x20);
	assert.equal(pic.acknowledge(), 0x3e);
	pic.master.write(0, 1, 0x0b);
	assert.equal(pic.master.read(0, 1), 0x04);
	out("slave", 0, 0x66);
	out("master", 0, 0x62);
	assert.equal(pic.master.read(0, 1), 0);
});

test("a request that goes away before the acknowledge is a spurious IRQ 7, not in service", () => {
	const { pic, out } = makePair();
	pic.line(5).set(true);
	pic.line(5).set(false);
	assert.equal(pic.acknowledge(), 0x37);
	out("master", 0, 0x0b);
	assert.equal(pic.master.read(0, 1), 0);
	pic.line(10).set(true);
	pic.line(10).set(false);
	assert.equal(pic.acknowledge(), 0x37, "the slave takes its request back with it");
});

test("the mask holds a request back until it is lifted", () => {
	const { pic, intr, out } = makePair();
	out("master", 1, 0xff);
	pic.line(0).set(true);
	assert.equal(intr.level, false);
	assert.equal(pic.master.read(1, 1), 0xff);
	assert.equal(pic.master.read(0, 1), 0x01, "IRR shows masked requests");
	out("master", 1, 0xfe);
	assert.equal(pic.acknowledge(), 0x30);
});

test("a level-triggered input asks again as long as its line is high; ELCR leaves IRQ 0, 1, 2, 8, 13 alone", () => {
	const { pic, intr, out } = makePair();
	out("elcr", 0, 0xff);
	out("elcr", 1, 0xff);
	assert.equal(pic.elcr.read(0, 1), 0xf8);
	assert.equal(pic.elcr.read(1, 1), 0xde);
	pic.line(5).set(true);
	assert.equal(pic.acknowledge(), 0x35);
	out("master", 0, 0x20);
	assert.equal(intr.level, true);
	assert.equal(pic.acknowledge(), 0x35);
	pic.line(5).set(false);
	out("master", 0, 0x20);
	assert.equal(intr.level, false);
});

test("automatic EOI leaves nothing in service; rotation makes the served input the lowest", () => {
	const { pic, out } = makePair(0x03);
	pic.line(0).set(true);
	pic.line(1).set(true);
	assert.equal(pic.acknowledge(), 0x30);
	assert.equal(pic.acknowledge(), 0x31);
	out("master", 0, 0x80);
	pic.line(3).set(true);
	assert.equal(pic.acknowledge(), 0x33);
	for (const irq of [3, 4]) {
		pic.line(irq).set(false);
		pic.line(irq).set(true);
	}
	assert.equal(pic.acknowledge(), 0x34, "IRQ 3 is last now");
});

test("set priority, rotate on EOI", () => {
	const { pic, out } = makePair();
	out("master", 0, 0xc4);
	pic.line(0).set(true);
	pic.line(5).set(true);
	assert.equal(pic.acknowledge(), 0x35);
	out("master", 0, 0xa0);
	pic.line(5).set(false);
	pic.line(5).set(true);
	assert.equal(pic.acknowledge(), 0x30, "IRQ 5 has become the lowest");
});

test("special mask mode lets lower levels through while a masked one is in service", () => {
	const { pic, intr, out } = makePair();
	pic.line(1).set(true);
	assert.equal(pic.acknowledge(), 0x31);
	pic.line(6).set(true);
	assert.equal(intr.level, false);
	out("master", 1, 0x02);
	out("master", 0, 0x68);
	assert.equal(pic.acknowledge(), 0x36);
});

test("special fully nested mode passes a higher request of the slave in service", () => {
	const { pic, intr } = makePair(0x11);
	pic.line(12).set(true);
	assert.equal(pic.acknowledge(), 0x3c);
	pic.line(8).set(true);
	assert.equal(intr.level, true);
	assert.equal(pic.acknowledge(), 0x38);
});

test("poll acknowledges and tells the input, once", () => {
	const { pic, intr, out } = makePair();
	pic.line(6).set(true);
	out("master", 0, 0x0c);
	assert.equal(pic.master.read(0, 1), 0x86);
	assert.equal(intr.level, false);
	out("master", 0, 0x0c);
	assert.equal(pic.master.read(0, 1) & 0x80, 0);
	out("master", 0, 0x0b);
	assert.equal(pic.master.read(0, 1), 0x40);
});

test("a hostile guest", () => {
	checkHostileGuest(() => {
		const pic = new Pic8259Pair(new RecordingLine());
		return {
			device: pic,
			blocks: [
				{ block: pic.master, length: 2 },
				{ block: pic.slave, length: 2 },
				{ block: pic.elcr, length: 2 },
			],
			stimuli: [
				(value) => pic.line([0, 1, 3, 4, 8, 10, 14, 15][value & 7]!).set((value & 8) !== 0),
				() => {
					pic.acknowledge();
				},
			],
		};
	});
});
