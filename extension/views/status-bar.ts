// The machine in a few letters at the lower edge: how it runs the guest, and how far the run has come.
import * as vscode from "vscode";
import type { MachineInfo } from "../../debug-adapter/protocol.ts";
import { debugType, type SessionWatcher } from "../session/session-watcher.ts";

const techniques: Readonly<Record<MachineInfo["technique"], string>> = {
	none: vscode.l10n.t("no VMM: the guest owns the host"),
	trap: vscode.l10n.t("trap-and-emulate"),
	bt: vscode.l10n.t("binary translation"),
	pv: vscode.l10n.t("paravirtualization"),
	hvm: vscode.l10n.t("VT-x"),
};

export function registerStatusBar(watcher: SessionWatcher): vscode.Disposable {
	const item = vscode.window.createStatusBarItem(`${debugType}.machine`, vscode.StatusBarAlignment.Left, 0);
	item.name = vscode.l10n.t("Hyperscope: Machine");
	item.command = `${debugType}.statistics.focus`;
	const update = () => {
		const session = watcher.current;
		const machine = session?.machine;
		if (!session || !machine || session.phase === "ended") return item.hide();
		const count = machine.instructionCount.toLocaleString("en-US");
		const stopped = session.phase === "stopped";
		item.text = stopped ? `$(vm) ${machine.technique} · ${count}` : `$(vm-running) ${machine.technique}`;
		const tooltip = new vscode.MarkdownString(`**${techniques[machine.technique]}**`);
		if (stopped) tooltip.appendMarkdown(`\n\n${vscode.l10n.t("{0} instructions since power-on", count)}`);
		tooltip.appendMarkdown(`\n\n${vscode.l10n.t("Click for the machine's statistics")}`);
		item.tooltip = tooltip;
		item.show();
	};
	return vscode.Disposable.from(item, watcher.onDidChange(update));
}
