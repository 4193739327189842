import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../../test/tools/hostile-guest.ts";
import { VirtualClock } from "../clock.ts";
import { DmaPath, sourceId } from "../dma-port.ts";
import { IoPortBus } from "../io-port-bus.ts";
import { UnassignedRange } from "../unassigned-range.ts";
import { CdromDrive } from "./cdrom-drive.ts";
import type { DriveMaker } from "./channel.ts";
import { DISC_SECTOR_BYTES, DiscImage } from "./disc-image.ts";
import { Piix3Ide } from "./piix3-ide.ts";

const SECTORS = 400;
const BUS_MASTER = 0xc000;
const MEMORY = 0x4000;
/** The last sector of the file is not whole. */
const DISC = Uint8Array.from({ length: SECTORS * DISC_SECTOR_BYTES - 100 }, (_, i) => (i >> 11) + i);

/** Status, and interrupt reason with status, as the host reads them. */
const READY = 0x50;
const CHECK = 0x51;
const DATA = 0x58;

/** @param frozen what the bus master writes is lost, so that memory is the same for every copy of the drive */
function make(clock = new VirtualClock(), frozen = false) {
	const memory = new Uint8Array(MEMORY);
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
	const ports = new IoPortBus(new UnassignedRange("ports"));
	const lines = Array.from({ length: 16 }, () => new RecordingLine());
	const drive: DriveMaker = (surroundings) => new CdromDrive(surroundings, new DiscImage("disc.iso", DISC));
	const mapper = {
		map: (bar: { block: never; size: number }, base: number) => {
			ports.register(base, bar.size, bar.block, "bus master");
			return true;
		},
		unmap: (_bar: unknown, base: number) => void ports.unregister(base),
	};
	const port = path.port(sourceId(1, 1), "PIIX3 IDE");
	const places = [undefined, undefined, drive];
	const ide = new Piix3Ide(mapper as never, ports, clock, port, (irq) => lines[irq]!, places);
	ide.configuration.write(0x20, 4, BUS_MASTER);
	ide.configuration.write(4, 2, 5);
	const settle = () => clock.advanceTo(clock.now() + 40_000_000);
	const read = (register: number) => ports.read(0x170 + register, 1);
	const write = (register: number, value: number) => ports.write(0x170 + register, 1, value);
	const status = () => read(7);
	const data = (bytes: number) => {
		const result: number[] = [];
		for (let i = 0; i < bytes; i += 2) {
			const word = ports.read(0x170, 2);
			result.push(word & 0xff, word >> 8);
		}
		settle();
		return result.slice(0, bytes);
	};
	/** Sends a packet; what is to be read has at most `limit` bytes a block. */
	const send = (packet: readonly number[], limit = 0xfffe, features = 0) => {
		write(6, 0xa0);
		write(1, features);
		write(4, limit & 0xff);
		write(5, limit >> 8);
		write(7, 0xa0);
		assert.deepEqual([status() & 0x89, read(2)], [0x08, 1], "the drive asks for the packet");
		for (let i = 0; i < 12; i += 2) ports.write(0x170, 2, (packet[i] ?? 0) | ((packet[i + 1] ?? 0) << 8));
		settle();
	};
	/** All data blocks of a packet, with their sizes. */
	const ask = (packet: readonly number[], limit = 0xfffe) => {
		send(packet, limit);
		const blocks: number[][] = [];
		while (ports.read(0x376, 1) & 8) {
			assert.equal(read(2), 2, "data to the host");
			blocks.push(data(read(4) | (read(5) << 8)));
		}
		assert.deepEqual([read(2), status() & 0xfe], [3, READY]);
		return blocks;
	};
	/** Error register of a packet that is refused. */
	const refused = (packet: readonly number[]) => {
		send(packet);
		assert.equal(status(), CHECK);
		return read(1);
	};
	const sense = () => {
		const [bytes] = ask([0x03, 0, 0, 0, 18]);
		return [bytes![2], bytes![12]];
	};
	/** After power-on the first packet is refused. */
	const settled = () => assert.equal(refused([0]), 0x64);
	return { memory, ports, lines, ide, settle, read, write, status, data, send, ask, refused, sense, settled, clock };
}

test("the signature tells a packet device, and commands of disks are aborted with it", () => {
	const { read, write, status, settle } = make();
	write(6, 0xa0);
	assert.deepEqual([read(2), read(3), read(4), read(5), status()], [1, 1, 0x14, 0xeb, 0]);
	write(4, 0);
	write(7, 0xec);
	settle();
	assert.deepEqual([status(), read(1), read(4), read(5)], [CHECK, 4, 0x14, 0xeb]);
	write(7, 0x08);
	assert.deepEqual([status(), read(1), read(4), read(5)], [0, 1, 0x14, 0xeb]);
});

test("IDENTIFY PACKET DEVICE and INQUIRY say what it is; INQUIRY leaves the unit attention", () => {
	const { write, settle, data, status, ask, refused, sense, lines } = make();
	write(6, 0xa0);
	write(7, 0xa1);
	settle();
	assert.equal(lines[15]!.level, true);
	assert.equal(status(), DATA);
	assert.equal(lines[15]!.level, false);
	const identity = data(512);
	assert.equal(identity[1]! & 0x9f, 0x85, "packet device, CD-ROM, removable");
	assert.equal(String.fromCharCode(...identity.slice(54, 64)), "YHEPSROCEP");
	const [inquiry] = ask([0x12, 0, 0, 0, 36]);
	assert.deepEqual(inquiry!.slice(0, 2), [5, 0x80]);
	assert.equal(refused([0x00]), 0x64, "UNIT ATTENTION, aborted");
	assert.deepEqual(sense(), [6, 0x29]);
	assert.deepEqual(ask([0x00]), []);
	assert.deepEqual(sense(), [0, 0]);
});

test("READ(10) and READ(12) by PIO, in blocks of at most the byte count limit", () => {
	const { ask, settled } = make();
	settled();
	const expected = [...DISC.subarray(5 * DISC_SECTOR_BYTES, 7 * DISC_SECTOR_BYTES)];
	const whole = ask([0x28, 0, 0, 0, 0, 5, 0, 0, 2]);
	assert.deepEqual(whole, [expected]);
	const parts = ask([0xa8, 0, 0, 0, 0, 5, 0, 0, 0, 2], 1500);
	assert.deepEqual(
		parts.map(({ length }) => length),
		[1500, 1500, 1096],
	);
	assert.deepEqual(parts.flat(), expected);
	const last = ask([0x28, 0, 0, 0, 1, 0x8f, 0, 0, 1]).flat();
	assert.deepEqual(last.slice(-101), [DISC.at(-1), ...new Array(100).fill(0)]);
	assert.deepEqual(ask([0xbe, 0, 0, 0, 0, 5, 0, 0, 2, 0x10]).flat(), expected);
});

test("READ(10) by DMA goes through the bus master", () => {
	const { send, settled, ports, memory, settle, status, read, lines } = make();
	settled();
	const table = new DataView(memory.buffer);
	table.setUint32(0x100, 0x1000, true);
	table.setUint32(0x104, 2048, true);
	table.setUint32(0x108, 0x2800, true);
	table.setUint32(0x10c, 0x8000_0000 + 2048, true);
	ports.write(BUS_MASTER + 12, 4, 0x100);
	send([0x28, 0, 0, 0, 0, 9, 0, 0, 2], 0, 1);
	ports.write(BUS_MASTER + 8, 1, 9);
	settle();
	assert.equal(lines[15]!.level, true);
	assert.deepEqual([ports.read(BUS_MASTER + 10, 1) & 7, read(2), status()], [4, 3, READY]);
	assert.deepEqual(memory.slice(0x1000, 0x1800), DISC.slice(9 * 2048, 10 * 2048));
	assert.deepEqual(memory.slice(0x2800, 0x3000), DISC.slice(10 * 2048, 11 * 2048));
});

test("what cannot be done is refused with its sense", () => {
	const { refused, sense, settled } = make();
	settled();
	assert.equal(refused([0x28, 0, 0, 0, 1, 0x90, 0, 0, 1]), 0x54);
	assert.deepEqual(sense(), [5, 0x21], "beyond the last sector");
	assert.equal(refused([0x2a]), 0x54);
	assert.deepEqual(sense(), [5, 0x20], "no such command");
	assert.equal(refused([0x43, 0, 9]), 0x54);
	assert.deepEqual(sense(), [5, 0x24], "no such format");
	assert.equal(refused([0x5a, 0, 0x0e, 0, 0, 0, 0, 0, 8]), 0x54);
});

test("READ CAPACITY, READ TOC, MODE SENSE and the others that systems ask", () => {
	const { ask, settled } = make();
	settled();
	assert.deepEqual(ask([0x25]).flat(), [0, 0, 1, 0x8f, 0, 0, 8, 0]);
	assert.deepEqual(
		ask([0x43, 0, 0, 0, 0, 0, 0, 0, 255]).flat(),
		[0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xaa, 0, 0, 0, 1, 0x90],
	);
	// 400 sectors and 150 frames are 7 seconds and 25 frames.
	assert.deepEqual(ask([0x43, 2, 0, 0, 0, 0, 0xaa, 0, 255]).flat(), [0, 10, 1, 1, 0, 0x14, 0xaa, 0, 0, 0, 7, 25]);
	assert.deepEqual(ask([0x43, 2, 0, 0, 0, 0, 0, 0, 255, 0x40]).flat(), [0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 2, 0]);
	assert.deepEqual(ask([0x43, 0, 0, 0, 0, 0, 0, 0, 4]).flat(), [0, 18, 1, 1], "no more than was allocated");
	const page = ask([0x5a, 0, 0x2a, 0, 0, 0, 0, 0, 255]).flat();
	assert.deepEqual([page[1], page[8], page.length], [26, 0x2a, 28]);
	assert.equal(ask([0x5a, 0, 0x3f, 0, 0, 0, 0, 0, 255]).flat().length, 36);
	assert.deepEqual(ask([0x46, 0, 0, 0, 0, 0, 0, 0, 8]).flat(), [0, 0, 0, 12, 0, 0, 0, 8]);
	assert.deepEqual(ask([0x4a, 1, 0, 0, 0x10, 0, 0, 0, 8]).flat(), [0, 6, 4, 0x10, 0, 2, 0, 0]);
	assert.equal(ask([0x51, 0, 0, 0, 0, 0, 0, 0, 34]).flat().length, 34);
});

test("a hostile guest", () => {
	checkHostileGuest((clock) => {
		const { ide, ports } = make(clock, true);
		const block = (base: number) => ({
			read: (offset: number, size: 1 | 2 | 4) => ports.read(base + offset, size),
			write: (offset: number, size: 1 | 2 | 4, value: number) => ports.write(base + offset, size, value),
		});
		const packet = (code: number) => {
			ports.write(0x177, 1, 0xa0);
			for (let i = 0; i < 12; i += 2) ports.write(0x170, 2, i === 0 ? code & 0xffff : (code >>> i) & 0xff);
		};
		return {
			device: ide,
			blocks: [
				{ block: block(0x170), length: 8 },
				{ block: block(BUS_MASTER + 8), length: 8 },
			],
			stimuli: [
				packet,
				(value) => packet([0x03, 0x12, 0x25, 0x28, 0x43, 0x46, 0x4a, 0x51, 0x5a, 0xa8, 0xbd, 0xbe][value % 12]!),
				() => void clock.advanceTo(clock.now() + 1_000_000),
			],
		};
	});
});
