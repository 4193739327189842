// Code without source lines: the editor looks for a frame with a source and would show nothing at such a stop. It is shown
// the top frame, and the first time in a session its disassembly, in which steps are by instruction. Whoever closes that
// view has seen it, and is not shown it again.
import * as vscode from "vscode";
import { debugType } from "./session-watcher.ts";

interface StackTrace {
	readonly stackFrames: readonly {
		readonly id: number;
		readonly source?: object;
		readonly instructionPointerReference?: string;
	}[];
}

export function openDisassemblyWithoutSource(): vscode.Disposable {
	const shown = new Set<string>();
	const look = async (item: vscode.DebugThread | vscode.DebugStackFrame | undefined) => {
		if (item?.session.type !== debugType) return;
		const trace: StackTrace = await item.session.customRequest("stackTrace", { threadId: item.threadId, levels: 1 });
		const [top] = trace.stackFrames;
		if (!top || top.source || !top.instructionPointerReference) return;
		if ("frameId" in item && item.frameId !== top.id) return;
		const isFirst = !shown.has(item.session.id);
		shown.add(item.session.id);
		if (!("frameId" in item)) await vscode.commands.executeCommand("workbench.action.debug.callStackTop");
		if (isFirst) await vscode.commands.executeCommand("debug.action.openDisassemblyView");
	};
	return vscode.Disposable.from(
		// A machine that has moved on meanwhile refuses: its next stop is looked at.
		vscode.debug.onDidChangeActiveStackItem((item) => void look(item).catch(() => {})),
		vscode.debug.onDidTerminateDebugSession(({ id }) => void shown.delete(id)),
	);
}
