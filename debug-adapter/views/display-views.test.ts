import assert from "node:assert/strict";
import { test } from "node:test";
import { VirtualClock } from "../../emulator/devices/clock.ts";
import { VgaText } from "../../emulator/devices/vga-text.ts";
import type { DisplayRun } from "../protocol.ts";
import { DapClient } from "../test-support/dap-client.ts";
import { ScriptedMachine } from "../test-support/scripted-machine.ts";

async function started(display: VgaText | undefined): Promise<DapClient> {
	const machine = Object.assign(new ScriptedMachine(), display ? { display } : {});
	const client = new DapClient({
		host: { readFile: async () => new Uint8Array(), now: () => 0, defer: (callback) => void setTimeout(callback, 0) },
		createMachine: () => machine,
	});
	await client.ask("initialize", {});
	await client.ask("launch", { program: "/guest", vmm: "none", stopOnEntry: true });
	await client.ask("configurationDone");
	await client.event("stopped");
	return client;
}

test("the screen in runs of equal colours, with the characters of code page 437, also while the guest runs", async () => {
	const vga = new VgaText(new VirtualClock());
	const put = (column: number, code: number, attribute: number) =>
		vga.window.write(0x1_8000 + 2 * column, 2, code | (attribute << 8));
	put(0, 0xc9, 0x1f);
	put(1, 0xcd, 0x1f);
	const client = await started(vga);
	const screen = await client.ask("hyperscope/display");
	assert.deepEqual([screen.columns, screen.rows.length, screen.graphicsMode], [80, 25, false]);
	assert.deepEqual(screen.rows[0], [
		{ text: "╔═", foreground: "#ffffff", background: "#0000aa" },
		{ text: " ".repeat(78), foreground: "#aaaaaa", background: "#000000" },
	]);
	assert.equal(screen.rows[24].map(({ text }: DisplayRun) => text).join("").length, 80);
	await client.ask("continue", { threadId: 1 });
	put(0, 0x41, 0x07);
	assert.equal((await client.ask("hyperscope/display")).rows[0][0].text, "A");
	await client.move("pause", { threadId: 1 });
	client.dispose();
});

test("a machine without a display says so", async () => {
	const client = await started(undefined);
	assert.equal((await client.request("hyperscope/display")).message, "This machine has no display.");
	client.dispose();
});
