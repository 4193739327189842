// What a line of the debug console may go on with: commands, registers, variables, symbols, members.
import type { DebugProtocol } from "@vscode/debugprotocol";
import { hex } from "../addresses.ts";
import { translateErrors } from "../program/evaluator.ts";
import { RequestError } from "../request-error.ts";
import type { Frame } from "../stack/frame.ts";
import { childrenOf } from "../symbols/index.ts";
import { type CommandServices, commandWords } from "./commands.ts";

const MOST_COMPLETIONS = 100;

type Target = Pick<DebugProtocol.CompletionItem, "label" | "type" | "detail">;

/** A value's place that ends in "." or "->", with what is typed of the member: "node->as.fi". */
const memberPattern = /([A-Za-z_$][\w$]*(?:(?:->|\.)\w+|\[[^\][]*\])*)(?:->|\.)(\w*)$/;

function members(place: string, typed: string, frame: Frame, { evaluator }: CommandServices): Target[] {
	try {
		const { value } = evaluator.evaluate(place, frame);
		// Of a pointer these are the members of what it points to.
		return translateErrors(() => childrenOf(value, place, evaluator.environment(frame, false), 0, MOST_COMPLETIONS))
			.filter(({ name }) => /^\w+$/.test(name) && name.startsWith(typed))
			.map(({ name }) => ({ label: name, type: "property" }));
	} catch (error) {
		// What is typed so far need not be an expression.
		if (error instanceof RequestError) return [];
		throw error;
	}
}

function registers(typed: string, frame: Frame): Target[] {
	const name = typed.replace(/^\$/, "").toLowerCase();
	return frame.processor
		.registers()
		.filter((register) => register.name.startsWith(name))
		.map((register) => ({ label: `$${register.name}`, type: "variable", detail: hex(register.value) }));
}

function names(typed: string, frame: Frame, { program }: CommandServices): Target[] {
	const { virtual } = frame;
	const locals = virtual ? program.ask(() => virtual.file.variablesOf(virtual), []) : [];
	return [
		...locals
			.filter((local) => local.name.startsWith(typed) && !local.isShadowed)
			.map((local): Target => ({ label: local.name, type: "variable", detail: local.kind })),
		...program
			.ask((table) => table.namesWithPrefix(typed, MOST_COMPLETIONS), [])
			.map((label): Target => ({ label, type: "text" })),
	];
}

/** The completions of a line up to its cursor. */
export function completionsOf(before: string, frame: Frame, services: CommandServices): DebugProtocol.CompletionItem[] {
	const member = memberPattern.exec(before);
	const word = member ? member[2]! : (/(?:\$\w*|[A-Za-z_]\w*)$/.exec(before)?.[0] ?? "");
	const start = before.length - word.length;
	const targets: DebugProtocol.CompletionItem[] = [];
	const add = (found: readonly Target[], from: number) => {
		for (const target of found) targets.push({ ...target, start: from, length: before.length - from });
	};
	if (member) add(members(member[1]!, word, frame, services), start);
	else {
		// A command may have several words: it takes the place of the whole line.
		const line = before.trimStart();
		const fitting = commandWords().filter((command) => command.startsWith(line));
		add(
			fitting.map((label): Target => ({ label, type: "keyword" })),
			before.length - line.length,
		);
		if (word !== "") add(registers(word, frame), start);
		if (word !== "" && !word.startsWith("$")) add(names(word, frame, services), start);
	}
	return targets.slice(0, MOST_COMPLETIONS);
}
