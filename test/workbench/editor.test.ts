// The extension in the real VS Code workbench, driven in a real browser.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser } from "playwright-core";
import { installWorkbench } from "../../extension/start/install-workbench.ts";
import { type ServedWorkbench, serveWorkbench } from "../../extension/start/serve-workbench.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { WorkbenchPage } from "./workbench-page.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const artifacts = join(root, ".cache", "artifacts");
const chromium = findChromium();
const skip = "missing" in chromium ? chromium.missing : false;

let server: ServedWorkbench;
let browser: Browser;
const folders: string[] = [];

/** A folder of its own for one test, with a copy of a sample in it. */
function workspace(sample?: string): string {
	const folder = mkdtempSync(join(tmpdir(), "hyperscope-"));
	folders.push(folder);
	if (sample) cpSync(join(root, "extension/samples", sample), folder, { recursive: true });
	return folder;
}

/** Runs a scenario in a fresh page; a failure leaves a screenshot. */
async function scenario(
	name: string,
	folder: string,
	file: string | undefined,
	run: (page: WorkbenchPage) => Promise<void>,
) {
	const context = await browser.newContext({ viewport: { width: 1600, height: 1000 } });
	const page = new WorkbenchPage(await context.newPage(), artifacts);
	const foreign = new Set<string>();
	page.page.on("request", (request) => {
		const { hostname, protocol } = new URL(request.url());
		// Webview resources have such addresses; the webview's service worker answers them from our server.
		const known = /^(127\.0\.0\.1|localhost|.*\.vscode-resource\.vscode-cdn\.net)$/.test(hostname);
		if (protocol.startsWith("http") && !known) foreign.add(request.url());
	});
	try {
		await page.open(server.address(folder, file && join(folder, file)));
		await run(page);
		assert.deepEqual([...foreign], [], "the page asks no other machine for anything");
	} catch (error) {
		await page.screenshot(`${name}-failed`).catch(() => {});
		throw new Error(
			`${(error as Error).message}\nnotifications: ${JSON.stringify(await page.notifications().catch(() => []))}`,
			{
				cause: error,
			},
		);
	} finally {
		await context.close();
	}
}

describe("the editor", { skip }, () => {
	before(async () => {
		assert.ok(existsSync(join(root, "dist/extension.cjs")), "dist/ is built: run npm run build");
		const workbench = installWorkbench(join(root, ".cache"), process.env.HYPERSCOPE_VSCODE);
		server = await serveWorkbench(workbench, root, { testDriver: true });
		assert.ok("path" in chromium);
		browser = await launchChromium(chromium.path);
	});

	after(async () => {
		await browser?.close();
		await server?.stop();
		for (const folder of folders) rmSync(folder, { recursive: true, force: true });
	});

	test("a wrong launch configuration gets one clear sentence", async () => {
		const folder = workspace();
		mkdirSync(join(folder, ".vscode"));
		const configuration = {
			type: "hyperscope",
			request: "launch",
			name: "wrong",
			program: `${folder}/none.elf`,
			memory: "64M",
		};
		writeFileSync(
			join(folder, ".vscode/launch.json"),
			JSON.stringify({ version: "0.2.0", configurations: [configuration] }),
		);
		await scenario("wrong-configuration", folder, undefined, async (page) => {
			await page.command("Debug: Start Debugging");
			const sentence = await page.notification(/There is no file/);
			assert.equal(
				sentence,
				`There is no file "${folder}/none.elf", which "program" in the launch configuration names.`,
			);
		});
	});

	test("views without a machine say what to do", async () => {
		await scenario("welcome", workspace("isprime"), undefined, async (page) => {
			await page.command("Hyperscope: Show Page Tables");
			const tables = await page.webview(
				() => document.querySelector(".empty")?.textContent?.includes("page tables") ?? false,
				"the page-table view",
			);
			assert.match(
				(await tables.locator(".empty").textContent()) ?? "",
				/No machine is running. Start one to see its page tables/,
			);
			await page.command("Hyperscope: Show Fragments");
			const fragments = await page.webview(
				() => document.querySelector(".empty")?.textContent?.includes("fragments") ?? false,
				"the fragment view",
			);
			const actions = await fragments.locator(".empty button").allInnerTexts();
			assert.deepEqual(actions, ["Start Debugging", "Open a Sample Kernel"]);
			await page.command("View: Show Run and Debug");
			await page.expandPane("Guest Registers");
			await page.until(
				async () => /No machine is running/.test((await page.pane("Guest Registers").textContent()) ?? ""),
				"the welcome text of the registers",
			);
			await page.screenshot("welcome");
		});
	});
});
