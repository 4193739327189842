// `npm start`: the main job in the terminal, then the same in VS Code. `--once` ends after the printing.
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runMainJob, sampleJob } from "./main-job.ts";
import { openEditor } from "./open-editor.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const words = process.argv.slice(2);
const unknown = words.find((word) => word !== "--once");

if (unknown !== undefined) {
	console.error(`npm start: "${unknown}" is unknown; the only option is --once.`);
	process.exitCode = 2;
} else {
	const print = (line: string) => console.log(line);
	const job = sampleJob(root);
	try {
		await runMainJob(job, print);
		if (!words.includes("--once")) {
			print("");
			await openEditor(root, dirname(job.program), print);
		}
	} catch (error) {
		console.error(error instanceof Error ? error.message : String(error));
		process.exitCode = 1;
	}
}
