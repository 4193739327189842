// What differs between a Node host and a browser host of the editor. Everything else of the extension is one source.
import type * as vscode from "vscode";
import type { FromWorker, ToWorker } from "./worker/messages.ts";

/** A worker that holds one debug adapter and its machine. */
export interface EmulatorWorker {
	post(message: ToWorker): void;
	onMessage(listener: (message: FromWorker) => void): void;
	/** Called once when the worker dies by itself, with one sentence that says why. */
	onFailure(listener: (sentence: string) => void): void;
	terminate(): void;
}

export interface Host {
	readonly kind: "node" | "browser";
	startWorker(extensionUri: vscode.Uri): Promise<EmulatorWorker>;
}
