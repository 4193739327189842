// Puts the extension together. Both entries call this, each with its host.
import * as vscode from "vscode";
import type { ViewName } from "../webviews/messages.ts";
import { AdapterFactory } from "./adapter/inline-adapter.ts";
import { type CommandTargets, registerCommands, viewActions } from "./commands/commands.ts";
import { Comparison } from "./commands/compare.ts";
import { DisassemblyDocuments } from "./commands/disassembly-document.ts";
import { ConfigurationProvider } from "./configuration/provider.ts";
import type { Host } from "./host.ts";
import { openFirstStop } from "./session/first-stop.ts";
import { openDisassemblyWithoutSource } from "./session/open-disassembly.ts";
import { debugType, SessionWatcher } from "./session/session-watcher.ts";
import { registerAssemblyHover } from "./views/assembly-hover.ts";
import { registerInlineValues } from "./views/inline-values.ts";
import { type NumberFormat, numberFormats } from "./views/number-format.ts";
import { SerialConsoles } from "./views/serial-console.ts";
import { registerStatusBar } from "./views/status-bar.ts";
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
	const panel = (name: ViewName, title: string) =>
		new MachinePanels({ name, title }, context.extensionUri, watcher, act);
	const factory = new AdapterFactory(host, context.extensionUri);
	const targets: CommandTargets = {
		context,
		watcher,
		numberFormat,
		trees: registerTrees(watcher, numberFormat.get),
		serial: new SerialConsoles(watcher),
		disassembly: new DisassemblyDocuments(watcher),
		pageTables: panel("page-tables", vscode.l10n.t("Page Tables")),
		fragments: panel("fragments", vscode.l10n.t("Fragments")),
		timeline: panel("timeline", vscode.l10n.t("VM Events")),
		vmcs: panel("vmcs", vscode.l10n.t("VMCS")),
		hypercalls: panel("hypercalls", vscode.l10n.t("Hypercalls")),
		domains: panel("domains", vscode.l10n.t("Domains")),
		iommu: panel("iommu", vscode.l10n.t("IOMMU")),
		memory: panel("memory", vscode.l10n.t("Memory")),
		display: panel("display", vscode.l10n.t("Display")),
		comparison: panel("comparison", vscode.l10n.t("Comparison of Techniques")),
		compare: new Comparison(factory),
	};
	const configurations = new ConfigurationProvider(context.extensionUri);
	context.subscriptions.push(
		watcher,
		targets.trees,
		targets.serial,
		targets.disassembly,
		targets.pageTables,
		targets.fragments,
		targets.timeline,
		targets.vmcs,
		targets.hypercalls,
		targets.domains,
		targets.iommu,
		targets.memory,
		targets.display,
		targets.comparison,
		targets.compare,
		registerCommands(targets),
		registerAssemblyHover(),
		registerInlineValues(),
		registerStatusBar(watcher),
		openDisassemblyWithoutSource(),
		openFirstStop(),
		applyNumberFormat(watcher, numberFormat.get),
		vscode.debug.registerDebugAdapterDescriptorFactory(debugType, factory),
		vscode.debug.registerDebugConfigurationProvider(debugType, configurations),
		vscode.debug.registerDebugConfigurationProvider(
			debugType,
			{ provideDebugConfigurations: (folder) => configurations.provideDebugConfigurations(folder) },
			vscode.DebugConfigurationProviderTriggerKind.Dynamic,
		),
	);
}
