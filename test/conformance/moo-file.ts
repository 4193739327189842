// Reads files of single-step tests in the MOO format (https://github.com/dbalsom/moo): chunks of a four-letter tag, a length and data.

import { readFileSync } from "node:fs";
import { gunzipSync } from "node:zlib";

/** Registers of 16-bit processors in the order of their bits in a REGS chunk. */
export const REGISTERS = [
	...(["ax", "bx", "cx", "dx", "cs", "ss", "ds", "es"] as const),
	...(["sp", "bp", "si", "di", "ip", "flags"] as const),
] as const;
export type RegisterName = (typeof REGISTERS)[number];

export interface ProcessorSnapshot {
	readonly registers: Partial<Record<RegisterName, number>>;
	/** Address and byte. */
	readonly memory: readonly (readonly [address: number, byte: number])[];
}

export interface SingleStepTest {
	readonly index: number;
	readonly name: string;
	readonly bytes: Uint8Array;
	readonly initial: ProcessorSnapshot;
	/** What changed. */
	readonly final: ProcessorSnapshot;
	/** The exception that the instruction raised, and where the flags lie that it pushed. */
	readonly exception: { readonly vector: number; readonly flagsAddress: number } | undefined;
	/** SHA-1 of the test, by which lists of withdrawn tests name it. */
	readonly hash: string;
}

interface Chunk {
	readonly tag: string;
	readonly data: DataView;
}

const TAG_LENGTH = 4;
const HEADER_LENGTH = 8;

function* chunks(data: DataView, start = 0): Generator<Chunk> {
	for (let at = start; at + HEADER_LENGTH <= data.byteLength; ) {
		const tag = text(data, at, TAG_LENGTH);
		const length = data.getUint32(at + TAG_LENGTH, true);
		at += HEADER_LENGTH;
		yield { tag, data: new DataView(data.buffer, data.byteOffset + at, length) };
		at += length;
	}
}

function text(data: DataView, at: number, length: number): string {
	return Buffer.from(data.buffer, data.byteOffset + at, length).toString("latin1");
}

function bytesOf(data: DataView): Uint8Array {
	return new Uint8Array(data.buffer, data.byteOffset + 4, data.getUint32(0, true));
}

function snapshot(data: DataView): ProcessorSnapshot {
	const registers: Partial<Record<RegisterName, number>> = {};
	const memory: [number, number][] = [];
	for (const { tag, data: content } of chunks(data)) {
		if (tag === "REGS") {
			const present = content.getUint16(0, true);
			let at = 2;
			for (const [bit, name] of REGISTERS.entries()) {
				if ((present & (1 << bit)) === 0) continue;
				registers[name] = content.getUint16(at, true);
				at += 2;
			}
		} else if (tag === "RAM ") {
			const count = content.getUint32(0, true);
			for (let n = 0; n < count; n++) memory.push([content.getUint32(4 + n * 5, true), content.getUint8(8 + n * 5)]);
		}
	}
	return { registers, memory };
}

function singleStepTest(data: DataView): SingleStepTest {
	const empty: ProcessorSnapshot = { registers: {}, memory: [] };
	const parts = new Map([...chunks(data, 4)].map((chunk) => [chunk.tag, chunk.data]));
	const part = <T>(tag: string, read: (content: DataView) => T, otherwise: T): T => {
		const content = parts.get(tag);
		return content ? read(content) : otherwise;
	};
	return {
		index: data.getUint32(0, true),
		name: part("NAME", (content) => text(content, 4, content.getUint32(0, true)), ""),
		bytes: part("BYTS", bytesOf, new Uint8Array()),
		initial: part("INIT", snapshot, empty),
		final: part("FINA", snapshot, empty),
		exception: part(
			"EXCP",
			(content) => ({ vector: content.getUint8(0), flagsAddress: content.getUint32(1, true) }),
			undefined,
		),
		hash: part(
			"HASH",
			(content) => Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("hex"),
			"",
		),
	};
}

/** The tests of a file, one after the other. @throws {Error} when it is no such file, or a damaged one. */
export function* readTests(file: string): Generator<SingleStepTest> {
	const raw = readFileSync(file);
	const data = file.endsWith(".gz") ? gunzipSync(raw) : raw;
	const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
	if (data.length < HEADER_LENGTH || text(view, 0, TAG_LENGTH) !== "MOO ") throw new Error(`${file} is no MOO file.`);
	for (const { tag, data: content } of chunks(view)) if (tag === "TEST") yield singleStepTest(content);
}
