// Instructions that go deep into a processor and a VMM, each with operands that matter to it.

import type { Random } from "../oracle/random.ts";
import { dword } from "../tools/tiny-guest.ts";
import {
	ADDRESSES,
	BASE,
	DMA_ENGINE,
	E1000,
	FRAGMENT_BYTES,
	GUEST_MEMORY,
	IDE_BUS_MASTER,
	MSRS,
	Part,
	PORTS,
	SELECTORS,
	TABLE_IMAGES,
} from "./kernel-layout.ts";

type Make = (random: Random) => number[];

const PAGE = 0x1000;
const MEMORY = ADDRESSES.filter((at) => (at >= BASE && at < GUEST_MEMORY - PAGE) || at === PAGE);
const CODE_BYTES = 0x2000;

export const address = (random: Random): number =>
	random.below(4) === 0 ? random.bits32() : (random.pick(ADDRESSES) + random.below(16) - 4) >>> 0;
/** Mostly memory, for instructions that some VMMs refuse to execute on anything else: a refusal ends the kernel. */
const usual = (random: Random): number =>
	random.below(8) === 0 ? address(random) : (random.pick(MEMORY) + random.below(16) - 4) >>> 0;
const selector = (random: Random): number => random.pick(SELECTORS);
const ownCode = (random: Random): number => BASE + Part.code + random.below(CODE_BYTES);
const register = (random: Random): number => random.pick([0, 1, 2, 3, 5, 6, 7]);
const word = (value: number): number[] => [value & 0xff, (value >> 8) & 0xff];

/** mov $value, %register */
const load = (number: number, value: number): number[] => [0xb8 + number, ...dword(value)];
const [EAX, ECX, EDX, ESP, ESI, EDI] = [0, 1, 2, 4, 6, 7] as const;
/** movl $value, at */
const store = (at: number, value: number): number[] => [0xc7, 0x05, ...dword(at), ...dword(value)];
const push = (value: number): number[] => [0x68, ...dword(value)];
/** An instruction with a memory operand at an absolute address. */
const absolute = (random: Random, ...opcode: readonly number[]): number[] => [...opcode, ...dword(address(random))];
const inMemory = (random: Random, ...opcode: readonly number[]): number[] => [...opcode, ...dword(usual(random))];
const any =
	(...instructions: readonly (readonly number[])[]): Make =>
	(random) => [...random.pick(instructions)];

/** A page-table entry: of guest memory, of devices, of frames where VMMs keep their own, with any rights and reserved bits. */
export function pageEntry(random: Random, index: number): number {
	const bits = random.bits32();
	const frame = [
		index,
		bits & 0x3ff,
		(BASE >>> 12) + (bits & 0x1f),
		0xb8,
		0xfee00,
		0x400 + (bits & 0x3fff),
		bits & 0xfffff,
		index,
	][bits >>> 29]!;
	const flags = random.bits32();
	return ((frame << 12) | (flags & 0x1ff) | (flags >>> 30 === 0 ? 0 : 7)) >>> 0;
}

/** Flags that leave the machine alive: without VM, mostly without NT. */
const flags = (random: Random): number =>
	(random.bits32() & (random.below(16) === 0 ? 0x257fd7 : 0x213ed7)) | (random.below(8) === 0 ? 0x100 : 0);

const paging: readonly Make[] = [
	// An entry of a table, and the page that it maps.
	(random) => {
		const table = random.pick([Part.directory, Part.pageTable, Part.randomTables, Part.randomTables + PAGE]);
		// The kernel's own pages and the directory's first entry keep it alive; they are written now and then.
		const index = random.below(32) === 0 ? random.below(1024) : 0x120 + random.below(1024 - 0x120);
		const linear = table === Part.pageTable ? index << 12 : index << 22;
		const entry = store(BASE + table + index * 4, pageEntry(random, index));
		const forget = random.below(2) === 0 ? [0x0f, 0x01, 0x3d, ...dword(linear)] : [];
		const use = [random.pick([0xa1, 0xa3]), ...dword(linear + random.below(0x1000))];
		return [...entry, ...forget, ...use];
	},
	(random) => [
		...load(EAX, BASE + random.pick([Part.directory, Part.randomTables, Part.randomTables + PAGE])),
		...[0x0f, 0x22, 0xd8],
	],
	(random) => [...load(EAX, 0x80000011 | (random.bits32() & 0x6001003e)), 0x0f, 0x22, 0xc0],
	(random) => [...load(EAX, random.bits32() & (random.below(16) === 0 ? 0x36ff : 0x69c)), 0x0f, 0x22, 0xe0],
	(random) => [...load(EAX, address(random)), 0x0f, 0x22, random.pick([0xd0, 0xd0, 0xd8])],
	(random) => absolute(random, 0x0f, 0x01, 0x3d),
];

const registers: readonly Make[] = [
	(random) => load(register(random), address(random)),
	(random) => load(register(random), selector(random)),
	// Control and debug registers; MOV to DR0 to DR3, DR6, DR7.
	(random) => [0x0f, random.pick([0x20, 0x21]), 0xc0 | random.below(64)],
	(random) => [
		...load(EAX, random.below(2) === 0 ? ownCode(random) : address(random)),
		...[0x0f, 0x23, 0xc0 | (random.below(4) << 3)],
		...load(EAX, random.bits32() & 0xffff27ff),
		...[0x0f, 0x23, random.pick([0xf8, 0xf0])],
	],
	(random) => [
		...load(ECX, random.below(4) === 0 ? random.bits32() & 0xc000_1fff : random.pick(MSRS)),
		...load(EAX, random.below(2) === 0 ? random.bits32() : address(random)),
		...load(EDX, random.below(2) === 0 ? 0 : random.bits32()),
		...[0x0f, random.pick([0x30, 0x30, 0x32])],
	],
	any([0x0f, 0xa2], [0x0f, 0x31], [0x0f, 0x33], [0x0f, 0x06], [0x0f, 0x08], [0x0f, 0x09], [0x0f, 0x01, 0xf0]),
	any([0x0f, 0x01, 0xf8], [0x0f, 0x01, 0xf9], [0x0f, 0x01, 0xd0], [0x0f, 0x01, 0xd1], [0x0f, 0x01, 0xc8]),
	(random) => [0x0f, 0x01, random.pick([0xe0, 0xf0]) | register(random)],
];

const segments: readonly Make[] = [
	(random) => [0x66, 0xb8, ...word(selector(random)), 0x8e, 0xc0 | (random.pick([0, 2, 3, 4, 5]) << 3)],
	(random) => [...push(selector(random)), ...random.pick([[0x07], [0x17], [0x1f], [0x0f, 0xa1], [0x0f, 0xa9]])],
	(random) => [...random.pick([[0x06], [0x0e], [0x16], [0x1e], [0x0f, 0xa0], [0x0f, 0xa8]]), 0x58],
	(random) =>
		inMemory(
			random,
			...random.pick([
				[0xc4, 0x05],
				[0xc5, 0x05],
				[0x0f, 0xb2, 0x05],
				[0x0f, 0xb4, 0x05],
				[0x0f, 0xb5, 0x05],
			]),
		),
	// Descriptor tables: mostly of the images of the kernel, else of anything.
	(random) => [
		...[0x0f, 0x01, 0x05 | (random.pick([2, 3]) << 3)],
		...dword(random.below(8) === 0 ? address(random) : BASE + Part.tableImages + random.below(TABLE_IMAGES) * 16),
	],
	(random) => inMemory(random, 0x0f, 0x01, 0x05 | (random.pick([0, 1, 4, 6, 7]) << 3)),
	(random) => inMemory(random, 0x0f, 0x00, 0x05 | (random.below(6) << 3)),
	(random) => [0x66, 0xb8, ...word(selector(random)), 0x0f, 0x00, 0xc0 | (random.below(6) << 3)],
	(random) => [0x0f, random.pick([0x02, 0x03]), 0xc0 | random.below(64)],
	// A descriptor of any kind, and a load of it.
	(random) => {
		const index = 7 + random.below(25);
		const [low, high] = descriptor(random);
		return [
			...store(BASE + Part.gdt + index * 8, low),
			...store(BASE + Part.gdt + index * 8 + 4, high),
			...[0x66, 0xb8, ...word(index * 8 + random.below(4)), 0x8e, 0xc0 | (random.pick([0, 2, 3, 4, 5]) << 3)],
		];
	},
];

const transfers: readonly Make[] = [
	(random) => [...push(flags(random)), 0x9d],
	(random) => [...push(flags(random)), ...push(selector(random)), ...push(ownCode(random)), 0xcf],
	(random) => [
		...[0x23, BASE + Part.stack - 64, flags(random), 0x1b, ownCode(random)].flatMap(push),
		random.below(8) === 0 ? 0xcb : 0xcf,
	],
	(random) => [...push(selector(random)), ...push(ownCode(random)), random.pick([0xcb, 0xca]), 8, 0],
	(random) => [random.pick([0x9a, 0xea]), ...dword(ownCode(random)), ...word(selector(random))],
	(random) => inMemory(random, 0xff, random.pick([0x15, 0x1d, 0x25, 0x2d])),
	(random) => [0xcd, random.below(256)],
	any([0xcc], [0xce], [0xf1], [0xfa], [0xfb], [0x9c], [0x9d], [0xcf], [0xcb], [0xc3], [0x98], [0x0f, 0x0b]),
	any([0x0f, 0x34], [0x0f, 0x35], [0x0f, 0x05], [0x0f, 0x07], [0x0f, 0xaa], [0x0f, 0x01, 0xc9]),
	// Single step and breakpoints in what follows.
	(random) => [0x9c, 0x81, 0x0c, 0x24, ...dword(0x100 | (random.below(4) === 0 ? 0x10000 : 0)), 0x9d],
	// Rare, for they end most kernels' lives: virtual-8086 mode, and tasks.
	(random) =>
		random.below(4) > 0
			? [0x90]
			: [
					...[0, 0, selector(random), selector(random), 0, 0x8000, 0x20002 | flags(random)].flatMap(push),
					...push(random.below(2) === 0 ? 0x1000 : 0xffff),
					...push(random.below(0x10000)),
					0xcf,
				],
	(random) => (random.below(4) > 0 ? [0x90] : [random.pick([0x9a, 0xea]), ...dword(0), ...word(0x30)]),
];

const memory: readonly Make[] = [
	(random) => absolute(random, random.pick([0xa1, 0xa3, 0xa0, 0xa2])),
	(random) =>
		absolute(
			random,
			...random.pick([
				[0x89, 0x05],
				[0x8b, 0x0d],
				[0xff, 0x05],
				[0x31, 0x15],
				[0x8f, 0x05],
				[0xff, 0x35],
				[0xf0, 0x0f, 0xc1, 0x05],
				[0xf0, 0x0f, 0xc7, 0x0d],
				[0xf0, 0x0f, 0xba, 0x2d],
			]),
		),
	(random) =>
		inMemory(
			random,
			...random.pick([
				[0x0f, 0xae, 0x05],
				[0x0f, 0xae, 0x0d],
				[0xdd, 0x35],
				[0xdd, 0x25],
				[0xd9, 0x05],
				[0x0f, 0x10, 0x05],
				[0x0f, 0x29, 0x05],
				[0x0f, 0xae, 0x3d],
			]),
		),
	(random) => absolute(random, random.pick([0x64, 0x65, 0x2e, 0x36]), 0x89, 0x05),
	// Strings, of huge counts too; upwards and downwards, of 16-bit addresses too.
	(random) => [
		...load(ECX, random.below(4) === 0 ? random.bits32() : random.below(64)),
		...load(EDI, address(random)),
		...load(ESI, address(random)),
		random.pick([0xfc, 0xfc, 0xfd]),
		...random.pick([[], [], [], [0x67], [0x64], [0x66]]),
		random.pick([0xf3, 0xf3, 0xf2]),
		random.pick([0xab, 0xaa, 0xa4, 0xa5, 0xa6, 0xae, 0xac, 0x6d, 0x6f, 0x6c]),
	],
	(random) => load(ESP, usual(random)),
	(random) => [0xc8, random.below(256), 0, random.below(8) === 0 ? random.below(8) : 0],
	// Code that changes itself: the byte behind the instruction, code elsewhere, by a string.
	(random) => [...load(EAX, ownCode(random)), 0xc7, 0x00, ...dword(random.bits32())],
	() => [0xe8, 0, 0, 0, 0, 0x5b, 0xc6, 0x43, 6, 0x43, 0x90, 0x90],
	(random) => [...load(ECX, random.below(32)), ...load(EDI, ownCode(random)), 0xb0, 0x90, 0xf3, 0xaa],
];

/** mov to DX, and OUT or IN of the accumulator. */
const port = (random: Random, number: number): number[] => [
	...load(EDX, number),
	random.pick([0xec, 0xed, 0xee, 0xef, 0xee, 0xef]),
];

/** mov $count, %ecx; loop: time passes, one nanosecond an instruction. */
const delay = (count: number): number[] => [...load(ECX, count), 0xe2, 0xfe];

/** Where a bus master is told to find its descriptors. */
const descriptors = (random: Random): number => (random.below(2) === 0 ? BASE + Part.dma : address(random));

const devices: readonly Make[] = [
	(random) => port(random, random.below(16) === 0 ? random.below(0x400) & ~0x10 : random.pick(PORTS)),
	(random) => [...load(EAX, random.bits32()), ...port(random, random.pick(PORTS))],
	// PCI configuration space.
	(random) => [
		...load(EAX, 0x80000000 | (random.pick([0, 1, 3, 4, random.below(32)]) << 11) | (random.bits32() & 0x1fc)),
		...[...load(EDX, 0xcf8), 0xef],
		...load(EAX, random.below(2) === 0 ? 0xffffffff : address(random)),
		...port(random, 0xcfc + random.below(4)),
	],
	// Interrupts: a timer soon, an EOI, an interrupt, NMI or SMI to itself, local vectors of all kinds.
	(random) => [0xb0, 0x30, 0xe6, 0x43, 0xb0, random.below(256), 0xe6, 0x40, 0xb0, random.below(2), 0xe6, 0x40, 0xfb],
	any([0xb0, 0x20, 0xe6, 0x20, 0xe6, 0xa0, 0xfb], [0xb0, 0x00, 0xe6, 0x21, 0xfb], [0xe6, 0xb2]),
	(random) => store(0xfee00300, 0x40000 | (random.pick([0, 0, 2, 4, 4, 5, 6, 7]) << 8) | random.below(256)),
	(random) => [
		...store(0xfee00000 + random.pick([0x320, 0x350, 0x360, 0x370, 0xf0, 0x80, 0xd0, 0xe0]), random.bits32() & 0x7ffff),
		...store(0xfee00380, random.below(1000)),
		0xfb,
	],
	// The local APIC is on, and its timer ends while interrupts may come.
	(random) => [
		...[...store(0xfee000f0, 0x1ff), ...store(0xfee003e0, 0xb), ...store(0xfee00320, 0x20 + random.below(0xe0))],
		...[...store(0xfee00380, 1 + random.below(50)), 0xfb, ...delay(80)],
	],
	(random) => [...store(0xfec00000, random.below(64)), ...store(0xfec00010, random.bits32())],
	// Bus masters.
	(random) => [
		...store(DMA_ENGINE + 0x10, address(random)),
		...store(DMA_ENGINE + 0x18, address(random)),
		...store(DMA_ENGINE + 0x20, random.below(4) === 0 ? random.below(0x3000) : 1 + random.below(100)),
		...(random.below(4) === 0 ? store(DMA_ENGINE + random.pick([0x14, 0x1c, 0x24]), random.bits32()) : []),
		...store(DMA_ENGINE + 4, 1 | (random.below(4) << 1)),
		...delay(120),
	],
	// The network controller sends and receives: where its descriptors lie, how many, on, up to which.
	(random) => [
		...[...store(E1000 + 0x3800, descriptors(random)), ...store(E1000 + 0x3808, random.below(4) << 7)],
		...[...store(E1000 + 0x2800, descriptors(random)), ...store(E1000 + 0x2808, random.below(4) << 7)],
		...[...store(E1000 + 0x400, 0x4000a), ...store(E1000 + 0x100, 0x801a)],
		...[...store(E1000 + 0x2818, random.below(16)), ...store(E1000 + 0x3818, random.below(16))],
		...delay(30),
	],
	(random) => store(E1000 + random.pick([0xd0, 0, 0x10, 0x14, 0x400, 0x2818, 0x3810, 0x3818]), random.bits32()),
	(random) => [
		...[...load(EAX, descriptors(random)), ...load(EDX, IDE_BUS_MASTER + 4), 0xef],
		...[0xb0, random.pick([0xc8, 0xca, 0x20, 0x30, 0xec]), ...load(EDX, 0x1f7), 0xee],
		...[0xb0, random.pick([1, 9]), ...load(EDX, IDE_BUS_MASTER), 0xee],
		...delay(200),
	],
	(random) => store(0xfed90000 + (random.bits32() & 0xfc), random.below(2) === 0 ? address(random) : random.bits32()),
];

const vmx: readonly Make[] = [
	any([0x0f, 0x01, 0xc1], [0x0f, 0x01, 0xc2], [0x0f, 0x01, 0xc3], [0x0f, 0x01, 0xc4], [0x0f, 0x01, 0xd4]),
	// IA32_FEATURE_CONTROL, CR0.NE, CR4.VMXE, and VMXON, VMCLEAR, VMPTRLD with the kernel's own regions or anything; the pointers lie before them in the stack.
	(random) => {
		const region = (own: number) => (random.below(4) === 0 ? address(random) : BASE + own);
		const enable = [...load(ECX, 0x3a), ...load(EAX, 5), 0x31, 0xd2, 0x0f, 0x30];
		enable.push(0x0f, 0x20, 0xc0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xc0);
		enable.push(0x0f, 0x20, 0xe0, 0x0d, ...dword(0x2000), 0x0f, 0x22, 0xe0);
		const turnOn = [...push(0), ...push(region(Part.vmxon)), 0xf3, 0x0f, 0xc7, 0x34, 0x24];
		const current = [...push(0), ...push(region(Part.vmcs)), 0x66, 0x0f, 0xc7, 0x34, 0x24, 0x0f, 0xc7, 0x34, 0x24];
		return [...(random.below(12) === 0 ? enable : []), ...turnOn, ...current];
	},
	(random) => [
		...load(EAX, random.pick([0x4000, 0x4002, 0x401e, 0x4012, 0x400c, 0x681e, 0x6800, 0x6c16, 0x201a, 0x2004, 0x4402])),
		...load(EDX, random.below(2) === 0 ? address(random) : random.bits32()),
		...[0x0f, random.pick([0x78, 0x79, 0x79]), 0xc2],
	],
	(random) => [0x66, 0x0f, 0x38, random.pick([0x80, 0x81]), 0x05, ...dword(address(random))],
	(random) => [...random.pick([[], [0x66], [0xf3]]), 0x0f, 0xc7, random.pick([0x35, 0x3d]), ...dword(address(random))],
];

/** What changes the size of what follows, and bytes of no meaning. */
const noise: readonly Make[] = [
	(random) => [0x66, random.pick([0xcf, 0xcb, 0x9c, 0x9d, 0x60, 0x61, 0x0e, 0x1f, 0x50])],
	(random) => {
		const bytes = Array.from({ length: 1 + random.below(6) }, () => random.below(256));
		// HLT and OUT to a fixed port would end the machine without having to do with isolation.
		return bytes.some((byte) => byte === 0xf4 || byte === 0xe6 || byte === 0xe7) ? [0x90] : bytes;
	},
];

const kinds: readonly (readonly Make[])[] = [
	...[paging, paging, registers, registers, segments, segments, segments, transfers, transfers],
	...[memory, memory, memory, memory, devices, devices, vmx, noise],
];

/** A fragment: its bytes, and the interrupt that leads to the next one. */
export function fragment(random: Random): number[] {
	const bytes: number[] = [];
	for (let left = 1 + random.below(14); left > 0; left--) {
		const next = random.pick(random.pick(kinds))(random);
		if (bytes.length + next.length > FRAGMENT_BYTES - 2) break;
		bytes.push(...next);
	}
	return [...bytes, 0xcd, 0x20];
}

/** A descriptor of any kind: code and data of all privilege levels and sizes, gates, task states. */
export function descriptor(random: Random): [low: number, high: number] {
	const base = random.below(2) === 0 ? 0 : address(random);
	const limit = random.pick([0, 0xfff, 0xffff, 0xfffff, 0xffbff, random.below(0x100000)]);
	const type = random.pick([
		...[0x92, 0x93, 0x96, 0x97, 0x9a, 0x9b, 0x9f, 0x9e, 0x98, 0x89, 0x82, 0x8c, 0x85, 0x8e],
		random.below(256),
	]);
	const access = type | (random.below(4) << 5);
	const granularity = random.pick([0xc, 0xc, 0xc, 0x4, 0x8, 0]);
	return [
		((limit & 0xffff) | (base << 16)) >>> 0,
		(((base >>> 16) & 0xff) | (access << 8) | (limit & 0xf0000) | (granularity << 20) | (base & 0xff000000)) >>> 0,
	];
}
