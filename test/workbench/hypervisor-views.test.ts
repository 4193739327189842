// The views of what virtualization adds, in the real workbench over real guests.
import assert from "node:assert/strict";
import { cpSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { EditorScenarios, launchConfiguration, openView, skip, text } from "./editor-scenarios.ts";

const scenarios = new EditorScenarios();
const samples = fileURLToPath(new URL("../../extension/samples", import.meta.url));

describe("views of virtualization in the editor", { skip }, () => {
	before(scenarios.start);
	after(scenarios.stop);

	test("under binary translation: the timeline filters, counts and leads to the instruction", async () => {
		const folder = scenarios.workspace("kernel32");
		launchConfiguration(folder, { program: join(folder, "kernel32.elf"), vmm: "bt", memory: "64M" });
		await scenarios.run("timeline", folder, "user.c", async (page) => {
			await page.fileIsOpen("user.c", "C");
			await page.commandWithAnswer("Hyperscope: Break at Address…", "process_page_fault");
			await page.page.keyboard.press("F5");
			await page.stopped();
			await page.command("View: Show Run and Debug");
			await page.expandRow("Call Stack", /^vCPU 0/);
			await page.row("Call Stack", /^process_page_fault/);

			const view = await openView(page, "Show VM-Event Timeline", ".list-row.event-true-fault");
			assert.match(await text(view, ".status"), /events since power-on, newest first/);
			await view.getByLabel("Kind of event").selectOption("true-fault");
			const first = view.locator(".main .list-row").first();
			await page.until(async () => /True page fault/.test((await first.textContent()) ?? ""), "only true faults");
			await first.click();
			await page.until(async () => /address/.test(await text(view, ".detail .fields")), "the faulting address");
			await page.screenshot("timeline");
			// Enter goes to the instruction: the store in the assembly source that faulted.
			await view.locator(".main .list-viewport").press("Enter");
			await page.page.locator(".tabs-container .tab.active", { hasText: "instructions.S" }).waitFor();

			const devices = page.pane("Guest Devices");
			await page.expandPane("Guest Devices");
			await devices.locator(".monaco-list-row", { hasText: "8259A" }).first().waitFor();
			await page.screenshot("devices");

			// A technique without a VMCS says which has one.
			const vmcs = await openView(page, "Show VMCS", ".empty:has-text('VMCS')");
			assert.match(await text(vmcs, ".empty"), /No VMCS is used under "vmm": "bt". Set "vmm": "hvm"/);
			const domains = await openView(page, "Show Domains", ".empty:has-text('domains')");
			assert.match(await text(domains, ".empty"), /Set "vmm": "pv"/);
			await page.screenshot("without-vmcs");
		});
	});

	test("techniques are compared from an image in the explorer", async () => {
		await scenarios.run("compare", scenarios.workspace("kernel32"), "main.c", async (page) => {
			await page.fileIsOpen("main.c", "C");
			const image = page.page.locator(".explorer-folders-view .monaco-list-row", { hasText: "kernel32.elf" }).first();
			await image.waitFor({ timeout: 30_000 });
			// The command's menu item is there once the extension's contributions are known.
			await page.until(
				async () => {
					await page.page.keyboard.press("Escape");
					await page.contextMenu(image, "Compare Techniques…");
					return true;
				},
				"the menu item",
				60_000,
			);
			const view = await page.until(
				async () => {
					for (const frame of page.page.frames())
						if (
							(await frame
								.locator("table[data-measure=cost]")
								.count()
								.catch(() => 0)) > 0
						)
							return frame;
					return undefined;
				},
				"the comparison",
				240_000,
			);
			const heading = (await view.locator("thead").first().textContent()) ?? "";
			assert.match(heading, /none.*bt/);
			await page.screenshot("comparison");
		});
	});

	test("paravirtualization with Domain 0: hypercalls decoded, both domains with their pages, channels and grants", async () => {
		// Its sources lie in the folder that goes with every sample.
		const both = scenarios.workspace();
		const folder = join(both, "xen64");
		for (const name of ["xen64", "common"]) cpSync(join(samples, name), join(both, name), { recursive: true });
		writeFileSync(join(folder, "disk.img"), new Uint8Array(1 << 20));
		const machine = { vmm: "pv", io: "split", memory: "32M", disks: [join(folder, "disk.img")] };
		launchConfiguration(folder, { program: join(folder, "xen64.elf"), ...machine });
		await scenarios.run("paravirtual", folder, "README.md", async (page) => {
			await page.page.locator(".tabs-container .tab", { hasText: "README.md" }).first().waitFor({ timeout: 30_000 });
			await page.commandWithAnswer("Hyperscope: Break at Address…", "write_and_compare");
			await page.page.keyboard.press("F5");
			await page.stopped();
			await page.command("View: Show Run and Debug");
			await page.expandRow("Call Stack", /^vCPU 0/);
			await page.row("Call Stack", /^write_and_compare/);

			const calls = await openView(page, "Show Hypercall Log", ".list-row");
			await page.until(async () => {
				const names = await calls.getByLabel("Hypercall", { exact: true }).locator("option").allTextContents();
				return ["mmu_update", "mmuext_op", "event_channel_op", "grant_table_op"].every((name) =>
					names.some((text) => text.startsWith(`${name} (`)),
				);
			}, "the hypercalls that the guest made");
			await calls.getByLabel("Hypercall", { exact: true }).selectOption("mmu_update");
			const first = calls.locator(".list-row").first();
			await page.until(async () => /mmu_update/.test((await first.textContent()) ?? ""), "only mmu_update");
			await first.click();
			await page.until(async () => (await calls.locator(".detail .fields dd").count()) > 2, "its arguments");
			await page.screenshot("hypercalls");

			const domains = await openView(page, "Show Domains", "[data-domain]");
			assert.equal(await text(domains, ".status"), "2 domains");
			assert.match(await text(domains, "[data-domain='0']"), /Domain 0/);
			await domains.locator(".side .list-viewport").focus();
			await domains.locator(".side .list-viewport").press("ArrowDown");
			await page.until(async () => (await domains.locator("[data-domain='1']").count()) > 0, "the guest's domain");
			const about = await text(domains, "[data-domain='1']");
			assert.match(about, /L4 page table/);
			assert.match(about, /interdomain/);
			await page.until(async () => (await domains.locator(".pages .list-row").count()) > 3, "its pages");
			await page.screenshot("domains");
		});
	});

	test("backwards: the buttons of the editor go to the line before and to the breakpoint before", async () => {
		const folder = scenarios.workspace("kernel32");
		launchConfiguration(folder, { program: join(folder, "kernel32.elf"), vmm: "bt", memory: "16M" });
		await scenarios.run("reverse", folder, "process.c", async (page) => {
			await page.fileIsOpen("process.c", "C");
			await page.commandWithAnswer("Hyperscope: Break at Address…", "process_page_fault");
			await page.page.keyboard.press("F5");
			await page.stopped();
			await page.command("View: Show Run and Debug");
			await page.expandRow("Call Stack", /^vCPU 0/);
			await page.row("Call Stack", /^process_page_fault/);
			await page.expandRow("Variables", /^Arguments/);
			const first = await page.row("Variables", /^error_code = /);
			await page.page.keyboard.press("F5");
			await page.until(async () => (await page.row("Variables", /^error_code = /)) !== first, "the second fault");
			await page.page.locator(".debug-toolbar .codicon-debug-reverse-continue").first().click();
			await page.until(async () => (await page.row("Variables", /^error_code = /)) === first, "the first fault again");
			await page.page.locator(".debug-toolbar .codicon-debug-step-back").first().click();
			await page.row("Call Stack", /^interrupt_dispatch/);
			await page.screenshot("reverse");
		});
	});

	test("devices passed through: their domain, the walk of a device address, a stray DMA that was stopped", async () => {
		const folder = scenarios.workspace("dma");
		launchConfiguration(folder, {
			program: join(folder, "dma.elf"),
			vmm: "hvm",
			io: "passthrough",
			memory: "16M",
			devices: ["dma-engine"],
			disks: [join(folder, "disk.img")],
			append: "stray",
		});
		await scenarios.run("iommu", folder, "main.c", async (page) => {
			await page.fileIsOpen("main.c", "C");
			const breakAt = async (place: string) => {
				await page.commandWithAnswer("Hyperscope: Break at Address…", place);
			};
			await breakAt("go_astray");
			await page.page.keyboard.press("F5");
			await page.stopped();
			const view = await openView(page, "Show IOMMU", ".list-row:has-text('DMA engine')");
			assert.match(
				await text(view, ".status"),
				/^Translation on, root table hpa:0x[0-9a-f]+; \d+ requests translated, 0 stopped/,
			);
			assert.match(await text(view, ".list-row:has-text('PIIX3 IDE')"), /00:01\.1.*1.*4.*translated/);
			await view.getByLabel("Device address").fill("0x100000");
			await view.getByLabel("Device address").press("Enter");
			await page.until(async () => /→ hpa:0x[0-9a-f]+000/.test(await text(view, ".walk .result")), "the walk");
			await page.screenshot("iommu");

			// The next call of outcome() comes after the fill. The machine goes on once the breakpoint is known.
			await breakAt("outcome");
			await page.command("View: Show Run and Debug");
			await page.expandPane("Breakpoints");
			// Only rows in view exist: function breakpoints are listed below the exceptions.
			await page.pane("Breakpoints").locator(".monaco-list-row").first().click();
			await page.page.keyboard.press("End");
			await page.row("Breakpoints", /outcome/);
			await page.page.keyboard.press("F5");
			await page.until(async () => /, 1 stopped/.test(await text(view, ".status")), "the fault");
			const fault = view.locator(".faults .list-row", { hasText: "no permission to write" }).first();
			assert.match((await fault.textContent()) ?? "", /00:04\.0.*write.*0x1000000/);
			await fault.click();
			await page.until(async () => /no permission to write/.test(await text(view, ".walk")), "the level that fails");
			await page.screenshot("iommu-fault");
		});
	});
});
