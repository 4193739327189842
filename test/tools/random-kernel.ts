// Random bytes as kernel code: what a hostile guest's kernel may do, for properties that hold whatever it is.

import fc from "fast-check";

const BASE = 0x100000;
const BYTES = 0x5000;
const HANDLER = 0xe00;
const IDT = 0x3000;
const GDT = 0x4000;
const MARKER = [0x0f, 0x1f, 0x80, 0x4d, 0x41, 0x52, 0x4b];
const CODE = 0x200;
const TABLES = 0x1000;

const dword = (value: number): number[] => [value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255];

/** Opcodes that go deep into the VMM, so that random code meets them often. */
const opcode = fc.constantFrom<readonly number[]>(
	[0x0f, 0x22, 0xd8],
	[0x0f, 0x22, 0xc0],
	[0x0f, 0x22, 0xe0],
	[0x0f, 0x01, 0x13],
	[0x0f, 0x01, 0x1b],
	[0x0f, 0x01, 0x3b],
	[0x0f, 0x00, 0xd8],
	[0x0f, 0x00, 0xd0],
	[0x8e, 0xd0],
	[0x8e, 0xe8],
	[0x8e, 0xd8],
	[0xcf],
	[0xcb],
	[0xca, 4, 0],
	[0xcd, 0x20],
	[0xfb],
	[0x9d],
	[0xf4],
	[0xee],
	[0xec],
	[0x6d],
	[0x6f],
	[0xc3],
	[0xff, 0xe0],
	[0x0f, 0x35],
	[0x0f, 0x34],
	[0x0f, 0x30],
	[0xf3, 0xab],
	[0xf3, 0xa4],
	[0x65, 0x89, 0x03],
	[0x66, 0xc3],
	[0x66, 0xe8, 1, 2],
	[0xc8, 16, 0, 3],
	[0x0f, 0xae, 0x03],
	[0xdd, 0x33],
	[0x67, 0xa1, 4, 5],
	[0xf1],
	[0x0f, 0xb2, 0x23],
);
/** A piece of random code. */
export const randomChunk = fc.oneof(
	opcode,
	fc.array(fc.integer({ min: 0, max: 255 }), { minLength: 1, maxLength: 6 }),
	fc
		.tuple(
			fc.integer({ min: 0xb8, max: 0xbf }),
			fc.oneof(fc.integer(), fc.constantFrom(BASE + TABLES, 0xffc00000, 0xfffffffc, 0x10, 0xb8000, BASE)),
		)
		.map(([r, v]) => [r, ...dword(v)]),
);

export type RandomPaging = "none" | "32-bit" | "PAE";
export const randomPaging = fc.constantFrom<RandomPaging>("none", "32-bit", "PAE");

/** A page directory that maps itself and the first 4 MB, through one table that is all of guest-physical memory. */
function tables32(view: DataView): void {
	view.setUint32(TABLES, (BASE + TABLES + 0x1000) | 7, true);
	view.setUint32(TABLES + 1022 * 4, (BASE + TABLES) | 7, true);
	view.setUint32(TABLES + 1023 * 4, (BASE + TABLES + 0x1000) | 7, true);
	for (let page = 0; page < 1024; page++) view.setUint32(TABLES + 0x1000 + page * 4, (page << 12) | 7, true);
}

/** One page directory for all four gigabytes, which maps the first 4 MB by large pages, and itself, also where a VMM may lie. */
function tablesPae(view: DataView): void {
	for (let gib = 0; gib < 4; gib++) view.setUint32(TABLES + gib * 8, (BASE + TABLES + 0x1000) | 1, true);
	for (const [index, entry] of [
		[0, 0x87],
		[1, 0x200087],
		[509, BASE + TABLES + 0x1007],
		[510, BASE + TABLES + 0x1007],
		[511, 0x87],
	] as const)
		view.setUint32(TABLES + 0x1000 + index * 8, entry, true);
}

/** A multiboot kernel that runs the pieces one after the other, whatever each of them does. */
export function randomKernel(chunks: readonly (readonly number[])[], paging: RandomPaging): Uint8Array {
	const bytes = new Uint8Array(BYTES);
	const view = new DataView(bytes.buffer);
	[0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + BYTES, BASE + BYTES, BASE + 0x40].forEach(
		(word, n) => {
			view.setUint32(n * 4, word >>> 0, true);
		},
	);
	if (paging === "PAE") tablesPae(view);
	else tables32(view);
	const start = [0x0f, 0x01, 0x15, ...dword(BASE + GDT + 0x60), 0x0f, 0x01, 0x1d, ...dword(BASE + GDT + 0x68)];
	if (paging === "PAE") start.push(0x0f, 0x20, 0xe0, 0x83, 0xc8, 0x20, 0x0f, 0x22, 0xe0);
	start.push(0xbc, ...dword(BASE + 0x1000), 0xb8, ...dword(BASE + TABLES), 0x0f, 0x22, 0xd8);
	if (paging !== "none") start.push(0x0f, 0x20, 0xc0, 0x0d, ...dword(0x80000000), 0x0f, 0x22, 0xc0);
	start.push(0xbb, ...dword(BASE + 0x800), 0xe9, ...dword(CODE - 0x40 - start.length - 10));
	bytes.set(start, 0x40);
	// Between the chunks a marker; the one handler of every vector goes on behind the next.
	const code = chunks.flatMap((one) => [...one, ...MARKER]).slice(0, HANDLER - CODE);
	bytes.set(code, CODE);
	bytes.set(
		[
			0x60, // pusha
			0x8b,
			0x4c,
			0x24,
			0x20, // mov 32(%esp), %ecx: EIP or an error code
			0x81,
			0xf9,
			...dword(BASE), // cmp $BASE, %ecx
			0x73,
			0x04, // jae 1f
			0x8b,
			0x4c,
			0x24,
			0x24, // mov 36(%esp), %ecx
			0x41, // 1: inc %ecx
			0x81,
			0xf9,
			...dword(BASE + HANDLER), // cmp $HANDLER, %ecx
			0x72,
			0x05, // jb 2f
			0xb9,
			...dword(BASE + CODE), // mov $CODE, %ecx
			0x81,
			0x39,
			...MARKER.slice(0, 4), // 2: cmpl $marker, (%ecx)
			0x75,
			0xea, // jne 1b
			0xbc,
			...dword(BASE + 0x1000), // mov $stack, %esp
			0xff,
			0xe1, // jmp *%ecx
		],
		HANDLER,
	);
	for (let vector = 0; vector < 256; vector++) {
		view.setUint32(IDT + vector * 8, (0x08 << 16) | ((BASE + HANDLER) & 0xffff), true);
		view.setUint32(IDT + vector * 8 + 4, (((BASE + HANDLER) & 0xffff0000) | 0x8e00) >>> 0, true);
	}
	[0x0000ffff, 0x00cf9b00, 0x0000ffff, 0x00cf9300, 0x0000ffff, 0x00cffb00, 0x0000ffff, 0x00cff300].forEach(
		(word, n) => {
			view.setUint32(GDT + 8 + n * 4, word >>> 0, true);
		},
	);
	view.setUint16(GDT + 0x60, 0x27, true);
	view.setUint32(GDT + 0x62, BASE + GDT, true);
	view.setUint16(GDT + 0x68, 256 * 8 - 1, true);
	view.setUint32(GDT + 0x6a, BASE + IDT, true);
	return bytes;
}
