// The trees: guest registers, devices, symbol files, statistics.
import * as vscode from "vscode";
import type { DevicesBody, RegisterInfo, RegistersBody, Statistics } from "../../debug-adapter/protocol.ts";
import type { SessionWatcher } from "../session/session-watcher.ts";
import { MachineTree, type TreeNode } from "./machine-tree.ts";
import { formatValue, type NumberFormat } from "./number-format.ts";

export interface RegisterNode extends TreeNode {
	readonly register?: RegisterInfo;
}

/** Groups that are open from the start; the others hold what is rarely looked at. */
const openGroups = new Set(["general", "segments", "control"]);

export function registerNodes(body: RegistersBody, format: NumberFormat): RegisterNode[] {
	return body.groups.map((group) => {
		const changed = group.registers.filter((register) => register.changed).length;
		return {
			id: group.id,
			label: group.title,
			description: changed > 0 ? vscode.l10n.t("{0} changed", changed) : undefined,
			context: "registerGroup",
			expanded: openGroups.has(group.id),
			children: group.registers.map((register) => registerNode(group.id, register, format)),
		};
	});
}

function registerNode(group: string, register: RegisterInfo, format: NumberFormat): RegisterNode {
	const value = formatValue(BigInt(register.value), register.width, format);
	const description = register.meaning ? `${value}  ${register.meaning}` : value;
	return {
		id: `${group}/${register.name}`,
		// The highlight is what marks a change for the eye; the spoken label says it in words.
		label: { label: register.name, highlights: register.changed ? [[0, register.name.length]] : [] },
		description,
		icon: register.changed
			? new vscode.ThemeIcon("circle-filled", new vscode.ThemeColor("editorWarning.foreground"))
			: undefined,
		tooltip: `${register.name} = ${value}${register.meaning ? `\n${register.meaning}` : ""}`,
		context: register.writable ? "register.writable" : "register",
		spoken: `${register.name} ${description}${register.changed ? `, ${vscode.l10n.t("changed")}` : ""}`,
		register,
	};
}

export function deviceNodes(body: DevicesBody): TreeNode[] {
	return body.devices.map((device, index) => ({
		id: `${index}/${device.name}`,
		label: device.name,
		icon: new vscode.ThemeIcon("circuit-board"),
		children: device.registers.map((register) => {
			const value = formatValue(BigInt(register.value), register.width, "hexadecimal");
			return {
				id: `${index}/${device.name}/${register.name}`,
				label: register.changed ? { label: register.name, highlights: [[0, register.name.length]] } : register.name,
				description: register.meaning ? `${value}  ${register.meaning}` : value,
				spoken: `${register.name} ${value} ${register.meaning ?? ""}${register.changed ? `, ${vscode.l10n.t("changed")}` : ""}`,
			};
		}),
	}));
}

/** One of DAP's modules, as far as it is shown. */
interface SymbolModule {
	readonly name: string;
	readonly path?: string;
	readonly symbolStatus?: string;
	readonly addressRange?: string;
}

/** The files with symbols, and where their code lies: the editor itself has no view of modules. */
export function symbolNodes(modules: readonly SymbolModule[]): TreeNode[] {
	return modules.map(({ name, path, symbolStatus, addressRange }, index) => ({
		id: `${index}/${path ?? name}`,
		label: name,
		description: addressRange,
		tooltip: [path, symbolStatus, addressRange].filter(Boolean).join("\n"),
		spoken: [name, symbolStatus, addressRange].filter(Boolean).join(", "),
		icon: new vscode.ThemeIcon("file-binary"),
	}));
}

/** The object of `--stats`, its parts as branches. */
export function statisticsNodes(values: Statistics | Record<string, unknown>, path = ""): TreeNode[] {
	return Object.entries(values).map(([name, value]) => {
		const id = `${path}/${name}`;
		if (value !== null && typeof value === "object")
			return { id, label: name, expanded: true, children: statisticsNodes(value as Record<string, unknown>, id) };
		return { id, label: name, description: typeof value === "number" ? value.toLocaleString("en-US") : String(value) };
	});
}

export interface Trees extends vscode.Disposable {
	readonly registers: MachineTree<RegisterNode>;
	readonly devices: MachineTree;
	readonly symbols: MachineTree;
	readonly statistics: MachineTree;
}

/** Makes the trees and puts them into "Run and Debug". */
export function registerTrees(watcher: SessionWatcher, format: () => NumberFormat): Trees {
	const registers = new MachineTree<RegisterNode>(watcher, async (session, threadId) =>
		registerNodes(await session.request("hyperscope/registers", { threadId }), format()),
	);
	const devices = new MachineTree(watcher, async (session) => deviceNodes(await session.request("hyperscope/devices")));
	const symbols = new MachineTree(watcher, async ({ session }) =>
		symbolNodes((await session.customRequest("modules", {})).modules),
	);
	const statistics = new MachineTree(watcher, async (session) =>
		statisticsNodes(await session.request("hyperscope/statistics")),
	);
	const views = [
		vscode.window.createTreeView("hyperscope.registers", { treeDataProvider: registers, showCollapseAll: true }),
		vscode.window.createTreeView("hyperscope.devices", { treeDataProvider: devices, showCollapseAll: true }),
		vscode.window.createTreeView("hyperscope.symbols", { treeDataProvider: symbols, showCollapseAll: false }),
		vscode.window.createTreeView("hyperscope.statistics", { treeDataProvider: statistics, showCollapseAll: true }),
	];
	return {
		registers,
		devices,
		symbols,
		statistics,
		dispose: () => {
			for (const disposable of [...views, registers, devices, symbols, statistics]) disposable.dispose();
		},
	};
}
