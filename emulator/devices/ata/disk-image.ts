// What is on a disk: the bytes of an image file, which are never changed, and over them the sectors that the guest wrote.

export const SECTOR_BYTES = 512;

/** Sectors written since power-on, by number. */
interface DiskImageState {
	sectors: [number, Uint8Array][];
}

/** Formats that hold a disk but are not its plain bytes, by how their files begin. */
const CONTAINERS: readonly (readonly [string, string])[] = [
	["QFI\xfb", "qcow2"],
	["KDMV", "VMDK"],
	["<<< ", "VDI"],
	["conectix", "VHD"],
	["vhdxfile", "VHDX"],
];

/** The format of a disk image that is not raw; undefined for a raw one. */
export function containerFormat(bytes: Uint8Array): string | undefined {
	const start = String.fromCharCode(...bytes.subarray(0, 8));
	return CONTAINERS.find(([magic]) => start.startsWith(magic))?.[1];
}

export class DiskImage {
	readonly sectors: number;
	private changed = new Map<number, Uint8Array>();

	/** @param bytes the raw image; a last sector that is not whole is filled up with zeros. */
	constructor(
		readonly name: string,
		private readonly bytes: Uint8Array,
	) {
		this.sectors = Math.ceil(bytes.length / SECTOR_BYTES);
	}

	/** Sectors that differ from the file, at most: those that the guest wrote. */
	get writtenSectors(): number {
		return this.changed.size;
	}

	/** The bytes of whole sectors, all of which must be on the disk. */
	read(first: number, count: number): Uint8Array {
		const result = new Uint8Array(count * SECTOR_BYTES);
		result.set(this.bytes.subarray(first * SECTOR_BYTES, (first + count) * SECTOR_BYTES));
		if (this.changed.size > 0)
			for (let i = 0; i < count; i++) {
				const written = this.changed.get(first + i);
				if (written) result.set(written, i * SECTOR_BYTES);
			}
		return result;
	}

	/** Writes whole sectors, all of which must be on the disk. */
	write(first: number, bytes: Uint8Array): void {
		for (let i = 0; i * SECTOR_BYTES < bytes.length; i++)
			this.changed.set(first + i, bytes.slice(i * SECTOR_BYTES, (i + 1) * SECTOR_BYTES));
	}

	/** The disk as the guest left it, as a raw image. */
	contents(): Uint8Array {
		return this.changed.size === 0 ? this.bytes : this.read(0, this.sectors);
	}

	/** As the file has it. */
	discardWrites(): void {
		this.changed = new Map();
	}

	save(): unknown {
		return structuredClone<DiskImageState>({ sectors: [...this.changed] });
	}

	restore(state: unknown): void {
		this.changed = new Map(structuredClone(state as DiskImageState).sectors);
	}
}
