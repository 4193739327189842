// The views of what virtualization adds, alone in a browser, against a debug adapter whose machine has made-up data.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Locator } from "playwright-core";
import type { CompareBody } from "../../debug-adapter/protocol.ts";
import { DapClient } from "../../debug-adapter/test-support/dap-client.ts";
import {
	scriptedDomains,
	scriptedIommu,
	scriptedNestedWalk,
	scriptedVmx,
} from "../../debug-adapter/test-support/scripted-hypervisor.ts";
import { ScriptedMachine } from "../../debug-adapter/test-support/scripted-machine.ts";
import { VmEventLog } from "../../emulator/machine/vm-events.ts";
import { measures } from "../../webviews/comparison/comparison-table.ts";
import type { ViewName, ViewState } from "../../webviews/messages.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { artifacts, closeView, openView } from "./view-page.ts";

const chromium = findChromium();
const hostile = '<img src=x onerror="globalThis.broken = true">';
const shows = { events: true, vmx: true, domains: true, iommu: true };
const stopped: ViewState = {
	phase: "stopped",
	technique: "pv",
	hasTranslationCache: false,
	shows,
	thread: { id: 1, kind: "vcpu", name: "vCPU 0" },
	revision: 1,
	breakpoints: [],
};

/** A machine with all there is to show, stopped at its entry. */
async function startAdapter(): Promise<{ client: DapClient; machine: ScriptedMachine; log: VmEventLog }> {
	const machine = new ScriptedMachine(undefined, "pv");
	let now = 0;
	const log = new VmEventLog(() => ++now);
	for (let index = 0; index < 1500; index++) log.record("true-fault", "user", 1, 0x100 + index);
	log.record("exit", "CPUID", 1, 0x4000, [{ name: "leaf", value: 1 }]);
	log.record("dma-fault", hostile, 0, undefined, [{ name: "address", value: 0xdead000n }]);
	log.record("hypercall", "mmu_update", 1, 0x5000, [
		{ name: "domain", value: 1 },
		{ name: "requests", value: [{ name: hostile, value: 0x1063n }] },
		{ name: "result", value: 0 },
	]);
	log.record("hypercall", "iret", 1, 0x6000, [{ name: "domain", value: 1 }]);
	Object.assign(machine, { events: log, vmx: scriptedVmx, domains: scriptedDomains, iommus: [scriptedIommu] });
	machine.vcpu.nestedWalk = scriptedNestedWalk;
	const client = new DapClient({
		host: { readFile: async () => new Uint8Array(), now: () => 0, defer: (callback) => void setTimeout(callback, 0) },
		createMachine: () => machine,
	});
	await client.ask("initialize", {});
	await client.ask("launch", { program: "/guest", vmm: "pv", stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	return { client, machine, log };
}

/** What a person reads, on one line. */
const textOf = async (locator: Locator) => (await locator.allInnerTexts()).join(" ").replace(/\s+/g, " ");

describe("webviews of virtualization", { skip: "missing" in chromium ? chromium.missing : false }, () => {
	let browser: Browser;
	let adapter: Awaited<ReturnType<typeof startAdapter>>;

	before(async () => {
		assert.ok("path" in chromium);
		browser = await launchChromium(chromium.path);
		mkdirSync(artifacts, { recursive: true });
		adapter = await startAdapter();
	});
	after(async () => {
		adapter?.client.dispose();
		await browser?.close();
	});

	const open = (name: ViewName, state: ViewState = stopped) =>
		openView(browser, name, state, async (command, values) => {
			const response = await adapter.client.request(command, values);
			if (!response.success) throw new Error(response.message);
			return response.body;
		});

	test("timeline: counts filter it, events are read on, Enter goes to the instruction", async () => {
		const { page, actions, errors, send } = await open("timeline");
		await page.getByText("512+ of 1,504 events since power-on").waitFor();
		const counts = page.getByRole("listbox", { name: "Events by kind and reason" });
		await counts.getByText("True page fault").waitFor();
		await page.screenshot({ path: join(artifacts, "view-timeline.png") });
		const events = page.getByRole("listbox", { name: "VM events, newest first" });
		await events.focus();
		await page.keyboard.press("Home");
		await page.keyboard.press("ArrowDown");
		await page.getByRole("heading", { name: "Hypercall: mmu_update" }).waitFor();
		assert.match(await textOf(page.locator(".detail")), /requests <img src=x .*0x1063/);
		await page.keyboard.press("Enter");
		assert.deepEqual(actions.at(-1), { kind: "action", action: "showInstruction", address: "0x5000" });
		await page.getByRole("button", { name: "Break Here" }).click();
		assert.deepEqual(actions.at(-1), { kind: "action", action: "toggleBreakpoint", address: "0x5000" });
		await counts.getByRole("option", { name: "VM exit CPUID, 1" }).click();
		await page.getByText("1 of 1,504 events since power-on").waitFor();
		await events.getByText("leaf 1").waitFor();
		await counts.getByRole("option", { name: "True page fault, 1500" }).click();
		await page.getByText("512+ of 1,504").waitFor();
		await events.focus();
		await page.keyboard.press("End");
		await page.getByText("1,500 of 1,504").waitFor();
		// End went on to the oldest event as the rest arrived; what is copied without a selection is the row.
		await page.locator(".list-row[aria-selected=true][aria-posinset='1500']").waitFor();
		const copied = await page.evaluate(`(() => {
			const clipboardData = new DataTransfer();
			document.activeElement.dispatchEvent(new ClipboardEvent("copy", { clipboardData, cancelable: true }));
			return clipboardData.getData("text/plain");
		})()`);
		assert.equal(copied, "0\t1\tTrue page fault\tuser\t0x100\t");
		adapter.log.record("exit", "HLT", 1, 0x7000);
		await send({ kind: "state", state: { ...stopped, revision: 2 } });
		await counts.getByRole("option", { name: "VM exit HLT, 1" }).waitFor();
		await closeView(page, errors);
	});

	test("VMCS: groups, bits by name, what changed, another region, a search", async () => {
		adapter.machine.script.length = 0;
		const { page, errors } = await open("vmcs");
		await page.getByText("VMCS at hpa:0x5000, launched").waitFor();
		assert.match((await page.locator(".status").textContent())!, /last VM exit: CPUID: instruction length 2/);
		const fields = () =>
			page.locator("tr[data-field]").evaluateAll((rows) => rows.map((row) => row.getAttribute("data-field")));
		assert.deepEqual(await fields(), ["RIP", "CR0", "Exit reason"]);
		assert.equal(await page.locator("tr.changed").count(), 2);
		const cr0 = page.locator("tr[data-field=CR0]");
		assert.match(await textOf(cr0), /0x6800 0x0000000000000021 PENE/);
		await cr0.locator("summary").focus();
		await page.keyboard.press("Enter");
		await cr0.getByRole("cell", { name: "NE", exact: true }).waitFor();
		await page.screenshot({ path: join(artifacts, "view-vmcs.png") });
		await page.getByRole("button", { name: "Changed only" }).press("Space");
		assert.deepEqual(await fields(), ["RIP", "Exit reason"]);
		await page.getByRole("button", { name: "Changed only" }).press("Space");
		await page.getByLabel("Search fields").fill("basic");
		await page.getByLabel("Search fields").press("Enter");
		assert.deepEqual(await fields(), ["Exit reason"]);
		await page.getByLabel("VMCS region").selectOption("0x6000");
		await page.getByText("VMCS at hpa:0x6000, clear").waitFor();
		await closeView(page, errors);
	});

	test("page tables: the two-dimensional walk has 24 numbered references", async () => {
		const { page, errors } = await open("page-tables");
		await page.getByLabel("Address to walk").fill("0x321");
		await page.getByLabel("Address to walk").press("Enter");
		const nested = page.locator(".nested");
		await nested.waitFor();
		await nested.getByText("24 memory references: guest-physical gpa:0x4321, host-physical hpa:0x54321").waitFor();
		const rows = await nested
			.locator("tbody tr")
			.evaluateAll((all) =>
				all.map((row) =>
					[...row.querySelectorAll("[data-reference]")].map((cell) => Number(cell.getAttribute("data-reference"))),
				),
			);
		assert.deepEqual(rows, [
			[1, 2, 3, 4, 5],
			[6, 7, 8, 9, 10],
			[11, 12, 13, 14, 15],
			[16, 17, 18, 19, 20],
			[21, 22, 23, 24],
		]);
		await nested.scrollIntoViewIfNeeded();
		await page.screenshot({ path: join(artifacts, "view-nested-walk.png") });
		await closeView(page, errors);
	});

	test("hypercalls: decoded arguments, by name", async () => {
		const { page, actions, errors } = await open("hypercalls");
		const calls = page.getByRole("listbox", { name: "Hypercalls, newest first" });
		await calls.getByText("mmu_update").waitFor();
		assert.equal(await calls.getByRole("option").count(), 2);
		await calls.focus();
		await page.keyboard.press("End");
		await page.getByRole("heading", { name: "mmu_update" }).waitFor();
		await page.screenshot({ path: join(artifacts, "view-hypercalls.png") });
		await page.keyboard.press("Enter");
		assert.deepEqual(actions.at(-1), { kind: "action", action: "showInstruction", address: "0x5000" });
		await page.getByLabel("Hypercall", { exact: true }).selectOption({ label: "iret (1)" });
		await page.getByText(/^1 of [\d,]+ events/).waitFor();
		await closeView(page, errors);
	});

	test("domains: memory, page types, event channels, grants, pages by type", async () => {
		const { page, errors } = await open("domains");
		await page.getByRole("heading", { name: "Domain 0: Domain-0" }).waitFor();
		const text = await textOf(page.locator("[data-domain='0']"));
		assert.match(text, /running; 4 pages of at most 8 \(16 KiB of 32 KiB\) <b>console<\/b> ring at page 3/);
		assert.match(text, /virq VIRQ_TIMER pending/);
		assert.match(text, /8 1 0x12 read and write 1/);
		await page.getByText("4 pages", { exact: true }).waitFor();
		await page.screenshot({ path: join(artifacts, "view-domains.png") });
		await page.getByRole("button", { name: "L1 page table" }).press("Enter");
		await page.getByText("1 page", { exact: true }).waitFor();
		assert.match(await textOf(page.getByRole("listbox", { name: "Pages" })), /0x3 0x13 L1 page table 3 4 pinned/);
		await closeView(page, errors);
	});

	test("IOMMU: from the device to the address, and from a fault to its walk", async () => {
		const { page, errors } = await open("iommu");
		await page.getByText("Translation on, root table hpa:0x9000; 12 requests translated, 1 stopped").waitFor();
		await page.getByText("→ hpa:0x100000").waitFor();
		await page.screenshot({ path: join(artifacts, "view-iommu.png") });
		await page.getByLabel("Device address").fill("0x2000");
		await page.getByLabel("Device address").press("Enter");
		await page.getByText("→ hpa:0x102000").waitFor();
		await page.getByRole("listbox", { name: "Last faults, newest first" }).focus();
		await page.keyboard.press("Home");
		await page.getByText("Device 00:06.0, address 0xdead000").waitFor();
		await closeView(page, errors);
	});

	test("comparison: side by side per measure and per operation, refusals, the cost model", async () => {
		const counts = (cost: number) => ({
			instructions: 10,
			exits: 1,
			callouts: 0,
			hypercalls: 0,
			hiddenFaults: 0,
			trueFaults: 2,
			exceptions: 0,
			traceWrites: 0,
			switches: 0,
			translations: 0,
			cost,
		});
		const result: CompareBody = {
			program: hostile,
			techniques: [
				{ name: "none", vmm: "none", stop: "debug-exit", sameOutput: true },
				{ name: "bt + shadow", vmm: "bt", mmu: "shadow", stop: "debug-exit", sameOutput: false },
				{ name: "pv", vmm: "pv", refused: "The image has no Xen notes." },
			],
			operations: [
				{ name: "whole run", counts: [counts(5000), counts(9000.25), null] },
				{ name: "ptemod", repetitions: 100, counts: [counts(2.5), counts(2.25), null] },
			],
			costModel: ["A VM exit costs 1000 cycles."],
		};
		const { page, actions, errors, send } = await open("comparison", { ...stopped, phase: "none" });
		await page.getByRole("button", { name: "Compare…" }).click();
		assert.deepEqual(actions, [{ kind: "action", action: "compare" }]);
		await send({ kind: "comparison", progress: "Running under bt" });
		await page.getByText("Running under bt").waitFor();
		await send({ kind: "comparison", result });
		const table = page.locator("table[data-measure=cost]");
		assert.deepEqual(
			(await table.locator("tbody tr").allInnerTexts()).map((row) => row.replace(/\s+/g, " ")),
			["whole run 5,000 9,000 –", "ptemod (of 100) 2.5 2.25 –"],
		);
		assert.deepEqual(await table.locator(".best").allInnerTexts(), ["5,000", "2.25"]);
		await page.getByText("pv: The image has no Xen notes.").waitFor();
		await page.screenshot({ path: join(artifacts, "view-comparison.png") });
		await page.getByLabel("Shown").selectOption("operation 1");
		const ofOperation = page.locator("table[data-operation=ptemod] tbody tr");
		assert.deepEqual(
			await ofOperation.locator("th").allInnerTexts(),
			measures.map(({ title }) => title),
		);
		await send({ kind: "comparison", refused: "There is no file." });
		await page.getByRole("alert").waitFor();
		await closeView(page, errors);
	});

	test("each view says what to do when there is nothing to show", async () => {
		const none: ViewState = {
			...stopped,
			technique: "none",
			shows: { events: false, vmx: false, domains: false, iommu: false },
		};
		const said: readonly [ViewName, RegExp][] = [
			["timeline", /does not record events/],
			["vmcs", /Set "vmm": "hvm"/],
			["hypercalls", /Set "vmm": "pv"/],
			["domains", /Set "vmm": "pv"/],
			["iommu", /no IOMMU/],
		];
		for (const [name, sentence] of said) {
			const { page, actions, errors, send } = await open(name, none);
			await page.getByText(sentence).waitFor();
			await send({ kind: "state", state: { ...stopped, phase: "running", thread: undefined } });
			await page.getByRole("button", { name: "Pause" }).press("Enter");
			assert.deepEqual(actions, [{ kind: "action", action: "pause" }]);
			await send({ kind: "state", state: stopped });
			await page.locator("main.content").waitFor();
			await closeView(page, errors);
		}
	});
});
