// Debian's kernels with busybox: they reach a shell prompt and run a command. The kernels come from Debian's packages.

import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { type TestContext, test } from "node:test";
import { useHostHash } from "../../emulator/machine/hash.ts";
import { createMachine } from "../../emulator/vmm/create-machine.ts";
import { ACPI_COMPLAINT } from "../tools/acpi-reader.ts";
import { type CommandResult, hyperscopeRun } from "../tools/command-line.ts";
import { debianGuest, type LinuxGuest } from "../tools/debian-guests.ts";

useHostHash((bytes) => createHash("sha256").update(bytes).digest("hex"));

/** A run takes about a minute and a half; much more means that the guest hangs. */
const SECONDS = 900;
const PROMPT = "/ # ";
/** The shell multiplies: the answer does not stand in the echo of the command. */
const COMMAND = "echo $((6*7))";
const ANSWER = "\n42\r?\n";

function boot(
	t: TestContext,
	architecture: "i386" | "i386-pae" | "amd64",
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

/** Boots that the suite has no time for: with HYPERSCOPE_BOOTS=all. */
const ALL_BOOTS = process.env.HYPERSCOPE_BOOTS === "all";

/** Instructions between two looks, as the command line program has it while it waits for output. */
const SLICE = 1_000_000;

/**
 * The same boot in this process, with a breakpoint in code that the kernel executes after half of the way: it is hit and passed a
 * hundred times and more. Input is given at the same instruction as by the command line program.
 */
function bootWithBreakpoints(guest: LinuxGuest): { hits: number; instructions: number; memoryHash: string } {
	const machine = createMachine({
		vmm: "none",
		memory: 512 << 20,
		image: { name: "vmlinuz", bytes: readFileSync(guest.kernel) },
		initrd: { name: "initrd", bytes: readFileSync(guest.initrd) },
		append: "console=ttyS0",
	});
	let output = "";
	let asked = false;
	let answered = false;
	machine.onSerialOutput((bytes) => {
		output = (output + Buffer.from(bytes).toString("latin1")).slice(-4096);
		if (!asked && output.includes(PROMPT)) {
			asked = true;
			output = "";
			machine.serialInput(Buffer.from(`${COMMAND}\n`));
		} else if (asked && new RegExp(ANSWER).test(output)) answered = true;
	});
	let hits = 0;
	const processor = machine.processors()[0]!;
	for (let slice = 1; !answered; slice++) {
		if (slice === 3000 || slice === 5000) {
			machine.setExecutionBreakpoints([
				{ id: 1, address: { space: "lin", value: processor.linearInstructionPointer() } },
			]);
		}
		const end = machine.instructionCount() + SLICE;
		while (machine.instructionCount() < end) {
			const stop = machine.run(end - machine.instructionCount());
			if (stop?.reason !== "breakpoint") continue;
			if (++hits % 500 === 0) machine.setExecutionBreakpoints([]);
		}
		assert.ok(slice < 20_000, "the guest does not reach its shell");
	}
	return { hits, instructions: machine.instructionCount(), memoryHash: machine.memoryHash() };
}

/**
 * The lines that say what the guest measured of time: translated code executes more instructions, so they differ from the bare
 * machine's. The clock source is chosen by a timer, so its line stands elsewhere too.
 */
const MEASUREMENTS = [
	/^tsc: Detected [\d.]+ MHz processor$/,
	/^tsc: Refined TSC clocksource calibration: /,
	/^clocksource: tsc(-early)?: mask: /,
	/^clocksource: Switched to clocksource tsc(-early)?$/,
	/^Calibrating delay loop \(skipped\), value calculated using timer frequency/,
	/^smpboot: Total of 1 processors activated \([\d.]+ BogoMIPS\)$/,
	/^audit: type=2000 audit\([\d.]+:1\): state=initialized/,
	/^rtc_cmos 00:00: setting system clock to /,
	/^sched_clock: Marking stable /,
];

function withoutMeasurements(output: string): string {
	const text = output.replaceAll("\r", "");
	const answer = text.match(ANSWER);
	// How much of the next prompt is there depends on the instruction at which the run ends.
	const lines = text.slice(0, answer ? answer.index! + answer[0].length : undefined).split("\n");
	return lines.filter((line) => !MEASUREMENTS.some((pattern) => pattern.test(line))).join("\n");
}

function assertShell(result: CommandResult, kernel: RegExp): void {
	assert.equal(result.status, 0, `${result.errors}\n${result.output.slice(-2000)}`);
	assert.match(result.output, kernel);
	assert.equal(result.statistics.stop, "serial");
	assert.match(result.output, /ACPI: Interpreter enabled/);
	assert.match(result.output, /PCI: Using ACPI for IRQ routing/);
	assert.doesNotMatch(result.output, ACPI_COMPLAINT);
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
	const watched = bootWithBreakpoints(debianGuest("i386") as LinuxGuest);
	assert.ok(watched.hits >= 100, `the breakpoint was hit ${watched.hits} times`);
	assert.equal(watched.instructions, first.statistics.instructions);
	assert.equal(watched.memoryHash, first.statistics.memoryHash);
});

test("linux-image-686 under bt with shadow page tables reaches a shell and runs a command", async (t) => {
	// Without the time stamps of messages, and without the random base that the kernel draws from the time-stamp counter.
	const steady = ["--append", "console=ttyS0 printk.time=0 nokaslr"];
	const bt = await boot(t, "i386", ["--vmm", "bt", "--mmu", "shadow", ...steady]);
	if (!bt) return;
	assertShell(bt, /GUEST-SHELL .* i686/);
	const { instructions, mips, mmu } = bt.statistics;
	t.diagnostic(
		`${instructions} host instructions, ${mips.toFixed(1)} MIPS, ${mmu.hiddenFaults} hidden and ${mmu.trueFaults} true faults`,
	);
	const none = await boot(t, "i386", ["--vmm", "none", ...steady]);
	assert.equal(withoutMeasurements(bt.output), withoutMeasurements(none!.output));
});

/** Four shells at once; the sums do not stand in the echo of the command. */
const JOBS =
	"for i in 1 2 3 4; do (j=0; while [ $j -lt 3000 ]; do j=$((j+1)); done; echo job $((j+i))) & done; wait; echo all $((4*5))";
const SEVERAL = [
	["amd64", "x86_64", 2],
	["amd64", "x86_64", 4],
	["i386", "i686", 2],
	["i386", "i686", 4],
] as const;
for (const [architecture, machine, processors] of ALL_BOOTS ? SEVERAL : SEVERAL.slice(0, 1))
	test(`the ${machine} kernel with ${processors} processors starts them all, and runs jobs on them`, async (t) => {
		const options = ["--vmm", "none", "--processors", String(processors), "--then", JOBS, "\nall 20\r?\n"];
		const result = await boot(t, architecture, options);
		if (!result) return;
		assertShell(result, new RegExp(`GUEST-SHELL .* ${machine}`));
		assert.match(result.output, new RegExp(`smp: Brought up 1 node, ${processors} CPUs`));
		assert.doesNotMatch(result.output, /lockup|rcu: INFO|clocksource: Marking|BUG:|WARNING:/);
		for (let job = 1; job <= 4; job++) assert.match(result.output, new RegExp(`\njob ${3000 + job}\r?\n`));
		const shares: { instructions: number; interrupts: number }[] = result.statistics.processors;
		t.diagnostic(`${result.statistics.instructions} instructions: ${shares.map((one) => one.instructions).join(", ")}`);
		for (const { instructions, interrupts } of shares) assert.ok(instructions > 1e7 && interrupts > 50);
		if (!ALL_BOOTS) return;
		const again = await boot(t, architecture, options);
		assert.equal(again!.statistics.memoryHash, result.statistics.memoryHash);
		assert.deepEqual(again!.statistics.processors, shares);
	});

const AMD64 = ["amd64", "x86_64"] as const;
for (const [architecture, machine] of ALL_BOOTS ? ([["i386", "i686"], AMD64] as const) : [AMD64])
	test(`the ${machine} kernel under hvm with shadow page tables reaches a shell and runs a command`, async (t) => {
		const result = await boot(t, architecture, ["--vmm", "hvm", "--mmu", "shadow"]);
		if (!result) return;
		assertShell(result, new RegExp(`GUEST-SHELL .* ${machine}`));
		const { instructions, mips, mmu, exits } = result.statistics;
		t.diagnostic(
			`${instructions} instructions, ${mips.toFixed(1)} MIPS, ${exits.total} exits, ${mmu.hiddenFaults} hidden and ${mmu.trueFaults} true faults, ${mmu.traceWrites} traced writes`,
		);
		assert.ok(exits.byReason["Exception or NMI"] >= mmu.hiddenFaults + mmu.trueFaults + mmu.traceWrites);
	});

if (ALL_BOOTS)
	test("linux-image-686-pae under bt with shadow page tables reaches a shell and runs a command", async (t) => {
		const result = await boot(t, "i386-pae", ["--vmm", "bt", "--mmu", "shadow"]);
		if (!result) return;
		assertShell(result, /GUEST-SHELL .*-686-pae i686/);
		assert.match(result.output, /NX \(Execute Disable\) protection: active/);
	});

test("linux-image-amd64 reaches a shell and runs a command under none and under hvm with extended page tables, and prints the same", async (t) => {
	const steady = ["--append", "console=ttyS0 printk.time=0 nokaslr"];
	const none = await boot(t, "amd64", ["--vmm", "none", ...steady]);
	if (!none) return;
	assertShell(none, /GUEST-SHELL .* x86_64/);
	const hvm = await boot(t, "amd64", ["--vmm", "hvm", "--mmu", "ept", ...steady]);
	assertShell(hvm!, /GUEST-SHELL .* x86_64/);
	const { instructions, mips, exits, mmu } = hvm!.statistics;
	t.diagnostic(
		`${instructions} instructions, ${mips.toFixed(1)} MIPS, ${exits.total} exits, ${mmu.trueFaults} page faults without one`,
	);
	for (const reason of ["Exception or NMI", "INVLPG"]) assert.equal(exits.byReason[reason], undefined);
	assert.equal(withoutMeasurements(hvm!.output), withoutMeasurements(none.output));
});
