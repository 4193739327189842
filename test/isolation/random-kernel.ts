// A kernel of random fragments in ring 0. A fixed part brings the processor back to a known state before each fragment, loads
// random registers and jumps into it; every exception and interrupt leads to the next one. It lasts until a fragment has
// destroyed what that needs.

import type { NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { Random } from "../oracle/random.ts";
import { dword } from "../tools/tiny-guest.ts";

export const GUEST_MEMORY = 4 << 20;
export const FRAGMENTS = 128;
const BASE = 0x100000;
const BYTES = 0x10000;
const FRAGMENT_BYTES = 64;
const TABLE_IMAGES = 0x100;
const DISPATCH = 0x200;
/** Apart from code: what writes there drops translations. */
const COUNTER = 0xf000;
const TARGET = 0xf004;
const REGISTERS = 0x400;
const DIRECTORY = 0x2000;
const PAGE_TABLE = 0x3000;
/** Page tables and directories of random entries. */
const RANDOM_TABLES = 0x4000;
const GDT = 0x6000;
const IDT = 0x7000;
const TSS = 0x7800;
const STACK = 0x9000;
const CODE = 0xa000;
const GDT_ENTRIES = 32;

/** Where the kernel begins the next fragment, and where it counts those that it has begun. */
export const dispatchAddress = BASE + DISPATCH;
export const counterAddress = BASE + COUNTER;

/** Addresses that a fragment should meet: the kernel's own structures, devices, the edges of linear space, where VMMs lie. */
const ADDRESSES: readonly number[] = [
	...[DIRECTORY, PAGE_TABLE, RANDOM_TABLES, RANDOM_TABLES + 0x1000, GDT, IDT, TSS, STACK, CODE].map((at) => BASE + at),
	...[0, 0x1000, 0x9fffe, 0xa0000, 0xb8000, 0xc0000, 0x3ffffe, 0x400000, 0x800000, 0x500000, 0x1000000],
	...[0x7fffffff, 0x80000000, 0xfec00000, 0xfee00000, 0xfee000b0, 0xffbffffe, 0xffc00000, 0xffc00014, 0xffc10000],
	...[0xffc20000, 0xffc30000, 0xffc31000, 0xffc32ff0, 0xffd00000, 0xffffefff, 0xfffffffe],
];
/** Selectors of the guest's own table, of the VMM's descriptors under bt and trap, and of the host's. */
const SELECTORS: readonly number[] = [
	...[
		0, 1, 3, 8, 9, 0x10, 0x11, 0x1b, 0x23, 0x28, 0x30, 0x34, 0x38, 0x48, 0x58, 0x68, 0x78, 0x88, 0x98, 0xa8, 0xb8, 0xc8,
	],
	...[0xffa8, 0xffa9, 0xffb1, 0xffb8, 0xffbb, 0xffc0, 0xffc1, 0xffc9, 0xffcb, 0xffd0, 0xffd8, 0xffe0, 0xffe8, 0xfff8],
];
/** Device ports that do not end the machine. */
const PORTS: readonly number[] = [
	...[
		0x00, 0x0a, 0x20, 0x21, 0xa0, 0xa1, 0x40, 0x41, 0x43, 0x60, 0x61, 0x70, 0x71, 0x80, 0xe9, 0xcf8, 0xcfc, 0x3d4,
		0x3d5,
	],
	...[0x3f8, 0x3f9, 0x3fb, 0x1f0, 0x1f7, 0x510, 0x511, 0x4d0, 0xf0],
];

type Make = (random: Random) => readonly number[];

const pick = <T>(random: Random, from: readonly T[]): T => from[random.below(from.length)]!;
const fixed =
	(...bytes: readonly number[]): Make =>
	() =>
		bytes;
const register = (random: Random) => pick(random, [0, 1, 2, 3, 5, 6, 7]);
const address = (random: Random) =>
	random.below(4) === 0 ? random.bits32() : pick(random, ADDRESSES) + random.below(16) - 4;
/** MOV r32, value */
const load = (random: Random, value: number) => [0xb8 + register(random), ...dword(value)];
const absolute = (random: Random, ...opcode: readonly number[]) => [...opcode, ...dword(address(random))];

/** Instructions that go deep into a VMM, each with operands that matter to it. */
const makers: readonly Make[] = [
	(random) => load(random, address(random)),
	(random) => load(random, pick(random, SELECTORS)),
	// mov to control and debug registers: of values that do not end the machine at once
	(random) => [
		0xb8,
		...dword(BASE + pick(random, [DIRECTORY, RANDOM_TABLES, RANDOM_TABLES + 0x1000])),
		0x0f,
		0x22,
		0xd8,
	],
	(random) => [0xb8, ...dword(0x80000011 | (random.bits32() & 0x6001003e)), 0x0f, 0x22, 0xc0],
	(random) => [0xb8, ...dword(random.bits32() & (random.below(8) === 0 ? 0x6ff : 0x69c)), 0x0f, 0x22, 0xe0],
	(random) => [0x0f, pick(random, [0x20, 0x21, 0x23]), 0xc0 | random.below(64)],
	// segment registers
	(random) => [
		0x66,
		0xb8,
		...dword(pick(random, SELECTORS)).slice(0, 2),
		0x8e,
		0xc0 | (pick(random, [0, 2, 3, 4, 5]) << 3),
	],
	(random) => [
		0x68,
		...dword(pick(random, SELECTORS)),
		...pick(random, [[0x07], [0x17], [0x1f], [0x0f, 0xa1], [0x0f, 0xa9]]),
	],
	(random) => [...pick(random, [[0x06], [0x0e], [0x16], [0x1e], [0x0f, 0xa0], [0x0f, 0xa8]]), 0x58],
	(random) =>
		absolute(
			random,
			...pick(random, [
				[0xc4, 0x05],
				[0xc5, 0x05],
				[0x0f, 0xb2, 0x05],
				[0x0f, 0xb4, 0x05],
				[0x0f, 0xb5, 0x05],
			]),
		),
	// descriptor tables
	(random) => absolute(random, 0x0f, 0x01, 0x05 | (pick(random, [0, 1, 2, 3, 4, 7]) << 3)),
	(random) => absolute(random, 0x0f, 0x00, 0x05 | (random.below(6) << 3)),
	(random) => [0x66, 0xb8, ...dword(pick(random, SELECTORS)).slice(0, 2), 0x0f, 0x00, 0xc0 | (random.below(6) << 3)],
	(random) => [0x0f, pick(random, [0x02, 0x03]), 0xc0 | random.below(64)],
	// transfers
	(random) => [0x68, ...dword(random.bits32()), 0x9d],
	(random) => [
		...dwords(random, random.bits32() & 0x3ed7, pick(random, SELECTORS), BASE + CODE + random.below(0x1000)),
		0xcf,
	],
	(random) => [
		...dwords(random, 0x23, BASE + STACK - 64, random.bits32() & 0x3ed7, 0x1b, BASE + CODE + random.below(0x1000)),
		0xcf,
	],
	(random) => [
		...dwords(random, pick(random, SELECTORS), BASE + CODE + random.below(0x1000)),
		pick(random, [0xcb, 0xca]),
		8,
		0,
	],
	(random) => [
		pick(random, [0x9a, 0xea]),
		...dword(BASE + CODE + random.below(0x1000)),
		...dword(pick(random, SELECTORS)).slice(0, 2),
	],
	(random) => [0xcd, random.below(256)],
	(random) => [pick(random, [0xcc, 0xce, 0xf1, 0xfa, 0xfb, 0x9c, 0x9d, 0xcf, 0xcb, 0xc3, 0x98])],
	fixed(0x0f, 0x34),
	(random) => [
		0xb9,
		...dword(random.below(2) === 0 ? 0x174 + random.below(3) : random.bits32() & 0xc000_1fff),
		0x0f,
		pick(random, [0x30, 0x32]),
	],
	fixed(0x0f, 0xa2),
	fixed(0x0f, 0x31),
	// memory: devices, tables, the VMM's place
	(random) => absolute(random, pick(random, [0xa1, 0xa3, 0xa0, 0xa2])),
	(random) =>
		absolute(
			random,
			...pick(random, [
				[0x89, 0x05],
				[0x8b, 0x0d],
				[0xff, 0x05],
				[0x31, 0x15],
				[0x8f, 0x05],
				[0xff, 0x35],
			]),
		),
	(random) =>
		absolute(
			random,
			...pick(random, [
				[0x0f, 0xae, 0x05],
				[0x0f, 0xae, 0x0d],
				[0xdd, 0x35],
				[0xd9, 0x05],
				[0x0f, 0x10, 0x05],
			]),
		),
	(random) => absolute(random, pick(random, [0x64, 0x65, 0x2e, 0x36]), 0x89, 0x05),
	(random) => [
		0xb9,
		...dword(random.below(64)),
		0xbf,
		...dword(address(random)),
		0xf3,
		pick(random, [0xab, 0xaa, 0xa4, 0xa5, 0xae, 0x6d, 0x6f]),
	],
	(random) => [0xbc, ...dword(address(random))],
	(random) => absolute(random, 0x0f, 0x01, 0x3d),
	(random) => [0xc8, random.below(256), 0, random.below(8)],
	// ports
	(random) => [0xba, ...dword(pick(random, PORTS)), pick(random, [0xec, 0xed, 0xee, 0xef])],
	// prefixes that change the size of what follows
	(random) => [0x66, pick(random, [0xcf, 0xcb, 0x9c, 0x9d, 0x60, 0x61, 0x0e, 0x1f, 0x50])],
	(random) => Array.from({ length: 1 + random.below(6) }, () => random.below(256)),
];

function dwords(_random: Random, ...values: readonly number[]): number[] {
	return values.flatMap((value) => [0x68, ...dword(value)]);
}

/** True when the bytes hold what would end the machine without having to do with isolation: OUT to fixed ports, HLT. */
function ends(bytes: readonly number[]): boolean {
	return bytes.some((byte, at) => byte === 0xf4 || ((byte === 0xe6 || byte === 0xe7) && bytes[at + 1] !== undefined));
}

function fragment(random: Random): number[] {
	const bytes: number[] = [];
	for (;;) {
		const next = pick(random, makers)(random);
		if (bytes.length + next.length > FRAGMENT_BYTES - 2) break;
		if (!ends(next)) bytes.push(...next);
	}
	return [...bytes, 0xcd, 0x20];
}

/** A descriptor of any kind: code and data of all privilege levels and sizes, gates, task states. */
function descriptor(random: Random): [number, number] {
	const base = random.below(2) === 0 ? 0 : address(random);
	const limit = pick(random, [0, 0xfff, 0xffff, 0xfffff, 0xffbff, random.below(0x100000)]);
	const type = pick(random, [
		0x92,
		0x93,
		0x96,
		0x97,
		0x9a,
		0x9b,
		0x9f,
		0x9e,
		0x98,
		0x89,
		0x82,
		0x8c,
		0x85,
		0x8e,
		random.below(256),
	]);
	const access = type | (random.below(4) << 5);
	const granularity = pick(random, [0xc, 0xc, 0xc, 0x4, 0x8, 0]);
	return [
		((limit & 0xffff) | (base << 16)) >>> 0,
		(((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (granularity << 20) | (base & 0xff000000)) >>> 0,
	];
}

/** A page-table entry: of guest memory, of devices, of what is not there, with any rights. */
function pageEntry(random: Random, index: number): number {
	const frame = pick(random, [
		index,
		random.below(0x400),
		0x100 + random.below(16),
		0xb8,
		0xfee00,
		0x400 + random.below(0x3000),
		random.below(0x100000),
	]);
	return ((frame << 12) | (random.bits32() & 0x1ff) | (random.below(4) === 0 ? 0 : 7)) >>> 0;
}

/** The image; every other kernel runs with paging on. */
export function randomKernel(random: Random): NamedFile {
	const paging = random.below(2) === 0;
	const bytes = new Uint8Array(BYTES);
	const view = new DataView(bytes.buffer);
	const put32 = (at: number, value: number) => view.setUint32(at, value >>> 0, true);
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + BYTES, BASE + BYTES, BASE + 0x40].forEach(
		(word, at) => {
			put32(at * 4, word);
		},
	);
	view.setUint16(TABLE_IMAGES, GDT_ENTRIES * 8 - 1, true);
	put32(TABLE_IMAGES + 2, BASE + GDT);
	view.setUint16(TABLE_IMAGES + 8, 256 * 8 - 1, true);
	put32(TABLE_IMAGES + 10, BASE + IDT);
	put32(COUNTER, -1);
	const boot = [0x0f, 0x01, 0x15, ...dword(BASE + TABLE_IMAGES), 0xea, ...dword(BASE + 0x4e), 0x08, 0x00];
	boot.push(0xe9, ...dword(DISPATCH - 0x40 - boot.length - 5));
	bytes.set(boot, 0x40);

	const dispatch = [0xfa, 0xfc, 0x2e, 0x0f, 0x01, 0x15, ...dword(BASE + TABLE_IMAGES)];
	dispatch.push(0x2e, 0x0f, 0x01, 0x1d, ...dword(BASE + TABLE_IMAGES + 8), 0x66, 0xb8, 0x10, 0x00);
	for (const modrm of [0xd0, 0xd8, 0xc0, 0xe0, 0xe8]) dispatch.push(0x8e, modrm);
	dispatch.push(0xbc, ...dword(BASE + STACK));
	if (paging) dispatch.push(0xb8, ...dword(BASE + DIRECTORY), 0x0f, 0x22, 0xd8);
	dispatch.push(0xb8, ...dword(paging ? 0x80000011 : 0x11), 0x0f, 0x22, 0xc0, 0x31, 0xc0, 0x0f, 0x22, 0xe0);
	// The task state: its descriptor may be busy, or gone.
	dispatch.push(0xc7, 0x05, ...dword(BASE + GDT + 0x28), ...dword(((BASE + TSS) << 16) | 103));
	dispatch.push(0xc7, 0x05, ...dword(BASE + GDT + 0x2c), ...dword(0x8900 | (((BASE + TSS) >>> 16) & 0xff)));
	dispatch.push(0x66, 0xb8, 0x28, 0x00, 0x0f, 0x00, 0xd8);
	dispatch.push(0x6a, 0x02, 0x9d, 0xff, 0x05, ...dword(BASE + COUNTER), 0xa1, ...dword(BASE + COUNTER));
	// cmp $FRAGMENTS, %eax; jb 1f; out of 0 to port 0xf4; 1: mov %eax, %edx; shl; add; mov to the target; registers; jump
	dispatch.push(0x3d, ...dword(FRAGMENTS), 0x72, 0x04, 0xb0, 0x00, 0xe6, 0xf4, 0x89, 0xc2, 0xc1, 0xe0, 0x06);
	dispatch.push(0x05, ...dword(BASE + CODE), 0xa3, ...dword(BASE + TARGET), 0xc1, 0xe2, 0x05);
	dispatch.push(0x8d, 0xa2, ...dword(BASE + REGISTERS), 0x61, 0xbc, ...dword(BASE + STACK - 0x100));
	dispatch.push(0xff, 0x25, ...dword(BASE + TARGET));
	if (dispatch.length > REGISTERS - DISPATCH) throw new Error("The fixed part runs into its data.");
	bytes.set(dispatch, DISPATCH);

	for (let index = 0; index < FRAGMENTS; index++) {
		for (let word = 0; word < 8; word++) {
			const value =
				random.below(3) === 0 ? random.bits32() : pick(random, random.below(2) === 0 ? ADDRESSES : SELECTORS);
			put32(REGISTERS + index * 32 + word * 4, value);
		}
		bytes.set(fragment(random), CODE + index * FRAGMENT_BYTES);
	}
	put32(DIRECTORY, (BASE + PAGE_TABLE) | 7);
	for (const index of [1, 2, 512, 1019, 1022, 1023])
		put32(DIRECTORY + index * 4, pick(random, [BASE + PAGE_TABLE, BASE + DIRECTORY, BASE + RANDOM_TABLES]) | 7);
	for (let page = 0; page < 1024; page++) put32(PAGE_TABLE + page * 4, (page << 12) | 7);
	for (let table = 0; table < 2; table++)
		for (let index = 0; index < 1024; index++)
			put32(RANDOM_TABLES + table * 0x1000 + index * 4, pageEntry(random, index));
	// The random directories keep the first 4 MB, so that the handlers can be reached.
	for (let table = 0; table < 2; table++) put32(RANDOM_TABLES + table * 0x1000, (BASE + PAGE_TABLE) | 7);
	for (let vector = 0; vector < 256; vector++) {
		const handler = BASE + DISPATCH;
		put32(IDT + vector * 8, (0x08 << 16) | (handler & 0xffff));
		put32(IDT + vector * 8 + 4, (handler & 0xffff0000) | pick(random, [0x8e00, 0xee00, 0xef00]));
	}
	const flat: readonly [number, number][] = [
		[0, 0],
		[0xffff, 0xcf9b00],
		[0xffff, 0xcf9300],
		[0xffff, 0xcffb00],
		[0xffff, 0xcff300],
	];
	for (let index = 0; index < GDT_ENTRIES; index++) {
		const [low, high] = flat[index] ?? descriptor(random);
		put32(GDT + index * 8, low);
		put32(GDT + index * 8 + 4, high);
	}
	put32(TSS + 4, BASE + STACK);
	put32(TSS + 8, 0x10);
	return { name: "random kernel", bytes };
}
