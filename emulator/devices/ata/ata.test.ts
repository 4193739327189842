import assert from "node:assert/strict";
import { test } from "node:test";
import { checkHostileGuest, RecordingLine } from "../../../test/tools/hostile-guest.ts";
import { VirtualClock } from "../clock.ts";
import { DmaPath, type DmaRemapping, sourceId } from "../dma-port.ts";
import { IoPortBus } from "../io-port-bus.ts";
import { UnassignedRange } from "../unassigned-range.ts";
import { AtaDisk } from "./ata-disk.ts";
import type { DriveMaker } from "./channel.ts";
import { containerFormat, DiskImage, SECTOR_BYTES } from "./disk-image.ts";
import { identifyDisk } from "./identify.ts";
import { Piix3Ide } from "./piix3-ide.ts";

const MEMORY = 0x4_0000;
const SECTORS = 2048;
const BUS_MASTER = 0xc000;
/** Where a remapping unit has the memory in the test below; at other addresses there is none. */
const HIGH = 0xf000_0000;
const highAddresses: DmaRemapping = {
	translate: (_source, address) =>
		address < HIGH ? undefined : { address: Number(address) - HIGH, length: 4096 - Number(address & 0xfffn) },
	interrupt: () => false,
};

function sectorOf(number: number): number[] {
	return Array.from({ length: SECTOR_BYTES }, (_, i) => (number * 7 + i) & 0xff);
}

/** No test changes it: the guest's writes go elsewhere. */
const DISK = new Uint8Array(SECTORS * SECTOR_BYTES);
for (let sector = 0; sector < SECTORS; sector++) DISK.set(sectorOf(sector), sector * SECTOR_BYTES);

function make(clock = new VirtualClock()) {
	const memory = new Uint8Array(MEMORY);
	const path = new DmaPath(
		{
			read: (address, length) => (address + length <= MEMORY ? memory.slice(address, address + length) : undefined),
			write: (address, bytes) => {
				if (address + bytes.length > MEMORY) return false;
				memory.set(bytes, address);
				return true;
			},
		},
		() => {},
	);
	const ports = new IoPortBus(new UnassignedRange("ports"));
	const image = new DiskImage("disk.img", DISK);
	const lines = Array.from({ length: 16 }, () => new RecordingLine());
	const disk: DriveMaker = (surroundings) => new AtaDisk(surroundings, image, "HS1");
	const mapper = {
		map: (bar: { block: never; size: number }, base: number) => {
			ports.register(base, bar.size, bar.block, "bus master");
			return true;
		},
		unmap: (_bar: unknown, base: number) => void ports.unregister(base),
	};
	const port = path.port(sourceId(1, 1), "PIIX3 IDE");
	const ide = new Piix3Ide(mapper as never, ports, clock, port, (irq) => lines[irq]!, [disk]);
	ide.configuration.write(0x20, 4, BUS_MASTER);
	ide.configuration.write(4, 2, 5);
	const line = lines[14]!;
	const settle = () => clock.advanceTo(clock.now() + 40_000_000);
	const command = (code: number, lba = 0, count = 0, features = 0) => {
		const bytes: [number, number][] = [
			[0x1f1, features],
			[0x1f2, count],
			[0x1f3, lba],
			[0x1f4, lba >> 8],
			[0x1f5, lba >> 16],
		];
		for (const [at, value] of bytes) ports.write(at, 1, value & 0xff);
		ports.write(0x1f6, 1, 0xe0 | ((lba >> 24) & 15));
		ports.write(0x1f7, 1, code);
		settle();
	};
	const status = () => ports.read(0x1f7, 1);
	const readSector = () => {
		const data: number[] = [];
		for (let i = 0; i < SECTOR_BYTES / 2; i++) {
			const word = ports.read(0x1f0, 2);
			data.push(word & 0xff, word >> 8);
		}
		settle();
		return data;
	};
	const writeSector = (data: readonly number[]) => {
		for (let i = 0; i < SECTOR_BYTES; i += 2) ports.write(0x1f0, 2, data[i]! | (data[i + 1]! << 8));
		settle();
	};
	const table = (...regions: [number, number][]) => {
		const view = new DataView(memory.buffer);
		regions.forEach(([address, length], i) => {
			view.setUint32(0x100 + 8 * i, address, true);
			view.setUint32(0x104 + 8 * i, length | (i === regions.length - 1 ? 0x8000_0000 : 0), true);
		});
		ports.write(BUS_MASTER + 4, 4, 0x100);
	};
	return {
		memory,
		path,
		ports,
		image,
		line,
		lines,
		ide,
		settle,
		command,
		status,
		readSector,
		writeSector,
		table,
		clock,
	};
}

test("IDENTIFY DEVICE names the disk, its size and what it can do; the interrupt ends with a read of the status", () => {
	const { command, status, line, readSector } = make();
	command(0xec);
	assert.equal(line.level, true);
	assert.equal(status(), 0x58);
	assert.equal(line.level, false);
	const data = readSector();
	const word = (index: number) => data[2 * index]! | (data[2 * index + 1]! << 8);
	assert.equal(word(60) | (word(61) << 16), SECTORS);
	assert.equal(word(100), SECTORS);
	assert.equal(String.fromCharCode(data[55]!, data[54]!, data[57]!, data[56]!), "HYPE");
	assert.equal(word(49) & 0x300, 0x300);
	assert.equal(status(), 0x50);
});

test("a disk of one sector has cylinders, so that a BIOS reads its boot sector", () => {
	const data = identifyDisk({ sectors: 1, serial: "", multiple: 0, transferMode: 0 });
	assert.deepEqual([data[2], data[3], data[108]], [2, 0, 2]);
	assert.equal(data[120], 1, "and still one sector");
});

test("READ SECTORS interrupts for each sector and gives their bytes", () => {
	const { command, status, readSector, line } = make();
	command(0x20, 5, 3);
	for (let i = 0; i < 3; i++) {
		assert.equal(status(), 0x58);
		assert.deepEqual(readSector(), sectorOf(5 + i));
	}
	assert.equal(status(), 0x50);
	assert.equal(line.edges, 3);
});

test("READ MULTIPLE interrupts once a block, the last of which may be short", () => {
	const { command, status, readSector, line } = make();
	command(0xc4, 0, 1);
	assert.equal(status() & 1, 1);
	command(0xc6, 0, 4);
	status();
	const before = line.edges;
	command(0xc4, 10, 6);
	for (let i = 0; i < 6; i++) {
		status();
		assert.deepEqual(readSector(), sectorOf(10 + i));
	}
	assert.equal(line.edges - before, 2);
});

test("WRITE SECTORS asks for data at once, interrupts after each sector, and leaves the file's bytes alone", () => {
	const { command, status, writeSector, readSector, line, image } = make();
	const before = image.contents().slice();
	command(0x30, 7, 2);
	assert.equal(line.level, false);
	assert.equal(status(), 0x58);
	writeSector(sectorOf(100));
	assert.equal(line.level, true);
	assert.equal(status(), 0x58);
	writeSector(sectorOf(101));
	assert.equal(status(), 0x50);
	command(0x20, 8, 1);
	assert.deepEqual(readSector(), sectorOf(101));
	assert.equal(image.writtenSectors, 2);
	assert.notDeepEqual(image.contents(), before);
	image.discardWrites();
	assert.deepEqual(image.contents(), before);
});

test("48-bit addresses take the bytes written before; the high-order bytes can be read back", () => {
	const { ports, settle, readSector, command } = make();
	for (const register of [2, 3, 4, 5]) ports.write(0x1f0 + register, 1, 0);
	for (const [register, value] of [
		[2, 1],
		[3, 0x34],
		[4, 0x02],
		[5, 0],
	] as const)
		ports.write(0x1f0 + register, 1, value);
	ports.write(0x1f6, 1, 0x40);
	ports.write(0x1f7, 1, 0x24);
	settle();
	assert.deepEqual(readSector(), sectorOf(0x234));
	command(0x27);
	assert.equal(ports.read(0x1f3, 1) | (ports.read(0x1f4, 1) << 8), SECTORS - 1);
	ports.write(0x3f6, 1, 0x80);
	assert.equal(ports.read(0x1f3, 1), 0);
});

test("cylinder, head and sector follow the translation", () => {
	const { ports, settle, readSector } = make();
	ports.write(0x1f2, 1, 1);
	ports.write(0x1f3, 1, 3);
	ports.write(0x1f4, 1, 1);
	ports.write(0x1f5, 1, 0);
	ports.write(0x1f6, 1, 0xa2);
	ports.write(0x1f7, 1, 0x20);
	settle();
	assert.deepEqual(readSector(), sectorOf((1 * 16 + 2) * 63 + 2));
});

test("errors: beyond the end IDNF, unknown commands ABRT", () => {
	const { command, status, ports } = make();
	command(0x20, SECTORS - 1, 2);
	assert.deepEqual([status(), ports.read(0x1f1, 1)], [0x51, 0x10]);
	command(0x99);
	assert.deepEqual([status(), ports.read(0x1f1, 1)], [0x51, 0x04]);
});

test("READ DMA scatters over the descriptor table, then interrupts; WRITE DMA gathers", () => {
	const { command, status, ports, table, memory, settle, line, image } = make();
	table([0x2000, 512], [0x3000, 1024]);
	command(0xc8, 20, 3);
	assert.equal(line.level, false);
	ports.write(BUS_MASTER, 1, 0x09);
	assert.equal(ports.read(BUS_MASTER + 2, 1), 0x01);
	settle();
	assert.equal(ports.read(BUS_MASTER + 2, 1), 0x04);
	assert.equal(line.level, true);
	assert.deepEqual([...memory.subarray(0x2000, 0x2200)], sectorOf(20));
	assert.deepEqual([...memory.subarray(0x3200, 0x3400)], sectorOf(22));
	ports.write(BUS_MASTER, 1, 0);
	ports.write(BUS_MASTER + 2, 1, 0x04);
	assert.equal(status(), 0x50);
	table([0x3200, 512]);
	ports.write(BUS_MASTER, 1, 0x01);
	command(0xca, 40, 1);
	assert.deepEqual([...image.read(40, 1)], sectorOf(22));
});

test("a bus master has device addresses of 32 bits, the high ones too", () => {
	const { command, path, ports, table, memory, settle } = make();
	path.remapping = highAddresses;
	table([HIGH + 0x2000, 512]);
	ports.write(BUS_MASTER + 4, 4, HIGH + 0x100);
	command(0xc8, 20, 1);
	ports.write(BUS_MASTER, 1, 0x09);
	settle();
	assert.equal(ports.read(BUS_MASTER + 2, 1), 0x04);
	assert.deepEqual([...memory.subarray(0x2000, 0x2200)], sectorOf(20));
});

test("a bus master that finds no memory stops with its error bit, and the drive waits until it is reset", () => {
	const { command, ports, table, settle, line, status } = make();
	table([0x3_fc00, 1024]);
	command(0xc8, 0, 4);
	ports.write(BUS_MASTER, 1, 0x09);
	settle();
	assert.equal(ports.read(BUS_MASTER + 2, 1), 0x00, "the table is too short: stopped without interrupt");
	ports.write(BUS_MASTER, 1, 0);
	table([0x4_0000, 2048]);
	ports.write(BUS_MASTER, 1, 0x09);
	settle();
	assert.equal(ports.read(BUS_MASTER + 2, 1), 0x02);
	assert.equal(line.level, false);
	ports.write(0x3f6, 1, 4);
	assert.equal(status(), 0x80);
	ports.write(0x3f6, 1, 0);
	assert.deepEqual([status(), ports.read(0x1f1, 1), ports.read(0x1f2, 1)], [0x50, 1, 1]);
});

test("an absent drive 1 has status 0, an empty channel floats; nIEN holds the interrupt back", () => {
	const { ports, command, line } = make();
	ports.write(0x1f6, 1, 0xf0);
	assert.equal(ports.read(0x1f7, 1), 0);
	assert.equal(ports.read(0x177, 1), 0x7f);
	ports.write(0x3f6, 1, 2);
	command(0xec);
	assert.equal(line.edges, 0);
	assert.equal(ports.read(0x3f6, 1), 0x58);
});

test("disk formats that are not raw are known by their first bytes", () => {
	assert.equal(containerFormat(Uint8Array.from([0x51, 0x46, 0x49, 0xfb, 0, 0, 0, 3])), "qcow2");
	assert.equal(containerFormat(new Uint8Array(8)), undefined);
});

test("no sequence of accesses breaks the channel", () => {
	checkHostileGuest((clock) => {
		const { ide, ports } = make(clock);
		const at = (base: number) => ({
			read: (offset: number, size: 1 | 2 | 4) => ports.read(base + offset, size),
			write: (offset: number, size: 1 | 2 | 4, value: number) => ports.write(base + offset, size, value),
		});
		const blocks = [
			{ block: at(0x1f0), length: 8 },
			{ block: at(0x3f6), length: 1 },
			{ block: ide, length: 16 },
			{ block: ide.configuration, length: 0x100 },
		];
		return { device: ide, blocks };
	});
});
