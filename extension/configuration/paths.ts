// Paths in a launch configuration: relative ones are taken from the workspace folder, and in a folder that is not on the
// machine's disk (a virtual workspace) a path becomes the URI that the editor's file system understands.

export interface FolderLike {
	readonly scheme: string;
	readonly path: string;
	/** The folder's URI with another path, written out. */
	withPath(path: string): string;
	/** Path on the machine, for folders on its disk. */
	readonly fsPath: string;
}

const isUri = (path: string) => /^[A-Za-z][A-Za-z0-9+.-]+:\//.test(path);
const isAbsolute = (path: string) => path.startsWith("/") || /^[A-Za-z]:[\\/]/.test(path) || path.startsWith("\\\\");

/** The path as the debug adapter is to be given it. */
export function resolvePath(path: string, folder: FolderLike | undefined): string {
	if (isUri(path) || !folder) return path;
	const onDisk = folder.scheme === "file" || folder.scheme === "vscode-remote";
	if (onDisk) return isAbsolute(path) ? path : `${folder.fsPath.replace(/[\\/]+$/, "")}/${path}`;
	// `${workspaceFolder}` of a virtual folder is its path, of which the root may double the slash.
	const absolute = (isAbsolute(path) ? path : `${folder.path}/${path}`).replace(/\/{2,}/g, "/");
	return folder.withPath(absolute);
}

/** A copy of the configuration with every path resolved. */
export function resolvePaths<Configuration extends Readonly<Record<string, unknown>>>(
	configuration: Configuration,
	folder: FolderLike | undefined,
): Configuration {
	const resolved: Record<string, unknown> = { ...configuration };
	for (const name of ["program", "initrd", "firmware", "domain0", "cdrom"]) {
		const value = resolved[name];
		if (typeof value === "string" && value !== "") resolved[name] = resolvePath(value, folder);
	}
	if (Array.isArray(resolved.disks))
		resolved.disks = resolved.disks.map((disk) => (typeof disk === "string" ? resolvePath(disk, folder) : disk));
	if (Array.isArray(resolved.symbolFiles))
		resolved.symbolFiles = resolved.symbolFiles.map((file) =>
			typeof file === "string"
				? resolvePath(file, folder)
				: file && typeof file.path === "string"
					? { ...file, path: resolvePath(file.path, folder) }
					: file,
		);
	return resolved as Configuration;
}
