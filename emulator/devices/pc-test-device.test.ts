import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { PcTestDevice } from "./pc-test-device.ts";

test("scratch ports and memory keep bytes, words and doublewords", () => {
	const device = new PcTestDevice(() => new RecordingLine());
	device.scratch.write(0, 4, 0x89abcdef);
	device.scratch.write(1, 1, 0x55);
	assert.equal(device.scratch.read(0, 4) >>> 0, 0x89ab55ef);
	assert.equal(device.scratch.read(2, 2), 0x89ab);
	device.memory.write(0xfffc, 4, 0xdeadbeef);
	assert.equal(device.memory.read(0xfffc, 4), 0xdeadbeef);
	assert.equal(device.memory.read(0xfffe, 2), 0xdead);
});

test("a port for each interrupt line drives its level, and reset lets go", () => {
	const lines = Array.from({ length: 24 }, () => new RecordingLine());
	const device = new PcTestDevice((number) => lines[number]!);
	device.interrupts.write(11, 4, 1);
	assert.equal(lines[11]!.level, true);
	device.interrupts.write(11, 4, 0);
	assert.equal(lines[11]!.level, false);
	device.interrupts.write(23, 1, 7);
	device.reset();
	assert.equal(lines[23]!.level, false);
});

test("hostile guest", () => {
	checkHostileGuest(() => {
		const device = new PcTestDevice(() => new RecordingLine());
		const blocks = [
			{ block: device.scratch, length: 4 },
			{ block: device.interrupts, length: 24 },
			{ block: device.memory, length: 0x10000 },
		];
		return { device, blocks };
	});
});
