// Xenstore: the store through which domains find each other's devices. It is a service of the hypervisor here; Domain 0 is
// its privileged client. Reference: Xen, docs/misc/xenstore.txt.

import {
	countOwned,
	emptyNode,
	find,
	formatPath,
	isWithin,
	type Permission,
	parsePath,
	remove,
	replace,
	type StoreNode,
	type StorePath,
} from "./store-tree.ts";

/** The names that XS_ERROR carries (xs_wire.h, xsd_errors). */
export type StoreErrorName =
	| "EINVAL"
	| "EACCES"
	| "EEXIST"
	| "ENOENT"
	| "ENOSPC"
	| "ENOSYS"
	| "EAGAIN"
	| "E2BIG"
	| "EPERM";

export class StoreError extends Error {
	constructor(readonly code: StoreErrorName) {
		super(code);
	}
}

/** Quotas of a domain, as xenstored has them; a privileged one may have eight times as much. */
const MOST_NODES = 1000;
const MOST_VALUE_BYTES = 2048;
const MOST_WATCHES = 128;
const MOST_TRANSACTIONS = 10;
const MOST_PERMISSIONS = 16;
const MOST_TOKEN_BYTES = 1024;
const MOST_CHANGES = 1024;

function quota(client: StoreClient, most: number): number {
	return client.privileged ? 8 * most : most;
}

interface Change {
	readonly path: StorePath;
	/** A removal is told to those who watch below the path too. */
	readonly removed: boolean;
	/** The node before it was removed or after it changed, for the permission to be told. */
	readonly node: StoreNode;
}

interface Transaction {
	readonly base: StoreNode;
	root: StoreNode;
	readonly changes: Change[];
}

interface Watch {
	/** As the client wrote it. */
	readonly text: string;
	/** Undefined for a special watch ("@introduceDomain"). */
	readonly path: StorePath | undefined;
	readonly token: string;
}

/** Told of an event: the path as the client names it, and the token of its watch. */
export type WatchListener = (path: string, token: string) => void;

/** One client of the store. */
export interface StoreClient {
	readonly domain: number;
	readonly privileged: boolean;
	readonly onEvent: WatchListener;
}

interface ClientState {
	readonly client: StoreClient;
	readonly watches: Watch[];
	readonly transactions: Map<number, Transaction>;
}

const owner: readonly Permission[] = [{ domain: 0, read: false, write: false }];

export class XenStore {
	private root = emptyNode(owner);
	private readonly clients = new Map<StoreClient, ClientState>();
	private nextTransaction = 1;

	connect(client: StoreClient): void {
		this.clients.set(client, { client, watches: [], transactions: new Map() });
		this.fireSpecial("@introduceDomain");
	}

	disconnect(client: StoreClient): void {
		if (this.clients.delete(client)) this.fireSpecial("@releaseDomain");
	}

	/** A domain crashed or shut down; its nodes stay. */
	domainStopped(): void {
		this.fireSpecial("@releaseDomain");
	}

	isConnected(domain: number): boolean {
		return [...this.clients.keys()].some((client) => client.domain === domain);
	}

	/** The text of a node, for views; undefined when it is not there. */
	text(path: string): string | undefined {
		const parsed = parsePath(path);
		const node = parsed && find(this.root, parsed);
		return node && new TextDecoder("latin1").decode(node.value);
	}

	/** Names of the children of a node, for views. */
	names(path: string): string[] {
		const parsed = parsePath(path);
		return parsed ? [...(find(this.root, parsed)?.children.keys() ?? [])] : [];
	}

	// ---- requests; each throws StoreError ----------------------------------------------------------------------------

	private state(client: StoreClient): ClientState {
		const state = this.clients.get(client);
		if (!state) throw new StoreError("EINVAL");
		return state;
	}

	private transaction(client: StoreClient, id: number): Transaction | undefined {
		if (id === 0) return undefined;
		const transaction = this.state(client).transactions.get(id);
		if (!transaction) throw new StoreError("ENOENT");
		return transaction;
	}

	private rootOf(client: StoreClient, transaction: number): StoreNode {
		return this.transaction(client, transaction)?.root ?? this.root;
	}

	/** A relative path lies under the client's own folder. */
	private path(client: StoreClient, text: string): StorePath {
		const path = parsePath(text.startsWith("/") ? text : `/local/domain/${client.domain}/${text}`);
		if (!path) throw new StoreError("EINVAL");
		return path;
	}

	private allowed(client: StoreClient, node: StoreNode, access: "read" | "write"): boolean {
		const { permissions } = node;
		if (client.privileged || permissions[0]?.domain === client.domain) return true;
		const own = permissions.slice(1).find(({ domain }) => domain === client.domain) ?? permissions[0];
		return own?.[access] ?? false;
	}

	private node(client: StoreClient, transaction: number, text: string, access: "read" | "write"): StoreNode {
		const root = this.rootOf(client, transaction);
		const path = this.path(client, text);
		const node = find(root, path);
		if (node && this.allowed(client, node, access)) return node;
		// Who may not look into the nearest parent does not learn what is there.
		for (let depth = path.length; ; depth--) {
			const above = find(root, path.slice(0, depth));
			if (above) throw new StoreError(this.allowed(client, above, access) ? "ENOENT" : "EACCES");
		}
	}

	read(client: StoreClient, transaction: number, path: string): Uint8Array {
		return this.node(client, transaction, path, "read").value;
	}

	directory(client: StoreClient, transaction: number, path: string): string[] {
		return [...this.node(client, transaction, path, "read").children.keys()];
	}

	permissions(client: StoreClient, transaction: number, path: string): readonly Permission[] {
		return this.node(client, transaction, path, "read").permissions;
	}

	setPermissions(client: StoreClient, transaction: number, path: string, permissions: readonly Permission[]): void {
		const node = this.node(client, transaction, path, "write");
		const before = node.permissions[0]?.domain;
		if (permissions.length === 0 || permissions.length > MOST_PERMISSIONS) throw new StoreError("EINVAL");
		if (!client.privileged && (before !== client.domain || permissions[0]!.domain !== before))
			throw new StoreError("EPERM");
		this.put(client, transaction, this.path(client, path), { ...node, permissions });
	}

	write(client: StoreClient, transaction: number, path: string, value: Uint8Array): void {
		if (value.length > quota(client, MOST_VALUE_BYTES)) throw new StoreError("E2BIG");
		const node = this.made(client, transaction, path);
		this.put(client, transaction, this.path(client, path), { ...node, value: value.slice() });
	}

	mkdir(client: StoreClient, transaction: number, path: string): void {
		const there = find(this.rootOf(client, transaction), this.path(client, path));
		const node = this.made(client, transaction, path);
		if (!there) this.put(client, transaction, this.path(client, path), node);
	}

	/** The node at a path, made with its parents where they are missing. */
	private made(client: StoreClient, transaction: number, text: string): StoreNode {
		const path = this.path(client, text);
		let root = this.rootOf(client, transaction);
		const there = find(root, path);
		if (there) {
			if (!this.allowed(client, there, "write")) throw new StoreError("EACCES");
			return there;
		}
		let depth = path.length;
		while (!find(root, path.slice(0, depth))) depth--;
		const parent = find(root, path.slice(0, depth))!;
		if (!this.allowed(client, parent, "write")) throw new StoreError("EACCES");
		if (countOwned(root, client.domain) + path.length - depth > quota(client, MOST_NODES))
			throw new StoreError("ENOSPC");
		// A new node has the permissions of its parent; its owner is who made it.
		const [first, ...others] = parent.permissions;
		const node = emptyNode(client.privileged ? parent.permissions : [{ ...first!, domain: client.domain }, ...others]);
		for (; depth < path.length; depth++) root = this.withChild(root, path.slice(0, depth), path[depth]!, node);
		this.setRoot(client, transaction, root);
		return node;
	}

	private withChild(root: StoreNode, path: StorePath, name: string, node: StoreNode): StoreNode {
		const parent = find(root, path)!;
		return replace(root, path, { ...parent, children: new Map(parent.children).set(name, node) });
	}

	rm(client: StoreClient, transaction: number, text: string): void {
		const path = this.path(client, text);
		const root = this.rootOf(client, transaction);
		const node = find(root, path);
		if (!node) {
			if (path.length > 0 && find(root, path.slice(0, -1))) return;
			throw new StoreError("ENOENT");
		}
		if (path.length === 0) throw new StoreError("EINVAL");
		if (!this.allowed(client, node, "write")) throw new StoreError("EACCES");
		this.setRoot(client, transaction, remove(root, path));
		this.changed(client, transaction, { path, removed: true, node });
	}

	private put(client: StoreClient, transaction: number, path: StorePath, node: StoreNode): void {
		this.setRoot(client, transaction, replace(this.rootOf(client, transaction), path, node));
		this.changed(client, transaction, { path, removed: false, node });
	}

	private setRoot(client: StoreClient, id: number, root: StoreNode): void {
		const transaction = this.transaction(client, id);
		if (transaction) transaction.root = root;
		else this.root = root;
	}

	private changed(client: StoreClient, id: number, change: Change): void {
		const transaction = this.transaction(client, id);
		if (!transaction) this.fire(change);
		else if (transaction.changes.length < MOST_CHANGES) transaction.changes.push(change);
		else throw new StoreError("ENOSPC");
	}

	// ---- transactions ------------------------------------------------------------------------------------------------

	startTransaction(client: StoreClient): number {
		const { transactions } = this.state(client);
		if (transactions.size >= quota(client, MOST_TRANSACTIONS)) throw new StoreError("ENOSPC");
		const id = this.nextTransaction;
		this.nextTransaction = (this.nextTransaction % 0x7fff_ffff) + 1;
		transactions.set(id, { base: this.root, root: this.root, changes: [] });
		return id;
	}

	endTransaction(client: StoreClient, id: number, commit: boolean): void {
		const transaction = this.transaction(client, id);
		if (!transaction) throw new StoreError("ENOENT");
		this.state(client).transactions.delete(id);
		if (!commit || transaction.changes.length === 0) return;
		if (transaction.base !== this.root) throw new StoreError("EAGAIN");
		this.root = transaction.root;
		for (const change of transaction.changes) this.fire(change);
	}

	// ---- watches -----------------------------------------------------------------------------------------------------

	watch(client: StoreClient, text: string, token: string): void {
		const { watches } = this.state(client);
		const path = text.startsWith("@") ? undefined : this.path(client, text);
		if (token.length > MOST_TOKEN_BYTES || text.length > MOST_TOKEN_BYTES) throw new StoreError("E2BIG");
		if (watches.some((watch) => watch.text === text && watch.token === token)) throw new StoreError("EEXIST");
		if (watches.length >= quota(client, MOST_WATCHES)) throw new StoreError("E2BIG");
		watches.push({ text, path, token });
		client.onEvent(text, token);
	}

	unwatch(client: StoreClient, text: string, token: string): void {
		const { watches } = this.state(client);
		const index = watches.findIndex((watch) => watch.text === text && watch.token === token);
		if (index < 0) throw new StoreError("ENOENT");
		watches.splice(index, 1);
	}

	/** Forgets the watches and transactions of a client. */
	resetClient(client: StoreClient): void {
		const { watches, transactions } = this.state(client);
		watches.length = 0;
		transactions.clear();
	}

	private fire({ path, removed, node }: Change): void {
		for (const { client, watches } of [...this.clients.values()]) {
			if (!this.allowed(client, node, "read")) continue;
			for (const { text, path: watched, token } of [...watches]) {
				if (!watched) continue;
				if (isWithin(path, watched)) {
					const below = path.slice(watched.length).join("/");
					client.onEvent(below === "" ? text : text.endsWith("/") ? text + below : `${text}/${below}`, token);
				} else if (removed && isWithin(watched, path)) client.onEvent(text, token);
			}
		}
	}

	private fireSpecial(name: string): void {
		for (const { client, watches } of [...this.clients.values()]) {
			if (!client.privileged) continue;
			for (const watch of [...watches]) if (watch.text === name) client.onEvent(name, watch.token);
		}
	}

	/** Writes on behalf of the hypervisor's tools: the nodes that are there when a domain starts. */
	provide(path: string, value: string, permissions: readonly Permission[]): void {
		const tools: StoreClient = { domain: 0, privileged: true, onEvent: () => {} };
		this.write(tools, 0, path, new TextEncoder().encode(value));
		this.setPermissions(tools, 0, path, permissions);
	}

	/** All nodes as lines "path = value", for views and tests. */
	lines(): string[] {
		const lines: string[] = [];
		const visit = (node: StoreNode, path: StorePath) => {
			if (path.length > 0) lines.push(`${formatPath(path)} = ${new TextDecoder("latin1").decode(node.value)}`);
			for (const [name, child] of node.children) visit(child, [...path, name]);
		};
		visit(this.root, []);
		return lines;
	}
}
