// Debian's kernels with busybox: they reach a shell prompt and run a command. The kernels come from Debian's packages.

import assert from "node:assert/strict";
import { type TestContext, test } from "node:test";
import { type CommandResult, hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest } from "../tools/debian-guests.ts";

/** A run takes about a minute and a half; much more means that the guest hangs. */
const SECONDS = 900;
const PROMPT = "/ # ";
/** The shell multiplies: the answer does not stand in the echo of the command. */
const COMMAND = "echo $((6*7))";
const ANSWER = "\n42\r?\n";

function boot(
	t: TestContext,
	architecture: "i386" | "amd64",
	options: readonly string[],
): Promise<CommandResult> | undefined {
	const guest = debianGuest(architecture);
	if (typeof guest === "string") {
		if (process.env.CI) assert.fail(guest);
		t.skip(guest);
		return undefined;
	}
	const words = [guest.kernel, "--initrd", guest.initrd, "--memory", "512M", "--append", "console=ttyS0", ...options];
	return hyperscopeRun([...words, "--until-serial", PROMPT, "--then", COMMAND, ANSWER], SECONDS);
}

/**
 * The lines of a boot without what measures time: translated code takes other numbers of instructions, so that calibrations and
 * dates differ in their last digits and two threads of the kernel may print in another order.
 */
function withoutTime(output: string): string[] {
	return output
		.replaceAll("\r", "")
		.split("\n")
		.map((line) =>
			/MHz|BogoMIPS|max_cycles|sched_clock|audit\(|system clock|raid6|xor:/.test(line)
				? line.replace(/\d[\da-fx.:,-]*/g, "N")
				: line,
		)
		.sort();
}

function assertShell(result: CommandResult, kernel: RegExp): void {
	assert.equal(result.status, 0, `${result.errors}\n${result.output.slice(-2000)}`);
	assert.match(result.output, kernel);
	assert.equal(result.statistics.stop, "serial");
}

test("linux-image-686 under none reaches a shell, runs a command, and does so again to the instruction", async (t) => {
	const first = await boot(t, "i386", ["--vmm", "none"]);
	if (!first) return;
	assertShell(first, /GUEST-SHELL .* i686/);
	t.diagnostic(`${first.statistics.instructions} instructions, ${first.statistics.mips.toFixed(1)} MIPS`);
	const second = await boot(t, "i386", ["--vmm", "none"]);
	assert.equal(second!.statistics.instructions, first.statistics.instructions);
	assert.equal(second!.statistics.memoryHash, first.statistics.memoryHash);
	assert.equal(second!.output, first.output);
});

test("linux-image-686 under bt with shadow page tables reaches a shell and prints what it prints under none", async (t) => {
	const quiet = ["--append", "console=ttyS0 printk.time=0"];
	const bt = await boot(t, "i386", ["--vmm", "bt", "--mmu", "shadow", ...quiet]);
	if (!bt) return;
	assertShell(bt, /GUEST-SHELL .* i686/);
	const { instructions, mips, mmu } = bt.statistics;
	t.diagnostic(
		`${instructions} host instructions, ${mips.toFixed(1)} MIPS, ${mmu.hiddenFaults} hidden and ${mmu.trueFaults} true faults`,
	);
	const none = await boot(t, "i386", ["--vmm", "none", ...quiet]);
	assert.deepEqual(withoutTime(bt.output), withoutTime(none!.output));
});

test("linux-image-amd64 under none reaches a shell and runs a command", async (t) => {
	const result = await boot(t, "amd64", ["--vmm", "none"]);
	if (!result) return;
	assertShell(result, /GUEST-SHELL .* x86_64/);
	t.diagnostic(`${result.statistics.instructions} instructions, ${result.statistics.mips.toFixed(1)} MIPS`);
});
