// What the trees in "Run and Debug" share: they read when the machine stands still and are empty otherwise, so that the
// welcome text of package.json shows, which says what to do.
import * as vscode from "vscode";
import type { SessionWatcher, WatchedSession } from "../session/session-watcher.ts";

export interface TreeNode {
	/** Stable over refreshes, so that open branches stay open. */
	readonly id: string;
	readonly label: string | vscode.TreeItemLabel;
	readonly description?: string;
	readonly tooltip?: string;
	readonly icon?: vscode.ThemeIcon;
	/** For `when: viewItem == …` of the menus. */
	readonly context?: string;
	/** Spoken instead of the label. */
	readonly spoken?: string;
	/** Children; absent for a leaf. */
	readonly children?: readonly TreeNode[];
	readonly expanded?: boolean;
}

export class MachineTree<Node extends TreeNode = TreeNode> implements vscode.TreeDataProvider<Node>, vscode.Disposable {
	readonly #changed = new vscode.EventEmitter<undefined>();
	readonly #watcher: SessionWatcher;
	readonly #read: (session: WatchedSession, threadId: number) => Promise<readonly Node[]>;
	readonly #subscription: vscode.Disposable;
	readonly onDidChangeTreeData = this.#changed.event;

	constructor(watcher: SessionWatcher, read: (session: WatchedSession, threadId: number) => Promise<readonly Node[]>) {
		this.#watcher = watcher;
		this.#read = read;
		this.#subscription = watcher.onDidChange(() => this.refresh());
	}

	refresh(): void {
		this.#changed.fire(undefined);
	}

	dispose(): void {
		this.#subscription.dispose();
		this.#changed.dispose();
	}

	async getChildren(node?: Node): Promise<Node[]> {
		if (node) return [...(node.children ?? [])] as Node[];
		const stopped = this.#watcher.stopped;
		if (!stopped) return [];
		return [...(await this.#read(stopped.session, stopped.threadId).catch(() => []))];
	}

	getTreeItem(node: Node): vscode.TreeItem {
		const item = new vscode.TreeItem(
			node.label,
			node.children === undefined
				? vscode.TreeItemCollapsibleState.None
				: node.expanded
					? vscode.TreeItemCollapsibleState.Expanded
					: vscode.TreeItemCollapsibleState.Collapsed,
		);
		item.id = node.id;
		item.description = node.description;
		item.tooltip = node.tooltip;
		item.iconPath = node.icon;
		item.contextValue = node.context;
		if (node.spoken) item.accessibilityInformation = { label: node.spoken };
		return item;
	}
}
