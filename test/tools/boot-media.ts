// A disk and a disc that firmware starts from, made of a few bytes: their boot sector reads one more sector through the BIOS and sends
// its text to COM1.

/** 16-bit code at 0x7c00; the address packet of INT 13h, function 42h, follows at 0x7c40 (Enhanced Disk Drive Specification 3.0, §3.5). */
const BOOT_CODE = [
	0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbe, 0x40, 0x7c, 0xb4, 0x42, 0xcd, 0x13, 0x72, 0x15, 0xbe, 0x00, 0x80, 0xac,
	0x84, 0xc0, 0x74, 0x06, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf5, 0xb0, 0x00, 0xba, 0xf4, 0x00, 0xee, 0xf4, 0xb0, 0x01,
	0xeb, 0xf7,
];
const ADDRESS_PACKET = 0x40;
const BUFFER = 0x8000;
const DISC_SECTOR = 2048;

function bootSector(bytes: Uint8Array, next: number): void {
	const view = new DataView(bytes.buffer, bytes.byteOffset);
	bytes.set(BOOT_CODE);
	view.setUint16(ADDRESS_PACKET, 16, true);
	view.setUint16(ADDRESS_PACKET + 2, 1, true);
	view.setUint16(ADDRESS_PACKET + 4, BUFFER, true);
	view.setUint32(ADDRESS_PACKET + 8, next, true);
}

/** A raw disk whose second sector is the text; two cylinders of 16 heads and 63 sectors. */
export function bootableDisk(text: string): Uint8Array {
	const disk = new Uint8Array(2 * 16 * 63 * 512);
	bootSector(disk, 1);
	disk.set([0x55, 0xaa], 510);
	disk.set(Buffer.from(text), 512);
	return disk;
}

/** An El Torito disc without emulation ("El Torito" Bootable CD-ROM Format Specification 1.0, figures 2 to 7). */
export function bootableDisc(text: string): Uint8Array {
	const [catalog, code, message] = [19, 20, 24];
	const disc = new Uint8Array(32 * DISC_SECTOR);
	const sector = (number: number) => disc.subarray(number * DISC_SECTOR, (number + 1) * DISC_SECTOR);
	for (const [number, type] of [
		[16, 1],
		[17, 0],
		[18, 255],
	] as const)
		sector(number).set([type, ...Buffer.from("CD001"), 1]);
	sector(17).set(Buffer.from("EL TORITO SPECIFICATION"), 7);
	sector(17).set([catalog], 0x47);
	const entries = new DataView(disc.buffer, catalog * DISC_SECTOR);
	entries.setUint8(0, 1);
	entries.setUint16(30, 0xaa55, true);
	// The words of the validation entry add up to 0.
	entries.setUint16(28, -(1 + 0xaa55), true);
	entries.setUint8(32, 0x88);
	entries.setUint16(38, 4, true);
	entries.setUint32(40, code, true);
	bootSector(sector(code), message);
	sector(message).set(Buffer.from(text));
	return disc;
}
