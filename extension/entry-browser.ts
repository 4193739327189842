// Entry of the extension in a browser host (a web worker itself): vscode.dev, the web host of code-server.
import * as vscode from "vscode";
import { activateExtension } from "./activate.ts";
import type { Host } from "./host.ts";

const browserHost: Host = {
	kind: "browser",
	startWorker: async (extensionUri) => {
		// The extension may come from another origin, from which a worker cannot be started: hand the text over as a blob.
		const script = await vscode.workspace.fs.readFile(
			vscode.Uri.joinPath(extensionUri, "dist", "web", "emulator-worker.js"),
		);
		const address = URL.createObjectURL(new Blob([script as BlobPart], { type: "text/javascript" }));
		const worker = new Worker(address);
		return {
			post: (message) => worker.postMessage(message),
			onMessage: (listener) => worker.addEventListener("message", (event) => listener(event.data)),
			onFailure: (listener) => worker.addEventListener("error", (event) => listener(event.message)),
			terminate: () => {
				worker.terminate();
				URL.revokeObjectURL(address);
			},
		};
	},
};

export function activate(context: vscode.ExtensionContext): void {
	activateExtension(context, browserHost);
}
