import { type Debuggee, threadIdOf } from "./debuggee.ts";
import type { RequestHandlers } from "./session.ts";

export function threadRequests(debuggee: Debuggee): RequestHandlers {
	return {
		threads: () => ({
			threads: debuggee.hasMachine
				? debuggee.machine.processors().map((one) => ({ id: threadIdOf(one), name: one.describe() }))
				: [],
		}),
	};
}
