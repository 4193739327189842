// An editor tab with a webview of `webviews/`: makes its page, keeps it in step with the session and does what it asks.
import * as vscode from "vscode";
import type { CustomRequests } from "../../debug-adapter/protocol.ts";
import {
	type ComparisonMessage,
	type FromWebview,
	type ToWebview,
	type ViewAction,
	type ViewName,
	type ViewState,
	viewCommands,
} from "../../webviews/messages.ts";
import type { SessionWatcher } from "../session/session-watcher.ts";
import { webviewPage } from "./webview-page.ts";

export interface PanelKind {
	/** Also the name of its folder below `webviews/`. */
	readonly name: ViewName;
	readonly title: string;
}

export class MachinePanels implements vscode.Disposable, vscode.WebviewPanelSerializer {
	readonly #kind: PanelKind;
	readonly #extensionUri: vscode.Uri;
	readonly #watcher: SessionWatcher;
	readonly #act: (action: ViewAction) => void;
	readonly #disposables: vscode.Disposable[];
	#panel: vscode.WebviewPanel | undefined;
	#ready = false;
	/** Waits until the page says that it is ready. */
	#toShow: string | undefined;
	/** What a comparison has told last: said again to a page that is loaded again. */
	#comparison: ComparisonMessage | undefined;

	constructor(kind: PanelKind, extensionUri: vscode.Uri, watcher: SessionWatcher, act: (action: ViewAction) => void) {
		this.#kind = kind;
		this.#extensionUri = extensionUri;
		this.#watcher = watcher;
		this.#act = act;
		this.#disposables = [
			watcher.onDidChange(() => this.#sendState()),
			vscode.debug.onDidChangeBreakpoints(() => this.#sendState()),
			vscode.window.registerWebviewPanelSerializer(this.#viewType, this),
		];
	}

	/** Opens the tab, or brings it to the front, and shows an address in it when one is given. */
	show(address?: string): void {
		this.#toShow = address ?? this.#toShow;
		if (this.#panel) {
			this.#panel.reveal(undefined, true);
			this.#sendAddress();
			return;
		}
		const panel = vscode.window.createWebviewPanel(
			this.#viewType,
			this.#kind.title,
			{ viewColumn: vscode.ViewColumn.Two, preserveFocus: true },
			{ enableScripts: true },
		);
		this.#adopt(panel);
	}

	/** For the view of a comparison. */
	tell(message: ComparisonMessage): void {
		this.#comparison = message;
		this.#post(message);
	}

	async deserializeWebviewPanel(panel: vscode.WebviewPanel): Promise<void> {
		if (this.#panel) panel.dispose();
		else this.#adopt(panel);
	}

	dispose(): void {
		for (const disposable of this.#disposables) disposable.dispose();
		this.#panel?.dispose();
	}

	get #viewType(): string {
		return `hyperscope.${this.#kind.name}`;
	}

	#adopt(panel: vscode.WebviewPanel): void {
		this.#panel = panel;
		this.#ready = false;
		const folder = vscode.Uri.joinPath(this.#extensionUri, "dist", "webviews");
		panel.webview.options = { enableScripts: true, localResourceRoots: [folder] };
		panel.iconPath = vscode.Uri.joinPath(this.#extensionUri, "extension", "media", `${this.#kind.name}.svg`);
		panel.onDidDispose(() => {
			this.#panel = undefined;
			this.#toShow = undefined;
		});
		// A hidden webview is unloaded and gets no messages: it asks anew when it is loaded again.
		panel.onDidChangeViewState(() => {
			if (!panel.visible) this.#ready = false;
		});
		panel.webview.onDidReceiveMessage((message: FromWebview) => void this.#receive(message));
		panel.webview.html = webviewPage({
			title: this.#kind.title,
			script: panel.webview.asWebviewUri(vscode.Uri.joinPath(folder, `${this.#kind.name}.js`)).toString(),
			style: panel.webview.asWebviewUri(vscode.Uri.joinPath(folder, `${this.#kind.name}.css`)).toString(),
			source: panel.webview.cspSource,
			language: vscode.env.language,
		});
	}

	#post(message: ToWebview): void {
		if (this.#ready) void this.#panel?.webview.postMessage(message);
	}

	#sendState(): void {
		this.#post({ kind: "state", state: viewState(this.#watcher) });
	}

	#sendAddress(): void {
		if (!this.#ready || this.#toShow === undefined) return;
		this.#post({ kind: "show", address: this.#toShow });
		this.#toShow = undefined;
	}

	async #receive(message: FromWebview): Promise<void> {
		switch (message.kind) {
			case "ready":
				this.#ready = true;
				this.#sendState();
				this.#sendAddress();
				if (this.#comparison) this.#post(this.#comparison);
				break;
			case "action":
				this.#act(message);
				break;
			case "request":
				await this.#forward(message);
				break;
		}
	}

	async #forward({ id, command, arguments: values }: FromWebview & { kind: "request" }): Promise<void> {
		try {
			const session = this.#watcher.current;
			if (!session) throw new Error(vscode.l10n.t("No machine is running."));
			if (!viewCommands.includes(command)) throw new Error(`"${command}" is no request of a view.`);
			const request = session.request as (command: keyof CustomRequests, values: unknown) => Promise<unknown>;
			this.#post({ kind: "answer", id, body: await request.call(session, command, values) });
		} catch (error) {
			this.#post({ kind: "refused", id, sentence: error instanceof Error ? error.message : String(error) });
		}
	}
}

/** What the views are told of the session that is shown. */
export function viewState(watcher: SessionWatcher): ViewState {
	const session = watcher.current;
	const stopped = watcher.stopped;
	const thread = session?.machine?.threads.find(({ threadId }) => threadId === stopped?.threadId);
	return {
		phase: session?.phase ?? "none",
		technique: session?.machine?.technique,
		hasTranslationCache: session?.machine?.hasTranslationCache ?? false,
		shows: session?.machine?.shows,
		thread: stopped && {
			id: stopped.threadId,
			kind: thread?.kind ?? "vcpu",
			name: thread?.name ?? vscode.l10n.t("thread {0}", stopped.threadId),
		},
		revision: watcher.revision,
		breakpoints: vscode.debug.breakpoints
			.filter((breakpoint) => breakpoint instanceof vscode.FunctionBreakpoint)
			.map((breakpoint) => breakpoint.functionName),
	};
}
