import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { I8042 } from "./i8042.ts";
import { keyNames, scanCodes, translate, translateByte } from "./scan-codes.ts";

function makeController() {
	const [irq1, irq12] = [new RecordingLine(), new RecordingLine()];
	const seen: string[] = [];
	const device = new I8042(
		irq1,
		irq12,
		(enabled) => seen.push(`A20 ${enabled}`),
		() => seen.push("reset"),
	);
	const command = (value: number) => device.command.write(0, 1, value);
	const data = (value: number) => device.data.write(0, 1, value);
	const status = () => device.command.read(0, 1);
	const drain = () => {
		const bytes: number[] = [];
		while (status() & 1) bytes.push(device.data.read(0, 1));
		return bytes;
	};
	return { device, irq1, irq12, seen, command, data, status, drain };
}

test("keys arrive in set 1, each byte with an interrupt", () => {
	const { device, irq1, drain } = makeController();
	device.key("KeyA", true);
	device.key("KeyA", false);
	device.key("ArrowUp", true);
	device.key("ArrowUp", false);
	assert.deepEqual(drain(), [0x1e, 0x9e, 0xe0, 0x48, 0xe0, 0xc8]);
	assert.equal(irq1.edges, 6);
	assert.equal(irq1.level, false);
	assert.equal(device.key("LaunchMail", true), false);
	assert.equal(device.key("constructor", true), false);
});

test("without translation the keys are in set 2", () => {
	const { device, command, data, drain } = makeController();
	command(0x60);
	data(0x01);
	device.key("KeyA", true);
	device.key("KeyA", false);
	assert.deepEqual(drain(), [0x1c, 0xf0, 0x1c]);
});

test("every key has its own set 1 code below 0x80, and F7 and Print Screen the right ones", () => {
	const codes = keyNames.map((name) => translate(scanCodes(name, true)!).bytes.join());
	assert.equal(new Set(codes).size, codes.length);
	assert.equal(translateByte(0x83), 0x41);
	assert.deepEqual(translate(scanCodes("PrintScreen", true)!).bytes, [0xe0, 0x37]);
	assert.deepEqual(translate(scanCodes("Pause", true)!).bytes, [0xe1, 0x1d, 0x45, 0xe1, 0x9d, 0xc5]);
});

test("the initialization of a driver: self test, line tests, command byte, keyboard reset and identification", () => {
	const { command, data, drain, status } = makeController();
	command(0xad);
	command(0xaa);
	assert.deepEqual(drain(), [0x55]);
	assert.equal(status() & 0x04, 0x04);
	command(0xab);
	command(0xa9);
	assert.deepEqual(drain(), [0, 0]);
	command(0x20);
	assert.deepEqual(drain(), [0x75]);
	command(0xae);
	data(0xff);
	assert.deepEqual(drain(), [0xfa, 0xaa]);
	data(0xf2);
	assert.deepEqual(drain(), [0xfa, 0xab, 0x41]);
	data(0xed);
	data(0x02);
	data(0xf3);
	data(0x00);
	data(0xf0);
	data(0x03);
	assert.deepEqual(drain(), [0xfa, 0xfa, 0xfa, 0xfa, 0xfa, 0xfe]);
	data(0xee);
	assert.deepEqual(drain(), [0xee]);
});

test("a disabled keyboard keeps its keys until it is enabled, 16 bytes and an overrun", () => {
	const { device, command, data, drain } = makeController();
	command(0x60);
	data(0x10);
	for (let i = 0; i < 20; i++) device.key("KeyA", true);
	assert.deepEqual(drain(), []);
	command(0xae);
	assert.deepEqual(drain(), [...new Array(16).fill(0x1c), 0]);
});

test("reset pulse and A20 gate", () => {
	const { command, data, seen, drain } = makeController();
	command(0xfe);
	command(0xff);
	command(0xd1);
	data(0xdd);
	command(0xdf);
	command(0xd0);
	assert.deepEqual(seen, ["reset", "A20 false", "A20 true"]);
	assert.equal(drain()[0]! & 3, 3);
});

test("the mouse answers through command 0xd4 and reports movement on IRQ 12", () => {
	const { device, command, data, drain, irq12, status } = makeController();
	command(0xa8);
	command(0x60);
	data(0x47);
	const mouse = (value: number) => {
		command(0xd4);
		data(value);
		return drain();
	};
	assert.deepEqual(mouse(0xff), [0xfa, 0xaa, 0x00]);
	assert.deepEqual(mouse(0xf2), [0xfa, 0x00]);
	device.mouse(5, 5, 0);
	assert.equal(status() & 1, 0, "silent until enabled");
	assert.deepEqual(mouse(0xf4), [0xfa]);
	device.mouse(1, -2, 1);
	assert.equal(status() & 0x21, 0x21);
	assert.deepEqual(drain(), [0x09, 6, 3]);
	device.mouse(-300, 0, 0);
	assert.deepEqual(drain(), [0x18, 1, 0, 0x18, 211, 0]);
	assert.ok(irq12.edges > 0);
	assert.deepEqual(mouse(0xe9), [0xfa, 0x20, 2, 100]);
});

test("command 0xd3 loops a byte back as the mouse's, as drivers probe", () => {
	const { command, data, status, device } = makeController();
	command(0xd3);
	data(0x5a);
	assert.equal(status() & 0x21, 0x21);
	assert.equal(device.data.read(0, 1), 0x5a);
});

test("a hostile guest", () => {
	checkHostileGuest(() => {
		const { device } = makeController();
		return {
			device,
			blocks: [
				{ block: device.data, length: 1 },
				{ block: device.command, length: 1 },
			],
			stimuli: [
				(value) => void device.key(keyNames[value % keyNames.length]!, (value & 0x100) !== 0),
				(value) => device.mouse((value & 0xfff) - 2048, (value >> 12) & 0xff, value >>> 24),
			],
		};
	}, 300);
});
