// Runs the tests of in-host/ in the extension host of the served workbench.
import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { installWorkbench } from "../../extension/start/install-workbench.ts";
import { serveWorkbench } from "../../extension/start/serve-workbench.ts";
import { findChromium, launchChromium } from "./chromium.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const chromium = findChromium();
const milliseconds = 180_000;

test("inside the extension host", { skip: "missing" in chromium ? chromium.missing : false }, async () => {
	assert.ok("path" in chromium);
	const folder = mkdtempSync(join(tmpdir(), "hyperscope-"));
	cpSync(join(root, "extension/samples/kernel32"), folder, { recursive: true });
	const workbench = installWorkbench(join(root, ".cache"), process.env.HYPERSCOPE_VSCODE);
	const server = await serveWorkbench(workbench, root, { testDriver: true });
	const browser = await launchChromium(chromium.path);
	const said: string[] = [];
	try {
		const page = await browser.newPage();
		// The workbench calls these two when it runs tests.
		const status = new Promise<number | string>((done) => {
			void page.exposeFunction("codeAutomationExit", done);
			setTimeout(() => done(`no end within ${milliseconds} ms`), milliseconds).unref();
		});
		await page.exposeFunction("codeAutomationLog", (_kind: string, values: unknown[]) => said.push(values.join(" ")));
		const remote = (path: string) => `vscode-remote://localhost:${server.port}${path}`;
		const payload = JSON.stringify([
			["extensionDevelopmentPath", remote(root)],
			["extensionTestsPath", remote(join(root, "dist/test/in-host.cjs"))],
		]);
		await page.goto(`${server.origin}/?folder=${encodeURIComponent(folder)}&payload=${encodeURIComponent(payload)}`);
		assert.equal(await status, 0, said.filter((line) => /ok |failed/.test(line)).join("\n"));
		assert.ok(said.filter((line) => /^ok /.test(line)).length >= 5, `all tests have run: ${said.join("\n")}`);
	} finally {
		await browser.close();
		await server.stop();
		rmSync(folder, { recursive: true, force: true });
	}
});
