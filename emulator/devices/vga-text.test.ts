import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest } from "../../test/tools/hostile-guest.ts";
import { VirtualClock } from "./clock.ts";
import { codePage437 } from "./code-page-437.ts";
import { VgaText } from "./vga-text.ts";

function makeVga(clock = new VirtualClock()) {
	const said: string[] = [];
	const vga = new VgaText(clock, (sentence) => said.push(sentence));
	const out = (port: number, value: number) => vga.ports.write(port - 0x3c0, 1, value);
	const input = (port: number) => vga.ports.read(port - 0x3c0, 1);
	const crtc = (index: number, value: number) => {
		out(0x3d4, index);
		out(0x3d5, value);
	};
	const print = (row: number, column: number, text: string, attribute = 0x07) =>
		[...Buffer.from(text)].forEach((code, i) => {
			vga.window.write(0x1_8000 + 2 * (80 * row + column + i), 2, code | (attribute << 8));
		});
	return { clock, vga, out, input, crtc, print, said };
}

test("what is written at 0xb8000 is on the 80 by 25 screen, with attributes and colours", () => {
	const { vga, print } = makeVga();
	print(0, 0, "Hello");
	print(24, 78, "!!", 0x1f);
	const text = vga.text();
	assert.equal(text.length, 25);
	assert.equal(text[0], "Hello");
	assert.equal(text[24], `${" ".repeat(78)}!!`);
	const screen = vga.screen();
	assert.equal(screen.attributes[24 * 80 + 79], 0x1f);
	assert.deepEqual(
		[screen.colors[1], screen.colors[6], screen.colors[15]],
		[0x0000aa, 0xaa5500, 0xffffff],
		"blue, brown, white",
	);
	assert.equal(vga.window.read(0x1_8000, 4), 0x0765_0748);
});

test("the cursor follows its registers and the start address scrolls", () => {
	const { vga, crtc, print } = makeVga();
	crtc(0x0e, (81 * 3) >> 8);
	crtc(0x0f, 81 * 3);
	assert.deepEqual(vga.screen().cursor, { row: 3, column: 3 });
	print(1, 0, "second");
	crtc(0x0d, 80);
	assert.equal(vga.text()[0], "second");
	assert.deepEqual(vga.screen().cursor, { row: 2, column: 3 });
	crtc(0x0a, 0x20);
	assert.equal(vga.screen().cursor, undefined);
});

test("registers read back; CRTC 0-7 are protected; status 1 resets the attribute flip-flop", () => {
	const { out, input, crtc } = makeVga();
	crtc(0x01, 0x27);
	assert.equal(input(0x3d5), 0x4f);
	crtc(0x11, 0x0e);
	crtc(0x01, 0x27);
	assert.equal(input(0x3d5), 0x27);
	out(0x3c0, 0x21);
	input(0x3da);
	out(0x3c0, 0x30);
	assert.equal(input(0x3c0), 0x30);
	out(0x3c0, 0x0a);
	assert.equal(input(0x3c1), 0x0a);
	out(0x3c8, 5);
	for (const part of [1, 2, 3]) out(0x3c9, part);
	out(0x3c7, 5);
	assert.deepEqual([input(0x3c9), input(0x3c9), input(0x3c9)], [1, 2, 3]);
	assert.equal(input(0x3cc), 0x67);
});

test("retrace comes once a frame, as loops wait for it", () => {
	const { clock, input } = makeVga();
	let rises = 0;
	let before = 0;
	for (let time = 0; time < 1_000_000_000; time += 20_000) {
		clock.advanceTo(time);
		const retrace = input(0x3da) & 8;
		if (retrace && !before) rises++;
		before = retrace;
	}
	assert.equal(rises, 70);
});

/** Sets registers of the sequencer (0x3c4) or the graphics controller (0x3ce). */
function setRegisters(vga: VgaText, port: 0x3c4 | 0x3ce, values: Readonly<Record<number, number>>): void {
	for (const [index, value] of Object.entries(values)) {
		vga.ports.write(port - 0x3c0, 1, Number(index));
		vga.ports.write(port - 0x3bf, 1, value);
	}
}

test("graphics memory is not there in text mode; that it is not drawn is said once", () => {
	const { vga, said } = makeVga();
	vga.window.write(0, 4, 0x1234_5678);
	assert.equal(vga.window.read(0, 4), 0xffff_ffff);
	setRegisters(vga, 0x3ce, { 6: 0x05 });
	vga.window.write(0, 1, 1);
	vga.window.write(1, 1, 1);
	assert.equal(said.length, 1);
	assert.match(said[0]!, /0xa0000/);
});

test("mode 13h: each byte of the window is a pixel, over all 64000 of them", () => {
	const { vga } = makeVga();
	setRegisters(vga, 0x3c4, { 2: 0x0f, 4: 0x0e });
	setRegisters(vga, 0x3ce, { 5: 0x40, 6: 0x05 });
	for (let at = 0; at < 64000; at += 4) vga.window.write(at, 4, Math.imul(at, 0x9e3779b1) >>> 0);
	for (let at = 0; at < 64000; at += 4) assert.equal(vga.window.read(at, 4), Math.imul(at, 0x9e3779b1) >>> 0);
	assert.equal(vga.graphicsMode, true);
	// Unchained, a pixel is in the plane of its number modulo 4.
	setRegisters(vga, 0x3c4, { 4: 0x06 });
	setRegisters(vga, 0x3ce, { 4: 3 });
	assert.equal(vga.window.read(8, 1), (Math.imul(8, 0x9e3779b1) >>> 24) & 0xff);
});

test("planar modes: map mask, set/reset, rotation, logic with the latches, bit mask, the four write modes and both read modes", () => {
	const { vga } = makeVga();
	setRegisters(vga, 0x3c4, { 2: 0x0f, 4: 0x06 });
	setRegisters(vga, 0x3ce, { 5: 0x00, 6: 0x05 });
	const planes = (at: number) => {
		setRegisters(vga, 0x3ce, { 5: 0x00 });
		return [0, 1, 2, 3].map((plane) => {
			setRegisters(vga, 0x3ce, { 4: plane });
			return vga.window.read(at, 1);
		});
	};
	setRegisters(vga, 0x3c4, { 2: 0x05 });
	vga.window.write(0, 1, 0xa5);
	assert.deepEqual(planes(0), [0xa5, 0, 0xa5, 0], "the map mask");
	setRegisters(vga, 0x3c4, { 2: 0x0f });
	setRegisters(vga, 0x3ce, { 0: 0x02, 1: 0x03 });
	vga.window.write(1, 1, 0x3c);
	assert.deepEqual(planes(1), [0, 0xff, 0x3c, 0x3c], "set/reset in planes 0 and 1");
	setRegisters(vga, 0x3ce, { 1: 0, 3: 4 });
	vga.window.write(2, 1, 0x12);
	assert.deepEqual(planes(2), [0x21, 0x21, 0x21, 0x21], "rotation");
	setRegisters(vga, 0x3ce, { 3: 0x18, 8: 0x0f });
	vga.window.read(1, 1);
	vga.window.write(1, 1, 0xff);
	assert.deepEqual(planes(1), [0x0f, 0xf0, 0x33, 0x33], "exclusive or within the bit mask");
	setRegisters(vga, 0x3ce, { 3: 0, 8: 0xff, 5: 0x01 });
	vga.window.read(1, 1);
	vga.window.write(3, 1, 0x77);
	assert.deepEqual(planes(3), [0x0f, 0xf0, 0x33, 0x33], "write mode 1 copies the latches");
	setRegisters(vga, 0x3ce, { 5: 0x02 });
	vga.window.write(4, 1, 0x09);
	assert.deepEqual(planes(4), [0xff, 0, 0, 0xff], "write mode 2 spreads a colour");
	setRegisters(vga, 0x3ce, { 0: 0x06, 5: 0x03 });
	vga.window.read(4, 1);
	vga.window.write(4, 1, 0xf0);
	assert.deepEqual(planes(4), [0x0f, 0xf0, 0xf0, 0x0f], "write mode 3 has the data as a mask");
	setRegisters(vga, 0x3ce, { 2: 0x06, 5: 0x08, 7: 0x0f });
	assert.equal(vga.window.read(4, 1), 0xf0, "read mode 1 compares the colour");
});

test("odd and even addresses reach odd and even planes", () => {
	const { vga } = makeVga();
	setRegisters(vga, 0x3c4, { 2: 0x03, 4: 0x02 });
	setRegisters(vga, 0x3ce, { 5: 0x10, 6: 0x06 });
	vga.window.write(0, 2, 0x0741);
	assert.equal(vga.window.read(0, 2), 0x0741);
	setRegisters(vga, 0x3c4, { 4: 0x06 });
	setRegisters(vga, 0x3ce, { 4: 1 });
	assert.equal(vga.window.read(0, 1), 0x07);
});

test("the planes are saved with the rest", () => {
	const { vga } = makeVga();
	setRegisters(vga, 0x3c4, { 2: 0x0f, 4: 0x0e });
	setRegisters(vga, 0x3ce, { 6: 0x05 });
	vga.window.write(5, 1, 0x42);
	const state = vga.save();
	vga.reset();
	assert.equal(vga.window.read(5, 1), 0xff);
	vga.restore(state);
	assert.equal(vga.window.read(5, 1), 0x42);
});

test("code page 437 has 256 characters", () => {
	assert.equal(codePage437.length, 256);
	assert.ok(codePage437.every((character) => character?.length === 1));
	assert.deepEqual([codePage437[0x41], codePage437[0xdb], codePage437[0xfe], codePage437[0x1f]], ["A", "█", "■", "▼"]);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const { vga } = makeVga(clock);
		return {
			device: vga,
			blocks: [
				{ block: vga.ports, length: 32 },
				{ block: vga.window, length: 0x2_0000 },
			],
			stimuli: [
				(value) => {
					vga.ports.write(0x14, 1, value & 31);
					vga.ports.write(0x15, 1, value >>> 8);
				},
				() => void vga.text(),
			],
		};
	}, 80);
});
