// "Compare Techniques": an adapter of its own, without a debug session, runs the image under every technique.
import * as vscode from "vscode";
import type { CustomEvents } from "../../debug-adapter/protocol.ts";
import type { ComparisonMessage } from "../../webviews/messages.ts";
import type { AdapterFactory } from "../adapter/inline-adapter.ts";
import { AdapterClient } from "../start/adapter-client.ts";

export class Comparison implements vscode.Disposable {
	readonly #factory: AdapterFactory;
	/** The comparison that runs; a new one ends it. */
	#running: AdapterClient | undefined;

	constructor(factory: AdapterFactory) {
		this.#factory = factory;
	}

	/** Runs the image and tells what comes of it: progress, then the result or why there is none. */
	async run(image: vscode.Uri, tell: (message: ComparisonMessage) => void): Promise<void> {
		this.dispose();
		const program = image.scheme === "file" ? image.fsPath : image.toString();
		tell({ kind: "comparison", progress: vscode.l10n.t("Starting {0}…", program) });
		const adapter = new AdapterClient(await this.#factory.createAdapter());
		this.#running = adapter;
		const current = () => this.#running === adapter;
		adapter.onEvent((event) => {
			if (event.event !== "hyperscope/compareProgress" || !current()) return;
			tell({ kind: "comparison", progress: (event.body as CustomEvents["hyperscope/compareProgress"]).text });
		});
		const died = adapter.event("terminated").then(() => {
			throw new Error(vscode.l10n.t("The emulator stopped working."));
		});
		died.catch(() => {});
		try {
			await vscode.window.withProgress(
				{
					location: vscode.ProgressLocation.Notification,
					title: vscode.l10n.t("Comparing techniques"),
					cancellable: true,
				},
				async (_progress, token) => {
					const cancelled = new Promise<never>((_resolve, reject) => {
						token.onCancellationRequested(() => reject(new Error(vscode.l10n.t("The comparison was cancelled."))));
					});
					await adapter.request("initialize", { adapterID: "hyperscope" });
					const result = await Promise.race([adapter.custom("hyperscope/compare", { program }), cancelled, died]);
					if (current()) tell({ kind: "comparison", result });
				},
			);
		} catch (error) {
			if (current()) tell({ kind: "comparison", refused: error instanceof Error ? error.message : String(error) });
		} finally {
			if (current()) this.#running = undefined;
			adapter.dispose();
		}
	}

	dispose(): void {
		this.#running?.dispose();
		this.#running = undefined;
	}
}
