import type { Address } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, parseMemoryReference } from "../addresses.ts";
import { fromBase64, toBase64 } from "../base64.ts";
import type { Debuggee } from "../debuggee.ts";
import type { RequestArguments } from "../request-arguments.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { MemoryAccess } from "./memory-access.ts";

/** The most bytes that one request reads. */
const MOST_BYTES = 16 * 1024 * 1024;

function addressOf(args: RequestArguments): Address {
	const reference = parseMemoryReference(args.string("memoryReference"));
	return { ...reference, value: reference.value + BigInt(args.optionalInteger("offset") ?? 0) };
}

export function memoryRequests(debuggee: Debuggee, memory: MemoryAccess): RequestHandlers {
	return {
		readMemory: (args) => {
			const address = addressOf(args);
			const count = args.integer("count", 0, MOST_BYTES);
			void debuggee.machine;
			const bytes = memory.read(address, count);
			memory.views.note(args.string("memoryReference"), args.optionalInteger("offset") ?? 0, address, bytes);
			const missing = count - bytes.length;
			const gap = { ...address, value: address.value + BigInt(bytes.length) };
			return {
				address: formatAddress(address),
				...(missing > 0 ? { unreadableBytes: memory.unreadable(gap, missing) } : {}),
				data: toBase64(bytes),
			};
		},

		writeMemory: (args, context) => {
			const address = addressOf(args);
			const bytes = fromBase64(args.string("data"));
			const allowPartial = args.optionalBoolean("allowPartial") ?? false;
			void debuggee.stopped;
			if (!allowPartial) {
				const readable = memory.read(address, bytes.length).length;
				if (readable < bytes.length)
					throw new RequestError(
						`Only ${readable} of ${bytes.length} bytes at ${formatAddress(address)} are there to be written; nothing was.`,
					);
			}
			const processor = memory.processorFor(address);
			const written = bytes.length === 0 ? 0 : processor.writeMemory(address, bytes);
			if (written < bytes.length && !allowPartial)
				throw new RequestError(`${written} of ${bytes.length} bytes at ${formatAddress(address)} were written.`);
			if (written > 0) context.afterResponse(() => memory.reportChange(address, written));
			return { offset: 0, bytesWritten: written };
		},
	};
}
