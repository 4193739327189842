// Entry of the extension in a Node host: desktop, remote, code-server.
import { Worker } from "node:worker_threads";
import * as vscode from "vscode";
import { activateExtension } from "./activate.ts";
import type { Host } from "./host.ts";

const nodeHost: Host = {
	kind: "node",
	startWorker: async (extensionUri) => {
		const worker = new Worker(vscode.Uri.joinPath(extensionUri, "dist", "emulator-worker.mjs").fsPath);
		return {
			post: (message) => worker.postMessage(message),
			onMessage: (listener) => worker.on("message", listener),
			onFailure: (listener) => worker.on("error", (error) => listener(error.message)),
			terminate: () => void worker.terminate(),
		};
	},
};

export function activate(context: vscode.ExtensionContext): void {
	activateExtension(context, nodeHost);
}
