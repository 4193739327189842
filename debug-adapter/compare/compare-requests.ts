import { Event } from "@vscode/debugadapter/lib/messages.js";
import type { DebugProtocol } from "@vscode/debugprotocol";
import type { NamedFile } from "../../emulator/machine/virtual-machine.ts";
import type { HostServices } from "../host-services.ts";
import { readNamedFile } from "../launch/launch-configuration.ts";
import type { CreateMachine } from "../launch/launch-requests.ts";
import { parseMemorySize } from "../launch/memory-size.ts";
import type { CustomEvents } from "../protocol.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import { compareTechniques, DEFAULT_BUDGET, twinPath } from "./compare.ts";

/** None is no error: few images have one. */
async function readTwin(program: string, host: HostServices): Promise<{ twin?: NamedFile }> {
	const path = twinPath(program);
	try {
		return path === undefined ? {} : { twin: await readNamedFile("Paravirtual twin", path, host) };
	} catch {
		return {};
	}
}

/** `hyperscope/compare`: needs no machine and leaves the session's own alone. */
export function compareRequests(
	host: HostServices,
	createMachine: CreateMachine,
	session: { readonly isDisposed: boolean; sendEvent(event: DebugProtocol.Event): void },
): RequestHandlers {
	return {
		"hyperscope/compare": async (args, context) => {
			const program = args.string("program");
			const memory = args.raw("memory") ?? "256M";
			if (typeof memory !== "string" && typeof memory !== "number")
				throw new RequestError(`hyperscope/compare: "memory" has to be a number or a text such as "256M".`);
			const append = args.optionalString("append");
			const maxInstructions = args.optionalInteger("maxInstructions", 1) ?? DEFAULT_BUDGET;
			const initrd = args.optionalString("initrd");
			const image = await readNamedFile("Image", program, host);
			const twin = await readTwin(program, host);
			const configuration = {
				memory: parseMemorySize(memory, "hyperscope/compare"),
				...(initrd === undefined ? {} : { initrd: await readNamedFile("Initial RAM disk", initrd, host) }),
				...(append === undefined ? {} : { append }),
			};
			return compareTechniques(
				{ image, ...twin, configuration, maxInstructions },
				{
					createMachine,
					// Sent at once: what a request reports otherwise waits for its answer.
					progress: (text) => {
						const body: CustomEvents["hyperscope/compareProgress"] = { text };
						session.sendEvent(new Event("hyperscope/compareProgress", body));
					},
					breathe: () =>
						new Promise<void>((resolve, reject) =>
							host.defer(() => {
								if (session.isDisposed || context.isCancelled())
									reject(new RequestError("The comparison was ended before its end."));
								else resolve();
							}),
						),
				},
			);
		},
	};
}
