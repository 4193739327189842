import assert from "node:assert/strict";
import { test } from "node:test";
import { DmaEngineControl, DmaEngineRegister, DmaEngineStatus } from "../../devices/dma-engine.ts";
import { DMA_ENGINE_SOURCE, IDE_SOURCE } from "../../machine/optional-devices.ts";
import { startPassthrough } from "./test-passthrough.ts";

const REGISTERS = 0xe000_0000;
/** The capability of the engine. */
const [CONTROL, ADDRESS, ADDRESS_HIGH, DATA] = [0x52, 0x54, 0x58, 0x5c];
const GUEST_VECTOR = 0x41;
const FAULT_VECTOR = 0xd0;

function start(iommu = true) {
	const machine = startPassthrough(iommu);
	const { guest, host } = machine;
	guest.reset();
	const select = (offset: number) => guest.ports.write(0xcf8, 4, 0x8000_2000 + (offset & 0xfc));
	const read = (offset: number, size: 1 | 2 | 4) => {
		select(offset);
		return guest.ports.read(0xcfc + (offset & 3), size);
	};
	const write = (offset: number, size: 1 | 2 | 4, value: number) => {
		select(offset);
		guest.ports.write(0xcfc + (offset & 3), size, value);
	};
	write(0x10, 4, REGISTERS);
	write(0x04, 2, 6);
	/** Lets the engine fill 64 bytes of guest memory, which ends with an interrupt. */
	const fill = () => {
		const set = (offset: number, value: number) => guest.memory.write(REGISTERS + offset, 4, value);
		set(DmaEngineRegister.status, DmaEngineStatus.done);
		set(DmaEngineRegister.destination, 0x1000);
		set(DmaEngineRegister.length, 64);
		set(DmaEngineRegister.control, DmaEngineControl.start | DmaEngineControl.fill | DmaEngineControl.interruptEnable);
		host.clock.advanceTo(host.clock.now() + 1000);
	};
	const enable = (address: number, data: number) => {
		write(ADDRESS, 4, address);
		write(ADDRESS_HIGH, 4, 0);
		write(DATA, 2, data);
		write(CONTROL, 2, 1);
	};
	/** Vectors that wait in a local APIC. */
	const waiting = (of: "host" | "guest") =>
		(of === "host" ? host.devices : guest).localApic.registers().find(({ name }) => name === "IRR")!.value;
	/** The first entries of the interrupt-remapping table, as quadwords from host memory. */
	const entries = () => {
		const table = Number(host.devices.memory.read(0xfed9_00b8, 4) & ~0xfff) >>> 0;
		const bytes = host.physical.peek(table, 64)!;
		const view = new DataView(bytes.buffer, bytes.byteOffset);
		return [0, 1].map((i) => [view.getBigUint64(16 * i, true), view.getBigUint64(16 * i + 8, true)]);
	};
	const interruptLine = () => {
		guest.ports.write(0xa0, 1, 0x0a);
		return guest.ports.read(0xa0, 1) & 0x0c;
	};
	return { ...machine, read, write, fill, enable, waiting, entries, interruptLine };
}

test("the guest finds the capability in the list, with one vector; what else lies behind the header it does not get", () => {
	const { read, write } = start();
	assert.equal(read(0x06, 1) & 0x10, 0x10);
	assert.equal(read(0x34, 1), 0x50);
	assert.equal(read(0x50, 4), 0x0080_0005);
	write(CONTROL, 2, 0xffff);
	assert.equal(read(CONTROL, 2), 0x81);
	write(0x60, 4, 0xffff_ffff);
	assert.equal(read(0x60, 4), 0);
});

test("a message goes by an entry of its own to the host, and from there to the guest's local APIC as the guest has it", () => {
	const { enable, fill, waiting, interrupt, entries, host, read, interruptLine } = start();
	assert.deepEqual(entries(), [
		[0n, 0n],
		[0n, 0n],
	]);
	enable(0xfee0_0000, GUEST_VECTOR);
	// Present, vector 0xd1; requester 00:04.0, all its bits compared (VT-d specification 3.3, §9.10).
	assert.deepEqual(entries()[0], [0xd1_0001n, 0x4_0020n]);
	host.devices.ports.write(0xcf8, 4, 0x8000_2054);
	assert.equal(host.devices.ports.read(0xcfc, 4), 0xfee0_0010);
	assert.equal(read(ADDRESS, 4), 0xfee0_0000);
	fill();
	assert.equal(waiting("guest"), 0n, "before the VMM has taken it");
	assert.equal(interrupt(), 0xd1);
	assert.equal(waiting("guest"), 1n << BigInt(GUEST_VECTOR));
	assert.equal(waiting("host"), 0n);
	assert.equal(interruptLine(), 0, "no line beside the message");
	assert.equal(host.devices.optional!.iommu!.blocked, 0);
});

test("without messages the line is used; turned off, the entry is gone, and a message of the engine's own making is stopped", () => {
	const { enable, fill, waiting, write, entries, host, faults, interrupt, interruptLine } = start();
	enable(0xfee0_0000, GUEST_VECTOR);
	fill();
	interrupt();
	write(CONTROL, 2, 0);
	assert.equal(entries()[0]![0], 0n);
	fill();
	assert.notEqual(interruptLine(), 0);
	const { path } = host.devices.optional!;
	const message = new Uint8Array(4);
	assert.equal(path.write(DMA_ENGINE_SOURCE, "DMA engine", 0xfee0_0010n, message), false);
	assert.equal(interrupt(), FAULT_VECTOR);
	assert.deepEqual(faults, [{ source: DMA_ENGINE_SOURCE, reason: 0x22, information: 0n, read: false }]);
	assert.equal(waiting("host"), 0n);
});

test("no other requester uses the entry, and no message passes in compatibility format", () => {
	const { enable, host, faults, interrupt, waiting } = start();
	enable(0xfee0_0000, GUEST_VECTOR);
	const { path } = host.devices.optional!;
	assert.equal(path.write(IDE_SOURCE, "PIIX3 IDE", 0xfee0_0010n, new Uint8Array(4)), false);
	assert.equal(path.write(DMA_ENGINE_SOURCE, "DMA engine", 0xfee0_0000n, Uint8Array.of(0xd1, 0, 0, 0)), false);
	assert.equal(interrupt(), FAULT_VECTOR);
	assert.deepEqual(
		faults.map(({ source, reason }) => [source, reason]),
		[
			[IDE_SOURCE, 0x26],
			[DMA_ENGINE_SOURCE, 0x25],
		],
	);
	assert.equal(waiting("host"), 0n);
});

test("faults in numbers: the records are taken and freed, an overflow is cleared, and the next fault interrupts again", () => {
	const { host, faults, interrupt } = start();
	const { path } = host.devices.optional!;
	const stray = (page: number) => path.write(DMA_ENGINE_SOURCE, "DMA engine", BigInt(page) << 12n, Uint8Array.of(1));
	for (let i = 0; i < 11; i++) stray(0x9_0000 + i);
	assert.equal(interrupt(), FAULT_VECTOR);
	assert.deepEqual(
		faults.map(({ information }) => Number(information >> 12n)),
		Array.from({ length: 8 }, (_, i) => 0x9_0000 + i),
	);
	for (let i = 0; i < 3; i++) {
		stray(0xa_0000 + i);
		assert.equal(interrupt(), FAULT_VECTOR);
		assert.equal(faults.at(-1)!.information, BigInt(0xa_0000 + i) << 12n);
	}
	assert.equal(faults.length, 11);
	assert.equal(host.devices.memory.read(0xfed9_0034, 4) & 0xff, 0, "FSTS");
});

test("a message to memory is a write of the guest's memory, and one to nowhere is lost", () => {
	const { enable, write, fill, interrupt, memory, waiting } = start();
	enable(0x3000, 0xabcd);
	fill();
	interrupt();
	assert.deepEqual([...memory.peek(0x3000, 4)!], [0xcd, 0xab, 0, 0]);
	write(ADDRESS_HIGH, 4, 0xffff_ffff);
	fill();
	interrupt();
	assert.equal(waiting("guest"), 0n);
});

test("a reset of the guest closes the way; without a remapping unit the message goes to the host's processor directly", () => {
	const { enable, entries, passthrough, host } = start();
	enable(0xfee0_0000, GUEST_VECTOR);
	passthrough.reset();
	assert.equal(entries()[0]![0], 0n);
	host.devices.ports.write(0xcf8, 4, 0x8000_2050);
	assert.equal(host.devices.ports.read(0xcfe, 2), 0x80);
	const bare = start(false);
	bare.enable(0xfee0_0000, GUEST_VECTOR);
	bare.fill();
	bare.interrupt();
	assert.equal(bare.waiting("guest"), 1n << BigInt(GUEST_VECTOR));
});
