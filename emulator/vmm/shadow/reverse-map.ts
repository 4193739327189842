// Guest-physical page → shadow entries that map it (the backmap), so that a trace can downgrade them.

const NONE: readonly number[] = [];

export class ReverseMap {
	private readonly entries = new Map<number, number[]>();

	add(page: number, entry: number): void {
		const list = this.entries.get(page);
		if (list === undefined) this.entries.set(page, [entry]);
		else if (!list.includes(entry)) list.push(entry);
	}

	remove(page: number, entry: number): void {
		const list = this.entries.get(page);
		if (list === undefined) return;
		const at = list.indexOf(entry);
		if (at < 0) return;
		list[at] = list[list.length - 1]!;
		list.pop();
		if (list.length === 0) this.entries.delete(page);
	}

	/** Host-physical addresses of the shadow entries. */
	of(page: number): readonly number[] {
		return this.entries.get(page) ?? NONE;
	}
}
