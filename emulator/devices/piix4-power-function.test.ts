import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { AcpiPower } from "./acpi-power.ts";
import { VirtualClock } from "./clock.ts";
import type { AccessSize } from "./device.ts";
import { IoPortBus } from "./io-port-bus.ts";
import { MemoryBus } from "./memory-bus.ts";
import { INTERRUPT_LINE } from "./pci-configuration-space.ts";
import { PciBus } from "./pci-host-bridge.ts";
import { Piix4PowerFunction } from "./piix4-power-function.ts";
import { UnassignedRange } from "./unassigned-range.ts";

/** PMBA and PMREGMISC. */
const BASE = 0x40;
const DECODE = 0x80;
const CONTROL = 4;
const TIMER = 8;

function setUp(firmware: boolean) {
	const clock = new VirtualClock();
	const ports = new IoPortBus(new UnassignedRange("ports"));
	const bus = new PciBus(ports, new MemoryBus(new UnassignedRange("memory")));
	const power = new AcpiPower(clock, new RecordingLine(), () => {});
	const device = new Piix4PowerFunction(bus, ports, power, firmware);
	device.reset();
	clock.advanceTo(1_000_000_000);
	return { clock, ports, bus, device, configuration: device.configuration };
}

const ABSENT = 0xffffffff;
const ONE_SECOND = 3_579_545;

test("without firmware the power registers lie at 0x600, and the function says so", () => {
	const { ports, bus, configuration } = setUp(false);
	assert.equal(bus.find(1, 3)!.configuration, configuration);
	assert.equal(configuration.read(0, 4), 0x7113_8086);
	assert.equal(configuration.read(BASE, 4), 0x601);
	assert.equal(configuration.read(INTERRUPT_LINE, 1), 9);
	assert.equal(ports.read(0x600 + TIMER, 4), ONE_SECOND);
});

test("firmware places the power registers, moves them and turns them off", () => {
	const { ports, configuration } = setUp(true);
	assert.equal(ports.read(0x600 + TIMER, 4), ABSENT);
	configuration.write(BASE, 4, 0xb000);
	assert.equal(ports.read(0xb000 + TIMER, 4), ABSENT);
	configuration.write(DECODE, 1, 1);
	assert.equal(configuration.read(BASE, 4), 0xb001);
	assert.equal(ports.read(0xb000 + TIMER, 4), ONE_SECOND);
	configuration.write(BASE, 4, 0x640);
	assert.equal(ports.read(0xb000 + TIMER, 4), ABSENT);
	assert.equal(ports.read(0x640 + TIMER, 4), ONE_SECOND);
	configuration.write(DECODE, 1, 0);
	assert.equal(ports.read(0x640 + TIMER, 4), ABSENT);
});

test("registers of another device are not hidden by the block, and the state brings the place back", () => {
	const { ports, device, configuration } = setUp(true);
	ports.register(0x700, 4, { read: () => 0x12, write: () => {} }, "another");
	configuration.write(DECODE, 1, 1);
	configuration.write(BASE, 4, 0x700);
	assert.equal(ports.read(0x700, 1), 0x12);
	configuration.write(BASE, 4, 0x740);
	const state = device.save();
	device.reset();
	assert.equal(ports.read(0x740 + TIMER, 4), ABSENT);
	device.restore(state);
	assert.equal(ports.read(0x740 + TIMER, 4), ONE_SECOND);
});

test("firmware that looks finds its system-management handler installed", () => {
	assert.notEqual(setUp(true).configuration.read(0x58, 4) & (1 << 25), 0);
});

test("a hostile guest", () => {
	checkHostileGuest(() => {
		const { device, configuration } = setUp(true);
		const block = {
			read: (offset: number, size: AccessSize) => configuration.read(offset, size),
			write: (offset: number, size: AccessSize, value: number) => configuration.write(offset, size, value),
		};
		return { device, blocks: [{ block, length: 256 }] };
	}, 50);
});

test("ACPI mode is on and stays on, for nothing could turn it on", () => {
	const { ports } = setUp(false);
	assert.equal(ports.read(0x600 + CONTROL, 2), 1);
	ports.write(0x600 + CONTROL, 2, 0);
	assert.equal(ports.read(0x600 + CONTROL, 2), 1);
});
