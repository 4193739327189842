// The one door to every job: `node build.mjs <setup|build|check|test|bench|start>`.
// It uses only Node itself until the packages are installed, so that it can install them.
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(fileURLToPath(import.meta.url));

/** Runs a command in the repository's root and ends this process when it fails. */
function run(command, args, options = {}) {
	const done = spawnSync(command, args, { cwd: root, stdio: "inherit", ...options });
	if (done.error) throw done.error;
	if (done.status !== 0) process.exit(done.status ?? 1);
}

/** Installs the packages that package-lock.json names, once for each version of that file. */
function setup() {
	const stamp = join(root, "node_modules", ".hyperscope-lock");
	if (existsSync(stamp) && readFileSync(stamp, "utf8") === readFileSync(join(root, "package-lock.json"), "utf8"))
		return;
	run(process.platform === "win32" ? "npm.cmd" : "npm", ["install", "--ignore-scripts", "--no-audit", "--no-fund"], {
		shell: process.platform === "win32",
	});
	// A file of its own: copies of this folder may share it by hard links.
	rmSync(stamp, { force: true });
	writeFileSync(stamp, readFileSync(join(root, "package-lock.json"), "utf8"));
}

/** Runs a TypeScript program of the project under Node. */
function runTypeScript(file, args) {
	run(process.execPath, ["--import", "tsx", file, ...args]);
}

const [job = "build", ...rest] = process.argv.slice(2);
setup();
switch (job) {
	case "setup":
		break;
	case "build":
		runTypeScript("test/tools/bundle.ts", rest);
		break;
	case "check":
		run(process.execPath, ["node_modules/typescript/bin/tsc", "--noEmit"]);
		runTypeScript("test/tools/check-imports.ts", []);
		run(process.execPath, ["node_modules/@biomejs/biome/bin/biome", "check", "."]);
		break;
	case "test":
		// The tests of the editor load what is shipped; unit tests need no bundle.
		if (!rest.includes("unit")) runTypeScript("test/tools/bundle.ts", []);
		runTypeScript("test/run.ts", rest);
		break;
	case "bench":
		runTypeScript("test/tools/bundle.ts", []);
		runTypeScript("test/bench/bench.ts", rest);
		break;
	case "start":
		runTypeScript("test/tools/bundle.ts", []);
		runTypeScript("extension/start/start.ts", rest);
		break;
	default:
		console.error(`build.mjs: unknown job "${job}". Jobs: setup, build, check, test, bench, start.`);
		process.exit(2);
}
