// "Disassemble at Address": a read-only document, so that find, copy and the screen reader work as in any text.
import * as vscode from "vscode";
import type { DisassembleTextBody } from "../../debug-adapter/protocol.ts";
import type { SessionWatcher } from "../session/session-watcher.ts";

const scheme = "hyperscope-disassembly";
const instructions = 256;

/** A listing: symbols on lines of their own, then address, bytes and text in columns. */
export function listing(body: DisassembleTextBody): string {
	const digits = Math.max(0, ...body.lines.map(({ address }) => address.length - 2));
	const bytes = Math.max(0, ...body.lines.map((line) => line.bytes.length));
	let source = "";
	return body.lines
		.map((line) => {
			const place = line.source ? `# ${line.source.path}:${line.source.line}\n` : "";
			const announced = place === source ? "" : place;
			source = place;
			const label = line.symbol && !line.symbol.includes("+") ? `${line.symbol}:\n` : "";
			return `${announced}${label}${line.address.slice(2).padStart(digits, "0")}  ${line.bytes.padEnd(bytes)}  ${line.text}\n`;
		})
		.join("");
}

export class DisassemblyDocuments implements vscode.TextDocumentContentProvider, vscode.Disposable {
	readonly #watcher: SessionWatcher;
	readonly #changed = new vscode.EventEmitter<vscode.Uri>();
	readonly #disposables: vscode.Disposable[];
	readonly onDidChange = this.#changed.event;

	constructor(watcher: SessionWatcher) {
		this.#watcher = watcher;
		this.#disposables = [
			vscode.workspace.registerTextDocumentContentProvider(scheme, this),
			watcher.onDidChange(() => {
				if (!watcher.stopped) return;
				for (const document of vscode.workspace.textDocuments)
					if (document.uri.scheme === scheme) this.#changed.fire(document.uri);
			}),
		];
	}

	dispose(): void {
		for (const disposable of this.#disposables) disposable.dispose();
	}

	async show(address: string): Promise<void> {
		const name = `${address.replace(/[^\w:*+-]+/g, "_")}.s`;
		const uri = vscode.Uri.from({ scheme, path: `/${name}`, query: address });
		const document = await vscode.workspace.openTextDocument(uri);
		await vscode.window.showTextDocument(document, { preview: true, viewColumn: vscode.ViewColumn.Beside });
	}

	async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
		const stopped = this.#watcher.stopped;
		if (!stopped) return `# ${vscode.l10n.t("No machine stands still: start one and pause it.")}\n`;
		try {
			const { session, threadId } = stopped;
			const values = { threadId, address: uri.query, count: instructions };
			return listing(await session.request("hyperscope/disassembleText", values));
		} catch (error) {
			return `# ${error instanceof Error ? error.message : String(error)}\n`;
		}
	}
}
