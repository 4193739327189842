// Starts the VS Code server on the loopback interface with this extension in it, and ends it with all its children.
import { type ChildProcess, spawn } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { InstalledWorkbench } from "./install-workbench.ts";

/** What a user gets when the extension is installed; the same list as `.vscodeignore`. */
const shipped = [
	"package.json",
	"package.nls.json",
	"README.md",
	"CHANGELOG.md",
	"LICENSE",
	"dist",
	"extension/media",
	"extension/languages",
	"extension/samples",
];

const settings = {
	"workbench.startupEditor": "none",
	"workbench.enableExperiments": false,
	"workbench.secondarySideBar.defaultVisibility": "hidden",
	"chat.disableAIFeatures": true,
	"extensions.autoCheckUpdates": false,
	"extensions.autoUpdate": false,
	"extensions.ignoreRecommendations": true,
	"git.enabled": false,
	"telemetry.telemetryLevel": "off",
	"update.mode": "none",
};

export interface ServedWorkbench {
	readonly port: number;
	/** "http://localhost:PORT" */
	readonly origin: string;
	/** The address that opens a folder of this machine, and a file in it. */
	address(folder: string, file?: string): string;
	/** What the server has printed. */
	log(): string;
	stop(): Promise<void>;
}

function freePort(): Promise<number> {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.on("error", reject);
		server.listen(0, "127.0.0.1", () => {
			const address = server.address();
			server.close(() => resolve(typeof address === "object" && address ? address.port : 0));
		});
	});
}

function answers(url: string): Promise<boolean> {
	return new Promise((resolve) => {
		get(url, (response) => {
			response.resume();
			resolve((response.statusCode ?? 500) < 500);
		}).on("error", () => resolve(false));
	});
}

async function untilReady(url: string, child: ChildProcess, log: () => string): Promise<void> {
	for (let attempt = 0; attempt < 600; attempt++) {
		if (child.exitCode !== null) throw new Error(`The VS Code server ended with status ${child.exitCode}: ${log()}`);
		if (await answers(url)) return;
		await sleep(100);
	}
	throw new Error(`The VS Code server does not answer on ${url}: ${log()}`);
}

/** Copies what is shipped of the extension into the server's folder of extensions. */
function installExtension(root: string, extensions: string): void {
	const { publisher, name, version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
	const target = join(extensions, `${publisher}.${name}-${version}`);
	for (const path of shipped)
		if (existsSync(join(root, path))) cpSync(join(root, path), join(target, path), { recursive: true });
}

/**
 * Starts the server with an empty profile of its own.
 * @param root the repository, with `dist/` built
 */
export async function serveWorkbench(
	workbench: InstalledWorkbench,
	root: string,
	options: {
		/** Gives the page a hook for tests, and keeps notifications from popping up. */
		readonly testDriver?: boolean;
	} = {},
): Promise<ServedWorkbench> {
	// A short path: the server makes sockets in it, whose names may have 107 bytes.
	const home = mkdtempSync(join(tmpdir(), "hs-"));
	const data = join(home, "data");
	const extensions = join(home, "extensions");
	mkdirSync(join(data, "data", "User"), { recursive: true });
	mkdirSync(extensions);
	writeFileSync(join(data, "data", "User", "settings.json"), JSON.stringify(settings));
	installExtension(root, extensions);
	const port = await freePort();
	const environment: NodeJS.ProcessEnv = { ...process.env, TMPDIR: home, EXTENSIONS_GALLERY: "{}" };
	for (const name of ["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_CACHE_HOME"]) environment[name] = home;
	for (const name of ["PORT", "PASSWORD", "VSCODE_IPC_HOOK_CLI"]) delete environment[name];
	const values = {
		"--host": "127.0.0.1",
		"--port": String(port),
		"--server-data-dir": data,
		"--user-data-dir": join(data, "data"),
		"--extensions-dir": extensions,
		"--telemetry-level": "off",
	};
	const flags = [
		"--without-connection-token",
		"--accept-server-license-terms",
		"--disable-telemetry",
		"--disable-workspace-trust",
		...(options.testDriver ? ["--enable-smoke-test-driver"] : []),
	];
	let printed = "";
	const child = spawn(workbench.node, [workbench.server, ...flags, ...Object.entries(values).flat()], {
		env: environment,
		stdio: ["ignore", "pipe", "pipe"],
		// A process group of its own, which stop() ends as a whole: the server starts children.
		detached: process.platform !== "win32",
	});
	for (const stream of [child.stdout, child.stderr]) stream.on("data", (text: Buffer) => (printed += text));
	const stop = async () => {
		const signal = (name: NodeJS.Signals) => {
			try {
				if (process.platform === "win32") child.kill(name);
				else process.kill(-child.pid!, name);
			} catch {
				// It has ended already.
			}
		};
		signal("SIGTERM");
		for (let wait = 0; wait < 50 && child.exitCode === null && child.signalCode === null; wait++) await sleep(100);
		signal("SIGKILL");
		rmSync(home, { recursive: true, force: true, maxRetries: 5 });
	};
	try {
		await untilReady(`http://127.0.0.1:${port}/version`, child, () => printed);
	} catch (error) {
		await stop();
		throw error;
	}
	const origin = `http://localhost:${port}`;
	return {
		port,
		origin,
		address: (folder, file) => {
			const open = file && JSON.stringify([["openFile", `vscode-remote://localhost:${port}${file}`]]);
			return `${origin}/?folder=${encodeURIComponent(folder)}${open ? `&payload=${encodeURIComponent(open)}` : ""}`;
		},
		log: () => printed,
		stop,
	};
}
