// Opens the sample in VS Code: the one on this machine, or else the real workbench, served here and shown in a browser.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { installWorkbench } from "./install-workbench.ts";
import { serveWorkbench } from "./serve-workbench.ts";

/** The program `code` on the PATH. */
export function findCode(path: string | undefined, exists: (file: string) => boolean = existsSync): string | undefined {
	const names = process.platform === "win32" ? ["code.cmd", "code.exe"] : ["code"];
	for (const folder of (path ?? "").split(delimiter)) {
		const found = names.map((name) => join(folder, name)).find((file) => folder !== "" && exists(file));
		if (found) return found;
	}
	return undefined;
}

const nextStep = "Open main.c, click left of a line number, press F5.";

/**
 * Opens the folder in VS Code with this extension.
 * @param root the repository, with `dist/` built
 * @throws {Error} with one sentence
 */
export async function openEditor(root: string, folder: string, print: (line: string) => void): Promise<void> {
	const code = findCode(process.env.PATH);
	if (code) {
		print(`Opening ${folder} in VS Code. ${nextStep}`);
		const windows = process.platform === "win32";
		const child = spawn(code, [`--extensionDevelopmentPath=${root}`, folder], {
			stdio: "ignore",
			detached: true,
			shell: windows,
		});
		child.unref();
		return;
	}
	const server = await serveWorkbench(installWorkbench(join(root, ".cache"), process.env.HYPERSCOPE_VSCODE), root);
	print(`VS Code is served at ${server.address(folder, join(folder, "main.c"))}`);
	print(`${nextStep} Ctrl+C here ends it.`);
	await new Promise<void>((resolve) => {
		for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, () => resolve());
	});
	await server.stop();
}
