// The devices of a PC wired together: what a timer tick passes through on its way to the processor.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ApicBus } from "./apic-bus.ts";
import { VirtualClock } from "./clock.ts";
import { IoApic } from "./io-apic.ts";
import { IoPortBus } from "./io-port-bus.ts";
import { LocalApic } from "./local-apic.ts";
import { MemoryBus } from "./memory-bus.ts";
import { Pic8259Pair } from "./pic8259.ts";
import { Pit8254 } from "./pit8254.ts";
import { Uart16550 } from "./uart16550.ts";
import { UnassignedRange } from "./unassigned-range.ts";

function makeMachine() {
	const clock = new VirtualClock();
	const apicBus = new ApicBus();
	let pending = false;
	const apic: LocalApic = new LocalApic(0, {
		clock,
		bus: apicBus,
		interruptPending: (level) => {
			pending = level;
		},
		acknowledgeExternal: () => pic.acknowledge(),
		nonMaskable: () => {},
		systemManagement: () => {},
		init: () => {},
		startUp: () => {},
		timeOfTsc: (tsc) => Number(tsc),
	});
	const pic = new Pic8259Pair(apic.lint0);
	const ioApic = new IoApic(apicBus);
	/** An ISA interrupt goes to both controllers; the timer is input 2 of the I/O APIC. */
	const isa = (irq: number) => {
		const lines = [pic.line(irq), ioApic.line(irq === 0 ? 2 : irq)];
		return {
			set: (asserted: boolean) => {
				for (const line of lines) line.set(asserted);
			},
		};
	};
	const pit = new Pit8254(clock, isa(0));
	const uart = new Uart16550(isa(4), () => {});
	const ports = new IoPortBus(new UnassignedRange("ports"));
	ports.register(0x20, 2, pic.master, "8259A master");
	ports.register(0xa0, 2, pic.slave, "8259A slave");
	ports.register(0x40, 4, pit, pit.name);
	ports.register(0x3f8, 8, uart, uart.name);
	const memory = new MemoryBus(new UnassignedRange("memory"));
	memory.register(0xfec0_0000, 0x1000, ioApic, ioApic.name);
	memory.register(0xfee0_0000, 0x1000, apic, apic.name);
	for (const [port, value] of [
		[0x20, 0x11],
		[0x21, 0x20],
		[0x21, 0x04],
		[0x21, 0x01],
		[0xa0, 0x11],
		[0xa1, 0x28],
		[0xa1, 0x02],
		[0xa1, 0x01],
	] as const)
		ports.write(port, 1, value);
	const startTimer = () => {
		ports.write(0x43, 1, 0x34);
		ports.write(0x40, 1, 0x9c);
		ports.write(0x40, 1, 0x2e);
	};
	return { clock, apic, pic, ports, memory, uart, startTimer, isPending: () => pending };
}

test("a timer tick through the 8259A and virtual wire", () => {
	const { clock, apic, ports, startTimer, isPending } = makeMachine();
	apic.enterVirtualWireMode();
	startTimer();
	for (let tick = 0; tick < 3; tick++) {
		if (tick > 0) while (!isPending()) clock.advanceTo(clock.nextAlarm());
		assert.equal(apic.acknowledge(), 0x20);
		assert.equal(isPending(), false);
		ports.write(0x20, 1, 0x20);
	}
	assert.ok(clock.now() > 10_000_000 && clock.now() < 21_000_000);
});

test("a timer tick and a character through the I/O APIC, as a kernel sets it up", () => {
	const { clock, apic, ports, memory, uart, startTimer, isPending } = makeMachine();
	ports.write(0x21, 1, 0xff);
	memory.write(0xfee0_00f0, 4, 0x1ff);
	for (const [register, value] of [
		[0x14, 0x31],
		[0x18, 0x34],
	] as const) {
		memory.write(0xfec0_0000, 4, register);
		memory.write(0xfec0_0010, 4, value);
	}
	ports.write(0x3f9, 1, 0x01);
	ports.write(0x3fc, 1, 0x0b);
	startTimer();
	uart.receive([0x41]);
	assert.equal(apic.acknowledge(), 0x34, "the higher vector first");
	assert.equal(ports.read(0x3f8, 1), 0x41);
	assert.equal(isPending(), false, "0x31 has the same class");
	memory.write(0xfee0_00b0, 4, 0);
	assert.equal(apic.acknowledge(), 0x31, "the timer's output rose with its mode");
	memory.write(0xfee0_00b0, 4, 0);
	while (!isPending()) clock.advanceTo(clock.nextAlarm());
	assert.equal(apic.acknowledge(), 0x31);
});
