// The samples print in QEMU what their expected.txt says. Only with HYPERSCOPE_LONG set, as it needs QEMU.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";

const samples = resolve(fileURLToPath(import.meta.url), "../../../extension/samples");
const runs = [
	{ name: "hello", bits: 32, append: "", expected: "expected.txt" },
	{ name: "isprime", bits: 32, append: "", expected: "expected.txt" },
	{ name: "kernel32", bits: 32, append: "", expected: "expected.txt" },
	{ name: "kernel32", bits: 32, append: "sensitive", expected: "expected-sensitive.txt" },
	{ name: "kernel64", bits: 64, append: "", expected: "expected.txt" },
	{ name: "nanobench", bits: 32, append: "", expected: "expected.txt" },
	{ name: "smp", bits: 32, append: "", expected: "expected.txt", options: ["-smp", "4,sockets=4"] },
];
/** isa-debug-exit ends QEMU with (v << 1) | 1; the samples write 0. */
const successStatus = 1;

if (process.env.HYPERSCOPE_LONG)
	for (const { name, bits, append, expected, options = [] } of runs) {
		const qemu = bits === 64 ? "qemu-system-x86_64" : "qemu-system-i386";
		const installed = spawnSync(qemu, ["--version"]).status === 0;
		test(`${name} ${append} in QEMU`, { skip: installed ? false : `${qemu} is not installed` }, () => {
			const image = join(samples, name, `${name}.elf`);
			const machine = ["-display", "none", "-serial", "stdio", "-no-reboot"];
			const exit = ["-device", "isa-debug-exit,iobase=0xf4,iosize=1"];
			const done = spawnSync(qemu, ["-kernel", image, "-append", append, ...options, ...machine, ...exit], {
				encoding: "utf8",
				timeout: 60_000,
			});
			assert.equal(done.stdout, readFileSync(join(samples, name, expected), "utf8"));
			assert.equal(done.status, successStatus, done.stderr);
		});
	}
