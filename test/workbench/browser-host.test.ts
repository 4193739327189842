// What a browser host needs: the extension in one file that asks for nothing but `vscode`, and the emulator with its
// adapter in a web worker, here run to a breakpoint in a real browser.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { DebugProtocol } from "@vscode/debugprotocol";
import { AdapterClient } from "../../extension/start/adapter-client.ts";
import type { FromWorker, ToWorker } from "../../extension/worker/messages.ts";
import { findChromium, launchChromium } from "./chromium.ts";

const root = resolve(dirname(fileURLToPath(import.meta.url)), "../..");
const chromium = findChromium();

test("the extension's browser bundle asks for nothing but vscode", () => {
	const text = readFileSync(join(root, "dist/web/extension.cjs"), "utf8");
	const asked = [...text.matchAll(/\brequire\("([^"]+)"\)/g)].map(([, name]) => name);
	assert.deepEqual([...new Set(asked)], ["vscode"]);
	assert.doesNotMatch(text, /node:/);
});

test("the worker's browser bundle asks for no module", () => {
	const text = readFileSync(join(root, "dist/web/emulator-worker.js"), "utf8");
	assert.deepEqual(text.match(/\brequire\(["'`]/g), null);
	assert.doesNotMatch(text, /from\s*"node:/);
});

describe("in a browser", { skip: "missing" in chromium ? chromium.missing : false }, () => {
	test("the worker runs a kernel under binary translation to a breakpoint", async () => {
		assert.ok("path" in chromium);
		const browser = await launchChromium(chromium.path);
		try {
			const page = await browser.newPage();
			const origin = "http://worker.test";
			await page.route(`${origin}/**`, (route) => {
				const isWorker = route.request().url().endsWith("/worker.js");
				if (!isWorker) return route.fulfill({ contentType: "text/html", body: "<title>worker</title>" });
				return route.fulfill({
					contentType: "text/javascript",
					body: readFileSync(join(root, "dist/web/emulator-worker.js")),
				});
			});
			const listeners: ((message: object) => void)[] = [];
			// `evaluate` hands values over as JSON, so the bytes of a file go as an array.
			const post = (message: ToWorker) =>
				page.evaluate(
					`globalThis.toWorker(${JSON.stringify(message, (_, value) => (value instanceof Uint8Array ? [...value] : value))})`,
				);
			await page.exposeFunction("fromWorker", async (message: FromWorker) => {
				if (message.kind === "protocol") for (const listener of listeners) listener(message.message as object);
				else await post({ kind: "file", request: message.request, bytes: new Uint8Array(readFileSync(message.path)) });
			});
			await page.goto(`${origin}/`);
			await page.evaluate(`{
				const worker = new Worker("/worker.js");
				worker.onmessage = ({ data }) => globalThis.fromWorker(data);
				globalThis.toWorker = (message) => {
					if (message.bytes) message.bytes = Uint8Array.from(message.bytes);
					worker.postMessage(message);
				};
			}`);
			const client = new AdapterClient({
				handleMessage: (message: DebugProtocol.ProtocolMessage) => void post({ kind: "protocol", message }),
				onDidSendMessage: (listener: (message: object) => void) => listeners.push(listener),
				dispose: () => {},
			});
			await client.request("initialize", { adapterID: "hyperscope", pathFormat: "path" });
			const initialized = client.event("initialized");
			const program = join(root, "extension/samples/isprime/isprime.elf");
			const launched = client.request("launch", { program, vmm: "bt" });
			await Promise.race([initialized, launched]);
			await client.request("setFunctionBreakpoints", { breakpoints: [{ name: "call_is_prime" }] });
			const stop = client.event("stopped", "terminated");
			await Promise.all([client.request("configurationDone"), launched]);
			const { event, body } = await stop;
			assert.equal(event, "stopped");
			const { fragments } = await client.custom("hyperscope/fragments", {});
			assert.ok(fragments.length > 0);
			const { groups } = await client.custom("hyperscope/registers", { threadId: body.threadId });
			assert.ok(groups.some(({ id }) => id === "general"));
		} finally {
			await browser.close();
		}
	});
});
