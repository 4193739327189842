// The sample kernels under the command line: serial output as recorded, exit status as QEMU's debug-exit device has it.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { hyperscopeRun, root } from "../tools/command-line.ts";

const samples = join(root, "extension/samples");

for (const name of ["hello", "isprime", "kernel32", "kernel64"]) {
	test(`${name} under none prints what is expected and exits by port 0xf4`, async () => {
		const result = await hyperscopeRun([join(samples, name, `${name}.elf`), "--vmm", "none"], 120);
		assert.equal(result.status, 1, result.errors);
		assert.equal(result.output, readFileSync(join(samples, name, "expected.txt"), "latin1"));
		assert.equal(result.statistics.stop, "debug-exit");
	});
}

test("bad usage and unreadable images end with status 2 and one line", async () => {
	const cases: [string[], RegExp][] = [
		[["/no/such/file"], /^hyperscope: \/no\/such\/file does not exist\.\n$/],
		[[join(root, "README.md")], /README\.md is not an image that can be started/],
		[[join(samples, "hello/hello.elf"), "--memory", "1M"], /Memory of "1M" is not possible/],
		[[join(samples, "hello/hello.elf"), "--vmm", "magic"], /--vmm "magic" is unknown/],
		[[], /No image/],
	];
	for (const [words, sentence] of cases) {
		const result = await hyperscopeRun(words, 30);
		assert.equal(result.status, 2, words.join(" "));
		assert.match(result.errors, sentence);
		assert.equal(result.errors.trimEnd().split("\n").length, 1, result.errors);
	}
});
