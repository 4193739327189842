// Launch configurations: F5 without launch.json, offered configurations, and the check before a session starts.
import * as vscode from "vscode";
import { guestFileUri } from "../adapter/guest-files.ts";
import { debugType } from "../session/session-watcher.ts";
import { checkConfiguration } from "./check.ts";
import { type FoundImage, findImages, imageAt } from "./find-images.ts";
import { resolvePaths } from "./paths.ts";

/** A configuration for an image; `vmm` is left to the default when the technique is not given. */
export function configurationFor(
	image: FoundImage,
	vmm: DefaultTechnique = techniquesFor(image)[0]!,
): vscode.DebugConfiguration {
	const name = image.uri.path.split("/").at(-1)!;
	const folder = vscode.workspace.getWorkspaceFolder(image.uri);
	const program = folder
		? `\${workspaceFolder}/${vscode.workspace.asRelativePath(image.uri, false)}`
		: image.uri.scheme === "file"
			? image.uri.fsPath
			: image.uri.toString();
	const technique = {
		bt: vscode.l10n.t("binary translation"),
		pv: vscode.l10n.t("paravirtualization"),
		none: vscode.l10n.t("no VMM"),
	}[vmm];
	return {
		type: debugType,
		request: "launch",
		name: `${name} (${technique})`,
		program,
		vmm,
		...(vmm === "bt" ? { mmu: "shadow" } : {}),
	};
}

type DefaultTechnique = "bt" | "none" | "pv";

/** Binary translation is for 32-bit guests; a wider one owns the host. A paravirtual kernel needs its hypervisor. */
function techniquesFor(image: FoundImage): DefaultTechnique[] {
	if (image.format === "xen") return ["pv"];
	return image.bits === 32 ? ["bt", "none"] : ["none"];
}

/** Shows one sentence, with a way to mend the configuration. */
async function refuse(sentence: string): Promise<undefined> {
	const configure = vscode.l10n.t("Open launch.json");
	void vscode.window.showErrorMessage(sentence, configure).then((chosen) => {
		if (chosen === configure) void vscode.commands.executeCommand("workbench.action.debug.configure");
	});
	return undefined;
}

/** The file of the active tab, whatever editor shows it. */
function activeFile(): vscode.Uri | undefined {
	const input = vscode.window.tabGroups.activeTabGroup.activeTab?.input;
	return input instanceof vscode.TabInputText || input instanceof vscode.TabInputCustom ? input.uri : undefined;
}

/** The image to debug when nothing says which: the active file, the only one of the workspace, or the user's choice. */
async function chooseImage(folder: vscode.WorkspaceFolder | undefined): Promise<FoundImage | "none" | "cancelled"> {
	const active = activeFile();
	const activeImage = active && (await imageAt(active));
	if (activeImage) return activeImage;
	const images = await findImages(folder);
	if (images.length <= 1) return images[0] ?? "none";
	const chosen = await vscode.window.showQuickPick(
		images.map((image) => ({
			label: vscode.workspace.asRelativePath(image.uri),
			description: `${image.format}, ${image.bits}-bit`,
			image,
		})),
		{ title: vscode.l10n.t("Which kernel image shall be started?") },
	);
	return chosen?.image ?? "cancelled";
}

export class ConfigurationProvider implements vscode.DebugConfigurationProvider {
	/** @param extensionUri where the extension's own files lie */
	constructor(private readonly extensionUri: vscode.Uri) {}

	/** Used for a new launch.json. */
	async provideDebugConfigurations(folder: vscode.WorkspaceFolder | undefined): Promise<vscode.DebugConfiguration[]> {
		const images = await findImages(folder);
		return images.flatMap((image) => techniquesFor(image).map((vmm) => configurationFor(image, vmm)));
	}

	async resolveDebugConfiguration(
		folder: vscode.WorkspaceFolder | undefined,
		configuration: vscode.DebugConfiguration,
	): Promise<vscode.DebugConfiguration | undefined> {
		// Without a launch.json the configuration is empty.
		const empty = !configuration.type && !configuration.request && !configuration.name;
		if (!empty) return configuration;
		const image = await chooseImage(folder);
		if (image === "cancelled") return undefined;
		if (image === "none") {
			const sample = vscode.l10n.t("Open a Sample");
			void vscode.window
				.showErrorMessage(
					vscode.l10n.t(
						'There is no kernel image (ELF, Multiboot or bzImage) in this folder: build one, or name it as "program" in launch.json.',
					),
					sample,
				)
				.then((chosen) => {
					if (chosen === sample) void vscode.commands.executeCommand("hyperscope.openSample");
				});
			return undefined;
		}
		return configurationFor(image);
	}

	async resolveDebugConfigurationWithSubstitutedVariables(
		folder: vscode.WorkspaceFolder | undefined,
		configuration: vscode.DebugConfiguration,
	): Promise<vscode.DebugConfiguration | undefined> {
		const wrong = checkConfiguration(configuration);
		if (wrong) return refuse(wrong);
		const root = folder?.uri ?? vscode.workspace.workspaceFolders?.[0]?.uri;
		const resolved = resolvePaths(
			configuration,
			root && {
				scheme: root.scheme,
				path: root.path,
				fsPath: root.fsPath,
				withPath: (path) => root.with({ path }).toString(),
			},
		);
		if (resolved.io === "split" && !resolved.domain0) resolved.domain0 = this.#bundledDomain0();
		const missing = await this.#missingFile(resolved);
		if (missing) return refuse(missing);
		if (resolved.vmm === undefined && typeof resolved.program === "string") {
			const image = await imageAt(guestFileUri(resolved.program));
			if (image) resolved.vmm = techniquesFor(image)[0];
		}
		return resolved;
	}

	/** The kernel of Domain 0 that comes with the extension. */
	#bundledDomain0(): string {
		const uri = vscode.Uri.joinPath(this.extensionUri, "extension", "samples", "dom0", "dom0.elf");
		return uri.scheme === "file" ? uri.fsPath : uri.toString();
	}

	async #missingFile(configuration: vscode.DebugConfiguration): Promise<string | undefined> {
		const files: [string, unknown][] = ["program", "initrd", "firmware", "domain0", "cdrom"].map((name) => [
			name,
			configuration[name],
		]);
		for (const disk of (configuration.disks as unknown[] | undefined) ?? []) files.push(["disks", disk]);
		for (const [name, path] of files) {
			if (typeof path !== "string" || path === "") continue;
			try {
				const { type } = await vscode.workspace.fs.stat(guestFileUri(path));
				if (type & vscode.FileType.Directory)
					return vscode.l10n.t('"{0}" names "{1}", which is a folder; name a file.', name, path);
			} catch {
				return vscode.l10n.t('There is no file "{1}", which "{0}" in the launch configuration names.', name, path);
			}
		}
		return undefined;
	}
}
