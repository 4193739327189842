// Puts the extension together. Both entries call this, each with its host.
import * as vscode from "vscode";
import { AdapterFactory } from "./adapter/inline-adapter.ts";
import { type CommandTargets, registerCommands, viewActions } from "./commands/commands.ts";
import { DisassemblyDocuments } from "./commands/disassembly-document.ts";
import { ConfigurationProvider } from "./configuration/provider.ts";
import type { Host } from "./host.ts";
import { debugType, SessionWatcher } from "./session/session-watcher.ts";
import { registerAssemblyHover } from "./views/assembly-hover.ts";
import { type NumberFormat, numberFormats } from "./views/number-format.ts";
import { SerialConsoles } from "./views/serial-console.ts";
import { registerTrees } from "./views/trees.ts";
import { MachinePanels } from "./views/webview-panel.ts";

/** The user's choice of number format, kept with the workspace. */
function numberFormatIn(state: vscode.Memento): CommandTargets["numberFormat"] {
	const key = "numberFormat";
	return {
		get: () => numberFormats.find((format) => format === state.get(key)) ?? "natural",
		set: async (format) => state.update(key, format),
	};
}

/** A new session starts with the number format that was chosen before. */
function applyNumberFormat(watcher: SessionWatcher, format: () => NumberFormat): vscode.Disposable {
	return vscode.debug.onDidStartDebugSession((session) => {
		if (session.type !== debugType || format() === "natural") return;
		watcher.current?.request("hyperscope/setNumberFormat", { format: format() }).catch(() => {});
	});
}

export function activateExtension(context: vscode.ExtensionContext, host: Host): void {
	const watcher = new SessionWatcher();
	const numberFormat = numberFormatIn(context.workspaceState);
	const act = viewActions(() => targets);
	const panel = (name: "page-tables" | "fragments", title: string) =>
		new MachinePanels({ name, title }, context.extensionUri, watcher, act);
	const targets: CommandTargets = {
		context,
		watcher,
		numberFormat,
		trees: registerTrees(watcher, numberFormat.get),
		serial: new SerialConsoles(watcher),
		disassembly: new DisassemblyDocuments(watcher),
		pageTables: panel("page-tables", vscode.l10n.t("Page Tables")),
		fragments: panel("fragments", vscode.l10n.t("Fragments")),
	};
	const configurations = new ConfigurationProvider();
	context.subscriptions.push(
		watcher,
		targets.trees,
		targets.serial,
		targets.disassembly,
		targets.pageTables,
		targets.fragments,
		registerCommands(targets),
		registerAssemblyHover(),
		applyNumberFormat(watcher, numberFormat.get),
		vscode.debug.registerDebugAdapterDescriptorFactory(debugType, new AdapterFactory(host, context.extensionUri)),
		vscode.debug.registerDebugConfigurationProvider(debugType, configurations),
		vscode.debug.registerDebugConfigurationProvider(
			debugType,
			{ provideDebugConfigurations: (folder) => configurations.provideDebugConfigurations(folder) },
			vscode.DebugConfigurationProviderTriggerKind.Dynamic,
		),
	);
}
