import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { AcpiPower, PM_TIMER_HERTZ } from "./acpi-power.ts";
import { VirtualClock } from "./clock.ts";
import { DebugConsole } from "./debug-console.ts";
import { DebugExit } from "./debug-exit.ts";
import { Dma8237 } from "./dma8237.ts";
import { FastA20 } from "./fast-a20.ts";
import { FwCfg } from "./fw-cfg.ts";
import { PostCode } from "./post-code.ts";

test("debug exit tells the value; the debug console its bytes and its presence; port 0x80 keeps the code", () => {
	const values: number[] = [];
	new DebugExit((value) => values.push(value)).write(0, 4, 0x10);
	assert.deepEqual(values, [0x10]);
	const bytes: number[] = [];
	const console = new DebugConsole((byte) => bytes.push(byte));
	assert.equal(console.read(), 0xe9);
	for (const byte of Buffer.from("hi")) console.write(0, 1, byte);
	assert.equal(Buffer.from(bytes).toString(), "hi");
	const post = new PostCode();
	post.write(0, 1, 0x5a);
	assert.equal(post.read(), 0x5a);
});

test("port 0x92: A20 on change, reset on the rising edge", () => {
	const seen: string[] = [];
	const port = new FastA20(
		(enabled) => seen.push(`A20 ${enabled}`),
		() => seen.push("reset"),
	);
	assert.equal(port.read(), 2);
	port.write(0, 1, 2);
	port.write(0, 1, 0);
	port.write(0, 1, 2);
	port.write(0, 1, 3);
	port.write(0, 1, 3);
	assert.deepEqual(seen, ["A20 false", "A20 true", "reset"]);
});

test("DMA: address registers through the flip-flop, page registers, mask", () => {
	const dma = new Dma8237();
	dma.first.write(12, 1, 0);
	dma.first.write(4, 1, 0x34);
	dma.first.write(4, 1, 0x12);
	dma.first.write(12, 1, 0);
	assert.deepEqual([dma.first.read(4, 1), dma.first.read(4, 1)], [0x34, 0x12]);
	assert.equal(dma.second.read(0x1e, 1), 0x0f);
	dma.second.write(0x14, 1, 0x01);
	assert.equal(dma.second.read(0x1e, 1), 0x0d);
	dma.pages.write(0, 1, 0x77);
	assert.equal(dma.pages.read(0, 1), 0x77);
});

const configuration = {
	cpuCount: 1,
	memoryBytes: 0x1000_0000,
	memoryMap: [
		{ base: 0, length: 0x9_fc00, type: 1 },
		{ base: 0x10_0000, length: 0xff0_0000, type: 1 },
	],
	files: { "opt/hello": Uint8Array.from([1, 2, 3]) },
};

test("fw_cfg: signature, sizes, and files found through the directory", () => {
	const device = new FwCfg(configuration);
	const item = (key: number, length: number) => {
		device.write(0, 2, key);
		return Buffer.from(Array.from({ length }, () => device.read(1, 1)));
	};
	assert.equal(item(0, 4).toString(), "QEMU");
	assert.equal(item(1, 4).readUInt32LE(), 1);
	assert.equal(item(5, 2).readUInt16LE(), 1);
	assert.equal(item(3, 8).readBigUInt64LE(), 0x1000_0000n);
	const directory = item(0x19, 4 + 2 * 64);
	assert.equal(directory.readUInt32BE(0), 2);
	assert.match(directory.subarray(12, 68).toString(), /^etc\/e820\0/);
	const map = item(directory.readUInt16BE(8), directory.readUInt32BE(4));
	assert.equal(map.length, 40);
	assert.equal(map.readBigUInt64LE(20), 0x10_0000n);
	assert.equal(map.readUInt32LE(36), 1);
	assert.deepEqual([...item(directory.readUInt16BE(72), 5)], [1, 2, 3, 0, 0]);
	assert.equal(item(0x1234, 1)[0], 0);
	assert.throws(() => new FwCfg({ ...configuration, files: { ["x".repeat(56)]: new Uint8Array() } }), RangeError);
});

test("fw_cfg: a kernel in its parts with their sizes; without one they are empty", () => {
	const part = (...bytes: number[]) => Uint8Array.from(bytes);
	const kernel = { setup: part(1, 2), kernel: part(3, 4, 5), initrd: part(6), commandLine: part(0x61, 0) };
	const device = new FwCfg({ ...configuration, kernel });
	const item = (from: FwCfg, key: number, length: number) => {
		from.write(0, 2, key);
		return Array.from({ length }, () => from.read(1, 1));
	};
	for (const [sizeKey, dataKey, bytes] of [
		[0x17, 0x18, kernel.setup],
		[0x08, 0x11, kernel.kernel],
		[0x0b, 0x12, kernel.initrd],
		[0x14, 0x15, kernel.commandLine],
	] as const) {
		assert.deepEqual(item(device, sizeKey, 4), [bytes.length, 0, 0, 0]);
		assert.deepEqual(item(device, dataKey, bytes.length + 1), [...bytes, 0]);
	}
	assert.deepEqual(item(new FwCfg(configuration), 0x08, 4), [0, 0, 0, 0]);
});

test("power off by S5; another sleep type is told; SLP_EN reads 0", () => {
	const seen: string[] = [];
	const power = new AcpiPower(
		new VirtualClock(),
		new RecordingLine(),
		() => seen.push("off"),
		(type) => seen.push(`sleep ${type}`),
	);
	power.write(4, 2, 0x0001);
	power.write(4, 2, 0x2401);
	assert.equal(power.read(4, 2), 0x0401);
	power.write(4, 2, 0x2001);
	assert.deepEqual(seen, ["sleep 1", "off"]);
});

test("the power management timer counts 3.579545 MHz in 24 bits and interrupts each half wrap", () => {
	const clock = new VirtualClock();
	const sci = new RecordingLine();
	const power = new AcpiPower(clock, sci, () => {});
	clock.advanceTo(1_000_000_000);
	assert.equal(power.read(8, 4), PM_TIMER_HERTZ);
	power.write(2, 2, 1);
	power.write(4, 2, 1);
	clock.advanceTo(10_000_000_000);
	assert.equal(power.read(8, 4), (10 * PM_TIMER_HERTZ) % 0x100_0000);
	assert.equal(sci.level, true);
	power.write(0, 2, 1);
	assert.equal(sci.level, false);
	assert.ok(clock.nextAlarm() < 13_000_000_000);
	clock.advanceTo(clock.nextAlarm());
	assert.equal(sci.level, true);
	power.pressPowerButton();
	assert.equal(power.read(0, 2), 0x101);
});

test("a hostile guest", () => {
	const plain = <T extends import("./device.ts").Device & import("./device.ts").RegisterBlock>(
		device: T,
		length: number,
	) => ({
		device,
		blocks: [{ block: device, length }],
	});
	checkHostileGuest(() => plain(new DebugExit(() => {}), 4), 30);
	checkHostileGuest(() => plain(new DebugConsole(() => {}), 1), 30);
	checkHostileGuest(() => plain(new PostCode(), 1), 30);
	checkHostileGuest(
		() =>
			plain(
				new FastA20(
					() => {},
					() => {},
				),
				1,
			),
		30,
	);
	checkHostileGuest(() => plain(new FwCfg(configuration), 2), 50);
	checkHostileGuest((clock) => plain(new AcpiPower(clock, new RecordingLine(), () => {}), 12));
	checkHostileGuest(() => {
		const device = new Dma8237();
		return {
			device,
			blocks: [
				{ block: device.first, length: 16 },
				{ block: device.second, length: 32 },
				{ block: device.pages, length: 15 },
			],
		};
	});
});
