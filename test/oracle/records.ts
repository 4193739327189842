// The records that pass between the tests and native-oracle.c (struct test_case, struct test_result there), and the memory
// that both processors see.

import { Register } from "iced-x86";

/** Linear addresses, the same on the real and on the emulated processor. */
export const Layout = {
	/** Instructions are put here. It is also the base of the 16-bit code segment. */
	codeBase: 0x100000,
	codeSize: 0x10000,
	/** Base of the 16-bit data segment. */
	dataBase: 0x200000,
	/** The part of it that is mapped: the data window. */
	windowBase: 0x204000,
	windowSize: 0x4000,
	/** Bases of FS and GS in 64-bit code; the one of GS shows that all 64 bits count. */
	fsBase64: 0x201000n,
	gsBase64: 0x700000000000n,
} as const;

/** The base that addresses in a segment have before a case. */
export function segmentBase(bits: Bits, segment: Register): bigint {
	if (segment === Register.FS) return bits === 64 ? Layout.fsBase64 : BigInt(Layout.dataBase + 0x1000);
	if (segment === Register.GS) return bits === 64 ? Layout.gsBase64 : BigInt(Layout.dataBase);
	if (bits !== 16) return 0n;
	return BigInt(segment === Register.CS ? Layout.codeBase : Layout.dataBase);
}

/** Selectors that both processors load before a case: ES, SS and DS; FS; GS; CS by code size. Other selectors: descriptors.ts. */
export const Selector = {
	userData: 0x2b,
	code64: 0x33,
	code32: 0x23,
	code16: 0x07,
	data16: 0x0f,
	/** Limit 5FFFH, base 1000H above the data segment's, so that the limit lies inside the window. */
	fs: 0x17,
	/** Expands down: offsets above 4FFFH. */
	gs: 0x1f,
} as const;

export type Bits = 16 | 32 | 64;
export const PATCH_SIZE = 64;
export const SPAN_SIZE = 640;
export const FXSAVE_SIZE = 512;

/** struct test_case: byte offsets. */
export const Case = {
	bits: 0,
	codeLength: 4,
	codeOffset: 8,
	/** u32 × 2 each: where in the window, how many bytes. */
	patchOffset: 12,
	patchLength: 20,
	flags: 32,
	general: 40,
	code: 168,
	patch: 192,
	fxsave: 352,
	size: 864,
} as const;

/** struct test_result: byte offsets. */
export const Result = {
	vector: 0,
	errorCode: 4,
	cr2: 8,
	rip: 16,
	flags: 24,
	general: 32,
	/** u16 × 6: ES CS SS DS FS GS. */
	selectors: 160,
	spanOffset: 172,
	spanLength: 176,
	fxsave: 256,
	span: 768,
	size: 1408,
} as const;

/** FXSAVE image: byte offsets (SDM Vol. 1 §10.5.1, Table 10-2). */
export const Fxsave = {
	control: 0,
	status: 2,
	tag: 4,
	opcode: 6,
	instructionPointer: 8,
	dataPointer: 16,
	mxcsr: 24,
	mxcsrMask: 28,
	st: 32,
	xmm: 160,
} as const;

/** What the window holds before a case's patches. */
const background = new Uint8Array(Layout.windowSize);
for (let n = 0; n < background.length; n++) {
	const byte = (Math.imul(n, 0x9e3779b1) >>> 13) & 0xff;
	background[n] = isKernelPrivate(byte) ? 0x80 : byte;
}

/** The low byte of selector 78H: a segment of Linux whose limit is the number of the CPU. No case may have it. */
export function isKernelPrivate(byte: number): boolean {
	return (byte & 0xfc) === 0x78;
}

/** What the window holds as a case begins. */
export function windowBefore(one: CaseRecord): Uint8Array {
	const window = background.slice();
	for (let n = 0; n < 2; n++) {
		const start = Case.patch + n * PATCH_SIZE;
		window.set(one.bytes.subarray(start, start + one.u32(Case.patchLength + n * 4)), one.u32(Case.patchOffset + n * 4));
	}
	return window;
}

/** One record in a buffer of many. */
export class RecordView {
	readonly view: DataView;
	readonly bytes: Uint8Array;

	constructor(buffer: Uint8Array, index: number, size: number) {
		this.view = new DataView(buffer.buffer, buffer.byteOffset + index * size, size);
		this.bytes = buffer.subarray(index * size, (index + 1) * size);
	}

	u16(offset: number): number {
		return this.view.getUint16(offset, true);
	}

	u32(offset: number): number {
		return this.view.getUint32(offset, true);
	}

	u64(offset: number): bigint {
		return this.view.getBigUint64(offset, true);
	}

	setU16(offset: number, value: number): void {
		this.view.setUint16(offset, value, true);
	}

	setU32(offset: number, value: number): void {
		this.view.setUint32(offset, value, true);
	}

	setU64(offset: number, value: bigint): void {
		this.view.setBigUint64(offset, value, true);
	}
}

export class CaseRecord extends RecordView {
	constructor(buffer: Uint8Array, index: number) {
		super(buffer, index, Case.size);
	}

	get bits(): Bits {
		return this.u32(Case.bits) as Bits;
	}

	get code(): Uint8Array {
		return this.bytes.subarray(Case.code, Case.code + this.u32(Case.codeLength));
	}

	/** RIP of the instruction. */
	get rip(): bigint {
		return BigInt(this.u32(Case.codeOffset) + (this.bits === 16 ? 0 : Layout.codeBase));
	}

	get flags(): number {
		return this.u32(Case.flags);
	}

	general(register: number): bigint {
		return this.u64(Case.general + register * 8);
	}

	setGeneral(register: number, value: bigint): void {
		this.setU64(Case.general + register * 8, value);
	}
}

export class ResultRecord extends RecordView {
	constructor(buffer: Uint8Array, index: number) {
		super(buffer, index, Result.size);
	}

	get vector(): number {
		return this.u32(Result.vector);
	}

	general(register: number): bigint {
		return this.u64(Result.general + register * 8);
	}

	/** The bytes of the window that changed, from the first to the last. */
	get span(): Uint8Array {
		return this.bytes.subarray(Result.span, Result.span + Math.min(SPAN_SIZE, this.u32(Result.spanLength)));
	}
}

/** Names of the general registers in encoding order, without the R or E. */
export const registerNames = [
	..."rax rcx rdx rbx rsp rbp rsi rdi".split(" "),
	..."r8 r9 r10 r11 r12 r13 r14 r15".split(" "),
] as const;
