// Random kernel code under binary translation and on the bare machine: the guest must not be able to tell.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Processor, VirtualMachine } from "../machine/virtual-machine.ts";
import { createMachine } from "./create-machine.ts";

const BASE = 0x100000;
const CODE = 0x40;
const DATA = 0x2000;
const IMAGE_BYTES = 0x4000;
const HANDLER = 0x1000;
const IDT = 0x1800;
const GDT = 0x1f00;

/** One piece of random code: bytes that end where they began to fall through. */
type Piece = readonly number[];

const dword = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
/** Registers that random code may change: not ESP, nor EBP, which points to the data. */
const register = fc.constantFrom(0, 1, 2, 3, 6, 7);
const value = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 0x7fffffff, -0x80000000));

const piece: fc.Arbitrary<Piece> = fc.oneof(
	fc.tuple(register, value).map(([r, v]) => [0xb8 + r, ...dword(v)]),
	// ALU between registers, with the data, with an immediate.
	fc.tuple(fc.integer({ min: 0, max: 7 }), register, register).map(([op, a, b]) => [op * 8 + 1, 0xc0 | (a << 3) | b]),
	fc
		.tuple(fc.integer({ min: 0, max: 7 }), register, fc.integer({ min: 0, max: 24 }), fc.constantFrom(1, 3))
		.map(([op, a, at, form]) => [op * 8 + form, 0x45 | (a << 3), at * 4]),
	fc
		.tuple(fc.integer({ min: 0, max: 7 }), register, value)
		.map(([op, r, v]) => [0x81, 0xc0 | (op << 3) | r, ...dword(v)]),
	fc
		.tuple(fc.integer({ min: 0, max: 7 }), register, fc.integer({ min: 0, max: 31 }))
		.map(([op, r, n]) => [0xc1, 0xc0 | (op << 3) | r, n === 0 ? 1 : n])
		.filter(([, m]) => ((m! >> 3) & 7) !== 6),
	// Flags through the stack, IF and DF.
	fc.constant([0x9c, 0x9d]),
	fc.tuple(register).map(([r]) => [0x9c, 0x58 + r]),
	fc
		.tuple(register, fc.integer({ min: 0, max: 0x7ff }))
		.map(([r, v]) => [0xb8 + r, ...dword(v & 0xed5), 0x50 + r, 0x9d]),
	fc.constantFrom<Piece>([0xfa], [0xfb], [0xfc], [0xfd], [0xf5], [0xf8], [0xf9], [0x9e], [0x9f]),
	// push, pop, xchg, inc, dec, cmov, setcc, movzx.
	fc.tuple(register, register).map(([a, b]) => [0x50 + a, 0x58 + b]),
	fc.tuple(register, fc.integer({ min: 0, max: 1 })).map(([r, d]) => [0x40 + d * 8 + r]),
	fc
		.tuple(fc.integer({ min: 0, max: 15 }), register, register)
		.map(([c, a, b]) => [0x0f, 0x40 + c, 0xc0 | (a << 3) | b]),
	fc.tuple(fc.integer({ min: 0, max: 15 }), fc.integer({ min: 0, max: 3 })).map(([c, r]) => [0x0f, 0x90 + c, 0xc0 | r]),
	// A conditional jump over an instruction; call and ret; call and jump through registers and memory.
	fc.tuple(fc.integer({ min: 0, max: 15 }), register, value).map(([c, r, v]) => [0x70 + c, 5, 0xb8 + r, ...dword(v)]),
	fc.tuple(register).map(([r]) => [0xe8, 2, 0, 0, 0, 0xeb, 2, 0x40 + r, 0xc3]),
	fc.tuple(register).map(([r]) => [0x6a, 1, 0xe8, 2, 0, 0, 0, 0xeb, 4, 0x40 + r, 0xc2, 4, 0]),
	fc
		.tuple(register, register)
		.map(([a, b]) => [0xe8, 0, 0, 0, 0, 0x58 + a, 0x83, 0xc0 | a, 8, 0xff, 0xe0 | a, 0x40 + b, 0x90]),
	fc
		.tuple(register, register)
		.map(([a, b]) => [0xe8, 0, 0, 0, 0, 0x58 + a, 0x83, 0xc0 | a, 10, 0xff, 0xd0 | a, 0xeb, 2, 0x40 + b, 0xc3]),
	// Loops.
	fc
		.tuple(fc.integer({ min: 1, max: 5 }), fc.constantFrom(0, 2, 3, 6))
		.map(([n, r]) => [0xb9, n, 0, 0, 0, 0x40 + r, 0xe2, 0xfd]),
	fc.constant([0xe3, 1, 0x40]),
	// Selectors, descriptor tables, control registers, CPUID.
	fc.tuple(fc.integer({ min: 0, max: 5 }), register).map(([s, r]) => [0x8c, 0xc0 | (s << 3) | r]),
	fc.constantFrom<Piece>([0x0e, 0x58], [0x16, 0x5b], [0x0f, 0xa8, 0x5e], [0x1e, 0x5f], [0x06, 0x59]),
	fc.constantFrom<Piece>(
		[0x0f, 0x00, 0xc8],
		[0x0f, 0x00, 0xc0],
		[0x0f, 0x01, 0xe0],
		[0x0f, 0x20, 0xc0],
		[0x0f, 0x20, 0xd3],
	),
	fc.constantFrom<Piece>([0x0f, 0x01, 0x45, 0x10], [0x0f, 0x01, 0x4d, 0x18]),
	fc
		.tuple(fc.constantFrom(0x08, 0x10, 0, 0x18, 0x20), fc.constantFrom(2, 3))
		.map(([s, op]) => [0x66, 0xbb, s, 0, 0x0f, op, 0xc3]),
	fc
		.tuple(fc.constantFrom(0x08, 0x10, 0x18), fc.constantFrom(0xe3, 0xeb))
		.map(([s, m]) => [0x66, 0xbb, s, 0, 0x0f, 0x00, m]),
	fc.tuple(fc.constantFrom(0xd8, 0xe0, 0xe8, 0xc0)).map(([m]) => [0xb8, 0x10, 0, 0, 0, 0x8e, m]),
	// Loads of selectors that fault, INT3, INT n, UD2, division by zero: the handler skips the instruction.
	fc.constantFrom<Piece>([0xcc], [0xcd, 0x40], [0x0f, 0x0b], [0xf7, 0x75, 0x7c], [0xb8, 0x30, 0, 0, 0, 0x8e, 0xe0]),
	// %gs and %cs overrides.
	fc.tuple(fc.constantFrom(0x65, 0x2e, 0x64, 0x36), register).map(([p, r]) => [p, 0x8b, 0x45 | (r << 3), 8]),
	fc
		.tuple(fc.constantFrom(0x65, 0x64), fc.constantFrom(0x01, 0x87, 0x89, 0x29), register)
		.map(([p, op, r]) => [p, op, 0x45 | (r << 3), 12]),
	// String instructions between two parts of the data.
	fc
		.tuple(
			fc.constantFrom(0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf),
			fc.constantFrom<Piece>([], [0xf3], [0xf2], [0x65], [0xf3, 0x65]),
			fc.integer({ min: 0, max: 6 }),
		)
		.map(([op, prefix, n]) => [0xfc, 0x8d, 0x75, 0x40, 0x8d, 0x7d, 0x60, 0xb9, n, 0, 0, 0, ...prefix, op]),
	// The code changes itself: the immediate of the instruction behind.
	fc.tuple(value, register).map(([v, r]) => [0xe8, 0, 0, 0, 0, 0x58, 0xc7, 0x40, 9, ...dword(v), 0xb8 + r, 0, 0, 0, 0]),
);

/**
 * A multiboot image that sets up a GDT and an IDT, runs the pieces, stores its state and powers off by the debug exit.
 * The handler of every vector adds the vector to a sum and goes on behind the faulting instruction, whose length it takes
 * from a table that the test fills: EIP of a fault → EIP to go on at.
 */
function image(pieces: readonly Piece[]): Uint8Array {
	const bytes = new Uint8Array(IMAGE_BYTES);
	const view = new DataView(bytes.buffer);
	[
		0x1badb002,
		0x10000,
		-(0x1badb002 + 0x10000),
		BASE,
		BASE,
		BASE + IMAGE_BYTES,
		BASE + IMAGE_BYTES,
		BASE + CODE,
	].forEach((word, n) => {
		view.setUint32(n * 4, word >>> 0, true);
	});
	const flat = [
		0x0000ffff,
		0x00cf9b00,
		0x0000ffff,
		0x00cf9300,
		0x00ffff | (0x2000 << 16),
		0x00409310,
		0x000000ff,
		0x00001300,
	];
	flat.forEach((word, n) => {
		view.setUint32(GDT + 8 + n * 4, word >>> 0, true);
	});
	// Pseudo-descriptors.
	view.setUint16(GDT + 0x60, 0x27, true);
	view.setUint32(GDT + 0x62, BASE + GDT, true);
	view.setUint16(GDT + 0x68, 0x80 * 8 - 1, true);
	view.setUint32(GDT + 0x6a, BASE + IDT, true);
	// One stub a vector: push the vector (and a filler where there is no error code), jump to the common part.
	const withError = [8, 10, 11, 12, 13, 14, 17];
	for (let vector = 0; vector < 0x80; vector++) {
		const at = HANDLER + vector * 8;
		if (vector < 0x41) {
			const stub = withError.includes(vector) ? [0x6a, vector, 0xe9] : [0x50, 0x6a, vector, 0xe9];
			const target = HANDLER + 0x400;
			bytes.set([...stub, ...dword(target - (at + stub.length + 4))], at);
		}
		const handler = BASE + Math.min(at, HANDLER + 0x40 * 8);
		view.setUint32(IDT + vector * 8, (0x08 << 16) | (handler & 0xffff), true);
		view.setUint32(IDT + vector * 8 + 4, ((handler & 0xffff0000) | (vector === 0x40 ? 0xee00 : 0x8e00)) >>> 0, true);
	}
	// Common: [esp] vector, [esp+4] error code, [esp+8] EIP. Adds vector and error code to the sum; a fault goes on at the
	// address in the dword before the piece's end marker, found by scanning for the marker bytes 0f 1f 80 "MARK".
	bytes.set(
		[
			0x50,
			0x51, // push eax, ecx
			0x8b,
			0x44,
			0x24,
			0x08, // mov 8(%esp), %eax
			0x01,
			0x45,
			0x7c - 0x10, // add %eax, 0x6c(%ebp)
			0x8b,
			0x4c,
			0x24,
			0x10, // mov 16(%esp), %ecx: EIP
			0x31,
			0x4d,
			0x70, // xor %ecx, 0x70(%ebp)
			0x81,
			0x39,
			0x0f,
			0x1f,
			0x80,
			0x4d, // 1: cmpl $marker, (%ecx)
			0x74,
			0x03,
			0x41,
			0xeb,
			0xf5, // je 2f; inc %ecx; jmp 1b
			0x89,
			0x4c,
			0x24,
			0x10, // 2: mov %ecx, 16(%esp)
			0x59,
			0x58,
			0x83,
			0xc4,
			0x08,
			0xcf, // pop ecx, eax; add $8, %esp; iret
		],
		HANDLER + 0x400,
	);
	const MARKER = [0x0f, 0x1f, 0x80, 0x4d, 0x41, 0x52, 0x4b];
	const code: number[] = [
		0xbc,
		...dword(BASE + IMAGE_BYTES - 0x100), // mov $stack, %esp
		0xbd,
		...dword(BASE + DATA), // mov $data, %ebp
		0x0f,
		0x01,
		0x15,
		...dword(BASE + GDT + 0x60), // lgdt
		0x0f,
		0x01,
		0x1d,
		...dword(BASE + GDT + 0x68), // lidt
		0xea,
		...dword(BASE + CODE + 31),
		0x08,
		0x00, // ljmp $8, 1f
		0x66,
		0xb8,
		0x10,
		0x00, // 1: mov $0x10, %ax
		0x8e,
		0xd8,
		0x8e,
		0xc0,
		0x8e,
		0xd0,
		0x8e,
		0xe0,
		0x8e,
		0xe8,
		0xb8,
		1,
		0,
		0,
		0,
		0xb9,
		2,
		0,
		0,
		0,
		0xba,
		3,
		0,
		0,
		0,
		0xbb,
		4,
		0,
		0,
		0,
		0xbe,
		5,
		0,
		0,
		0,
		0xbf,
		6,
		0,
		0,
		0,
	];
	// Twice, so that chained and looked-up transfers are taken too.
	code.push(0xc7, 0x45, 0x78, 2, 0, 0, 0);
	const top = code.length;
	for (const one of pieces) code.push(...one, ...MARKER);
	code.push(0xff, 0x4d, 0x78); // decl 0x78(%ebp)
	code.push(0x0f, 0x85, ...dword(top - (code.length + 6)));
	// Registers, flags and what the handler saw, to the data.
	code.push(0x9c, 0x60, 0x89, 0x65, 0x74, 0xfa, 0x31, 0xc0, 0xe6, 0xf4, 0xf4);
	assert.ok(CODE + code.length < HANDLER, "the pieces are too long");
	bytes.set(code, CODE);
	return bytes;
}

function run(bytes: Uint8Array, vmm: "none" | "bt"): VirtualMachine {
	const machine = createMachine({ image: { name: "random", bytes }, vmm, memory: 2 << 20 });
	const stop = machine.run(200_000);
	assert.deepEqual(
		stop,
		{ reason: "debug-exit", value: 0 },
		`${vmm}: ${stop && "description" in stop ? stop.description : stop?.reason}`,
	);
	return machine;
}

/** Whether the code ends by itself on the bare machine: a piece may have changed the counter of the loop around all of them. */
function ends(bytes: Uint8Array): boolean {
	return createMachine({ image: { name: "random", bytes }, vmm: "none", memory: 2 << 20 }).run(100_000) !== undefined;
}

test("random kernel code leaves the same registers and memory under none and bt", () => {
	fc.assert(
		fc.property(fc.array(piece, { minLength: 1, maxLength: 40 }), (pieces) => {
			const bytes = image(pieces);
			fc.pre(ends(bytes));
			const [native] = run(bytes, "none").processors();
			const [guest] = run(bytes, "bt").processors();
			for (const name of ["eax", "ecx", "edx", "ebx", "esp", "ebp", "esi", "edi", "eip"])
				assert.equal(guest!.register(name), native!.register(name), name);
			const range = { space: "lin", value: BigInt(BASE) } as const;
			assert.deepEqual(guest!.readMemory(range, IMAGE_BYTES), native!.readMemory(range, IMAGE_BYTES));
		}),
		{ numRuns: Number(process.env.FIDELITY_RUNS ?? 60), includeErrorInReport: true },
	);
});

const KERNEL_STACK = 0x3000;
const USER_STACK = 0x4800;
const TSS = 0x1e00;
const TICKS = 0x1df0;
const USER_IMAGE_BYTES = 0x5000;

/** SYSENTER; the kernel lets interrupts gather, then returns by STI, SYSEXIT. */
const systemEnter: Piece = [0x89, 0xe1, 0xe8, 0, 0, 0, 0, 0x5a, 0x83, 0xc2, 6, 0x0f, 0x34];

/** What SGDT and its kin, LAR and LSL show in user code is not the guest's (docs/coverage.md). */
function sensitive(one: Piece): boolean {
	for (let at = 0; at + 1 < one.length; at++)
		if (one[at] === 0x0f && (one[at + 1]! <= 3 || one[at + 1] === 0x01)) return true;
	return false;
}

/**
 * The same pieces in ring 3, twenty times over, while a fast timer interrupts and the kernel counts; privileged ones fault and
 * are skipped by the handler.
 */
function userImage(pieces: readonly Piece[]): Uint8Array {
	const bytes = new Uint8Array(USER_IMAGE_BYTES);
	const view = new DataView(bytes.buffer);
	bytes.set(image([]));
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + USER_IMAGE_BYTES, BASE + USER_IMAGE_BYTES].forEach(
		(word, n) => {
			view.setUint32(n * 4, word >>> 0, true);
		},
	);
	const tss = BASE + TSS;
	const descriptors = [
		0x0000ffff,
		0x00cf9b00,
		0x0000ffff,
		0x00cf9300,
		0x0000ffff,
		0x00cffb00,
		0x0000ffff,
		0x00cff300,
		0x00ffff | (0x2000 << 16),
		0x0040f310,
		0x67 | ((tss & 0xffff) << 16),
		0x8900 | ((tss >> 16) & 0xff),
	];
	descriptors.forEach((word, n) => {
		view.setUint32(GDT + 8 + n * 4, word >>> 0, true);
	});
	view.setUint16(GDT + 0x60, 0x37, true);
	view.setUint32(TSS + 4, BASE + KERNEL_STACK, true);
	view.setUint32(TSS + 8, 0x10, true);
	view.setUint16(TSS + 0x66, 0x68, true);
	// INT 0x41 ends the run; vector 0x60 is the timer; SYSENTER arrives behind it.
	const finish = HANDLER + 0x500;
	const timer = HANDLER + 0x540;
	const entry = HANDLER + 0x580;
	bytes.set([0xfa, 0x60, 0x31, 0xc0, 0xe6, 0xf4, 0xf4], finish);
	bytes.set([0x50, 0xb0, 0x20, 0xe6, 0x20, 0xff, 0x05, ...dword(BASE + TICKS), 0x58, 0xcf], timer);
	bytes.set([0x51, 0xb9, ...dword(300), 0xe2, 0xfe, 0x59, 0xfb, 0x0f, 0x35], entry);
	for (const [vector, handler] of [
		[0x41, finish],
		[0x60, timer],
	] as const) {
		view.setUint32(IDT + vector * 8, (0x08 << 16) | ((BASE + handler) & 0xffff), true);
		view.setUint32(IDT + vector * 8 + 4, (((BASE + handler) & 0xffff0000) | 0xee00) >>> 0, true);
	}
	const msr = (number: number, value: number) => [
		0xb9,
		...dword(number),
		0xb8,
		...dword(value),
		0x31,
		0xd2,
		0x0f,
		0x30,
	];
	const out = (port: number, value: number) => [0xb0, value, 0xe6, port];
	const code: number[] = [
		0xbc,
		...dword(BASE + KERNEL_STACK),
		0xbd,
		...dword(BASE + DATA),
		0x0f,
		0x01,
		0x15,
		...dword(BASE + GDT + 0x60),
		0x0f,
		0x01,
		0x1d,
		...dword(BASE + GDT + 0x68),
		0xea,
		...dword(BASE + CODE + 31),
		0x08,
		0x00,
		0xb8,
		0x10,
		0,
		0,
		0,
		0x8e,
		0xd0,
		0xb8,
		0x30,
		0,
		0,
		0,
		0x0f,
		0x00,
		0xd8,
		...msr(0x174, 0x08),
		...msr(0x175, BASE + KERNEL_STACK),
		...msr(0x176, BASE + entry),
		...out(0x20, 0x11),
		...out(0x21, 0x60),
		...out(0x21, 4),
		...out(0x21, 1),
		...out(0x21, 0xfe),
		...out(0xa1, 0xff),
		...out(0x43, 0x34),
		...out(0x40, 30),
		...out(0x40, 0),
		0xb8,
		0x23,
		0,
		0,
		0,
		0x8e,
		0xd8,
		0x8e,
		0xc0,
		0x8e,
		0xe0,
		0x8e,
		0xe8,
		0x6a,
		0x23,
		0x68,
		...dword(BASE + USER_STACK),
		0x68,
		...dword(0x202),
		0x6a,
		0x1b,
	];
	code.push(0x68, ...dword(BASE + CODE + code.length + 6), 0xcf);
	code.push(0xb8, 1, 0, 0, 0, 0xb9, 2, 0, 0, 0, 0xba, 3, 0, 0, 0, 0xbb, 4, 0, 0, 0, 0xbe, 5, 0, 0, 0, 0xbf, 6, 0, 0, 0);
	code.push(0xc7, 0x45, 0x78, 20, 0, 0, 0);
	const top = code.length;
	const MARKER = [0x0f, 0x1f, 0x80, 0x4d, 0x41, 0x52, 0x4b];
	for (const one of pieces) code.push(...one, ...MARKER);
	code.push(0xff, 0x4d, 0x78);
	code.push(0x0f, 0x85, ...dword(top - (code.length + 6)));
	code.push(0x9c, 0x60, 0xcd, 0x41);
	assert.ok(CODE + code.length < HANDLER, "the pieces are too long");
	bytes.fill(0, CODE, HANDLER);
	bytes.set(code, CODE);
	return bytes;
}

test("random user code under interrupts and system calls leaves the same registers and memory under none and bt", () => {
	const userPiece = fc.oneof(
		{ weight: 6, arbitrary: piece.filter((one) => !sensitive(one)) },
		{ weight: 1, arbitrary: fc.constant(systemEnter) },
	);
	fc.assert(
		fc.property(fc.array(userPiece, { minLength: 1, maxLength: 30 }), (pieces) => {
			const bytes = userImage(pieces);
			const machines = [run(bytes, "none"), run(bytes, "bt")] as const;
			const [native, guest] = machines.map((machine) => machine.processors()[0]!) as [Processor, Processor];
			for (const name of ["ecx", "edx", "ebx", "ebp", "esi", "edi"])
				assert.equal(guest.register(name), native.register(name), name);
			// The code, the data and the user's stack; not the kernel's stack, where interrupts leave what they interrupted.
			for (const [start, length] of [
				[CODE, HANDLER - CODE],
				[DATA, 0x100],
				[USER_STACK - 0x400, 0x400],
			] as const) {
				const range = { space: "lin", value: BigInt(BASE + start) } as const;
				assert.deepEqual(guest.readMemory(range, length), native.readMemory(range, length));
			}
			const ticks = { space: "lin", value: BigInt(BASE + TICKS) } as const;
			assert.ok(guest.readMemory(ticks, 1)![0]! > 0 || pieces.length < 10, "no timer interrupt");
		}),
		{ numRuns: Number(process.env.FIDELITY_RUNS ?? 60), includeErrorInReport: true },
	);
});
