// Files that a session needs (images, symbols, disks), read through the editor's file system, which reaches remote and
// virtual workspaces as well.
import * as vscode from "vscode";

/** A URI for what launch.json names: an absolute path of the machine, or a URI written out. */
export function guestFileUri(path: string): vscode.Uri {
	// A drive letter ("C:\…") is no scheme: those have at least two letters.
	return /^[A-Za-z][A-Za-z0-9+.-]+:\//.test(path) ? vscode.Uri.parse(path, true) : vscode.Uri.file(path);
}

/**
 * The bytes of one file.
 * @throws {Error} with one sentence: what is wrong with which file.
 */
export async function readGuestFile(path: string): Promise<Uint8Array> {
	try {
		return await vscode.workspace.fs.readFile(guestFileUri(path));
	} catch (error) {
		if (error instanceof vscode.FileSystemError) {
			if (error.code === "FileNotFound") throw new Error(`There is no file "${path}".`);
			if (error.code === "FileIsADirectory") throw new Error(`"${path}" is a folder, not a file.`);
			if (error.code === "NoPermissions") throw new Error(`"${path}" may not be read: permission denied.`);
		}
		throw new Error(`"${path}" cannot be read: ${error instanceof Error ? error.message : String(error)}`);
	}
}
