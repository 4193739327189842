// One webview alone in a browser page, under its own content security policy, with prepared answers.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { webviewPage } from "../../extension/views/webview-page.ts";
import type { FromWebview, ToWebview, ViewName, ViewState } from "../../webviews/messages.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
/** Where screenshots go. */
export const artifacts = join(root, ".cache", "artifacts");

/** The extension's part: the body of a request, or a promise of it; an error is a refusal. */
export type Answer = (command: string, values: Record<string, never>) => unknown;

/** Opens a view; `actions` collects what it asks the editor to do, `errors` what the page complains of. */
export async function openView(browser: Browser, name: ViewName, state: ViewState, answer: Answer) {
	const page = await browser.newPage({ viewport: { width: 1100, height: 800 } });
	const actions: FromWebview[] = [];
	const errors: string[] = [];
	page.on("pageerror", (error) => errors.push(error.message));
	page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
	const origin = "http://view.test";
	const send = (message: ToWebview) => page.evaluate((data) => window.postMessage(data, "*"), message);
	await page.route(`${origin}/**`, (route) => {
		const path = new URL(route.request().url()).pathname;
		const html = webviewPage({
			title: name,
			script: `/${name}.js`,
			style: `/${name}.css`,
			source: origin,
			language: "en",
		});
		if (path === "/") return route.fulfill({ contentType: "text/html", body: html });
		if (path === "/favicon.ico") return route.fulfill({ body: "" });
		const type = path.endsWith(".css") ? "text/css" : "text/javascript";
		return route.fulfill({ contentType: type, body: readFileSync(join(root, "dist/webviews", path)) });
	});
	await page.exposeFunction("toExtension", async (message: FromWebview) => {
		if (message.kind === "ready") await send({ kind: "state", state });
		else if (message.kind === "action") actions.push(message);
		else {
			const { id, command } = message;
			try {
				const body = await answer(command, (message.arguments ?? {}) as Record<string, never>);
				await send({ kind: "answer", id, body });
			} catch (error) {
				await send({ kind: "refused", id, sentence: (error as Error).message });
			}
		}
	});
	// As text: the test runner's compiler would put names into functions that the page does not know.
	await page.addInitScript(`{
		let saved;
		globalThis.acquireVsCodeApi = () => ({
			postMessage: (message) => globalThis.toExtension(message),
			getState: () => saved,
			setState: (state) => { saved = state; },
		});
	}`);
	await page.goto(`${origin}/`);
	return { page, actions, errors, send };
}

/** Nothing of what the guest named became markup, and the page met no error. */
export async function closeView(page: Page, errors: string[]): Promise<void> {
	assert.equal(await page.evaluate("globalThis.broken"), undefined);
	assert.equal(await page.locator("img").count(), 0);
	assert.deepEqual(errors, []);
	await page.close();
}
