import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { Uart16550 } from "./uart16550.ts";

function makeUart() {
	const irq = new RecordingLine();
	const sent: number[] = [];
	const uart = new Uart16550(irq, (byte) => sent.push(byte));
	return { uart, irq, sent, out: (offset: number, value: number) => uart.write(offset, 1, value) };
}

test("polled output: each byte goes out and the transmitter is empty again", () => {
	const { uart, sent, out, irq } = makeUart();
	for (const byte of Buffer.from("hello")) {
		assert.equal(uart.read(5) & 0x60, 0x60);
		out(0, byte);
	}
	assert.equal(Buffer.from(sent).toString(), "hello");
	assert.equal(irq.edges, 0);
});

test("the divisor latch hides data and IER behind DLAB", () => {
	const { uart, sent, out } = makeUart();
	out(3, 0x83);
	out(0, 0x01);
	out(1, 0x02);
	assert.deepEqual([uart.read(0), uart.read(1)], [1, 2]);
	out(3, 0x03);
	assert.equal(uart.read(1), 0);
	assert.deepEqual(sent, []);
});

test("detection as Linux does it: IER, scratch, FIFO bits of IIR, loopback of the modem lines", () => {
	const { uart, out } = makeUart();
	out(1, 0xff);
	assert.equal(uart.read(1), 0x0f);
	out(1, 0);
	out(7, 0xa5);
	assert.equal(uart.read(7), 0xa5);
	out(2, 0x01);
	assert.equal(uart.read(2) & 0xc0, 0xc0);
	out(2, 0x00);
	assert.equal(uart.read(2) & 0xc0, 0x00);
	out(4, 0x1a);
	assert.equal(uart.read(6) & 0xf0, 0x90);
});

test("transmitter-empty interrupt: raised on enabling, cleared by IIR, raised again by each byte", () => {
	const { uart, irq, out } = makeUart();
	out(4, 0x08);
	out(1, 0x02);
	assert.equal(irq.level, true);
	assert.equal(uart.read(2), 0x02);
	assert.equal(irq.level, false);
	assert.equal(uart.read(2), 0x01);
	out(0, 0x41);
	assert.equal(irq.level, true);
	assert.equal(irq.edges, 2);
	out(1, 0);
	assert.equal(irq.level, false);
});

test("interrupt priorities: line status, received data, transmitter, modem", () => {
	const { uart, out } = makeUart();
	out(1, 0x0f);
	out(4, 0x10);
	out(0, 1);
	out(0, 2);
	const seen = [uart.read(2)];
	uart.read(5);
	seen.push(uart.read(2));
	assert.equal(uart.read(0), 2, "without FIFOs the second byte replaces the first");
	seen.push(uart.read(2), uart.read(2));
	uart.read(6);
	seen.push(uart.read(2));
	assert.deepEqual(seen, [0x06, 0x04, 0x02, 0x00, 0x01]);
});

test("input fills the FIFO, tells trigger or timeout, refills as it is read, and is bounded", () => {
	const { uart, irq, out } = makeUart();
	out(2, 0x81);
	out(1, 0x01);
	out(4, 0x08);
	assert.equal(uart.receive([1, 2, 3]), 3);
	assert.equal(uart.read(2), 0xcc);
	assert.equal(uart.receive(new Uint8Array(20).fill(7)), 20);
	assert.equal(uart.read(2), 0xc4);
	assert.equal(irq.level, true);
	const got = [];
	while (uart.read(5) & 1) got.push(uart.read(0));
	assert.equal(got.length, 23);
	assert.equal(irq.level, false);
	assert.equal(uart.receive(new Uint8Array(10_000)), 4096);
	assert.equal(uart.receive([1, 2]), 2, "16 of them went on into the FIFO");
});

test("no interrupt leaves the serial port in loopback, with or without OUT2", () => {
	const { irq, out } = makeUart();
	out(1, 0x02);
	assert.equal(irq.level, true, "OUT2 is off");
	out(4, 0x10);
	assert.equal(irq.level, false);
	out(4, 0x08);
	assert.equal(irq.level, true);
	out(4, 0x18);
	assert.equal(irq.level, false);
});

test("loopback with FIFOs overruns after 16 bytes and keeps them", () => {
	const { uart, sent, out } = makeUart();
	out(2, 0x01);
	out(4, 0x10);
	for (let i = 0; i < 17; i++) out(0, i);
	assert.equal(uart.read(5) & 0x03, 0x03);
	assert.equal(uart.read(5) & 0x02, 0);
	for (let i = 0; i < 16; i++) assert.equal(uart.read(0), i);
	assert.equal(uart.read(5) & 1, 0);
	assert.deepEqual(sent, []);
});

test("a hostile guest", () => {
	checkHostileGuest(() => {
		const { uart } = makeUart();
		return {
			device: uart,
			blocks: [{ block: uart, length: 8 }],
			stimuli: [(value) => uart.receive(new Uint8Array(value & 31).fill(value >> 8))],
		};
	});
});
