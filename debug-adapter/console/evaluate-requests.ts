import { translateErrors } from "../program/evaluator.ts";
import type { RequestContext, RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { describeResult } from "../variables/value-variables.ts";
import type { VariableStore } from "../variables/variable-store.ts";
import { type CommandServices, runCommand } from "./commands.ts";
import { completionsOf } from "./completions.ts";

export function evaluateRequests(services: CommandServices, frames: FrameStore, store: VariableStore): RequestHandlers {
	const { debuggee, evaluator } = services;
	return {
		evaluate: (args, context: RequestContext) => {
			const expression = args.string("expression");
			const where = args.optionalString("context");
			const frameId = args.optionalInteger("frameId");
			void debuggee.stopped;
			const frame = frames.getOrTop(frameId);
			const isConsole = where === "repl";
			if (isConsole) {
				const output = runCommand(expression, frame, services);
				if (output !== undefined) return { result: output, variablesReference: 0 };
			}
			// Only what was typed into the console may change the guest: hovers and watches look, and touch nothing.
			const result = evaluator.evaluate(expression, frame, isConsole);
			if (isConsole)
				context.afterResponse(() => {
					if (/(^|[^=!<>])=($|[^=])|\+\+|--/.test(expression))
						debuggee.emit("invalidated", { areas: frames.forgetChanged() ? ["all"] : ["variables"] });
				});
			return translateErrors(() => describeResult(expression, result, frame, { evaluator, store }));
		},

		completions: (args) => {
			const text = args.string("text");
			const column = args.integer("column", 0);
			const frameId = args.optionalInteger("frameId");
			if (!debuggee.hasMachine || debuggee.state !== "stopped") return { targets: [] };
			const frame = frames.getOrTop(frameId);
			return { targets: completionsOf(text.slice(0, Math.max(0, column - 1)), frame, services) };
		},
	};
}
