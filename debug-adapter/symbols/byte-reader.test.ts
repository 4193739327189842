import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ByteReader } from "./byte-reader.ts";
import { SymbolError } from "./errors.ts";

/** LEB128 by its definition, DWARF 5 section 7.6. */
function encode(value: bigint, isSigned: boolean): number[] {
	const bytes: number[] = [];
	for (let rest = value; ; ) {
		const low = Number(rest & 0x7fn);
		rest >>= 7n;
		const isDone = isSigned ? (rest === 0n && low < 64) || (rest === -1n && low >= 64) : rest === 0n;
		bytes.push(isDone ? low : low | 0x80);
		if (isDone) return bytes;
	}
}

test("LEB128 of every size is read, and the cursor stands after it", () => {
	fc.assert(
		fc.property(fc.bigInt({ min: -(1n << 63n), max: (1n << 64n) - 1n }), fc.nat(3), (value, padding) => {
			const unsigned = BigInt.asUintN(64, value);
			const signed = BigInt.asIntN(64, value);
			for (const [number, isSigned] of [
				[unsigned, false],
				[signed, true],
			] as const) {
				const bytes = encode(number, isSigned);
				const reader = new ByteReader(Uint8Array.from([...bytes, ...new Array(padding).fill(0x55)]), "test");
				assert.equal(isSigned ? reader.slebBig() : reader.ulebBig(), number);
				assert.equal(reader.offset, bytes.length);
				reader.offset = 0;
				reader.skipLeb();
				assert.equal(reader.offset, bytes.length);
			}
			if (unsigned <= BigInt(Number.MAX_SAFE_INTEGER)) {
				assert.equal(new ByteReader(Uint8Array.from(encode(unsigned, false)), "test").uleb(), Number(unsigned));
			}
		}),
	);
});

test("reads beyond the end name what is truncated", () => {
	const reader = new ByteReader(Uint8Array.of(0x80, 0x80), "the thing");
	for (const read of [
		() => reader.u32(),
		() => reader.u64(),
		() => reader.uleb(),
		() => reader.cstring(),
		() => reader.take(3),
	]) {
		reader.offset = 0;
		assert.throws(
			read,
			(error) =>
				error instanceof SymbolError && error.kind === "truncated" && /^the thing is truncated/.test(error.message),
		);
	}
	reader.offset = -1;
	assert.throws(() => reader.u8(), SymbolError);
	reader.offset = Number.NaN;
	assert.throws(() => reader.u8(), SymbolError);
});

test("text is decoded as UTF-8 with replacement", () => {
	const bytes = new TextEncoder().encode("grüße\0ascii\0");
	const reader = new ByteReader(bytes, "test");
	assert.equal(reader.cstring(), "grüße");
	assert.equal(reader.cstring(), "ascii");
	assert.equal(new ByteReader(Uint8Array.of(0xff, 0x41, 0), "test").cstring(), "\ufffdA");
});
