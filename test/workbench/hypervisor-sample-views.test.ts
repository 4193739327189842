// The views of VT-x alone in a browser, over a session with the sample hypervisor: what a real VMCS, EPT and timeline look like.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import type { Browser, Page } from "playwright-core";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import type { ViewName, ViewState } from "../../webviews/messages.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { artifacts, closeView, openView } from "./view-page.ts";

const chromium = findChromium();
const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));
const thread = { threadId: 1 };
const state: ViewState = {
	phase: "stopped",
	technique: "none",
	hasTranslationCache: false,
	shows: { events: true, vmx: true, domains: false, iommu: false },
	thread: { id: 1, kind: "vcpu", name: "vCPU 0" },
	revision: 1,
	breakpoints: [],
};

describe("views of the sample hypervisor", { skip: "missing" in chromium ? chromium.missing : false }, () => {
	let browser: Browser;
	let client: DapClient;

	before(async () => {
		assert.ok("path" in chromium);
		browser = await launchChromium(chromium.path);
		mkdirSync(artifacts, { recursive: true });
		client = new DapClient({});
		await client.ask("initialize", { vmm: "none" });
		await client.ask("launch", {
			program: `${samples}/hypervisor/hypervisor.elf`,
			vmm: "none",
			memory: "16M",
			stopOnEntry: true,
		});
		await client.ask("setExceptionBreakpoints", { filters: ["ept-violation"] });
		await client.ask("configurationDone");
		await client.event("stopped");
		await client.move("continue", thread);
	});
	after(async () => {
		client?.dispose();
		await browser?.close();
	});

	const open = (name: ViewName) => openView(browser, name, state, (command, values) => client.ask(command, values));
	const picture = (page: Page, name: string) => page.screenshot({ path: join(artifacts, `sample-${name}.png`) });

	test("the VMCS after an EPT violation: groups, bits by the keyboard, changed fields, search", async () => {
		const { page, errors } = await open("vmcs");
		const reason = page.locator("tr[data-field='Exit reason']");
		await reason.waitFor();
		assert.match((await page.locator(".status").textContent()) ?? "", /last VM exit: EPT violation.*0x5ff000/);
		assert.match((await reason.getAttribute("class")) ?? "", /changed/);
		assert.deepEqual(await page.locator("details.group > summary strong").allTextContents(), [
			"VM-exit information fields",
			"Guest-state area",
			"Host-state area",
			"VM-execution control fields",
			"VM-exit control fields",
			"VM-entry control fields",
		]);
		await picture(page, "vmcs");
		const qualification = page.locator("tr[data-field='Exit qualification']");
		assert.match((await qualification.textContent()) ?? "", /Data write/);
		await qualification.locator("summary").focus();
		await page.keyboard.press("Enter");
		await qualification.locator("table.bits tr", { hasText: "to the page of the linear address" }).waitFor();
		await qualification.scrollIntoViewIfNeeded();
		await picture(page, "vmcs-bits");
		await page.getByRole("button", { name: "Changed only" }).click();
		assert.equal(await page.locator("tr[data-field='EPT pointer (EPTP)']").count(), 0);
		await picture(page, "vmcs-changed");
		await closeView(page, errors);
	});

	test("the two-dimensional walk that failed, and the EPT", async () => {
		const { page, errors } = await open("page-tables");
		await page.getByLabel("Address to walk").fill("0x5ff000");
		await page.getByLabel("Address to walk").press("Enter");
		await page.getByLabel("Access").selectOption("write");
		await page.locator(".nested .result", { hasText: "0x5ff000: not present" }).waitFor();
		assert.equal(await page.locator(".nested td.reference").count(), 24);
		assert.match((await page.locator(".nested .result").textContent()) ?? "", /the walk fails: EPT PTE\[511\]/);
		await picture(page, "walk");
		await page.getByLabel("Table", { exact: true }).selectOption("ept");
		await page.locator(".list-row", { hasText: "hpa:0x600000" }).waitFor();
		await picture(page, "ept");
		await closeView(page, errors);
	});

	test("the timeline of exits", async () => {
		const { page, errors, actions } = await open("timeline");
		await page.getByLabel("Kind of event").selectOption("exit");
		const first = page.locator(".main .list-row").first();
		await page.locator(".main .list-row", { hasText: "EPT violation" }).waitFor();
		await first.click();
		await page.locator(".detail", { hasText: "EPT allows" }).waitFor();
		await picture(page, "timeline");
		await page.locator(".main .list-viewport").press("Enter");
		assert.deepEqual(
			actions.map((one) => (one.kind === "action" ? one.action : one.kind)),
			["showInstruction"],
		);
		await closeView(page, errors);
	});
});
