// Writes 32-bit x86 code: the few instructions that translations are made of, and verbatim bytes. None of them changes
// the arithmetic flags.

export const Register32 = { eax: 0, ecx: 1, edx: 2, ebx: 3, esp: 4, ebp: 5, esi: 6, edi: 7 } as const;

const GS_PREFIX = 0x65;

export class CodeBuffer {
	private readonly bytes: number[] = [];

	/** @param origin linear address of the first byte. */
	constructor(readonly origin: number) {}

	/** Linear address of the next byte. */
	get here(): number {
		return this.origin + this.bytes.length;
	}

	get length(): number {
		return this.bytes.length;
	}

	take(): Uint8Array {
		return Uint8Array.from(this.bytes);
	}

	emit(...bytes: number[]): void {
		for (const byte of bytes) this.bytes.push(byte);
	}

	verbatim(bytes: Uint8Array): void {
		for (const byte of bytes) this.bytes.push(byte);
	}

	dword(value: number): void {
		this.emit(value & 0xff, (value >> 8) & 0xff, (value >> 16) & 0xff, (value >>> 24) & 0xff);
	}

	/** mov %register, %gs:offset */
	storeBlock(offset: number, register: number): void {
		this.emit(GS_PREFIX, 0x89, 0x05 | (register << 3));
		this.dword(offset);
	}

	/** mov %gs:offset, %register */
	loadBlock(register: number, offset: number): void {
		this.emit(GS_PREFIX, 0x8b, 0x05 | (register << 3));
		this.dword(offset);
	}

	/** movl $value, %gs:offset */
	storeBlockImmediate(offset: number, value: number): void {
		this.emit(GS_PREFIX, 0xc7, 0x05);
		this.dword(offset);
		this.dword(value);
	}

	/** mov %gs:offset(,%index,4), %register */
	loadBlockIndexed(register: number, offset: number, index: number): void {
		this.emit(GS_PREFIX, 0x8b, 0x04 | (register << 3), 0x85 | (index << 3));
		this.dword(offset);
	}

	/** jmp *%gs:offset(,%index,4) */
	jumpBlockIndexed(offset: number, index: number): void {
		this.emit(GS_PREFIX, 0xff, 0x24, 0x85 | (index << 3));
		this.dword(offset);
	}

	/** jmp target; the displacement is the last 4 bytes. */
	jump(target: number): void {
		this.emit(0xe9);
		this.dword(target - (this.here + 4));
	}

	/** jcc target (condition 0..15); the displacement is the last 4 bytes. */
	jumpIf(condition: number, target: number): void {
		this.emit(0x0f, 0x80 | condition);
		this.dword(target - (this.here + 4));
	}

	/** jecxz over the next `distance` bytes. */
	jumpIfEcxZero(distance: number): void {
		this.emit(0xe3, distance);
	}

	pushImmediate(value: number): void {
		this.emit(0x68);
		this.dword(value);
	}

	interrupt(vector: number): void {
		this.emit(0xcd, vector);
	}
}
