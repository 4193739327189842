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

test("graphics memory is refused once, in a sentence", () => {
	const { vga, said } = makeVga();
	vga.window.write(0, 4, 0xffff_ffff);
	assert.equal(vga.window.read(0, 1), 0xff);
	assert.equal(said.length, 1);
	assert.match(said[0]!, /0xa0000/);
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
