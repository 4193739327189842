import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../test/tools/hostile-guest.ts";
import { IoPortBus } from "./io-port-bus.ts";
import { MemoryBus } from "./memory-bus.ts";
import { PciConfigurationSpace } from "./pci-configuration-space.ts";
import { PciBus, PciHostBridge } from "./pci-host-bridge.ts";
import { Piix3IsaBridge } from "./piix3-isa-bridge.ts";
import { SharedInterruptLine } from "./shared-interrupt-line.ts";
import { UnassignedRange } from "./unassigned-range.ts";

const registersOf = (value: number) => ({ read: () => value, write: () => {} });

function makePci() {
	const ports = new IoPortBus(new UnassignedRange("ports"));
	const memory = new MemoryBus(new UnassignedRange("memory"));
	const bus = new PciBus(ports, memory);
	const seen: string[] = [];
	const bridge = new PciHostBridge(
		bus,
		() => seen.push("reset"),
		(pam) => seen.push(`pam ${pam[1]}`),
	);
	const lines = Array.from({ length: 16 }, () => new RecordingLine());
	// As in a machine: each call makes one more driver of a shared line.
	const shared = lines.map((line) => new SharedInterruptLine(line));
	const isa = new Piix3IsaBridge(bus, (irq) => shared[irq]!.driver());
	ports.register(0xcf8, 8, bridge, bridge.name);
	const configuration = new PciConfigurationSpace(
		{
			vendor: 0x1234,
			device: 0x5678,
			classCode: 0x02_0000,
			interruptPin: 1,
			baseAddresses: {
				0: { space: "io", size: 32, block: registersOf(0x11), name: "card ports" },
				1: { space: "memory32", size: 4096, block: registersOf(0x22), name: "card registers" },
				2: { space: "memory64", size: 0x10000, prefetchable: true, block: registersOf(0x33), name: "card window" },
			},
		},
		bus,
	);
	bus.add(3, 0, { name: "card", configuration });
	const select = (device: number, register: number) =>
		ports.write(0xcf8, 4, (0x8000_0000 | (device << 11) | (register & 0xfc)) >>> 0);
	const input = (device: number, register: number, size: 1 | 2 | 4 = 4) => {
		select(device, register);
		return ports.read(0xcfc + (register & 3), size);
	};
	const output = (device: number, register: number, size: 1 | 2 | 4, value: number) => {
		select(device, register);
		ports.write(0xcfc + (register & 3), size, value);
	};
	return { ports, memory, bus, bridge, isa, lines, seen, input, output, configuration };
}

test("enumeration finds the bridges and the card; an empty slot, another bus and a disabled address read all ones", () => {
	const { input, ports } = makePci();
	assert.equal(input(0, 0), 0x1237_8086);
	assert.equal(input(1, 0), 0x7000_8086);
	assert.equal(input(1, 0x0e, 1), 0x80);
	assert.equal(input(3, 2, 2), 0x5678);
	assert.equal(input(3, 8), 0x0200_0000);
	assert.equal(input(4, 0), 0xffff_ffff);
	ports.write(0xcf8, 4, 0x8001_0000);
	assert.equal(ports.read(0xcfc, 4), 0xffff_ffff);
	ports.write(0xcf8, 4, 0);
	assert.equal(ports.read(0xcfc, 4), 0xffff_ffff);
});

test("the address register is there for probing and only as a dword", () => {
	const { ports } = makePci();
	ports.write(0xcf8, 4, 0x8000_0000);
	assert.equal(ports.read(0xcf8, 4), 0x8000_0000);
	ports.write(0xcf8, 1, 0x40);
	assert.equal(ports.read(0xcf8, 4), 0x8000_0000);
});

test("base address registers are sized, mapped by the command bits, moved and unmapped", () => {
	const { input, output, ports, memory } = makePci();
	for (const [register, expected] of [
		[0x10, 0xffff_ffe1],
		[0x14, 0xffff_f000],
		[0x18, 0xffff_000c],
		[0x1c, 0xffff_ffff],
		[0x20, 0],
		[0x30, 0],
	] as const) {
		output(3, register, 4, 0xffff_ffff);
		assert.equal(input(3, register), expected);
	}
	output(3, 0x10, 4, 0xc000);
	output(3, 0x14, 4, 0xfeb0_0000);
	output(3, 0x18, 4, 0);
	output(3, 0x1c, 4, 0x10);
	assert.equal(ports.read(0xc000, 1), 0xff);
	output(3, 4, 2, 0x3);
	assert.equal(ports.read(0xc000, 1), 0x11);
	assert.equal(memory.read(0xfeb0_0000, 4), 0x22);
	assert.equal(memory.read(0x10_0000_0000, 4), 0x33);
	output(3, 0x10, 4, 0xc100);
	assert.equal(ports.read(0xc000, 1), 0xff);
	assert.equal(ports.read(0xc100, 1), 0x11);
	output(3, 4, 2, 0);
	assert.equal(ports.read(0xc100, 1), 0xff);
	assert.equal(input(3, 4, 2), 0);
});

test("a range put over another device is not decoded, and is as soon as the place is free", () => {
	const { bus, output, ports, configuration } = makePci();
	const second = new PciConfigurationSpace(
		{
			vendor: 1,
			device: 2,
			classCode: 0,
			baseAddresses: { 0: { space: "io", size: 16, block: registersOf(0x44), name: "second card" } },
		},
		bus,
	);
	bus.add(4, 0, { name: "second", configuration: second });
	output(3, 0x10, 4, 0xc000);
	output(3, 4, 2, 1);
	output(4, 0x10, 4, 0xc010);
	output(4, 4, 2, 1);
	assert.equal(ports.read(0xc010, 1), 0x11);
	assert.match(second.registers().find((view) => view.name === "BAR0")!.meaning!, /another device is there/);
	output(3, 0x10, 4, 0xd000);
	assert.equal(ports.read(0xc010, 1), 0x44);
	assert.equal(configuration.baseAddress(0), 0xd000);
	output(3, 0x10, 4, 0xcf0);
	assert.equal(configuration.baseAddress(0), undefined, "0xcf8 keeps its owner");
});

test("PIRQ routing: disabled at reset, shared, and moved with the register", () => {
	const { isa, lines, output } = makePci();
	const a = isa.line(3, 0, 1);
	const b = isa.line(7, 0, 1);
	a.set(true);
	assert.ok(lines.every((line) => !line.level));
	output(1, 0x62, 1, 0x0b);
	assert.equal(lines[11]!.level, true);
	b.set(true);
	a.set(false);
	assert.equal(lines[11]!.level, true);
	output(1, 0x62, 1, 0x0a);
	assert.deepEqual([lines[11]!.level, lines[10]!.level], [false, true]);
	b.set(false);
	assert.equal(lines[10]!.level, false);
	output(1, 0x62, 1, 0x08);
	assert.equal(isa.route(2), undefined, "IRQ 8 cannot be had");
});

test("port 0xcf9 resets on the rising edge of its bit 2; PAM registers tell of the shadow RAM", () => {
	const { ports, output, seen } = makePci();
	ports.write(0xcf9, 1, 0x02);
	assert.deepEqual(seen.length, 0);
	ports.write(0xcf9, 1, 0x06);
	output(0, 0x5a, 1, 0x33);
	assert.deepEqual(seen, ["reset", "pam 51"]);
});

test("a shared line is asserted while any of its drivers is", () => {
	const line = new RecordingLine();
	const shared = new SharedInterruptLine(line);
	const [one, two] = [shared.driver(), shared.driver()];
	one.set(true);
	two.set(true);
	one.set(false);
	assert.equal(line.level, true);
	two.set(false);
	assert.equal(line.level, false);
});

test("a hostile guest", () => {
	checkHostileGuest(() => {
		const { bridge, bus, ports, memory } = makePci();
		const block = {
			read: (offset: number, size: 1 | 2 | 4) => (offset < 0x1_0000 ? ports : memory).read(offset, size),
			write: (offset: number, size: 1 | 2 | 4, value: number) => ports.write(offset, size, value),
		};
		return {
			device: bridge,
			blocks: [
				{ block: bridge, length: 8 },
				{ block: block, length: 0x1_0000 },
			],
			stimuli: [
				(value) => bus.find(0, 0)!.configuration.write(value & 0xfc, 4, value >>> 0),
				(value) => bridge.write(0, 4, (0x8000_0000 | (value & 0x3c)) >>> 0),
			],
		};
	});
	checkHostileGuest(() => {
		const { isa } = makePci();
		return {
			device: isa,
			blocks: [{ block: isa.configuration, length: 256 }],
			stimuli: [(value) => isa.line(value & 31, (value >> 5) & 7, 1 + ((value >> 8) & 3)).set((value & 0x1000) !== 0)],
		};
	});
	checkHostileGuest(() => {
		const { configuration } = makePci();
		const device = {
			name: "card",
			reset: () => configuration.reset(),
			save: () => configuration.save(),
			restore: (state: unknown) => configuration.restore(state),
			registers: () => configuration.registers(),
		};
		return { device, blocks: [{ block: configuration, length: 256 }] };
	});
});
