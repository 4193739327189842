import { hex } from "../addresses.ts";
import { translateErrors } from "../program/evaluator.ts";
import type { RequestContext, RequestHandlers } from "../session.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { describeResult } from "../variables/value-variables.ts";
import type { VariableStore } from "../variables/variable-store.ts";
import { type CommandServices, commandWords, runCommand } from "./commands.ts";

const MOST_COMPLETIONS = 100;

export function evaluateRequests(services: CommandServices, frames: FrameStore, store: VariableStore): RequestHandlers {
	const { debuggee, evaluator, program } = services;
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
			const before = text.slice(0, Math.max(0, column - 1));
			const word = /\$?[A-Za-z_]\w*$/.exec(before)?.[0] ?? "";
			const start = before.length - word.length;
			const targets: { label: string; type: "text" | "variable" | "keyword"; detail?: string }[] = [];
			if (start === 0)
				for (const command of commandWords())
					if (command.startsWith(before)) targets.push({ label: command, type: "keyword" });
			const name = word.replace(/^\$/, "");
			if (word !== "") {
				for (const register of frame.processor.registers())
					if (register.name.startsWith(name.toLowerCase()))
						targets.push({ label: `$${register.name}`, type: "variable", detail: hex(register.value) });
				if (!word.startsWith("$")) {
					const { virtual } = frame;
					const locals = virtual ? program.ask(() => virtual.file.variablesOf(virtual), []) : [];
					for (const local of locals)
						if (local.name.startsWith(name) && !local.isShadowed)
							targets.push({ label: local.name, type: "variable", detail: local.kind });
					for (const symbol of program.ask((table) => table.namesWithPrefix(name, MOST_COMPLETIONS), []))
						targets.push({ label: symbol, type: "text" });
				}
			}
			return {
				targets: targets.slice(0, MOST_COMPLETIONS).map((target) => ({ ...target, start, length: word.length })),
			};
		},
	};
}
