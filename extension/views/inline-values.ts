// Values at the ends of source lines while the machine stands still. The editor has these on as soon as someone provides them.
import * as vscode from "vscode";
import { debugType } from "../session/session-watcher.ts";
import { type InlineName, inlineNames, inlineRegisters } from "./inline-names.ts";

const assembly = ["gas", "asm", "nasm", "assembly", "x86asm"];
const languages = ["c", "cpp", ...assembly];

const rangeOf = ({ line, start, end }: InlineName) => new vscode.Range(line, start, line, end);

const provider: vscode.InlineValuesProvider = {
	provideInlineValues(document, _viewPort, { stoppedLocation }) {
		if (vscode.debug.activeDebugSession?.type !== debugType) return [];
		const stop = stoppedLocation.start.line;
		if (stop >= document.lineCount) return [];
		// Registers hold what the line is about to use; at the lines above they held something else.
		if (assembly.includes(document.languageId))
			return inlineRegisters(document.lineAt(stop).text, stop).map(
				(found) => new vscode.InlineValueEvaluatableExpression(rangeOf(found), `$${found.name}`),
			);
		return inlineNames((line) => document.lineAt(line).text, stop).map(
			(found) => new vscode.InlineValueVariableLookup(rangeOf(found), found.name, true),
		);
	},
};

/** Only while a session of ours is there: a provider takes the place of what the editor would show for other debuggers. */
export function registerInlineValues(): vscode.Disposable {
	const sessions = new Set<string>();
	let registered: vscode.Disposable | undefined;
	const update = () => {
		if (sessions.size > 0) registered ??= vscode.languages.registerInlineValuesProvider(languages, provider);
		else {
			registered?.dispose();
			registered = undefined;
		}
	};
	return vscode.Disposable.from(
		vscode.debug.onDidStartDebugSession(({ id, type }) => {
			if (type === debugType) sessions.add(id);
			update();
		}),
		vscode.debug.onDidTerminateDebugSession(({ id }) => {
			sessions.delete(id);
			update();
		}),
		{ dispose: () => registered?.dispose() },
	);
}
