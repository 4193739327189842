// Runs the .flat files of kvm-unit-tests, which the user has built, on the host machine under `--vmm none`, and lists passes and
// fails by name.
//
//   node --import tsx test/conformance/kvm-unit-tests.ts FOLDER [--only REGEX] [--list] [--write TITLE] [--jobs N] [--seconds N] [--processors N]
//
// FOLDER holds *.flat, of 32- or 64-bit; nothing is fetched. --list prints the runs without making them;
// --jobs makes N at a time, --seconds ends each after N, --processors gives the machine so many (and the runs a name that says so). --write replaces the section
// TITLE of docs/conformance.md by the table. The exit status is 1 when a run that docs/conformance.md names as passed does not pass.

import { existsSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { hyperscopeRun, root } from "../tools/command-line.ts";
import { passedIn, type Result, replaceSection, tableOf } from "./conformance-page.ts";
import { vmxSubtests } from "./vmx-subtests.ts";

/** Arguments with which a program is run more than once, or without which it does nothing. */
const ARGUMENTS: Record<string, readonly string[]> = {
	"vmexit.flat": ["cpuid", "mov_from_cr8", "mov_to_cr8", "inl_from_pmtimer", "toggle_cr0_wp", "toggle_cr4_pge"],
};
/** More of them when there are several processors. */
const ARGUMENTS_OF_SEVERAL: Record<string, readonly string[]> = {
	"vmexit.flat": ["ipi", "ipi_halt", "ple_round_robin"],
};
/** Devices that a program is about. */
const OPTIONS: Record<string, readonly string[]> = { "intel-iommu.flat": ["--iommu", "on"] };
const SKIPPED = ((77 >> 1) << 1) | 1;
const BUDGET = 20_000_000_000;
/** Runs that need more memory than the others (x86/unittests.cfg of the suite). */
const LARGE = /^ept_access/;
const PAGE = join(root, "docs/conformance.md");

const { values, positionals } = parseArgs({
	allowPositionals: true,
	options: {
		only: { type: "string" },
		list: { type: "boolean" },
		write: { type: "string" },
		jobs: { type: "string", default: "1" },
		seconds: { type: "string", default: "900" },
		processors: { type: "string", default: "1" },
	},
});
const seconds = Number(values.seconds);
const processors = Number(values.processors);
const [folder] = positionals;
if (folder === undefined || !existsSync(folder)) {
	console.error(
		"usage: kvm-unit-tests.ts FOLDER [--only REGEX] [--list] [--write TITLE]: FOLDER holds the built *.flat files.",
	);
	process.exit(2);
}

function argumentsOf(file: string): readonly string[] {
	if (file === "vmx.flat") return vmxSubtests(readFileSync(join(folder!, file)));
	if (processors > 1 && ARGUMENTS_OF_SEVERAL[file]) return ARGUMENTS_OF_SEVERAL[file];
	return ARGUMENTS[file] ?? [""];
}

async function run(file: string, words: string): Promise<Result> {
	const memory = LARGE.test(words) ? "2560M" : "512M";
	const command = ["--memory", memory, "--max-instructions", String(BUDGET), "--timeout", String(seconds)];
	command.push(...(OPTIONS[file] ?? []));
	if (processors > 1) command.push("--processors", String(processors));
	if (words !== "") command.push("--append", words);
	// The statistics hold a hash of all memory, which takes longer than most of these programs.
	const { status, output, errors } = await hyperscopeRun([join(folder!, file), ...command], seconds + 20, false);
	const lines = output.split(/\r?\n/);
	const of = (mark: string) =>
		lines.filter((line) => line.startsWith(`${mark}: `)).map((line) => line.slice(mark.length + 2));
	const [passes, fails, skips] = [of("PASS"), of("FAIL"), of("SKIP")];
	return {
		name: [file.replace(/\.flat$/, ""), words, processors > 1 ? `with ${processors} processors` : ""]
			.filter(Boolean)
			.join(" "),
		verdict: verdictOf(status, passes.length, fails.length, lines),
		passes: passes.length,
		fails,
		skips: skips.length,
		detail: status === 1 ? "" : (errors.trim().split("\n").at(-1) ?? ""),
	};
}

/** The programs end with a write to port 0xf4: 0 is success, 77 >> 1 says that they were skipped. The status is what `hyperscope run` makes of it. */
function verdictOf(status: number | null, passes: number, fails: number, lines: readonly string[]): Result["verdict"] {
	if (status === null || (status === 3 && !lines.some((line) => line.startsWith("SUMMARY: ")))) return "no end";
	const skipped = lines.some((line) => /^SUMMARY: .*\b[1-9]\d* skipped/.test(line)) && passes === 0 && fails === 0;
	if (skipped || status === SKIPPED) return "skipped";
	// A check that is expected to fail under KVM, and passes here, counts as unexpected for the program.
	const expected = lines.some((line) => line.startsWith("XPASS: ")) && !lines.some((line) => /^XFAIL: /.test(line));
	return fails === 0 && (status === 1 || (status === 3 && expected)) ? "passed" : "failed";
}

const only = new RegExp(values.only ?? "");
const runs: (readonly [file: string, words: string])[] = [];
for (const file of readdirSync(folder)
	.filter((name) => name.endsWith(".flat"))
	.sort()) {
	for (const words of argumentsOf(file)) {
		if (!only.test(`${file.replace(/\.flat$/, "")} ${words}`.trim())) continue;
		if (values.list) {
			console.log(`${file} ${words}`.trim());
			continue;
		}
		runs.push([file, words]);
	}
}
const results: Result[] = [];
let next = 0;
const job = async (): Promise<void> => {
	while (next < runs.length) {
		const index = next++;
		const result = await run(...runs[index]!);
		results[index] = result;
		console.log(
			`${result.verdict.padEnd(8)} ${result.name}: ${result.passes} passed, ${result.fails.length} failed ${result.detail}`,
		);
		for (const fail of result.fails.slice(0, 20)) console.log(`         FAIL: ${fail}`);
	}
};
await Promise.all(Array.from({ length: Number(values.jobs) }, job));
if (!values.list) {
	const count = (verdict: Result["verdict"]) => results.filter((result) => result.verdict === verdict).length;
	console.log(
		`${count("passed")} passed, ${count("failed")} failed, ${count("no end")} did not end, ${count("skipped")} skipped`,
	);
	const page = readFileSync(PAGE, "utf8");
	if (values.write !== undefined) writeFileSync(PAGE, replaceSection(page, values.write, tableOf(results)));
	else {
		const named = passedIn(page);
		const lost = results.filter((result) => named.has(result.name) && result.verdict !== "passed");
		for (const { name } of lost) console.log(`${name} passed once (docs/conformance.md) and does not now.`);
		if (lost.length > 0) process.exitCode = 1;
	}
}
