// The symbol table of an ELF file, as little as the tests need (System V ABI, "Symbol Table").

export interface ElfSymbol {
	readonly name: string;
	readonly value: bigint;
	readonly size: number;
	/** STT_FUNC is 2. */
	readonly type: number;
}

const SHT_SYMTAB = 2;

export function parseSymbols(bytes: Uint8Array): ElfSymbol[] {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	const wide = bytes[4] === 2;
	const word = (at: number) => (wide ? Number(view.getBigUint64(at, true)) : view.getUint32(at, true));
	const table = word(wide ? 40 : 32);
	const entrySize = view.getUint16(wide ? 58 : 46, true);
	const count = view.getUint16(wide ? 60 : 48, true);
	const section = (index: number) => {
		const at = table + index * entrySize;
		return {
			type: view.getUint32(at + 4, true),
			offset: word(at + (wide ? 24 : 16)),
			size: word(at + (wide ? 32 : 20)),
			link: view.getUint32(at + (wide ? 40 : 24), true),
		};
	};
	const symbols: ElfSymbol[] = [];
	for (let index = 0; index < count; index++) {
		const { type, offset, size, link } = section(index);
		if (type !== SHT_SYMTAB) continue;
		const names = section(link).offset;
		for (let at = offset; at < offset + size; at += wide ? 24 : 16) {
			const start = names + view.getUint32(at, true);
			let end = start;
			while (bytes[end] !== 0) end++;
			symbols.push({
				name: new TextDecoder().decode(bytes.subarray(start, end)),
				value: wide ? view.getBigUint64(at + 8, true) : BigInt(view.getUint32(at + 4, true)),
				size: wide ? Number(view.getBigUint64(at + 16, true)) : view.getUint32(at + 8, true),
				type: view.getUint8(at + (wide ? 4 : 12)) & 15,
			});
		}
	}
	return symbols;
}
