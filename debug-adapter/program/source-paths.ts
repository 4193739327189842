// Paths as the compiler wrote them, and where the files are on this machine.
import type { HostServices } from "../host-services.ts";

/** More files than this are not tried while looking for the sources. */
const MOST_TRIES = 24;
/** Folders above the image's in which sources are looked for. */
const MOST_PARENTS = 3;

function isAbsolute(path: string): boolean {
	return /^([/\\]|[A-Za-z]:|[a-z][a-z0-9+.-]+:\/)/.test(path);
}

/** The folder of a file, without the final slash. */
export function folderOf(path: string): string {
	const at = Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\"));
	return at > 0 ? path.slice(0, at) : at === 0 ? "/" : ".";
}

export function fileName(path: string): string {
	return path.slice(Math.max(path.lastIndexOf("/"), path.lastIndexOf("\\")) + 1);
}

/** Joins and takes "." and ".." out. A folder written as a URI ("vscode-vfs://host/a") keeps its scheme and authority. */
export function joinPath(folder: string, path: string): string {
	const root = /^[A-Za-z][A-Za-z0-9+.-]+:\/\/[^/]*/.exec(folder)?.[0] ?? "";
	const parts: string[] = [];
	const full = `${folder.slice(root.length)}/${path}`;
	for (const part of full.split("/")) {
		if (part === "." || (part === "" && parts.length > 0)) continue;
		// Above the root is the root.
		if (part === ".." && parts.length === 1 && parts[0] === "") continue;
		if (part === ".." && parts.length > 0 && parts.at(-1) !== "..") parts.pop();
		else parts.push(part);
	}
	return root + parts.join("/");
}

export class SourcePaths {
	/** Pairs from `sourceMap`, then those that were found out; the longest prefix that fits is used. */
	private pairs: readonly (readonly [from: string, to: string])[] = [];
	private imageFolder = ".";

	/** `map` is the launch configuration's sourceMap. */
	configure(imagePath: string | undefined, map: Iterable<readonly [string, string]>): void {
		this.imageFolder = imagePath ? folderOf(imagePath) : ".";
		this.pairs = [...map].sort((a, b) => b[0].length - a[0].length);
	}

	/** Where the file is on this machine, as far as is known. */
	toLocal(recorded: string): string {
		for (const [from, to] of this.pairs) {
			if (!recorded.startsWith(from)) continue;
			const rest = recorded.slice(from.length);
			if (rest === "" || from.endsWith("/") || /^[/\\]/.test(rest)) return joinPath(to, rest.replace(/^[/\\]/, ""));
		}
		return isAbsolute(recorded) ? recorded : joinPath(this.imageFolder, recorded);
	}

	/**
	 * When the sources are not where the compiler had them, looks for them in and above the image's folder, and
	 * remembers how the two differ. Reads few files; finds nothing silently.
	 */
	async locate(recorded: readonly string[], host: HostServices): Promise<void> {
		const isThere = (path: string) =>
			host.readFile(path).then(
				() => true,
				() => false,
			);
		let tries = 0;
		for (const path of recorded) {
			if (++tries > MOST_TRIES) return;
			if (await isThere(this.toLocal(path))) return;
			const parts = path.split(/[/\\]/).filter((part) => part !== "" && part !== ".");
			for (let keep = Math.min(parts.length, 4); keep >= 1; keep--) {
				const tail = parts.slice(-keep).join("/");
				let folder = this.imageFolder;
				for (let up = 0; up <= MOST_PARENTS; up++) {
					if (++tries > MOST_TRIES * 8) return;
					if (await isThere(joinPath(folder, tail))) {
						const from = path.slice(0, path.length - tail.length);
						if (from !== "") this.pairs = [...this.pairs, [from, folder]];
						return;
					}
					folder = joinPath(folder, "..");
				}
			}
		}
	}
}
