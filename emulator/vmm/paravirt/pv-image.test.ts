import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { MachineError } from "../../machine/virtual-machine.ts";
import { createMachine } from "../create-machine.ts";
import { parsePvImage } from "./pv-image.ts";
import { COMPAT_BASE, HYPERCALL_PAGE, standardNotes, testKernelFile, WIDE_BASE } from "./test-kernel.ts";
import { ElfNoteType } from "./xen-abi.ts";

const HALT = [0xf4];

function refusal(bytes: Uint8Array): string {
	try {
		createMachine({ vmm: "pv", memory: 8 << 20, image: { name: "kernel", bytes } });
	} catch (error) {
		assert.ok(error instanceof MachineError);
		return error.message;
	}
	return assert.fail("it was accepted");
}

test("notes of 32- and 64-bit kernels say where they begin", () => {
	for (const wide of [true, false]) {
		const base = wide ? WIDE_BASE : COMPAT_BASE;
		const image = parsePvImage({ name: "kernel", bytes: testKernelFile({ wide, code: HALT }) });
		assert.equal(image.wide, wide);
		assert.equal(image.entry, base + 0x100000n);
		assert.equal(image.hypercallPage, base + BigInt(HYPERCALL_PAGE));
		assert.equal(image.modStartPfn, false);
	}
});

test("a kernel without notes is refused with what is missing and which techniques can run it", () => {
	const message = refusal(testKernelFile({ wide: true, code: HALT, notes: [] }));
	assert.match(message, /carries no Xen ELF notes \(XEN_ELFNOTE_ENTRY, XEN_ELFNOTE_XEN_VERSION\)/);
	assert.match(message, /"none" or "hvm"/);
});

test("a 32-bit kernel without PAE is refused", () => {
	const notes = standardNotes(false);
	const without = notes.filter(([type]) => type !== ElfNoteType.paeMode);
	assert.match(
		refusal(testKernelFile({ wide: false, code: HALT, notes: without })),
		/without PAE \(XEN_ELFNOTE_PAE_MODE says nothing\)/,
	);
	const no = [...without, [ElfNoteType.paeMode, "no"] as const];
	assert.match(refusal(testKernelFile({ wide: false, code: HALT, notes: no })), /says "no"/);
});

test("another interface, a file that is no ELF and a bzImage whose kernel cannot be taken out are refused", () => {
	const old = standardNotes(true).map(
		([type, value]) => [type, type === ElfNoteType.xenVersion ? "xen-2.0" : value] as const,
	);
	assert.match(
		refusal(testKernelFile({ wide: true, code: HALT, notes: old })),
		/"xen-2.0"; this hypervisor has "xen-3.0"/,
	);
	assert.match(refusal(new Uint8Array(2000)), /is not an ELF kernel/);
	const image = new Uint8Array(4096);
	const view = new DataView(image.buffer);
	view.setUint32(0x202, 0x53726448, true);
	view.setUint16(0x206, 0x20f, true);
	image[0x1f1] = 1;
	view.setUint32(0x248, 0, true);
	view.setUint32(0x24c, 16, true);
	image.set([0x42, 0x5a, 0x68], 1024);
	assert.match(refusal(image), /compressed with bzip2, which "pv" cannot undo: take the vmlinux out of it/);
	image.set([0x28, 0xb5, 0x2f, 0xfd], 1024);
	assert.match(refusal(image), /cannot be decompressed \(zstd\): /);
	view.setUint32(1024 + 12, 0xffff_ffff, true);
	assert.match(refusal(image), /it claims to have 4294967295 bytes/);
});

test("the kernel is taken out of a bzImage", () => {
	const kernel = testKernelFile({ wide: true, code: HALT });
	const payload = new Uint8Array(gzipSync(kernel));
	const image = new Uint8Array(1024 + payload.length);
	const view = new DataView(image.buffer);
	view.setUint32(0x202, 0x53726448, true);
	view.setUint16(0x206, 0x20f, true);
	image[0x1f1] = 1;
	view.setUint32(0x24c, payload.length, true);
	image.set(payload, 1024);
	const { entry, elf } = parsePvImage({ name: "kernel", bytes: image });
	assert.equal(entry, WIDE_BASE + 0x100000n);
	assert.deepEqual(elf, parsePvImage({ name: "kernel", bytes: kernel }).elf);
});

test("the older section __xen_guest is understood", () => {
	const plain = testKernelFile({ wide: false, code: HALT, notes: [] });
	const text = new TextEncoder().encode(
		"GUEST_OS=old,XEN_VER=xen-3.0,VIRT_BASE=0xC0000000,VIRT_ENTRY=0xC0100000,HYPERCALL_PAGE=0x101,PAE=yes\0",
	);
	const names = new TextEncoder().encode("\0__xen_guest\0.shstrtab\0");
	const file = new Uint8Array(plain.length + 256 + 3 * 40);
	file.set(plain);
	const view = new DataView(file.buffer);
	const at = plain.length;
	file.set(text, at);
	file.set(names, at + 160);
	view.setUint32(32, at + 256, true);
	view.setUint16(46, 40, true);
	view.setUint16(48, 3, true);
	view.setUint16(50, 2, true);
	const section = (index: number, name: number, offset: number, length: number): void => {
		view.setUint32(at + 256 + index * 40, name, true);
		view.setUint32(at + 256 + index * 40 + 16, offset, true);
		view.setUint32(at + 256 + index * 40 + 20, length, true);
	};
	section(1, 1, at, text.length);
	section(2, 13, at + 160, names.length);
	const image = parsePvImage({ name: "old", bytes: file });
	assert.equal(image.entry, 0xc0100000n);
	assert.equal(image.hypercallPage, 0xc0101000n);
	assert.equal(image.guestOs, "old");
});

test("what does not fit is refused: memory, command line", () => {
	const image = { name: "kernel", bytes: testKernelFile({ wide: true, code: HALT }) };
	assert.throws(() => createMachine({ vmm: "pv", memory: 1 << 20, image }), /give it more with "memory"/);
	assert.throws(() => createMachine({ vmm: "pv", memory: 8 << 20, image, append: "x".repeat(1024) }), /takes 1023/);
	assert.throws(() => createMachine({ vmm: "pv", memory: 8 << 20 }), /name its image/);
	assert.throws(() => createMachine({ vmm: "pv", mmu: "shadow", memory: 8 << 20, image }), /leave "mmu" out/);
});
