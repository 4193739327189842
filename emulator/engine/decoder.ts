// From code bytes to records: iced-x86 decodes, this file binds the operands.

import { Code, Decoder, DecoderOptions, Instruction, OpKind, Register } from "iced-x86";
import { Record, RecordFlags, Segment, State, segmentSlot } from "../isa/state.ts";
import { isTooLong, LONGEST_INSTRUCTION } from "./instruction-length.ts";
import { MAX_BLOCK, PseudoHandler } from "./interpreter.ts";
import type { PhysicalMemory } from "./physical-memory.ts";
import { MEMORY_OPERAND } from "./record.ts";

/** What the engine has to know of a decoded instruction beyond its record. */
export interface DecodedInstruction {
	readonly code: Code;
	readonly length: number;
	readonly endsBlock: boolean;
}

/** Handler numbers and block ends by Code, from the generated interpreter and the table. */
export interface DecodeTables {
	/** By code * 2 + (operand in memory ? 1 : 0); 0 = no row. */
	readonly handlers: Uint16Array;
	/** By code: 1 when the instruction ends its block. */
	readonly endsBlock: Uint8Array;
}

/** Record.length of an instruction that is too long to be one. */
export const TOO_LONG = LONGEST_INSTRUCTION + 1;
/** Most bytes of a block: the decoder copies what it is given. */
const MOST_BYTES = MAX_BLOCK * 15;

const ADDRESS_16 = 48;
const ADDRESS_32 = 32;
const ADDRESS_64 = 0;

/** By Register of iced-x86: what Record.register holds (see there); 0xffff for a register that no row uses. */
const registerField = new Uint16Array(0x200).fill(0xffff);
/** By Register: the shift of the address size that a base or index of this width implies. */
const registerShift = new Uint8Array(0x200);

{
	const low = ["AL", "CL", "DL", "BL", "SPL", "BPL", "SIL", "DIL"];
	const high = ["AH", "CH", "DH", "BH"];
	const words = ["AX", "CX", "DX", "BX", "SP", "BP", "SI", "DI"];
	const byName = Register as unknown as { [name: string]: number };
	const set = (name: string, field: number, shift = ADDRESS_64) => {
		const register = byName[name]!;
		registerField[register] = field;
		registerShift[register] = shift;
	};
	for (let index = 0; index < 8; index++) {
		set(low[index]!, index * 8);
		if (index < 4) set(high[index]!, index * 8 + 1);
		set(words[index]!, index * 8, ADDRESS_16);
		set(`E${words[index]!}`, index * 8, ADDRESS_32);
		set(`R${words[index]!}`, index * 8, ADDRESS_64);
	}
	for (let index = 8; index < 16; index++) {
		set(`R${index}L`, index * 8);
		set(`R${index}W`, index * 8, ADDRESS_16);
		set(`R${index}D`, index * 8, ADDRESS_32);
		set(`R${index}`, index * 8, ADDRESS_64);
	}
	for (let index = 0; index < 16; index++) {
		set(`XMM${index}`, index);
		set(`CR${index}`, index);
		set(`DR${index}`, index);
	}
	for (let index = 0; index < 8; index++) {
		set(`MM${index}`, index);
		set(`ST${index}`, index);
	}
	for (const [index, name] of ["ES", "CS", "SS", "DS", "FS", "GS"].entries()) set(name, index);
}

/** Base registers whose default segment is SS (SDM Vol. 1 Table 3-5). */
const stackBases = new Set<Register>([Register.RSP, Register.ESP, Register.RBP, Register.EBP]);

/** Codes whose memory address, up to 64 bits, is kept in the immediate. */
const moffs = new Set<Code>([
	Code.Mov_AL_moffs8,
	Code.Mov_AX_moffs16,
	Code.Mov_EAX_moffs32,
	Code.Mov_RAX_moffs64,
	Code.Mov_moffs8_AL,
	Code.Mov_moffs16_AX,
	Code.Mov_moffs32_EAX,
	Code.Mov_moffs64_RAX,
]);

/**
 * The segment of a memory operand. In 64-bit mode the prefixes of ES, CS, SS and DS are null prefixes (SDM Vol. 2A §2.1.1): the
 * default segment stays, which tells #SS from #GP.
 */
function effectiveSegment(named: Register, base: Register, bits: number): Register {
	if (bits !== 64 || named === Register.FS || named === Register.GS) return named;
	return stackBases.has(base) ? Register.SS : Register.DS;
}

export class RecordDecoder {
	private readonly instruction = new Instruction();
	private decoder: Decoder | undefined;
	private bytes: Uint8Array = new Uint8Array(0);

	constructor(
		private readonly physical: PhysicalMemory,
		private readonly tables: DecodeTables,
	) {}

	/** Begins at a byte of a page: up to 15 bytes beyond the page's end may be given in `next` (the following linear page). */
	begin(bits: number, page: number, offset: number, next: Uint8Array | undefined): void {
		this.decoder?.free();
		const start = this.physical.placeOfPage(page);
		const here = this.physical.u8.subarray(start + offset, start + Math.min(4096, offset + MOST_BYTES));
		let bytes: Uint8Array = here;
		if (next) {
			bytes = new Uint8Array(here.length + next.length);
			bytes.set(here);
			bytes.set(next, here.length);
		}
		this.bytes = bytes;
		this.decoder = new Decoder(bits, bytes, DecoderOptions.ForceReservedNop);
		this.decoder.ip = BigInt(offset);
	}

	/**
	 * Decodes the next instruction into the record at `at`. Undefined when the bytes end inside the instruction.
	 * `offset` is the instruction's offset in its page.
	 */
	next(at: number, bits: number, offset: number): DecodedInstruction | undefined {
		const decoder = this.decoder!;
		const { instruction } = this;
		if (!decoder.canDecode) return undefined;
		const start = decoder.position;
		decoder.decodeOut(instruction);
		const { u8, view } = this.physical;
		u8.fill(0, at, at + Record.size);
		view.setUint16(at + Record.offset, offset, true);
		if (instruction.code === Code.INVALID) {
			if (decoder.lastError === 2) return undefined;
			view.setUint16(at + Record.handler, PseudoHandler.undefined, true);
			if (isTooLong(bits, this.bytes.subarray(start))) u8[at + Record.length] = TOO_LONG;
			return { code: Code.INVALID, length: 1, endsBlock: true };
		}
		const { code, length } = instruction;
		u8[at + Record.length] = length;
		u8[at + Record.base] = State.zero / 8;
		u8[at + Record.index] = State.zero / 8;
		u8[at + Record.linearShift] = bits === 64 ? 0 : 32;
		u8[at + Record.segment] = segmentSlot(Segment.ds) / 8;
		u8[at + Record.addressShift] = bits === 64 ? ADDRESS_64 : bits === 32 ? ADDRESS_32 : ADDRESS_16;
		let flags = 0;
		if (instruction.hasRepePrefix) flags |= RecordFlags.rep;
		if (instruction.hasRepnePrefix) flags |= RecordFlags.repne;
		if (instruction.hasLockPrefix) flags |= RecordFlags.lock;
		let inMemory = false;
		let immediates = 0;
		const count = instruction.opCount;
		for (let operand = 0; operand < count; operand++) {
			const kind = instruction.opKind(operand);
			switch (kind) {
				case OpKind.Register:
					if (operand < 3) u8[at + Record.register + operand] = registerField[instruction.opRegister(operand)]!;
					break;
				case OpKind.Memory:
					inMemory = true;
					this.bindMemory(at, code, bits);
					break;
				case OpKind.NearBranch16:
				case OpKind.NearBranch32:
				case OpKind.NearBranch64: {
					const width = kind === OpKind.NearBranch16 ? 16 : kind === OpKind.NearBranch32 ? 32 : 64;
					const displacement = BigInt.asIntN(width, instruction.nearBranchTarget - BigInt(offset + length));
					view.setBigInt64(at + Record.immediate, displacement, true);
					const target = BigInt(offset + length) + displacement;
					// Only targets in the same page can be linked: others go through the jump cache, which knows about remapping.
					const linkable = width === bits && bits !== 16 && target >= 0n && target < 4096n;
					view.setInt32(at + Record.link, linkable ? 0 : -1, true);
					break;
				}
				case OpKind.FarBranch16:
				case OpKind.FarBranch32:
					view.setBigInt64(
						at + Record.immediate,
						BigInt(kind === OpKind.FarBranch16 ? instruction.farBranch16 : instruction.farBranch32),
						true,
					);
					view.setInt32(at + Record.displacement, instruction.farBranchSelector, true);
					break;
				case OpKind.MemorySegSI:
				case OpKind.MemorySegESI:
				case OpKind.MemorySegRSI:
				case OpKind.MemorySegDI:
				case OpKind.MemorySegEDI:
				case OpKind.MemorySegRDI:
				case OpKind.MemoryESDI:
				case OpKind.MemoryESEDI:
				case OpKind.MemoryESRDI:
					this.bindString(at, kind, bits);
					break;
				default:
					if (immediates++ === 0)
						view.setBigInt64(at + Record.immediate, BigInt.asIntN(64, instruction.immediate(operand)), true);
					else u8[at + Record.register + 2] = Number(instruction.immediate(operand) & 0xffn);
			}
		}
		const repeated = (flags & (RecordFlags.rep | RecordFlags.repne)) !== 0 && instruction.isStringInstruction;
		u8[at + Record.flags] = flags | (inMemory ? MEMORY_OPERAND : 0) | (repeated ? RecordFlags.repeated : 0);
		const handler = this.tables.handlers[code * 2 + (inMemory ? 1 : 0)]!;
		view.setUint16(at + Record.handler, handler === 0 ? PseudoHandler.undefined : handler, true);
		return { code, length, endsBlock: handler === 0 || repeated || this.tables.endsBlock[code] === 1 };
	}

	private bindMemory(at: number, code: Code, bits: number): void {
		const { instruction } = this;
		const { u8, view } = this.physical;
		const base = instruction.memoryBase;
		const segment = effectiveSegment(instruction.memorySegment, base, bits);
		u8[at + Record.segment] = segmentSlot(registerField[segment]! as 0) / 8;
		const index = instruction.memoryIndex;
		let displacement = instruction.memoryDisplacement;
		let shift: number;
		if (base === Register.RIP || base === Register.EIP) {
			shift = base === Register.RIP ? ADDRESS_64 : ADDRESS_32;
			u8[at + Record.base] = State.ripBase / 8;
		} else {
			const width = instruction.memoryDisplSize;
			shift =
				base !== Register.None
					? registerShift[base]!
					: index !== Register.None
						? registerShift[index]!
						: width === 2
							? ADDRESS_16
							: width === 4
								? ADDRESS_32
								: ADDRESS_64;
			if (base !== Register.None) u8[at + Record.base] = registerField[base]! / 8;
		}
		if (index !== Register.None && code !== Code.Xlat_m8) {
			u8[at + Record.index] = registerField[index]! / 8;
			u8[at + Record.scale] = Math.log2(instruction.memoryIndexScale);
		}
		u8[at + Record.addressShift] = shift;
		if (moffs.has(code)) {
			view.setBigInt64(at + Record.immediate, BigInt.asIntN(64, displacement), true);
			return;
		}
		displacement = BigInt.asIntN(32, displacement);
		view.setInt32(at + Record.displacement, Number(displacement), true);
	}

	private bindString(at: number, kind: OpKind, bits: number): void {
		const { instruction } = this;
		const { u8 } = this.physical;
		switch (kind) {
			case OpKind.MemorySegSI:
			case OpKind.MemorySegDI:
			case OpKind.MemoryESDI:
				u8[at + Record.addressShift] = ADDRESS_16;
				break;
			case OpKind.MemorySegESI:
			case OpKind.MemorySegEDI:
			case OpKind.MemoryESEDI:
				u8[at + Record.addressShift] = ADDRESS_32;
				break;
			default:
				u8[at + Record.addressShift] = ADDRESS_64;
		}
		if (kind !== OpKind.MemoryESDI && kind !== OpKind.MemoryESEDI && kind !== OpKind.MemoryESRDI) {
			u8[at + Record.segment] =
				segmentSlot(registerField[effectiveSegment(instruction.memorySegment, Register.None, bits)]! as 0) / 8;
		}
	}

	/** Frees the decoder's copy of the bytes. */
	end(): void {
		this.decoder?.free();
		this.decoder = undefined;
	}
}
