// The nodes of xenstore: an immutable tree, so that a transaction is a root of its own and a snapshot costs nothing.
// Reference: Xen, docs/misc/xenstore.txt.

/** What one domain may do with a node. */
export interface Permission {
	readonly domain: number;
	readonly read: boolean;
	readonly write: boolean;
}

export interface StoreNode {
	readonly value: Uint8Array;
	/** The first names the owner, and what domains that are not listed may do. */
	readonly permissions: readonly Permission[];
	readonly children: ReadonlyMap<string, StoreNode>;
}

const noBytes = new Uint8Array(0);

export function emptyNode(permissions: readonly Permission[]): StoreNode {
	return { value: noBytes, permissions, children: new Map() };
}

/** "/a/b" as ["a", "b"]; "/" as []. */
export type StorePath = readonly string[];

const MOST_PATH_BYTES = 3072;
const component = /^[-0-9A-Za-z_@]+$/;

/** Undefined for a path that is not one: relative, doubled or trailing slashes, other characters, too long. */
export function parsePath(text: string): StorePath | undefined {
	if (text === "/") return [];
	if (text.length > MOST_PATH_BYTES || !text.startsWith("/")) return undefined;
	const parts = text.slice(1).split("/");
	return parts.every((part) => component.test(part)) ? parts : undefined;
}

export function formatPath(path: StorePath): string {
	return `/${path.join("/")}`;
}

export function find(root: StoreNode, path: StorePath): StoreNode | undefined {
	let node: StoreNode | undefined = root;
	for (const name of path) node = node?.children.get(name);
	return node;
}

/** The tree with the node at a path replaced; its parents must be there. */
export function replace(root: StoreNode, path: StorePath, node: StoreNode): StoreNode {
	const [name, ...rest] = path;
	if (name === undefined) return node;
	const children = new Map(root.children);
	children.set(name, replace(root.children.get(name)!, rest, node));
	return { ...root, children };
}

/** The tree without the node at a path, which must be there. */
export function remove(root: StoreNode, path: StorePath): StoreNode {
	const [name, ...rest] = path;
	const children = new Map(root.children);
	if (rest.length === 0) children.delete(name!);
	else children.set(name!, remove(root.children.get(name!)!, rest));
	return { ...root, children };
}

/** Nodes of a subtree that a domain owns. */
export function countOwned(node: StoreNode, domain: number): number {
	let count = node.permissions[0]?.domain === domain ? 1 : 0;
	for (const child of node.children.values()) count += countOwned(child, domain);
	return count;
}

/** Whether `path` is `parent` or lies under it. */
export function isWithin(path: StorePath, parent: StorePath): boolean {
	return path.length >= parent.length && parent.every((name, i) => path[i] === name);
}
