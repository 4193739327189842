// The webviews alone in a browser, against an extension that answers from prepared data: what they show, that guest text
// stays text, that everything works by keyboard.
import assert from "node:assert/strict";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import type { FragmentBody, FragmentSummary, MappingInfo } from "../../debug-adapter/protocol.ts";
import type { ViewName, ViewState } from "../../webviews/messages.ts";
import { findChromium, launchChromium } from "./chromium.ts";
import { artifacts, closeView, openView } from "./view-page.ts";

const chromium = findChromium();

/** What a hostile guest might name a function. */
const hostile = '<img src=x onerror="globalThis.broken = true">';

const stopped: ViewState = {
	phase: "stopped",
	technique: "bt",
	hasTranslationCache: true,
	thread: { id: 1, kind: "vcpu", name: "vCPU 0" },
	revision: 1,
	breakpoints: [],
};

function summary(id: number): FragmentSummary {
	const guest = 0x100000 + 16 * id;
	return {
		id,
		guestStart: `0x${guest.toString(16)}`,
		guestEnd: `0x${(guest + 9).toString(16)}`,
		translatedStart: `0x${(0xffc00000 + 32 * id).toString(16)}`,
		translatedEnd: `0x${(0xffc00010 + 32 * id).toString(16)}`,
		symbol: id === 0 ? hostile : `f${id}`,
		instructions: 2,
		entries: id,
		generation: 0,
		valid: true,
		exits: [
			{ kind: "taken", guestTarget: "0x100010", symbol: "f1", state: "chained", fragment: 1 },
			{ kind: "fallthrough", guestTarget: "0x100099", state: "continuation" },
		],
	};
}

function fragment(id: number): FragmentBody {
	const about = summary(id);
	const translated = { address: about.translatedStart, bytes: "89 f9", text: "mov ecx, edi" };
	return {
		...about,
		lines: [
			{
				guest: about.guestStart,
				guestBytes: "89 f9",
				guestText: "mov ecx, edi",
				tag: "IDENT",
				translated: [translated],
				current: id === 0 ? [{ threadId: 2, address: about.translatedStart }] : undefined,
			},
		],
	};
}

function mapping(index: number): MappingInfo {
	const start = 0x1000 * 2 * index;
	return {
		start: `0x${start.toString(16)}`,
		end: `0x${(start + 0x1000).toString(16)}`,
		target: `gpa:0x${(start + 0x100000).toString(16)}`,
		pageSize: 4096,
		writable: index % 2 === 0,
		user: false,
		executable: true,
		global: false,
		accessed: true,
		dirty: false,
	};
}

/** What the guest's memory holds at gpa:0x1008. */
let writtenByte = 8;

const mappings = Array.from({ length: 3000 }, (_, index) => mapping(index));

/** The extension's part: the bodies of all requests. */
function answer(command: string, values: Record<string, never>): unknown {
	switch (command) {
		case "hyperscope/tables":
			return { tables: ["guest", "shadow"] };
		case "hyperscope/mappings": {
			const from = mappings.findIndex(({ end }) => BigInt(end) > BigInt(values.from!));
			const part = from < 0 ? [] : mappings.slice(from, from + Number(values.limit));
			const next = from + part.length < mappings.length ? part.at(-1)?.end : undefined;
			return { mappings: part, next };
		}
		case "hyperscope/pageWalk":
			return {
				linear: values.address === "rip" ? "0xc0100000" : values.address,
				symbol: hostile,
				walks: [
					{
						table: "guest",
						steps: [{ level: "PDE", index: 768, entryAddress: "gpa:0x1c00", entry: "0x83", flags: ["P", "W", "PS"] }],
						result: { address: "gpa:0x100000", pageSize: 4 << 20, writable: true, user: false, executable: true },
					},
					{
						table: "shadow",
						steps: [
							{ level: "PDE", index: 768, entryAddress: "hpa:0x9c00", entry: "0x5063", flags: ["P", "W"] },
							{ level: "PTE", index: 256, entryAddress: "hpa:0x5400", entry: "0x0", flags: [], failure: "not present" },
						],
					},
				],
			};
		case "hyperscope/fragments":
			return {
				cacheStart: "0xffc00000",
				cacheEnd: "0xffe00000",
				total: 2,
				continuationsLeft: 2,
				fragments: Number(values.start) === 0 ? [summary(0), summary(1)] : [],
			};
		case "hyperscope/fragment":
			if (values.address === "nowhere") throw new Error("There is no fragment at nowhere.");
			return fragment(Number(values.id ?? 0));
		case "hyperscope/hashTable":
			return { size: 4096, used: 2, buckets: [0, 1].map((index) => ({ index, guest: "0x0", fragment: index })) };
		case "hyperscope/memory": {
			const start = 0x1000 + Number(values.offset);
			const bytes = Array.from({ length: Number(values.count) }, (_, index) => (start + index) & 0xff);
			if (start <= 0x1008) bytes[0x1008 - start] = writtenByte;
			return {
				address: "gpa:0x1008",
				space: "gpa",
				start: `0x${start.toString(16)}`,
				count: values.count,
				wordSize: 4,
				parts: [{ offset: 0, data: btoa(String.fromCharCode(...bytes)) }],
				names: [],
				pointers: [{ offset: 0, name: hostile }],
			};
		}
		case "hyperscope/display":
			return {
				columns: 80,
				rows: Array.from({ length: 25 }, (_, row) => [
					{ text: row === 0 ? hostile.padEnd(80) : " ".repeat(80), foreground: "#ffffff", background: "#0000aa" },
				]),
				cursor: { row: 1, column: 2 },
				graphicsMode: false,
			};
		default:
			throw new Error(`no answer to ${command}`);
	}
}

describe("webviews", { skip: "missing" in chromium ? chromium.missing : false }, () => {
	let browser: Browser;

	before(async () => {
		assert.ok("path" in chromium);
		browser = await launchChromium(chromium.path);
		mkdirSync(artifacts, { recursive: true });
	});
	after(() => browser?.close());

	const open = (name: ViewName, state: ViewState) => openView(browser, name, state, answer);

	test("page tables: both walks, the failing level, a long list that is drawn in part", async () => {
		const { page, errors } = await open("page-tables", stopped);
		const shadow = page.locator(".walk[data-table=shadow]");
		await shadow.waitFor();
		assert.match((await shadow.locator(".step.failed").textContent())!, /PTE.*\[256\].*fails here: not present/);
		assert.match((await page.locator(".walked").textContent())!, /0xc0100000 <img src=x/);
		await page.getByText("3000 mappings").waitFor();
		assert.ok((await page.locator(".list-row").count()) < 100, "only the rows in view exist");
		await page.screenshot({ path: join(artifacts, "view-page-tables.png") });
		await page.locator(".list-viewport").focus();
		await page.keyboard.press("End");
		await page.locator(`.list-row[aria-selected=true][aria-posinset="3000"]`).waitFor();
		await page.waitForFunction(
			(start) => document.querySelector(".walked")?.textContent?.includes(start),
			mappings.at(-1)!.start,
		);
		await closeView(page, errors);
	});

	test("page tables: what changed since the stop before", async () => {
		const { page, errors, send } = await open("page-tables", stopped);
		await page.getByText("3000 mappings").waitFor();
		const original = mappings[5]!;
		mappings[5] = { ...original, writable: !original.writable };
		try {
			await send({ kind: "state", state: { ...stopped, revision: 2 } });
			await page.locator("button.toggle", { hasText: "Changed" }).click();
			await page.getByText("1 mapping", { exact: true }).waitFor();
			assert.match((await page.locator(".list-row.changed").textContent())!, /^0xa000–0xb000/);
		} finally {
			mappings[5] = original;
		}
		await closeView(page, errors);
	});

	test("page tables: a search that is no range says so", async () => {
		const { page, errors } = await open("page-tables", stopped);
		await page.getByText("3000 mappings").waitFor();
		await page.getByLabel("Search mappings").fill("main..0x5");
		await page.getByLabel("Search mappings").press("Enter");
		await page.getByText("is no range").waitFor();
		await closeView(page, errors);
	});

	test("fragments: guest code beside its translation, the current line, links, breakpoints", async () => {
		const { page, actions, errors, send } = await open("fragments", stopped);
		await page.locator("[data-fragment='0']").waitFor();
		assert.equal(
			await page.locator(".totals").textContent(),
			"2 fragments, 2 continuations left; translation cache 0xffc00000 – 0xffe00000",
		);
		assert.match((await page.locator("tr.current").textContent())!, /0x100000.*mov ecx, edi.*IDENT.*0xffc00000/);
		assert.equal(await page.getByRole("img").getAttribute("aria-label"), "Hash table: 2 of 4096 buckets used (0.0 %)");
		await page.getByRole("button", { name: "Break at 0xffc00000" }).click();
		assert.deepEqual(actions, [{ kind: "action", action: "toggleBreakpoint", address: "0xffc00000" }]);
		await send({ kind: "state", state: { ...stopped, breakpoints: ["*0xffc00000"] } });
		await page.locator(".breakpoint.set[data-address='0xffc00000'][aria-pressed=true]").waitFor();
		await page.screenshot({ path: join(artifacts, "view-fragments.png") });
		await page.getByRole("button", { name: "fragment 1" }).press("Enter");
		await page.locator("[data-fragment='1']").waitFor();
		await page.locator(".list-row.selected", { hasText: "f1" }).waitFor();
		await send({ kind: "show", address: "nowhere" });
		await page.getByText("There is no fragment at nowhere.").waitFor();
		await closeView(page, errors);
	});

	test("memory: by keyboard to a byte, a new value for it, what changed, the menu's address", async () => {
		const { page, actions, errors, send } = await open("memory", stopped);
		await page.getByLabel("Address").fill("gpa:8 + 0x1000");
		await page.getByLabel("Address").press("Enter");
		await page.locator(".list-row", { hasText: "gpa:0x00001000" }).first().waitFor();
		assert.match((await page.locator(".list-row").first().textContent())!, /000102030405.*→ <img src=x/);
		const chosen = page.locator(".unit.chosen");
		assert.equal(await chosen.textContent(), "08", "the byte that was asked for");
		await page.locator(".list-viewport").focus();
		await page.keyboard.press("ArrowDown");
		await page.keyboard.press("ArrowLeft");
		assert.equal(await chosen.textContent(), "17");
		assert.equal(await page.locator(".selection .mono").first().textContent(), "gpa:0x00001017");
		await page.keyboard.press("ArrowUp");
		await page.keyboard.press("ArrowRight");
		await page.keyboard.press("7");
		assert.equal(await page.getByLabel("New value").inputValue(), "0x7", "a digit begins a new value");
		await page.keyboard.type("fff");
		await page.keyboard.press("Enter");
		await page.getByText("0x7fff does not fit into 1 byte.").waitFor();
		await page.getByLabel("New value").fill("0x7f");
		await page.getByLabel("New value").press("Enter");
		assert.deepEqual(actions, [
			{ kind: "action", action: "writeMemory", address: "gpa:0x00001008", data: btoa("\x7f") },
		]);
		writtenByte = 0x7f;
		await send({ kind: "state", state: { ...stopped, revision: 2 } });
		await page.locator(".unit.changed.chosen", { hasText: "7f" }).waitFor();
		assert.equal(await page.locator(".unit.changed").count(), 1);
		const menu = JSON.parse((await chosen.getAttribute("data-vscode-context"))!);
		assert.deepEqual([menu.webviewSection, menu.address], ["address", "gpa:0x00001008"]);
		await page.getByLabel("Size of a unit").selectOption("4");
		assert.equal(await chosen.textContent(), "0b0a097f");
		await page.screenshot({ path: join(artifacts, "view-memory.png") });
		// A narrow panel has shorter rows.
		await page.setViewportSize({ width: 600, height: 700 });
		await page.locator(".list-row.selected", { hasText: "gpa:0x00001008" }).waitFor();
		await closeView(page, errors);
	});

	test("display: the guest's screen in its colours, also while it runs", async () => {
		const { page, errors, send } = await open("display", { ...stopped, phase: "running", thread: undefined });
		await page.getByText("80 by 25 characters, as the guest runs").waitFor();
		const first = page.locator(".screen > div").first().locator("span");
		assert.equal((await first.textContent())!.trim(), hostile);
		assert.equal(await first.evaluate((run) => getComputedStyle(run).backgroundColor), "rgb(0, 0, 170)");
		const cursor = page.locator(".cursor");
		assert.equal(await cursor.evaluate((mark) => getComputedStyle(mark).borderBottomColor), "rgb(255, 255, 255)");
		await send({ kind: "state", state: stopped });
		await page.getByText("80 by 25 characters", { exact: true }).waitFor();
		await page.screenshot({ path: join(artifacts, "view-display.png") });
		await send({ kind: "state", state: { ...stopped, phase: "ended", thread: undefined } });
		await page.getByText("The machine has ended. Start it again to see its guest's screen.").waitFor();
		await closeView(page, errors);
	});

	test("each view says what to do when there is nothing to show", async () => {
		for (const name of ["page-tables", "fragments"] as const) {
			const { page, actions, errors, send } = await open(name, { ...stopped, phase: "running", thread: undefined });
			await page.getByRole("button", { name: "Pause" }).click();
			assert.deepEqual(actions, [{ kind: "action", action: "pause" }]);
			await send({ kind: "state", state: { ...stopped, phase: "ended", thread: undefined } });
			await page.getByText("The machine has ended.").waitFor();
			await closeView(page, errors);
		}
		const { page, errors } = await open("fragments", { ...stopped, technique: "none", hasTranslationCache: false });
		await page.getByText('Set "vmm": "bt" in launch.json').waitFor();
		await closeView(page, errors);
	});
});
