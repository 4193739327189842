// A guest that is a hypervisor, in the real workbench: the sample as a user opens it, with its own launch.json.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { EditorScenarios, openView, skip, text } from "./editor-scenarios.ts";
import type { WorkbenchPage } from "./workbench-page.ts";

const scenarios = new EditorScenarios();

/** Checks the box of an exception filter in the Breakpoints view, by the keyboard. */
async function chooseFilter(page: WorkbenchPage, label: string): Promise<void> {
	await page.expandPane("Breakpoints");
	const row = page.pane("Breakpoints").locator(".monaco-list-row", { hasText: label }).first();
	await row.click();
	await page.page.keyboard.press("Space");
}

/** Continues to the next stop and waits until the call stack says why the machine stopped. */
async function continueTo(page: WorkbenchPage, why: RegExp): Promise<void> {
	await page.page.keyboard.press("F5");
	const pane = page.pane("Call Stack");
	await page.until(async () => why.test((await pane.textContent()) ?? ""), `the stop ${why}`, 60_000);
}

describe("a hypervisor as the guest", { skip }, () => {
	before(scenarios.start);
	after(scenarios.stop);

	test("its VM exit, its VMCS, the two-dimensional walk, the timeline", async () => {
		await scenarios.run("hypervisor", scenarios.workspace("hypervisor"), "exits.c", async (page) => {
			await page.fileIsOpen("exits.c", "C");
			await page.page.keyboard.press("F5");
			await page.stopped();
			const outside = await openView(page, "Show VMCS", ".scroll");
			await page.until(async () => /not in VMX operation/.test(await text(outside, ".scroll")), "the empty view");
			await page.screenshot("hypervisor-no-vmx");

			await page.command("View: Show Run and Debug");
			await chooseFilter(page, "Any VM exit");
			await continueTo(page, /Invalid guest state/);
			const vmcs = await openView(page, "Show VMCS", ".group");
			assert.match(await text(vmcs, ".status"), /the last VM entry failed: Guest RFLAGS must/);
			await page.screenshot("hypervisor-entry-failed");

			await page.command("Debug: Continue");
			await page.until(async () => /VMCALL/.test(await text(vmcs, ".status")), "the exit by VMCALL");
			await page.command("Debug: Continue");
			await page.until(async () => /last VM exit: CPUID/.test(await text(vmcs, ".status")), "the exit by CPUID");
			await page.row("Call Stack", /^enter_guest/);
			await page.row("Call Stack", /^run_guest/);
			const reason = vmcs.locator("tr[data-field='Exit reason']");
			assert.match((await reason.textContent()) ?? "", /CPUID/);
			assert.match((await reason.getAttribute("class")) ?? "", /changed/);
			await page.screenshot("hypervisor-vmcs");

			// Only what the exit changed; then bits by name, opened by the keyboard.
			await vmcs.getByRole("button", { name: "Changed only" }).click();
			await page.until(async () => (await vmcs.locator("tr[data-field='CR3']").count()) === 0, "only changed fields");
			assert.equal(await vmcs.locator("tr[data-field='Exit reason']").count(), 1);
			await page.screenshot("hypervisor-vmcs-changed");
			await vmcs.getByRole("button", { name: "Changed only" }).click();
			await vmcs.getByLabel("Search fields").fill("EPT pointer");
			await vmcs.getByLabel("Search fields").press("Enter");
			const pointer = vmcs.locator("tr[data-field='EPT pointer (EPTP)']");
			await page.until(async () => (await vmcs.locator("tr[data-field]").count()) === 1, "one field");
			await pointer.locator("summary").focus();
			await page.page.keyboard.press("Enter");
			await pointer.locator("table.bits tr", { hasText: "write-back (WB)" }).waitFor();
			await page.screenshot("hypervisor-vmcs-bits");

			// The walk of a guest function: three tables and 24 references.
			const tables = await openView(page, "Show Page Tables", ".nested");
			await tables.getByLabel("Address to walk").fill("guest_cpuid");
			await tables.getByLabel("Address to walk").press("Enter");
			await page.until(
				async () => /^24 memory references: guest-physical gpa:0x4/.test(await text(tables, ".nested .result")),
				"the two-dimensional walk",
			);
			assert.equal(await tables.locator(".nested td.reference").count(), 24);
			await page.screenshot("hypervisor-nested-walk");
			await tables.getByLabel("Table", { exact: true }).selectOption("ept");
			await page.until(
				async () => /hpa:0x600000/.test((await tables.locator(".list-viewport").textContent()) ?? ""),
				"the EPT's mappings",
			);
			await page.screenshot("hypervisor-ept");

			const timeline = await openView(page, "Show VM-Event Timeline", ".list-row.event-exit");
			await timeline.getByLabel("Kind of event").selectOption("exit");
			const first = timeline.locator(".main .list-row").first();
			await page.until(async () => /CPUID.*guest_cpuid/s.test((await first.textContent()) ?? ""), "the exit by CPUID");
			await first.click();
			await page.until(async () => /leaf/.test(await text(timeline, ".detail .fields")), "the leaf");
			await page.screenshot("hypervisor-timeline");
			// Enter goes to the guest's instruction.
			await timeline.locator(".main .list-viewport").press("Enter");
			await page.page.locator(".tabs-container .tab.active", { hasText: "guest.c" }).waitFor();
			await page.screenshot("hypervisor-guest");
		});
	});
});
