import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { imageHeaderLength, recognizeImage } from "./image.ts";

function elf(machine: number, type = 2): Uint8Array {
	const bytes = new Uint8Array(4096);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, 0x464c457f, true);
	bytes[4] = machine === 62 ? 2 : 1;
	view.setUint16(16, type, true);
	view.setUint16(18, machine, true);
	return bytes;
}

test("the paravirtual samples are told by their notes", () => {
	for (const [name, bits] of [
		["xen32", 32],
		["xen64", 64],
		["dom0", 64],
	] as const) {
		const bytes = readFileSync(new URL(`../samples/${name}/${name}.elf`, import.meta.url));
		assert.deepEqual(recognizeImage(bytes.subarray(0, imageHeaderLength)), { format: "xen", bits });
	}
});

test("the samples are Multiboot kernels", () => {
	const bytes = readFileSync(new URL("../samples/hello/hello.elf", import.meta.url));
	assert.deepEqual(recognizeImage(bytes), { format: "multiboot", bits: 32 });
});

test("ELF files are told apart by machine and type", () => {
	assert.deepEqual(recognizeImage(elf(3)), { format: "elf", bits: 32 });
	assert.deepEqual(recognizeImage(elf(62)), { format: "elf", bits: 64 });
	assert.equal(recognizeImage(elf(3, 1)), undefined, "an object file");
	assert.equal(recognizeImage(elf(40)), undefined, "an ARM program");
});

test("a program with an interpreter is a user program", () => {
	const bytes = elf(62);
	const view = new DataView(bytes.buffer);
	view.setBigUint64(32, 64n, true);
	view.setUint16(54, 56, true);
	view.setUint16(56, 1, true);
	view.setUint32(64, 3, true);
	assert.equal(recognizeImage(bytes), undefined);
});

test("a Multiboot header counts only with its checksum", () => {
	const bytes = elf(3);
	const view = new DataView(bytes.buffer);
	view.setUint32(0x100, 0x1badb002, true);
	view.setUint32(0x104, 3, true);
	assert.equal(recognizeImage(bytes)?.format, "elf");
	view.setUint32(0x108, -(0x1badb002 + 3) >>> 0, true);
	assert.equal(recognizeImage(bytes)?.format, "multiboot");
});

test("a bzImage tells its width", () => {
	const bytes = new Uint8Array(1024);
	const view = new DataView(bytes.buffer);
	view.setUint16(0x1fe, 0xaa55, true);
	view.setUint32(0x202, 0x53726448, true);
	view.setUint16(0x206, 0x20f, true);
	assert.deepEqual(recognizeImage(bytes), { format: "bzImage", bits: 32 });
	view.setUint16(0x236, 1, true);
	assert.deepEqual(recognizeImage(bytes), { format: "bzImage", bits: 64 });
});

test("no bytes make it throw", () => {
	fc.assert(
		fc.property(fc.uint8Array({ maxLength: 700 }), fc.boolean(), (bytes, asElf) => {
			if (asElf && bytes.length >= 4) bytes.set([0x7f, 0x45, 0x4c, 0x46]);
			recognizeImage(bytes);
		}),
	);
});
