// The views of what virtualization adds, in the real workbench over real guests.
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { EditorScenarios, launchConfiguration, openView, skip, text } from "./editor-scenarios.ts";

const scenarios = new EditorScenarios();

describe("views of virtualization in the editor", { skip }, () => {
	before(scenarios.start);
	after(scenarios.stop);

	test("under binary translation: the timeline filters, counts and leads to the instruction", async () => {
		const folder = scenarios.workspace("kernel32");
		launchConfiguration(folder, { program: join(folder, "kernel32.elf"), vmm: "bt", memory: "64M" });
		await scenarios.run("timeline", folder, "user.c", async (page) => {
			await page.fileIsOpen("user.c", "C");
			await page.command("Hyperscope: Break at Address…");
			await page.answer("process_page_fault");
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
				await page.command("Hyperscope: Break at Address…");
				await page.answer(place);
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

			// The second call of outcome() comes after the fill.
			await breakAt("outcome");
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
