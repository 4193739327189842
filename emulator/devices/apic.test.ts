import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest } from "../../test/tools/hostile-guest.ts";
import { ApicBus } from "./apic-bus.ts";
import { VirtualClock } from "./clock.ts";
import { IoApic } from "./io-apic.ts";
import { LocalApic } from "./local-apic.ts";

function makeApic(clock = new VirtualClock(), bus = new ApicBus(), id = 0) {
	const seen: string[] = [];
	const apic = new LocalApic(id, {
		clock,
		bus,
		interruptPending: (pending) => seen.push(pending ? "intr" : "no intr"),
		acknowledgeExternal: () => 0x08,
		nonMaskable: () => seen.push("nmi"),
		systemManagement: () => seen.push("smi"),
		init: () => seen.push("init"),
		startUp: (vector) => seen.push(`sipi ${vector}`),
		timeOfTsc: (tsc) => Number(tsc),
	});
	const out = (offset: number, value: number) => apic.write(offset, 4, value);
	const input = (offset: number) => apic.read(offset, 4);
	return { apic, seen, out, input, clock, bus };
}
const enable = 0x1ff;
const fixed = (vector: number, levelTriggered = false) => ({
	destination: 0,
	logical: false,
	deliveryMode: 0,
	vector,
	levelTriggered,
});

test("vectors are delivered by class, held by TPR and by what is in service", () => {
	const { apic, out, input, seen } = makeApic();
	out(0xf0, enable);
	apic.accept(fixed(0x41));
	apic.accept(fixed(0x52));
	assert.equal(apic.acknowledge(), 0x52);
	assert.equal(input(0xa0), 0x50);
	assert.deepEqual(seen, ["intr", "no intr"], "0x41 waits for 0x52");
	out(0x80, 0x45);
	out(0xb0, 0);
	assert.equal(seen.length, 2, "the task priority class is 4");
	out(0x80, 0x3f);
	assert.equal(seen.length, 3);
	assert.equal(apic.acknowledge(), 0x41);
	assert.equal(apic.acknowledge(), 0xff, "spurious");
});

test("software disabled: fixed interrupts are not accepted, LVT entries are masked, NMI passes", () => {
	const { apic, out, input, seen } = makeApic();
	out(0x320, 0x40);
	assert.equal(input(0x320), 0x1_0040);
	apic.accept(fixed(0x40));
	apic.accept({ ...fixed(0), deliveryMode: 4 });
	assert.deepEqual(seen, ["nmi"]);
});

test("timer: one-shot counts down at the divided rate and fires once", () => {
	const { apic, out, input, clock } = makeApic();
	out(0xf0, enable);
	out(0x3e0, 0x3);
	out(0x320, 0x30);
	out(0x380, 1000);
	clock.advanceTo(4000);
	assert.equal(input(0x390), 750);
	assert.equal(clock.nextAlarm(), 16_000);
	clock.advanceTo(16_000);
	assert.equal(input(0x390), 0);
	assert.equal(apic.acknowledge(), 0x30);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
});

test("timer: periodic keeps its phase; masking stops alarms, not the count", () => {
	const { apic, out, input, clock } = makeApic();
	out(0xf0, enable);
	out(0x3e0, 0xb);
	out(0x320, 0x2_0030);
	out(0x380, 10_000);
	clock.advanceTo(10_000);
	assert.equal(apic.acknowledge(), 0x30);
	out(0xb0, 0);
	clock.advanceTo(34_000);
	assert.equal(input(0x390), 6_000);
	assert.equal(clock.nextAlarm(), 40_000);
	out(0x320, 0x3_0030);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
	clock.advanceTo(55_000);
	assert.equal(input(0x390), 5_000);
	out(0x320, 0x2_0030);
	assert.equal(clock.nextAlarm(), 60_000);
});

test("timer: a period of one tick cannot flood the machine with alarms", () => {
	const { out, clock } = makeApic();
	out(0xf0, enable);
	out(0x3e0, 0xb);
	out(0x320, 0x2_0030);
	out(0x380, 1);
	let alarms = 0;
	while (clock.nextAlarm() <= 1_000_000) {
		clock.advanceTo(clock.nextAlarm());
		alarms++;
	}
	assert.ok(alarms <= 1001, `${alarms}`);
});

test("timer: TSC deadline fires once and reads zero after", () => {
	const { apic, out, clock } = makeApic();
	out(0xf0, enable);
	out(0x320, 0x4_0031);
	apic.writeTscDeadline(5_000n);
	assert.equal(apic.tscDeadline, 5_000n);
	clock.advanceTo(5_000);
	assert.equal(apic.acknowledge(), 0x31);
	assert.equal(apic.tscDeadline, 0n);
	apic.writeTscDeadline(0xffff_ffff_ffff_ffffn);
	assert.equal(clock.nextAlarm(), Number.POSITIVE_INFINITY);
});

test("LINT0 as ExtINT passes the 8259A's vector; masked it does not; disabled it goes straight through", () => {
	const { apic, out, seen } = makeApic();
	out(0xf0, enable);
	apic.lint0.set(true);
	assert.equal(seen.length, 0);
	out(0x350, 0x700);
	assert.equal(seen[0], "intr");
	assert.equal(apic.acknowledge(), 0x08);
	apic.lint0.set(false);
	assert.equal(apic.writeBaseMsr(0xfee0_0100n), true);
	apic.lint0.set(true);
	assert.equal(apic.acknowledge(), 0x08);
	apic.lint1.set(true);
	assert.ok(seen.includes("nmi"));
});

test("virtual wire mode, as firmware leaves it, passes the 8259A pair and NMI", () => {
	const { apic, seen } = makeApic();
	apic.enterVirtualWireMode();
	apic.lint0.set(true);
	apic.lint1.set(true);
	assert.deepEqual(seen, ["intr", "nmi"]);
	assert.equal(apic.acknowledge(), 0x08);
});

test("IPIs: self, to an ID, INIT and SIPI to all others, logical flat and cluster", () => {
	const bus = new ApicBus();
	const clock = new VirtualClock();
	const one = makeApic(clock, bus, 0);
	const two = makeApic(clock, bus, 1);
	one.out(0xf0, enable);
	two.out(0xf0, enable);
	one.out(0x300, 0x4_0044);
	assert.equal(one.apic.acknowledge(), 0x44);
	one.out(0x310, 1 << 24);
	one.out(0x300, 0x45);
	assert.equal(two.apic.acknowledge(), 0x45);
	one.out(0x300, 0xc_4500);
	one.out(0x300, 0xc_4609);
	assert.deepEqual(two.seen.slice(-2), ["init", "sipi 9"]);
	assert.ok(!one.seen.includes("init"));
	two.out(0xd0, 0x0400_0000);
	one.out(0x310, 0x0400_0000);
	one.out(0x300, 0x0866);
	two.out(0xb0, 0);
	assert.equal(two.apic.acknowledge(), 0x66);
	two.out(0xb0, 0);
	two.out(0xe0, 0x0fff_ffff);
	two.out(0xd0, 0x2100_0000);
	one.out(0x310, 0x2100_0000);
	one.out(0x300, 0x0867);
	assert.equal(two.apic.acknowledge(), 0x67);
});

test("illegal vectors and registers show in ESR after a write to it, and raise the error interrupt once", () => {
	const { apic, out, input } = makeApic();
	out(0xf0, enable);
	out(0x370, 0x70);
	out(0x300, 0x4_0005);
	assert.equal(input(0x280), 0);
	out(0x280, 0);
	assert.equal(input(0x280), 0x20);
	assert.equal(apic.acknowledge(), 0x70);
	input(0x3f0);
	out(0x280, 0);
	assert.equal(input(0x280), 0x80);
});

test("x2APIC: modes change as the SDM allows, MSRs that do not exist are refused, self IPI", () => {
	const { apic } = makeApic();
	assert.equal(apic.readX2apic(2), undefined);
	assert.equal(apic.writeBaseMsr(0xfee0_0d00n), true);
	assert.equal(apic.writeBaseMsr(0xfee0_0900n), false);
	assert.equal(apic.writeX2apic(0x0f, 0x1ffn), true);
	assert.equal(apic.writeX2apic(0x3f, 0x50n), true);
	assert.equal(apic.acknowledge(), 0x50);
	assert.equal(apic.writeX2apic(0x0b, 1n), false);
	assert.equal(apic.writeX2apic(0x0b, 0n), true);
	assert.equal(apic.readX2apic(0x0e), undefined);
	assert.equal(apic.readX2apic(0x0d), 1n);
	assert.equal(apic.writeX2apic(0x30, 0x0000_0000_0000_0051n), true);
	assert.equal(apic.acknowledge(), 0x51);
});

test("INIT clears the registers and keeps ID and base; power-on makes all new", () => {
	const { apic, out, input } = makeApic();
	assert.equal(apic.writeBaseMsr(0xfed0_0900n), true);
	out(0x20, 0x0700_0000);
	out(0xf0, enable);
	apic.accept(fixed(0x40));
	apic.initialize();
	assert.equal(apic.baseMsr, 0xfed0_0900n);
	assert.equal(input(0x20), 0x0700_0000);
	assert.deepEqual([input(0xf0), input(0x220)], [0xff, 0]);
	apic.reset();
	assert.equal(apic.baseMsr, 0xfee0_0900n);
	assert.equal(input(0x20), 0);
});

test("I/O APIC: edges are sent once and lost while masked", () => {
	const { apic, out, bus } = makeApic();
	const io = new IoApic(bus);
	out(0xf0, enable);
	const redirect = (entry: number, low: number) => {
		io.write(0, 4, 0x10 + 2 * entry);
		io.write(0x10, 4, low);
	};
	io.write(0, 1, 1);
	assert.equal(io.read(0x10, 4), 0x17_0011);
	io.line(4).set(true);
	redirect(4, 0x34);
	assert.equal(apic.acknowledge(), 0xff);
	io.line(4).set(false);
	io.line(4).set(true);
	assert.equal(apic.acknowledge(), 0x34);
});

test("I/O APIC: a level stays until its EOI and asks again while the line is asserted", () => {
	const { apic, out, bus } = makeApic();
	const io = new IoApic(bus);
	out(0xf0, enable);
	io.write(0, 4, 0x10 + 2 * 11);
	io.write(0x10, 4, 0x803b);
	io.line(11).set(true);
	assert.equal(io.read(0x10, 4), 0xc03b, "remote IRR");
	assert.equal(apic.acknowledge(), 0x3b);
	out(0xb0, 0);
	assert.equal(apic.acknowledge(), 0x3b);
	io.line(11).set(false);
	out(0xb0, 0);
	assert.equal(io.read(0x10, 4), 0x803b);
	assert.equal(apic.acknowledge(), 0xff);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const { apic } = makeApic(clock);
		apic.write(0xf0, 4, enable);
		return {
			device: apic,
			blocks: [{ block: apic, length: 0x400 }],
			stimuli: [
				(value) => apic.lint0.set((value & 1) !== 0),
				(value) => apic.lint1.set((value & 1) !== 0),
				(value) => void apic.writeBaseMsr(BigInt(value & 0xf00) | 0xfee0_0000n),
				(value) => void apic.writeX2apic(value & 0x3f, BigInt(value >>> 6)),
				(value) => void apic.readX2apic(value & 0x3f),
				(value) => apic.writeRegister((value >> 8) & 0x3f, value),
				(value) => apic.writeTscDeadline(BigInt(value)),
				() => void apic.acknowledge(),
				(value) => apic.accept(fixed(value & 0xff, (value & 0x100) !== 0)),
			],
		};
	}, 300);
	checkHostileGuest(() => {
		const io = new IoApic(new ApicBus());
		return {
			device: io,
			blocks: [{ block: io, length: 0x14 }],
			stimuli: [(value) => io.line(value % 24).set((value & 0x100) !== 0)],
		};
	});
});
