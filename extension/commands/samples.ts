// The sample kernels that come with the extension: opened as a copy, so that they can be edited and built.
import * as vscode from "vscode";
import { searchFiles } from "../configuration/search-files.ts";

export interface Sample {
	readonly name: string;
	/** First sentence of its README. */
	readonly title: string;
	/** Its own files and those that the samples share, below `extension/samples/`. */
	readonly files: readonly string[];
}

/** What the build has listed: a browser host cannot list a folder of the extension. */
async function listSamples(extensionUri: vscode.Uri): Promise<Sample[]> {
	const text = await vscode.workspace.fs.readFile(vscode.Uri.joinPath(extensionUri, "dist", "samples.json"));
	return JSON.parse(new TextDecoder().decode(text)) as Sample[];
}

/** Copies a sample to a folder of the user's and gives that folder. */
async function copySample(sample: Sample, extensionUri: vscode.Uri, storage: vscode.Uri): Promise<vscode.Uri> {
	const from = vscode.Uri.joinPath(extensionUri, "extension", "samples");
	const to = vscode.Uri.joinPath(storage, "samples");
	for (const file of sample.files) {
		const target = vscode.Uri.joinPath(to, file);
		// What the user has changed in an earlier copy is kept.
		if (await exists(target)) continue;
		await vscode.workspace.fs.writeFile(target, await vscode.workspace.fs.readFile(vscode.Uri.joinPath(from, file)));
	}
	return vscode.Uri.joinPath(to, sample.name);
}

async function exists(uri: vscode.Uri): Promise<boolean> {
	try {
		await vscode.workspace.fs.stat(uri);
		return true;
	} catch {
		return false;
	}
}

/** Asks which sample, and opens the folder of its copy. */
export async function openSample(context: vscode.ExtensionContext, name?: string): Promise<void> {
	const samples = await listSamples(context.extensionUri);
	const chosen =
		samples.find((sample) => sample.name === name) ??
		(
			await vscode.window.showQuickPick(
				samples.map((sample) => ({ label: sample.name, description: sample.title, sample })),
				{ title: vscode.l10n.t("Open a sample kernel") },
			)
		)?.sample;
	if (!chosen) return;
	const folder = await copySample(chosen, context.extensionUri, context.globalStorageUri);
	const inUse = (vscode.workspace.workspaceFolders?.length ?? 0) > 0;
	await vscode.commands.executeCommand("vscode.openFolder", folder, { forceNewWindow: inUse });
}

/** Opens the source file of the workspace in which a first breakpoint makes sense. */
export async function openSampleSource(context: vscode.ExtensionContext): Promise<void> {
	const folders = vscode.workspace.workspaceFolders ?? [];
	for (const name of [/^main\.c$/, /^kernel\.c$/, /\.(c|S|s|asm|rs|zig)$/]) {
		const [file] = (await Promise.all(folders.map(({ uri }) => searchFiles(uri, name, 1)))).flat();
		if (!file) continue;
		return showMain(file);
	}
	// Some samples are built from files that they share with others.
	const samples = await listSamples(context.extensionUri);
	for (const { uri } of folders) {
		const sample = samples.find(({ name }) => uri.path.endsWith(`/samples/${name}`));
		const main = sample?.files.find((file) => file.endsWith("/main.c"));
		const file = main && vscode.Uri.joinPath(uri, "..", main);
		if (file && (await exists(file))) return showMain(file);
	}
	void vscode.window.showInformationMessage(vscode.l10n.t("This workspace holds no source file: open a sample first."));
}

/** Opens a source file at its main function. */
async function showMain(file: vscode.Uri): Promise<void> {
	const document = await vscode.workspace.openTextDocument(file);
	const editor = await vscode.window.showTextDocument(document);
	const line = document
		.getText()
		.split("\n")
		.findIndex((text) => /^\w.*\b(\w+_)?main\s*\(/.test(text));
	if (line < 0) return;
	editor.selection = new vscode.Selection(line, 0, line, 0);
	editor.revealRange(editor.selection, vscode.TextEditorRevealType.InCenter);
}
