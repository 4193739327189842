// Counts by guest-linear address, of which the guest, who chooses the addresses, cannot make more than a VMM has room for.

/** Addresses that are remembered; with one more, all are forgotten: a guest that goes through so many comes back to few. */
const MOST = 1 << 16;

export class AddressCounts {
	private readonly counts = new Map<number, number>();

	/** The count of an address, 0 when it is not known. */
	get(address: number): number {
		return this.counts.get(address) ?? 0;
	}

	set(address: number, count: number): void {
		if (this.counts.size >= MOST && !this.counts.has(address)) this.counts.clear();
		this.counts.set(address, count);
	}

	delete(address: number): void {
		this.counts.delete(address);
	}
}
