// Instructions on device memory, which the VMM executes for the guest, do what they do on the bare machine: random sequences in 32-bit and
// 64-bit code, registers, flags, device memory and RAM compared.

import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { CODE, dword, elfImage } from "../../../test/tools/hvm-guest.ts";
import { TEST_DEVICE_MEMORY } from "../../devices/pc-test-device.ts";
import type { VirtualMachine } from "../../machine/virtual-machine.ts";
import { createMachine } from "../create-machine.ts";

/** Places in the image: descriptors, page tables, the copy of the device memory, stack. */
const [GDT, TABLES, COPY, STACK, END] = [0x1000, 0x2000, 0x4000, 0x6000, 0x6000] as const;
const DEVICES = [TEST_DEVICE_MEMORY, 0xb8000] as const;
const WINDOW = 64;

/** ModRM with [rSI + disp8]. */
const memory = (reg: number, displacement: number): number[] => [0x46 | (reg << 3), displacement];
/** Registers that the templates may change: not rSP, rSI, rDI. */
const register = fc.constantFrom(0, 1, 2, 3, 5);
const displacement = fc.integer({ min: 0, max: 40 });
const prefix = fc.constantFrom<readonly number[]>([], [], [0x66]);

const oneOperand = fc.constantFrom<readonly [number[], number]>(
	[[0xfe], 0],
	[[0xff], 0],
	[[0xff], 1],
	[[0xf6], 2],
	[[0xf7], 3],
	[[0xf7], 4],
	[[0xf7], 5],
	[[0xd1], 0],
	[[0xd3], 4],
	[[0xd1], 7],
	[[0xd1], 2],
);
const twoOperands = fc.constantFrom<number[]>(
	...[0x00, 0x01, 0x02, 0x03, 0x09, 0x0b, 0x11, 0x13, 0x19, 0x1b, 0x21, 0x23, 0x29, 0x2b, 0x31, 0x33, 0x39, 0x3b].map(
		(o) => [o],
	),
	...[0x84, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8a, 0x8b].map((o) => [o]),
	...[0xa3, 0xab, 0xb3, 0xbb, 0xb0, 0xb1, 0xb6, 0xb7, 0xbe, 0xbf, 0xc0, 0xc1, 0xaf, 0xa5, 0x44, 0x4c, 0x94, 0x9f].map(
		(o) => [0x0f, o],
	),
	[0x0f, 0x10],
	[0x0f, 0x11],
	[0x0f, 0x58],
);

/** Bits are kept inside the window: BT and its kin reach as far as the register says. */
const reaches = (opcode: readonly number[]) => opcode[0] === 0x0f && [0xa3, 0xab, 0xb3, 0xbb].includes(opcode[1]!);

const instruction = fc.oneof(
	fc.tuple(prefix, twoOperands, register, displacement).map(([p, opcode, reg, at]) => [
		...(reaches(opcode) ? [0xb8 + reg, ...dword(at * 3)] : []),
		...(opcode[1] === 0x10 || opcode[1] === 0x11 || opcode[1] === 0x58 ? [] : p),
		...opcode,
		// ADDPS asks for an aligned operand.
		...memory(reg, reaches(opcode) ? 0 : opcode[1] === 0x58 ? at & 0x30 : at),
	]),
	fc.tuple(prefix, oneOperand, displacement).map(([p, [opcode, reg], at]) => [...p, ...opcode, ...memory(reg, at)]),
	fc.tuple(register, fc.integer()).map(([reg, value]) => [0xb8 + reg, ...dword(value)]),
	fc
		.tuple(fc.constantFrom(0, 1, 4, 5, 6), displacement, fc.integer({ min: 0, max: 127 }))
		.map(([reg, at, value]) => [0x83, ...memory(reg, at), value]),
	displacement.map((at) => [0xc6, ...memory(0, at), 0x5a]),
	displacement.map((at) => [0xff, ...memory(6, at), 0x8f, ...memory(0, (at * 7) % 40)]),
	displacement.map((at) => [0xd9, ...memory(0, at), 0xdd, ...memory(3, at)]),
	// STOS, MOVS and LODS of the window's first bytes, repeated, and rSI and rDI back.
	fc
		.tuple(fc.constantFrom(0xaa, 0xab, 0xa4, 0xa5, 0xac, 0xad, 0xae, 0xa6), fc.integer({ min: 0, max: 12 }))
		.map(([opcode, count]) => [0x56, 0x57, 0xb9, ...dword(count), 0x89, 0xf7, 0xf3, opcode, 0x5f, 0x5e]),
);

/** Device memory is filled, the instructions run, and device memory is copied to RAM. */
function image(device: number, instructions: readonly (readonly number[])[], wide: boolean): Uint8Array {
	const bytes = new Uint8Array(END);
	const view = new DataView(bytes.buffer);
	const enter64 = [
		[0x0f, 0x01, 0x15, ...dword(CODE + GDT + 0x100)], // lgdt
		[0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0], // CR4.PAE
		[0xb8, ...dword(CODE + TABLES), 0x0f, 0x22, 0xd8], // CR3
		[0xb9, ...dword(0xc0000080), 0x0f, 0x32, 0x80, 0xcc, 0x01, 0x0f, 0x30], // EFER.LME
		[0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0], // CR0.PG
	].flat();
	const jump = [0xea, ...dword(CODE + enter64.length + 7), 0x18, 0x00];
	const begin = [
		...(wide ? [...enter64, ...jump] : []),
		...[0x0f, 0x20, 0xe0, 0x0d, ...dword(0x600), 0x0f, 0x22, 0xe0], // CR4.OSFXSR, OSXMMEXCPT
		...[0xbc, ...dword(CODE + STACK), 0xbe, ...dword(device), 0xbf, ...dword(device)],
		...[0xb9, ...dword(WINDOW), 0xb0, 0x37, 0x9b, 0xdb, 0xe3], // mov $WINDOW, %ecx; mov $0x37, %al; finit
		...[
			0x88,
			0x07,
			0x04,
			0x1d,
			wide ? 0x48 : 0x90,
			wide ? 0xff : 0x47,
			...(wide ? [0xc7] : []),
			0xff,
			0xc9,
			0x75,
			wide ? 0xf5 : 0xf6,
		], // fill
		...[0xbf, ...dword(device)],
	];
	const copy = [0xbe, ...dword(device), 0xbf, ...dword(CODE + COPY), 0xb9, ...dword(WINDOW), 0xf3, 0xa4];
	bytes.set([...begin, ...instructions.flat(), 0x9c, ...copy, 0x9d, 0xb0, 0x00, 0xe6, 0xf4, 0xf4]);
	const descriptors = [0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300, 0x0000ffff, 0x00af9b00];
	for (const [n, word] of descriptors.entries()) view.setUint32(GDT + 8 + n * 4, word, true);
	view.setUint16(GDT + 0x100, 0x1f, true);
	view.setUint32(GDT + 0x102, CODE + GDT, true);
	view.setUint32(TABLES, (CODE + TABLES + 0x1000) | 3, true);
	for (let gib = 0; gib < 4; gib++) view.setUint32(TABLES + 0x1000 + gib * 8, (gib * 0x40000000) | 0x83, true);
	return bytes;
}

function finish(machine: VirtualMachine): Record<string, unknown> {
	const stop = machine.run(100_000);
	const processor = machine.processors()[0]!;
	const names = [
		"rax",
		"rcx",
		"rdx",
		"rbx",
		"rsp",
		"rbp",
		"rsi",
		"rdi",
		"rip",
		"rflags",
		"xmm0",
		"xmm3",
		"fsw",
		"st0",
		"cr0",
		"cr4",
		"efer",
	];
	const registers = names.map((name) => `${name} ${processor.register(name)?.toString(16)}`);
	const copied = processor.readMemory({ space: "gpa", value: BigInt(CODE + COPY) }, WINDOW);
	return { stop, registers, copied: Buffer.from(copied!).toString("hex") };
}

for (const wide of [false, true]) {
	test(`device memory in ${wide ? 64 : 32}-bit code: the same under hvm as on the bare machine`, () => {
		fc.assert(
			fc.property(
				fc.constantFrom(...DEVICES),
				fc.array(instruction, { minLength: 1, maxLength: 40 }),
				(device, instructions) => {
					const bytes = elfImage(image(device, instructions, wide));
					const configuration = { memory: 4 << 20, image: { name: "guest", bytes } };
					const bare = finish(createMachine({ vmm: "none", ...configuration }));
					assert.equal((bare.stop as { reason: string }).reason, "debug-exit");
					for (const mmu of ["ept", "shadow"] as const)
						assert.deepEqual(finish(createMachine({ vmm: "hvm", mmu, ...configuration })), bare, mmu);
				},
			),
			{ numRuns: Number(process.env.DEVICE_MEMORY_RUNS ?? 12) },
		);
	});
}
