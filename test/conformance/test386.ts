// Runs test386.asm (https://github.com/barotto/test386.asm), which the user has assembled, as the firmware of the host machine.
//
//   node --import tsx test/conformance/test386.ts FOLDER
//
// FOLDER holds test386.bin, assembled with POST_PORT equ 0x80 and COM_PORT equ 1, and the suite's test386-EE-reference.txt; nothing is
// fetched. The program halts at the first check that fails; past them all it prints results, which have to be those of the reference.

import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { hyperscopeRun } from "../tools/command-line.ts";

const [folder] = process.argv.slice(2);
const image = join(folder ?? "", "test386.bin");
const reference = join(folder ?? "", "test386-EE-reference.txt");
if (folder === undefined || !existsSync(image) || !existsSync(reference)) {
	console.error("usage: test386.ts FOLDER: FOLDER holds test386.bin and test386-EE-reference.txt.");
	process.exit(2);
}
const lines = (text: string) => text.replaceAll("\r", "").trimEnd().split("\n");
const options = ["--vmm", "none", "--memory", "64M", "--firmware", image, "--max-instructions", "500000000"];
const { output } = await hyperscopeRun(options, 900);
const expected = lines(readFileSync(reference, "latin1"));
const actual = lines(output);
const wrong = expected.filter((line, index) => line !== actual[index]).length;
if (output === "") console.log("failed: the program halted at a check before its results");
else console.log(`${expected.length - wrong} of ${expected.length} lines as in the reference`);
if (wrong > 0 || actual.length !== expected.length) process.exitCode = 1;
