// A kernel of random fragments in ring 0. A fixed part brings the processor back to a known state before each fragment, loads
// random registers and jumps into it; every exception and interrupt leads to the next one. It lasts until a fragment has
// destroyed what that needs.

import { VMCS_REVISION } from "../../emulator/cpu/vmx/controls.ts";
import type { NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { Random } from "../oracle/random.ts";
import { dword } from "../tools/tiny-guest.ts";
import { address, descriptor, fragment, pageEntry } from "./hostile-instructions.ts";
import {
	ADDRESSES,
	BASE,
	BYTES,
	DMA_ENGINE,
	E1000,
	FRAGMENT_BYTES,
	FRAGMENTS,
	GDT_ENTRIES,
	IDE_BUS_MASTER,
	Part,
	SELECTORS,
	TABLE_IMAGES,
} from "./kernel-layout.ts";

const PAGE = 0x1000;
const LIMIT_REGISTER_BYTES = 16;
const IA32_EFER = 0xc0000080;
/** Present, writable, for users; and a large page. */
const OPEN = 7;
const LARGE = 0x87;
const MEMORY_REGISTERS = [0xe0000000, 0xfec00000, 0xfee00000] as const;

type Paging = "none" | "32-bit" | "PAE";

const identity = Uint8Array.from({ length: PAGE }, (_, at) => ((((at >> 2) << 12) | OPEN) >>> (8 * (at & 3))) & 0xff);

class Image {
	readonly bytes = new Uint8Array(BYTES);
	private readonly view = new DataView(this.bytes.buffer);

	put32(at: number, value: number): void {
		this.view.setUint32(at, value >>> 0, true);
	}

	put(at: number, ...values: readonly number[]): void {
		values.forEach((value, index) => {
			this.put32(at + index * 4, value);
		});
	}

	code(at: number, end: number, bytes: readonly number[]): void {
		if (at + bytes.length > end) throw new Error("The fixed part runs into its data.");
		this.bytes.set(bytes, at);
	}
}

/** mov $value, %register */
const load = (number: number, value: number): number[] => [0xb8 + number, ...dword(value)];
const [EAX, ECX, EDX, ESP] = [0, 1, 2, 4] as const;
const toControl = (register: number): number[] => [0x0f, 0x22, 0xc0 | (register << 3)];

/** The PCI devices get their registers and may be bus masters (PCI Local Bus Specification 3.0, §6.1 and §6.2.2). */
function enableDevices(): number[] {
	const write = (slot: number, unit: number, register: number, value: number) => [
		...[...load(EAX, (0x80000000 | (slot << 11) | (unit << 8) | register) >>> 0), ...load(EDX, 0xcf8), 0xef],
		...[...load(EAX, value), ...load(EDX, 0xcfc), 0xef],
	];
	return [
		...[...write(4, 0, 0x10, DMA_ENGINE), ...write(4, 0, 4, 7)],
		...[...write(3, 0, 0x10, E1000), ...write(3, 0, 4, 7)],
		...[...write(1, 1, 0x20, IDE_BUS_MASTER | 1), ...write(1, 1, 4, 5)],
	];
}

/** Brings the processor back to a known state and goes to the next fragment; out of 0 to port 0xf4 when there is none. */
function dispatcher(cr0: number, cr4: number): number[] {
	const code = [0xfa, 0xfc, 0x2e, 0x0f, 0x01, 0x15, ...dword(BASE + Part.tableImages)];
	code.push(0x2e, 0x0f, 0x01, 0x1d, ...dword(BASE + Part.tableImages + LIMIT_REGISTER_BYTES), 0x66, 0xb8, 0x10, 0x00);
	for (const modrm of [0xd0, 0xd8, 0xc0, 0xe0, 0xe8]) code.push(0x8e, modrm);
	code.push(...load(ESP, BASE + Part.stack), 0x31, 0xc0, 0x0f, 0x23, 0xf8);
	// CR4 and CR0 as they have to be, else all of them anew, with paging off meanwhile.
	const anew = [...load(EAX, 0x11), ...toControl(0), ...load(ECX, IA32_EFER), 0x31, 0xc0, 0x31, 0xd2, 0x0f, 0x30];
	anew.push(...load(EAX, cr4), ...toControl(4), ...load(EAX, BASE + Part.directory), ...toControl(3));
	anew.push(...load(EAX, cr0), ...toControl(0));
	const compareCr0 = [0x0f, 0x20, 0xc0, 0x3d, ...dword(cr0), 0x74, anew.length];
	code.push(0x0f, 0x20, 0xe0, 0x3d, ...dword(cr4), 0x75, compareCr0.length, ...compareCr0, ...anew);
	code.push(...load(EAX, BASE + Part.directory), ...toControl(3));
	// The task state: its descriptor may be busy, or gone.
	code.push(0xc7, 0x05, ...dword(BASE + Part.gdt + 0x28), ...dword(((BASE + Part.tss) << 16) | 103));
	code.push(0xc7, 0x05, ...dword(BASE + Part.gdt + 0x2c), ...dword(0x8900 | (((BASE + Part.tss) >>> 16) & 0xff)));
	code.push(0x66, 0xb8, 0x28, 0x00, 0x0f, 0x00, 0xd8);
	code.push(0x6a, 0x02, 0x9d, 0xff, 0x05, ...dword(BASE + Part.counter), 0xa1, ...dword(BASE + Part.counter));
	code.push(0x3d, ...dword(FRAGMENTS), 0x72, 0x04, 0xb0, 0x00, 0xe6, 0xf4, 0x89, 0xc2);
	// shl $7, %eax; add; mov to the target; shl $5, %edx; lea to ESP; popa; mov to ESP; jmp *
	code.push(
		0xc1,
		0xe0,
		Math.log2(FRAGMENT_BYTES),
		0x05,
		...dword(BASE + Part.code),
		0xa3,
		...dword(BASE + Part.target),
	);
	code.push(0xc1, 0xe2, 0x05, 0x8d, 0xa2, ...dword(BASE + Part.registers), 0x61);
	code.push(...load(ESP, BASE + Part.stack - 0x100), 0xff, 0x25, ...dword(BASE + Part.target));
	return code;
}

function putTables32(image: Image, random: Random): void {
	const tables = [Part.pageTable, Part.directory, Part.randomTables].map((at) => (BASE + at) | OPEN);
	image.bytes.set(identity, Part.pageTable);
	for (let index = 0; index < 1024; index++) {
		const kind = random.below(8);
		const entry =
			kind < 4 ? (index << 22) | LARGE : kind < 6 ? random.pick(tables) : kind === 6 ? pageEntry(random, index) : 0;
		image.put32(Part.directory + index * 4, entry);
	}
	for (const at of MEMORY_REGISTERS) image.put32(Part.directory + (at >>> 22) * 4, (at & 0xffc00000) | LARGE);
	for (let index = 0; index < 2048; index++) image.put32(Part.randomTables + index * 4, pageEntry(random, index));
	// Every directory keeps the first 4 MB, so that the handlers can be reached.
	for (const at of [Part.directory, Part.randomTables, Part.randomTables + PAGE]) image.put32(at, tables[0]!);
}

/** The page directory of the first gigabyte lies in the page table's place, its first page table and that of the last in the random ones'. */
function putTablesPae(image: Image, random: Random): void {
	const [first, table, last] = [Part.pageTable, Part.randomTables, Part.randomTables + PAGE];
	const pointers = [0, (BASE + first) | 1, (BASE + last) | 1];
	image.put(Part.directory, (BASE + first) | 1, 0, random.pick(pointers), 0, random.pick(pointers), 0);
	image.put(Part.directory + 24, (BASE + last) | 1, 0);
	for (let index = 0; index < 512; index++) {
		image.put(table + index * 8, (index << 12) | OPEN, 0);
		const high = random.below(8) === 0 ? random.bits32() : 0;
		image.put(last + index * 8, pageEntry(random, index), high);
		const own = (BASE + random.pick([first, table, last])) | OPEN;
		const kinds = [(index << 21) | LARGE, (index << 21) | LARGE, own, pageEntry(random, index)];
		image.put(first + index * 8, random.pick(kinds), 0);
	}
	for (const at of MEMORY_REGISTERS) image.put(last + ((at >>> 21) & 511) * 8, (at & 0xffe00000) | LARGE, 0);
	image.put(first, (BASE + table) | OPEN, 0);
}

function putDescriptors(image: Image, random: Random): void {
	for (let vector = 0; vector < 256; vector++) {
		const handler = BASE + Part.dispatch;
		const other = vector > 0x20 && random.below(16) === 0;
		const access = other ? random.bits32() & 0xff00 : random.pick([0x8e00, 0xee00, 0xef00]);
		const selector = other ? random.pick(SELECTORS) : 0x08;
		image.put(Part.idt + vector * 8, (selector << 16) | (handler & 0xffff), (handler & 0xffff0000) | access);
	}
	const tss = (at: number): [number, number] => [((BASE + at) << 16) | 103, 0x8900 | (((BASE + at) >>> 16) & 0xff)];
	const own: readonly (readonly [number, number])[] = [
		...([
			[0, 0],
			[0xffff, 0xcf9b00],
			[0xffff, 0xcf9300],
			[0xffff, 0xcffb00],
			[0xffff, 0xcff300],
		] as const),
		tss(Part.tss),
		tss(Part.otherTask),
	];
	for (let index = 0; index < GDT_ENTRIES; index++)
		image.put(Part.gdt + index * 8, ...(own[index] ?? descriptor(random)));
	for (const at of [Part.tss, Part.otherTask]) {
		// SDM Vol. 3A Figure 8-2.
		image.put(at + 4, BASE + Part.stack, 0x10);
		image.put(at + 0x1c, BASE + Part.directory, BASE + Part.dispatch, 2);
		image.put(at + 0x38, BASE + Part.stack);
		image.put(at + 0x48, 0x10, 0x08, 0x10, 0x10, 0x10, 0x10, 0, 104 << 16);
	}
	for (let index = 0; index < TABLE_IMAGES; index++) {
		const isGdt = index % 2 === 0;
		const limits = isGdt ? [0xff, 0xff, 0xffff, 0x3f] : [0x7ff, 0x7ff, 0xffff, 0x1ff];
		const limit = index < 2 ? limits[0]! : random.pick(limits);
		const base = BASE + (isGdt ? Part.gdt : Part.idt);
		const at = Part.tableImages + index * LIMIT_REGISTER_BYTES;
		image.put(at, (limit & 0xffff) | (base << 16), base >>> 16);
	}
}

export function randomKernel(random: Random): NamedFile {
	const paging: Paging = random.pick(["none", "none", "32-bit", "32-bit", "32-bit", "PAE"]);
	const image = new Image();
	image.put(0, 0x1badb002, 0x10000, -(0x1badb002 + 0x10000), BASE, BASE, BASE + BYTES, BASE + BYTES, BASE + 0x40);
	const boot = [0x0f, 0x01, 0x15, ...dword(BASE + Part.tableImages), 0xea, ...dword(BASE + 0x4e), 0x08, 0x00];
	boot.push(0xe9, ...dword(Part.setUp - 0x40 - boot.length - 5));
	image.code(0x40, Part.tableImages, boot);
	const setUp = enableDevices();
	setUp.push(0xe9, ...dword(Part.dispatch - Part.setUp - setUp.length - 5));
	image.code(Part.setUp, Part.registers, setUp);
	const cr0 = (paging === "none" ? 0x11 : 0x80000011) | (random.below(2) << 16);
	const cr4 = random.pick(paging === "PAE" ? [0x20, 0x620, 0xa0] : [0x10, 0x10, 0x610, 0]);
	image.code(Part.dispatch, Part.setUp, dispatcher(cr0 >>> 0, cr4));
	for (let index = 0; index < FRAGMENTS; index++) {
		for (let word = 0; word < 8; word++) {
			const known = random.pick(random.below(2) === 0 ? ADDRESSES : SELECTORS);
			image.put32(Part.registers + index * 32 + word * 4, random.below(3) === 0 ? random.bits32() : known);
		}
		image.bytes.set(fragment(random), Part.code + index * FRAGMENT_BYTES);
	}
	if (paging === "PAE") putTablesPae(image, random);
	else putTables32(image, random);
	putDescriptors(image, random);
	// Transfer descriptors of the network controller, which are PRDs of the disk controller too.
	for (let at = Part.dma; at < Part.dma + 0x400; at += 8)
		image.put(at, address(random), random.below(2) === 0 ? 0 : random.bits32());
	image.put(Part.vmxon, VMCS_REVISION);
	image.put(Part.vmcs, VMCS_REVISION);
	image.put(Part.counter, -1);
	return { name: "random kernel", bytes: image.bytes };
}
