import type {
	Fragment,
	FragmentLine,
	Processor,
	TranslationCacheView,
} from "../../emulator/machine/virtual-machine.ts";
import { hex } from "../addresses.ts";
import { type Debuggee, threadIdOf } from "../debuggee.ts";
import { type CodeSize, decodeInstruction, formatBytes, formatInstruction } from "../disassembly/decoder.ts";
import type { Evaluator } from "../program/evaluator.ts";
import type { Program } from "../program/program.ts";
import type {
	FragmentBody,
	FragmentExitInfo,
	FragmentLineInfo,
	FragmentSummary,
	FragmentsBody,
	HashTableBody,
	TranslatedInstruction,
} from "../protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";

const MOST_FRAGMENTS = 4096;

export function fragmentViewRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	evaluator: Evaluator,
	program: Program,
): RequestHandlers {
	const cacheOf = (): TranslationCacheView => {
		const { machine } = debuggee;
		if (!machine.translationCache)
			throw new RequestError(
				`There are no translated fragments under "vmm": "${machine.technique}": start the guest with "vmm": "bt".`,
			);
		return machine.translationCache;
	};

	const symbolOf = (address: bigint) => {
		const symbol = program.symbolize(address);
		return symbol === undefined ? {} : { symbol };
	};

	const describeExit = (exit: Fragment["exits"][number]): FragmentExitInfo => ({
		kind: exit.kind,
		state: exit.state,
		...(exit.guestTarget === undefined ? {} : { guestTarget: hex(exit.guestTarget), ...symbolOf(exit.guestTarget) }),
		...(exit.fragment === undefined ? {} : { fragment: exit.fragment }),
	});

	const summarize = (fragment: Fragment): FragmentSummary => ({
		id: fragment.id,
		guestStart: hex(fragment.guestStart),
		guestEnd: hex(fragment.guestEnd),
		translatedStart: hex(fragment.translatedStart),
		translatedEnd: hex(fragment.translatedEnd),
		...symbolOf(fragment.guestStart),
		instructions: fragment.lines.length,
		entries: fragment.entries,
		generation: fragment.generation,
		valid: fragment.valid,
		exits: fragment.exits.map(describeExit),
	});

	/** All instructions in the bytes of one side of a line. */
	const decode = (bytes: Uint8Array, address: bigint, codeSize: CodeSize): TranslatedInstruction[] => {
		const instructions: TranslatedInstruction[] = [];
		for (let offset = 0; offset < bytes.length; ) {
			const at = address + BigInt(offset);
			const { length, target } = decodeInstruction(bytes.subarray(offset), at, codeSize);
			const part = bytes.subarray(offset, offset + length);
			const name = target === undefined ? undefined : program.symbolize(program.guestAddress(target));
			const text = formatInstruction(part, at, codeSize);
			instructions.push({
				address: hex(at),
				bytes: formatBytes(part),
				text: name === undefined ? text : `${text} <${name}>`,
			});
			offset += length;
		}
		return instructions;
	};

	const standsIn = (line: FragmentLine, processor: Processor): boolean => {
		const at = processor.linearInstructionPointer();
		if (processor.kind === "vcpu") return at === line.guest;
		return at >= line.translated && at < line.translated + BigInt(line.translatedBytes.length);
	};

	const describeLine = (line: FragmentLine, guestSize: CodeSize, hostSize: CodeSize): FragmentLineInfo => {
		const source = program.locate(line.guest);
		const current = debuggee.machine
			.processors()
			.filter((processor) => standsIn(line, processor))
			.map((processor) => ({
				threadId: threadIdOf(processor),
				address: hex(processor.linearInstructionPointer()),
			}));
		return {
			guest: hex(line.guest),
			guestBytes: formatBytes(line.guestBytes),
			guestText: decode(line.guestBytes, line.guest, guestSize)
				.map((one) => one.text)
				.join("; "),
			tag: line.tag,
			translated: decode(line.translatedBytes, line.translated, hostSize),
			...(source ? { source } : {}),
			...(current.length > 0 ? { current } : {}),
		};
	};

	return {
		"hyperscope/fragments": (args): FragmentsBody => {
			const start = args.optionalInteger("start", 0) ?? 0;
			const count = args.optionalInteger("count", 1, MOST_FRAGMENTS) ?? 256;
			const search = args.optionalString("search")?.trim() ?? "";
			const validOnly = args.optionalBoolean("validOnly") ?? false;
			void debuggee.stopped;
			const cache = cacheOf();
			const all = cache.fragments();
			let address: bigint | undefined;
			if (search !== "") {
				try {
					address = evaluator.address(search, frames.top(debuggee.focusedProcessor())).value;
				} catch {
					// Not an address: a part of a symbol's name.
				}
			}
			const fits = (fragment: Fragment): boolean => {
				if (validOnly && !fragment.valid) return false;
				if (search === "") return true;
				if (
					address !== undefined &&
					((address >= fragment.guestStart && address < fragment.guestEnd) ||
						(address >= fragment.translatedStart && address < fragment.translatedEnd))
				)
					return true;
				return program.symbolize(fragment.guestStart)?.includes(search) ?? false;
			};
			const found = all.filter(fits);
			return {
				cacheStart: hex(cache.start),
				cacheEnd: hex(cache.end),
				total: found.length,
				continuationsLeft: all
					.filter((fragment) => fragment.valid)
					.flatMap((fragment) => fragment.exits)
					.filter((exit) => exit.state === "continuation").length,
				fragments: found.slice(start, start + count).map(summarize),
			};
		},

		"hyperscope/fragment": (args): FragmentBody => {
			const id = args.optionalInteger("id");
			const text = args.optionalString("address");
			const threadId = args.optionalInteger("threadId") ?? 1;
			if ((id === undefined) === (text === undefined))
				throw new RequestError('hyperscope/fragment: give either "id" or "address".');
			void debuggee.stopped;
			const cache = cacheOf();
			const fragment =
				id !== undefined
					? cache.fragment(id)
					: cache.fragmentAt(evaluator.address(text!, frames.top(debuggee.processor(threadId))).value);
			if (!fragment)
				throw new RequestError(
					id !== undefined
						? `There is no fragment ${id}.`
						: `No fragment holds ${text}: code is translated when it is first run.`,
				);
			const processors = debuggee.machine.processors();
			const guestSize = processors[0]!.codeSize();
			const hostSize = (processors.find((one) => one.kind === "pcpu") ?? processors[0]!).codeSize();
			return {
				...summarize(fragment),
				lines: fragment.lines.map((line) => describeLine(line, guestSize, hostSize)),
			};
		},

		"hyperscope/hashTable": (): HashTableBody => {
			void debuggee.stopped;
			const { size, used, buckets } = cacheOf().hashTable();
			return {
				size,
				used,
				buckets: buckets.map(({ index, guest, fragment }) => ({ index, guest: hex(guest), fragment })),
			};
		},
	};
}
