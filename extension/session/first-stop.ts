// The first stop in a window brings up "Run and Debug", whose trees are made just then and miss the stop: the stack and the
// variables stay folded, which they do not at any later stop. Told that everything is out of date, the editor opens them.
import * as vscode from "vscode";
import { debugType } from "./session-watcher.ts";

/** The trees are there by then; sooner they would miss this too. Milliseconds. */
const delay = 400;

export function openFirstStop(): vscode.Disposable {
	let timer: ReturnType<typeof setTimeout> | undefined;
	const listener = vscode.debug.onDidChangeActiveStackItem((item) => {
		if (item?.session.type !== debugType) return;
		listener.dispose();
		timer = setTimeout(() => {
			// The person has gone on meanwhile: there is nothing to open.
			if (vscode.debug.activeStackItem !== item) return;
			item.session.customRequest("hyperscope/invalidate").then(undefined, () => {});
		}, delay);
	});
	return vscode.Disposable.from(listener, { dispose: () => clearTimeout(timer) });
}
