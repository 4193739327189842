import type { DebugProtocol } from "@vscode/debugprotocol";
import type { Address } from "../../emulator/machine/virtual-machine.ts";
import { formatAddress, parseMemoryReference } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import type { MemoryAccess } from "../memory/memory-access.ts";
import type { RequestHandlers } from "../session.ts";
import { annotateRow, type CodeNames } from "./annotate.ts";
import { CodeReader } from "./code-reader.ts";
import { formatBytes } from "./decoder.ts";
import { disassembleRows } from "./rows.ts";

/** More rows than this are not decoded in one request. */
const MOST_ROWS = 20_000;
const FARTHEST_ROW = 100_000;

/** Addresses are numeric texts that BigInt reads: rows before address 0 are "-1", "-2", ... */
function rowAddress(address: Address): string {
	return address.space === "lin" && address.value < 0n ? address.value.toString() : formatAddress(address);
}

export function disassemblyRequests(debuggee: Debuggee, memory: MemoryAccess, names: CodeNames): RequestHandlers {
	return {
		disassemble: (args) => {
			const reference = parseMemoryReference(args.string("memoryReference"));
			const offset = args.optionalInteger("offset") ?? 0;
			const instructionOffset = args.optionalInteger("instructionOffset", -FARTHEST_ROW, FARTHEST_ROW) ?? 0;
			const count = args.integer("instructionCount", 0, MOST_ROWS);
			const resolveSymbols = args.optionalBoolean("resolveSymbols") ?? true;
			const { space } = reference;
			void debuggee.machine;
			const start = { space, value: reference.value + BigInt(offset) };
			const code = CodeReader.of(memory.processorFor(start), space);
			const known = space === "lin" ? (address: bigint) => names.startBefore(address) : () => undefined;
			const rows = disassembleRows(code, start.value, instructionOffset, count, known);
			let lastLine = "";
			const instructions = rows.map((row): DebugProtocol.DisassembledInstruction => {
				const address = rowAddress({ space, value: row.address });
				if (!row.readable) return { address, instruction: row.text, presentationHint: "invalid" };
				const annotation = space === "lin" ? annotateRow(row, code, names) : { text: row.text };
				// The location is given where it changes: an editor shows the source lines above those rows.
				const line = annotation.location ? `${annotation.location.path}:${annotation.location.line}` : "";
				const isNewLine = line !== "" && line !== lastLine;
				lastLine = line;
				return {
					address,
					instructionBytes: formatBytes(row.bytes),
					instruction: annotation.text,
					...(resolveSymbols && annotation.symbol !== undefined ? { symbol: annotation.symbol } : {}),
					...(isNewLine && annotation.location
						? { location: names.source(annotation.location.path), line: annotation.location.line }
						: {}),
				};
			});
			return { instructions };
		},
	};
}
