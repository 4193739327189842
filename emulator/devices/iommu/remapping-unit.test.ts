import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest } from "../../../test/tools/hostile-guest.ts";
import type { InterruptMessage } from "../apic-bus.ts";
import { DmaPath } from "../dma-port.ts";
import { FaultReason } from "./fault-reason.ts";
import { Global, Offset, QueueError } from "./register-map.ts";
import { RemappingUnit, type StoppedRequest } from "./remapping-unit.ts";

const MEMORY = 0x20_0000;
const SOURCE = 0x20;
const ROOT = 0x1000;
const CONTEXTS = 0x2000;
const QUEUE = 0x8000;
const INTERRUPTS = 0x9000;
const READ_WRITE = 3n;

function make() {
	const memory = new Uint8Array(MEMORY);
	const view = new DataView(memory.buffer);
	const messages: InterruptMessage[] = [];
	const stopped: StoppedRequest[] = [];
	const dmaMemory = {
		read: (address: number, length: number) =>
			address + length <= MEMORY ? memory.slice(address, address + length) : undefined,
		write: (address: number, bytes: Uint8Array) => {
			if (address + bytes.length > MEMORY) return false;
			memory.set(bytes, address);
			return true;
		},
	};
	const unit = new RemappingUnit(dmaMemory, (message) => messages.push(message) > 0);
	unit.onStopped = (request) => stopped.push(request);
	const path = new DmaPath(dmaMemory, () => assert.fail("an interrupt passed the unit by"));
	path.remapping = unit;
	const port = path.port(SOURCE, "device");
	const put = (address: number, value: bigint) => view.setBigUint64(address, value, true);
	const context = (levels: number, table: number, type = 0, domain = 5) => {
		put(ROOT, BigInt(CONTEXTS) | 1n);
		put(CONTEXTS + 16 * SOURCE, BigInt(table) | BigInt(type << 2) | 1n);
		put(CONTEXTS + 16 * SOURCE + 8, BigInt((domain << 8) | (levels - 2)));
	};
	const status = () => unit.read(Offset.globalStatus, 4);
	const command = (bits: number) => unit.write(Offset.globalCommand, 4, bits >>> 0);
	const enable = (more = 0) => {
		unit.write(Offset.rootTable, 4, ROOT);
		command(Global.setRootTable);
		command(Global.translationEnable | more);
	};
	/** Second-level tables of three levels at 0x3000, one mapping: page 0x5000 of the device is `target`. */
	const threeLevels = (target: number, rights = READ_WRITE) => {
		context(3, 0x3000);
		put(0x3000, 0x4000n | READ_WRITE);
		put(0x4000, 0x5000n | READ_WRITE);
		put(0x5000 + 8 * 5, BigInt(target) | rights);
	};
	const reason = () => stopped.at(-1)?.reason;
	const invalidateAll = () => {
		unit.write(Offset.contextCommand, 4, 0);
		unit.write(Offset.contextCommand + 4, 4, 0xa000_0000);
		unit.write(Offset.invalidateIotlb + 4, 4, 0x9000_0000);
	};
	return {
		memory,
		view,
		messages,
		stopped,
		unit,
		port,
		put,
		context,
		command,
		status,
		enable,
		threeLevels,
		reason,
		invalidateAll,
	};
}

test("before translation is enabled device addresses are host addresses", () => {
	const { port, memory, unit } = make();
	assert.equal(port.write(0x5004n, Uint8Array.of(9)), true);
	assert.equal(memory[0x5004], 9);
	assert.deepEqual([unit.translated, unit.blocked], [0, 0]);
});

test("a device address goes through root, context and three levels; a range goes page by page", () => {
	const { port, memory, enable, threeLevels, put, unit } = make();
	threeLevels(0x1_0000);
	put(0x5000 + 8 * 6, 0x1_7000n | READ_WRITE);
	enable();
	assert.equal(port.write(0x5ffen, Uint8Array.of(1, 2, 3, 4)), true);
	assert.deepEqual([...memory.subarray(0x1_0ffe, 0x1_1000)], [1, 2]);
	assert.deepEqual([...memory.subarray(0x1_7000, 0x1_7002)], [3, 4]);
	assert.deepEqual([...port.read(0x5ffen, 4)!], [1, 2, 3, 4]);
	assert.deepEqual([unit.translated, unit.blocked], [4, 0]);
});

test("four and five levels, large pages of 2 MiB and 1 GiB, pass-through", () => {
	const { port, memory, enable, context, put, invalidateAll } = make();
	memory[0x1_2345] = 77;
	const byte = (address: bigint) => port.read(address, 1)?.[0];
	context(4, 0x3000);
	put(0x3000 + 8 * 511, 0x4000n | READ_WRITE);
	put(0x4000 + 8, 0x5000n | READ_WRITE);
	put(0x5000 + 16, 0x6000n | READ_WRITE);
	put(0x6000 + 24, 0x1_2000n | READ_WRITE);
	enable();
	const address = (511n << 39n) | (1n << 30n) | (2n << 21n) | (3n << 12n) | 0x345n;
	assert.equal(byte(address), 77);
	context(5, 0x7000);
	put(0x7000 + 8 * 2, 0x3000n | READ_WRITE);
	invalidateAll();
	assert.equal(byte((2n << 48n) | address), 77);
	context(3, 0x4000);
	put(0x4000 + 16, 0x80n | READ_WRITE);
	put(0x5000 + 24, 0x80n | READ_WRITE);
	invalidateAll();
	assert.equal(byte((2n << 30n) | 0x1_2345n), 77);
	assert.equal(byte((1n << 30n) | (3n << 21n) | 0x1_2345n), 77);
	context(4, 0, 2);
	invalidateAll();
	assert.equal(byte(0x1_2345n), 77);
});

test("each way to be stopped has its reason, is recorded, and leaves memory alone", () => {
	const { port, memory, enable, threeLevels, put, reason, invalidateAll, context, unit, stopped } = make();
	threeLevels(0x1_0000, 1n);
	const before = memory.slice(0x1_0000);
	const write = (address: bigint) => {
		invalidateAll();
		assert.equal(port.write(address, Uint8Array.of(1)), false);
		return reason();
	};
	enable();
	assert.equal(write(0x5000n), FaultReason.writeDenied);
	assert.ok(port.read(0x5000n, 1));
	assert.equal(port.read(0x6000n, 1), undefined);
	assert.equal(reason(), FaultReason.readDenied);
	assert.equal(write(1n << 39n), FaultReason.addressBeyondWidth);
	put(0x5000 + 40, 0x1_0000n | READ_WRITE | 0x800n);
	assert.equal(write(0x5000n), FaultReason.secondLevelReserved);
	assert.equal(stopped.at(-1)!.detail, "SL-PTE 5 at 0x5028 is 0x10803: reserved bit 11 must be 0");
	put(0x4000, 0xf000_0000n | READ_WRITE);
	assert.equal(write(0x5000n), FaultReason.secondLevelTableAccess);
	put(CONTEXTS + 16 * SOURCE, 0x3011n);
	assert.equal(write(0x5000n), FaultReason.contextReserved);
	context(3, 0x3000, 1);
	assert.equal(write(0x5000n), FaultReason.contextInvalid);
	context(2, 0x3000);
	assert.equal(write(0x5000n), FaultReason.contextInvalid);
	put(CONTEXTS + 16 * SOURCE, 0n);
	assert.equal(write(0x5000n), FaultReason.contextNotPresent);
	put(ROOT, 0x2003n);
	assert.equal(write(0x5000n), FaultReason.rootReserved);
	put(ROOT, 0n);
	assert.equal(write(0x5000n), FaultReason.rootNotPresent);
	assert.deepEqual(memory.slice(0x1_0000), before);
	assert.equal(unit.blocked, stopped.length);
});

test("what is cached is used until it is invalidated, by domain, page and device", () => {
	const { port, memory, enable, threeLevels, put, unit, context } = make();
	threeLevels(0x1_0000);
	memory[0x1_0000] = 1;
	memory[0x1_1000] = 2;
	enable();
	const byte = () => port.read(0x5000n, 1)?.[0];
	assert.equal(byte(), 1);
	put(0x5000 + 40, 0x1_1000n | READ_WRITE);
	assert.equal(byte(), 1);
	const iotlb = (granularity: number, domain: number, address = 0) => {
		unit.write(Offset.invalidateAddress, 4, address);
		unit.write(Offset.invalidateIotlb + 4, 4, (0x8000_0000 | (granularity << 28) | domain) >>> 0);
		return (unit.read(Offset.invalidateIotlb + 4, 4) >>> 25) & 3;
	};
	assert.equal(iotlb(2, 6), 2);
	assert.equal(iotlb(3, 5, 0x6000), 3);
	assert.equal(byte(), 1);
	assert.equal(iotlb(3, 5, 0x4001), 3, "two pages from 0x4000");
	assert.equal(byte(), 2);
	put(CONTEXTS + 16 * SOURCE, 0n);
	assert.equal(byte(), 2);
	unit.write(Offset.contextCommand, 4, (SOURCE << 16) | 5);
	unit.write(Offset.contextCommand + 4, 4, 0xe000_0000);
	assert.equal((unit.read(Offset.contextCommand + 4, 4) >>> 27) & 3, 3);
	assert.equal(byte(), undefined);
	context(3, 0x3000);
	assert.equal(byte(), 2, "what is not present is not cached");
});

test("the queue invalidates, writes the status of a wait, and interrupts when asked", () => {
	const { port, memory, view, enable, threeLevels, put, unit, messages, command } = make();
	threeLevels(0x1_0000);
	memory[0x1_1000] = 2;
	enable();
	port.read(0x5000n, 1);
	put(0x5000 + 40, 0x1_1000n | READ_WRITE);
	unit.write(Offset.queueAddress, 4, QUEUE);
	command(Global.translationEnable | Global.queueEnable);
	unit.write(Offset.completionEvent + 4, 4, 0x51);
	unit.write(Offset.completionEvent + 8, 4, 0xfee0_0000);
	unit.write(Offset.completionEvent, 4, 0);
	put(QUEUE, 0x0005_0022n);
	put(QUEUE + 16, 0x1234_0000_0035n);
	put(QUEUE + 24, 0xa000n);
	unit.write(Offset.queueTail, 4, 32);
	assert.equal(unit.read(Offset.queueHead, 4), 32);
	assert.equal(port.read(0x5000n, 1)![0], 2);
	assert.equal(view.getUint32(0xa000, true), 0x1234);
	assert.equal(unit.read(Offset.completionStatus, 4), 1);
	assert.deepEqual(
		messages.map(({ vector }) => vector),
		[0x51],
	);
});

test("a wrong descriptor stops the queue until the error is cleared", () => {
	const { put, unit, command } = make();
	unit.write(Offset.queueAddress, 4, QUEUE);
	command(Global.queueEnable);
	put(QUEUE, 0xfn);
	unit.write(Offset.queueTail, 4, 16);
	assert.equal(unit.read(Offset.queueHead, 4), 0);
	assert.equal(unit.read(Offset.queueError, 4), QueueError.invalidDescriptor);
	assert.equal(unit.read(Offset.faultStatus, 4) & 0x10, 0x10);
	put(QUEUE, 0x12n);
	unit.write(Offset.faultStatus, 4, 0x10);
	assert.equal(unit.read(Offset.queueHead, 4), 16);
	assert.equal(unit.read(Offset.faultStatus, 4), 0);
});

test("faults fill their ring, interrupt once until the status is clean, then overflow", () => {
	const { port, enable, unit, messages } = make();
	unit.write(Offset.faultEvent + 4, 4, 0x61);
	unit.write(Offset.faultEvent + 8, 4, 0xfee0_0000);
	enable();
	port.write(0x1234_5678n, Uint8Array.of(1));
	assert.equal(messages.length, 0);
	unit.write(Offset.faultEvent, 4, 0);
	assert.equal(messages.length, 1, "unmasked, the waiting message goes out");
	assert.equal(unit.read(Offset.faultRecording, 4), 0x1234_5000);
	assert.equal(unit.read(Offset.faultRecording + 8, 4), SOURCE);
	assert.equal(unit.read(Offset.faultRecording + 12, 4), 0x8000_0001);
	for (let i = 0; i < 7; i++) port.read(0n, 1);
	assert.equal(unit.read(Offset.faultRecording + 0x1c, 4), 0xc000_0001);
	assert.equal(unit.read(Offset.faultStatus, 4), 0x02);
	port.read(0n, 1);
	assert.equal(unit.read(Offset.faultStatus, 4) & 3, 3);
	assert.equal(messages.length, 1);
	for (let i = 0; i < 8; i++) unit.write(Offset.faultRecording + 16 * i + 12, 4, 0x8000_0000);
	unit.write(Offset.faultStatus, 4, 1);
	assert.equal(unit.read(Offset.faultStatus, 4) & 3, 0);
	port.read(0n, 1);
	assert.equal(messages.length, 2);
});

test("the fault record index names the first record that waits, not the next free one", () => {
	const { port, enable, unit } = make();
	enable();
	const index = () => (unit.read(Offset.faultStatus, 4) >>> 8) & 0xff;
	port.read(0n, 1);
	port.read(0n, 1);
	assert.equal(index(), 0);
	for (const record of [0, 1]) unit.write(Offset.faultRecording + 16 * record + 12, 4, 0x8000_0000);
	port.read(0n, 1);
	assert.equal(index(), 2, "the ring goes on behind the records that software has taken");
	assert.equal(unit.read(Offset.faultRecording + 16 * 2 + 12, 4), 0xc000_0001);
});

test("FPD keeps the faults of a requester out of the records", () => {
	const { port, enable, threeLevels, put, unit, reason } = make();
	threeLevels(0x1_0000);
	put(CONTEXTS + 16 * SOURCE, 0x3003n);
	enable();
	assert.equal(port.read(0n, 1), undefined);
	assert.equal(reason(), FaultReason.readDenied);
	assert.equal(unit.read(Offset.faultStatus, 4), 0);
});

test("interrupts: remapped through the table, checked for their requester, compatibility format only when allowed", () => {
	const { port, put, unit, command, messages, reason, stopped } = make();
	unit.write(Offset.interruptTable, 4, INTERRUPTS | 3);
	command(Global.setInterruptTable);
	assert.equal(port.signal(0xfee0_1000n, 0x30), true);
	assert.deepEqual([messages.at(-1)!.vector, messages.at(-1)!.destination], [0x30, 1]);
	command(Global.interruptRemappingEnable);
	assert.equal(port.signal(0xfee0_1000n, 0x30), false);
	assert.equal(reason(), FaultReason.compatibilityInterruptBlocked);
	command(Global.interruptRemappingEnable | Global.compatibilityInterrupts);
	assert.equal(port.signal(0xfee0_1000n, 0x31), true);
	const request = (index: number, data = 0) => port.signal(BigInt((0xfee0_0010 | (index << 5)) >>> 0), data);
	assert.equal(request(7), false);
	assert.equal(reason(), FaultReason.interruptEntryNotPresent);
	put(INTERRUPTS + 16 * 7, 0x0300_0044_0000n | 0x10n | 1n);
	put(INTERRUPTS + 16 * 7 + 8, BigInt(SOURCE) | (1n << 18n));
	assert.equal(request(7), true);
	assert.deepEqual(messages.at(-1), {
		destination: 3,
		logical: false,
		deliveryMode: 0,
		vector: 0x44,
		levelTriggered: true,
	});
	put(INTERRUPTS + 16 * 8, 0x0044_0001n);
	put(INTERRUPTS + 16 * 8 + 8, 0x21n | (1n << 18n));
	assert.equal(port.signal(0xfee0_0018n | (7n << 5n), 1), false, "handle 7 and subhandle 1");
	assert.equal(reason(), FaultReason.interruptSourceDenied);
	assert.equal(request(16), false);
	assert.equal(reason(), FaultReason.interruptIndexTooLarge);
	put(INTERRUPTS + 16 * 9, 0x8001n);
	assert.equal(request(9), false);
	assert.equal(reason(), FaultReason.interruptEntryReserved);
	assert.equal(stopped.at(-1)!.access, "interrupt");
	put(INTERRUPTS + 16 * 7, 0n);
	assert.equal(request(7), true, "cached");
});

test("no sequence of accesses breaks the unit, whatever lies in memory", () => {
	checkHostileGuest(() => {
		const { unit, port, view } = make();
		const blocks = [
			{ block: unit, length: 0x100 },
			{ block: unit, length: 0x2b0 },
		];
		const stimuli = [
			(value: number) => void port.read(BigInt(value), 8),
			(value: number) => void port.write(BigInt(value), new Uint8Array(8)),
			(value: number) => void port.signal(BigInt((0xfee0_0000 | (value & 0xf_fffc)) >>> 0), value),
		];
		// The tables are the same for the device and its restored copy.
		for (let at = 0; at < 0x4000; at += 8) view.setUint32(at, (at * 2654435761) >>> 11, true);
		return { device: unit, blocks, stimuli };
	}, 100);
});
