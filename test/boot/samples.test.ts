// The sample kernels under the command line: serial output as recorded, exit status as QEMU's debug-exit device has it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hyperscopeRun, root } from "../tools/command-line.ts";
import { symbolAddress } from "../tools/image-symbols.ts";

const samples = join(root, "extension/samples");

for (const name of ["hello", "isprime", "kernel32", "kernel64", "nanobench", "hypervisor"]) {
	test(`${name} under none prints what is expected and exits by port 0xf4`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "none"], 120);
		assert.equal(result.status, 1, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		assert.equal(result.statistics.stop, "debug-exit");
	});
}

test("smp starts four processors, which count under a lock and interrupt each other", async () => {
	const words = [join(samples, "smp/smp.elf"), "--processors", "4", "--memory", "16M"];
	const result = await hyperscopeRun(words, 120);
	assert.equal(result.status, 1, result.errors);
	assert.equal(result.output, readFileSync(join(samples, "smp/expected.txt"), "latin1"));
	const shares: { instructions: number; interrupts: number }[] = result.statistics.processors;
	assert.deepEqual(
		shares.slice(1).map(({ interrupts }) => interrupts),
		[102, 102, 102],
	);
	assert.equal(
		shares.reduce((sum, { instructions }) => sum + instructions, 0),
		result.statistics.instructions,
	);
});

for (const name of ["hello", "isprime", "kernel32", "nanobench"]) {
	test(`${name} under bt with shadow page tables prints the same`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "bt", "--mmu", "shadow"], 300);
		assert.equal(result.status, 1, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		assert.ok(result.statistics.bt.fragments > 0);
		assert.ok(result.statistics.mmu.hiddenFaults > 0);
	});
}

for (const name of ["xen32", "xen64"]) {
	test(`${name} under pv prints what is expected and powers off`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "pv", "--memory", "32M"], 300);
		assert.equal(result.status, 0, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		assert.equal(result.statistics.stop, "poweroff");
		const { hypercalls } = result.statistics;
		for (const hypercall of ["mmu_update", "multicall", "grant_table_op", "event_channel_op", "memory_op", "iret"])
			assert.ok(hypercalls[hypercall] > 0, hypercall);
	});
}

for (const name of ["hello", "isprime", "kernel32", "kernel64", "nanobench"]) {
	test(`${name} under hvm with extended page tables prints the same`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "hvm", "--mmu", "ept"], 300);
		assert.equal(result.status, 1, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		const { exits } = result.statistics;
		assert.ok(exits.total > 0 && exits.byReason["I/O instruction"] > 0);
		for (const reason of ["Exception or NMI", "INVLPG", "Control-register access"])
			assert.equal(exits.byReason[reason], undefined, `the guest's own ${reason} is no exit under EPT`);
	});
}

for (const name of ["hello", "isprime", "kernel32", "kernel64", "nanobench"]) {
	test(`${name} under hvm with shadow page tables prints the same`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "hvm", "--mmu", "shadow"], 300);
		assert.equal(result.status, 1, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		const { exits, mmu } = result.statistics;
		assert.ok(mmu.hiddenFaults > 0);
		assert.equal(exits.byReason["EPT violation"], undefined);
		assert.equal(exits.byReason.INVLPG, undefined, "the shadows follow the guest's tables by themselves");
		if (name === "hello" || name === "isprime") return;
		assert.ok(mmu.trueFaults > 0 && mmu.traceWrites > 0);
		assert.ok(exits.byReason["Exception or NMI"] >= mmu.hiddenFaults + mmu.trueFaults + mmu.traceWrites);
		assert.ok(exits.byReason["Control-register access"] > 0);
	});
}

test("isPrime(49) under bt: four fragments, two continuations left, one chaining jump, `return 1` never translated", async () => {
	const image = join(samples, "isprime/isprime.elf");
	const { statistics } = await hyperscopeRun([image, "--vmm", "bt"], 120);
	const { fragments, continuationsLeft, chained, translationUnits } = statistics.functions.isPrime;
	assert.deepEqual({ fragments, continuationsLeft, chained }, { fragments: 4, continuationsLeft: 2, chained: 1 });
	const prime = `0x${symbolAddress(image, "prime").toString(16)}`;
	assert.ok(!translationUnits.includes(prime), `the block at ${prime} returns 1`);
});

test("bad usage and unreadable images end with status 2 and one line", async () => {
	const cases: [string[], RegExp][] = [
		[["/no/such/file"], /^hyperscope: \/no\/such\/file does not exist\.\n$/],
		[[join(root, "README.md")], /README\.md is not an image that can be started/],
		[[join(samples, "hello/hello.elf"), "--memory", "1M"], /Memory of "1M" is not possible/],
		[[join(samples, "hello/hello.elf"), "--vmm", "magic"], /--vmm "magic" is unknown/],
		[[join(samples, "hello/hello.elf"), "--processors", "9"], /A machine of 9 processors is not possible/],
		[
			[join(samples, "hello/hello.elf"), "--processors", "2", "--vmm", "bt"],
			/Under "bt" the machine has one processor/,
		],
		[[], /No image/],
	];
	for (const [words, sentence] of cases) {
		const result = await hyperscopeRun(words, 30);
		assert.equal(result.status, 2, words.join(" "));
		assert.match(result.errors, sentence);
		assert.equal(result.errors.trimEnd().split("\n").length, 1, result.errors);
	}
});
