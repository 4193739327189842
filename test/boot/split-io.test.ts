// `--vmm pv --io split`: a guest reads and writes a disk through Domain 0, whose driver may lie broken or be lied to.

import assert from "node:assert/strict";
import { mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { hyperscopeRun, root } from "../tools/command-line.ts";

const samples = join(root, "extension/samples");
const folder = join(root, ".cache", `split-io-${process.pid}`);
const SECTORS = 2048;

function freshImage(): Uint8Array {
	const image = new Uint8Array(SECTORS * 512).map((_, i) => (i * 7 + (i >> 9)) & 255);
	image.set(new TextEncoder().encode("Hyperscope disk image, sector 0\n"));
	return image;
}

/** What the guest writes in place of a sector (common/xen/block-front.c, fill). */
function filled(number: number): Uint8Array {
	return new Uint8Array(512).map((_, i) => (number * 7 + i) & 255);
}

async function run(name: string, ...words: string[]) {
	const disk = join(folder, `${name}-${words.join("").replace(/\W/g, "")}.img`);
	writeFileSync(disk, freshImage());
	const kernel = join(samples, name, `${name}.elf`);
	const split = ["--vmm", "pv", "--io", "split", "--memory", "32M", "--disk", disk, "--disk-writes", "file"];
	const result = await hyperscopeRun([kernel, ...split, ...words], 300);
	const lines = result.output.replaceAll("\r", "").split("\n");
	return { ...result, lines, image: new Uint8Array(readFileSync(disk)) };
}

describe("split I/O", () => {
	before(() => mkdirSync(folder, { recursive: true }));
	after(() => rmSync(folder, { recursive: true, force: true }));

	for (const name of ["xen32", "xen64"])
		test(`${name} reads and writes the disk through Domain 0`, async () => {
			const { status, errors, lines, image, statistics } = await run(name);
			assert.equal(status, 0, errors);
			const expected = readFileSync(join(samples, name, "expected.txt"), "latin1").split("\n");
			const own = lines.filter((line) => !line.startsWith("dom0:") && !line.startsWith("disk:"));
			assert.deepEqual(
				own,
				expected.filter((line) => !line.startsWith("disk:")),
				"all else is as without a disk",
			);
			assert.deepEqual(
				lines.filter((line) => line.startsWith("disk:")),
				[
					"disk: connected, 2048 sectors of 512 bytes",
					'disk: read 0, sector 0 begins "Hyperscope disk image, sector 0"',
					"disk: sector 1 written 0",
					"disk: four writes at once 0 0 0 0, read back 0, equal: yes",
					"disk: eleven pages written 0, read 0, equal: yes",
					"disk: flushed 0",
					"disk: beyond its end -1, across it -1, unknown operation -2, a page not granted -1, a sector outside the page -1",
					"disk: 15 transfers, back end closed: yes",
				],
			);
			const wanted = freshImage();
			const text = new Uint8Array(512);
			text.set(new TextEncoder().encode("written through Domain 0"));
			wanted.set(text, 512);
			for (let i = 0; i < 4; i++) wanted.set(filled(i), (16 + i) * 512);
			for (let i = 0; i < 88; i++) wanted.set(filled(100 + i), (64 + i) * 512);
			assert.equal(Buffer.compare(image, wanted), 0, "the image holds what was written, and nothing else changed");
			assert.ok(statistics.hypercalls.grant_table_op > 20);
		});

	test("a crash of Domain 0's driver is survived: the guest gets errors and ends by itself", async () => {
		const { status, errors, lines, image } = await run("xen32", "--domain0-append", "fault=5");
		assert.equal(status, 0, errors);
		assert.ok(lines.some((line) => line.startsWith("(hypervisor) domain 0 crashed")));
		assert.ok(lines.includes("disk: sector 1 written 0"));
		assert.ok(lines.includes("disk: the back end is gone, its state is 6; transfers fail: -1"));
		assert.ok(lines.includes("SAMPLE DONE"));
		assert.equal(new TextDecoder().decode(image.subarray(512, 512 + 24)), "written through Domain 0");
	});

	test("a front end that lies about its ring is cut off", async () => {
		const { status, lines } = await run("xen64", "--append", "lie");
		assert.equal(status, 0);
		assert.ok(lines.includes("dom0: domain 1 lies about its ring"));
		assert.ok(lines.includes("disk: after a lie about the ring the back end is in state 6"));
	});

	test("the same run twice is the same run", async () => {
		const [first, second] = [await run("xen32"), await run("xen32")];
		assert.equal(first.output, second.output);
		assert.equal(first.statistics.instructions, second.statistics.instructions);
		assert.equal(first.statistics.memoryHash, second.statistics.memoryHash);
	});

	test("what cannot be is refused in one sentence", async () => {
		const kernel = join(samples, "xen32/xen32.elf");
		const cases: [string[], RegExp][] = [
			[[kernel, "--vmm", "pv", "--io", "split"], /Domain 0 serves one disk, not 0/],
			[[kernel, "--vmm", "pv", "--io", "passthrough"], /no device is passed through/],
			[[kernel], /paravirtual kernel.*choose the technique "pv"/],
			[[kernel, "--vmm", "bt"], /paravirtual kernel.*choose the technique "pv"/],
			[[kernel, "--vmm", "pv", "--domain0", kernel], /with --io split only/],
			[[kernel, "--vmm", "bt", "--io", "split"], /"split" needs paravirtual guests/],
		];
		for (const [words, sentence] of cases) {
			const result = await hyperscopeRun(words, 30);
			assert.equal(result.status, 2, words.join(" "));
			assert.match(result.errors, sentence);
			assert.equal(result.errors.trimEnd().split("\n").length, 1, result.errors);
		}
	});
});
