// Bytes of a WebAssembly module under construction.

export class CodeWriter {
	private buffer = new Uint8Array(1024);
	length = 0;

	private grow(more: number): void {
		if (this.length + more <= this.buffer.length) return;
		const larger = new Uint8Array(Math.max(this.buffer.length * 2, this.length + more));
		larger.set(this.buffer);
		this.buffer = larger;
	}

	byte(value: number): void {
		if (this.length === this.buffer.length) this.grow(1);
		this.buffer[this.length++] = value;
	}

	bytes(values: Uint8Array | readonly number[]): void {
		this.grow(values.length);
		this.buffer.set(values, this.length);
		this.length += values.length;
	}

	/** Unsigned LEB128, 32 bits. */
	unsigned(value: number): void {
		let rest = value >>> 0;
		while (rest >= 0x80) {
			this.byte((rest & 0x7f) | 0x80);
			rest >>>= 7;
		}
		this.byte(rest);
	}

	/** Signed LEB128, up to 64 bits. */
	signed(value: bigint | number): void {
		if (typeof value === "number") {
			let rest = value | 0;
			for (;;) {
				const low = rest & 0x7f;
				rest >>= 7;
				if ((rest === 0 && (low & 0x40) === 0) || (rest === -1 && (low & 0x40) !== 0)) {
					this.byte(low);
					return;
				}
				this.byte(low | 0x80);
			}
		}
		let rest = BigInt.asIntN(64, value);
		for (;;) {
			const low = Number(rest & 0x7fn);
			rest >>= 7n;
			if ((rest === 0n && (low & 0x40) === 0) || (rest === -1n && (low & 0x40) !== 0)) {
				this.byte(low);
				return;
			}
			this.byte(low | 0x80);
		}
	}

	/** A name: length and UTF-8 bytes (names here are ASCII). */
	name(text: string): void {
		this.unsigned(text.length);
		for (let at = 0; at < text.length; at++) this.byte(text.charCodeAt(at));
	}

	/** A section: its id, its size and what `fill` writes. */
	section(id: number, fill: (inside: CodeWriter) => void): void {
		const inside = new CodeWriter();
		fill(inside);
		this.byte(id);
		this.unsigned(inside.length);
		this.bytes(inside.result());
	}

	result(): Uint8Array {
		return this.buffer.subarray(0, this.length);
	}
}
