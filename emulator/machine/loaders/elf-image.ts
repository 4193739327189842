// The loadable part of an ELF file (System V ABI, "Program Header"): segments with their physical addresses, and the entry.

import { MachineError } from "../virtual-machine.ts";
import { type LoadTarget, place } from "./boot-state.ts";

export interface ElfSegment {
	readonly physicalAddress: number;
	readonly linearAddress: bigint;
	/** Bytes in the file, then zeros up to memorySize. */
	readonly bytes: Uint8Array;
	readonly memorySize: number;
}

export interface ElfImage {
	readonly bits: 32 | 64;
	/** As the file has it: a linear address. */
	readonly entry: bigint;
	readonly segments: readonly ElfSegment[];
}

const PT_LOAD = 1;
const ET_REL = 1;
const EM_386 = 3;
const EM_X86_64 = 62;

export function isElf(bytes: Uint8Array): boolean {
	return bytes.length >= 4 && bytes[0] === 0x7f && bytes[1] === 0x45 && bytes[2] === 0x4c && bytes[3] === 0x46;
}

/** @throws {MachineError} when the file is not an x86 ELF or ends before its own tables say. */
export function parseElf(name: string, bytes: Uint8Array): ElfImage {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const cut = () =>
		new MachineError(`${name} is a truncated ELF file (${bytes.length} bytes): build or copy it again.`);
	if (bytes.length < 52) throw cut();
	const bits = bytes[4] === 2 ? 64 : 32;
	if (bytes[5] !== 1) throw new MachineError(`${name} is a big-endian ELF file, not one for x86.`);
	const machine = view.getUint16(18, true);
	if (machine !== EM_386 && machine !== EM_X86_64)
		throw new MachineError(`${name} is an ELF file for machine ${machine}, not for x86.`);
	if (view.getUint16(16, true) === ET_REL)
		throw new MachineError(`${name} is an object file that is not linked yet: link it as an executable.`);
	if (bits === 64 && bytes.length < 64) throw cut();
	const wide = (at: number): bigint => (bits === 64 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true)));
	const entry = wide(24);
	const tableOffset = Number(wide(bits === 64 ? 32 : 28));
	const entrySize = view.getUint16(bits === 64 ? 54 : 42, true);
	const count = view.getUint16(bits === 64 ? 56 : 44, true);
	const least = bits === 64 ? 56 : 32;
	if (count > 0 && (entrySize < least || tableOffset + count * entrySize > bytes.length)) throw cut();
	const segments: ElfSegment[] = [];
	for (let index = 0; index < count; index++) {
		const at = tableOffset + index * entrySize;
		if (view.getUint32(at, true) !== PT_LOAD) continue;
		const field = (offset32: number, offset64: number) => wide(at + (bits === 64 ? offset64 : offset32));
		const offset = Number(field(4, 8));
		const linearAddress = field(8, 16);
		const physicalAddress = Number(field(12, 24));
		const fileSize = Number(field(16, 32));
		const memorySize = Number(field(20, 40));
		if (memorySize === 0) continue;
		if (offset + fileSize > bytes.length || fileSize > memorySize) throw cut();
		segments.push({ physicalAddress, linearAddress, bytes: bytes.subarray(offset, offset + fileSize), memorySize });
	}
	if (segments.length === 0)
		throw new MachineError(`${name} is an ELF file without a loadable segment: link it as an executable.`);
	return { bits, entry, segments };
}

/** Stores every segment at its physical address, zero-filled to its size in memory. Returns the end of the highest one. */
export function loadElf(name: string, image: ElfImage, target: LoadTarget): number {
	let end = 0;
	for (const segment of image.segments) {
		if (segment.memorySize > target.size) {
			throw new MachineError(
				`${name} needs a segment of 0x${segment.memorySize.toString(16)} bytes, but the machine has 0x${target.size.toString(16)} bytes of memory.`,
			);
		}
		const whole = new Uint8Array(segment.memorySize);
		whole.set(segment.bytes);
		place(target, segment.physicalAddress, whole, `A segment of ${name}`);
		end = Math.max(end, segment.physicalAddress + segment.memorySize);
	}
	return end;
}

/** The entry as a physical address: through the segment that holds it as a linear or else as a physical address. @throws {MachineError} */
export function physicalEntry(name: string, image: ElfImage): number {
	for (const segment of image.segments) {
		const offset = image.entry - segment.linearAddress;
		if (offset >= 0n && offset < BigInt(segment.memorySize)) return segment.physicalAddress + Number(offset);
	}
	const entry = Number(image.entry);
	if (image.segments.some((one) => entry >= one.physicalAddress && entry < one.physicalAddress + one.memorySize))
		return entry;
	throw new MachineError(
		`${name} starts at 0x${image.entry.toString(16)}, where none of its segments lies: link it anew.`,
	);
}
