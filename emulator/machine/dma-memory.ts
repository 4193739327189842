// RAM and ROM as bus masters see them: the host's memory, or what a VMM gives its guest as such.

import type { DmaMemory } from "../devices/dma-port.ts";
import { PageKind } from "../engine/physical-memory.ts";

/** What PhysicalMemory and a VMM's guest-physical memory have in common. */
export interface BackedMemory {
	kindOf(page: number): number;
	peek(address: number, length: number): Uint8Array | undefined;
	poke(address: number, bytes: Uint8Array): boolean;
	write(address: number, size: 1 | 2 | 4, value: number): void;
}

/** Deviation: registers of other devices are out of reach of bus masters (no peer-to-peer transfers): such requests are aborted. */
export function dmaMemory(memory: () => BackedMemory): DmaMemory {
	return {
		read: (address, length) => memory().peek(address, length),
		write: (address, bytes) => {
			const target = memory();
			const first = Math.floor(address / 4096);
			const last = Math.floor((address + bytes.length - 1) / 4096);
			let allRam = true;
			for (let page = first; page <= last; page++) {
				const kind = target.kindOf(page);
				if (kind !== PageKind.ram && kind !== PageKind.rom) return false;
				if (kind === PageKind.rom) allRam = false;
			}
			if (allRam) return target.poke(address, bytes);
			// ROM keeps its bytes, but shadow memory under it may take them.
			bytes.forEach((byte, i) => {
				target.write(address + i, 1, byte);
			});
			return true;
		},
	};
}
