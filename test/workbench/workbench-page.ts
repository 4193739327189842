// The workbench in a browser page, as a user works with it: commands, gutter, views, webviews.
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Frame, Locator, Page } from "playwright-core";

export class WorkbenchPage {
	readonly page: Page;
	readonly #artifacts: string;

	/** @param artifacts folder for screenshots */
	constructor(page: Page, artifacts: string) {
		this.page = page;
		this.#artifacts = artifacts;
		mkdirSync(artifacts, { recursive: true });
	}

	async open(address: string): Promise<void> {
		await this.page.goto(address, { waitUntil: "domcontentloaded" });
		await this.page.waitForSelector(".monaco-workbench", { timeout: 60_000 });
		await this.page.waitForSelector(".statusbar-item", { timeout: 60_000 });
		// The hook is there because the server was started with --enable-smoke-test-driver.
		await this.page.waitForFunction("globalThis.driver !== undefined", undefined, { timeout: 60_000 });
		await this.page.evaluate("globalThis.driver.whenWorkbenchRestored()");
	}

	async screenshot(name: string): Promise<void> {
		await this.page.screenshot({ path: join(this.#artifacts, `${name}.png`) });
	}

	/** Asks again and again until the answer is truthy; rejects with the last answer when the time is over. */
	async until<Answer>(
		ask: () => Promise<Answer> | Answer,
		what: string,
		milliseconds = 20_000,
	): Promise<NonNullable<Answer>> {
		const end = Date.now() + milliseconds;
		for (;;) {
			let last: unknown;
			try {
				const answer = await ask();
				if (answer) return answer;
				last = answer;
			} catch (error) {
				last = error;
			}
			if (Date.now() > end)
				throw new Error(
					`${what}: not within ${milliseconds} ms; last: ${last instanceof Error ? last.message : JSON.stringify(last)}`,
				);
			await sleep(50);
		}
	}

	/**
	 * Runs a command by its title in the command palette. The palette lists what is known when it opens; commands of
	 * extensions come later, so it is opened again until the title is there.
	 */
	async command(title: string): Promise<void> {
		const box = this.page.locator(".quick-input-widget:visible .quick-input-box input").first();
		// The whole title: "Start Debugging" also begins "Start Debugging and Stop on Entry".
		const exact = new RegExp(`^${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}$`);
		const name = this.page.locator(".label-name", { hasText: exact });
		const row = this.page.locator(".quick-input-list .monaco-list-row", { has: name }).first();
		await this.until(
			async () => {
				await this.page.keyboard.press("Escape");
				await this.page.keyboard.press("F1");
				await box.waitFor({ timeout: 3000 });
				await box.fill(`>${title}`);
				await row.waitFor({ timeout: 3000 });
				await row.click({ timeout: 3000 });
				return true;
			},
			`the command ${title}`,
			60_000,
		);
	}

	/** Types into the input box that is open or about to open, and takes it. */
	async answer(text: string): Promise<void> {
		const box = this.page.locator(".quick-input-widget:visible .quick-input-box input").first();
		await box.waitFor({ timeout: 5000 });
		await box.fill(text, { timeout: 5000 });
		await box.press("Enter", { timeout: 5000 });
	}

	/** Runs a command that asks for a text, and answers. A box that loses the focus to something else closes: then once more. */
	async commandWithAnswer(title: string, text: string): Promise<void> {
		await this.until(
			async () => {
				await this.command(title);
				await this.answer(text);
				return true;
			},
			`the answer to ${title}`,
			60_000,
		);
	}

	/** Waits until the editor of a file is there and its language is known: before, it takes no breakpoints. */
	async fileIsOpen(name: string, language: string): Promise<void> {
		await this.page.locator(".tabs-container .tab", { hasText: name }).first().waitFor({ timeout: 30_000 });
		await this.page.locator(".monaco-editor .view-lines .view-line").first().waitFor({ timeout: 20_000 });
		await this.page.locator('[id="status.editor.mode"]', { hasText: language }).waitFor({ timeout: 30_000 });
	}

	/** Whether a glyph of the class is in the margin of a line. */
	async #hasGlyph(line: Locator, glyph: string): Promise<boolean> {
		const place = await line.boundingBox();
		if (!place) return false;
		for (const found of await this.page.locator(`.editor-instance .cgmr.${glyph}`).all()) {
			const box = await found.boundingBox();
			if (box && Math.abs(box.y - place.y) < 4) return true;
		}
		return false;
	}

	/**
	 * Clicks into the gutter of a line that is in view. The faint hint below the mouse shows only once the workbench knows
	 * that the language takes breakpoints; clicks before that are lost, so the mouse moves until the hint is there.
	 */
	async setBreakpoint(lineNumber: number): Promise<void> {
		const line = this.page
			.locator(".editor-instance .margin-view-overlays .line-numbers", { hasText: new RegExp(`^${lineNumber}$`) })
			.first();
		await line.waitFor({ timeout: 10_000 });
		let moves = 0;
		await this.until(
			async () => {
				if (await this.#hasGlyph(line, "codicon-debug-breakpoint")) return true;
				const number = await line.boundingBox();
				const margin = await this.page.locator(".editor-instance .glyph-margin").first().boundingBox();
				if (!number || !margin) return false;
				const x = margin.x + Math.min(10, margin.width / 2) + (moves++ % 3) - 1;
				const y = number.y + number.height / 2;
				await this.page.mouse.move(x, y);
				if (!(await this.#hasGlyph(line, "codicon-debug-hint"))) return false;
				await this.page.mouse.click(x, y);
				return this.until(() => this.#hasGlyph(line, "codicon-debug-breakpoint"), "the breakpoint's glyph", 2000);
			},
			`breakpoint on line ${lineNumber}`,
			40_000,
		);
	}

	/** Waits until the machine stands and the editor shows where. */
	async stopped(): Promise<void> {
		await this.page.locator(".debug-toolbar").waitFor({ timeout: 60_000 });
		await this.page.locator(".codicon-debug-stackframe").first().waitFor({ timeout: 60_000 });
	}

	/** A pane of the side bar by its title. */
	pane(title: string): Locator {
		return this.page.locator(".pane", { has: this.page.locator(`.pane-header[aria-label^="${title}"]`) });
	}

	async expandPane(title: string): Promise<void> {
		const header = this.page.locator(`.pane-header[aria-label^="${title}"]`).first();
		await header.waitFor({ timeout: 20_000 });
		if ((await header.getAttribute("aria-expanded")) === "false") await header.click();
	}

	/** Texts of the rows of a pane that are in view. */
	async rows(title: string): Promise<string[]> {
		const texts = await this.pane(title).locator(".monaco-list-row").allInnerTexts();
		return texts.map((text) => text.replace(/\s*\n\s*/g, " ").trim());
	}

	/** Waits until a row of a pane matches and gives it. */
	async row(title: string, pattern: RegExp): Promise<string> {
		let rows: string[] = [];
		try {
			return await this.until(async () => {
				rows = await this.rows(title);
				return rows.find((text) => pattern.test(text));
			}, `a row of ${title} that matches ${pattern}`);
		} catch (error) {
			throw new Error(`${(error as Error).message}; rows: ${JSON.stringify(rows)}`);
		}
	}

	async expandRow(title: string, text: string | RegExp): Promise<void> {
		const row = this.pane(title).locator(".monaco-list-row", { hasText: text }).first();
		await row.waitFor({ timeout: 20_000 });
		await this.until(async () => {
			if ((await row.getAttribute("aria-expanded")) === "true") return true;
			await row.locator(".monaco-tl-twistie").click({ timeout: 2000 });
			await sleep(200);
			return (await row.getAttribute("aria-expanded")) === "true";
		}, `open ${text}`);
	}

	/** Chooses from a row's context menu. A menu ignores clicks in its first moments, so the click is repeated. */
	async contextMenu(target: Locator, label: string): Promise<void> {
		await target.click({ button: "right" });
		const item = this.page
			.locator(".monaco-menu .action-item:not(.disabled) .action-label", { hasText: label })
			.first();
		await item.waitFor({ timeout: 5000 });
		await this.until(async () => {
			await sleep(250);
			if (!(await item.isVisible())) return true;
			await item.click({ timeout: 1000 });
			await sleep(150);
			return !(await item.isVisible());
		}, `menu item ${label}`);
	}

	/** The document inside a webview: the one of which the test (run in the page) holds. */
	webview(test: () => boolean, what: string): Promise<Frame> {
		return this.until(async () => {
			for (const frame of this.page.frames()) {
				// Page → the webview's host page → its content.
				if (!frame.parentFrame()?.parentFrame()) continue;
				if (await frame.evaluate(test).catch(() => false)) return frame;
			}
			return undefined;
		}, what);
	}

	/** Texts of the notifications. Under the test driver they do not pop up, so their centre is opened. */
	async notifications(): Promise<string[]> {
		await this.command("Notifications: Show Notifications");
		const items = this.page.locator(".notifications-center .notification-list-item-message");
		return items.allInnerTexts();
	}

	/** Waits for a notification. */
	notification(pattern: RegExp): Promise<string> {
		return this.until(
			async () => (await this.notifications()).find((text) => pattern.test(text)),
			`notification ${pattern}`,
		);
	}
}
