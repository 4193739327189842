// Finds the kernel images of a workspace, for F5 without a launch.json and for the offered configurations.
import * as vscode from "vscode";
import { type GuestImage, imageHeaderLength, recognizeImage } from "./image.ts";

export interface FoundImage extends GuestImage {
	readonly uri: vscode.Uri;
}

/** Names that kernels have; anything else can be chosen by hand. */
const likelyNames = "**/{*.elf,*.bin,*.kernel,kernel,kernel.*,vmlinux*,vmlinuz*,bzImage*}";
const notSearched = "**/{node_modules,.git,.cache}/**";
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
export async function findImages(
	folder: vscode.WorkspaceFolder | undefined,
	token?: vscode.CancellationToken,
): Promise<FoundImage[]> {
	const pattern = folder ? new vscode.RelativePattern(folder, likelyNames) : likelyNames;
	const files = await vscode.workspace.findFiles(pattern, notSearched, mostFiles, token);
	const images = (await Promise.all(files.map(imageAt))).filter((image) => image !== undefined);
	const depth = (image: FoundImage) => image.uri.path.split("/").length;
	return images.sort((a, b) => depth(a) - depth(b) || a.uri.path.localeCompare(b.uri.path));
}
