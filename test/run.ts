// `npm test`: runs the named stages (all of them when none is named) and ends with one line, "N passed, N failed, N skipped".
import { existsSync, readdirSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { fileURLToPath } from "node:url";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const stages = ["unit", "system"] as const;
type Stage = (typeof stages)[number];

/** Unit tests stand beside their source; what crosses folders, needs a download or much time is under `test/` (stage "system"). */
function testFiles(stage: Stage): string[] {
	const found: string[] = [];
	const visit = (folder: string) => {
		if (!existsSync(join(root, folder))) return;
		for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
			const path = `${folder}/${entry.name}`;
			if (entry.isDirectory()) {
				if (entry.name !== "node_modules" && entry.name !== "build") visit(path);
			} else if (entry.name.endsWith(".test.ts")) found.push(join(root, path));
		}
	};
	if (stage === "unit") for (const folder of ["emulator", "debug-adapter", "extension", "webviews"]) visit(folder);
	else visit("test");
	return found.sort();
}

async function runStage(
	stage: Stage,
	filter: string | undefined,
): Promise<{ passed: number; failed: number; skipped: number }> {
	const files = testFiles(stage).filter((file) => !filter || file.includes(filter));
	const count = { passed: 0, failed: 0, skipped: 0 };
	if (files.length === 0) return count;
	const stream = run({ files, concurrency: stage === "unit" ? 2 : 1, timeout: 3_600_000 });
	stream.on("test:pass", (event) => {
		if (event.details.type === "suite") return;
		if (event.skip !== undefined || event.todo !== undefined) count.skipped++;
		else count.passed++;
	});
	stream.on("test:fail", (event) => {
		if (event.details.type !== "suite") count.failed++;
	});
	const report = stream.compose(new spec());
	report.pipe(process.stdout);
	await new Promise((done) => report.on("end", done));
	return count;
}

const named = process.argv.slice(2).filter((word): word is Stage => (stages as readonly string[]).includes(word));
const filter = process.argv.slice(2).find((word) => !(stages as readonly string[]).includes(word));
const total = { passed: 0, failed: 0, skipped: 0 };
for (const stage of named.length > 0 ? named : stages) {
	console.log(`\n== ${stage} tests ==`);
	const count = await runStage(stage, filter);
	total.passed += count.passed;
	total.failed += count.failed;
	total.skipped += count.skipped;
}
if (process.env.CI && total.skipped > 0) {
	console.log("In CI nothing may be skipped.");
	process.exitCode = 1;
}
if (total.failed > 0 || total.passed === 0) process.exitCode = 1;
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
