// Machine frames: pages of host-physical memory as words. The VMM reaches every frame through the direct map, so to speak.

import { PageKind, type PhysicalMemory } from "../../../engine/physical-memory.ts";
import { RAM_BASE } from "../../../isa/state.ts";

export class MachineMemory {
	/** Number of frames of RAM. */
	readonly frames: number;
	private readonly i32: Int32Array;

	constructor(readonly physical: PhysicalMemory) {
		this.frames = physical.ramBytes / 4096;
		this.i32 = physical.i32;
	}

	/** True when a frame is RAM: frames of device windows among the RAM are not. */
	isRam(frame: number): boolean {
		return frame >= 0 && frame < this.frames && this.physical.kind[frame] === PageKind.ram;
	}

	/** Dword `word` (0 to 1023) of a frame. */
	read(frame: number, word: number): number {
		return this.i32[(RAM_BASE >> 2) + frame * 1024 + word]!;
	}

	write(frame: number, word: number, value: number): void {
		if (this.physical.hasCode[frame]) this.physical.onCodeWrite(frame * 4096 + word * 4, 4);
		this.i32[(RAM_BASE >> 2) + frame * 1024 + word] = value;
	}

	/** The 64-bit entry `index` of a table, as halves. */
	writeEntry(frame: number, index: number, low: number, high: number): void {
		this.write(frame, index * 2, low);
		this.write(frame, index * 2 + 1, high);
	}

	clear(frame: number): void {
		if (this.physical.hasCode[frame]) this.physical.onCodeWrite(frame * 4096, 4096);
		const start = (RAM_BASE >> 2) + frame * 1024;
		this.i32.fill(0, start, start + 1024);
	}

	copy(from: number, to: number): void {
		if (this.physical.hasCode[to]) this.physical.onCodeWrite(to * 4096, 4096);
		const start = (RAM_BASE >> 2) + from * 1024;
		this.i32.copyWithin((RAM_BASE >> 2) + to * 1024, start, start + 1024);
	}

	/** Bytes of one frame as a view, for reading. */
	bytes(frame: number, offset = 0, length = 4096 - offset): Uint8Array {
		const start = RAM_BASE + frame * 4096 + offset;
		return this.physical.u8.subarray(start, start + length);
	}

	/** Stores bytes within one frame. */
	store(frame: number, offset: number, bytes: Uint8Array): void {
		this.physical.poke(frame * 4096 + offset, bytes);
	}
}
