import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

/**
 * Compares a text with the golden one beside the test. With UPDATE_GOLDEN=1 in the environment the golden text is
 * written instead.
 */
export function assertGolden(name: string, testFile: string, lines: readonly string[]): void {
	const path = fileURLToPath(new URL(`./${name}.golden.txt`, testFile));
	const actual = `${lines.join("\n").trim()}\n`;
	if (process.env.UPDATE_GOLDEN === "1") {
		writeFileSync(path, actual);
		return;
	}
	assert.ok(existsSync(path), `${path} is missing: run the test with UPDATE_GOLDEN=1 and read what it writes`);
	assert.equal(actual, readFileSync(path, "utf8"));
}
