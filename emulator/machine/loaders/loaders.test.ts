import assert from "node:assert/strict";
import { test } from "node:test";
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
	const boot = loadImage({ name: "kernel", bytes: addressedImage() }, { append: "one two" }, target);
	assert.equal(boot.instructionPointer, 0x100020);
	assert.equal(boot.registers.eax, 0x2badb002);
	assert.deepEqual([...target.bytes.subarray(0x100020, 0x100024)], [0x90, 0x90, 0x90, 0xf4]);
	const view = new DataView(target.bytes.buffer);
	const information = boot.registers.ebx!;
	assert.equal(view.getUint32(information, true) & 0x45, 0x45);
	const line = view.getUint32(information + 16, true);
	assert.equal(Buffer.from(target.bytes.subarray(line, line + 15)).toString(), "kernel one two\0");
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
			() => loadImage({ name: "kernel", bytes }, {}, target),
			(error: unknown) => error instanceof MachineError && sentence.test(error.message),
		);
	}
});

test("an image that does not fit asks for more memory", () => {
	const bytes = addressedImage();
	new DataView(bytes.buffer).setUint32(24, 0x800000, true);
	assert.throws(() => loadImage({ name: "kernel", bytes }, {}, memory(4 << 20)), /give it more with "memory"/);
});

test("every truncation of an image either loads or is refused with a MachineError", () => {
	const whole = addressedImage();
	for (let length = 0; length < whole.length; length++) {
		try {
			loadImage({ name: "kernel", bytes: whole.subarray(0, length) }, {}, memory(4 << 20));
		} catch (error) {
			assert.ok(error instanceof MachineError, String(error));
		}
	}
});
