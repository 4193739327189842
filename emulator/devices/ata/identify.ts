// The 512 bytes that IDENTIFY DEVICE answers. Reference: ATA/ATAPI-7 (T13/1532D) volume 1, clause 6.17.

/** The default translation: 16 heads, 63 sectors a track. */
export const HEADS = 16;
export const SECTORS_PER_TRACK = 63;
const MOST_CYLINDERS = 16383;
/**
 * Deviation: a disk below two cylinders says that it has two, or BIOSes would not read its boot sector; sectors that are not there
 * are refused as on any disk.
 */
const FEWEST_CYLINDERS = 2;
/** Sectors that one interrupt of READ MULTIPLE stands for at most. */
export const MOST_MULTIPLE = 16;
/** Sectors that 28 bits address. */
const LBA28_SECTORS = 0x0fff_ffff;

export interface IdentifyFacts {
	readonly sectors: number;
	readonly serial: string;
	/** Sectors per interrupt of READ MULTIPLE; 0 before SET MULTIPLE MODE. */
	readonly multiple: number;
	/** Selected transfer mode as SET FEATURES has it: 0x20 + n multiword, 0x40 + n Ultra DMA. */
	readonly transferMode: number;
}

/** Text in an IDENTIFY field: the first character of each pair is in the high byte. */
export function putText(words: DataView, word: number, length: number, text: string): void {
	for (let i = 0; i < length; i++)
		words.setUint8(2 * word + (i ^ 1), i < text.length ? text.charCodeAt(i) & 0x7f : 0x20);
}

export function identifyDisk(facts: IdentifyFacts): Uint8Array {
	const bytes = new Uint8Array(512);
	const view = new DataView(bytes.buffer);
	const word = (index: number, value: number) => view.setUint16(2 * index, value, true);
	const double = (index: number, value: number) => view.setUint32(2 * index, value, true);
	const whole = Math.floor(facts.sectors / (HEADS * SECTORS_PER_TRACK));
	const cylinders = Math.max(FEWEST_CYLINDERS, Math.min(MOST_CYLINDERS, whole));
	word(0, 0x0040);
	word(1, cylinders);
	word(3, HEADS);
	word(6, SECTORS_PER_TRACK);
	putText(view, 10, 20, facts.serial);
	putText(view, 23, 8, "1.0");
	putText(view, 27, 40, "HYPERSCOPE DISK");
	word(47, 0x8000 | MOST_MULTIPLE);
	word(48, 1);
	// LBA, DMA.
	word(49, 0x0300);
	word(50, 0x4000);
	// Words 54 to 58, 64 to 70 and 88 are valid.
	word(53, 0x0007);
	word(54, cylinders);
	word(55, HEADS);
	word(56, SECTORS_PER_TRACK);
	double(57, cylinders * HEADS * SECTORS_PER_TRACK);
	word(59, facts.multiple ? 0x0100 | facts.multiple : 0);
	double(60, Math.min(facts.sectors, LBA28_SECTORS));
	const selected = 1 << (facts.transferMode & 7);
	word(63, 0x07 | (facts.transferMode >> 3 === 4 ? selected << 8 : 0));
	word(64, 0x03);
	for (const index of [65, 66, 67, 68]) word(index, 120);
	// ATA/ATAPI-4 to -6.
	word(80, 0x0070);
	// Commands: write cache, look-ahead; LBA48, FLUSH CACHE (EXT). Supported, then enabled.
	word(82, 0x4060);
	word(83, 0x7400);
	word(84, 0x4000);
	word(85, 0x4060);
	word(86, 0x3400);
	word(87, 0x4000);
	// Ultra DMA modes 0 to 5.
	word(88, 0x3f | (facts.transferMode >> 3 === 8 ? selected << 8 : 0));
	// An 80-conductor cable, drive 0.
	word(93, 0x604b);
	double(100, facts.sectors);
	double(102, Math.floor(facts.sectors / 2 ** 32));
	return bytes;
}
