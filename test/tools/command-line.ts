// Runs the built command line program and reads its statistics.

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

export const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const program = join(root, "dist/hyperscope.mjs");

export interface CommandResult {
	readonly status: number | null;
	readonly output: string;
	readonly errors: string;
	/** The object that --stats wrote; undefined when it wrote none. */
	// biome-ignore lint/suspicious/noExplicitAny: the keys are the subject of the tests
	readonly statistics: any;
}

let runs = 0;

/** `hyperscope run WORDS...`, with statistics unless it is told not to. The process is ended after `seconds`. */
export async function hyperscopeRun(
	words: readonly string[],
	seconds: number,
	withStatistics = true,
): Promise<CommandResult> {
	if (!existsSync(program)) throw new Error("dist/hyperscope.mjs is missing: run `node build.mjs build` first.");
	const folder = join(root, ".cache/statistics");
	mkdirSync(folder, { recursive: true });
	const file = join(folder, `${process.pid}-${runs++}.json`);
	rmSync(file, { force: true });
	const options = withStatistics ? ["--stats", file] : [];
	const child = spawn(process.execPath, [program, "run", ...words, ...options], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	let output = "";
	let errors = "";
	child.stdout.setEncoding("latin1").on("data", (text: string) => {
		output += text;
	});
	child.stderr.setEncoding("latin1").on("data", (text: string) => {
		errors += text;
	});
	const deadline = setTimeout(() => child.kill("SIGKILL"), seconds * 1000);
	const status = await new Promise<number | null>((done) => child.on("close", done));
	clearTimeout(deadline);
	// A process that was ended may have left a part of the object.
	const statistics = status !== null && existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
	rmSync(file, { force: true });
	return { status, output, errors, statistics };
}
