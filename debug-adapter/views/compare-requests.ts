import type { MachineConfiguration, NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { HostServices } from "../host-services.ts";
import type { CompareBody } from "../hypervisor-protocol.ts";
import { readNamedFile } from "../launch/launch-configuration.ts";
import { parseMemorySize } from "../launch/memory-size.ts";
import { RequestError } from "../request-error.ts";
import type { Emit, RequestHandlers } from "../session.ts";

/** What is compared: a machine's configuration without its technique. */
export interface Compared extends Pick<MachineConfiguration, "memory" | "initrd" | "append"> {
	readonly image: NamedFile;
	/** Path of the image, as the client gave it. */
	readonly program: string;
	/** Each run ends after so many instructions at the latest; the comparison's own bound when left out. */
	readonly maxInstructions?: number;
}

export interface CompareSurroundings {
	/** Called with one sentence when something else begins. */
	progress(text: string): void;
	/** Gives way to messages; rejects when the client has cancelled. To be awaited between slices of a run. */
	yield(): Promise<void>;
}

/** Runs a guest under every technique that can run it. @throws {MachineError} with one sentence */
export type Compare = (compared: Compared, surroundings: CompareSurroundings) => Promise<CompareBody>;

/** `hyperscope/compare`. It needs no machine of the session, and has none. */
export function compareRequests(host: HostServices, emit: Emit, compare: Compare | undefined): RequestHandlers {
	return {
		"hyperscope/compare": async (args, context): Promise<CompareBody> => {
			const program = args.string("program");
			const size = typeof args.raw("memory") === "number" ? args.integer("memory") : args.optionalString("memory");
			const memory = parseMemorySize(size ?? "64M", "hyperscope/compare");
			const initrdPath = args.optionalString("initrd");
			const append = args.optionalString("append");
			const maxInstructions = args.optionalInteger("maxInstructions", 1);
			if (!compare) throw new RequestError("hyperscope/compare: this version cannot compare techniques.");
			const image = await readNamedFile("Image", program, host);
			const initrd = initrdPath ? await readNamedFile("Initial RAM disk", initrdPath, host) : undefined;
			return compare(
				{
					program,
					image,
					memory,
					...(initrd ? { initrd } : {}),
					...(append === undefined ? {} : { append }),
					...(maxInstructions === undefined ? {} : { maxInstructions }),
				},
				{
					progress: (text) => emit("hyperscope/compareProgress", { text }),
					yield: () =>
						new Promise((resolve, reject) => {
							host.defer(() => (context.isCancelled() ? reject(new RequestError("cancelled")) : resolve()));
						}),
				},
			);
		},
	};
}
