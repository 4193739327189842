import { hex } from "../addresses.ts";
import type { Debuggee } from "../debuggee.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { Program } from "./program.ts";
import { fileName } from "./source-paths.ts";

const LONGEST_SOURCE = 16 * 1024 * 1024;

export function sourceRequests(debuggee: Debuggee, program: Program): RequestHandlers {
	const localPaths = () =>
		new Set(program.ask((table) => table.sourcePaths(), []).map((path) => program.paths.toLocal(path)));
	return {
		loadedSources: () => ({
			sources: [...localPaths()].map((path) => ({ name: fileName(path), path })),
		}),

		source: async (args) => {
			const path = args.optionalObject("source")?.optionalString("path");
			if (path === undefined) throw new RequestError("source: a source is asked for by its path.");
			if (!localPaths().has(path))
				throw new RequestError(`${path} is not one of the sources that the loaded symbols name.`);
			let bytes: Uint8Array;
			try {
				bytes = await debuggee.host.readFile(path);
			} catch {
				throw new RequestError(
					`${path} cannot be read: say in "sourceMap" of the launch configuration where the sources are.`,
				);
			}
			if (bytes.length > LONGEST_SOURCE) throw new RequestError(`${path} is too large for a source text.`);
			return { content: new TextDecoder().decode(bytes) };
		},

		modules: (args) => {
			const start = args.optionalInteger("startModule", 0) ?? 0;
			const count = args.optionalInteger("moduleCount", 0) ?? 0;
			const modules = program.table.files.map((file, index) => ({
				id: index + 1,
				name: fileName(file.name),
				path: file.name,
				isUserCode: true,
				symbolStatus: file.hasDebugInformation ? "Symbols and debug information" : "Symbols only",
				symbolFilePath: file.name,
				addressRange: addressRange(file.elf.sections, (address) => file.map.toLoaded(address)),
			}));
			return {
				modules: modules.slice(start, count === 0 ? undefined : start + count),
				totalModules: modules.length,
			};
		},
	};
}

/** SHF_ALLOC: the section takes part in the running program (System V ABI, "Sections"). */
const SHF_ALLOC = 2;

function addressRange(
	sections: readonly { readonly flags: number; readonly address: bigint; readonly size: number }[],
	toLoaded: (address: bigint) => bigint,
): string {
	const loaded = sections
		.filter((section) => (section.flags & SHF_ALLOC) !== 0 && section.size > 0)
		.map((section) => ({ start: toLoaded(section.address), size: BigInt(section.size) }));
	if (loaded.length === 0) return "nothing loaded";
	let { start, end } = { start: loaded[0]!.start, end: 0n };
	for (const one of loaded) {
		if (one.start < start) start = one.start;
		if (one.start + one.size > end) end = one.start + one.size;
	}
	return `${hex(start)}-${hex(end)}`;
}
