// Guest-physical mappings that the processor remembers (SDM Vol. 3C §29.4.1): frames of guest-physical addresses with the rights of all
// EPT entries that lead to them. Every VM entry begins anew, so nothing outlives what a hypervisor changes between two entries.

const ENTRIES = 1024;
/** Words of an entry: stamp, guest-physical frame, host-physical frame, rights with the flags below. */
const WORDS = 4;
/** A write needs no flag to be set in the EPT entries. */
export const CACHED_DIRTY = 1 << 16;

export class GuestPhysicalCache {
	private readonly words = new Int32Array(ENTRIES * WORDS);
	private stamp = 1;
	/** Index of the last frame looked up. */
	private at = 0;

	/** Forgets everything. */
	clear(): void {
		this.stamp = (this.stamp + 1) | 0;
		if (this.stamp !== 0) return;
		this.words.fill(0);
		this.stamp = 1;
	}

	/** The rights of a frame, with CACHED_DIRTY; 0 when it is not known. */
	rights(frame: number): number {
		const at = ((frame ^ (frame >>> 10)) & (ENTRIES - 1)) * WORDS;
		this.at = at;
		const { words } = this;
		return words[at] === this.stamp && words[at + 1] === frame ? words[at + 3]! : 0;
	}

	/** The host-physical frame of the frame that rights() has just found. */
	get frame(): number {
		return this.words[this.at + 2]!;
	}

	/** Remembers the frame that rights() has just not found, or not with enough of them. */
	fill(frame: number, hostFrame: number, rights: number): void {
		const { words, at } = this;
		words[at] = this.stamp;
		words[at + 1] = frame;
		words[at + 2] = hostFrame;
		words[at + 3] = rights;
	}
}
