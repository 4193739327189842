// For tests: a paravirtual kernel as an ELF file around a few bytes of code, and a machine that runs it.

import type { MachineConfiguration } from "../../machine/virtual-machine.ts";
import { ParavirtualMachine } from "./paravirtual-machine.ts";
import { ElfNoteType, Hypercall, type HypercallName } from "./xen-abi.ts";

export const WIDE_BASE = 0xffffffff80000000n;
export const COMPAT_BASE = 0xc0000000n;
/** Pseudo-physical addresses in a test kernel: code, hypercall page, a page of data. */
export const CODE = 0x100000;
export const HYPERCALL_PAGE = 0x101000;
export const DATA = 0x102000;

type Note = readonly [type: number, value: string | bigint];

export interface TestKernel {
	readonly wide: boolean;
	readonly code: readonly number[];
	readonly data?: Uint8Array;
	/** Instead of the usual notes. */
	readonly notes?: readonly Note[];
}

export function standardNotes(wide: boolean): Note[] {
	const base = wide ? WIDE_BASE : COMPAT_BASE;
	return [
		[ElfNoteType.guestOs, "test"],
		[ElfNoteType.xenVersion, "xen-3.0"],
		[ElfNoteType.paeMode, "yes"],
		[ElfNoteType.virtualBase, base],
		[ElfNoteType.physicalOffset, 0n],
		[ElfNoteType.entry, base + BigInt(CODE)],
		[ElfNoteType.hypercallPage, base + BigInt(HYPERCALL_PAGE)],
	];
}

function noteBytes(notes: readonly Note[], wide: boolean): Uint8Array {
	const parts: number[] = [];
	const word = (value: number) =>
		parts.push(value & 255, (value >> 8) & 255, (value >> 16) & 255, (value >>> 24) & 255);
	for (const [type, value] of notes) {
		const description: number[] = [];
		if (typeof value === "string") description.push(...new TextEncoder().encode(`${value}\0`));
		else for (let byte = 0; byte < (wide ? 8 : 4); byte++) description.push(Number((value >> BigInt(byte * 8)) & 255n));
		word(4);
		word(description.length);
		word(type);
		parts.push(0x58, 0x65, 0x6e, 0, ...description);
		while (parts.length % 4 !== 0) parts.push(0);
	}
	return Uint8Array.from(parts);
}

/** The file: one segment of three pages, and the notes. */
export function testKernelFile({
	wide,
	code,
	data = new Uint8Array(0),
	notes = standardNotes(wide),
}: TestKernel): Uint8Array {
	const noted = noteBytes(notes, wide);
	const start = 0x1000;
	const file = new Uint8Array(start + 0x3000 + noted.length);
	const view = new DataView(file.buffer);
	file.set([0x7f, 0x45, 0x4c, 0x46, wide ? 2 : 1, 1, 1]);
	view.setUint16(16, 2, true);
	view.setUint16(18, wide ? 62 : 3, true);
	const base = wide ? WIDE_BASE : COMPAT_BASE;
	const headers = wide ? 64 : 52;
	const size = wide ? 56 : 32;
	if (wide) view.setBigUint64(24, base + BigInt(CODE), true);
	else view.setUint32(24, Number(base) + CODE, true);
	view.setUint32(wide ? 32 : 28, headers, true);
	view.setUint16(wide ? 54 : 42, size, true);
	view.setUint16(wide ? 56 : 44, 2, true);
	const header = (index: number, type: number, offset: number, physical: number, length: number): void => {
		const at = headers + index * size;
		view.setUint32(at, type, true);
		const fields = [offset, base + BigInt(physical), physical, length, length];
		fields.forEach((value, field) => {
			if (wide) view.setBigUint64(at + 8 + field * 8, BigInt(value), true);
			else view.setUint32(at + 4 + field * 4, Number(value), true);
		});
	};
	header(0, 1, start, CODE, 0x3000);
	header(1, 4, start + 0x3000, 0, noted.length);
	file.set(code, start);
	file.set(data, start + (DATA - CODE));
	file.set(noted, start + 0x3000);
	return file;
}

/** Code that makes a hypercall through the hypercall page: arguments as immediates. Clobbers what the convention does. */
export function callHypercall(wide: boolean, name: HypercallName, ...args: readonly (number | bigint)[]): number[] {
	const bytes = (value: number | bigint, count: number) =>
		Array.from({ length: count }, (_, index) =>
			Number((BigInt.asUintN(64, BigInt(value)) >> BigInt(index * 8)) & 255n),
		);
	const target = (wide ? WIDE_BASE : COMPAT_BASE) + BigInt(HYPERCALL_PAGE + Hypercall[name] * 32);
	if (!wide) {
		// MOV r32, imm32 of EBX, ECX, EDX, ESI, EDI; MOV EAX, imm32; CALL EAX.
		const load = [0xbb, 0xb9, 0xba, 0xbe, 0xbf];
		return [
			...args.flatMap((value, index) => [load[index]!, ...bytes(value, 4)]),
			0xb8,
			...bytes(target, 4),
			0xff,
			0xd0,
		];
	}
	// MOV r64, imm64 of RDI, RSI, RDX, R10; MOV RAX, imm64; CALL RAX.
	const load = [
		[0x48, 0xbf],
		[0x48, 0xbe],
		[0x48, 0xba],
		[0x49, 0xba],
	];
	return [
		...args.flatMap((value, index) => [...load[index]!, ...bytes(value, 8)]),
		...[0x48, 0xb8, ...bytes(target, 8), 0xff, 0xd0],
	];
}

/** Code that ends the domain well: a pointer to 0 (power off) lies at the start of the last 8 bytes of the data page. */
export function powerOff(wide: boolean): number[] {
	const base = wide ? WIDE_BASE : COMPAT_BASE;
	return [...callHypercall(wide, "sched_op", 2, base + BigInt(DATA + 0xff8)), 0x0f, 0x0b];
}

export class TestMachine extends ParavirtualMachine {
	output = "";

	constructor(kernel: TestKernel, more: Partial<MachineConfiguration> = {}) {
		super({ vmm: "pv", memory: 8 << 20, image: { name: "test.elf", bytes: testKernelFile(kernel) }, ...more });
		this.onSerialOutput((bytes) => {
			this.output += new TextDecoder("latin1").decode(bytes);
		});
	}
}
