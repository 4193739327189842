// What is in a CD-ROM drive: the user data of a disc of one track, sectors of 2048 bytes.

export const DISC_SECTOR_BYTES = 2048;

export class DiscImage {
	readonly sectors: number;

	/** @param bytes an ISO 9660 image; a last sector that is not whole is filled up with zeros. */
	constructor(
		readonly name: string,
		private readonly bytes: Uint8Array,
	) {
		this.sectors = Math.ceil(bytes.length / DISC_SECTOR_BYTES);
	}

	/** The bytes of whole sectors, all of which must be on the disc. */
	read(first: number, count: number): Uint8Array {
		const result = new Uint8Array(count * DISC_SECTOR_BYTES);
		result.set(this.bytes.subarray(first * DISC_SECTOR_BYTES, (first + count) * DISC_SECTOR_BYTES));
		return result;
	}
}
