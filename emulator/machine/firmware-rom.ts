// The firmware in ROM: it ends at 4 GiB, its last 128 KB are seen below 1 MB too, and the host bridge's PAM registers put RAM in its place
// there (Intel 82441FX data sheet, order number 290549, §3.2.17 "PAM").

import { MachineError } from "./virtual-machine.ts";

const PAGE = 4096;
const LARGEST = 16 << 20;
/** Pages of 0xe0000-0xfffff: the system BIOS area and its extension. */
const ALIAS_FIRST = 0xe0;
const ALIAS_END = 0x100;
const PAGES_BELOW_4G = 1 << 20;
const PAM_READ = 1;
const PAM_WRITE = 2;

/** The parts of 0xc0000-0xfffff that a half of a PAM register rules: register, shift, first page, number of pages. */
const PARTS: readonly (readonly [register: number, shift: 0 | 4, first: number, count: number])[] = [
	[0, 4, 0xf0, 16],
	[1, 0, 0xc0, 4],
	[1, 4, 0xc4, 4],
	[2, 0, 0xc8, 4],
	[2, 4, 0xcc, 4],
	[3, 0, 0xd0, 4],
	[3, 4, 0xd4, 4],
	[4, 0, 0xd8, 4],
	[4, 4, 0xdc, 4],
	[5, 0, 0xe0, 4],
	[5, 4, 0xe4, 4],
	[6, 0, 0xe8, 4],
	[6, 4, 0xec, 4],
];

/** Memory with the ROM in it: the host's, or what a VMM gives its guest as such. */
export interface ShadowableMemory {
	poke(address: number, bytes: Uint8Array): boolean;
	/**
	 * Says what a page of 0xc0000-0xfffff is: where reads come from (the RAM at its address, or the ROM page with the given number; undefined
	 * for neither) and whether writes reach the RAM.
	 */
	setShadow(page: number, reads: "ram" | number | undefined, writable: boolean): void;
}

export class FirmwareRom {
	/** @throws {MachineError} when the size is none that a PC's ROM can have. */
	constructor(
		name: string,
		readonly bytes: Uint8Array,
	) {
		if (bytes.length === 0 || bytes.length % 0x10000 !== 0 || bytes.length > LARGEST)
			throw new MachineError(
				`${name} has ${bytes.length} bytes and is no firmware image: one is a multiple of 64 KB and at most 16 MB, such as SeaBIOS's bios.bin.`,
			);
	}

	/** Stores the ROM's bytes; the pages are ROM already. */
	install(physical: ShadowableMemory): void {
		physical.poke(2 ** 32 - this.bytes.length, this.bytes);
	}

	/** Lets PAM0 to PAM6 say what 0xc0000-0xfffff is. */
	shadow(physical: ShadowableMemory, pam: Uint8Array): void {
		for (const [register, shift, first, count] of PARTS) {
			const attributes = pam[register]! >> shift;
			for (let page = first; page < first + count; page++)
				physical.setShadow(page, attributes & PAM_READ ? "ram" : this.romUnder(page), (attributes & PAM_WRITE) !== 0);
		}
	}

	/** The ROM page that shows at a page below 1 MB. */
	private romUnder(page: number): number | undefined {
		const fromEnd = ALIAS_END - page;
		if (page < ALIAS_FIRST || fromEnd * PAGE > this.bytes.length) return undefined;
		return PAGES_BELOW_4G - fromEnd;
	}
}
