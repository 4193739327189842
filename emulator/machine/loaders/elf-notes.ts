// Notes of an ELF file (System V ABI, "Note Section"): what a kernel tells the one that loads it.

const PT_NOTE = 4;

export interface ElfNote {
	readonly name: string;
	readonly type: number;
	readonly description: Uint8Array;
}

/** The notes of every PT_NOTE segment. A table or note that does not lie in the file ends the list. */
export function elfNotes(bytes: Uint8Array): ElfNote[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const wide = bytes[4] === 2;
	const word = (at: number) => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true));
	const notes: ElfNote[] = [];
	if (bytes.length < (wide ? 64 : 52)) return notes;
	const table = word(wide ? 32 : 28);
	const entrySize = view.getUint16(wide ? 54 : 42, true);
	const count = view.getUint16(wide ? 56 : 44, true);
	for (let index = 0; index < count; index++) {
		const at = table + index * entrySize;
		if (at + (wide ? 56 : 32) > bytes.length) break;
		if (view.getUint32(at, true) !== PT_NOTE) continue;
		const start = word(at + (wide ? 8 : 4));
		const end = start + word(at + (wide ? 32 : 16));
		if (end <= bytes.length) notes.push(...notesIn(bytes, view, start, end));
	}
	return notes;
}

/** Name and description are padded to four bytes, in 64-bit files too, as all linkers have it. */
function notesIn(bytes: Uint8Array, view: DataView, start: number, end: number): ElfNote[] {
	const notes: ElfNote[] = [];
	const padded = (size: number) => Math.ceil(size / 4) * 4;
	for (let at = start; at + 12 <= end; ) {
		const nameSize = view.getUint32(at, true);
		const size = view.getUint32(at + 4, true);
		const description = at + 12 + padded(nameSize);
		if (description + size > end) break;
		const name = new TextDecoder("latin1").decode(bytes.subarray(at + 12, at + 12 + nameSize)).replace(/\0.*$/s, "");
		const type = view.getUint32(at + 8, true);
		notes.push({ name, type, description: bytes.subarray(description, description + size) });
		at = description + padded(size);
	}
	return notes;
}
