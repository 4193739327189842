// Every option's bad values are refused with one sentence; what cannot be written is refused before the machine runs.

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type TestContext, test } from "node:test";
import { fileURLToPath } from "node:url";
import { MachineError } from "../../emulator/machine/virtual-machine.ts";
import { parseRunArguments } from "./arguments.ts";
import { runMachine } from "./run.ts";

const HELLO = resolve(dirname(fileURLToPath(import.meta.url)), "../samples/hello/hello.elf");

const refused = (sentence: RegExp) => (error: unknown) =>
	error instanceof MachineError && sentence.test(error.message) && !error.message.includes("\n");

for (const [words, sentence] of [
	[["--max-instructions", "0"], /not a whole number above 0/],
	[["--max-instructions", "1.5"], /not a whole number above 0/],
	[["--max-instructions", "Infinity"], /not a whole number above 0/],
	[["--max-instructions", "many"], /"many" is not a whole number/],
	[["--timeout", "-1"], /not a number of seconds above 0/],
	[["--timeout", "Infinity"], /not a number of seconds above 0/],
	[["--memory", "1.5G"], /give a multiple of 4K/],
	[["--memory", "4097K"], /give a multiple of 4K/],
	[["--vmm", "kvm"], /takes none, trap, bt, pv, hvm/],
	[["--vmm", "none", "--mmu", "ept"], /Under "none" the hardware walks the guest's own tables/],
	[["--mmu", "shadow"], /Under "none"/],
	[["--until-serial", "("], /not a regular expression/],
	[["--then", "text", "regex"], /--then follows --until-serial/],
	[["--stats"], /--stats needs a value/],
	[["--bogus"], /Unknown option --bogus/],
] as const)
	test(`${words.join(" ")} is refused`, () => {
		assert.throws(() => parseRunArguments([HELLO, ...words]), refused(sentence));
	});

test("numbers may be written with an exponent; half seconds are a time", () => {
	const parsed = parseRunArguments([HELLO, "--max-instructions", "2e9", "--timeout", "0.5"]);
	assert.deepEqual([parsed.maxInstructions, parsed.timeout], [2e9, 0.5]);
});

function folder(t: TestContext): string {
	const path = mkdtempSync(join(tmpdir(), "hyperscope-cli-"));
	t.after(() => rmSync(path, { recursive: true, force: true }));
	return path;
}

for (const option of ["--serial", "--stats"])
	test(`a file for ${option} that cannot be written is refused before the run`, async (t) => {
		const work = folder(t);
		const run = (path: string) => runMachine(parseRunArguments([HELLO, option, path]));
		await assert.rejects(run(join(work, "nowhere/file")), refused(/nowhere\/file cannot be written \(ENOENT\)\.$/));
		await assert.rejects(run(work), refused(/cannot be written \(EISDIR\)\.$/));
	});

test("the serial output goes to a file whole, in order, and the pattern is found over many single characters", async (t) => {
	const file = join(folder(t), "serial");
	const words = [HELLO, "--serial", file, "--until-serial", "from the guest"];
	assert.equal(await runMachine(parseRunArguments(words)), 0);
	assert.match(readFileSync(file, "latin1"), /^Hello from the guest/);
	assert.equal(await runMachine(parseRunArguments([HELLO, "--serial", file])), 1);
	assert.equal(readFileSync(file, "latin1"), "Hello from the guest kernel\n");
});

test("a run ends after exactly the instructions that it was given", async (t) => {
	const stats = join(folder(t), "stats.json");
	for (const count of [1, 7, 100, 1001]) {
		const words = [
			HELLO,
			"--memory",
			"4M",
			"--serial",
			`${stats}.serial`,
			"--stats",
			stats,
			"--max-instructions",
			String(count),
		];
		const status = await runMachine(parseRunArguments(words));
		const { instructions, stop } = JSON.parse(readFileSync(stats, "utf8"));
		if (stop === "budget") assert.deepEqual([status, instructions], [3, count]);
		else assert.ok(stop === "debug-exit" && instructions <= count, `${stop} after ${instructions}`);
	}
});

test("where a pattern ends a run depends on the guest alone, not on the time that it takes here", async (t) => {
	const work = folder(t);
	const kernel = resolve(dirname(HELLO), "../kernel32/kernel32.elf");
	const ends: unknown[] = [];
	for (const limit of [[], ["--max-instructions", "50000000"], ["--engine", "interpreter"]]) {
		const stats = join(work, "stats.json");
		const words = [
			kernel,
			"--memory",
			"32M",
			"--serial",
			join(work, "serial"),
			"--stats",
			stats,
			"--until-serial",
			"\\w+",
			...limit,
		];
		assert.equal(await runMachine(parseRunArguments(words)), 0);
		const { instructions, memoryHash, stop } = JSON.parse(readFileSync(stats, "utf8"));
		assert.equal(stop, "serial");
		ends.push({ instructions, memoryHash });
	}
	assert.deepEqual(ends[1], ends[0]);
	assert.deepEqual(ends[2], ends[0]);
});

test("a reader that leaves ends the run with one line", { timeout: 60_000 }, async () => {
	const program = resolve(dirname(HELLO), "../../cli/hyperscope.ts");
	const child = spawn(process.execPath, ["--import", "tsx", program, "run", HELLO], {
		stdio: ["ignore", "pipe", "pipe"],
	});
	child.stdout.destroy();
	let errors = "";
	child.stderr.on("data", (bytes) => {
		errors += bytes;
	});
	assert.equal(await new Promise((done) => child.on("close", done)), 2);
	assert.match(errors, /^hyperscope: standard output cannot be written \(EPIPE\)\.\n$/);
});
