// A guest of a few instructions: a multiboot image made of bytes, with a GDT, an IDT whose handlers end it, and a TSS.

import type { NamedFile } from "../../emulator/machine/virtual-machine.ts";

const BASE = 0x100000;
const BYTES = 0x8000;
const CODE = 0x200;
const HANDLERS = 0x6000;
const GDT = 0x2000;
const IDT = 0x3000;
const TSS = 0x5000;
const GDT_ENTRIES = 9;
const HANDLER_BYTES = 32;

export const TinyGuest = {
	/** Where a test's own code begins, in ring 0 with flat segments and a stack. */
	code: BASE + CODE,
	/** A page for results, zero at first. */
	results: BASE + 0x4000,
	/** 1 + the vector that ended the guest, 0 after a regular end; behind it the two words that the processor pushed last. */
	fault: BASE + 0x4f00,
	stack: BASE + 0x4e00,
	gdt: BASE + GDT,
	idt: BASE + IDT,
	selector: {
		code: 0x08,
		data: 0x10,
		userCode: 0x18,
		userData: 0x20,
		task: 0x28,
		/** An LDT of 8 bytes. */
		local: 0x30,
		/** Data, never accessed. */
		fresh: 0x38,
		/** Code that conforms. */
		conforming: 0x40,
	},
} as const;

/** Little-endian bytes of a dword. */
export function dword(value: number): number[] {
	return [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];
}

/** OUT of 0 to port 0xf4: the machine ends. */
export const END = [0xb0, 0x00, 0xe6, 0xf4] as const;

export function tinyGuest(code: readonly number[]): NamedFile {
	const bytes = new Uint8Array(BYTES);
	const view = new DataView(bytes.buffer);
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + BYTES, BASE + BYTES, BASE + 0x40].forEach(
		(word, at) => {
			view.setUint32(at * 4, word >>> 0, true);
		},
	);
	const table = (at: number, base: number, limit: number) => {
		view.setUint16(at, limit, true);
		view.setUint32(at + 2, base, true);
	};
	table(0x100, BASE + GDT, GDT_ENTRIES * 8 - 1);
	table(0x108, BASE + IDT, 256 * 8 - 1);
	const start = [0x0f, 0x01, 0x15, ...dword(BASE + 0x100), 0x0f, 0x01, 0x1d, ...dword(BASE + 0x108)];
	start.push(0xea, ...dword(BASE + 0x40 + start.length + 7), 0x08, 0x00);
	for (const load of [0xd0, 0xd8, 0xc0, 0xe0, 0xe8]) start.push(0x66, 0xb8, 0x10, 0x00, 0x8e, load);
	start.push(0xbc, ...dword(TinyGuest.stack), 0x66, 0xb8, 0x28, 0x00, 0x0f, 0x00, 0xd8, 0x31, 0xc0);
	start.push(0xe9, ...dword(CODE - 0x40 - start.length - 5));
	bytes.set(start, 0x40);
	bytes.set([...code, ...END], CODE);
	for (let vector = 0; vector < 256; vector++) {
		const at = HANDLERS + vector * HANDLER_BYTES;
		// push vector + 1; pop it and what the processor pushed last into the words from `fault` on; end
		const pops = [0, 4, 8].flatMap((word) => [0x8f, 0x05, ...dword(TinyGuest.fault + word)]);
		bytes.set([0x68, ...dword(vector + 1), ...pops, ...END], at);
		view.setUint32(IDT + vector * 8, (0x08 << 16) | ((BASE + at) & 0xffff), true);
		view.setUint32(IDT + vector * 8 + 4, (((BASE + at) & 0xffff0000) | 0xee00) >>> 0, true);
	}
	const tss = BASE + TSS;
	const system = (limit: number, type: number): [number, number] => [
		(limit | ((tss & 0xffff) << 16)) >>> 0,
		(((tss >>> 16) & 0xff) | (type << 8) | (tss & 0xff000000)) >>> 0,
	];
	const descriptors: readonly (readonly [number, number])[] = [
		[0, 0],
		[0xffff, 0xcf9b00],
		[0xffff, 0xcf9300],
		[0xffff, 0xcffb00],
		[0xffff, 0xcff300],
		system(103, 0x89),
		system(7, 0x82),
		[0xffff, 0xcf9200],
		[0xffff, 0xcf9f00],
	];
	descriptors.forEach(([low, high], index) => {
		view.setUint32(GDT + index * 8, low, true);
		view.setUint32(GDT + index * 8 + 4, high, true);
	});
	view.setUint32(TSS + 4, TinyGuest.stack, true);
	view.setUint32(TSS + 8, 0x10, true);
	return { name: "tiny", bytes };
}
