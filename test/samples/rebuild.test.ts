// The sample images in the tree are what their sources make: rebuilt in another folder, they are the same byte for byte.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";

const samples = resolve(fileURLToPath(import.meta.url), "../../../extension/samples");
const names = [
	"hello",
	"isprime",
	"kernel32",
	"kernel64",
	"nanobench",
	"nanobench-pv",
	"dma",
	"xen32",
	"xen64",
	"dom0",
	"hypervisor",
	"smp",
];

/** Where an image lies that is built from a folder of its own but belongs to another. */
const elsewhere: Readonly<Record<string, string>> = { "nanobench-pv": "nanobench" };

/** First line of what `tool --version` prints, or undefined where the tool is missing. */
function version(tool: string): string | undefined {
	const done = spawnSync(tool, ["--version"], { encoding: "utf8" });
	return done.status === 0 ? done.stdout.split("\n")[0] : undefined;
}

/** Why the images cannot be rebuilt here, or undefined. Other tools give other bytes, so their versions must be those recorded. */
function obstacle(): string | undefined {
	if (version("make") === undefined) return "make is not installed";
	const recorded = readFileSync(join(samples, "TOOLCHAIN"), "utf8").trimEnd().split("\n");
	for (const [index, tool] of ["gcc", "ld"].entries()) {
		const found = version(tool);
		if (found === undefined) return `${tool} is not installed`;
		if (found !== recorded[index])
			return `the images were built by "${recorded[index]}" (extension/samples/TOOLCHAIN), here is "${found}"`;
	}
	const probe = spawnSync("gcc", ["-m32", "-ffreestanding", "-E", "-include", "stdint.h", "-"], { input: "" });
	return probe.status === 0 ? undefined : "gcc cannot compile 32-bit code";
}

const reason = obstacle();
const skip = reason !== undefined && !process.env.CI ? reason : false;

describe("sample images", () => {
	let folder = "";

	before(() => {
		folder = mkdtempSync(join(tmpdir(), "hyperscope-samples-"));
		cpSync(samples, folder, {
			recursive: true,
			filter: (path) => basename(path) !== "build" && !path.endsWith(".elf"),
		});
	});
	after(() => rmSync(folder, { recursive: true, force: true }));

	for (const name of names)
		test(`${name}.elf is rebuilt byte for byte`, { skip }, () => {
			assert.equal(reason, undefined);
			const done = spawnSync("make", ["-C", join(folder, name)], { encoding: "utf8", timeout: 120_000 });
			assert.equal(done.status, 0, done.stderr);
			const committed = readFileSync(join(samples, elsewhere[name] ?? name, `${name}.elf`));
			const rebuilt = readFileSync(join(folder, elsewhere[name] ?? name, `${name}.elf`));
			assert.equal(rebuilt.length, committed.length, "sizes differ");
			assert.equal(rebuilt.compare(committed), 0, "bytes differ");
		});

	test("isPrime has the machine code of the example in Adams & Agesen (2006), section 3.2", () => {
		const image = readFileSync(join(samples, "isprime/isprime.elf"));
		const code = Buffer.from("89f9be0200000039ce7d0e89c899f7fe85d2740b4639ce7cf2b801000000c331c0c3", "hex");
		assert.notEqual(image.indexOf(code), -1);
	});
});
