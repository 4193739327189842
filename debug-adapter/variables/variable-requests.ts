import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../addresses.ts";
import { type Debuggee, threadIdOf } from "../debuggee.ts";
import { type Evaluator, translateErrors } from "../program/evaluator.ts";
import { RequestError } from "../request-error.ts";
import type { RequestHandlers } from "../session.ts";
import type { Frame } from "../stack/frame.ts";
import type { FrameStore } from "../stack/frame-store.ts";
import { setValue } from "../symbols/index.ts";
import { RegisterGroupScope, registerGroups } from "./register-scopes.ts";
import { describeResult, LocalsScope, type ValueServices } from "./value-variables.ts";
import type { VariableContainer, VariableStore } from "./variable-store.ts";

/** What a caller's registers were, as far as unwinding tells. */
class RecoveredRegisters implements VariableContainer {
	constructor(private readonly frame: Frame) {}

	children(): DebugProtocol.Variable[] {
		const { registers, model } = this.frame.activation;
		return model.names.flatMap((name, number) => {
			const value = registers.get(number);
			if (value === undefined) return [];
			return {
				name,
				value: `0x${value.toString(16).padStart(model.addressSize * 2, "0")}`,
				type: "register in this frame",
				variablesReference: 0,
				memoryReference: hex(value),
				evaluateName: `$${name}`,
				presentationHint: { kind: "data", attributes: ["readOnly"] },
			};
		});
	}

	set(name: string): never {
		throw new RequestError(`"${name}" is the register of a caller: it can be set only in the frame that runs.`);
	}

	range(name: string): never {
		throw new RequestError(`"${name}" is a register: a data breakpoint needs memory.`);
	}
}

export function variableRequests(
	debuggee: Debuggee,
	frames: FrameStore,
	store: VariableStore,
	evaluator: Evaluator,
): RequestHandlers {
	const services: ValueServices = { evaluator, store };

	const reportChange = () => debuggee.emit("invalidated", { areas: frames.forgetChanged() ? ["all"] : ["variables"] });

	const scopesOf = (frame: Frame): DebugProtocol.Scope[] => {
		const scopes: DebugProtocol.Scope[] = [];
		if (frame.virtual?.scope) {
			const variables = translateErrors(() => frame.virtual!.file.variablesOf(frame.virtual!));
			if (variables.some((variable) => variable.kind === "local"))
				scopes.push({
					name: "Locals",
					presentationHint: "locals",
					variablesReference: store.add(new LocalsScope(frame, services, "local")),
					expensive: false,
				});
			if (variables.some((variable) => variable.kind === "parameter"))
				scopes.push({
					name: "Arguments",
					presentationHint: "arguments",
					variablesReference: store.add(new LocalsScope(frame, services, "parameter")),
					expensive: false,
				});
		}
		if (frame.activation.level > 0) {
			scopes.push({
				name: "Registers in this frame",
				presentationHint: "registers",
				variablesReference: store.add(new RecoveredRegisters(frame)),
				expensive: false,
			});
			return scopes;
		}
		const { processor } = frame;
		const present = new Set(processor.registers().map((register) => register.group));
		for (const { id, title } of registerGroups) {
			if (!present.has(id)) continue;
			const parse = (text: string) => evaluator.number(text, frame);
			scopes.push({
				name: title,
				presentationHint: "registers",
				variablesReference: store.add(new RegisterGroupScope(processor, id, store, parse)),
				expensive: id !== "general",
			});
		}
		return scopes;
	};

	return {
		scopes: (args) => {
			const frame = frames.get(args.integer("frameId"));
			void debuggee.stopped;
			debuggee.focusedThread = threadIdOf(frame.processor);
			return { scopes: frame.label === undefined ? scopesOf(frame) : [] };
		},

		variables: (args) => {
			const container = store.get(args.integer("variablesReference", 1));
			const filter = args.optionalWord("filter", ["indexed", "named"]);
			const start = args.optionalInteger("start", 0);
			const count = args.optionalInteger("count", 0);
			void debuggee.stopped;
			const variables = container.children(start, count);
			return {
				variables:
					filter === undefined
						? variables
						: variables.filter((variable) => variable.name.startsWith("[") === (filter === "indexed")),
			};
		},

		setVariable: (args, context) => {
			const container = store.get(args.integer("variablesReference", 1));
			const name = args.string("name");
			const text = args.string("value");
			void debuggee.stopped;
			if (!container.set) throw new RequestError(`"${name}" cannot be set.`);
			const { value, type, variablesReference, indexedVariables, memoryReference } = container.set(name, text);
			context.afterResponse(reportChange);
			return {
				value,
				...(type === undefined ? {} : { type }),
				variablesReference,
				...(indexedVariables === undefined ? {} : { indexedVariables }),
				...(memoryReference === undefined ? {} : { memoryReference }),
			};
		},

		setExpression: (args, context) => {
			const expression = args.string("expression");
			const text = args.string("value");
			const frameId = args.optionalInteger("frameId");
			void debuggee.stopped;
			const frame = frames.getOrTop(frameId);
			const target = evaluator.evaluate(expression, frame);
			translateErrors(() => setValue(target.value, text, evaluator.environment(frame, true)));
			const result = describeResult(expression, evaluator.evaluate(expression, frame), frame, services);
			context.afterResponse(reportChange);
			const { result: value, ...rest } = result;
			return { value, ...rest };
		},
	};
}
