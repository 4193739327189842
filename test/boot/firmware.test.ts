// Debian's SeaBIOS starts from its ROM, sets the PC up and says on the serial port that there is nothing to boot.

import assert from "node:assert/strict";
import { test } from "node:test";
import { hyperscopeRun } from "../tools/command-line.ts";
import { ensureDebianPackages } from "../tools/debian-packages.ts";

const FOLDER = "/usr/share/seabios";

for (const image of ["bios.bin", "bios-256k.bin"]) {
	test(`SeaBIOS (${image}) runs to its boot menu`, async (t) => {
		const missing = ensureDebianPackages(["seabios"]);
		if (missing !== undefined) {
			if (process.env.CI) assert.fail(missing);
			t.skip(missing);
			return;
		}
		const options = ["--firmware", `${FOLDER}/${image}`, "--vmm", "none", "--memory", "64M"];
		const end = ["--until-serial", "No bootable device", "--max-instructions", "500000000"];
		const { status, output, errors } = await hyperscopeRun([...options, ...end], 120);
		assert.equal(status, 0, errors);
		assert.match(output, /SeaBIOS \(version/);
		assert.match(output, /Booting from Hard Disk/);
	});
}

test("other techniques than none say that they start images only", async () => {
	const { status, errors } = await hyperscopeRun(["--firmware", import.meta.filename, "--vmm", "bt"], 60);
	assert.equal(status, 2);
	assert.equal(errors.trim().split("\n").length, 1, errors);
	assert.match(errors, /starts a kernel image in protected mode/);
});
