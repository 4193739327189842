// The real workbench, served for a file of tests, each of which has a folder and a page of its own.
import assert from "node:assert/strict";
import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Frame } from "playwright-core";
import { installWorkbench } from "../../extension/start/install-workbench.ts";
import { type ServedWorkbench, serveWorkbench } from "../../extension/start/serve-workbench.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { WorkbenchPage } from "./workbench-page.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const artifacts = join(root, ".cache", "artifacts");
const chromium = findChromium();

/** Why the tests cannot run, or false. */
export const skip = "missing" in chromium ? chromium.missing : false;

export class EditorScenarios {
	private server: ServedWorkbench | undefined;
	private browser: Browser | undefined;
	private readonly folders: string[] = [];

	/** For `before`. */
	readonly start = async (): Promise<void> => {
		assert.ok(existsSync(join(root, "dist/extension.cjs")), "dist/ is built: run npm run build");
		const workbench = installWorkbench(join(root, ".cache"), process.env.HYPERSCOPE_VSCODE);
		this.server = await serveWorkbench(workbench, root, { testDriver: true });
		assert.ok("path" in chromium);
		this.browser = await launchChromium(chromium.path);
	};

	/** For `after`. */
	readonly stop = async (): Promise<void> => {
		await this.browser?.close();
		await this.server?.stop();
		for (const folder of this.folders) rmSync(folder, { recursive: true, force: true });
	};

	/** A folder of its own for one test, with a copy of a sample in it. */
	workspace(sample?: string): string {
		const folder = mkdtempSync(join(tmpdir(), "hyperscope-"));
		this.folders.push(folder);
		if (sample) cpSync(join(root, "extension/samples", sample), folder, { recursive: true });
		return folder;
	}

	/** Runs a scenario in a fresh page; a failure leaves a screenshot. */
	async run(
		name: string,
		folder: string | undefined,
		file: string | undefined,
		play: (page: WorkbenchPage) => Promise<void>,
	): Promise<void> {
		const { server, browser } = this;
		assert.ok(server && browser);
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
			await page.open(folder ? server.address(folder, file && join(folder, file)) : `${server.origin}/?ew=true`);
			await play(page);
			assert.deepEqual([...foreign], [], "the page asks no other machine for anything");
		} catch (error) {
			await page.screenshot(`${name}-failed`).catch(() => {});
			const notifications = JSON.stringify(await page.notifications().catch(() => []));
			throw new Error(`${(error as Error).message}\nnotifications: ${notifications}`, { cause: error });
		} finally {
			await context.close();
		}
	}
}

/** Writes the one launch configuration of a workspace. */
export function launchConfiguration(folder: string, words: Readonly<Record<string, unknown>>): void {
	mkdirSync(join(folder, ".vscode"), { recursive: true });
	const configurations = [{ type: "hyperscope", request: "launch", name: "test", ...words }];
	writeFileSync(join(folder, ".vscode/launch.json"), JSON.stringify({ version: "0.2.0", configurations }));
}

/** The text of the first element of a view. */
export async function text(view: Frame, selector: string): Promise<string> {
	return (await view.locator(selector).first().textContent()) ?? "";
}

/** Opens a view by its command and waits for its content or its empty state. */
export async function openView(page: WorkbenchPage, command: string, selector: string): Promise<Frame> {
	await page.command(`Hyperscope: ${command}`);
	return page.until(async () => {
		for (const frame of page.page.frames()) {
			if (!frame.parentFrame()?.parentFrame()) continue;
			const found = await frame
				.locator(selector)
				.count()
				.catch(() => 0);
			if (
				found > 0 &&
				(await frame
					.locator(selector)
					.first()
					.isVisible()
					.catch(() => false))
			)
				return frame;
		}
		return undefined;
	}, `${selector} after ${command}`);
}
