// `npm run test:desktop`: the tests of in-host/ in a desktop VS Code, which @vscode/test-electron downloads; or in the one
// that VSCODE_PATH names.
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runTests } from "@vscode/test-electron";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const folder = mkdtempSync(join(tmpdir(), "hyperscope-"));
cpSync(join(root, "extension/samples/kernel32"), folder, { recursive: true });
try {
	await runTests({
		vscodeExecutablePath: process.env.VSCODE_PATH,
		extensionDevelopmentPath: root,
		extensionTestsPath: join(root, "dist/test/in-host.cjs"),
		launchArgs: [folder, "--disable-extensions", "--disable-workspace-trust"],
	});
} catch (error) {
	console.error(`The tests in a desktop VS Code failed: ${error instanceof Error ? error.message : error}`);
	process.exitCode = 1;
} finally {
	rmSync(folder, { recursive: true, force: true });
}
