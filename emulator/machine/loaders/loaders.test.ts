import assert from "node:assert/strict";
import { test } from "node:test";
import { findRootPointer, readTables } from "../../../test/tools/acpi-reader.ts";
import { MachineError } from "../virtual-machine.ts";
import { type LoadTarget, words } from "./boot-state.ts";
import { loadImage } from "./load-image.ts";

function memory(size: number): LoadTarget & { bytes: Uint8Array } {
	const bytes = new Uint8Array(size);
	return { size, bytes, write: (address, content) => bytes.set(content, address) };
}

function join(...parts: Uint8Array[]): Uint8Array {
	return Uint8Array.from(parts.flatMap((part) => [...part]));
}

/** A multiboot 1 image with load addresses: header, then four bytes of code. */
function addressedImage(): Uint8Array {
	const flags = 1 << 16;
	const checksum = -(0x1badb002 + flags);
	return join(
		words(0x1badb002, flags, checksum, 0x100000, 0x100000, 0, 0x100100, 0x100020),
		Uint8Array.of(0x90, 0x90, 0x90, 0xf4),
	);
}

test("multiboot 1 by addresses: code, zeroed bss, magic and information", () => {
	const target = memory(4 << 20);
	const boot = loadImage({ name: "kernel", bytes: addressedImage() }, { append: "one two" }, target, PLATFORM);
	assert.equal(boot.instructionPointer, 0x100020);
	assert.equal(boot.registers.eax, 0x2badb002);
	assert.deepEqual([...target.bytes.subarray(0x100020, 0x100024)], [0x90, 0x90, 0x90, 0xf4]);
	const view = new DataView(target.bytes.buffer);
	const information = boot.registers.ebx!;
	assert.equal(view.getUint32(information, true) & 0x45, 0x45);
	const line = view.getUint32(information + 16, true);
	assert.equal(Buffer.from(target.bytes.subarray(line, line + 15)).toString(), "kernel one two\0");
});

/** A 64-bit ELF file: one segment at 2 MB with a HLT, one of notes. */
function pvhImage(): Uint8Array {
	const header = new Uint8Array(64 + 2 * 56);
	header.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1]);
	const view = new DataView(header.buffer);
	view.setUint16(16, 2, true);
	view.setUint16(18, 62, true);
	view.setBigUint64(24, 0xffffffff80200000n, true);
	view.setBigUint64(32, 64n, true);
	view.setUint16(54, 56, true);
	view.setUint16(56, 2, true);
	const notes = join(
		words(4, 5, 2),
		Uint8Array.from([0x58, 0x65, 0x6e, 0, 1, 2, 3, 4, 5, 0, 0, 0]),
		words(4, 4, 18),
		Uint8Array.from([0x58, 0x65, 0x6e, 0]),
		words(0x200000),
	);
	const segment = (at: number, type: number, offset: number, address: number, size: number) => {
		view.setUint32(at, type, true);
		view.setBigUint64(at + 8, BigInt(offset), true);
		view.setBigUint64(at + 24, BigInt(address), true);
		view.setBigUint64(at + 32, BigInt(size), true);
		view.setBigUint64(at + 40, BigInt(size), true);
	};
	segment(64, 1, header.length + notes.length, 0x200000, 1);
	segment(64 + 56, 4, header.length, 0, notes.length);
	return join(header, notes, Uint8Array.of(0xf4));
}

test("PVH: the entry of the note, start information with command line, module and memory map", () => {
	const target = memory(4 << 20);
	const initrd = { name: "initrd", bytes: Uint8Array.of(1, 2, 3) };
	const boot = loadImage({ name: "vmlinux", bytes: pvhImage() }, { append: "quiet", initrd }, target, PLATFORM);
	assert.equal(boot.protocol, "PVH");
	assert.equal(boot.instructionPointer, 0x200000);
	assert.equal(target.bytes[0x200000], 0xf4);
	const view = new DataView(target.bytes.buffer, boot.registers.ebx);
	assert.deepEqual([view.getUint32(0, true), view.getUint32(4, true), view.getUint32(12, true)], [0x336ec578, 1, 1]);
	const at = (offset: number) => Number(view.getBigUint64(offset, true));
	assert.equal(Buffer.from(target.bytes.subarray(at(24), at(24) + 6)).toString(), "quiet\0");
	const list = new DataView(target.bytes.buffer, at(16));
	const module = Number(list.getBigUint64(0, true));
	assert.deepEqual([...target.bytes.subarray(module, module + 3)], [1, 2, 3]);
	assert.equal(list.getBigUint64(8, true), 3n);
	const map = new DataView(target.bytes.buffer, at(40));
	assert.equal(view.getUint32(48, true), 4);
	assert.deepEqual([map.getBigUint64(72, true), map.getBigUint64(80, true)], [0x100000n, 0x300000n]);
});

test("images that cannot be started are refused with a sentence that names them", () => {
	const target = memory(4 << 20);
	const cases: [Uint8Array, RegExp][] = [
		[new Uint8Array(0), /^kernel is empty\.$/],
		[new Uint8Array(100), /^kernel is not an image that can be started/],
		[Uint8Array.of(0x7f, 0x45, 0x4c, 0x46, 1, 1), /^kernel is a truncated ELF file/],
		[addressedImage().subarray(0, 28), /^kernel ends inside its multiboot header\.$/],
	];
	for (const [bytes, sentence] of cases) {
		assert.throws(
			() => loadImage({ name: "kernel", bytes }, {}, target, PLATFORM),
			(error: unknown) => error instanceof MachineError && sentence.test(error.message),
		);
	}
});

test("an image that does not fit asks for more memory", () => {
	const bytes = addressedImage();
	new DataView(bytes.buffer).setUint32(24, 0x800000, true);
	assert.throws(
		() => loadImage({ name: "kernel", bytes }, {}, memory(4 << 20), PLATFORM),
		/give it more with "memory"/,
	);
});

test("every truncation of an image either loads or is refused with a MachineError", () => {
	for (const whole of [addressedImage(), pvhImage()])
		for (let length = 0; length < whole.length; length++) {
			try {
				loadImage({ name: "kernel", bytes: whole.subarray(0, length) }, {}, memory(4 << 20), PLATFORM);
			} catch (error) {
				assert.ok(error instanceof MachineError, String(error));
			}
		}
});

test("multiboot information tells of more than 2 GiB of memory", () => {
	const target = { ...memory(4 << 20), size: 0xa000_0000 };
	const boot = loadImage({ name: "kernel", bytes: addressedImage() }, {}, target, PLATFORM);
	const view = new DataView(target.bytes.buffer);
	assert.equal(view.getUint32(boot.registers.ebx! + 8, true), (0xa000_0000 - 0x10_0000) / 1024);
});

test("multiboot modules come in their order, the initrd last; other images take none", () => {
	const target = memory(4 << 20);
	const modules = [
		{ name: "dom0", bytes: Uint8Array.of(1, 2, 3), commandLine: "dom0 console=hvc0" },
		{ name: "second", bytes: Uint8Array.of(4), commandLine: "second" },
	];
	const initrd = { name: "initrd", bytes: Uint8Array.of(5, 6) };
	const boot = loadImage({ name: "kernel", bytes: addressedImage() }, { modules, initrd }, target, PLATFORM);
	const view = new DataView(target.bytes.buffer);
	const information = boot.registers.ebx!;
	assert.equal(view.getUint32(information + 20, true), 3);
	const table = view.getUint32(information + 24, true);
	const found = [0, 1, 2].map((index) => {
		const [start, end, text] = [0, 4, 8].map((offset) => view.getUint32(table + index * 16 + offset, true));
		const line = Buffer.from(target.bytes.subarray(text)).toString("latin1").split("\0")[0];
		return [[...target.bytes.subarray(start, end)], start! % 4096, line];
	});
	assert.deepEqual(found, [
		[[1, 2, 3], 0, "dom0 console=hvc0"],
		[[4], 0, "second"],
		[[5, 6], 0, "initrd"],
	]);
	assert.throws(
		() => loadImage({ name: "vmlinux", bytes: pvhImage() }, { modules }, memory(4 << 20), PLATFORM),
		/vmlinux is no multiboot image, so it takes no modules: start it without them\./,
	);
});

test("a multiboot kernel finds the BIOS data area and the MultiProcessor tables with right sums", () => {
	const target = memory(4 << 20);
	loadImage({ name: "kernel", bytes: addressedImage() }, {}, target, PLATFORM);
	const view = new DataView(target.bytes.buffer);
	assert.equal(view.getUint16(0x40e, true) * 16, 0x9fc00);
	assert.equal(view.getUint16(0x413, true), 639);
	const sum = (start: number, length: number) =>
		target.bytes.subarray(start, start + length).reduce((all, byte) => (all + byte) & 0xff, 0);
	const text = (at: number, length: number) => Buffer.from(target.bytes.subarray(at, at + length)).toString("latin1");
	const pointer = 0xf0000;
	assert.equal(text(pointer, 4), "_MP_");
	assert.equal(sum(pointer, 16), 0);
	const table = view.getUint32(pointer + 4, true);
	assert.equal(text(table, 4), "PCMP");
	const length = view.getUint16(table + 4, true);
	assert.equal(sum(table, length), 0);
	assert.ok(table + length <= 0x100000);
	let at = table + 44;
	for (let entry = 0; entry < view.getUint16(table + 34, true); entry++) at += target.bytes[at] === 0 ? 20 : 8;
	assert.equal(at, table + length);
});

test("kernels of every protocol find the ACPI tables", () => {
	for (const bytes of [addressedImage(), pvhImage()]) {
		const target = memory(4 << 20);
		const boot = loadImage({ name: "kernel", bytes }, {}, target, PLATFORM);
		const read = (address: number, length: number) => target.bytes.subarray(address, address + length);
		const pointer = findRootPointer(read);
		assert.equal(pointer, 0xf0400);
		assert.ok(readTables(read, pointer).has("APIC"));
		if (boot.protocol !== "PVH") continue;
		const information = new DataView(target.bytes.buffer, boot.registers.ebx!);
		assert.equal(information.getBigUint64(32, true), BigInt(pointer));
	}
});

/** A multiboot 2 image with load addresses and further tags: type, flags, content. */
function taggedImage(...tags: readonly [type: number, flags: number, content: Uint8Array][]): Uint8Array {
	const parts = tags.map(([type, flags, content]) => {
		const bytes = new Uint8Array(Math.ceil((8 + content.length) / 8) * 8);
		bytes.set(words(type | (flags << 16), 8 + content.length));
		bytes.set(content, 8);
		return bytes;
	});
	const body = join(...parts);
	const length = 16 + body.length + 8;
	return join(words(0xe85250d6, 0, length, -(0xe85250d6 + length)), body, words(0, 8), Uint8Array.of(0xf4));
}

const PLATFORM = { processors: 1, memoryBytes: 4 << 20, powerPort: 0x600, remapping: false };

const ADDRESS = [2, 0, words(0x100000, 0x100000, 0, 0)] as const;
const ENTRY = [3, 0, words(0x100000)] as const;

/** The tags of the information at `address` by type. */
function informationTags(target: { bytes: Uint8Array }, address: number): Map<number, DataView> {
	const view = new DataView(target.bytes.buffer);
	const tags = new Map<number, DataView>();
	for (let at = address + 8; ; at += (view.getUint32(at + 4, true) + 7) & ~7) {
		const type = view.getUint32(at, true);
		if (type === 0) return tags;
		tags.set(type, new DataView(target.bytes.buffer, at + 8, view.getUint32(at + 4, true) - 8));
	}
}

test("multiboot 2: every tag of a header is understood, and the information says where the screen and the root pointer are", () => {
	const target = memory(4 << 20);
	const image = taggedImage(
		[1, 0, words(1, 3, 6, 8, 9, 14)],
		[...ADDRESS],
		[...ENTRY],
		[4, 0, words(3)],
		[5, 0, words(1024, 768, 32)],
		[6, 0, new Uint8Array(0)],
		[7, 0, new Uint8Array(0)],
		[8, 0, words(0)],
		[9, 0, words(0)],
		[10, 0, words(0x100000, 0xffffffff, 4096, 1)],
		[99, 1, new Uint8Array(0)],
	);
	const boot = loadImage({ name: "kernel", bytes: image }, {}, target, PLATFORM);
	assert.equal(boot.registers.eax, 0x36d76289);
	const tags = informationTags(target, boot.registers.ebx!);
	const screen = tags.get(8)!;
	assert.deepEqual(
		[screen.getUint32(0, true), screen.getUint32(12, true), screen.getUint32(16, true)],
		[0xb8000, 80, 25],
	);
	assert.deepEqual([screen.getUint8(20), screen.getUint8(21)], [16, 2]);
	for (const [type, length] of [
		[14, 20],
		[15, 36],
	] as const) {
		const pointer = tags.get(type)!;
		assert.equal(pointer.byteLength, length);
		assert.equal(pointer.getUint32(0, true), 0x20445352, "RSD");
	}
	assert.equal(tags.get(21)!.getUint32(0, true), 0x100000);
});

test("multiboot 2 headers that are wrong are refused with one sentence", () => {
	const cases: [Uint8Array, RegExp][] = [
		[taggedImage([2, 0, new Uint8Array(0)]), /header tag 2 that is too short/],
		[taggedImage([3, 0, new Uint8Array(0)]), /header tag 3 that is too short/],
		[taggedImage([99, 0, new Uint8Array(0)]), /requires multiboot 2 header tag 99/],
		[taggedImage([1, 0, words(77)], [...ADDRESS], [...ENTRY]), /requires multiboot 2 information 77/],
		[words(0xe85250d6, 4, 24, -(0xe85250d6 + 28), 0, 8), /for another architecture/],
	];
	for (const [bytes, sentence] of cases)
		assert.throws(
			() => loadImage({ name: "kernel", bytes }, {}, memory(4 << 20), PLATFORM),
			(error: unknown) => error instanceof MachineError && sentence.test(error.message),
		);
});

test("every change of one byte in a multiboot 2 header either loads or is refused with a MachineError", () => {
	const whole = taggedImage([1, 0, words(1, 3)], [...ADDRESS], [...ENTRY], [10, 0, words(0, 0, 4096, 0)]);
	for (let at = 0; at < whole.length; at++)
		for (const value of [0, 1, 0x7f, 0xff]) {
			const bytes = whole.slice();
			bytes[at] = value;
			try {
				loadImage({ name: "kernel", bytes }, {}, memory(4 << 20), PLATFORM);
			} catch (error) {
				assert.ok(error instanceof MachineError, String(error));
			}
		}
});

/** A 32-bit ELF file with one segment of a HLT. */
function elfImage(type: number, entry: number): Uint8Array {
	const bytes = new Uint8Array(52 + 32 + 1);
	bytes.set([0x7f, 0x45, 0x4c, 0x46, 1, 1, 1]);
	const view = new DataView(bytes.buffer);
	view.setUint16(16, type, true);
	view.setUint16(18, 3, true);
	view.setUint32(24, entry, true);
	view.setUint32(28, 52, true);
	view.setUint16(42, 32, true);
	view.setUint16(44, 1, true);
	bytes.set(words(1, 84, 0xc0100000, 0x100000, 1, 4096, 7, 4096), 52);
	bytes[84] = 0xf4;
	return bytes;
}

test("an ELF entry may be a linear or a physical address; elsewhere it is refused, as object files are", () => {
	const load = (bytes: Uint8Array) =>
		loadImage({ name: "kernel", bytes }, {}, memory(4 << 20), PLATFORM).instructionPointer;
	assert.equal(load(elfImage(2, 0xc0100004)), 0x100004);
	assert.equal(load(elfImage(2, 0x100004)), 0x100004);
	assert.throws(() => load(elfImage(2, 0x200000)), /kernel starts at 0x200000, where none of its segments lies/);
	assert.throws(() => load(elfImage(1, 0x100000)), /not linked yet/);
	const initrd = { name: "initrd", bytes: Uint8Array.of(1) };
	const bytes = elfImage(2, 0x100004);
	assert.throws(
		() => loadImage({ name: "kernel", bytes }, { initrd }, memory(4 << 20), PLATFORM),
		/cannot be told of the module initrd/,
	);
});

test("a bzImage without a 32-bit entry says that it needs a BIOS", () => {
	const bytes = new Uint8Array(1024 + 512);
	const view = new DataView(bytes.buffer);
	bytes[0x1f1] = 1;
	view.setUint32(0x1f4, 32, true);
	view.setUint32(0x202, 0x53726448, true);
	view.setUint16(0x206, 0x0207, true);
	bytes[0x211] = 1;
	assert.throws(
		() => loadImage({ name: "loader", bytes }, {}, memory(4 << 20), PLATFORM),
		/loader has no 32-bit entry: it starts in real mode/,
	);
});
