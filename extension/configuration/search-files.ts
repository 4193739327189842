// Looks through folders by the editor's file system: it works in every host, also where there is no search service.
import * as vscode from "vscode";

const skippedFolders = new Set(["node_modules", ".git", ".cache"]);
const deepest = 4;
/** Entries looked at; a larger workspace names its image in launch.json. */
const mostEntries = 5000;

/** Files whose name matches, those nearest to the folder first, in order of name. */
export async function searchFiles(folder: vscode.Uri, name: RegExp, most: number): Promise<vscode.Uri[]> {
	const found: vscode.Uri[] = [];
	let entries = 0;
	let level = [folder];
	for (let depth = 0; depth < deepest && level.length > 0; depth++) {
		const next: vscode.Uri[] = [];
		for (const place of level) {
			const inside = await readFolder(place);
			for (const [entry, type] of inside.sort(([a], [b]) => a.localeCompare(b))) {
				if (++entries > mostEntries || found.length >= most) return found;
				const uri = vscode.Uri.joinPath(place, entry);
				if (type & vscode.FileType.File) {
					if (name.test(entry)) found.push(uri);
				} else if (type === vscode.FileType.Directory && !skippedFolders.has(entry)) next.push(uri);
			}
		}
		level = next;
	}
	return found;
}

async function readFolder(folder: vscode.Uri): Promise<[string, vscode.FileType][]> {
	try {
		return await vscode.workspace.fs.readDirectory(folder);
	} catch {
		return []; // Not readable: nothing to find.
	}
}
