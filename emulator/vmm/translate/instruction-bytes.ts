// The fields of a 32-bit instruction as they stand in its bytes (SDM Vol. 2A §2.1): prefixes, opcode, ModRM, SIB,
// displacement, immediate. iced-x86 says whether the bytes are an instruction and how long it is; this says where its parts are.

import { Segment, type SegmentIndex } from "../../isa/state.ts";

/** Opcode maps: one-byte opcodes are 0x00..0xff, two-byte ones 0x0f00 + byte, 0F 38 and 0F 3A ones 0x0f3800 / 0x0f3a00 + byte. */
export class InstructionBytes {
	/** Opcode with its map, see above. */
	opcode = 0;
	/** Bytes before the opcode. */
	prefixLength = 0;
	/** Segment override, or undefined. */
	segmentPrefix: SegmentIndex | undefined;
	operandSize16 = false;
	addressSize16 = false;
	lock = false;
	/** 0xf2, 0xf3 or 0. */
	repeat = 0;
	hasModRm = false;
	modRm = 0;
	/** Offset of the ModRM byte. */
	modRmAt = 0;
	/** Base and index register numbers of the memory operand, -1 when absent. */
	base = -1;
	index = -1;
	scale = 0;
	displacement = 0;
	/** Offset behind ModRM, SIB and displacement: where immediates begin. */
	immediateAt = 0;
	length = 0;

	constructor(readonly bytes: Uint8Array) {
		this.length = bytes.length;
		let at = this.parsePrefixes();
		this.prefixLength = at;
		this.opcode = bytes[at++]!;
		if (this.opcode === 0x0f) {
			this.opcode = 0x0f00 | bytes[at++]!;
			if (this.opcode === 0x0f38 || this.opcode === 0x0f3a) this.opcode = (this.opcode << 8) | bytes[at++]!;
		}
		this.immediateAt = at;
		if (hasModRm(this.opcode)) {
			this.hasModRm = true;
			this.modRmAt = at;
			this.modRm = bytes[at++]!;
			this.immediateAt = this.parseMemory(at);
		}
	}

	/** ModRM.mod, .reg and .rm. */
	get mod(): number {
		return this.modRm >> 6;
	}
	get reg(): number {
		return (this.modRm >> 3) & 7;
	}
	get rm(): number {
		return this.modRm & 7;
	}

	/** True when ModRM names memory. MOV to and from control and debug registers has no memory form (SDM Vol. 2B). */
	get inMemory(): boolean {
		return this.hasModRm && this.mod !== 3 && !(this.opcode >= 0x0f20 && this.opcode <= 0x0f23);
	}

	/** Segment of the ModRM memory operand. */
	get segment(): SegmentIndex {
		if (this.segmentPrefix !== undefined) return this.segmentPrefix;
		return this.base === 4 || this.base === 5 ? Segment.ss : Segment.ds;
	}

	/** An immediate of `size` bytes at an offset behind immediateAt, sign-extended. */
	immediate(size: 1 | 2 | 4, skip = 0): number {
		return signed(this.bytes, this.immediateAt + skip, size);
	}

	private parsePrefixes(): number {
		for (let at = 0; ; at++) {
			switch (this.bytes[at]) {
				case 0x26:
					this.segmentPrefix = Segment.es;
					break;
				case 0x2e:
					this.segmentPrefix = Segment.cs;
					break;
				case 0x36:
					this.segmentPrefix = Segment.ss;
					break;
				case 0x3e:
					this.segmentPrefix = Segment.ds;
					break;
				case 0x64:
					this.segmentPrefix = Segment.fs;
					break;
				case 0x65:
					this.segmentPrefix = Segment.gs;
					break;
				case 0x66:
					this.operandSize16 = true;
					break;
				case 0x67:
					this.addressSize16 = true;
					break;
				case 0xf0:
					this.lock = true;
					break;
				case 0xf2:
				case 0xf3:
					this.repeat = this.bytes[at]!;
					break;
				default:
					return at;
			}
		}
	}

	private parseMemory(start: number): number {
		const { bytes, mod, rm } = this;
		let at = start;
		if (mod === 3) return at;
		if (this.addressSize16) {
			this.base = BASE_16[rm]!;
			this.index = INDEX_16[rm]!;
			let size = mod;
			if (mod === 0 && rm === 6) {
				this.base = -1;
				size = 2;
			}
			if (size > 0 && at + size <= bytes.length) this.displacement = signed(bytes, at, size);
			return at + size;
		}
		this.base = rm;
		let size = mod === 1 ? 1 : mod === 2 ? 4 : 0;
		if (rm === 4) {
			const sib = bytes[at++]!;
			this.base = sib & 7;
			this.scale = sib >> 6;
			this.index = ((sib >> 3) & 7) === 4 ? -1 : (sib >> 3) & 7;
		}
		if (mod === 0 && this.base === 5) {
			this.base = -1;
			size = 4;
		}
		if (size > 0 && at + size <= bytes.length) this.displacement = signed(bytes, at, size);
		return at + size;
	}
}

/** A little-endian number of 1, 2 or 4 bytes, sign-extended. */
function signed(bytes: Uint8Array, at: number, size: number): number {
	const low = bytes[at]!;
	if (size === 1) return (low << 24) >> 24;
	const word = low | (bytes[at + 1]! << 8);
	return size === 2 ? (word << 16) >> 16 : word | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

/** Registers of 16-bit addressing by ModRM.rm (SDM Vol. 2A Table 2-1). */
const BASE_16 = [3, 3, 5, 5, 6, 7, 5, 3];
const INDEX_16 = [6, 7, 6, 7, -1, -1, -1, -1];

/** One-byte opcodes with ModRM, as ranges (SDM Vol. 2D, Table A-2). */
function hasModRm(opcode: number): boolean {
	if (opcode < 0x40) return (opcode & 7) < 4;
	if (opcode < 0x100)
		return (
			opcode === 0x62 ||
			opcode === 0x63 ||
			opcode === 0x69 ||
			opcode === 0x6b ||
			(opcode >= 0x80 && opcode <= 0x8f) ||
			opcode === 0xc0 ||
			opcode === 0xc1 ||
			(opcode >= 0xc4 && opcode <= 0xc7) ||
			(opcode >= 0xd0 && opcode <= 0xd3) ||
			(opcode >= 0xd8 && opcode <= 0xdf) ||
			opcode === 0xf6 ||
			opcode === 0xf7 ||
			opcode >= 0xfe
		);
	if (opcode >= 0x0f3800) return true;
	const second = opcode & 0xff;
	return !(
		(second >= 0x04 && second <= 0x0c && second !== 0x0d) ||
		second === 0x0e ||
		(second >= 0x30 && second <= 0x3f) ||
		second === 0x77 ||
		(second >= 0x80 && second <= 0x8f) ||
		(second >= 0xa0 && second <= 0xa2) ||
		(second >= 0xa8 && second <= 0xaa) ||
		(second >= 0xc8 && second <= 0xcf)
	);
}
