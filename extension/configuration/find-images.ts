// Finds the kernel images of a workspace, for F5 without a launch.json and for the offered configurations.
import * as vscode from "vscode";
import { type GuestImage, imageHeaderLength, recognizeImage } from "./image.ts";
import { searchFiles } from "./search-files.ts";

export interface FoundImage extends GuestImage {
	readonly uri: vscode.Uri;
}

/** Names that kernels have; anything else can be chosen by hand. */
const likelyNames = /(\.(elf|bin|kernel)$)|^(kernel|vmlinux|vmlinuz|bzImage)/;
/** A larger file is no kernel that one would find by chance (a vmlinux with all its DWARF excepted, which is symbols). */
const largestFile = 64 << 20;
const mostFiles = 50;

/** What a file is, when it can boot. */
export async function imageAt(uri: vscode.Uri): Promise<FoundImage | undefined> {
	try {
		const { size, type } = await vscode.workspace.fs.stat(uri);
		if (!(type & vscode.FileType.File) || size > largestFile) return undefined;
		const bytes = await vscode.workspace.fs.readFile(uri);
		const image = recognizeImage(bytes.subarray(0, imageHeaderLength));
		return image && { ...image, uri };
	} catch {
		return undefined; // Not readable: nothing to offer.
	}
}

/** The images in a folder, or in all folders of the workspace, those nearest to its root first. */
export async function findImages(folder: vscode.WorkspaceFolder | undefined): Promise<FoundImage[]> {
	const folders = folder ? [folder] : (vscode.workspace.workspaceFolders ?? []);
	const files = await Promise.all(folders.map(({ uri }) => searchFiles(uri, likelyNames, mostFiles)));
	const images = await Promise.all(files.flat().map(imageAt));
	return images.filter((image) => image !== undefined);
}
