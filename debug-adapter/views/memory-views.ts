// Memory of every address space for the memory view: what can be read, and the names of symbols that lie in it or that its
// words point to. Nothing that has a side effect is read.
import { formatAddress, hex } from "../addresses.ts";
import { toBase64 } from "../base64.ts";
import type { Debuggee } from "../debuggee.ts";
import type { MemoryAccess } from "../memory/memory-access.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import type { MemoryBody } from "../protocol.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";

/** The most bytes of one request. */
const MOST_BYTES = 65_536;
/** Rows of the view, for each of which a symbol is looked for. */
const ROW = 16;

type Part = MemoryBody["parts"][number];

export function memoryViewRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	evaluator: Evaluator,
	program: Program,
	memory: MemoryAccess,
): RequestHandlers {
	/** Symbols that begin in the range, at the offsets of their rows' ends or before. */
	const namesIn = (start: bigint, count: number): MemoryBody["names"] => {
		const names: { offset: number; name: string }[] = [];
		for (let offset = 0; offset < count; offset += ROW) {
			const last = Math.min(offset + ROW, count) - 1;
			const name = program.symbolize(start + BigInt(last));
			const match = name === undefined ? undefined : /^(.*?)(?:\+0x([0-9a-f]+))?$/.exec(name);
			const behind = match?.[2] === undefined ? 0 : Number.parseInt(match[2], 16);
			if (match && behind <= last - offset) names.push({ offset: last - behind, name: match[1]! });
		}
		return names;
	};

	const pointersIn = (parts: readonly { offset: number; bytes: Uint8Array }[], start: bigint, word: 4 | 8) => {
		const pointers: { offset: number; name: string }[] = [];
		for (const { offset, bytes } of parts) {
			const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
			const skew = Number((start + BigInt(offset)) % BigInt(word));
			for (let at = skew === 0 ? 0 : word - skew; at + word <= bytes.length; at += word) {
				const value = word === 8 ? view.getBigUint64(at, true) : BigInt(view.getUint32(at, true));
				const name = value === 0n ? undefined : program.symbolize(value);
				if (name !== undefined) pointers.push({ offset: offset + at, name });
			}
		}
		return pointers;
	};

	return {
		"hyperscope/memory": (args): MemoryBody => {
			const threadId = args.integer("threadId");
			const text = args.string("address");
			const offset = args.optionalInteger("offset") ?? 0;
			const count = args.integer("count", 1, MOST_BYTES);
			void debuggee.stopped;
			const processor = debuggee.processor(threadId);
			const address = evaluator.address(text, frames.top(processor));
			const word = processor.codeSize() === 64 ? 8 : 4;
			const end = address.space === "lin" && word === 4 ? 1n << 32n : 1n << 64n;
			let start = address.value + BigInt(offset);
			if (start < 0n) start = 0n;
			start -= start % BigInt(ROW);
			const length = Number(end - start < BigInt(count) ? (end > start ? end - start : 0n) : BigInt(count));
			const reader =
				address.space === "lin" && debuggee.isTranslatedCode(address.value)
					? debuggee.processorFor(address.value)
					: processor;
			const found: { offset: number; bytes: Uint8Array }[] = [];
			for (let at = 0; at < length; ) {
				const place = { ...address, value: start + BigInt(at) };
				const bytes = memory.read(place, length - at, reader);
				if (bytes.length > 0) found.push({ offset: at, bytes });
				at += bytes.length;
				if (at < length) {
					const gap = { ...address, value: start + BigInt(at) };
					at += Math.max(1, memory.unreadable(gap, length - at, reader));
				}
			}
			const isLinear = address.space === "lin";
			const parts: Part[] = found.map((part) => ({ offset: part.offset, data: toBase64(part.bytes) }));
			return {
				address: formatAddress(address),
				space: address.space,
				start: hex(start),
				count: length,
				wordSize: word,
				parts,
				names: isLinear ? namesIn(start, length) : [],
				pointers: pointersIn(found, start, word),
			};
		},
	};
}
