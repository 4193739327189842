// The extension in the real VS Code workbench, driven in a real browser.
import assert from "node:assert/strict";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EditorScenarios, launchConfiguration, skip, text } from "./editor-scenarios.ts";
import type { WorkbenchPage } from "./workbench-page.ts";

const scenarios = new EditorScenarios();
const workspace = (sample?: string) => scenarios.workspace(sample);
const scenario: EditorScenarios["run"] = (...values) => scenarios.run(...values);

describe("the editor", { skip }, () => {
	before(scenarios.start);
	after(scenarios.stop);

	test("a wrong launch configuration gets one clear sentence", async () => {
		const folder = workspace();
		launchConfiguration(folder, { program: `${folder}/none.elf`, memory: "64M" });
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

	test("F5 without a launch.json starts the kernel image of the folder", async () => {
		const folder = workspace("kernel32");
		rmSync(join(folder, ".vscode"), { recursive: true });
		await scenario("no-launch-json", folder, "directory-tree.c", async (page) => {
			await setBreakpointInAddUp(page);
			await page.page.keyboard.press("F5");
			await chooseDebuggerIfAsked(page);
			await page.stopped();
			await page.row("Call Stack", /^pCPU 0/);
			// Open without a click, at the first stop of the window too.
			await page.row("Call Stack", /^add_up/);
			await page.row("Variables", /^depth = 0/);
		});
	});

	test("a sample is opened as a folder of the user's own", async () => {
		await scenario("open-sample", undefined, undefined, async (page) => {
			await page.command("Hyperscope: Open Sample Kernel…");
			await page.page.locator(".quick-input-list .monaco-list-row", { hasText: "isprime" }).first().click();
			const explorer = page.page.locator(".explorer-folders-view .monaco-list-row");
			await page.until(
				async () => (await explorer.allTextContents()).includes("isprime.S"),
				"the files of the sample",
				60_000,
			);
			await page.command("Debug: Start Debugging");
			await page.until(
				async () => /isPrime\(49\) = 0/.test((await page.page.locator(".repl").first().textContent()) ?? ""),
				"the guest's output in the debug console",
			);
		});
	});

	test("under binary translation: breakpoint, variables, registers, steps, page tables, fragments, disassembly", async () => {
		// The sample's own launch.json, whose first configuration is binary translation with shadow page tables.
		await scenario("kernel32", workspace("kernel32"), "directory-tree.c", async (page) => {
			await runToBreakpoint(page);
			await page.row("Call Stack", /^vCPU 0/);
			await page.row("Call Stack", /^pCPU 0/);
			await page.row("Call Stack", /^directory_tree_demonstrate/);
			await page.expandRow("Variables", /^Locals|^Arguments/);
			await page.row("Variables", /^depth = 0/);
			const line = page.page.locator(".view-line", { hasText: /if.*depth.*>.*totals/ });
			await page.until(async () => /depth\s=\s0/.test((await line.first().textContent()) ?? ""), "values in the line");
			await page.page.locator(".statusbar-item", { hasText: /bt · \d/ }).waitFor({ timeout: 10_000 });
			await page.screenshot("stopped");

			await readMemory(page);
			await readFragments(page);
			await page.expandPane("Guest Registers");
			await page.row("Guest Registers", /^eax\s*0x[0-9a-f]{8}$/);
			await page.pane("Call Stack").locator(".monaco-list-row", { hasText: "add_up" }).first().click();
			// Under the mouse a frame shows what can be done with it in place of its line.
			await page.page.mouse.move(700, 400);
			await page.page.keyboard.press("F10");
			// Depth 0 is not greater than the deepest so far: line 79 is passed over.
			await page.row("Call Stack", /^add_up.*80:/);
			await page.until(
				async () => (await page.pane("Guest Registers").locator("[aria-label*=', changed']").count()) > 0,
				"a changed register that is marked",
			);

			await readPageTables(page);
			await readDisassembly(page);
			await page.page.keyboard.press("Shift+F5");
			await page.page.locator(".debug-toolbar").waitFor({ state: "hidden", timeout: 10_000 });
		});
	});
});

/** A breakpoint in the gutter of `add_up`, F5, and the stop there. */
async function runToBreakpoint(page: WorkbenchPage): Promise<void> {
	await setBreakpointInAddUp(page);
	await page.page.keyboard.press("F5");
	await page.stopped();
	await page.expandRow("Call Stack", /^vCPU 0/);
	await page.row("Call Stack", /^add_up/);
}

/** VS Code asks which debugger shall run a C file when several can. */
async function chooseDebuggerIfAsked(page: WorkbenchPage): Promise<void> {
	const choice = page.page.locator(".quick-input-list .monaco-list-row", { hasText: "Hyperscope" }).first();
	const toolbar = page.page.locator(".debug-toolbar");
	await page.until(
		async () => (await choice.isVisible()) || (await toolbar.isVisible()),
		"a choice or a session",
		60_000,
	);
	if (await choice.isVisible()) await choice.click();
}

async function setBreakpointInAddUp(page: WorkbenchPage): Promise<void> {
	await page.fileIsOpen("directory-tree.c", "C");
	await page.page.locator(".monaco-editor .view-lines").first().click();
	await page.page.keyboard.press("Control+G");
	await page.answer(":78");
	await page.setBreakpoint(78);
}

/** The memory view, from a variable's menu: what it points to, and a value that is written. */
async function readMemory(page: WorkbenchPage): Promise<void> {
	await page.contextMenu(page.pane("Variables").locator(".monaco-list-row", { hasText: "<nodes>" }), "Show Memory…");
	const view = await page.webview(() => document.querySelector(".unit.chosen") !== null, "the memory view");
	// struct node begins with its name, which is "/" for the root.
	assert.equal(await text(view, ".unit.chosen"), "2f");
	await view.locator("[data-unit='1']").first().click();
	await view.locator("input[aria-label='New value']").fill("0x41");
	await view.locator("input[aria-label='New value']").press("Enter");
	await page.until(
		async () => (await view.locator(".unit.changed.chosen", { hasText: "41" }).count()) === 1,
		"the byte",
	);
	await page.screenshot("memory");
}

/** The page-table view: the walk of an address that is typed, the mappings with a filter, a click on a row. */
async function readPageTables(page: WorkbenchPage): Promise<void> {
	await page.command("Hyperscope: Show Page Tables");
	const view = await page.webview(
		() => document.querySelector(".walk .result") !== null,
		"a walk in the page-table view",
	);
	assert.match(await text(view, ".walked"), /add_up/, "without an address the instruction pointer is walked");
	const shadow = await text(view, ".walk[data-table=shadow]");
	assert.match(shadow, /PDE.*hpa:0x.*PTE.*hpa:0x.*→ hpa:0x/, "the shadow tables lie in host memory and lead there");
	await view.locator("input[aria-label='Address to walk']").fill("0x5000");
	await view.locator("input[aria-label='Address to walk']").press("Enter");
	await page.until(
		async () => /The walk fails here/.test(await text(view, ".walk[data-table=guest]")),
		"the failing level",
	);
	await page.until(async () => /[1-9]\d* mappings?/.test(await text(view, ".mappings")), "mappings");
	const all = Number((await text(view, ".mappings .bar [role=status]")).split(" ")[0]);
	await view.locator("button.toggle", { hasText: "Large" }).click();
	const large = await page.until(async () => {
		const shown = Number.parseInt(await text(view, ".mappings .bar [role=status]"), 10);
		return shown < all ? shown + 1 : 0;
	}, "fewer mappings with the filter");
	assert.ok(large - 1 >= 1, "the pool is one large page");
	await view.locator(".list-row").first().click();
	const start = (await text(view, ".list-row .column-range")).split("–")[0]!;
	await page.until(
		async () => (await text(view, ".walked")).includes(start),
		"the walk of the mapping that was clicked",
	);
	await page.screenshot("page-tables");
}

/** The fragment view: totals, the current line, a link that is followed, a breakpoint in a fragment, a step through it. */
async function readFragments(page: WorkbenchPage): Promise<void> {
	await page.command("Hyperscope: Show Fragments");
	const view = await page.webview(
		() => document.querySelector("tr.current") !== null,
		"the current line in the fragment view",
	);
	assert.match(await text(view, ".totals"), /^\d+ fragments, \d+ continuations? left; translation cache 0x/);
	assert.match(await text(view, ".fragment h2"), /add_up/);
	assert.match(await text(view, ".hash"), /Hash table: [1-9]\d* of \d+ buckets used/);
	await page.screenshot("fragments");

	const pane = page.pane("Call Stack");
	await page.expandRow("Call Stack", /^pCPU 0/);
	const rows = await pane.locator(".monaco-list-row").allTextContents();
	const ofProcessor = rows.findIndex((row) => row.startsWith("pCPU 0")) + 1;
	await pane.locator(".monaco-list-row").nth(ofProcessor).click();
	const here = () =>
		view.locator("tr.current .breakpoint[aria-label^='pCPU is here']").first().getAttribute("data-address");
	const before = await page.until(here, "the line of the physical processor");
	assert.match(before, /^0xff/, "it stands in the translation cache");
	await page.page.keyboard.press("F11");
	const next = await page.until(async () => {
		const address = await here();
		return address !== before ? address : undefined;
	}, "the physical processor on its next instruction");
	assert.match(next, /^0xff/);

	await view.locator(`.breakpoint[data-address='${next}']`).click();
	await view.locator(`.breakpoint.set[data-address='${next}']`).waitFor();
	// Only rows in view exist: function breakpoints are listed below the exceptions.
	await page.pane("Breakpoints").locator(".monaco-list-row").first().click();
	await page.page.keyboard.press("End");
	await page.row("Breakpoints", new RegExp(`^\\*${next}`));
	await page.screenshot("fragment-breakpoint");

	await view.locator(".fragment-list input").fill("add_file");
	await view.locator(".fragment-list input").press("Enter");
	await view.locator(".list-row", { hasText: "add_file" }).first().click();
	const chained = view.locator(".exits li[data-state=chained] .link").first();
	await page.until(async () => {
		for (const row of await view.locator(".list-row", { hasText: "chained" }).all()) {
			await row.click();
			if (await chained.isVisible()) return true;
		}
		return false;
	}, "a fragment with a chained exit");
	const target = /\d+/.exec((await chained.textContent())!)![0];
	await chained.click();
	await view.locator(`.fragment[data-fragment='${target}']`).waitFor();
}

async function readDisassembly(page: WorkbenchPage): Promise<void> {
	await page.contextMenu(
		page.pane("Call Stack").locator(".monaco-list-row", { hasText: "add_up" }).first(),
		"Open Disassembly View",
	);
	const rows = page.page.locator(".editor-instance .monaco-table .monaco-list-row");
	await page.until(
		async () => (await rows.allTextContents()).some((row) => /c0105a/i.test(row)),
		"disassembled code of add_up",
	);
	await page.screenshot("disassembly");
}
