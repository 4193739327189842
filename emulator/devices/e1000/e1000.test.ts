import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../../test/tools/hostile-guest.ts";
import { VirtualClock } from "../clock.ts";
import { DmaPath, sourceId } from "../dma-port.ts";
import { PEER_ADDRESS, PEER_HARDWARE_ADDRESS } from "../network/ethernet-peer.ts";
import { internetChecksum } from "../network/internet-checksum.ts";
import { E1000, E1000_HARDWARE_ADDRESS } from "./e1000.ts";
import { Cause, Offset, Statistic } from "./register-map.ts";

const MEMORY = 0x2_0000;
const RECEIVE_RING = 0x1000;
const TRANSMIT_RING = 0x2000;
const BUFFERS = 0x8000;
const OWN_ADDRESS = [10, 0, 2, 15];
const BROADCAST = [255, 255, 255, 255, 255, 255];

/** @param frozen what the controller writes is lost, so that memory is the same for every copy of it */
function make(clock = new VirtualClock(), frozen = false) {
	const memory = new Uint8Array(MEMORY);
	const view = new DataView(memory.buffer);
	const path = new DmaPath(
		{
			read: (address, length) => (address + length <= MEMORY ? memory.slice(address, address + length) : undefined),
			write: (address, bytes) => {
				if (address + bytes.length > MEMORY) return false;
				if (!frozen) memory.set(bytes, address);
				return true;
			},
		},
		() => {},
	);
	const line = new RecordingLine();
	const nic = new E1000({ map: () => true, unmap: () => {} }, clock, path.port(sourceId(3, 0), "82540EM"), line);
	nic.configuration.write(4, 2, 7);
	const read = (offset: number) => nic.read(offset, 4);
	const write = (offset: number, value: number) => nic.write(offset, 4, value >>> 0);
	const settle = (nanoseconds = 1_000_000) => clock.advanceTo(clock.now() + nanoseconds);
	/** Eight receive descriptors with buffers of 2048 bytes, four transmit descriptors, all interrupts. */
	const start = (receiveControl = 0x0400_8002) => {
		for (let i = 0; i < 8; i++) view.setUint32(RECEIVE_RING + 16 * i, BUFFERS + 2048 * i, true);
		write(Offset.receiveBase, RECEIVE_RING);
		write(Offset.receiveLength, 128);
		write(Offset.receiveTail, 7);
		write(Offset.transmitBase, TRANSMIT_RING);
		write(Offset.transmitLength, 128);
		write(Offset.control, 0x40);
		write(Offset.receiveControl, receiveControl);
		write(Offset.transmitControl, 0x02);
		write(Offset.maskSet, 0xff);
		read(Offset.cause);
	};
	/** A legacy descriptor: end of packet, status is reported. */
	const send = (frame: readonly number[], command = 0x09) => {
		const tail = read(Offset.transmitTail);
		memory.set(frame, 0x4000);
		view.setUint32(TRANSMIT_RING + 16 * tail, 0x4000, true);
		view.setUint32(TRANSMIT_RING + 16 * tail + 8, ((command << 24) | frame.length) >>> 0, true);
		view.setUint32(TRANSMIT_RING + 16 * tail + 12, 0, true);
		write(Offset.transmitTail, (tail + 1) % 8);
		settle();
	};
	/** Length, status and bytes of a receive descriptor. */
	const received = (index: number) => {
		const at = RECEIVE_RING + 16 * index;
		const length = view.getUint16(at + 8, true);
		return { length, status: memory[at + 12]!, bytes: [...memory.subarray(BUFFERS + 2048 * index).slice(0, length)] };
	};
	return { nic, path, memory, view, line, clock, read, write, settle, start, send, received };
}

const arpRequest = [
	...BROADCAST,
	...E1000_HARDWARE_ADDRESS,
	...[8, 6, 0, 1, 8, 0, 6, 4, 0, 1],
	...E1000_HARDWARE_ADDRESS,
	...OWN_ADDRESS,
	...[0, 0, 0, 0, 0, 0],
	...PEER_ADDRESS,
];

/** An echo request with 32 bytes of data, checksums right. */
function echoRequest(): number[] {
	const ip = Uint8Array.from([0x45, 0, 0, 60, 0, 1, 0, 0, 64, 1, 0, 0, ...OWN_ADDRESS, ...PEER_ADDRESS]);
	const icmp = Uint8Array.from([8, 0, 0, 0, 0x12, 0x34, 0, 7, ...Array.from({ length: 32 }, (_, i) => i)]);
	for (const [bytes, at] of [
		[ip, 10],
		[icmp, 2],
	] as const)
		new DataView(bytes.buffer).setUint16(at, internetChecksum(bytes));
	return [...PEER_HARDWARE_ADDRESS, ...E1000_HARDWARE_ADDRESS, 8, 0, ...ip, ...icmp];
}

test("rings have device addresses of 32 bits and more, the high ones too", () => {
	for (const [low, high] of [
		[0xffff_0000, 0],
		[0xf000_0000, 0xffff_ffff],
	] as const) {
		const { path, read, write, start, send, received } = make();
		const base = (BigInt(high) << 32n) | BigInt(low);
		path.remapping = {
			// Frames lie below, rings at the high addresses.
			translate: (_source, address) => ({
				address: Number(address >= base ? address - base : address),
				length: 4096 - Number(address & 0xfffn),
			}),
			interrupt: () => false,
		};
		start();
		for (const ring of [Offset.receiveBase, Offset.transmitBase]) {
			write(ring, read(ring) + low);
			write(ring + 4, high);
		}
		send(arpRequest);
		assert.equal(received(0).status & 1, 1, "the answer has come");
	}
});

test("the EEPROM reads by EERD and by its four wires, and adds up to BABAH", () => {
	const { read, write } = make();
	let sum = 0;
	for (let i = 0; i < 64; i++) {
		write(Offset.eepromRead, (i << 8) | 1);
		assert.equal(read(Offset.eepromRead) & 0x10, 0x10);
		sum += read(Offset.eepromRead) >>> 16;
	}
	assert.equal(sum & 0xffff, 0xbaba);
	write(Offset.eepromControl, 0x40);
	assert.equal(read(Offset.eepromControl) & 0x1c0, 0x1c0, "granted, present");
	const clock = (bit: number) => {
		const wires = 0x42 | (bit << 2);
		write(Offset.eepromControl, wires);
		write(Offset.eepromControl, wires | 1);
		const out = (read(Offset.eepromControl) >> 3) & 1;
		write(Offset.eepromControl, wires);
		return out;
	};
	for (const bit of [1, 1, 0, 0, 0, 0, 0, 0, 1]) clock(bit);
	let word = 0;
	for (let i = 0; i < 16; i++) word = (word << 1) | clock(0);
	assert.equal(word, E1000_HARDWARE_ADDRESS[2] | (E1000_HARDWARE_ADDRESS[3] << 8));
	assert.equal(read(Offset.receiveAddress), 0x00534802);
	assert.equal(read(Offset.receiveAddress + 4), 0x8000_0100);
});

test("the PHY answers at address 1 that the link is up at 1000 Mbit/s", () => {
	const { read, write } = make();
	const phy = (register: number, address = 1) => {
		write(Offset.phyAccess, (2 << 26) | (address << 21) | (register << 16));
		assert.equal(read(Offset.phyAccess) & 0x1000_0000, 0x1000_0000, "ready");
		return read(Offset.phyAccess);
	};
	assert.equal(phy(1) & 0x24, 0x24, "link, autonegotiation complete");
	assert.deepEqual([phy(2) & 0xffff, phy(3) & 0xfff0], [0x0141, 0x0c20]);
	assert.equal(phy(1, 2) & 0x4000_0000, 0x4000_0000, "nobody at address 2");
	write(Offset.phyAccess, (1 << 26) | (1 << 21) | 0x9140);
	assert.equal(phy(0) & 0xffff, 0x1140, "reset clears itself");
});

test("ARP and echo: what is sent is answered, into the receive ring, with interrupts", () => {
	const { start, send, received, read, line, nic } = make();
	start();
	send(arpRequest);
	assert.equal(line.level, true);
	assert.equal(read(Offset.cause), Cause.transmitDone | Cause.transmitEmpty | Cause.received);
	assert.equal(line.level, false, "reading ICR clears");
	const arp = received(0);
	assert.deepEqual([arp.length, arp.status], [60, 7]);
	assert.deepEqual(arp.bytes.slice(0, 12), [...E1000_HARDWARE_ADDRESS, ...PEER_HARDWARE_ADDRESS]);
	assert.deepEqual(arp.bytes.slice(20, 32), [0, 2, ...PEER_HARDWARE_ADDRESS, ...PEER_ADDRESS]);
	send(echoRequest());
	const echo = received(1);
	assert.equal(echo.length, 74);
	assert.deepEqual(echo.bytes.slice(26, 34), [...PEER_ADDRESS, ...OWN_ADDRESS]);
	assert.equal(echo.bytes[34], 0, "an echo reply");
	assert.equal(internetChecksum(Uint8Array.from(echo.bytes.slice(14, 34))), 0);
	assert.equal(internetChecksum(Uint8Array.from(echo.bytes.slice(34))), 0);
	assert.deepEqual(echo.bytes.slice(38), echoRequest().slice(38), "identifier, number and data come back");
	assert.deepEqual([read(Offset.receiveHead), read(Offset.transmitHead)], [2, 2]);
	assert.deepEqual([read(Statistic.goodSent), read(Statistic.goodReceived)], [2, 2]);
	assert.equal(read(Statistic.goodSent), 0, "reading clears");
	const log = nic.registers().flatMap(({ name, meaning }) => (name.startsWith("frame") ? [meaning] : []));
	assert.match(log.at(-1)!, /^received: ICMP echo reply, 74 bytes, at \d+ ns$/);
});

test("wrong checksums, other addresses and fragments get no answer", () => {
	const { start, send, read } = make();
	start();
	const wrong = echoRequest();
	wrong[60]! ^= 1;
	send(wrong);
	const other = [...arpRequest];
	other[41] = 3;
	send(other);
	send([...echoRequest().slice(0, 20), 0x20, ...echoRequest().slice(21)]);
	assert.equal(read(Offset.receiveHead), 0);
});

test("without descriptors frames are missed; a filled ring wraps; unasked frames are filtered", () => {
	const { start, send, read, write, received } = make();
	start();
	write(Offset.receiveTail, 1);
	send(arpRequest);
	send(arpRequest);
	assert.equal(read(Offset.cause) & Cause.overrun, Cause.overrun);
	assert.equal(read(Statistic.missed), 1);
	write(Offset.receiveTail, 0);
	for (let i = 0; i < 7; i++) send(arpRequest);
	assert.equal(read(Offset.receiveHead), 0);
	assert.equal(received(7).status, 7);
	assert.equal(read(Offset.cause) & Cause.receiveThreshold, Cause.receiveThreshold);
	write(Offset.receiveTail, 5);
	write(Offset.receiveAddress, 0);
	send(arpRequest);
	assert.equal(read(Offset.receiveHead), 0, "the answer is for another address");
	write(Offset.receiveControl, 0x0400_800a);
	send(arpRequest);
	assert.equal(read(Offset.receiveHead), 1, "promiscuous");
});

test("a frame over several descriptors and buffers; the check sequence is kept unless stripped", () => {
	const { start, read, write, memory, view, settle, received } = make();
	// PHY loopback, promiscuous, buffers of 256 bytes.
	start(0x0003_80ca);
	memory.fill(0xaa, 0x4000, 0x4000 + 600);
	view.setUint32(TRANSMIT_RING, 0x4000, true);
	view.setUint32(TRANSMIT_RING + 8, 100, true);
	view.setUint32(TRANSMIT_RING + 16, 0x4064, true);
	view.setUint32(TRANSMIT_RING + 24, 0x0900_0000 + 500, true);
	write(Offset.transmitTail, 2);
	settle();
	assert.deepEqual(
		[0, 1, 2].map((i) => received(i).length),
		[256, 256, 92],
	);
	assert.deepEqual(
		[0, 1, 2].map((i) => received(i).status),
		[5, 5, 7],
	);
	assert.deepEqual([memory[TRANSMIT_RING + 12], memory[TRANSMIT_RING + 28]], [0, 1], "status where it was asked for");
	assert.equal(read(Offset.receiveHead), 3);
});

test("checksums are inserted and a large TCP segment is cut as the context says", () => {
	const { start, write, memory, view, settle, received } = make();
	start(0x0400_80ca);
	const ip = [0x45, 0, 0, 0, 0x10, 0, 0x40, 0, 64, 6, 0, 0, 10, 0, 2, 15, 10, 0, 2, 2];
	const pseudo = Uint8Array.from([10, 0, 2, 15, 10, 0, 2, 2, 0, 6]);
	const tcp = [0x30, 0x39, 0, 80, 0, 0, 1, 0, 0, 0, 0, 0, 0x50, 0x19, 0x20, 0, 0, 0, 0, 0];
	const headers = Uint8Array.from([...PEER_HARDWARE_ADDRESS, ...E1000_HARDWARE_ADDRESS, 8, 0, ...ip, ...tcp]);
	new DataView(headers.buffer).setUint16(50, ~internetChecksum(pseudo) & 0xffff);
	const payload = Array.from({ length: 250 }, (_, i) => i);
	memory.set([...headers, ...payload], 0x4000);
	// Context: IP from 14 to 33 at 24, TCP from 34 at 50; TSE, IPv4, TCP; 54 bytes of headers, segments of 100.
	memory.set([14, 24, 33, 0, 34, 50, 0, 0], TRANSMIT_RING);
	view.setUint32(TRANSMIT_RING + 8, 0x2700_0000 + 250, true);
	view.setUint32(TRANSMIT_RING + 12, (100 << 16) | (54 << 8), true);
	view.setUint32(TRANSMIT_RING + 16, 0x4000, true);
	view.setUint32(TRANSMIT_RING + 24, 0x2d10_0000 + 304, true);
	view.setUint32(TRANSMIT_RING + 28, 3 << 8, true);
	write(Offset.transmitTail, 2);
	settle();
	const frames = [0, 1, 2].map((i) => Uint8Array.from(received(i).bytes));
	assert.deepEqual(
		frames.map(({ length }) => length),
		[154, 154, 104],
	);
	assert.deepEqual(
		frames.flatMap((frame) => [...frame.slice(54)]),
		payload,
	);
	for (const [i, frame] of frames.entries()) {
		const fields = new DataView(frame.buffer);
		assert.deepEqual([fields.getUint16(16), fields.getUint16(18)], [frame.length - 14, 0x1000 + i]);
		assert.deepEqual([fields.getUint32(38), frame[47]], [0x100 + 100 * i, i < 2 ? 0x10 : 0x19]);
		assert.equal(internetChecksum(frame.slice(14, 34)), 0, "IP");
		const length = frame.length - 34;
		const summed = Uint8Array.from([...pseudo, length >> 8, length & 255, ...frame.slice(34)]);
		assert.equal(internetChecksum(summed), 0, "TCP");
	}
});

test("no link, no bus master: nothing moves; a reset by CTRL begins anew", () => {
	const { start, send, read, write, nic, line } = make();
	start();
	write(Offset.control, 0);
	send(arpRequest);
	assert.equal(read(Offset.receiveHead), 0);
	nic.configuration.write(4, 2, 3);
	send(arpRequest);
	assert.equal(read(Offset.transmitHead), 1);
	write(Offset.control, 0x0400_0000);
	assert.deepEqual([read(Offset.transmitTail), read(Offset.maskSet), line.level], [0, 0, false]);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const { nic, start, memory, view } = make(clock, true);
		start();
		// Frames that are answered, by legacy descriptors and by data descriptors with all offloads.
		memory.set(arpRequest, 0x4000);
		for (let i = 0; i < 8; i++) {
			view.setUint32(TRANSMIT_RING + 16 * i, 0x4000, true);
			view.setUint32(TRANSMIT_RING + 16 * i + 8, (i & 1 ? 0x0900_0000 : 0x2d10_0000) + arpRequest.length, true);
			view.setUint32(TRANSMIT_RING + 16 * i + 12, i << 8, true);
		}
		return {
			device: nic,
			blocks: [
				{ block: nic, length: 0x6000 },
				{
					block: { read: (o, s) => nic.read(0x3800 + o, s), write: (o, s, v) => nic.write(0x3800 + o, s, v) },
					length: 0x20,
				},
				{
					block: { read: (o, s) => nic.read(0x2800 + o, s), write: (o, s, v) => nic.write(0x2800 + o, s, v) },
					length: 0x20,
				},
				{ block: { read: (o, s) => nic.read(o, s), write: (o, s, v) => nic.write(o, s, v) }, length: 0x100 },
			],
			stimuli: [(value) => nic.write(Offset.transmitTail, 4, value & 7)],
		};
	}, 60);
});
