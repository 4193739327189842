// Start from firmware: the reset vector, ROM below 4 GiB and its image below 1 MB, shadowing by the PAM registers.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NativeMachine } from "./native-machine.ts";

const SIZE = 0x20000;

/** 128 KB of ROM with code at F000:0100 and a jump to it at the reset vector. */
function rom(...code: number[]): Uint8Array {
	const bytes = new Uint8Array(SIZE).fill(0x11);
	bytes.set(code, 0x10100);
	bytes.set([0xea, 0x00, 0x01, 0x00, 0xf0], 0x1fff0);
	return bytes;
}

function machine(...code: number[]): NativeMachine {
	return new NativeMachine({ vmm: "none", memory: 4 << 20, firmware: { name: "test.bin", bytes: rom(...code) } });
}

/** mov al, v; out 0xf4, al */
const exit = (value: number) => [0xb0, value, 0xe6, 0xf4];

test("the processor starts at the reset vector in ROM, in real-address mode", () => {
	const vm = machine(...exit(9));
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), 0xfffffff0n);
	assert.deepEqual(vm.run(100), { reason: "debug-exit", value: 9 });
	assert.equal(vm.processors()[0]!.linearInstructionPointer(), 0xf0104n);
});

test("only UEFI firmware starts a kernel: it finds a bzImage in fw_cfg, other images are refused", () => {
	const plain = { name: "plain.bin", bytes: rom(...exit(1)) };
	const uefi = { name: "uefi.fd", bytes: rom(...exit(1)) };
	uefi.bytes.set(
		[..."_FVH"].map((letter) => letter.charCodeAt(0)),
		0x1000 + 40,
	);
	const kernel = new Uint8Array(1024 + 32);
	kernel[0x1f1] = 1;
	new DataView(kernel.buffer).setUint32(0x1f4, 2, true);
	new DataView(kernel.buffer).setUint32(0x202, 0x53726448, true);
	kernel.fill(0x5a, 1024);
	const start = (firmware: typeof plain, bytes: Uint8Array) =>
		new NativeMachine({
			vmm: "none",
			memory: 4 << 20,
			firmware,
			image: { name: "vmlinuz", bytes },
			initrd: { name: "initrd", bytes: Uint8Array.of(1, 2, 3) },
			append: "quiet",
		});
	assert.throws(() => start(plain, kernel), /Either vmlinuz or the firmware plain\.bin/);
	assert.throws(() => start(uefi, new Uint8Array(2000)), /vmlinuz is no Linux bzImage/);
	assert.throws(() => start(uefi, kernel.subarray(0, 1030)), /truncated bzImage/);
	const { ports } = start(uefi, kernel).host.devices;
	const item = (key: number, length: number) => {
		ports.write(0x510, 2, key);
		return Array.from({ length }, () => ports.read(0x511, 1));
	};
	assert.deepEqual(item(0x17, 4), [0, 4, 0, 0], "the setup part has two sectors");
	assert.deepEqual(item(0x08, 4), [32, 0, 0, 0]);
	assert.deepEqual(item(0x11, 2), [0x5a, 0x5a]);
	assert.deepEqual(item(0x12, 3), [1, 2, 3]);
	assert.equal(String.fromCharCode(...item(0x15, 5)), "quiet");
});

test("an initramfs without a kernel is refused", () => {
	const firmware = { name: "test.bin", bytes: rom(...exit(1)) };
	const initrd = { name: "initrd", bytes: Uint8Array.of(1) };
	assert.throws(
		() => new NativeMachine({ vmm: "none", memory: 4 << 20, firmware, initrd }),
		/initrd goes with a kernel/,
	);
});

test("firmware finds the IDE function without drives", () => {
	const { ports } = machine().host.devices;
	ports.write(0xcf8, 4, 0x80000900);
	assert.equal(ports.read(0xcfc, 4), 0x7010_8086);
	assert.notEqual(ports.read(0x1f7, 1), 0xff, "not busy for ever");
});

test("the PAM registers choose between ROM and RAM for reads and writes", () => {
	const vm = machine();
	const { physical, devices } = vm.host;
	const set = (register: number, value: number) => {
		devices.ports.write(0xcf8, 4, 0x80000000 | (register & 0xfc));
		devices.ports.write(0xcfc + (register & 3), 1, value);
	};
	const bytes = () => [0xe0000, 0xeffff, 0xf0000].map((address) => physical.read(address, 1));
	assert.deepEqual(bytes(), [0x11, 0x11, 0x11]);
	assert.equal(physical.read(0xc0000, 1), 0xff, "no ROM is there");
	physical.write(0xf0000, 1, 0x22);
	assert.deepEqual(bytes(), [0x11, 0x11, 0x11], "writes to ROM are lost");
	set(0x59, 0x20);
	physical.write(0xf0000, 1, 0x33);
	assert.deepEqual(bytes(), [0x11, 0x11, 0x11], "reads still come from ROM");
	set(0x59, 0x10);
	assert.deepEqual(bytes(), [0x11, 0x11, 0x33]);
	physical.write(0xf0000, 1, 0x44);
	assert.deepEqual(bytes(), [0x11, 0x11, 0x33], "write-protected");
	set(0x5f, 0x30);
	physical.write(0xeffff, 1, 0x55);
	assert.deepEqual(bytes(), [0x11, 0x55, 0x33]);
	set(0x5a, 0x03);
	physical.write(0xc0000, 2, 0x6677);
	assert.deepEqual([...physical.peek(0xc0000, 2)!], [0x77, 0x66]);
	assert.equal(physical.read(0xffffffff, 1), 0x11, "the ROM below 4 GiB stays");
});

test("code that runs from shadow memory is decoded anew when the memory behind it changes", () => {
	// mov eax, 0x80000058; mov dx, 0xcf8; out dx, eax; mov dx, 0xcfd; mov al, 0x30; out dx, al - from E000, over F000.
	const switchToRam = [0x66, 0xb8, 0x58, 0, 0, 0x80, 0xba, 0xf8, 0x0c, 0x66, 0xef, 0xba, 0xfd, 0x0c, 0xb0, 0x30, 0xee];
	// call f000:0200; the switch; mov ax, 0xf000; mov ds, ax; mov word [0x200], 0xcb40 (inc ax; retf); xor ax, ax; call f000:0200; out 0xf4, al
	const call = [0x9a, 0x00, 0x02, 0x00, 0xf0];
	const code = [
		...[0x31, 0xc0, 0x8e, 0xd0, 0xbc, 0x00, 0x70],
		...call,
		...switchToRam,
		...[0xb8, 0x00, 0xf0, 0x8e, 0xd8, 0xc7, 0x06, 0x00, 0x02, 0x40, 0xcb, 0x31, 0xc0],
		...call,
		...[0xe6, 0xf4],
	];
	const bytes = rom(0xea, 0x00, 0x03, 0x00, 0xe0);
	bytes.set(code, 0x300);
	bytes.set([0xcb], 0x10200);
	const vm = new NativeMachine({ vmm: "none", memory: 4 << 20, firmware: { name: "test.bin", bytes } });
	assert.deepEqual(vm.run(1000), { reason: "debug-exit", value: 1 });
});

test("a reset by the guest starts the firmware again, with memory kept and time going on", () => {
	// xor ax, ax; mov ds, ax; inc byte [0x500]; cmp byte [0x500], 3; je done; mov al, 0xfe; out 0x64, al; hlt; done: exit
	const vm = machine(
		...[
			0x31, 0xc0, 0x8e, 0xd8, 0xfe, 0x06, 0x00, 0x05, 0x80, 0x3e, 0x00, 0x05, 3, 0x74, 5, 0xb0, 0xfe, 0xe6, 0x64, 0xf4,
		],
		...exit(3),
	);
	assert.deepEqual(vm.run(1000), { reason: "debug-exit", value: 3 });
	assert.equal(vm.instructionCount(), 8 + 8 + 8);
	vm.reset();
	assert.equal(vm.instructionCount(), 0, "a power cycle begins anew");
	assert.deepEqual(vm.run(1000), { reason: "debug-exit", value: 3 });
});

test("what is no firmware is refused with one sentence", () => {
	const start = (length: number) =>
		new NativeMachine({ vmm: "none", memory: 4 << 20, firmware: { name: "x.bin", bytes: new Uint8Array(length) } });
	for (const length of [0, 100, 0x10001, 17 << 20])
		assert.throws(() => start(length), new RegExp(`^Error: x.bin has ${length} bytes and is no firmware`));
	const image = { name: "kernel", bytes: new Uint8Array(10) };
	const firmware = { name: "x.bin", bytes: new Uint8Array(0x10000) };
	assert.throws(
		() => new NativeMachine({ vmm: "none", memory: 4 << 20, firmware, image }),
		/Either kernel or the firmware x.bin starts the machine/,
	);
});
