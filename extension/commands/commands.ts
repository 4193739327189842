// Every command of the manifest, and what a click in a webview does.
import * as vscode from "vscode";
import { breakpointName } from "../../debug-adapter/protocol.ts";
import type { ViewAction } from "../../webviews/messages.ts";
import { guestFileUri } from "../adapter/guest-files.ts";
import { imageAt } from "../configuration/find-images.ts";
import { configurationFor } from "../configuration/provider.ts";
import { debugType, type SessionWatcher, type WatchedSession } from "../session/session-watcher.ts";
import { type NumberFormat, numberFormats } from "../views/number-format.ts";
import type { SerialConsoles } from "../views/serial-console.ts";
import type { RegisterNode, Trees } from "../views/trees.ts";
import type { MachinePanels } from "../views/webview-panel.ts";
import type { Comparison } from "./compare.ts";
import type { DisassemblyDocuments } from "./disassembly-document.ts";
import { openSample, openSampleSource } from "./samples.ts";

/** What the commands work on. */
export interface CommandTargets {
	readonly context: vscode.ExtensionContext;
	readonly watcher: SessionWatcher;
	readonly trees: Trees;
	readonly serial: SerialConsoles;
	readonly disassembly: DisassemblyDocuments;
	readonly pageTables: MachinePanels;
	readonly fragments: MachinePanels;
	readonly timeline: MachinePanels;
	readonly vmcs: MachinePanels;
	readonly hypercalls: MachinePanels;
	readonly domains: MachinePanels;
	readonly iommu: MachinePanels;
	readonly memory: MachinePanels;
	readonly display: MachinePanels;
	readonly comparison: MachinePanels;
	readonly compare: Comparison;
	readonly numberFormat: { get(): NumberFormat; set(format: NumberFormat): Promise<void> };
}

/** The part that VS Code hands to a command from the Variables, Watch or Call Stack view. */
interface VariableContext {
	readonly variable?: { readonly value?: string; readonly evaluateName?: string; readonly memoryReference?: string };
}

/** What VS Code hands to a command from the menu of a webview: the element's `data-vscode-context`. */
interface AddressContext {
	readonly address?: string;
}

function sentenceOf(error: unknown): string {
	return error instanceof Error ? error.message : String(error);
}

/** The session to work on; a sentence is shown when there is none. */
function needSession(watcher: SessionWatcher): WatchedSession | undefined {
	if (!watcher.current)
		void vscode.window.showInformationMessage(vscode.l10n.t("No machine is running: start debugging first."));
	return watcher.current;
}

/** The stopped session; a sentence is shown when there is none. */
function needStopped(watcher: SessionWatcher): { session: WatchedSession; threadId: number } | undefined {
	if (!needSession(watcher)) return undefined;
	if (!watcher.stopped)
		void vscode.window.showInformationMessage(vscode.l10n.t("The guest is running: pause it first."));
	return watcher.stopped;
}

/** An address from a menu of the Variables view, or asked for. */
async function askAddress(from: unknown, title: string): Promise<string | undefined> {
	if (typeof from === "string") return from;
	const register = (from as RegisterNode | undefined)?.register;
	if (register) return register.value;
	const place = (from as AddressContext | undefined)?.address;
	if (typeof place === "string") return place;
	const variable = (from as VariableContext | undefined)?.variable;
	if (variable) return variable.memoryReference ?? variable.evaluateName ?? variable.value;
	return vscode.window.showInputBox({
		title,
		prompt: vscode.l10n.t("A linear address, a symbol, a register or an expression"),
		placeHolder: "0xc0100000, kernel_main, esp + 8",
	});
}

/** Sets a breakpoint at an address of any space, or takes it away. */
function toggleBreakpoint(address: string): void {
	const name = breakpointName(address);
	const existing = vscode.debug.breakpoints.filter(
		(breakpoint) => breakpoint instanceof vscode.FunctionBreakpoint && breakpoint.functionName === name,
	);
	if (existing.length > 0) vscode.debug.removeBreakpoints(existing);
	else vscode.debug.addBreakpoints([new vscode.FunctionBreakpoint(name)]);
}

async function openSource(path: string, line: number): Promise<void> {
	try {
		const selection = new vscode.Range(line - 1, 0, line - 1, 0);
		await vscode.window.showTextDocument(guestFileUri(path), { selection, viewColumn: vscode.ViewColumn.One });
	} catch {
		void vscode.window.showErrorMessage(
			vscode.l10n.t('The source file "{0}" is not there; map its folder with "sourceMap" in launch.json.', path),
		);
	}
}

/** The source line of an instruction, or the disassembly where symbols know none. */
async function showInstruction(
	watcher: SessionWatcher,
	disassembly: DisassemblyDocuments,
	address: string,
): Promise<void> {
	const stopped = watcher.stopped;
	try {
		const values = { threadId: stopped?.threadId ?? 1, address, count: 1 };
		const body = await stopped?.session.request("hyperscope/disassembleText", values);
		const source = body?.lines[0]?.source;
		if (source) return await openSource(source.path, source.line);
	} catch {
		// The document says why the code cannot be read.
	}
	await disassembly.show(address);
}

/** Writes what was typed in a view; the adapter tells every view what has changed. */
async function writeMemory(watcher: SessionWatcher, memoryReference: string, data: string): Promise<void> {
	const stopped = needStopped(watcher);
	try {
		await stopped?.session.session.customRequest("writeMemory", { memoryReference, data });
	} catch (error) {
		void vscode.window.showErrorMessage(sentenceOf(error));
	}
}

/** Does what a webview asks. */
export function viewActions(targets: () => CommandTargets): (action: ViewAction) => void {
	return (action) => {
		const { pageTables, fragments, disassembly, context, watcher } = targets();
		switch (action.action) {
			case "toggleBreakpoint":
				return toggleBreakpoint(action.address);
			case "walkAddress":
				return pageTables.show(action.address);
			case "showFragment":
				return fragments.show(action.address);
			case "disassemble":
				return void disassembly.show(action.address);
			case "showInstruction":
				return void showInstruction(watcher, disassembly, action.address);
			case "compare":
				return void compareTechniques(targets(), undefined);
			case "writeMemory":
				return void writeMemory(watcher, action.address, action.data);
			case "openSource":
				return void openSource(action.path, action.line);
			case "startDebugging":
				return void vscode.commands.executeCommand("workbench.action.debug.start");
			case "openSample":
				return void openSample(context);
			case "pause":
				return void vscode.commands.executeCommand("workbench.action.debug.pause");
		}
	};
}

/** The image of a file, which is asked for when none is given; a sentence is shown when it is none. */
async function chooseImage(uri: vscode.Uri | undefined, title: string, openLabel: string) {
	const chosen = uri ?? (await vscode.window.showOpenDialog({ title, openLabel }))?.[0];
	if (!chosen) return undefined;
	const image = await imageAt(chosen);
	if (!image) {
		void vscode.window.showErrorMessage(
			vscode.l10n.t(
				'"{0}" is no kernel image: it is neither an ELF file for x86 nor a bzImage.',
				chosen.path.split("/").at(-1)!,
			),
		);
		return undefined;
	}
	return { chosen, image };
}

/** Runs an image under every technique and shows what each cost. */
async function compareTechniques(targets: CommandTargets, uri: vscode.Uri | undefined): Promise<void> {
	const found = await chooseImage(uri, vscode.l10n.t("Compare Techniques"), vscode.l10n.t("Compare"));
	if (!found) return;
	targets.comparison.show();
	await targets.compare.run(found.image.uri, (message) => targets.comparison.tell(message));
}

async function debugImage(uri: vscode.Uri | undefined): Promise<void> {
	const found = await chooseImage(uri, vscode.l10n.t("Debug a Kernel Image"), vscode.l10n.t("Debug"));
	if (!found) return;
	const { chosen, image } = found;
	const folder = vscode.workspace.getWorkspaceFolder(chosen);
	await vscode.debug.startDebugging(folder, configurationFor(image));
}

async function setRegister(targets: CommandTargets, node: RegisterNode | undefined): Promise<void> {
	const stopped = needStopped(targets.watcher);
	if (!stopped || !node?.register) return;
	const { name, value: before } = node.register;
	const value = await vscode.window.showInputBox({
		title: vscode.l10n.t("Set {0}", name),
		value: before,
		prompt: vscode.l10n.t("A number or an expression"),
	});
	if (value === undefined || value === before) return;
	try {
		await stopped.session.request("hyperscope/setRegister", { threadId: stopped.threadId, name, value });
	} catch (error) {
		void vscode.window.showErrorMessage(sentenceOf(error));
	}
	targets.watcher.touch();
}

/** Back in the run to where a variable, or memory at an address, was written last. */
async function goToLastWrite(watcher: SessionWatcher, from: unknown): Promise<void> {
	const stopped = needStopped(watcher);
	if (!stopped) return;
	const variable = (from as VariableContext | undefined)?.variable;
	const expression =
		(from as AddressContext | undefined)?.address ??
		variable?.evaluateName ??
		variable?.memoryReference ??
		(await vscode.window.showInputBox({
			title: vscode.l10n.t("Go Back to the Last Write"),
			prompt: vscode.l10n.t("A variable, or the address of memory"),
			placeHolder: "totals->links, 0xc0100000, gpa:0x1000",
		}));
	if (!expression) return;
	const item = vscode.debug.activeStackItem;
	const frame = item && "frameId" in item && item.session === stopped.session.session ? { frameId: item.frameId } : {};
	try {
		await stopped.session.request("hyperscope/lastWrite", { threadId: stopped.threadId, expression, ...frame });
	} catch (error) {
		void vscode.window.showErrorMessage(sentenceOf(error));
	}
}

async function setNumberFormat(targets: CommandTargets): Promise<void> {
	const titles: Record<NumberFormat, string> = {
		natural: vscode.l10n.t("Natural: decimal for numbers, hexadecimal for addresses and registers"),
		hexadecimal: vscode.l10n.t("Hexadecimal"),
		decimal: vscode.l10n.t("Decimal"),
		binary: vscode.l10n.t("Binary"),
	};
	const current = targets.numberFormat.get();
	const chosen = await vscode.window.showQuickPick(
		numberFormats.map((format) => ({
			label: titles[format],
			description: format === current ? "✓" : undefined,
			format,
		})),
		{ title: vscode.l10n.t("How shall numbers be shown?") },
	);
	if (!chosen) return;
	await targets.numberFormat.set(chosen.format);
	await targets.watcher.current?.request("hyperscope/setNumberFormat", { format: chosen.format });
	targets.watcher.touch();
}

async function setStepInterrupts(watcher: SessionWatcher): Promise<void> {
	const session = needSession(watcher);
	if (!session) return;
	const chosen = await vscode.window.showQuickPick(
		[
			{ label: vscode.l10n.t("Hold interrupts while stepping"), take: false },
			{ label: vscode.l10n.t("Take interrupts while stepping"), take: true },
		],
		{ title: vscode.l10n.t("What shall happen to interrupts while stepping?") },
	);
	if (chosen) await session.request("hyperscope/setStepInterrupts", { take: chosen.take });
}

async function loadSymbols(watcher: SessionWatcher): Promise<void> {
	const session = needSession(watcher);
	if (!session) return;
	const [file] = (await vscode.window.showOpenDialog({ title: vscode.l10n.t("Load a Symbol File") })) ?? [];
	if (!file) return;
	const offset = await vscode.window.showInputBox({
		title: vscode.l10n.t("Added to every address of the file"),
		value: "0x0",
		validateInput: (text) =>
			/^(0x[0-9a-f]+|\d+)$/i.test(text) ? undefined : vscode.l10n.t("Write a number, such as 0x1000000."),
	});
	if (offset === undefined) return;
	const path = file.scheme === "file" ? file.fsPath : file.toString();
	try {
		const { symbols } = await session.request("hyperscope/loadSymbols", { path, offset });
		watcher.touch();
		void vscode.window.showInformationMessage(vscode.l10n.t("{0} symbols loaded.", symbols));
	} catch (error) {
		void vscode.window.showErrorMessage(sentenceOf(error));
	}
}

/** Registers all commands; the result takes them away again. */
export function registerCommands(targets: CommandTargets): vscode.Disposable {
	const { context, watcher, trees, serial, disassembly, pageTables, fragments } = targets;
	const commands: Record<string, (...values: never[]) => unknown> = {
		debugImage: (uri?: vscode.Uri) => debugImage(uri),
		openSample: (name?: string) => openSample(context, typeof name === "string" ? name : undefined),
		openSampleSource: () => openSampleSource(context),
		showPageTables: () => pageTables.show(),
		showFragments: () => fragments.show(),
		showTimeline: () => targets.timeline.show(),
		showVmcs: () => targets.vmcs.show(),
		showHypercalls: () => targets.hypercalls.show(),
		showDomains: () => targets.domains.show(),
		showIommu: () => targets.iommu.show(),
		showDisplay: () => targets.display.show(),
		showMemory: async (from?: unknown) => {
			const address = await askAddress(from, vscode.l10n.t("Show Memory at Address"));
			if (address) targets.memory.show(address);
		},
		copyAddress: async (from?: unknown) => {
			const address = await askAddress(from, vscode.l10n.t("Copy Address"));
			if (address) await vscode.env.clipboard.writeText(address);
		},
		compareTechniques: (uri?: vscode.Uri) => compareTechniques(targets, uri instanceof vscode.Uri ? uri : undefined),
		walkAddress: async (from?: unknown) => {
			const address = await askAddress(from, vscode.l10n.t("Walk Address Through the Page Tables"));
			if (address) pageTables.show(address);
		},
		showFragmentAt: async (from?: unknown) => {
			const address = await askAddress(from, vscode.l10n.t("Show the Fragment at Address"));
			if (address) fragments.show(address);
		},
		disassembleAt: async (from?: unknown) => {
			if (!needStopped(watcher)) return;
			const address = await askAddress(from, vscode.l10n.t("Disassemble at Address"));
			if (address) await disassembly.show(address);
		},
		goToLastWrite: (from?: unknown) => goToLastWrite(watcher, from),
		breakAt: async (from?: unknown) => {
			const address = await askAddress(from, vscode.l10n.t("Break at Address"));
			if (address) toggleBreakpoint(address);
		},
		setRegister: (node?: RegisterNode) => setRegister(targets, node),
		copyValue: (node?: RegisterNode) => node?.register && vscode.env.clipboard.writeText(node.register.value),
		setNumberFormat: () => setNumberFormat(targets),
		setStepInterrupts: () => setStepInterrupts(watcher),
		loadSymbols: () => loadSymbols(watcher),
		showSerialConsole: () => {
			const session = needSession(watcher);
			if (session) serial.show(session);
		},
		refresh: () => {
			trees.registers.refresh();
			trees.devices.refresh();
			trees.symbols.refresh();
			trees.statistics.refresh();
		},
	};
	return vscode.Disposable.from(
		...Object.entries(commands).map(([name, run]) => vscode.commands.registerCommand(`${debugType}.${name}`, run)),
	);
}
